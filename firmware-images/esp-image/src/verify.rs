//! Verification of an image as ESP-IDF's bootloader does it, fed in any chunking: header, segments, checksum, SHA-256.

use sha2::{Digest, Sha256};

use crate::chip::ChipId;
use crate::header::{
    CHECKSUM_START, HEADER_LEN, ImageHeader, MAGIC, MAX_SEGMENT_LEN, MAX_SEGMENTS, SEGMENT_HEADER_LEN, SegmentHeader,
};

/// Why an image is no good, with the numbers that ESP-IDF's bootloader prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImageError {
    /// The first byte is not 0xE9.
    #[error("magic byte is {found:#04x}, not 0xe9")]
    Magic {
        /// As read; 0xff on erased flash.
        found: u8,
    },
    /// The image is for another chip.
    #[error("chip id is {found}, expected {expected}")]
    Chip {
        /// As read.
        found: u16,
        /// This chip's.
        expected: u16,
    },
    /// The chip's revision is outside what the image takes.
    #[error("image takes chip revisions {min} to {max}, the chip has {found}")]
    Revision {
        /// The chip's, as major * 100 + minor.
        found: u16,
        /// Lowest taken.
        min: u16,
        /// Highest taken.
        max: u16,
    },
    /// Too many segments.
    #[error("{count} segments, more than {MAX_SEGMENTS}")]
    SegmentCount {
        /// As read.
        count: u8,
    },
    /// A segment is too long or not a whole number of words.
    #[error("segment {index} has invalid length {length:#x}")]
    SegmentLength {
        /// Its number, from 0.
        index: u8,
        /// As read.
        length: u32,
    },
    /// The image does not fit its partition.
    #[error("image is longer than its partition of {limit:#x} bytes")]
    TooLong {
        /// Partition size.
        limit: u32,
    },
    /// The XOR checksum differs.
    #[error("checksum is {read:#04x}, calculated {calculated:#04x}")]
    Checksum {
        /// Calculated.
        calculated: u8,
        /// As read.
        read: u8,
    },
    /// The SHA-256 differs.
    #[error("SHA-256 does not match")]
    Hash,
    /// The bytes ended before the image did.
    #[error("image ends after {have} bytes")]
    Truncated {
        /// Bytes that were there.
        have: u32,
    },
}

/// What the chip asks of an image.
#[derive(Clone, Copy, Debug)]
pub struct Demands {
    /// The chip; any, where none is named.
    pub chip: Option<ChipId>,
    /// Its revision as major * 100 + minor; any, where none is named.
    pub revision: Option<u16>,
    /// Size of the partition.
    pub limit: u32,
}

/// A verified image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Length with checksum and hash.
    pub length: u32,
    /// The header.
    pub header: ImageHeader,
}

/// What the verifier met on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentSeen {
    /// Number, from 0.
    pub index: u8,
    /// Offset of the segment's data in the image.
    pub offset: u32,
    /// The header.
    pub header: SegmentHeader,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Header,
    SegmentHeader,
    Data { left: u32 },
    Padding { left: u32 },
    Hash,
    Done,
}

/// Verifies an image pushed through it.
#[derive(Clone)]
pub struct Verifier {
    demands: Demands,
    state: State,
    buffer: [u8; 32],
    filled: usize,
    position: u32,
    header: Option<ImageHeader>,
    segment: u8,
    checksum: u8,
    hash: Sha256,
}

impl Verifier {
    /// A verifier at the begin of an image.
    #[must_use]
    pub fn new(demands: Demands) -> Self {
        Self {
            demands,
            state: State::Header,
            buffer: [0; 32],
            filled: 0,
            position: 0,
            header: None,
            segment: 0,
            checksum: CHECKSUM_START,
            hash: Sha256::new(),
        }
    }

    /// Feeds the next bytes. What follows the image's end is left alone. `seen` is called for each segment header.
    ///
    /// # Errors
    ///
    /// The first thing wrong with the image.
    pub fn feed(&mut self, mut bytes: &[u8], mut seen: impl FnMut(SegmentSeen)) -> Result<(), ImageError> {
        while !bytes.is_empty() && self.state != State::Done {
            bytes = match self.state {
                State::Header => self.gather(bytes, HEADER_LEN, Self::take_header)?,
                State::SegmentHeader => {
                    let rest = self.gather(bytes, SEGMENT_HEADER_LEN, Self::take_segment_header)?;
                    if let State::Data { left } = self.state
                        && self.filled == 0
                    {
                        let address =
                            u32::from_le_bytes([self.buffer[0], self.buffer[1], self.buffer[2], self.buffer[3]]);
                        seen(SegmentSeen {
                            index: self.segment,
                            offset: self.position,
                            header: SegmentHeader { address, length: left },
                        });
                        self.end_empty_data();
                    }
                    rest
                }
                State::Data { left } => {
                    let n = bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                    let (data, rest) = bytes.split_at(n);
                    self.checksum = data.iter().fold(self.checksum, |sum, b| sum ^ b);
                    self.pass(data);
                    self.state = State::Data { left: left - u32::try_from(n).unwrap_or(left) };
                    self.end_empty_data();
                    rest
                }
                State::Padding { left } => {
                    let n = bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                    let (padding, rest) = bytes.split_at(n);
                    self.pass(padding);
                    let left = left - u32::try_from(n).unwrap_or(left);
                    if left == 0 {
                        self.check_checksum(padding[n - 1])?;
                    } else {
                        self.state = State::Padding { left };
                    }
                    rest
                }
                State::Hash => self.gather(bytes, 32, Self::take_hash)?,
                State::Done => bytes,
            };
            if self.position > self.demands.limit {
                return Err(ImageError::TooLong { limit: self.demands.limit });
            }
        }
        Ok(())
    }

    /// True when the whole image has passed.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// The image header, once it has passed.
    #[must_use]
    pub fn header(&self) -> Option<&ImageHeader> {
        self.header.as_ref()
    }

    /// What was verified.
    ///
    /// # Errors
    ///
    /// [`ImageError::Truncated`] when the image is not complete.
    pub fn finish(&self) -> Result<Verified, ImageError> {
        match (self.state, self.header) {
            (State::Done, Some(header)) => Ok(Verified { length: self.position, header }),
            _ => Err(ImageError::Truncated { have: self.position + u32::try_from(self.filled).unwrap_or(0) }),
        }
    }

    fn pass(&mut self, bytes: &[u8]) {
        self.hash.update(bytes);
        self.position += u32::try_from(bytes.len()).unwrap_or(u32::MAX - self.position);
    }

    fn gather<'b>(
        &mut self,
        bytes: &'b [u8],
        want: usize,
        take: fn(&mut Self) -> Result<(), ImageError>,
    ) -> Result<&'b [u8], ImageError> {
        let n = bytes.len().min(want - self.filled);
        let (part, rest) = bytes.split_at(n);
        self.buffer[self.filled..self.filled + n].copy_from_slice(part);
        self.filled += n;
        // The magic byte is judged as soon as it is there: a download of something else stops at once.
        if self.state == State::Header && self.buffer[0] != MAGIC {
            return Err(ImageError::Magic { found: self.buffer[0] });
        }
        if self.filled == want {
            self.filled = 0;
            take(self)?;
        }
        Ok(rest)
    }

    fn take_header(&mut self) -> Result<(), ImageError> {
        let mut bytes = [0; HEADER_LEN];
        bytes.copy_from_slice(&self.buffer[..HEADER_LEN]);
        let header = ImageHeader::parse(&bytes);
        self.pass(&bytes);
        if let Some(expected) = self.demands.chip.map(ChipId::image_id)
            && header.chip_id != expected
        {
            return Err(ImageError::Chip { found: header.chip_id, expected });
        }
        // A maximum of 0 stands in images made before the field existed.
        if let Some(revision) = self.demands.revision
            && (revision < header.min_revision || (header.max_revision != 0 && revision > header.max_revision))
        {
            return Err(ImageError::Revision { found: revision, min: header.min_revision, max: header.max_revision });
        }
        if header.segment_count > MAX_SEGMENTS {
            return Err(ImageError::SegmentCount { count: header.segment_count });
        }
        self.header = Some(header);
        if header.segment_count == 0 {
            self.begin_padding()
        } else {
            self.state = State::SegmentHeader
        }
        Ok(())
    }

    fn take_segment_header(&mut self) -> Result<(), ImageError> {
        let mut bytes = [0; SEGMENT_HEADER_LEN];
        bytes.copy_from_slice(&self.buffer[..SEGMENT_HEADER_LEN]);
        let segment = SegmentHeader::parse(&bytes);
        self.pass(&bytes);
        if segment.length > MAX_SEGMENT_LEN || !segment.length.is_multiple_of(4) {
            return Err(ImageError::SegmentLength { index: self.segment, length: segment.length });
        }
        self.state = State::Data { left: segment.length };
        Ok(())
    }

    fn end_empty_data(&mut self) {
        if self.state != (State::Data { left: 0 }) {
            return;
        }
        self.segment += 1;
        if self.header.is_some_and(|h| self.segment < h.segment_count) {
            self.state = State::SegmentHeader;
        } else {
            self.begin_padding();
        }
    }

    fn begin_padding(&mut self) {
        // The checksum is the last byte of the 16-byte line in which the segments end.
        self.state = State::Padding { left: 16 - self.position % 16 };
    }

    fn check_checksum(&mut self, read: u8) -> Result<(), ImageError> {
        if read != self.checksum {
            return Err(ImageError::Checksum { calculated: self.checksum, read });
        }
        let hashed = self.header.is_some_and(|h| h.hash_appended);
        self.state = if hashed { State::Hash } else { State::Done };
        Ok(())
    }

    fn take_hash(&mut self) -> Result<(), ImageError> {
        let calculated = self.hash.clone().finalize();
        if self.buffer[..] != calculated[..] {
            return Err(ImageError::Hash);
        }
        self.position += 32;
        self.state = State::Done;
        Ok(())
    }
}

#[cfg(all(test, feature = "std"))]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::build::AppImage;

    fn demands() -> Demands {
        Demands { chip: Some(ChipId::Esp32C3), revision: Some(3), limit: 0x18_0000 }
    }

    fn image() -> Vec<u8> {
        AppImage::reference(ChipId::Esp32C3, "1.5.9", "xiaozhi-1.5.9").bytes()
    }

    fn verify(bytes: &[u8], chunk: usize) -> Result<Verified, ImageError> {
        let mut verifier = Verifier::new(demands());
        for part in bytes.chunks(chunk.max(1)) {
            verifier.feed(part, |_| {})?;
        }
        verifier.finish()
    }

    #[test]
    fn whole_image_passes_and_its_length_is_known_without_what_follows() {
        let mut bytes = image();
        let length = u32::try_from(bytes.len()).expect("small");
        assert_eq!(verify(&bytes, 4096).expect("good").length, length);
        bytes.extend([0xff; 5000]);
        assert_eq!(verify(&bytes, 4096).expect("good").length, length);
    }

    #[test]
    fn erased_flash_has_no_magic() {
        assert_eq!(verify(&[0xff; 64], 7), Err(ImageError::Magic { found: 0xff }));
    }

    #[test]
    fn image_of_another_chip_is_refused_by_id() {
        let bytes = AppImage::reference(ChipId::Esp32, "1", "x").bytes();
        assert_eq!(verify(&bytes, 4096), Err(ImageError::Chip { found: 0, expected: 5 }));
    }

    #[test]
    fn chip_too_old_for_the_image_is_refused() {
        let mut bytes = image();
        bytes[15] = 100;
        assert_eq!(verify(&bytes, 4096), Err(ImageError::Revision { found: 3, min: 100, max: 0xffff }));
    }

    #[test]
    fn flipped_data_bit_fails_the_checksum_and_flipped_padding_the_hash() {
        let mut bytes = image();
        bytes[5000] ^= 1;
        assert!(matches!(verify(&bytes, 4096), Err(ImageError::Checksum { .. })));
        let mut bytes = image();
        let hash = bytes.len() - 1;
        bytes[hash] ^= 1;
        assert_eq!(verify(&bytes, 4096), Err(ImageError::Hash));
    }

    #[test]
    fn every_truncation_is_noticed() {
        let bytes = image();
        for length in (0..bytes.len()).step_by(997).chain([bytes.len() - 1]) {
            let have = u32::try_from(length).expect("small");
            assert_eq!(verify(&bytes[..length], 4096), Err(ImageError::Truncated { have }));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn chunking_changes_nothing(chunk in 1usize..5000) {
            prop_assert!(verify(&image(), chunk).is_ok());
        }

        #[test]
        fn random_bytes_never_pass_nor_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            if let Some(first) = bytes.first_mut() { *first = MAGIC; }
            prop_assert!(verify(&bytes, 64).is_err());
        }
    }
}
