//! A number kept in NVS for one version, over restarts; another version's does not count.

use core::fmt::Write as _;

use heapless::String;

use crate::platform::Nvs;

const NAMESPACE: &str = "ota";
/// A version, a space, a number.
const RECORD: usize = 48;

/// This version's number; 0 where none is known.
pub(crate) async fn find(nvs: &mut impl Nvs, key: &str, version: &str) -> u32 {
    let mut buffer = [0; RECORD];
    let Ok(Some(record)) = nvs.get_str(NAMESPACE, key, &mut buffer).await else { return 0 };
    let of = record.rsplit_once(' ').filter(|(of, _)| *of == version);
    of.and_then(|(_, number)| number.parse().ok()).unwrap_or(0)
}

/// Keeps it; `false` where that failed.
pub(crate) async fn keep(nvs: &mut impl Nvs, key: &str, version: &str, number: u32) -> bool {
    let mut record = String::<RECORD>::new();
    write!(record, "{version} {number}").is_ok() && nvs.set_str(NAMESPACE, key, &record).await.is_ok()
}

/// Forgets it.
pub(crate) async fn forget(nvs: &mut impl Nvs, key: &str) {
    let _ = nvs.set_str(NAMESPACE, key, "").await;
}
