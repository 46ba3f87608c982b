//! The partition table at 0x8000: 32-byte rows, closed by a row with the MD5 of those before it.

use md5::{Digest, Md5};

use crate::bytes::{fixed, text, u32_at};

/// Where the table stands.
pub const OFFSET: u32 = 0x8000;
/// Longest table that the bootloader reads.
pub const MAX_LEN: usize = 0xc00;
/// Length of a row.
pub const ROW: usize = 32;
/// Most partitions a table holds (one row is the MD5's).
pub const MAX_PARTITIONS: usize = MAX_LEN / ROW - 1;

const MAGIC: [u8; 2] = [0xaa, 0x50];
const MD5_MAGIC: [u8; 2] = [0xeb, 0xeb];

/// What is wrong with a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TableError {
    /// A row begins with neither magic; on erased flash the first one.
    #[error("row {row} has magic {found:#06x}, not 0x50aa")]
    Magic {
        /// Row, from 0.
        row: usize,
        /// As read, little-endian.
        found: u16,
    },
    /// The MD5 row does not match the rows before it.
    #[error("the table's MD5 does not match its rows")]
    Md5,
    /// There is no end.
    #[error("the table has more than {MAX_PARTITIONS} partitions")]
    TooLong,
    /// There is no partition.
    #[error("the table is empty")]
    Empty,
}

/// One partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Partition {
    /// Type: 0 application, 1 data, others are the project's own.
    pub kind: u8,
    /// Subtype.
    pub subtype: u8,
    /// Flash offset.
    pub offset: u32,
    /// Size in bytes.
    pub size: u32,
    /// Flags: 1 encrypted, 2 read-only.
    pub flags: u32,
    label: [u8; 16],
}

/// Type of application partitions.
pub const APP: u8 = 0;
/// Type of data partitions.
pub const DATA: u8 = 1;
/// Data subtype of otadata.
pub const OTADATA: u8 = 0;
/// Data subtype of PHY data.
pub const PHY: u8 = 1;
/// Data subtype of NVS.
pub const NVS: u8 = 2;
/// App subtype of the factory application.
pub const FACTORY: u8 = 0;
/// App subtype of the first OTA slot.
pub const OTA_0: u8 = 0x10;
/// App subtype of the test application.
pub const TEST: u8 = 0x20;

impl Partition {
    /// A partition; the label is cut to 15 bytes.
    #[must_use]
    pub fn new(label: &str, kind: u8, subtype: u8, offset: u32, size: u32) -> Self {
        Self { kind, subtype, offset, size, flags: 0, label: fixed(label) }
    }

    /// Its label.
    #[must_use]
    pub fn label(&self) -> &str {
        text(&self.label)
    }

    /// Number of the OTA slot, for an OTA application partition.
    #[must_use]
    pub fn ota_slot(&self) -> Option<u8> {
        (self.kind == APP && (OTA_0..OTA_0 + 16).contains(&self.subtype)).then(|| self.subtype - OTA_0)
    }

    fn parse(row: &[u8]) -> Self {
        let mut label = [0; 16];
        label.copy_from_slice(&row[12..28]);
        Self {
            kind: row[2],
            subtype: row[3],
            offset: u32_at(row, 4),
            size: u32_at(row, 8),
            flags: u32_at(row, 28),
            label,
        }
    }

    fn encode(&self) -> [u8; ROW] {
        let mut row = [0; ROW];
        row[0..2].copy_from_slice(&MAGIC);
        row[2] = self.kind;
        row[3] = self.subtype;
        row[4..8].copy_from_slice(&self.offset.to_le_bytes());
        row[8..12].copy_from_slice(&self.size.to_le_bytes());
        row[12..28].copy_from_slice(&self.label);
        row[28..32].copy_from_slice(&self.flags.to_le_bytes());
        row
    }
}

/// A parsed table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionTable {
    rows: [Partition; MAX_PARTITIONS],
    count: usize,
}

impl PartitionTable {
    /// Reads a table and checks its MD5 row, where it has one.
    ///
    /// # Errors
    ///
    /// See [`TableError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, TableError> {
        let mut table = Self { rows: [Partition::new("", 0, 0, 0, 0); MAX_PARTITIONS], count: 0 };
        for (n, row) in bytes.chunks_exact(ROW).take(MAX_LEN / ROW).enumerate() {
            match [row[0], row[1]] {
                MAGIC if table.count < MAX_PARTITIONS => {
                    table.rows[table.count] = Partition::parse(row);
                    table.count += 1;
                }
                MAGIC => return Err(TableError::TooLong),
                MD5_MAGIC => {
                    let digest = Md5::digest(&bytes[..n * ROW]);
                    if digest[..] != row[16..32] {
                        return Err(TableError::Md5);
                    }
                }
                [0xff, 0xff] if table.count > 0 => return Ok(table),
                other => return Err(TableError::Magic { row: n, found: u16::from_le_bytes(other) }),
            }
        }
        if table.count == 0 { Err(TableError::Empty) } else { Ok(table) }
    }

    /// The partitions in their order.
    #[must_use]
    pub fn partitions(&self) -> &[Partition] {
        &self.rows[..self.count]
    }

    /// The first partition of a type and subtype.
    #[must_use]
    pub fn find(&self, kind: u8, subtype: u8) -> Option<&Partition> {
        self.partitions().iter().find(|p| p.kind == kind && p.subtype == subtype)
    }

    /// Number of OTA slots: those numbered from 0 without a gap, as the bootloader counts them.
    #[must_use]
    pub fn ota_slots(&self) -> u8 {
        (0..16).find(|n| self.find(APP, OTA_0 + n).is_none()).unwrap_or(16)
    }

    /// The partition of an OTA slot.
    #[must_use]
    pub fn slot(&self, number: u8) -> Option<&Partition> {
        self.find(APP, OTA_0.checked_add(number)?)
    }

    /// The partition that begins at an offset.
    #[must_use]
    pub fn at(&self, offset: u32) -> Option<&Partition> {
        self.partitions().iter().find(|p| p.offset == offset)
    }
}

/// Writes a table with its MD5 row, padded with ones to a whole sector's worth of [`MAX_LEN`] bytes.
#[must_use]
pub fn encode(partitions: &[Partition]) -> [u8; MAX_LEN] {
    let mut bytes = [0xff; MAX_LEN];
    let count = partitions.len().min(MAX_PARTITIONS);
    for (row, partition) in bytes.chunks_exact_mut(ROW).zip(&partitions[..count]) {
        row.copy_from_slice(&partition.encode());
    }
    let end = count * ROW;
    let digest = Md5::digest(&bytes[..end]);
    bytes[end..end + 2].copy_from_slice(&MD5_MAGIC);
    bytes[end + 16..end + ROW].copy_from_slice(&digest);
    bytes
}

/// The layout of the reference boards: 4 MiB of flash, two OTA slots, no factory application.
#[must_use]
pub fn reference() -> [Partition; 5] {
    [
        Partition::new("nvs", DATA, NVS, 0x9000, 0x4000),
        Partition::new("otadata", DATA, OTADATA, 0xd000, 0x2000),
        Partition::new("phy_init", DATA, PHY, 0xf000, 0x1000),
        Partition::new("ota_0", APP, OTA_0, 0x1_0000, 0x18_0000),
        Partition::new("ota_1", APP, OTA_0 + 1, 0x19_0000, 0x18_0000),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_reads_back() {
        let table = PartitionTable::parse(&encode(&reference())).expect("valid");
        assert_eq!(table.partitions(), reference());
        assert_eq!(table.ota_slots(), 2);
        assert_eq!(table.slot(1).map(Partition::label), Some("ota_1"));
        assert_eq!(table.slot(2), None);
    }

    #[test]
    fn changed_row_fails_the_md5() {
        let mut bytes = encode(&reference());
        bytes[5] ^= 0x10;
        assert_eq!(PartitionTable::parse(&bytes), Err(TableError::Md5));
    }

    #[test]
    fn erased_flash_is_no_table() {
        assert_eq!(PartitionTable::parse(&[0xff; 64]), Err(TableError::Magic { row: 0, found: 0xffff }));
    }
}
