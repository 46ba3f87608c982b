//! The NVS partition as bytes: keys changed, everything else kept.

use virtual_esp32::nvs::{self, NvsPartition, Pages, Value};

/// A value to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NvsValue {
    /// A string.
    Text(String),
    /// A signed 32-bit number.
    I32(i32),
    /// An unsigned 8-bit number (flags).
    U8(u8),
}

/// A key to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NvsItem {
    /// Namespace, 15 bytes at most.
    pub namespace: String,
    /// Key, 15 bytes at most.
    pub key: String,
    /// Value.
    pub value: NvsValue,
    /// True when the value must not be shown.
    pub secret: bool,
}

impl NvsItem {
    /// The text that must not be shown.
    #[must_use]
    pub fn secret(&self) -> Option<&str> {
        match &self.value {
            NvsValue::Text(text) if self.secret => Some(text),
            _ => None,
        }
    }
}

/// An NVS partition cannot be read or changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NvsError {
    /// Neither settings nor erased flash: nobody's settings are overwritten by mistake.
    #[error(
        "the NVS partition holds {damaged} damaged pages and no sound one: it is no NVS, or an encrypted one; `brickproof \
         nvs erase --all` erases it, with whatever it holds"
    )]
    Garbage {
        /// Pages that are neither.
        damaged: usize,
    },
    /// Anything else.
    #[error(transparent)]
    Partition(#[from] nvs::NvsError),
}

/// Opens a partition that holds settings, or nothing.
///
/// # Errors
///
/// See [`NvsError`].
pub fn open(partition: &[u8]) -> Result<NvsPartition, NvsError> {
    let pages = Pages::of(partition);
    if pages.is_garbage() {
        return Err(NvsError::Garbage { damaged: pages.damaged });
    }
    Ok(NvsPartition::from_bytes(partition)?)
}

/// The partition with these keys written; a partition that has them already comes back as it was.
///
/// # Errors
///
/// See [`NvsError`].
pub fn with_items(partition: Vec<u8>, items: &[NvsItem]) -> Result<Vec<u8>, NvsError> {
    let mut nvs = open(&partition)?;
    let mut changed = false;
    for item in items {
        let value = match &item.value {
            NvsValue::Text(text) => Value::from(text.as_str()),
            NvsValue::I32(number) => Value::I32(*number),
            NvsValue::U8(number) => Value::U8(*number),
        };
        if nvs.get(&item.namespace, &item.key)?.as_ref() != Some(&value) {
            nvs.set(&item.namespace, &item.key, &value)?;
            changed = true;
        }
    }
    Ok(if changed { nvs.to_bytes() } else { partition })
}

/// A string of the partition.
///
/// # Errors
///
/// See [`NvsError`].
pub fn text(partition: Vec<u8>, namespace: &str, key: &str) -> Result<Option<String>, NvsError> {
    Ok(open(&partition)?.get_str(namespace, key)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(key: &str, value: NvsValue) -> NvsItem {
        NvsItem { namespace: "wifi".to_owned(), key: key.to_owned(), value, secret: false }
    }

    #[test]
    fn written_keys_read_back_and_others_stay() {
        let blank = vec![0xff; 0x4000];
        let one = with_items(blank, &[item("ssid", NvsValue::Text("net".to_owned()))]).expect("written");
        let url = "http://192.168.88.200/xiaozhi/ota/".to_owned();
        let two = with_items(one, &[item("ota_url", NvsValue::Text(url.clone()))]).expect("written");
        assert_eq!(text(two.clone(), "wifi", "ota_url").expect("read"), Some(url.clone()));
        assert_eq!(text(two.clone(), "wifi", "ssid").expect("read"), Some("net".to_owned()));
        assert_eq!(text(two.clone(), "wifi", "none").expect("read"), None);
        assert_eq!(with_items(two.clone(), &[item("ota_url", NvsValue::Text(url))]).expect("again"), two, "unchanged");
    }

    #[test]
    fn random_bytes_and_bad_names_are_errors() {
        let long = item("a_key_of_16_byte", NvsValue::U8(1));
        let name = with_items(vec![0xff; 0x4000], &[long]);
        assert!(matches!(name, Err(NvsError::Partition(nvs::NvsError::Name { .. }))), "{name:?}");
        assert!(open(&[0; 100]).is_err());
        let garbage = with_items(vec![0x5a; 0x4000], &[item("key", NvsValue::U8(1))]).expect_err("garbage");
        assert!(garbage.to_string().contains("erases it"), "{garbage}");
    }
}
