//! An ESP-IDF build folder: what `flasher_args.json` says is flashed where, and what the bootloader was built to do.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

use super::ImageError;
use super::entry::BootloaderCapability;

/// What ESP-IDF's build system writes. Its format grows from version to version: unknown members are no mistake here.
#[derive(Deserialize)]
struct FlasherArgs {
    #[serde(default)]
    flash_files: BTreeMap<String, String>,
    app: Option<Part>,
    bootloader: Option<Part>,
    #[serde(rename = "partition-table")]
    partition_table: Option<Part>,
    otadata: Option<Part>,
}

#[derive(Deserialize)]
struct Part {
    offset: String,
    file: String,
    #[serde(default)]
    encrypted: String,
}

/// A file and its flash offset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Placed {
    pub(super) offset: u32,
    pub(super) file: PathBuf,
}

/// What a build folder holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BuildFolder {
    pub(super) application: Placed,
    pub(super) bootloader: Option<Placed>,
    pub(super) partition_table: Option<Placed>,
    /// Whatever else is flashed: file systems, assets. Not otadata, which a first flash leaves blank.
    pub(super) data: Vec<Placed>,
    pub(super) capabilities: BTreeSet<BootloaderCapability>,
    /// The application's ELF file, where it stands beside it.
    pub(super) elf: Option<PathBuf>,
}

/// Reads a build folder.
///
/// # Errors
///
/// It is none, holds no application, or was built for flash encryption.
pub(super) fn read(folder: &Path) -> Result<BuildFolder, ImageError> {
    let fail = |why: String| ImageError::BuildFolder { path: folder.to_owned(), why };
    let path = folder.join("flasher_args.json");
    let text = fs::read_to_string(&path).map_err(|e| {
        fail(format!("cannot read flasher_args.json: {e}; is it the folder that `idf.py build` makes?"))
    })?;
    let args: FlasherArgs =
        serde_json::from_str(&text).map_err(|e| fail(format!("cannot understand flasher_args.json: {e}")))?;
    let place = |part: &Part| -> Result<Placed, ImageError> {
        if part.encrypted == "true" {
            return Err(fail(format!(
                "{} is to be flashed encrypted; brickproof does not touch boards with flash encryption, build without it",
                part.file
            )));
        }
        Ok(Placed { offset: offset(&part.offset).map_err(fail)?, file: folder.join(&part.file) })
    };
    let application = args
        .app
        .as_ref()
        .ok_or_else(|| fail("flasher_args.json names no application; run `idf.py build`, not a part of it".to_owned()))
        .and_then(place)?;
    let bootloader = args.bootloader.as_ref().map(place).transpose()?;
    let partition_table = args.partition_table.as_ref().map(place).transpose()?;
    let known: BTreeSet<&str> = [&args.app, &args.bootloader, &args.partition_table, &args.otadata]
        .into_iter()
        .flatten()
        .map(|part| part.file.as_str())
        .collect();
    let data = args
        .flash_files
        .iter()
        .filter(|(_, file)| !known.contains(file.as_str()))
        .map(|(at, file)| Ok(Placed { offset: offset(at).map_err(fail)?, file: folder.join(file) }))
        .collect::<Result<_, ImageError>>()?;
    let elf = Some(application.file.with_extension("elf")).filter(|path| path.is_file());
    Ok(BuildFolder { application, bootloader, partition_table, data, capabilities: capabilities(folder), elf })
}

/// What the bootloader was configured to do. Without the configuration nothing is claimed: a scenario that needs
/// rollback is then skipped rather than failed.
fn capabilities(folder: &Path) -> BTreeSet<BootloaderCapability> {
    let text = fs::read_to_string(folder.join("config").join("sdkconfig.json")).unwrap_or_default();
    let config: Value = serde_json::from_str(&text).unwrap_or_default();
    let set = |name: &str| config.get(name).and_then(Value::as_bool) == Some(true);
    [
        ("BOOTLOADER_APP_ROLLBACK_ENABLE", BootloaderCapability::Rollback),
        ("BOOTLOADER_APP_ANTI_ROLLBACK", BootloaderCapability::AntiRollback),
    ]
    .into_iter()
    .filter(|(name, _)| set(name))
    .map(|(_, capability)| capability)
    .collect()
}

fn offset(text: &str) -> Result<u32, String> {
    let parsed = match text.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16),
        None => text.parse(),
    };
    parsed.map_err(|e| format!("flasher_args.json: `{text}` is no flash offset: {e}"))
}
