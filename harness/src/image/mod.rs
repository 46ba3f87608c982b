//! Images: the catalogue of what can be flashed or served, and the reference images that come with brickproof.

mod add;
mod catalogue;
mod error;
mod reference;

pub use add::{Added, add};
pub use catalogue::{Catalogue, Entry, Kind};
pub use error::ImageError;
pub use reference::{build_all, partition_table_csv};

use std::path::Path;

use esp_image::chip::ChipId;
use esp_image::partition::{self, PartitionTable};
use esp_image::patch;

use crate::board::flasher::Region;

/// An image with its bytes.
#[derive(Clone, Debug)]
pub struct Image {
    /// Its catalogue entry.
    pub entry: Entry,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// The first flash of a board: bootloader, partition table, erased otadata and NVS, application in the first slot.
///
/// # Errors
///
/// The catalogue has no bootloader for the chip.
pub fn first_flash(catalogue: &Catalogue, app: &Image) -> Result<Vec<Region>, ImageError> {
    let chip = app.entry.chip_id()?;
    let bootloader = catalogue.bootloader(chip)?;
    let table = partition::encode(&partition::reference());
    let slot = partition::reference()[3];
    Ok(vec![
        Region { label: bootloader.entry.name.clone(), offset: chip.bootloader_offset(), bytes: bootloader.bytes },
        Region { label: "partition table".to_owned(), offset: partition::OFFSET, bytes: table.to_vec() },
        Region { label: app.entry.name.clone(), offset: slot.offset, bytes: app.bytes.clone() },
    ])
}

/// The partition table of a first flash.
///
/// # Errors
///
/// Never for the built-in table; the type says so for tables read from elsewhere.
pub fn first_table() -> Result<PartitionTable, partition::TableError> {
    PartitionTable::parse(&partition::encode(&partition::reference()))
}

/// Writes an image with another version.
///
/// # Errors
///
/// The file cannot be read or written, or is no application image that can be patched.
pub fn bump(file: &Path, version: &str, output: &Path) -> Result<(), ImageError> {
    rewrite(file, output, |bytes| patch::with_version(bytes, version))
}

/// Writes an image with another profile.
///
/// # Errors
///
/// As [`bump`]; only the reference firmware's images have a profile.
pub fn set_profile(file: &Path, profile: &str, output: &Path) -> Result<(), ImageError> {
    rewrite(file, output, |bytes| patch::with_profile(bytes, profile, ""))
}

fn rewrite(
    file: &Path,
    output: &Path,
    change: impl FnOnce(&[u8]) -> Result<Vec<u8>, patch::PatchError>,
) -> Result<(), ImageError> {
    let bytes = error::read(file)?;
    let changed = change(&bytes).map_err(|why| ImageError::Unusable { path: file.to_owned(), why: why.to_string() })?;
    error::write(output, &changed)
}

/// What an image is, in lines for people.
///
/// # Errors
///
/// The file cannot be read or is no application image.
pub fn info(file: &Path) -> Result<String, ImageError> {
    let bytes = error::read(file)?;
    let facts =
        patch::facts(&bytes).map_err(|why| ImageError::Unusable { path: file.to_owned(), why: why.to_string() })?;
    let chip = ChipId::from_image_id(facts.header.chip_id).map_or("another chip", ChipId::name);
    let profile = facts.profile.as_ref().map_or("none", |p| p.profile());
    Ok(format!(
        "project {}\nversion {}\nchip    {chip}\nlength  {} bytes\nsecure version {}\nprofile {profile}\nsigned  {}\nsha256  {}\n",
        facts.descriptor.project(),
        facts.descriptor.version(),
        facts.length,
        facts.descriptor.secure_version(),
        if facts.signed { "yes" } else { "no" },
        catalogue::sha256(&bytes),
    ))
}
