//! What is done with a board's flash, however it is reached: over the serial download mode, a debug probe, or as a file.

use esp_image::chip::ChipId;

use super::BoardError;

/// Why a chip with flash encryption must not be written.
pub(super) const ENCRYPTED: &str = "flash encryption is on: plain images and NVS would make it unbootable";
/// Why a chip with secure boot must not be written.
pub(super) const SIGNED: &str = "secure boot is on: unsigned images would make it unbootable";

/// A piece of flash to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Region {
    /// What it is, for messages and the timeline: "bootloader", "nvs".
    pub label: String,
    /// Flash offset.
    pub offset: u32,
    /// Content.
    pub bytes: Vec<u8>,
}

/// What a write did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Bytes sent to the chip.
    pub written: u64,
    /// Bytes that were found there already.
    pub unchanged: u64,
}

/// Chip facts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChipFacts {
    /// Chip name as espflash and the catalogue write it: "esp32c3".
    pub chip: String,
    /// Station MAC address.
    pub mac: Option<String>,
    /// Flash size in bytes.
    pub flash_size: u32,
    /// Why the board must not be written, where flash encryption or secure boot is on.
    pub secured: Option<String>,
}

/// A board's flash, while its chip does not run from it. Calls block.
pub trait FlashAccess {
    /// Where it is, for messages: a port, a probe, a file.
    fn place(&self) -> &str;

    /// By what means, for the timeline: "espflash", "probe-rs", "file".
    fn means(&self) -> &'static str;

    /// Reads what the chip is, and whether it may be written.
    ///
    /// # Errors
    ///
    /// The chip does not answer.
    fn facts(&mut self) -> Result<ChipFacts, BoardError>;

    /// Reads `size` bytes from `offset`.
    ///
    /// # Errors
    ///
    /// The chip does not answer, or gives something else than it holds.
    fn read(&mut self, offset: u32, size: u32) -> Result<Vec<u8>, BoardError>;

    /// Writes regions, and makes sure that they are there. The rest of a touched sector becomes ones.
    ///
    /// # Errors
    ///
    /// A write or its verification fails.
    fn write(&mut self, regions: &[Region]) -> Result<Written, BoardError>;

    /// Erases to ones; offset and size in whole 4 KiB sectors.
    ///
    /// # Errors
    ///
    /// The chip refuses or stops answering.
    fn erase(&mut self, offset: u32, size: u32) -> Result<(), BoardError>;

    /// Reads what the chip is, and refuses one that is not `wanted` or must not be written.
    ///
    /// # Errors
    ///
    /// [`BoardError::WrongChip`], [`BoardError::Secured`], or the chip stops answering.
    fn fitting(&mut self, wanted: ChipId) -> Result<ChipFacts, BoardError> {
        let facts = self.facts()?;
        let port = self.place().to_owned();
        if ChipId::from_name(&facts.chip) != Some(wanted) {
            let what = "this run".to_owned();
            return Err(BoardError::WrongChip { port, found: facts.chip, wanted: wanted.to_string(), what });
        }
        match facts.secured {
            Some(why) => Err(BoardError::Secured { port, why }),
            None => Ok(facts),
        }
    }
}
