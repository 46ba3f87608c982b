//! The reference firmware's images and their catalogue, made from nothing but this program: the same bytes every time.
//!
//! The ESP32-C3's applications are machine code, which a compiler made (`firmware-images/build`); this program has them
//! embedded. The other chips' have filler where their code would be.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use esp_image::build::AppImage;
use esp_image::chip::ChipId;
use esp_image::partition;
use esp_image::record::BootloaderRecord;
use sha2::{Digest, Sha256};

use super::entry::{BootloaderCapability, Entry, Kind, RunOn, Software};
use super::store::write;
use super::{ImageError, embedded};

/// Versions of the reference firmware and the profile that each shows.
const VERSIONS: [(&str, &str); 3] = [("1.5.9", "xiaozhi-1.5.9"), ("1.6.0", "xiaozhi-1.6"), ("1.6.1", "xiaozhi-1.6")];

/// The chip that the reference firmware is compiled for.
const COMPILED: ChipId = ChipId::Esp32C3;

const TABLE: &str = "partition-table-4mb";
const MAKE: &str = "brickproof image build";
const COMPILE: &str = "firmware-images/build";

const HEADER: &str = "\
# Catalogue of the reference firmware's images. README.md beside it says what they are.
#
# Written by `brickproof image build`; a test compares it, and every image, with what that command makes.
# Images of a project of its own belong into that project's catalogue: `brickproof image add --help`.
";

/// Folder of what this program makes by itself.
const FOLDER: &str = "images";
/// Folder of what a compiler made.
const COMPILED_FOLDER: &str = "esp32c3/images/openeth";

/// A file of the reference catalogue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReferenceFile {
    /// Path below the catalogue's folder.
    pub path: String,
    /// Content.
    pub bytes: Vec<u8>,
}

/// Bytes of an image, where they may run and where they come from.
struct Made {
    run_on: BTreeSet<RunOn>,
    origin: &'static str,
    by: &'static str,
    bytes: Vec<u8>,
}

impl Made {
    fn here(run_on: BTreeSet<RunOn>, origin: &'static str, bytes: Vec<u8>) -> Self {
        Self { run_on, origin, by: MAKE, bytes }
    }

    fn with_filler(chip: ChipId, version: &str, profile: &str) -> Self {
        Self::here(
            BTreeSet::from([RunOn::Virtual]),
            "descriptor and profile record of the reference firmware before seeded filler; the virtual board runs \
             firmware-images/ota-agent compiled for the host",
            AppImage::reference(chip, version, profile).bytes(),
        )
    }

    /// Not for other boards than the virtual one: the bootloader that this catalogue flashes along is for that.
    fn compiled(version: &str) -> Self {
        let bytes = embedded::file(&format!("{COMPILED_FOLDER}/{}.bin", compiled(version)));
        Self {
            run_on: BTreeSet::from([RunOn::Virtual]),
            origin: "firmware-images/esp32c3 with --features openeth; its own catalogue, beside it, has it with ESP-IDF's \
                     bootloader for the emulator; the virtual board runs firmware-images/ota-agent compiled for the host",
            by: COMPILE,
            // A test compares the list of what is embedded with the catalogue.
            bytes: bytes.unwrap_or_default().to_vec(),
        }
    }

    fn bootloader(chip: ChipId) -> Self {
        Self::here(
            BTreeSet::from([RunOn::Virtual]),
            "bootloader record before seeded filler; the virtual board boots as the record says",
            AppImage::virtual_bootloader(chip, BootloaderRecord { rollback: true, anti_rollback: true }).bytes(),
        )
    }

    fn table() -> Self {
        Self::here(
            RunOn::ALL.into(),
            "images/partition-table-4mb.csv: 4 MiB of flash, two OTA slots, no factory application",
            partition::encode(&partition::reference()).to_vec(),
        )
    }
}

/// Makes all files: the images, the partition table as CSV, and the catalogue.
#[must_use]
pub fn reference_files() -> Vec<ReferenceFile> {
    let mut files = Vec::new();
    let mut catalogue = HEADER.to_owned();
    let mut put = |name: String, folder: &str, kind: Kind, made: Made| {
        let file = format!("{folder}/{name}.bin");
        let entry = Entry {
            name,
            kind,
            run_on: made.run_on,
            file: file.clone(),
            size: u64::try_from(made.bytes.len()).unwrap_or(u64::MAX),
            sha256: Sha256::digest(&made.bytes).into(),
            elf: None,
            origin: made.origin.to_owned(),
            make: Some(made.by.to_owned()),
        };
        catalogue.push('\n');
        catalogue.push_str(&entry.to_toml());
        files.push(ReferenceFile { path: file, bytes: made.bytes });
    };
    for chip in ChipId::ALL {
        for (version, profile) in VERSIONS {
            let software = Software {
                chip,
                version: version.to_owned(),
                project: "ota-agent".to_owned(),
                profile: Some(profile.to_owned()),
            };
            let kind = Kind::Application { software, flash_with: flash_with(chip) };
            if chip == COMPILED {
                put(compiled(version), COMPILED_FOLDER, kind, Made::compiled(version));
            } else {
                put(format!("ota-agent-{chip}-{version}"), FOLDER, kind, Made::with_filler(chip, version, profile));
            }
        }
        let capabilities = BootloaderCapability::ALL.into();
        put(bootloader(chip), FOLDER, Kind::Bootloader { chip, version: None, capabilities }, Made::bootloader(chip));
    }
    put(TABLE.to_owned(), FOLDER, Kind::PartitionTable { offset: partition::OFFSET }, Made::table());
    files.push(ReferenceFile {
        path: format!("{FOLDER}/{TABLE}.csv"),
        bytes: partition::csv(&partition::reference()).into_bytes(),
    });
    files.push(ReferenceFile { path: "catalogue.toml".to_owned(), bytes: catalogue.into_bytes() });
    files
}

/// What a first flash writes along with an image for the virtual board.
pub(super) fn flash_with(chip: ChipId) -> Vec<String> {
    vec![bootloader(chip), TABLE.to_owned()]
}

/// Name of a version that a compiler made.
fn compiled(version: &str) -> String {
    format!("ota-agent-{COMPILED}-openeth-{version}")
}

fn bootloader(chip: ChipId) -> String {
    format!("bootloader-virtual-{chip}")
}

/// What [`build_all`] did with a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Built {
    /// Path.
    pub path: PathBuf,
    /// False where the file was there already, byte for byte.
    pub changed: bool,
}

impl std::fmt::Display for Built {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let what = if self.changed { "written" } else { "unchanged" };
        write!(f, "{} {what}", self.path.display())
    }
}

/// Writes the reference catalogue and its images into a folder; what is right already is left alone.
///
/// # Errors
///
/// A file cannot be written.
pub fn build_all(folder: &Path) -> Result<Vec<Built>, ImageError> {
    reference_files()
        .into_iter()
        .map(|file| {
            let path = folder.join(&file.path);
            let changed = fs::read(&path).ok().as_deref() != Some(&file.bytes[..]);
            if changed {
                write("image", &path, &file.bytes)?;
            }
            Ok(Built { path, changed })
        })
        .collect()
}
