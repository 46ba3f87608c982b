//! otadata: which OTA slot boots, and whether its image is confirmed.
//!
//! Two 4 KiB sectors, each with one 32-byte entry; the valid one with the higher sequence number wins.

use crc::{Algorithm, Crc};

use crate::bytes::u32_at;

/// Length of an entry.
pub const ENTRY: usize = 32;

/// `esp_rom_crc32_le(UINT32_MAX, ...)`, as ESP-IDF calls it: the reflected CRC-32 with a register that starts at 0.
const OTA_CRC: Algorithm<u32> = Algorithm {
    width: 32,
    poly: 0x04c1_1db7,
    init: 0,
    refin: true,
    refout: true,
    xorout: 0xffff_ffff,
    check: 0,
    residue: 0,
};
const CRC: Crc<u32> = Crc::<u32>::new(&OTA_CRC);

/// State of the image in the selected slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImageState {
    /// Written and never booted.
    New,
    /// Booted once and not confirmed yet.
    PendingVerify,
    /// Confirmed.
    Valid,
    /// Refused by the application itself.
    Invalid,
    /// Restarted before it was confirmed.
    Aborted,
    /// Nothing is known: rollback is not in use.
    Undefined,
    /// A number that has no meaning.
    Other(u32),
}

impl ImageState {
    fn from_word(word: u32) -> Self {
        match word {
            0 => Self::New,
            1 => Self::PendingVerify,
            2 => Self::Valid,
            3 => Self::Invalid,
            4 => Self::Aborted,
            u32::MAX => Self::Undefined,
            other => Self::Other(other),
        }
    }

    /// The number on flash.
    #[must_use]
    pub fn word(self) -> u32 {
        match self {
            Self::New => 0,
            Self::PendingVerify => 1,
            Self::Valid => 2,
            Self::Invalid => 3,
            Self::Aborted => 4,
            Self::Undefined => u32::MAX,
            Self::Other(word) => word,
        }
    }

    /// True for images that the bootloader does not boot again.
    #[must_use]
    pub fn is_refused(self) -> bool {
        matches!(self, Self::Invalid | Self::Aborted)
    }
}

/// One entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Sequence number; the slot is (sequence - 1) modulo the number of slots.
    pub sequence: u32,
    /// State.
    pub state: ImageState,
}

impl Entry {
    /// Reads an entry; `None` where it is empty or its CRC is wrong.
    #[must_use]
    pub fn parse(bytes: &[u8; ENTRY]) -> Option<Self> {
        let sequence = u32_at(bytes, 0);
        let valid = sequence != u32::MAX && sequence != 0 && u32_at(bytes, 28) == CRC.checksum(&bytes[0..4]);
        valid.then(|| Self { sequence, state: ImageState::from_word(u32_at(bytes, 24)) })
    }

    /// Writes the entry as it stands on flash; the label stays empty, as ESP-IDF leaves it.
    #[must_use]
    pub fn encode(&self) -> [u8; ENTRY] {
        let mut bytes = [0xff; ENTRY];
        bytes[0..4].copy_from_slice(&self.sequence.to_le_bytes());
        bytes[24..28].copy_from_slice(&self.state.word().to_le_bytes());
        let crc = CRC.checksum(&bytes[0..4]);
        bytes[28..32].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// The slot that this entry selects among so many.
    #[must_use]
    pub fn slot(&self, slots: u8) -> u8 {
        // The remainder is below `slots`, a u8.
        u8::try_from((self.sequence - 1) % u32::from(slots.max(1))).unwrap_or(0)
    }
}

/// Both sectors' entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OtaData {
    /// Valid entries, by sector.
    pub entries: [Option<Entry>; 2],
}

impl OtaData {
    /// Reads both entries.
    #[must_use]
    pub fn parse(first: &[u8; ENTRY], second: &[u8; ENTRY]) -> Self {
        Self { entries: [Entry::parse(first), Entry::parse(second)] }
    }

    /// Sector and entry that count: the highest sequence among the valid ones, leaving out refused images.
    #[must_use]
    pub fn active(&self) -> Option<(usize, Entry)> {
        let bootable = |e: &Option<Entry>| e.filter(|e| !e.state.is_refused());
        match (bootable(&self.entries[0]), bootable(&self.entries[1])) {
            (Some(a), Some(b)) if b.sequence > a.sequence => Some((1, b)),
            (Some(a), _) => Some((0, a)),
            (None, Some(b)) => Some((1, b)),
            (None, None) => None,
        }
    }

    /// Sector and entry to write so that `slot` boots next: a higher sequence than both, in the sector that is not
    /// active.
    #[must_use]
    pub fn select(&self, slot: u8, slots: u8, state: ImageState) -> (usize, Entry) {
        let slots = u32::from(slots.max(1));
        let highest = self.entries.iter().flatten().map(|e| e.sequence).max().unwrap_or(0);
        let wanted = u32::from(slot) % slots + 1;
        let mut sequence = wanted;
        while sequence <= highest {
            sequence += slots;
        }
        let sector = self.active().map_or(0, |(sector, _)| 1 - sector);
        (sector, Entry { sequence, state })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crc_is_esp_idfs() {
        let bytes = Entry { sequence: 1, state: ImageState::Undefined }.encode();
        assert_eq!(u32_at(&bytes, 28), 0x4743_989a);
    }

    #[test]
    fn higher_sequence_wins_and_bad_crc_does_not_count() {
        let one = Entry { sequence: 1, state: ImageState::Valid };
        let two = Entry { sequence: 2, state: ImageState::New };
        let both = OtaData::parse(&one.encode(), &two.encode());
        assert_eq!(both.active(), Some((1, two)));
        let mut broken = two.encode();
        broken[0] ^= 4;
        assert_eq!(OtaData::parse(&one.encode(), &broken).active(), Some((0, one)));
    }

    #[test]
    fn aborted_image_is_left_for_the_older_one() {
        let one = Entry { sequence: 1, state: ImageState::Valid };
        let two = Entry { sequence: 2, state: ImageState::Aborted };
        assert_eq!(OtaData { entries: [Some(one), Some(two)] }.active(), Some((0, one)));
    }

    #[test]
    fn selecting_a_slot_writes_the_other_sector_with_a_higher_sequence() {
        let blank = OtaData { entries: [None, None] };
        assert_eq!(blank.select(1, 2, ImageState::New), (0, Entry { sequence: 2, state: ImageState::New }));
        let one = Entry { sequence: 1, state: ImageState::Valid };
        let data = OtaData { entries: [Some(one), None] };
        let (sector, entry) = data.select(1, 2, ImageState::New);
        assert_eq!((sector, entry.sequence, entry.slot(2)), (1, 2, 1));
        let data = OtaData { entries: [Some(one), Some(entry)] };
        let (sector, entry) = data.select(0, 2, ImageState::New);
        assert_eq!((sector, entry.sequence, entry.slot(2)), (0, 3, 0));
    }

    #[test]
    fn erased_sectors_select_nothing() {
        assert_eq!(OtaData::parse(&[0xff; ENTRY], &[0xff; ENTRY]).active(), None);
    }
}
