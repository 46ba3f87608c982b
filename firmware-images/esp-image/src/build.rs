//! Building images: the reference firmware's and the virtual bootloader's.

use sha2::{Digest, Sha256};

use crate::chip::ChipId;
use crate::descriptor::AppDescriptor;
use crate::header::{CHECKSUM_START, ImageHeader, MAGIC};
use crate::record::{BootloaderRecord, ProfileRecord};

/// A segment to build.
#[derive(Clone, Debug)]
pub struct Segment {
    /// Address.
    pub address: u32,
    /// Data; padded to a word.
    pub data: Vec<u8>,
}

/// An image to build.
#[derive(Clone, Debug)]
pub struct AppImage {
    /// Chip.
    pub chip: ChipId,
    /// Entry address.
    pub entry: u32,
    /// Segments in order.
    pub segments: Vec<Segment>,
    /// Append a SHA-256.
    pub hash: bool,
}

/// Addresses of the memories that the loader and the MMU fill (technical reference manuals, "System and Memory").
struct Memory {
    /// Flash-mapped read-only data.
    drom: u32,
    /// Internal instruction memory.
    iram: u32,
    /// Internal data memory.
    dram: u32,
    /// Flash-mapped code.
    irom: u32,
}

fn memory(chip: ChipId) -> Memory {
    match chip {
        ChipId::Esp32 => Memory { drom: 0x3f40_0000, iram: 0x4008_0000, dram: 0x3ffb_0000, irom: 0x400d_0000 },
        ChipId::Esp32S3 => Memory { drom: 0x3c00_0000, iram: 0x4037_4000, dram: 0x3fc9_0000, irom: 0x4200_0000 },
        ChipId::Esp32C3 => Memory { drom: 0x3c00_0000, iram: 0x4038_0000, dram: 0x3fc8_0000, irom: 0x4200_0000 },
    }
}

/// Size of an MMU page: flash-mapped segments stand at the same offset within a page in flash and in memory.
const PAGE: usize = 0x1_0000;

/// Deterministic filler: half of it as hard to compress as code, half as easy as tables.
fn filler(length: usize, mut seed: u32) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(length);
    while bytes.len() < length {
        // xorshift32 (Marsaglia, "Xorshift RNGs", 2003).
        seed ^= seed << 13;
        seed ^= seed >> 17;
        seed ^= seed << 5;
        let word =
            if (bytes.len() / 256).is_multiple_of(2) { seed } else { u32::try_from(bytes.len() / 1024).unwrap_or(0) };
        bytes.extend(word.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

impl AppImage {
    /// The reference firmware's image: descriptor, profile record, and filler in place of machine code. The virtual
    /// board runs the agent compiled for the host; what the image decides is which version and profile that is.
    #[must_use]
    pub fn reference(chip: ChipId, version: &str, profile: &str) -> Self {
        let memory = memory(chip);
        let mut descriptor = AppDescriptor::new("ota-agent", version);
        // Fixed, so that the image is the same whenever it is built.
        descriptor.set_built("00:00:00", "Jan  1 2026");
        descriptor.set_idf_version("brickproof-virtual");
        let mut rodata = descriptor.encode().to_vec();
        rodata.extend(ProfileRecord::new(profile, "").encode());
        let seed = version.bytes().chain(profile.bytes()).fold(0x811c_9dc5 ^ u32::from(chip.image_id()), |hash, b| {
            // FNV-1a: only to make versions differ throughout.
            (hash ^ u32::from(b)).wrapping_mul(0x0100_0193)
        });
        rodata.extend(filler(48 * 1024 - rodata.len(), seed | 1));
        let descriptor_offset = u32::try_from(crate::descriptor::OFFSET).unwrap_or(0);
        let mut image = Self {
            chip,
            entry: memory.iram,
            segments: vec![
                Segment { address: memory.drom + 0x2_0000 + descriptor_offset, data: rodata },
                Segment { address: memory.dram, data: filler(2 * 1024, seed | 3) },
            ],
            hash: true,
        };
        // Code mapped from flash begins a page: instruction memory's segment fills the gap before it.
        let next = 24 + image.segments.iter().map(|s| 8 + s.data.len()).sum::<usize>();
        let iram = PAGE - (next + 8) % PAGE - 8;
        image.segments.push(Segment { address: memory.iram, data: filler(iram, seed | 5) });
        image.segments.push(Segment {
            // The segment's header ends the page before, so its data begins one.
            address: memory.irom,
            data: filler(96 * 1024, seed | 7),
        });
        image
    }

    /// A bootloader image for the virtual board, carrying what it can do.
    #[must_use]
    pub fn virtual_bootloader(chip: ChipId, record: BootloaderRecord) -> Self {
        let memory = memory(chip);
        let mut data = record.encode().to_vec();
        data.extend(filler(4096 - data.len(), 0x42));
        Self {
            chip,
            entry: memory.iram + 0x1_0000,
            segments: vec![
                Segment { address: memory.dram + 0x1_0000, data },
                Segment { address: memory.iram + 0x1_0000, data: filler(8 * 1024, 0x43) },
            ],
            hash: true,
        }
    }

    /// The image's bytes.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        let header = ImageHeader {
            magic: MAGIC,
            segment_count: u8::try_from(self.segments.len()).unwrap_or(u8::MAX),
            // DIO at 40 MHz (ESP32: speed 0), 4 MB.
            spi_mode: 2,
            speed_and_size: 0x20,
            entry: self.entry,
            chip_id: self.chip.image_id(),
            min_revision: 0,
            max_revision: u16::MAX,
            hash_appended: self.hash,
        };
        let mut bytes = header.encode().to_vec();
        let mut checksum = CHECKSUM_START;
        for segment in &self.segments {
            let mut data = segment.data.clone();
            data.resize(data.len().next_multiple_of(4), 0);
            bytes.extend(segment.address.to_le_bytes());
            bytes.extend(u32::try_from(data.len()).unwrap_or(u32::MAX).to_le_bytes());
            checksum = data.iter().fold(checksum, |sum, b| sum ^ b);
            bytes.extend(data);
        }
        bytes.resize((bytes.len() + 1).next_multiple_of(16) - 1, 0);
        bytes.push(checksum);
        if self.hash {
            let digest = Sha256::digest(&bytes);
            bytes.extend(digest);
        }
        bytes
    }
}
