//! NVS on the chip's flash: the keys that ESP-IDF's tools and `brickproof` provision.

use esp_nvs::error::Error as Storage;
use esp_nvs::{Key, Nvs};
use ota_agent::platform;

use crate::flash::{Flash, NvsFlash};

/// Why a value cannot be read or written.
#[derive(Debug)]
#[expect(dead_code, reason = "shown by Debug")]
pub(crate) enum NvsError {
    /// The table has no NVS partition, or it could not be opened.
    Closed,
    /// Not a name that fits a key or a namespace.
    Name,
    /// The value does not fit the caller's buffer (ESP_ERR_NVS_INVALID_LENGTH).
    Length,
    /// What the storage says.
    Storage(Storage),
}

/// The application's NVS.
pub(crate) struct FlashNvs(Option<Nvs<NvsFlash>>);

impl FlashNvs {
    /// Opens the partition; without one every access fails.
    pub(crate) fn open(flash: &Flash, partition: Option<(u32, u32)>) -> Self {
        // A u32 fits usize on this chip.
        Self(partition.and_then(|(offset, size)| Nvs::new(offset as usize, size as usize, NvsFlash::new(flash)).ok()))
    }

    fn with<R>(
        &mut self,
        namespace: &str,
        key: &str,
        work: impl FnOnce(&mut Nvs<NvsFlash>, &Key, &Key) -> Result<R, Storage>,
    ) -> Result<R, NvsError> {
        let namespace = agent_nvs::name(namespace).ok_or(NvsError::Name)?;
        let key = agent_nvs::name(key).ok_or(NvsError::Name)?;
        let nvs = self.0.as_mut().ok_or(NvsError::Closed)?;
        work(nvs, &namespace, &key).map_err(NvsError::Storage)
    }
}

impl platform::Nvs for FlashNvs {
    type Error = NvsError;

    async fn get_str<'b>(
        &mut self,
        namespace: &str,
        key: &str,
        buffer: &'b mut [u8],
    ) -> Result<Option<&'b str>, Self::Error> {
        match self.with(namespace, key, agent_nvs::get_string)? {
            None => Ok(None),
            Some(text) => agent_nvs::copied(&text, buffer).map(Some).ok_or(NvsError::Length),
        }
    }

    async fn set_str(&mut self, namespace: &str, key: &str, value: &str) -> Result<(), Self::Error> {
        self.with(namespace, key, |nvs, namespace, key| nvs.set(namespace, key, value))
    }

    async fn set_i32(&mut self, namespace: &str, key: &str, value: i32) -> Result<(), Self::Error> {
        self.with(namespace, key, |nvs, namespace, key| nvs.set(namespace, key, value))
    }
}
