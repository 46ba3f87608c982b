//! Further images from one that is there: another version for an update test, another profile for a mutant.

use std::sync::Arc;

use esp_image::patch::{self, PatchError};
use sha2::{Digest, Sha256};

use super::ImageError;
use super::application::read_application;
use super::catalogue::Image;
use super::entry::{Entry, Kind};

/// The image with another version in its descriptor, checksum and hash made right again. It differs from the first in
/// nothing else: what an update test needs.
///
/// # Errors
///
/// The image is signed, or the version does not fit its field.
pub fn bump(image: &Image, version: &str) -> Result<Image, ImageError> {
    let bytes = patch::with_version(&image.bytes, version).map_err(|why| refused(image, why))?;
    let old = image.version();
    // ota-agent-esp32c3-1.5.9 becomes ota-agent-esp32c3-1.5.10; a name without its version gets the new one.
    let name = match image.name().strip_suffix(old).filter(|_| !old.is_empty()) {
        Some(stem) => format!("{stem}{version}"),
        None => format!("{}-{version}", image.name()),
    };
    let make = format!("brickproof image bump {} {version}", image.name());
    derived(image, bytes, name, &format!("{} with version {version}", image.name()), make)
}

/// The image with another profile in its profile record (and parameters, `key=value` pairs of the agent's).
///
/// # Errors
///
/// The image is not of the reference firmware, is signed, or the text does not fit its field.
pub fn set_profile(image: &Image, profile: &str, parameters: &str) -> Result<Image, ImageError> {
    let bytes = patch::with_profile(&image.bytes, profile, parameters).map_err(|why| refused(image, why))?;
    let mut make = format!("brickproof image set-profile {} {profile}", image.name());
    if !parameters.is_empty() {
        make += &format!(" --parameters '{parameters}'");
    }
    let name = format!("{}-{profile}", image.name());
    derived(image, bytes, name, &format!("{} with profile {profile}", image.name()), make)
}

fn refused(image: &Image, why: PatchError) -> ImageError {
    ImageError::NoApplication { what: format!("image `{}`", image.name()), why }
}

fn derived(image: &Image, bytes: Vec<u8>, name: String, origin: &str, make: String) -> Result<Image, ImageError> {
    let name = file_name(&name);
    let application = read_application(&bytes, &format!("image `{name}`"))?;
    let flash_with = match &image.entry.kind {
        Kind::Application { flash_with, .. } => flash_with.clone(),
        // Its bootloader and table stay in the merged file.
        _ => Vec::new(),
    };
    let entry = Entry {
        file: format!("images/{name}.bin"),
        name,
        kind: Kind::Application { software: application.software(), flash_with },
        run_on: image.run_on.clone(),
        size: u64::try_from(bytes.len()).unwrap_or(u64::MAX),
        sha256: Sha256::digest(&bytes).into(),
        // The ELF of the image that this one was made from has the same code.
        elf: None,
        origin: origin.to_owned(),
        make: Some(make),
    };
    Ok(Image {
        entry,
        chip: application.chip,
        bytes: Arc::from(bytes),
        descriptor: application.facts.descriptor,
        profile: application.facts.profile,
        run_on: image.run_on.clone(),
    })
}

/// A name that holds only what image names may.
pub(super) fn file_name(text: &str) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '+' | '-');
    let name: String = text.chars().map(|c| if fits(c) { c } else { '-' }).collect();
    match name.strip_prefix('.') {
        Some(rest) => format!("_{rest}"),
        None => name,
    }
}
