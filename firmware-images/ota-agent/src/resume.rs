//! How far a download got, kept in NVS over restarts (esp_https_ota's `ota_resumption` leaves that to the application).

use core::fmt::Write as _;

use heapless::String;

use crate::platform::Nvs;

const NAMESPACE: &str = "ota";
const KEY: &str = "resume";
/// A version, a space, a number.
const RECORD: usize = 48;

/// Bytes of this version's image that are on flash; 0 where none are known.
pub(crate) async fn find(nvs: &mut impl Nvs, version: &str) -> u32 {
    let mut buffer = [0; RECORD];
    let Ok(Some(record)) = nvs.get_str(NAMESPACE, KEY, &mut buffer).await else { return 0 };
    let of = record.rsplit_once(' ').filter(|(of, _)| *of == version);
    of.and_then(|(_, bytes)| bytes.parse().ok()).unwrap_or(0)
}

/// Keeps it. A record that cannot be written costs a download from the start, no more.
pub(crate) async fn keep(nvs: &mut impl Nvs, version: &str, bytes: u32) {
    let mut record = String::<RECORD>::new();
    if write!(record, "{version} {bytes}").is_ok() {
        let _ = nvs.set_str(NAMESPACE, KEY, &record).await;
    }
}

/// Forgets it.
pub(crate) async fn forget(nvs: &mut impl Nvs) {
    let _ = nvs.set_str(NAMESPACE, KEY, "").await;
}
