//! How far a download got, kept in NVS over restarts (esp_https_ota's `ota_resumption` leaves that to the application).

use crate::note;
use crate::platform::Nvs;

const KEY: &str = "resume";

/// Bytes of this version's image that are on flash; 0 where none are known.
pub(crate) async fn find(nvs: &mut impl Nvs, version: &str) -> u32 {
    note::find(nvs, KEY, version).await
}

/// Keeps it. A record that cannot be written costs a download from the start, no more.
pub(crate) async fn keep(nvs: &mut impl Nvs, version: &str, bytes: u32) {
    note::keep(nvs, KEY, version, bytes).await;
}

/// Forgets it.
pub(crate) async fn forget(nvs: &mut impl Nvs) {
    note::forget(nvs, KEY).await;
}
