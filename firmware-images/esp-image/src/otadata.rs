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

    /// Sector and entry to write so that `slot` boots next, as `esp_ota_set_boot_partition` reckons it: the first
    /// sequence not below the active one that means this slot, in the sector that is not active; with no active entry
    /// the slot's first sequence, in sector 0. A refused entry in the other sector does not count: it is overwritten.
    #[must_use]
    pub fn select(&self, slot: u8, slots: u8, state: ImageState) -> (usize, Entry) {
        let slots = u32::from(slots.max(1));
        let first = u32::from(slot) % slots + 1;
        let Some((sector, active)) = self.active() else {
            return (0, Entry { sequence: first, state });
        };
        // Selecting the active slot again gives it a sequence of its own: ESP-IDF repeats the active one, which only
        // boots the same slot as well.
        let rounds = if active.sequence < first { 0 } else { (active.sequence - first) / slots + 1 };
        (1 - sector, Entry { sequence: first.saturating_add(rounds.saturating_mul(slots)), state })
    }

    /// What a bootloader does with otadata before it loads an image (ESP-IDF's
    /// `bootloader_utility_get_selected_boot_partition`). `slots` and `factory` say what the partition table holds;
    /// without `rollback` (CONFIG_BOOTLOADER_APP_ROLLBACK_ENABLE) states are left as they are.
    #[must_use]
    pub fn boot(&self, slots: u8, factory: bool, rollback: bool) -> BootPlan {
        let mut after = *self;
        let mut changed = [false; 2];
        if rollback {
            // Restarted before the application confirmed itself.
            for (entry, changed) in after.entries.iter_mut().zip(&mut changed) {
                if let Some(entry) = entry.as_mut().filter(|e| e.state == ImageState::PendingVerify) {
                    entry.state = ImageState::Aborted;
                    *changed = true;
                }
            }
        }
        let mut initialise = None;
        let target = match after.active() {
            Some((sector, entry)) if slots > 0 => {
                if rollback && entry.state == ImageState::New {
                    after.entries[sector] = Some(Entry { state: ImageState::PendingVerify, ..entry });
                    changed[sector] = true;
                }
                BootTarget::Slot(entry.slot(slots))
            }
            _ if factory => BootTarget::Factory,
            _ => {
                // Only blank or broken otadata is set right; two refused images stay refused.
                if after.entries == [None, None] {
                    initialise = Some(Entry { sequence: 1, state: ImageState::Valid });
                }
                BootTarget::Slot(0)
            }
        };
        let write = [0, 1].map(|sector| after.entries[sector].filter(|_| changed[sector]));
        BootPlan { target, write, initialise }
    }

    /// Sector and entry to write when the running application confirms (`Valid`) or refuses (`Invalid`) itself; `None`
    /// where nothing is active or the state stands already.
    #[must_use]
    pub fn mark(&self, state: ImageState) -> Option<(usize, Entry)> {
        let (sector, entry) = self.active().filter(|(_, entry)| entry.state != state)?;
        Some((sector, Entry { state, ..entry }))
    }
}

/// Which application boots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BootTarget {
    /// The factory application.
    Factory,
    /// An OTA slot.
    Slot(u8),
}

/// What a bootloader does with otadata.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BootPlan {
    /// What it tries to boot first.
    pub target: BootTarget,
    /// Entries to write, by sector, before the image is loaded.
    pub write: [Option<Entry>; 2],
    /// Entry to write to sector 0 once the image has proven good: otadata was blank.
    pub initialise: Option<Entry>,
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
    fn refused_entry_is_overwritten_and_does_not_raise_the_sequence() {
        let data = OtaData {
            entries: [
                Some(Entry { sequence: 1, state: ImageState::Valid }),
                Some(Entry { sequence: 2, state: ImageState::Aborted }),
            ],
        };
        assert_eq!(data.select(1, 2, ImageState::New), (1, Entry { sequence: 2, state: ImageState::New }));
    }

    #[test]
    fn selected_slot_is_the_active_one_afterwards_from_any_start() {
        for slots in 1..5 {
            for start in 1..20 {
                for slot in 0..slots {
                    let mut data =
                        OtaData { entries: [Some(Entry { sequence: start, state: ImageState::Valid }), None] };
                    let (sector, entry) = data.select(slot, slots, ImageState::New);
                    data.entries[sector] = Some(entry);
                    let (_, active) = data.active().expect("one is active");
                    assert_eq!(active.slot(slots), slot, "slot {slot} of {slots} from sequence {start}");
                }
            }
        }
    }

    /// otadata after a boot, as the bootloader leaves it.
    fn booted(data: OtaData, rollback: bool) -> (BootTarget, OtaData) {
        let plan = data.boot(2, false, rollback);
        let mut after = data;
        for (sector, entry) in plan.write.into_iter().enumerate() {
            after.entries[sector] = entry.or(after.entries[sector]);
        }
        if plan.initialise.is_some() {
            after.entries[0] = plan.initialise;
        }
        (plan.target, after)
    }

    #[test]
    fn unconfirmed_image_is_tried_once_then_the_old_one_boots() {
        let one = Entry { sequence: 1, state: ImageState::Valid };
        let two = Entry { sequence: 2, state: ImageState::New };
        let (target, data) = booted(OtaData { entries: [Some(one), Some(two)] }, true);
        assert_eq!(target, BootTarget::Slot(1));
        assert_eq!(data.entries[1].map(|e| e.state), Some(ImageState::PendingVerify));
        let (target, data) = booted(data, true);
        assert_eq!(target, BootTarget::Slot(0));
        assert_eq!(data.entries[1].map(|e| e.state), Some(ImageState::Aborted));
        assert_eq!(booted(data, true), (BootTarget::Slot(0), data));
    }

    #[test]
    fn confirmed_image_keeps_booting() {
        let two = Entry { sequence: 2, state: ImageState::New };
        let (_, mut data) = booted(OtaData { entries: [None, Some(two)] }, true);
        let (sector, entry) = data.mark(ImageState::Valid).expect("it was pending");
        data.entries[sector] = Some(entry);
        assert_eq!(data.mark(ImageState::Valid), None);
        assert_eq!(booted(data, true), (BootTarget::Slot(1), data));
    }

    #[test]
    fn without_rollback_new_stays_new() {
        let two = Entry { sequence: 2, state: ImageState::New };
        let data = OtaData { entries: [None, Some(two)] };
        assert_eq!(booted(data, false), (BootTarget::Slot(1), data));
    }

    #[test]
    fn blank_otadata_boots_factory_or_else_slot_0_and_is_initialised() {
        let blank = OtaData { entries: [None, None] };
        assert_eq!(
            blank.boot(2, true, true),
            BootPlan { target: BootTarget::Factory, write: [None, None], initialise: None }
        );
        let (target, data) = booted(blank, true);
        assert_eq!(target, BootTarget::Slot(0));
        assert_eq!(data.entries, [Some(Entry { sequence: 1, state: ImageState::Valid }), None]);
    }

    #[test]
    fn two_refused_images_fall_back_without_being_forgiven() {
        let refused = |sequence| Some(Entry { sequence, state: ImageState::Invalid });
        let data = OtaData { entries: [refused(1), refused(2)] };
        assert_eq!(booted(data, true), (BootTarget::Slot(0), data));
    }

    #[test]
    fn erased_sectors_select_nothing() {
        assert_eq!(OtaData::parse(&[0xff; ENTRY], &[0xff; ENTRY]).active(), None);
    }
}
