//! A place in a firmware's source.

use serde::{Deserialize, Serialize};

/// A function at an address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Frame {
    /// The address, as printed.
    pub address: u64,
    /// The function; of several at one address the innermost comes first, the others were inlined around it.
    pub function: Option<String>,
    /// Source file.
    pub file: Option<String>,
    /// Line in it.
    pub line: Option<u32>,
}

impl std::fmt::Display for Frame {
    /// `esp_https_ota (esp_https_ota.c:123)`: the folder of a source file tells more of the builder than of the crash.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.function {
            Some(function) => f.write_str(function)?,
            None => write!(f, "{:#010x}", self.address)?,
        }
        let Some(file) = &self.file else { return Ok(()) };
        let name = file.rsplit(['/', '\\']).next().unwrap_or(file);
        match self.line {
            Some(line) => write!(f, " ({name}:{line})"),
            None => write!(f, " ({name})"),
        }
    }
}
