//! How large the emulated flash is: the machine takes four sizes, and the image says what it needs.

use esp_image::chip::ChipId;
use esp_image::header::{HEADER_LEN, ImageHeader, MAGIC};
use ota_server::units::ByteSize;

use super::QemuError;
use crate::board::flash::Region;

/// Sizes of a flash image that Espressif's machines take (esp-toolchain-docs, qemu/esp32: "2, 4, 8 and 16MB, creating an
/// image with any other size will result in an error").
pub const SIZES: [u64; 4] = [2 << 20, 4 << 20, 8 << 20, 16 << 20];

/// The size that the bootloader's image header states, which bootloader and application believe: ESP-IDF's start-up fails
/// where the chip is smaller ("Detected size smaller than the size in the binary image header. Probe failed"), and only
/// warns where it is larger. `None` where there is no such header.
fn stated(regions: &[Region], chip: ChipId) -> Option<u64> {
    let at = chip.bootloader_offset();
    let region =
        regions.iter().find(|r| r.offset <= at && u64::from(at) < u64::from(r.offset) + r.bytes.len() as u64)?;
    let header = region.bytes.get((at - region.offset) as usize..)?.first_chunk::<HEADER_LEN>()?;
    let header = ImageHeader::parse(header);
    (header.magic == MAGIC).then(|| (1 << 20) << (header.speed_and_size >> 4))
}

/// Size of the flash: as configured, else the smallest that holds `needed` bytes and is no smaller than the image says.
///
/// # Errors
///
/// [`QemuError::FlashSize`], where the configured size or every size is too small.
pub fn choose(configured: Option<ByteSize>, needed: u64, regions: &[Region], chip: ChipId) -> Result<u32, QemuError> {
    let stated = stated(regions, chip).unwrap_or(0);
    let least = needed.max(stated);
    let fits = |size: &u64| *size >= least;
    let chosen = match configured {
        Some(size) => Some(size.0).filter(fits),
        None => SIZES.into_iter().find(fits),
    };
    chosen.and_then(|size| u32::try_from(size).ok()).ok_or_else(|| {
        let why = if stated >= needed {
            format!("its bootloader's header says that the flash has {}", ByteSize(stated))
        } else {
            format!("its partitions end at {needed:#x}")
        };
        let has = configured.map_or_else(
            || "its machine takes 16MiB at most".to_owned(),
            |size| format!("flash-size is {size}; leave it out, or give a larger one"),
        );
        QemuError::FlashSize { chip: chip.to_string(), why: format!("{why}, and {has}") }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A bootloader whose header states a size, as its size nibble.
    fn bootloader(chip: ChipId, nibble: u8) -> Vec<Region> {
        let header = ImageHeader {
            magic: MAGIC,
            segment_count: 1,
            spi_mode: 2,
            speed_and_size: nibble << 4 | 0xf,
            entry: 0,
            chip_id: chip.image_id(),
            min_revision: 0,
            max_revision: 0xffff,
            hash_appended: true,
        };
        let bytes = header.encode().to_vec();
        vec![Region { label: "bootloader".to_owned(), offset: chip.bootloader_offset(), bytes }]
    }

    #[test]
    fn smallest_flash_that_holds_the_partitions_and_what_the_header_says_is_taken() {
        let chip = ChipId::Esp32;
        let size = |needed, nibble| choose(None, needed, &bootloader(chip, nibble), chip).expect("a size");
        assert_eq!(size(0x10_0000, 1), 2 << 20);
        assert_eq!(size(0x20_0001, 1), 4 << 20, "the partitions need more");
        assert_eq!(size(0x10_0000, 4), 16 << 20, "the header says more");
        assert_eq!(choose(None, 0x20_0000, &[], chip).expect("no header"), 2 << 20);
    }

    #[test]
    fn header_inside_a_merged_file_counts() {
        let chip = ChipId::Esp32;
        let mut bytes = vec![0xff; 0x1000];
        bytes.extend(&bootloader(chip, 3)[0].bytes);
        let merged = [Region { label: "merged".to_owned(), offset: 0, bytes }];
        assert_eq!(choose(None, 0, &merged, chip).expect("a size"), 8 << 20);
    }

    #[test]
    fn configured_size_wins_unless_it_is_too_small() {
        let chip = ChipId::Esp32C3;
        let regions = bootloader(chip, 2);
        assert_eq!(choose(Some(ByteSize(8 << 20)), 0, &regions, chip).expect("larger"), 8 << 20);
        let error = choose(Some(ByteSize(2 << 20)), 0, &regions, chip).expect_err("smaller").to_string();
        assert!(
            error.contains("header says that the flash has 4MiB") && error.contains("flash-size is 2MiB"),
            "{error}"
        );
    }

    #[test]
    fn image_for_more_than_any_machine_has_is_refused() {
        let error = choose(None, 0, &bootloader(ChipId::Esp32S3, 5), ChipId::Esp32S3).expect_err("32 MiB").to_string();
        assert!(error.contains("32MiB") && error.contains("16MiB at most"), "{error}");
        let error = choose(None, 0x100_0001, &[], ChipId::Esp32S3).expect_err("17 MiB").to_string();
        assert!(error.contains("end at 0x1000001"), "{error}");
    }
}
