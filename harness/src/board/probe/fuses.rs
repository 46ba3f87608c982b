//! What a chip's fuses tell: its MAC address, and whether its flash may be written. The addresses and bits are those of
//! esptool's `targets/` (esp32.py, esp32c3.py, esp32s3.py).

use esp_image::chip::ChipId;

use crate::board::flash::{ENCRYPTED, SIGNED};

/// Reads a word of a chip's memory.
pub(super) type ReadWord<'r, E> = dyn FnMut(u64) -> Result<u32, E> + 'r;

/// Where a chip keeps what is asked for.
struct Fuses {
    /// The MAC address' low four bytes; its high two are in the next word.
    mac: u64,
    /// The counter of flash encryption, and its bits: an odd number of ones is on.
    encryption: (u64, u32),
    /// Secure boot, and its bits.
    secure_boot: (u64, u32),
}

fn fuses(chip: ChipId) -> Fuses {
    match chip {
        ChipId::Esp32 => {
            Fuses { mac: 0x3ff5_a004, encryption: (0x3ff5_a000, 0x7f << 20), secure_boot: (0x3ff5_a018, 0b11 << 4) }
        }
        ChipId::Esp32S3 => {
            Fuses { mac: 0x6000_7044, encryption: (0x6000_7034, 0x7 << 18), secure_boot: (0x6000_7038, 1 << 20) }
        }
        ChipId::Esp32C3 => {
            Fuses { mac: 0x6000_8844, encryption: (0x6000_8834, 0x7 << 18), secure_boot: (0x6000_8838, 1 << 20) }
        }
    }
}

/// The chip's MAC address, as espflash writes it.
///
/// # Errors
///
/// A word cannot be read.
pub(super) fn mac<E>(chip: ChipId, read: &mut ReadWord<'_, E>) -> Result<String, E> {
    let at = fuses(chip).mac;
    let (low, high) = (read(at)?.to_be_bytes(), read(at + 4)?.to_be_bytes());
    let bytes = [high[2], high[3], low[0], low[1], low[2], low[3]];
    Ok(bytes.map(|byte| format!("{byte:02x}")).join(":"))
}

/// Why the chip's flash must not be written, where it must not.
///
/// # Errors
///
/// A word cannot be read.
pub(super) fn secured<E>(chip: ChipId, read: &mut ReadWord<'_, E>) -> Result<Option<String>, E> {
    let Fuses { encryption, secure_boot, .. } = fuses(chip);
    let encrypted = (read(encryption.0)? & encryption.1).count_ones() % 2 == 1;
    let signed = read(secure_boot.0)? & secure_boot.1 != 0;
    Ok(match (encrypted, signed) {
        (true, _) => Some(ENCRYPTED.to_owned()),
        (false, true) => Some(SIGNED.to_owned()),
        (false, false) => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(words: &'static [(u64, u32)]) -> impl FnMut(u64) -> Result<u32, ()> {
        |at| Ok(words.iter().find(|(known, _)| *known == at).map_or(0, |(_, word)| *word))
    }

    #[test]
    fn mac_address_is_put_together_from_two_words() {
        let mut read = of(&[(0x6000_8844, 0xfa00_1122), (0x6000_8848, 0xffff_f412)]);
        assert_eq!(mac(ChipId::Esp32C3, &mut read), Ok("f4:12:fa:00:11:22".to_owned()));
    }

    #[test]
    fn protected_chip_is_told_with_what_protects_it() {
        assert_eq!(secured(ChipId::Esp32C3, &mut of(&[])), Ok(None));
        let twice = of(&[(0x6000_8834, 0b11 << 18)]);
        assert_eq!(secured(ChipId::Esp32C3, &mut { twice }), Ok(None), "switched on, and off again");
        let mut encrypted = of(&[(0x6000_7034, 0b111 << 18)]);
        assert_eq!(secured(ChipId::Esp32S3, &mut encrypted).expect("read").as_deref(), Some(ENCRYPTED));
        let mut signed = of(&[(0x3ff5_a018, 1 << 4)]);
        assert_eq!(secured(ChipId::Esp32, &mut signed).expect("read").as_deref(), Some(SIGNED));
    }
}
