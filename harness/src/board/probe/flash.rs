//! Flashing through a debug probe: probe-rs runs Espressif's flash loader in the chip's memory.
//!
//! The loader erases 64 KiB at a time and ESP-IDF's partitions begin every 4 KiB: what else stands in an erased piece is
//! read before, and written back.

use probe_rs::MemoryInterface as _;
use probe_rs::flashing::{DownloadOptions, FlashAlgorithm, FlashError, FlashLoader, FlashProgress, Flasher};

use super::fuses;
use super::wired::Wired;
use crate::board::BoardError;
use crate::board::flash::{ChipFacts, FlashAccess, Region, Written};

/// The smallest piece of flash that a chip erases.
const SECTOR: u32 = 0x1000;
/// Entry point of the flash loader that tells the size of the flash (probe-rs-espressif's target descriptions).
const FLASH_SIZE: &str = "FlashSize";
/// The loader's entry point for reading, under a name by which it can be called.
const READ: &str = "brickproof-read";

/// The flash of a chip on a probe.
pub(super) struct ProbeFlash<'w> {
    wired: &'w mut Wired,
}

impl<'w> ProbeFlash<'w> {
    pub(super) fn of(wired: &'w mut Wired) -> Self {
        Self { wired }
    }

    /// Calls entry points of the flash loader.
    fn call<T>(&mut self, work: impl FnOnce(&mut Loader<'_>) -> Result<T, FlashError>) -> Result<T, FlashError> {
        let target = self.wired.session.target();
        let raw = target.flash_algorithms.iter().find(|raw| raw.default).or(target.flash_algorithms.first());
        let mut raw = raw.cloned().ok_or_else(|| FlashError::VendorFunctionMissing { name: FLASH_SIZE.to_owned() })?;
        if let Some(read) = raw.pc_read {
            raw.vendor_functions.insert(READ.to_owned(), read);
        }
        let name = &target.cores.first().map(|core| core.name.clone()).unwrap_or_default();
        let assembled = FlashAlgorithm::assemble_from_raw_with_core(&raw, name, target)?;
        let flasher = Flasher::new(target, 0, &raw)?;
        let page = usize::try_from(assembled.flash_properties.page_size).unwrap_or(0);
        let buffer = assembled.page_buffers.first().copied().unwrap_or_default();
        work(&mut Loader { session: &mut self.wired.session, flasher, buffer, page })
    }

    /// The image of what is to be in flash, in whole sectors: the rest of a touched sector becomes ones.
    fn loader(&self, regions: &[&Region]) -> Result<FlashLoader, FlashError> {
        let mut loader = self.wired.session.target().flash_loader();
        for region in regions {
            let begin = region.offset - region.offset % SECTOR;
            let mut bytes = vec![0xff; usize::try_from(region.offset - begin).unwrap_or(0)];
            bytes.extend_from_slice(&region.bytes);
            bytes.resize(bytes.len().next_multiple_of(SECTOR as usize), 0xff);
            loader.add_data(u64::from(begin), &bytes)?;
        }
        Ok(loader)
    }

    fn failed(&self, doing: &str, error: &FlashError) -> BoardError {
        self.wired.failed(&format!("{doing} through"), error)
    }

    fn word(&mut self, at: u64) -> Result<u32, probe_rs::Error> {
        self.wired.session.core(0)?.read_word_32(at)
    }
}

/// The flash loader in a chip's memory.
struct Loader<'s> {
    session: &'s mut probe_rs::Session,
    flasher: Flasher,
    /// Where it puts what it reads, and how much fits there.
    buffer: u64,
    page: usize,
}

impl Loader<'_> {
    /// Calls an entry point with arguments.
    fn enter(&mut self, name: &str, arguments: [Option<u64>; 4]) -> Result<u32, FlashError> {
        let mut progress = FlashProgress::empty();
        self.flasher.run_verify(self.session, &mut progress, |active, _| active.call_vendor_function(name, arguments))
    }

    /// Reads flash into the chip's memory, and from there.
    fn read(&mut self, offset: u32, size: u32) -> Result<Vec<u8>, FlashError> {
        let mut bytes = vec![0; size as usize];
        let mut at = u64::from(offset);
        for piece in bytes.chunks_mut(self.page.max(1)) {
            self.enter(READ, [Some(at), Some(piece.len() as u64), Some(self.buffer), None])?;
            let mut core = self.session.core(0).map_err(FlashError::Core)?;
            core.read(self.buffer, piece).map_err(FlashError::Core)?;
            at += piece.len() as u64;
        }
        Ok(bytes)
    }
}

impl FlashAccess for ProbeFlash<'_> {
    fn place(&self) -> &str {
        &self.wired.probe
    }

    fn means(&self) -> &'static str {
        "probe-rs"
    }

    fn facts(&mut self) -> Result<ChipFacts, BoardError> {
        let chip = self.wired.chip;
        let mac = fuses::mac(chip, &mut |at| self.word(at));
        let mac = mac.map_err(|e| self.wired.failed("read the MAC address through", &e))?;
        let secured = fuses::secured(chip, &mut |at| self.word(at));
        let secured = secured.map_err(|e| self.wired.failed("read the fuses through", &e))?;
        let size = self.call(|loader| loader.enter(FLASH_SIZE, [None; 4]));
        let flash_size = size.map_err(|e| self.failed("ask for the size of the flash", &e))?;
        Ok(ChipFacts { chip: chip.name().to_owned(), mac: Some(mac), flash_size, secured })
    }

    fn read(&mut self, offset: u32, size: u32) -> Result<Vec<u8>, BoardError> {
        let read = self.call(|loader| loader.read(offset, size));
        read.map_err(|e| self.failed(&format!("read {size} bytes of flash at {offset:#x}"), &e))
    }

    fn write(&mut self, regions: &[Region]) -> Result<Written, BoardError> {
        let mut written = Written::default();
        let mut new = Vec::new();
        for region in regions {
            let loader = self.loader(&[region]).map_err(|e| self.failed("lay out what is to be written", &e))?;
            match loader.verify(&mut self.wired.session, &mut FlashProgress::empty()) {
                Ok(()) => written.unchanged += region.bytes.len() as u64,
                Err(FlashError::Verify) => new.push(region),
                Err(e) => return Err(self.failed(&format!("compare {}", region.label), &e)),
            }
        }
        if new.is_empty() {
            return Ok(written);
        }
        let loader = self.loader(&new).map_err(|e| self.failed("lay out what is to be written", &e))?;
        let mut options = DownloadOptions::default();
        options.keep_unwritten_bytes = true;
        options.verify = true;
        let labels: Vec<&str> = new.iter().map(|region| region.label.as_str()).collect();
        let done = loader.commit(&mut self.wired.session, options);
        done.map_err(|e| self.failed(&format!("write {}", labels.join(", ")), &e))?;
        written.written = new.iter().map(|region| region.bytes.len() as u64).sum();
        Ok(written)
    }

    fn erase(&mut self, offset: u32, size: u32) -> Result<(), BoardError> {
        let ones = vec![0xff; size as usize];
        self.write(&[Region { label: format!("ones over {size} bytes at {offset:#x}"), offset, bytes: ones }]).map(drop)
    }
}
