//! The emulated chip's fuses: a file with all blocks in the order of their read registers, block 0 first.
//!
//! Sources: ESP-IDF's `tools/idf_py_actions/qemu_ext.py` (which bits an unfused chip has set there, and how long the file
//! is), its `components/efuse/*/esp_efuse_table.csv` (where the bits stand), and Espressif's esp-toolchain-docs
//! (`qemu/esp32`, `qemu/esp32c3`, `qemu/esp32s3`, "Specifying eFuse storage").

use esp_image::chip::ChipId;

/// Length of the file in bytes.
#[must_use]
pub fn length(chip: ChipId) -> usize {
    if chip == ChipId::Esp32 { 124 } else { 1024 }
}

/// Fuses of a chip as `idf.py qemu` makes it: nothing but its revision. Without one, images that ask for a minimum revision
/// do not boot.
#[must_use]
pub fn unfused(chip: ChipId) -> Vec<u8> {
    let mut fuses = vec![0; length(chip)];
    if chip == ChipId::Esp32 {
        // CHIP_VER_REV1 and CHIP_VER_REV2 of block 0: revision 3.
        for bit in [111, 180] {
            fuses[bit / 8] |= 1 << (bit % 8);
        }
    } else {
        // WAFER_VERSION_MINOR_LO, bits 114 to 116 of block 1, which follows block 0's six words: revision 0.3.
        let bit = 24 * 8 + 114;
        fuses[bit / 8] |= 3 << (bit % 8);
    }
    fuses
}

fn bits(fuses: &[u8], first: usize, count: usize) -> usize {
    (first..first + count).filter(|bit| fuses.get(bit / 8).is_some_and(|byte| byte >> (bit % 8) & 1 == 1)).count()
}

/// Why a chip with these fuses must not be given plain images, if so. Its flash is a file and its fuses are a copy, so that
/// nothing would be lost; but it would not boot, and a sound firmware would fail.
#[must_use]
pub fn protection(chip: ChipId, fuses: &[u8]) -> Option<String> {
    // FLASH_CRYPT_CNT, ABS_DONE_0 and _1; SPI_BOOT_CRYPT_CNT, SECURE_BOOT_EN. An odd number of bits turns encryption on.
    let (encryption, boot) = match chip {
        ChipId::Esp32 => (bits(fuses, 20, 7), bits(fuses, 196, 2)),
        _ => (bits(fuses, 82, 3), bits(fuses, 116, 1)),
    };
    if encryption % 2 == 1 {
        return Some("its efuse file has flash encryption on: plain images and NVS would not boot".to_owned());
    }
    (boot > 0).then(|| "its efuse file has secure boot on: unsigned images would not boot".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes that are not zero, with their places.
    fn set(fuses: &[u8]) -> Vec<(usize, u8)> {
        fuses.iter().copied().enumerate().filter(|(_, byte)| *byte != 0).collect()
    }

    #[test]
    fn unfused_chip_has_the_bytes_that_idf_py_writes() {
        // Read off `default_efuse` in ESP-IDF's tools/idf_py_actions/qemu_ext.py.
        assert_eq!((length(ChipId::Esp32), set(&unfused(ChipId::Esp32))), (124, vec![(13, 0x80), (22, 0x10)]));
        for chip in [ChipId::Esp32C3, ChipId::Esp32S3] {
            assert_eq!((unfused(chip).len(), set(&unfused(chip))), (1024, vec![(38, 0x0c)]));
        }
    }

    #[test]
    fn encryption_counts_odd_and_secure_boot_any() {
        for (chip, encryption, boot) in [(ChipId::Esp32, 20, 197), (ChipId::Esp32C3, 82, 116)] {
            let burnt = |at: &[usize]| {
                let mut fuses = unfused(chip);
                at.iter().for_each(|bit| fuses[bit / 8] |= 1 << (bit % 8));
                protection(chip, &fuses)
            };
            assert_eq!(burnt(&[]), None);
            assert!(burnt(&[encryption]).expect("on").contains("encryption"));
            assert_eq!(burnt(&[encryption, encryption + 1]), None, "twice: off again");
            assert!(burnt(&[boot]).expect("on").contains("secure boot"));
        }
    }
}
