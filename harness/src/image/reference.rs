//! The reference firmware's images and their catalogue, made from nothing but this program: the same bytes every time.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use esp_image::build::AppImage;
use esp_image::chip::ChipId;
use esp_image::partition;
use esp_image::record::BootloaderRecord;
use sha2::{Digest, Sha256};

use super::ImageError;
use super::entry::{BootloaderCapability, Entry, Kind, RunOn, Software};
use super::store::write;

/// Versions of the reference firmware and the profile that each shows.
const VERSIONS: [(&str, &str); 3] = [("1.5.9", "xiaozhi-1.5.9"), ("1.6.0", "xiaozhi-1.6"), ("1.6.1", "xiaozhi-1.6")];

const TABLE: &str = "partition-table-4mb";
const MAKE: &str = "brickproof image build";

const HEADER: &str = "\
# Catalogue of the reference firmware's images. README.md beside it says what they are.
#
# Written by `brickproof image build`; a test compares it, and every image, with what that command makes.
# Images of a project of its own belong into that project's catalogue: `brickproof image add --help`.
";

/// A file of the reference catalogue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReferenceFile {
    /// Path below the catalogue's folder.
    pub path: String,
    /// Content.
    pub bytes: Vec<u8>,
}

/// Makes all files: the images, the partition table as CSV, and the catalogue.
#[must_use]
pub fn reference_files() -> Vec<ReferenceFile> {
    let mut files = Vec::new();
    let mut catalogue = HEADER.to_owned();
    let mut put = |name: String, kind: Kind, run_on: BTreeSet<RunOn>, origin: &str, bytes: Vec<u8>| {
        let file = format!("images/{name}.bin");
        let entry = Entry {
            name,
            kind,
            run_on,
            file: file.clone(),
            size: u64::try_from(bytes.len()).unwrap_or(u64::MAX),
            sha256: Sha256::digest(&bytes).into(),
            elf: None,
            origin: origin.to_owned(),
            make: Some(MAKE.to_owned()),
        };
        catalogue.push('\n');
        catalogue.push_str(&entry.to_toml());
        files.push(ReferenceFile { path: file, bytes });
    };
    for chip in ChipId::ALL {
        for (version, profile) in VERSIONS {
            let software = Software {
                chip,
                version: version.to_owned(),
                project: "ota-agent".to_owned(),
                profile: Some(profile.to_owned()),
            };
            put(
                format!("ota-agent-{chip}-{version}"),
                Kind::Application { software, flash_with: flash_with(chip) },
                BTreeSet::from([RunOn::Virtual]),
                "descriptor and profile record of the reference firmware before seeded filler; the virtual board runs \
                 firmware-images/ota-agent compiled for the host",
                AppImage::reference(chip, version, profile).bytes(),
            );
        }
        put(
            bootloader(chip),
            Kind::Bootloader { chip, version: None, capabilities: BootloaderCapability::ALL.into() },
            BTreeSet::from([RunOn::Virtual]),
            "bootloader record before seeded filler; the virtual board boots as the record says",
            AppImage::virtual_bootloader(chip, BootloaderRecord { rollback: true, anti_rollback: true }).bytes(),
        );
    }
    put(
        TABLE.to_owned(),
        Kind::PartitionTable { offset: partition::OFFSET },
        RunOn::ALL.into(),
        "images/partition-table-4mb.csv: 4 MiB of flash, two OTA slots, no factory application",
        partition::encode(&partition::reference()).to_vec(),
    );
    files.push(ReferenceFile {
        path: format!("images/{TABLE}.csv"),
        bytes: partition::csv(&partition::reference()).into_bytes(),
    });
    files.push(ReferenceFile { path: "catalogue.toml".to_owned(), bytes: catalogue.into_bytes() });
    files
}

/// What a first flash writes along with an image for the virtual board.
pub(super) fn flash_with(chip: ChipId) -> Vec<String> {
    vec![bootloader(chip), TABLE.to_owned()]
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
