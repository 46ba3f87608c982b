//! The image header and the segment headers.

use crate::bytes::{u16_at, u32_at};

/// First byte of every image.
pub const MAGIC: u8 = 0xe9;
/// Length of the image header.
pub const HEADER_LEN: usize = 24;
/// Length of a segment header.
pub const SEGMENT_HEADER_LEN: usize = 8;
/// Most segments that the bootloader takes.
pub const MAX_SEGMENTS: u8 = 16;
/// Longest segment that the bootloader takes (16 MiB).
pub const MAX_SEGMENT_LEN: u32 = 16 * 1024 * 1024;
/// Start of the XOR checksum over all segment data.
pub const CHECKSUM_START: u8 = 0xef;

/// The 24-byte image header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImageHeader {
    /// Magic byte as read.
    pub magic: u8,
    /// Number of segments.
    pub segment_count: u8,
    /// SPI mode (0 QIO, 1 QOUT, 2 DIO, 3 DOUT).
    pub spi_mode: u8,
    /// Flash speed in the low nibble, size in the high one (0x2: 4 MB).
    pub speed_and_size: u8,
    /// Entry address.
    pub entry: u32,
    /// Chip id.
    pub chip_id: u16,
    /// Minimum chip revision as major * 100 + minor.
    pub min_revision: u16,
    /// Maximum chip revision, likewise; 0xffff: any.
    pub max_revision: u16,
    /// True when a SHA-256 follows the checksum.
    pub hash_appended: bool,
}

impl ImageHeader {
    /// Reads a header; it checks nothing.
    #[must_use]
    pub fn parse(bytes: &[u8; HEADER_LEN]) -> Self {
        Self {
            magic: bytes[0],
            segment_count: bytes[1],
            spi_mode: bytes[2],
            speed_and_size: bytes[3],
            entry: u32_at(bytes, 4),
            chip_id: u16_at(bytes, 12),
            min_revision: u16_at(bytes, 15),
            max_revision: u16_at(bytes, 17),
            hash_appended: bytes[23] == 1,
        }
    }

    /// Writes the header as it stands on flash.
    #[must_use]
    pub fn encode(&self) -> [u8; HEADER_LEN] {
        let mut bytes = [0; HEADER_LEN];
        bytes[0] = self.magic;
        bytes[1] = self.segment_count;
        bytes[2] = self.spi_mode;
        bytes[3] = self.speed_and_size;
        bytes[4..8].copy_from_slice(&self.entry.to_le_bytes());
        // 0xee: the write-protect pin is not set, as esptool writes it.
        bytes[8] = 0xee;
        bytes[12..14].copy_from_slice(&self.chip_id.to_le_bytes());
        bytes[15..17].copy_from_slice(&self.min_revision.to_le_bytes());
        bytes[17..19].copy_from_slice(&self.max_revision.to_le_bytes());
        bytes[23] = u8::from(self.hash_appended);
        bytes
    }
}

/// A segment header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentHeader {
    /// Address that the segment is loaded or mapped to.
    pub address: u32,
    /// Length of its data.
    pub length: u32,
}

impl SegmentHeader {
    /// Reads a segment header; it checks nothing.
    #[must_use]
    pub fn parse(bytes: &[u8; SEGMENT_HEADER_LEN]) -> Self {
        Self { address: u32_at(bytes, 0), length: u32_at(bytes, 4) }
    }
}
