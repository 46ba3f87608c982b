#![no_std]
//! The reference firmware's NVS on any flash that `esp-nvs` can use: what its bodies on the host and on a chip share.
//!
//! What this crate must never know: which flash it is, and how long that takes.

extern crate alloc;

use alloc::string::String;

use esp_nvs::error::Error;
use esp_nvs::platform::Platform;
use esp_nvs::{Key, MAX_KEY_LENGTH, Nvs};

/// A checked name of a key or namespace, 1 to 15 ASCII characters without NUL; `esp_nvs::Key` panics on what does not fit it.
#[must_use]
pub fn name(name: &str) -> Option<Key> {
    let fits = (1..=MAX_KEY_LENGTH).contains(&name.len()) && name.bytes().all(|b| b.is_ascii() && b != 0);
    fits.then(|| Key::from_str(name))
}

/// A string; `None` where the namespace or the key does not exist.
///
/// # Errors
///
/// What the storage says otherwise.
pub fn get_string<T: Platform>(nvs: &mut Nvs<T>, namespace: &Key, key: &Key) -> Result<Option<String>, Error> {
    match nvs.get::<String>(namespace, key) {
        Ok(text) => Ok(Some(text)),
        Err(Error::KeyNotFound | Error::NamespaceNotFound) => Ok(None),
        Err(e) => Err(e),
    }
}

/// The text in the caller's buffer; `None` where it does not fit (ESP_ERR_NVS_INVALID_LENGTH).
#[must_use]
pub fn copied<'b>(text: &str, buffer: &'b mut [u8]) -> Option<&'b str> {
    let room = buffer.get_mut(..text.len())?;
    room.copy_from_slice(text.as_bytes());
    // Copied from a string just now: it is UTF-8.
    core::str::from_utf8(room).ok()
}
