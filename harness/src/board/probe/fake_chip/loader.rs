//! What Espressif's flash loader does when one of its entry points is entered. It takes data compressed: the length of a
//! zlib stream, then the stream, over as many pages as it needs.

use std::io::Read as _;

use flate2::read::ZlibDecoder;
use probe_rs::config::Registry;
use probe_rs::flashing::FlashAlgorithm;

use super::Chip;
use super::module::{A0, DPC};

/// Size of the chip's flash.
const FLASH: usize = 0x40_0000;
/// Size of what is erased at once.
const SECTOR: usize = 0x1_0000;

/// A flash, and the loader that writes it.
#[derive(Debug, Default)]
pub(super) struct Loader {
    pub(super) flash: Vec<u8>,
    algorithm: Option<FlashAlgorithm>,
    /// The compressed stream that is under way.
    stream: Vec<u8>,
}

impl Loader {
    pub(super) fn new() -> Self {
        Self { flash: vec![0xff; FLASH], ..Self::default() }
    }

    /// Does what is at the hart's program counter; `None` where that is no entry point.
    pub(super) fn enter(&mut self, chip: &mut Chip) -> Option<u32> {
        let algorithm = self.algorithm.get_or_insert_with(algorithm).clone();
        let at = Some(u64::from(chip.register(DPC)));
        let [address, size, buffer] = [0, 1, 2].map(|n| chip.register(A0 + n));
        if at == algorithm.pc_init || at == algorithm.pc_uninit {
            self.stream.clear();
            return Some(0);
        }
        if at == algorithm.vendor_functions.get("FlashSize").copied() {
            return Some(u32::try_from(self.flash.len()).unwrap_or(0));
        }
        let offset = usize::try_from(address).unwrap_or(usize::MAX);
        if at == algorithm.pc_read {
            let end = offset.checked_add(usize::try_from(size).ok()?)?;
            return Some(match self.flash.get(offset..end) {
                Some(bytes) => {
                    chip.set_bytes(buffer, bytes);
                    0
                }
                None => 1,
            });
        }
        if at == Some(algorithm.pc_erase_sector) {
            return Some(match self.flash.get_mut(offset..offset + SECTOR) {
                Some(sector) => {
                    sector.fill(0xff);
                    0
                }
                None => 1,
            });
        }
        if at == Some(algorithm.pc_program_page) {
            let bytes = chip.bytes(buffer, size);
            return Some(match self.take(&bytes) {
                // A flash only clears bits.
                Some(image) => match self.flash.get_mut(offset..offset + image.len()) {
                    Some(place) => {
                        place.iter_mut().zip(image).for_each(|(old, new)| *old &= new);
                        0
                    }
                    None => 1,
                },
                None => 0,
            });
        }
        if at == algorithm.pc_verify {
            let bytes = chip.bytes(buffer, size);
            let same =
                self.take(&bytes).is_none_or(|image| self.flash.get(offset..offset + image.len()) == Some(&image));
            return Some(if same { address + size } else { address });
        }
        None
    }

    /// Takes a page of a stream; the image, once the stream is whole.
    fn take(&mut self, page: &[u8]) -> Option<Vec<u8>> {
        self.stream.extend_from_slice(page);
        let (length, stream) = self.stream.split_first_chunk::<4>()?;
        if stream.len() < usize::try_from(u32::from_le_bytes(*length)).ok()? {
            return None;
        }
        let mut image = Vec::new();
        ZlibDecoder::new(stream).read_to_end(&mut image).ok()?;
        self.stream.clear();
        Some(image)
    }
}

fn algorithm() -> FlashAlgorithm {
    let target = Registry::from_builtin_families().get_target_by_name("esp32c3").expect("Espressif's targets");
    let raw = target.flash_algorithms.first().expect("a flash loader");
    FlashAlgorithm::assemble_from_raw_with_core(raw, &target.cores[0].name, &target).expect("assembled")
}
