//! The reference firmware's images: what is built, and the built files that the program carries.

use std::path::Path;

use esp_image::build::AppImage;
use esp_image::chip::ChipId;
use esp_image::partition;
use esp_image::record::BootloaderRecord;

use super::catalogue::{Entry, Kind, sha256};
use super::{ImageError, error};

/// Versions of the reference application: version, profile.
const APPLICATIONS: &[(&str, &str)] = &[("1.5.9", "xiaozhi-1.5.9"), ("1.6.0", "xiaozhi-1.6"), ("1.6.1", "xiaozhi-1.6")];

/// How the images are made again.
const MAKE: &str = "brickproof image build";
const ORIGIN: &str = "built from firmware-images/esp-image; the application's behaviour is firmware-images/ota-agent";

macro_rules! built {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_bytes!(concat!("../../../firmware-images/images/", $name, ".bin")))),*]
    };
}

/// The built images that the program carries, so that an installed one needs no checkout.
pub(super) const BUILT: &[(&str, &[u8])] = built![
    "bootloader-virtual-esp32",
    "bootloader-virtual-esp32s3",
    "bootloader-virtual-esp32c3",
    "ota-agent-esp32-1.5.9",
    "ota-agent-esp32-1.6.0",
    "ota-agent-esp32-1.6.1",
    "ota-agent-esp32s3-1.5.9",
    "ota-agent-esp32s3-1.6.0",
    "ota-agent-esp32s3-1.6.1",
    "ota-agent-esp32c3-1.5.9",
    "ota-agent-esp32c3-1.6.0",
    "ota-agent-esp32c3-1.6.1",
];

/// Builds every reference image: name, entry, bytes.
fn all() -> Vec<(Entry, Vec<u8>)> {
    let mut images = Vec::new();
    for chip in ChipId::ALL {
        let record = BootloaderRecord { rollback: true, anti_rollback: true };
        let bytes = AppImage::virtual_bootloader(chip, record).bytes();
        let mut entry = describe(&format!("bootloader-virtual-{chip}"), Kind::Bootloader, chip, &bytes);
        entry.capabilities = vec!["bootloader-rollback".to_owned(), "anti-rollback".to_owned()];
        images.push((entry, bytes));
        for (version, profile) in APPLICATIONS {
            let bytes = AppImage::reference(chip, version, profile).bytes();
            let mut entry = describe(&format!("ota-agent-{chip}-{version}"), Kind::Application, chip, &bytes);
            entry.version = Some((*version).to_owned());
            entry.project = Some("ota-agent".to_owned());
            entry.profile = Some((*profile).to_owned());
            images.push((entry, bytes));
        }
    }
    images
}

fn describe(name: &str, kind: Kind, chip: ChipId, bytes: &[u8]) -> Entry {
    Entry {
        name: name.to_owned(),
        kind,
        chip: chip.name().to_owned(),
        version: None,
        project: None,
        profile: None,
        run_on: vec!["virtual".to_owned()],
        file: format!("images/{name}.bin"),
        size: bytes.len() as u64,
        sha256: sha256(bytes),
        origin: ORIGIN.to_owned(),
        make: MAKE.to_owned(),
        capabilities: Vec::new(),
        elf: None,
    }
}

/// Writes all reference images, their catalogue and the partition table into a folder.
///
/// # Errors
///
/// The folder cannot be written.
pub fn build_all(folder: &Path) -> Result<Vec<String>, ImageError> {
    let images = folder.join("images");
    std::fs::create_dir_all(&images).map_err(|source| ImageError::Io {
        doing: "create",
        path: images.clone(),
        source,
    })?;
    let all = all();
    for (entry, bytes) in &all {
        error::write(&folder.join(&entry.file), bytes)?;
    }
    let entries: Vec<_> = all.iter().map(|(entry, _)| entry.clone()).collect();
    error::write(&folder.join("catalogue.toml"), super::catalogue::render(&entries).as_bytes())?;
    error::write(&folder.join("partitions.csv"), partition_table_csv().as_bytes())?;
    Ok(entries.into_iter().map(|e| e.file).collect())
}

/// The reference partition table as ESP-IDF's CSV.
#[must_use]
pub fn partition_table_csv() -> String {
    let mut csv = String::from("# Name, Type, SubType, Offset, Size\n");
    for p in partition::reference() {
        let (kind, subtype) = match (p.kind, p.subtype) {
            (partition::DATA, partition::NVS) => ("data", "nvs".to_owned()),
            (partition::DATA, partition::OTADATA) => ("data", "ota".to_owned()),
            (partition::DATA, partition::PHY) => ("data", "phy".to_owned()),
            (partition::APP, _) => ("app", format!("ota_{}", p.ota_slot().unwrap_or(0))),
            (_, subtype) => ("data", format!("{subtype:#x}")),
        };
        csv.push_str(&format!("{}, {kind}, {subtype}, {:#x}, {:#x}\n", p.label(), p.offset, p.size));
    }
    csv
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Catalogue;

    #[test]
    fn built_images_are_what_the_source_makes_byte_for_byte() {
        let all = all();
        assert_eq!(all.len(), BUILT.len(), "a new image is embedded in BUILT too");
        for (entry, bytes) in &all {
            let (_, built) = BUILT.iter().find(|(name, _)| *name == entry.name).expect("embedded");
            assert!(*built == bytes.as_slice(), "{}: make it again with `{MAKE}`", entry.name);
        }
    }

    #[test]
    fn catalogue_tells_the_truth() {
        let catalogue = Catalogue::embedded().expect("embedded catalogue");
        let entries: Vec<_> = all().into_iter().map(|(entry, _)| entry).collect();
        assert_eq!(catalogue.entries(), entries, "make it again with `{MAKE}`");
    }
}
