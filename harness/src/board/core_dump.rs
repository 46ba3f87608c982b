//! Core dumps: what ESP-IDF writes into a partition of its own when the application crashes.
//!
//! The partition is of type data, subtype 0x03, and begins with the length of the dump, that word included, little-endian;
//! an erased one holds no dump. Source: ESP-IDF's "Core Dump" guide and components/espcoredump (`core_dump_header_t`).

use crc::{CRC_32_ISO_HDLC, Crc};
use esp_image::partition::{DATA, Partition, PartitionTable};
use sha2::{Digest, Sha256};

use super::BoardError;
use super::flash::FlashAccess;

/// Subtype of the partition.
const COREDUMP: u8 = 0x03;
/// What is looked at to tell one dump from another: its header, and the first task's stack.
const LOOK: u32 = 0x1000;
/// A length below this is no dump's: the header alone is longer.
const SHORTEST: u32 = 16;

/// The CRC-32 of ESP-IDF's ROM (`esp_rom_crc32_le`), of zlib and of Ethernet.
const CRC32: Crc<u32> = Crc::<u32>::new(&CRC_32_ISO_HDLC);

/// The beginning of a dump, as far as it takes to tell it from another one; `None` of an erased partition.
pub type Fingerprint = Option<[u8; 32]>;

/// The core dump partition, where a table has one.
#[must_use]
pub fn partition(table: &PartitionTable) -> Option<Partition> {
    table.find(DATA, COREDUMP).copied()
}

/// What stands in the partition now.
///
/// # Errors
///
/// The chip does not answer.
pub fn fingerprint(flash: &mut dyn FlashAccess, partition: &Partition) -> Result<Fingerprint, BoardError> {
    let bytes = flash.read(partition.offset, partition.size.min(LOOK))?;
    Ok(length(&bytes, partition.size).map(|_| Sha256::digest(&bytes).into()))
}

/// The dump in the partition, where it is another one than before.
///
/// # Errors
///
/// The chip does not answer.
pub fn fetch(
    flash: &mut dyn FlashAccess,
    partition: &Partition,
    before: Fingerprint,
) -> Result<Option<Vec<u8>>, BoardError> {
    let now = fingerprint(flash, partition)?;
    if now.is_none() || now == before {
        return Ok(None);
    }
    let head = flash.read(partition.offset, 4)?;
    let Some(length) = length(&head, partition.size) else { return Ok(None) };
    flash.read(partition.offset, length.next_multiple_of(4).min(partition.size)).map(|mut dump| {
        dump.truncate(usize::try_from(length).unwrap_or(usize::MAX));
        Some(dump)
    })
}

/// Takes out of a dump what `blot` overwrites in its place, and makes its checksum fit again: ESP-IDF closes a dump with
/// the CRC-32 or the SHA-256 of all before it (`CONFIG_ESP_COREDUMP_CHECKSUM_*`), and its tools refuse one whose checksum
/// is wrong. Returns what `blot` does: how much it overwrote.
pub fn without(dump: &mut [u8], blot: impl FnOnce(&mut [u8]) -> usize) -> usize {
    const SHA256: usize = 32;
    const CRC: usize = 4;
    let checksum = |size: usize, bytes: &[u8]| match size {
        SHA256 => Sha256::digest(bytes).to_vec(),
        _ => CRC32.checksum(bytes).to_le_bytes().to_vec(),
    };
    let fits = |size: &usize| {
        let content = dump.len().checked_sub(*size);
        content.is_some_and(|content| checksum(*size, &dump[..content]) == dump[content..])
    };
    let Some(size) = [SHA256, CRC].into_iter().find(fits) else { return blot(dump) };
    let content = dump.len() - size;
    let count = blot(&mut dump[..content]);
    let sum = checksum(size, &dump[..content]);
    dump[content..].copy_from_slice(&sum);
    count
}

fn length(head: &[u8], room: u32) -> Option<u32> {
    let length = u32::from_le_bytes(*head.first_chunk()?);
    (SHORTEST..=room).contains(&length).then_some(length)
}

#[cfg(test)]
mod tests {
    use super::super::flash::{ChipFacts, Region, Written};
    use super::*;

    /// A flash that can only be read.
    struct Flash(Vec<u8>);

    impl FlashAccess for Flash {
        fn place(&self) -> &str {
            "a test"
        }
        fn means(&self) -> &'static str {
            "memory"
        }
        fn facts(&mut self) -> Result<ChipFacts, BoardError> {
            unreachable!("nobody asks")
        }
        fn read(&mut self, offset: u32, size: u32) -> Result<Vec<u8>, BoardError> {
            let from = usize::try_from(offset).expect("fits");
            Ok(self.0[from..from + usize::try_from(size).expect("fits")].to_vec())
        }
        fn write(&mut self, _: &[Region]) -> Result<Written, BoardError> {
            unreachable!("a core dump is never written")
        }
        fn erase(&mut self, _: u32, _: u32) -> Result<(), BoardError> {
            unreachable!("a core dump is never erased")
        }
    }

    /// A row of a partition table (ESP-IDF's "Partition Tables"): magic, type, subtype, offset, size, label, flags.
    fn table() -> PartitionTable {
        let mut row = vec![0xaa, 0x50, DATA, COREDUMP];
        row.extend(0x1000_u32.to_le_bytes());
        row.extend(0x2000_u32.to_le_bytes());
        row.extend(b"coredump\0\0\0\0\0\0\0\0");
        row.extend([0; 4]);
        row.resize(0xc00, 0xff);
        PartitionTable::parse(&row).expect("a table")
    }

    fn flash(dump: &[u8]) -> Flash {
        let mut bytes = vec![0xff; 0x3000];
        bytes[0x1000..0x1000 + dump.len()].copy_from_slice(dump);
        Flash(bytes)
    }

    fn dump(length: u32, byte: u8) -> Vec<u8> {
        let mut dump = length.to_le_bytes().to_vec();
        dump.resize(usize::try_from(length).expect("fits"), byte);
        dump
    }

    #[test]
    fn new_dump_is_fetched_in_its_length_and_an_old_one_is_not() {
        let partition = partition(&table()).expect("the partition");
        assert_eq!(fingerprint(&mut flash(&[]), &partition).expect("read"), None, "erased");
        let mut crashed = flash(&dump(5001, 7));
        assert_eq!(fetch(&mut crashed, &partition, None).expect("read"), Some(dump(5001, 7)));
        let before = fingerprint(&mut crashed, &partition).expect("read");
        assert_eq!(fetch(&mut crashed, &partition, before).expect("read"), None, "it was there before");
        let mut again = flash(&dump(5001, 8));
        assert_eq!(fetch(&mut again, &partition, before).expect("read"), Some(dump(5001, 8)));
    }

    #[test]
    fn blotted_dump_has_the_checksum_that_its_tools_ask_for() {
        let blot = |bytes: &mut [u8]| {
            let at = bytes.windows(7).position(|w| w == b"hunter2");
            at.map_or(0, |at| {
                bytes[at..at + 7].fill(b'*');
                1
            })
        };
        let content = [b"head of a dump, then hunter2 in RAM".to_vec(), vec![0; 20]].concat();
        let blotted = String::from_utf8_lossy(&content).replace("hunter2", "*******").into_bytes();
        for checksum in [|b: &[u8]| CRC32.checksum(b).to_le_bytes().to_vec(), |b: &[u8]| Sha256::digest(b).to_vec()] {
            let mut dump = [content.clone(), checksum(&content)].concat();
            assert_eq!(without(&mut dump, blot), 1);
            assert_eq!(dump, [blotted.clone(), checksum(&blotted)].concat());
        }
        let mut other = content.clone();
        assert_eq!(without(&mut other, blot), 1);
        assert_eq!(other, blotted, "no checksum that is known");
    }

    #[test]
    fn length_that_cannot_be_is_no_dump() {
        let partition = partition(&table()).expect("the partition");
        for length in [0_u32, 15, 0x2001, u32::MAX] {
            let mut flash = flash(&length.to_le_bytes());
            assert_eq!(fetch(&mut flash, &partition, None).expect("read"), None, "{length:#x}");
        }
    }
}
