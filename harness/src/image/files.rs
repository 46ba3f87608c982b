//! What the command line does with single image files: another version, another profile, what it is.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use esp_image::patch::{self, PatchError};
use sha2::{Digest, Sha256};

use super::ImageError;
use super::application::read_application;
use super::store::write;

/// Writes an application image with another version in its descriptor, checksum and hash made right again: the second
/// version that an update test needs.
///
/// # Errors
///
/// The file cannot be read or written, is no whole application image, is signed, or the version does not fit its field.
pub fn bump(file: &Path, version: &str, output: &Path) -> Result<(), ImageError> {
    rewrite(file, output, |bytes| patch::with_version(bytes, version))
}

/// Writes an image of the reference firmware with another profile in its record; `parameters` are the agent's
/// `key=value` pairs.
///
/// # Errors
///
/// As [`bump`]; other firmware's images have no profile.
pub fn set_profile(file: &Path, profile: &str, parameters: &str, output: &Path) -> Result<(), ImageError> {
    rewrite(file, output, |bytes| patch::with_profile(bytes, profile, parameters))
}

fn read(file: &Path) -> Result<Vec<u8>, ImageError> {
    fs::read(file).map_err(|why| ImageError::Read { what: "image", path: file.to_owned(), why })
}

fn rewrite(
    file: &Path,
    output: &Path,
    change: impl FnOnce(&[u8]) -> Result<Vec<u8>, PatchError>,
) -> Result<(), ImageError> {
    let bytes = read(file)?;
    let what = file.display().to_string();
    // A damaged image would come out with a checksum that fits: it must not.
    read_application(&bytes, &what)?;
    let changed = change(&bytes).map_err(|why| ImageError::NoApplication { what, why })?;
    write("image", output, &changed)
}

/// What an application image is, in lines for people.
///
/// # Errors
///
/// The file cannot be read or is no whole application image.
pub fn info(file: &Path) -> Result<String, ImageError> {
    let bytes = read(file)?;
    let application = read_application(&bytes, &file.display().to_string())?;
    let facts = &application.facts;
    let (time, date) = facts.descriptor.built();
    let mut text = String::new();
    let mut line = |name: &str, value: &str| {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{name:<15} {value}");
    };
    line("project", facts.descriptor.project());
    line("version", facts.descriptor.version());
    line("chip", application.chip.name());
    line("ESP-IDF", facts.descriptor.idf_version());
    line("built", format!("{date} {time}").trim());
    line("secure version", &facts.descriptor.secure_version().to_string());
    line("length", &format!("{} bytes", facts.length));
    line("signed", if facts.signed { "yes" } else { "no" });
    if let Some(profile) = &facts.profile {
        line("profile", profile.profile());
        if !profile.parameters().is_empty() {
            line("parameters", profile.parameters());
        }
    }
    line("SHA-256", &hex::encode(Sha256::digest(&bytes)));
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use esp_image::build::AppImage;
    use esp_image::chip::ChipId;

    #[test]
    fn damaged_image_is_not_made_whole_by_a_bump() {
        let folder = tempfile::tempdir().expect("folder");
        let (from, to) = (folder.path().join("a.bin"), folder.path().join("b.bin"));
        let mut image = AppImage::reference(ChipId::Esp32, "1.5.9", "xiaozhi-1.5.9").bytes();
        fs::write(&from, &image).expect("write");
        bump(&from, "1.5.10", &to).expect("bumps");
        let text = info(&to).expect("reads");
        assert!(text.contains("version         1.5.10\n") && text.contains("chip            esp32\n"), "{text}");
        set_profile(&to, "mutant", "retries=0", &to).expect("patches");
        let text = info(&to).expect("reads");
        assert!(text.contains("mutant") && text.contains("retries=0") && text.contains("1.5.10"), "{text}");
        image[100_000] ^= 1;
        fs::write(&from, &image).expect("write");
        let message = bump(&from, "1.5.11", &to).expect_err("damaged").to_string();
        assert!(message.contains("a.bin is damaged: checksum"), "{message}");
    }
}
