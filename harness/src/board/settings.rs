//! A board's own settings: NVS and otadata, read before a run first writes, and written back after it.

use esp_image::partition::{self, PartitionTable};

use super::BoardError;
use super::flash::{FlashAccess, Region, Written};

/// Size of the partition table's sector (ESP-IDF reserves one flash sector for it).
const TABLE_SIZE: u32 = 0x1000;

/// What a board held before it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Chip name.
    pub chip: String,
    /// Station MAC address: which board they belong to.
    pub mac: String,
    /// The partitions that hold settings, with their content. Empty when the board had no partition table.
    pub regions: Vec<Region>,
}

/// The partitions that hold a board's settings, of a partition table: label, offset, size. None of a flash that has no
/// valid table.
fn partitions(table: &[u8]) -> Vec<(String, u32, u32)> {
    let Ok(table) = PartitionTable::parse(table) else { return Vec::new() };
    let kept = [partition::NVS, partition::OTADATA];
    table
        .partitions()
        .iter()
        .filter(|p| p.kind == partition::DATA && kept.contains(&p.subtype))
        .map(|p| (p.label().to_owned(), p.offset, p.size))
        .collect()
}

impl Settings {
    /// Reads them. Asks for nothing else, and writes nothing.
    ///
    /// # Errors
    ///
    /// The chip stops answering, or tells no MAC address.
    pub fn read(session: &mut dyn FlashAccess, chip: &str, mac: Option<&str>) -> Result<Self, BoardError> {
        let mac = mac.ok_or_else(|| BoardError::Unable {
            port: session.place().to_owned(),
            what: "be told from others",
            why: "it gives no MAC address, so its settings could not be given back to it".to_owned(),
        })?;
        let table = session.read(partition::OFFSET, TABLE_SIZE)?;
        let mut regions = Vec::new();
        for (label, offset, size) in partitions(&table) {
            regions.push(Region { label, offset, bytes: session.read(offset, size)? });
        }
        Ok(Self { chip: chip.to_owned(), mac: mac.to_owned(), regions })
    }

    /// Writes them back, where the board's partition table still has these partitions at these places.
    ///
    /// # Errors
    ///
    /// The table is another one by now (nothing is written then), or the chip stops answering.
    pub fn write_back(&self, session: &mut dyn FlashAccess) -> Result<Written, BoardError> {
        let table = session.read(partition::OFFSET, TABLE_SIZE)?;
        let there = partitions(&table);
        let moved = |r: &&Region| {
            !there.iter().any(|(_, offset, size)| *offset == r.offset && u64::from(*size) == r.bytes.len() as u64)
        };
        if let Some(region) = self.regions.iter().find(moved) {
            return Err(BoardError::Unable {
                port: session.place().to_owned(),
                what: "have its settings back",
                why: format!(
                    "its partition table no longer has {} at {:#x} with {} bytes, and writing there would destroy \
                     something else; flash the firmware that the settings belong to first",
                    region.label,
                    region.offset,
                    region.bytes.len()
                ),
            });
        }
        session.write(&self.regions)
    }
}
