//! brickproof's own records in images: the profile of the reference firmware, and what a bootloader can do.
//!
//! Both have a fixed layout, so that a chip reads them at run time as the host does: magic (8 bytes), format (u32), two
//! text fields (32 and 64 bytes, NUL-padded), flags (u32), CRC-32 of all before it.

use crc::{CRC_32_ISO_HDLC, Crc};

use crate::bytes::{fixed, text, u32_at};

/// Length of a record.
pub const LEN: usize = 8 + 4 + 32 + 64 + 4 + 4;
/// Where the profile record stands in an application image: right behind the application descriptor.
pub const PROFILE_OFFSET: usize = crate::descriptor::OFFSET + crate::descriptor::LEN;
/// Where the bootloader record stands in a bootloader image: at the begin of its first segment.
pub const BOOTLOADER_OFFSET: usize = crate::header::HEADER_LEN + crate::header::SEGMENT_HEADER_LEN;

const FORMAT: u32 = 1;
const PROFILE_MAGIC: &[u8; 8] = b"BPPROFIL";
const BOOTLOADER_MAGIC: &[u8; 8] = b"BPBOOTLD";
const CRC: Crc<u32> = Crc::<u32>::new(&CRC_32_ISO_HDLC);

fn encode(magic: &[u8; 8], name: &str, parameters: &str, flags: u32) -> [u8; LEN] {
    let mut bytes = [0; LEN];
    bytes[0..8].copy_from_slice(magic);
    bytes[8..12].copy_from_slice(&FORMAT.to_le_bytes());
    bytes[12..44].copy_from_slice(&fixed::<32>(name));
    bytes[44..108].copy_from_slice(&fixed::<64>(parameters));
    bytes[108..112].copy_from_slice(&flags.to_le_bytes());
    let crc = CRC.checksum(&bytes[..112]);
    bytes[112..].copy_from_slice(&crc.to_le_bytes());
    bytes
}

fn valid(magic: &[u8; 8], bytes: &[u8; LEN]) -> bool {
    bytes[0..8] == magic[..] && u32_at(bytes, 8) == FORMAT && u32_at(bytes, 112) == CRC.checksum(&bytes[..112])
}

/// Which behaviour the reference firmware shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProfileRecord {
    bytes: [u8; LEN],
}

impl ProfileRecord {
    /// A record naming a profile (31 bytes at most), with parameters (63 bytes at most) as `key=value` pairs.
    #[must_use]
    pub fn new(profile: &str, parameters: &str) -> Self {
        Self { bytes: encode(PROFILE_MAGIC, profile, parameters, 0) }
    }

    /// Reads a record; `None` where magic, format or CRC is not right.
    #[must_use]
    pub fn parse(bytes: &[u8; LEN]) -> Option<Self> {
        valid(PROFILE_MAGIC, bytes).then_some(Self { bytes: *bytes })
    }

    /// The bytes as they stand on flash.
    #[must_use]
    pub fn encode(&self) -> &[u8; LEN] {
        &self.bytes
    }

    /// Profile name.
    #[must_use]
    pub fn profile(&self) -> &str {
        text(&self.bytes[12..44])
    }

    /// Parameters.
    #[must_use]
    pub fn parameters(&self) -> &str {
        text(&self.bytes[44..108])
    }
}

/// What a second-stage bootloader can do. An image without this record is taken for one without rollback, as the one
/// that espflash brings is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BootloaderRecord {
    /// NEW becomes PENDING_VERIFY, and a restart in that state goes back (CONFIG_BOOTLOADER_APP_ROLLBACK_ENABLE).
    pub rollback: bool,
    /// Images below the eFuse's security version are refused (CONFIG_BOOTLOADER_APP_ANTI_ROLLBACK).
    pub anti_rollback: bool,
}

impl BootloaderRecord {
    /// Reads a record; `None` where magic, format or CRC is not right.
    #[must_use]
    pub fn parse(bytes: &[u8; LEN]) -> Option<Self> {
        let flags = u32_at(bytes, 108);
        valid(BOOTLOADER_MAGIC, bytes).then_some(Self { rollback: flags & 1 != 0, anti_rollback: flags & 2 != 0 })
    }

    /// The bytes as they stand on flash.
    #[must_use]
    pub fn encode(&self) -> [u8; LEN] {
        let flags = u32::from(self.rollback) | u32::from(self.anti_rollback) << 1;
        encode(BOOTLOADER_MAGIC, "brickproof virtual bootloader", "", flags)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn profile_reads_back_and_a_flipped_bit_hides_it() {
        let record = ProfileRecord::new("xiaozhi-1.5.9", "");
        assert_eq!(ProfileRecord::parse(record.encode()).expect("valid").profile(), "xiaozhi-1.5.9");
        for at in 0..LEN {
            let mut bytes = *record.encode();
            bytes[at] ^= 1;
            assert_eq!(ProfileRecord::parse(&bytes), None, "byte {at}");
        }
    }

    #[test]
    fn records_are_not_mistaken_for_each_other() {
        let bootloader = BootloaderRecord { rollback: true, anti_rollback: false };
        assert_eq!(BootloaderRecord::parse(&bootloader.encode()), Some(bootloader));
        assert_eq!(ProfileRecord::parse(&bootloader.encode()), None);
    }
}
