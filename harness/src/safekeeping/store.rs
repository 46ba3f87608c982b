//! The files of safekeeping: one for each board, named after its MAC address.

use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::board::flash::Region;
use crate::board::settings::Settings;

/// Version of the form.
const FORMAT: u32 = 1;

/// Where the settings of boards are kept.
#[derive(Clone, Debug)]
pub struct Store {
    folder: PathBuf,
}

/// Settings could not be kept or found again.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file system refused.
    #[error("cannot {doing} {}: {source}; choose another folder with --state", path.display())]
    Io {
        /// What was tried.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not what was written.
    #[error("the kept settings {} cannot be used: {why}; they are left as they are", path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// Why.
        why: String,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct File {
    format: u32,
    chip: String,
    mac: String,
    regions: Vec<FileRegion>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct FileRegion {
    label: String,
    offset: u32,
    sha256: String,
    /// Content in hexadecimal.
    bytes: String,
}

/// The folder where settings are kept unless told otherwise: `$XDG_STATE_HOME/brickproof`, by the XDG Base Directory
/// specification `~/.local/state/brickproof` where the variable is not set.
#[must_use]
pub fn default_folder() -> PathBuf {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    set("XDG_STATE_HOME")
        .or_else(|| set("HOME").map(|home| home.join(".local/state")))
        .unwrap_or_else(std::env::temp_dir)
        .join("brickproof")
}

impl Store {
    /// A store in a folder, which is made when it is first needed.
    #[must_use]
    pub fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// The file of a board.
    #[must_use]
    pub fn path(&self, mac: &str) -> PathBuf {
        let name: String = mac.chars().filter(char::is_ascii_hexdigit).collect();
        self.folder.join(format!("settings-{}.json", name.to_ascii_lowercase()))
    }

    /// Keeps a board's settings. Settings of the same board that are kept already stay: they are older, so they are the
    /// board's own, and what it holds now is what an interrupted run left. True when these were kept.
    ///
    /// # Errors
    ///
    /// The folder or the file cannot be written.
    pub fn keep(&self, settings: &Settings) -> Result<bool, StoreError> {
        let path = self.path(&settings.mac);
        let io = |doing, path: &Path| {
            let path = path.to_owned();
            move |source| StoreError::Io { doing, path, source }
        };
        std::fs::create_dir_all(&self.folder).map_err(io("make the folder", &self.folder))?;
        let file = File {
            format: FORMAT,
            chip: settings.chip.clone(),
            mac: settings.mac.clone(),
            regions: settings
                .regions
                .iter()
                .map(|r| FileRegion {
                    label: r.label.clone(),
                    offset: r.offset,
                    sha256: hex::encode(Sha256::digest(&r.bytes)),
                    bytes: hex::encode(&r.bytes),
                })
                .collect(),
        };
        let text = serde_json::to_vec_pretty(&file).unwrap_or_default();
        // Whole or not at all, and for its owner only, as temporary files are.
        let mut temporary =
            tempfile::NamedTempFile::new_in(&self.folder).map_err(io("write a file in", &self.folder))?;
        temporary.write_all(&text).map_err(io("write", &path))?;
        temporary.as_file().sync_all().map_err(io("write", &path))?;
        match temporary.persist_noclobber(&path) {
            Ok(_) => Ok(true),
            Err(e) if e.error.kind() == std::io::ErrorKind::AlreadyExists => Ok(false),
            Err(e) => Err(StoreError::Io { doing: "write", path, source: e.error }),
        }
    }

    /// The kept settings of a board, if there are any.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or is damaged.
    pub fn find(&self, mac: &str) -> Result<Option<Settings>, StoreError> {
        let path = self.path(mac);
        let text = match std::fs::read(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(StoreError::Io { doing: "read", path, source }),
        };
        let damaged = |why: String| StoreError::Damaged { path: path.clone(), why };
        let file: File = serde_json::from_slice(&text).map_err(|e| damaged(e.to_string()))?;
        if file.format != FORMAT {
            return Err(damaged(format!("they have format {}, this program knows {FORMAT}", file.format)));
        }
        let region = |r: FileRegion| {
            let bytes = hex::decode(&r.bytes).map_err(|e| damaged(format!("{}: {e}", r.label)))?;
            if hex::encode(Sha256::digest(&bytes)) != r.sha256 {
                return Err(damaged(format!("the SHA-256 of {} is another one", r.label)));
            }
            Ok(Region { label: r.label, offset: r.offset, bytes })
        };
        let regions = file.regions.into_iter().map(region).collect::<Result<_, _>>()?;
        Ok(Some(Settings { chip: file.chip, mac: file.mac, regions }))
    }

    /// Forgets a board's settings, once they are written back.
    ///
    /// # Errors
    ///
    /// The file cannot be removed.
    pub fn forget(&self, mac: &str) -> Result<(), StoreError> {
        let path = self.path(mac);
        std::fs::remove_file(&path).map_err(|source| StoreError::Io { doing: "remove", path, source })
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn settings(byte: u8) -> Settings {
        let region = Region { label: "nvs".to_owned(), offset: 0x9000, bytes: vec![byte; 64] };
        Settings { chip: "esp32c3".to_owned(), mac: "60:55:F9:00:00:01".to_owned(), regions: vec![region] }
    }

    #[test]
    fn kept_settings_come_back_whole_and_are_for_their_owner_only() {
        let folder = tempfile::tempdir().expect("folder");
        let store = Store::new(folder.path().join("made when needed"));
        assert!(store.find("60:55:f9:00:00:01").expect("nothing kept").is_none());
        assert!(store.keep(&settings(7)).expect("kept"));
        let path = store.path("60:55:f9:00:00:01");
        assert_eq!(std::fs::metadata(&path).expect("file").permissions().mode() & 0o777, 0o600);
        assert_eq!(store.find("60:55:f9:00:00:01").expect("found"), Some(settings(7)));
        store.forget("60:55:f9:00:00:01").expect("forgotten");
        assert!(!path.exists());
    }

    #[test]
    fn what_an_interrupted_run_left_on_the_board_never_replaces_the_boards_own() {
        let folder = tempfile::tempdir().expect("folder");
        let store = Store::new(folder.path().to_owned());
        assert!(store.keep(&settings(1)).expect("kept"));
        assert!(!store.keep(&settings(2)).expect("left alone"));
        assert_eq!(store.find(&settings(1).mac).expect("found"), Some(settings(1)));
    }

    #[test]
    fn damaged_files_are_told_and_left() {
        let folder = tempfile::tempdir().expect("folder");
        let store = Store::new(folder.path().to_owned());
        store.keep(&settings(1)).expect("kept");
        let path = store.path(&settings(1).mac);
        let text = std::fs::read_to_string(&path).expect("file");
        for (bad, why) in [
            (text.replace("0101", "0102"), "SHA-256 of nvs"),
            (text.replace("\"format\": 1", "\"format\": 9"), "format 9"),
            (text[..text.len() / 2].to_owned(), "EOF"),
        ] {
            std::fs::write(&path, &bad).expect("damaged");
            let error = store.find(&settings(1).mac).expect_err("damaged").to_string();
            assert!(error.contains(why), "{error}");
            assert_eq!(std::fs::read_to_string(&path).expect("still there"), bad);
        }
    }
}
