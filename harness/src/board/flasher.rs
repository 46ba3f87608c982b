//! Flashing through the espflash library: blocking calls on a port whose chip is already in download mode.

use std::borrow::Cow;

use espflash::connection::{Connection, ResetAfterOperation, ResetBeforeOperation};
use espflash::flasher::Flasher;
use espflash::image_format::Segment;
use espflash::target::ProgressCallbacks;
use serialport::{TTYPort, UsbPortInfo};

use super::BoardError;
use super::flash::{ChipFacts, ENCRYPTED, FlashAccess, Region, SIGNED, Written};

/// How flashing is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlashOptions {
    /// Upload espflash's stub (compressed writes, erase, fast read) or talk to the ROM alone.
    pub stub: bool,
    /// Baud rate while flashing, where it is changed.
    pub baud: Option<u32>,
    /// Ask the chip for MD5s first and leave out what is there already.
    pub skip_unchanged: bool,
}

impl Default for FlashOptions {
    fn default() -> Self {
        Self { stub: true, baud: None, skip_unchanged: true }
    }
}

/// A connection to a chip in download mode.
pub struct Session {
    port: String,
    stub: bool,
    flasher: Flasher,
}

/// SECURITY_INFO flag bits, of Espressif's esptool documentation ("get-security-info").
const SECURE_BOOT: u32 = 1 << 0;
const SECURE_DOWNLOAD: u32 = 1 << 2;

impl Session {
    /// Connects to a chip that waits in download mode.
    ///
    /// # Errors
    ///
    /// Nothing answers, or what answers is no ESP.
    pub fn connect(tty: TTYPort, port: &str, options: FlashOptions) -> Result<Self, BoardError> {
        // espflash chooses reset sequences by this identity; they are ours to play, so it names no device.
        let usb =
            UsbPortInfo { vid: 0, pid: 0, serial_number: None, manufacturer: None, product: None, interface: None };
        let connection = Connection::new(
            tty,
            usb,
            ResetAfterOperation::NoResetNoStub,
            ResetBeforeOperation::NoReset,
            super::port::DEFAULT_BAUD,
        );
        let flasher = Flasher::connect(connection, options.stub, true, options.skip_unchanged, None, options.baud)
            .map_err(|e| BoardError::NoAnswer { port: port.to_owned(), why: e.to_string() })?;
        Ok(Self { port: port.to_owned(), stub: options.stub, flasher })
    }

    fn failed(&self, doing: &str, error: &espflash::Error) -> BoardError {
        BoardError::Flash { doing: doing.to_owned(), port: self.port.clone(), why: error.to_string() }
    }
}

impl FlashAccess for Session {
    fn place(&self) -> &str {
        &self.port
    }

    fn means(&self) -> &'static str {
        "espflash"
    }

    fn facts(&mut self) -> Result<ChipFacts, BoardError> {
        let secured = if self.flasher.secure_download_mode() {
            Some("it is in secure download mode, which allows no reading back".to_owned())
        } else {
            // The ESP32's ROM has no such command; its eFuses are read by espflash's own chip detection.
            self.flasher.security_info().ok().and_then(|info| {
                if info.flash_crypt_cnt.count_ones() % 2 == 1 {
                    Some(ENCRYPTED.to_owned())
                } else if info.flags & SECURE_BOOT != 0 {
                    Some(SIGNED.to_owned())
                } else if info.flags & SECURE_DOWNLOAD != 0 {
                    Some("it is in secure download mode, which allows no reading back".to_owned())
                } else {
                    None
                }
            })
        };
        let info = self.flasher.device_info().map_err(|e| self.failed("read the chip's facts", &e))?;
        Ok(ChipFacts {
            chip: info.chip.to_string(),
            mac: info.mac_address,
            flash_size: info.flash_size.size(),
            secured,
        })
    }

    /// Each region is verified by its MD5.
    fn write(&mut self, regions: &[Region]) -> Result<Written, BoardError> {
        let mut tally = Tally::default();
        let segments: Vec<_> = regions.iter().map(|r| Segment { addr: r.offset, data: padded(&r.bytes) }).collect();
        let labels: Vec<_> = regions.iter().map(|r| r.label.as_str()).collect();
        self.flasher
            .write_bins_to_flash(&segments, &mut tally)
            .map_err(|e| self.failed(&format!("write {}", labels.join(", ")), &e))?;
        for (segment, skipped) in segments.iter().zip(&tally.skipped) {
            let bytes = segment.data.len() as u64;
            if *skipped {
                tally.sum.unchanged += bytes;
            } else {
                tally.sum.written += bytes;
            }
        }
        Ok(tally.sum)
    }

    /// Without the stub it refuses: the ROM reads 64 bytes at a time, and espflash more than 128 of them wrong.
    fn read(&mut self, offset: u32, size: u32) -> Result<Vec<u8>, BoardError> {
        /// A flash sector; larger blocks are refused by the stub.
        const BLOCK: u32 = 0x1000;
        /// espflash drops its input before each acknowledgement, so only one block may be under way.
        const IN_FLIGHT: u32 = 1;
        if !self.stub {
            return Err(BoardError::Unable {
                port: self.port.clone(),
                what: "read flash back",
                why: "that needs the flash stub, and this session is without it".to_owned(),
            });
        }
        let doing = format!("read {size} bytes at {offset:#x}");
        let failed = |why: String| BoardError::Flash { doing: doing.clone(), port: self.port.clone(), why };
        let file = tempfile::NamedTempFile::new().map_err(|e| failed(e.to_string()))?;
        self.flasher
            .read_flash(offset, size, BLOCK, IN_FLIGHT, file.path().to_owned())
            .map_err(|e| BoardError::Flash { doing: doing.clone(), port: self.port.clone(), why: e.to_string() })?;
        std::fs::read(file.path()).map_err(|e| BoardError::Flash {
            doing: doing.clone(),
            port: self.port.clone(),
            why: e.to_string(),
        })
    }

    fn erase(&mut self, offset: u32, size: u32) -> Result<(), BoardError> {
        self.flasher
            .erase_region(offset, size)
            .map_err(|e| self.failed(&format!("erase {size} bytes at {offset:#x}"), &e))
    }
}

/// The flash write commands take whole words; the rest of the sector is erased to ones anyway.
fn padded(bytes: &[u8]) -> Cow<'_, [u8]> {
    if bytes.len().is_multiple_of(4) {
        return Cow::Borrowed(bytes);
    }
    let mut padded = bytes.to_vec();
    padded.resize(bytes.len().next_multiple_of(4), 0xff);
    Cow::Owned(padded)
}

#[derive(Default)]
struct Tally {
    skipped: Vec<bool>,
    sum: Written,
}

impl ProgressCallbacks for Tally {
    fn init(&mut self, _address: u32, _total: usize) {}

    fn update(&mut self, _current: usize) {}

    fn verifying(&mut self) {}

    fn finish(&mut self, skipped: bool) {
        self.skipped.push(skipped);
    }
}
