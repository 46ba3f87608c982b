//! The NVS partition as bytes: keys changed, everything else kept.

use esp_nvs::mem_flash::MemFlash;
use esp_nvs::{Key, Nvs, error::Error};

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
    /// Names have 1 to 15 bytes.
    #[error("{name:?} is no NVS name: names have 1 to 15 bytes")]
    Name {
        /// The name.
        name: String,
    },
    /// The storage library's error.
    #[error("cannot {doing} {what} in the NVS partition: {why}")]
    Storage {
        /// What was tried.
        doing: &'static str,
        /// Namespace and key.
        what: String,
        /// Why.
        why: String,
    },
}

fn name(text: &str) -> Result<Key, NvsError> {
    // ESP-IDF's limit: 16 bytes with the closing NUL.
    if text.is_empty() || text.len() > 15 {
        return Err(NvsError::Name { name: text.to_owned() });
    }
    Ok(Key::from_str(text))
}

fn open(partition: Vec<u8>) -> Result<Nvs<MemFlash>, NvsError> {
    let size = partition.len();
    let failed = |why: String| NvsError::Storage { doing: "open", what: "the pages".to_owned(), why };
    if size == 0 || !size.is_multiple_of(4096) {
        return Err(failed(format!("{size} bytes are no whole number of 4 KiB pages")));
    }
    Nvs::new(0, size, MemFlash::from_bytes(partition)).map_err(|e| failed(e.to_string()))
}

/// The partition with these keys written; a partition that has them already comes back as it was.
///
/// # Errors
///
/// See [`NvsError`].
pub fn with_items(partition: Vec<u8>, items: &[NvsItem]) -> Result<Vec<u8>, NvsError> {
    let mut nvs = open(partition)?;
    for item in items {
        let (namespace, key) = (name(&item.namespace)?, name(&item.key)?);
        let result = match &item.value {
            NvsValue::Text(text) => match nvs.get::<String>(&namespace, &key) {
                Ok(old) if old == *text => Ok(()),
                _ => nvs.set(&namespace, &key, text.as_str()),
            },
            NvsValue::I32(number) => match nvs.get::<i32>(&namespace, &key) {
                Ok(old) if old == *number => Ok(()),
                _ => nvs.set(&namespace, &key, *number),
            },
            NvsValue::U8(number) => match nvs.get::<u8>(&namespace, &key) {
                Ok(old) if old == *number => Ok(()),
                _ => nvs.set(&namespace, &key, *number),
            },
        };
        result.map_err(|e| NvsError::Storage {
            doing: "write",
            what: format!("{}/{}", item.namespace, item.key),
            why: e.to_string(),
        })?;
    }
    Ok(nvs.into_inner().into_inner())
}

/// A string of the partition.
///
/// # Errors
///
/// See [`NvsError`].
pub fn text(partition: Vec<u8>, namespace: &str, key: &str) -> Result<Option<String>, NvsError> {
    let mut nvs = open(partition)?;
    match nvs.get::<String>(&name(namespace)?, &name(key)?) {
        Ok(text) => Ok(Some(text)),
        Err(Error::KeyNotFound | Error::NamespaceNotFound) => Ok(None),
        Err(e) => Err(NvsError::Storage { doing: "read", what: format!("{namespace}/{key}"), why: e.to_string() }),
    }
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
        assert!(matches!(with_items(vec![0xff; 0x4000], &[long]), Err(NvsError::Name { .. })));
        assert!(open(vec![0; 100]).is_err());
    }
}
