//! Reading application images with all checks that the bootloader makes.

use esp_image::chip::ChipId;
use esp_image::patch::{self, AppFacts};
use esp_image::verify::{Demands, Verifier};

use super::ImageError;
use super::entry::Software;

/// What a whole and undamaged application image says of itself.
#[derive(Clone, Debug)]
pub struct Application {
    /// Chip.
    pub chip: ChipId,
    /// Header, descriptor, profile record, length.
    pub facts: AppFacts,
}

impl Application {
    /// What stands of it in a catalogue.
    #[must_use]
    pub fn software(&self) -> Software {
        Software {
            chip: self.chip,
            version: self.facts.descriptor.version().to_owned(),
            project: self.facts.descriptor.project().to_owned(),
            profile: self.facts.profile.as_ref().map(|p| p.profile().to_owned()),
        }
    }
}

/// Reads an application image and checks it as the bootloader will; `what` names it in messages.
///
/// # Errors
///
/// It is none (a merged image, a bootloader, something else), for an unknown chip, truncated or damaged.
pub fn read_application(bytes: &[u8], what: &str) -> Result<Application, ImageError> {
    let facts = patch::facts(bytes).map_err(|why| ImageError::NoApplication { what: what.to_owned(), why })?;
    let id = facts.header.chip_id;
    let chip = ChipId::from_image_id(id).ok_or_else(|| ImageError::UnknownChip { what: what.to_owned(), id })?;
    // Any chip revision that the image takes, and any partition: this looks at the image alone.
    let demands = Demands { chip: Some(chip), revision: Some(facts.header.min_revision), limit: u32::MAX };
    let mut verifier = Verifier::new(demands);
    verifier
        .feed(bytes, |_| {})
        .and_then(|()| verifier.finish())
        .map_err(|why| ImageError::Damaged { what: what.to_owned(), why })?;
    Ok(Application { chip, facts })
}

#[cfg(test)]
mod tests {
    use esp_image::build::AppImage;
    use esp_image::partition;

    use super::*;

    fn image() -> Vec<u8> {
        AppImage::reference(ChipId::Esp32C3, "1.5.9", "xiaozhi-1.5.9").bytes()
    }

    fn refused(bytes: &[u8]) -> String {
        read_application(bytes, "firmware.bin").expect_err("refused").to_string()
    }

    #[test]
    fn application_says_what_it_is() {
        let software = read_application(&image(), "firmware.bin").expect("good").software();
        assert_eq!((software.chip, software.version.as_str()), (ChipId::Esp32C3, "1.5.9"));
        assert_eq!((software.project.as_str(), software.profile.as_deref()), ("ota-agent", Some("xiaozhi-1.5.9")));
    }

    #[test]
    fn merged_image_is_refused_with_the_applications_place() {
        let mut merged = vec![0xff; 0x1_0000];
        merged[0x8000..0x8000 + partition::MAX_LEN].copy_from_slice(&partition::encode(&partition::reference()));
        merged.extend(image());
        let message = refused(&merged);
        assert!(message.contains("this is a merged image") && message.contains("begins at 0x10000"), "{message}");
        assert!(message.contains("brickproof image add"), "{message}");
    }

    #[test]
    fn truncated_damaged_and_foreign_files_are_told_apart() {
        let image = image();
        assert!(refused(&image[..70_000]).contains("truncated: 70000 bytes are there"));
        let mut damaged = image.clone();
        damaged[100_000] ^= 4;
        assert!(refused(&damaged).contains("is damaged: checksum is 0x"));
        assert!(refused(b"<html>").contains("begins with 0x3c, not 0xe9"));
        assert!(refused(b"").contains("truncated: 0 bytes are there"));
        let mut foreign = image;
        foreign[12] = 13;
        assert!(refused(&foreign).contains("chip id 13 (ESP32-C6)"));
    }
}
