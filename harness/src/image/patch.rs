//! Further images from one that is there: another version for an update test, another profile for a mutant.

use esp_image::patch::{self, PatchError};
use sha2::{Digest, Sha256};

use super::ImageError;
use super::application::read_application;
use super::catalogue::Image;
use super::entry::{Entry, Kind};

impl Image {
    /// The image with another version in its descriptor, checksum and hash made right again. It differs from the first
    /// in nothing else: what an update test needs.
    ///
    /// # Errors
    ///
    /// The image is signed, or the version does not fit its field.
    pub fn with_version(&self, version: &str) -> Result<Self, ImageError> {
        let bytes = patch::with_version(&self.bytes, version).map_err(|why| refused(self, why))?;
        let old = self.version();
        // ota-agent-esp32c3-1.5.9 becomes ota-agent-esp32c3-1.5.10; a name without its version gets the new one.
        let name = match self.name().strip_suffix(old).filter(|_| !old.is_empty()) {
            Some(stem) => format!("{stem}{version}"),
            None => format!("{}-{version}", self.name()),
        };
        let make = format!("brickproof image bump {} {version}", self.entry.file);
        derived(self, bytes, name, &format!("{} with version {version}", self.name()), make)
    }

    /// The image with another profile in its profile record (and parameters, the agent's `key=value` pairs).
    ///
    /// # Errors
    ///
    /// The image is not of the reference firmware, is signed, or the text does not fit its field.
    pub fn with_profile(&self, profile: &str, parameters: &str) -> Result<Self, ImageError> {
        let bytes = patch::with_profile(&self.bytes, profile, parameters).map_err(|why| refused(self, why))?;
        let make = format!("brickproof image set-profile {} {profile}", self.entry.file);
        let name = format!("{}-{profile}", self.name());
        derived(self, bytes, name, format!("{} with profile {profile} {parameters}", self.name()).trim_end(), make)
    }

    /// The image with another security version.
    ///
    /// # Errors
    ///
    /// The image is signed.
    pub fn with_secure_version(&self, version: u32) -> Result<Self, ImageError> {
        let bytes = patch::with_secure_version(&self.bytes, version).map_err(|why| refused(self, why))?;
        let origin = format!("{} with security version {version}", self.name());
        derived(self, bytes, format!("{}-security-{version}", self.name()), &origin, MADE_BY_SCENARIO.to_owned())
    }
}

/// How an image came about that no command makes.
const MADE_BY_SCENARIO: &str = "made for a scenario";

fn refused(image: &Image, why: PatchError) -> ImageError {
    ImageError::NoApplication { what: format!("image `{}`", image.name()), why }
}

fn derived(image: &Image, bytes: Vec<u8>, name: String, origin: &str, make: String) -> Result<Image, ImageError> {
    let name = file_name(&name);
    let application = read_application(&bytes, &format!("image `{name}`"))?;
    let file = format!("images/{name}.bin");
    let flash_with = match &image.entry.kind {
        Kind::Application { flash_with, .. } => flash_with.clone(),
        // Its bootloader and table stay in the merged file.
        _ => Vec::new(),
    };
    let entry = Entry {
        make: Some(format!("{make} -o {file}")),
        file,
        name,
        kind: Kind::Application { software: application.software(), flash_with },
        run_on: image.run_on.clone(),
        size: u64::try_from(bytes.len()).unwrap_or(u64::MAX),
        sha256: Sha256::digest(&bytes).into(),
        // The ELF of the image that this one was made from has the same code.
        elf: None,
        origin: origin.to_owned(),
    };
    Ok(Image {
        entry,
        chip: application.chip,
        bytes,
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
