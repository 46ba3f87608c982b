//! Patching application images: another version or profile, with checksum and hash made right again.

use sha2::{Digest, Sha256};

use crate::bytes::u32_at;
use crate::descriptor::{self, AppDescriptor};
use crate::header::{CHECKSUM_START, HEADER_LEN, ImageHeader, MAGIC, SEGMENT_HEADER_LEN, SegmentHeader};
use crate::partition;
use crate::record::{self, ProfileRecord};

/// Why bytes are no application image that can be read or patched.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatchError {
    /// Does not begin with the magic byte.
    #[error("this is no ESP image: it begins with {found:#04x}, not 0xe9 (an encrypted image looks like this, too)")]
    NotAnImage {
        /// First byte.
        found: u8,
    },
    /// Bootloader first: the whole flash in one file.
    #[error(
        "this is a merged image (bootloader, partition table and application in one file), not an application image; \
         the application begins at {application:#x}"
    )]
    Merged {
        /// Offset of the application in the file.
        application: usize,
    },
    /// The bytes end before the image does.
    #[error("the image is truncated: {have} bytes are there, {need} are needed")]
    Truncated {
        /// Bytes there.
        have: usize,
        /// Bytes needed.
        need: usize,
    },
    /// No application descriptor.
    #[error("the image has no application descriptor at offset 32: it is a bootloader, or made by a very old ESP-IDF")]
    NoDescriptor,
    /// The first segment ends before the descriptor does, so that checksum or hash would lie over it.
    #[error(
        "the image's first segment has {length} bytes, and the application descriptor at its begin alone has {need}: \
         the segment table is damaged"
    )]
    DescriptorCut {
        /// Bytes of the first segment.
        length: usize,
        /// Bytes of a descriptor.
        need: usize,
    },
    /// No profile record.
    #[error("the image has no brickproof profile record: only images of the reference firmware have one")]
    NoProfile,
    /// A signature block follows the image.
    #[error("the image is signed: a changed image would need the signing key; bump the version before signing")]
    Signed,
    /// The text is too long for its field.
    #[error("{text:?} has {length} bytes, the field holds {limit}")]
    TooLong {
        /// The text.
        text: String,
        /// Its length.
        length: usize,
        /// The limit.
        limit: usize,
    },
}

/// First byte of a Secure Boot V2 signature block, which stands at the next sector border.
const SIGNATURE_MAGIC: u8 = 0xe7;
/// Length of a Secure Boot V1 signature, which ends the file: a version word of 0 and 64 bytes of ECDSA.
const SIGNATURE_V1: usize = 4 + 64;

/// What an application image says of itself.
#[derive(Clone, Debug)]
pub struct AppFacts {
    /// Header.
    pub header: ImageHeader,
    /// Descriptor.
    pub descriptor: AppDescriptor,
    /// Profile record, in the reference firmware's images.
    pub profile: Option<ProfileRecord>,
    /// Length of the image proper.
    pub length: usize,
    /// A signature block follows.
    pub signed: bool,
}

fn field<const N: usize>(bytes: &[u8], at: usize) -> Result<[u8; N], PatchError> {
    let need = at + N;
    bytes.get(at..need).and_then(|b| b.try_into().ok()).ok_or(PatchError::Truncated { have: bytes.len(), need })
}

/// End of the segments: where checksum padding begins.
fn segments_end(bytes: &[u8], header: &ImageHeader) -> Result<usize, PatchError> {
    let mut at = HEADER_LEN;
    for _ in 0..header.segment_count {
        let segment = SegmentHeader::parse(&field::<SEGMENT_HEADER_LEN>(bytes, at)?);
        let length = usize::try_from(segment.length).unwrap_or(usize::MAX);
        at = at.saturating_add(SEGMENT_HEADER_LEN).saturating_add(length);
        if at > bytes.len() {
            return Err(PatchError::Truncated { have: bytes.len(), need: at });
        }
    }
    Ok(at)
}

/// The data of the first segment, at whose begin the descriptor stands. What lies behind it belongs to other segments,
/// or is checksum and hash, which a patch writes anew.
fn first_segment<'a>(bytes: &'a [u8], header: &ImageHeader) -> Result<&'a [u8], PatchError> {
    if header.segment_count == 0 {
        return Ok(&[]);
    }
    let length = SegmentHeader::parse(&field::<SEGMENT_HEADER_LEN>(bytes, HEADER_LEN)?).length;
    let need = (HEADER_LEN + SEGMENT_HEADER_LEN).saturating_add(usize::try_from(length).unwrap_or(usize::MAX));
    bytes.get(HEADER_LEN + SEGMENT_HEADER_LEN..need).ok_or(PatchError::Truncated { have: bytes.len(), need })
}

/// Reads what an application image says of itself. It does not check checksum and hash; [`crate::verify`] does.
///
/// # Errors
///
/// See [`PatchError`].
pub fn facts(bytes: &[u8]) -> Result<AppFacts, PatchError> {
    let first = *bytes.first().ok_or(PatchError::Truncated { have: 0, need: HEADER_LEN })?;
    if let Some(parts) = merged_parts(bytes) {
        return Err(PatchError::Merged { application: parts.application });
    }
    if first != MAGIC {
        return Err(PatchError::NotAnImage { found: first });
    }
    let header = ImageHeader::parse(&field(bytes, 0)?);
    let descriptor = AppDescriptor::parse(&field(bytes, descriptor::OFFSET)?).ok_or(PatchError::NoDescriptor)?;
    let first = first_segment(bytes, &header)?;
    if first.len() < descriptor::LEN {
        return Err(PatchError::DescriptorCut { length: first.len(), need: descriptor::LEN });
    }
    let profile = record::PROFILE_OFFSET - descriptor::OFFSET;
    let profile = field(first, profile).ok().and_then(|b| ProfileRecord::parse(&b));
    let end = segments_end(bytes, &header)?;
    let length = (end + 1).next_multiple_of(16) + if header.hash_appended { 32 } else { 0 };
    if bytes.len() < length {
        return Err(PatchError::Truncated { have: bytes.len(), need: length });
    }
    let signed = is_signed(bytes, length);
    Ok(AppFacts { header, descriptor, profile, length, signed })
}

fn is_signed(bytes: &[u8], length: usize) -> bool {
    let v2 = bytes.get(length.next_multiple_of(4096)) == Some(&SIGNATURE_MAGIC);
    let v1 = bytes.get(length..).is_some_and(|rest| rest.len() == SIGNATURE_V1 && rest[..4] == [0; 4]);
    v1 || v2
}

fn is_application(bytes: &[u8]) -> bool {
    bytes.first() == Some(&MAGIC) && field(bytes, descriptor::OFFSET).is_ok_and(|b| AppDescriptor::parse(&b).is_some())
}

/// What a merged image is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MergedParts {
    /// Flash offset of the file's first byte: 0, or the ESP32's bootloader offset.
    pub start: u32,
    /// The partition table, where it stands in its usual place.
    pub table: Option<partition::PartitionTable>,
    /// Offset of the application in the file.
    pub application: usize,
}

/// Takes a merged image apart; `None` where this is none.
#[must_use]
pub fn merged_parts(bytes: &[u8]) -> Option<MergedParts> {
    if is_application(bytes) {
        return None;
    }
    // Merged for a flash that starts at 0 (S3, C3), or for one that starts at the ESP32's bootloader.
    let by_table = [0u32, 0x1000].into_iter().find_map(|start| {
        let rows = bytes.get(usize::try_from(partition::OFFSET - start).ok()?..)?;
        let table = partition::PartitionTable::parse(&rows[..rows.len().min(partition::MAX_LEN)]).ok()?;
        let application = table
            .partitions()
            .iter()
            .filter(|p| p.kind == partition::APP)
            .filter_map(|p| usize::try_from(p.offset.checked_sub(start)?).ok())
            .find(|at| bytes.get(*at..).is_some_and(is_application))?;
        Some(MergedParts { start, table: Some(table), application })
    });
    // With the table elsewhere (CONFIG_PARTITION_TABLE_OFFSET) the application is found by its looks; applications
    // begin on pages of the MMU.
    by_table.or_else(|| {
        let application = (PAGE..bytes.len()).step_by(PAGE).find(|at| is_application(&bytes[*at..]))?;
        Some(MergedParts { start: 0, table: None, application })
    })
}

/// Application partitions begin at multiples of this.
const PAGE: usize = 0x1_0000;

/// The image with another version in its descriptor.
///
/// # Errors
///
/// See [`PatchError`].
pub fn with_version(bytes: &[u8], version: &str) -> Result<Vec<u8>, PatchError> {
    fits(version, 31)?;
    patched(bytes, |image, facts| {
        let mut descriptor = facts.descriptor.clone();
        descriptor.set_version(version);
        image[descriptor::OFFSET..descriptor::OFFSET + descriptor::LEN].copy_from_slice(descriptor.encode());
        Ok(())
    })
}

/// The image with another security version in its descriptor.
///
/// # Errors
///
/// See [`PatchError`].
pub fn with_secure_version(bytes: &[u8], version: u32) -> Result<Vec<u8>, PatchError> {
    patched(bytes, |image, facts| {
        let mut descriptor = facts.descriptor.clone();
        descriptor.set_secure_version(version);
        image[descriptor::OFFSET..descriptor::OFFSET + descriptor::LEN].copy_from_slice(descriptor.encode());
        Ok(())
    })
}

/// The image without its application descriptor (and what stands behind it in the descriptor's section): sound to a
/// bootloader, and no application, as the bootloader at the begin of a merged image is.
///
/// # Errors
///
/// See [`PatchError`].
pub fn without_descriptor(bytes: &[u8]) -> Result<Vec<u8>, PatchError> {
    patched(bytes, |image, _| {
        image[descriptor::OFFSET..crate::record::PROFILE_OFFSET + crate::record::LEN].fill(0);
        Ok(())
    })
}

/// The image with another profile in its profile record.
///
/// # Errors
///
/// See [`PatchError`].
pub fn with_profile(bytes: &[u8], profile: &str, parameters: &str) -> Result<Vec<u8>, PatchError> {
    fits(profile, 31)?;
    fits(parameters, 63)?;
    patched(bytes, |image, facts| {
        facts.profile.as_ref().ok_or(PatchError::NoProfile)?;
        let record = ProfileRecord::new(profile, parameters);
        image[record::PROFILE_OFFSET..record::PROFILE_OFFSET + record::LEN].copy_from_slice(record.encode());
        Ok(())
    })
}

fn fits(text: &str, limit: usize) -> Result<(), PatchError> {
    if text.len() <= limit {
        return Ok(());
    }
    Err(PatchError::TooLong { text: text.to_owned(), length: text.len(), limit })
}

fn patched(
    bytes: &[u8],
    change: impl FnOnce(&mut [u8], &AppFacts) -> Result<(), PatchError>,
) -> Result<Vec<u8>, PatchError> {
    let facts = facts(bytes)?;
    if facts.signed {
        return Err(PatchError::Signed);
    }
    let mut image = bytes[..facts.length].to_vec();
    change(&mut image, &facts)?;
    let end = segments_end(&image, &facts.header)?;
    let mut checksum = CHECKSUM_START;
    let mut at = HEADER_LEN;
    for _ in 0..facts.header.segment_count {
        let length = usize::try_from(u32_at(&image, at + 4)).unwrap_or(0);
        let data = at + SEGMENT_HEADER_LEN;
        checksum = image[data..data + length].iter().fold(checksum, |sum, b| sum ^ b);
        at = data + length;
    }
    let checked = (end + 1).next_multiple_of(16);
    image[checked - 1] = checksum;
    if facts.header.hash_appended {
        let digest = Sha256::digest(&image[..checked]);
        image[checked..checked + 32].copy_from_slice(&digest);
    }
    image.extend_from_slice(&bytes[facts.length..]);
    Ok(image)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::build::AppImage;
    use crate::chip::ChipId;
    use crate::verify::{Demands, Verifier};

    fn verifies(bytes: &[u8]) -> bool {
        let mut verifier = Verifier::new(Demands { chip: Some(ChipId::Esp32S3), revision: Some(0), limit: u32::MAX });
        verifier.feed(bytes, |_| {}).is_ok() && verifier.is_done()
    }

    fn image() -> Vec<u8> {
        AppImage::reference(ChipId::Esp32S3, "1.5.9", "xiaozhi-1.5.9").bytes()
    }

    #[test]
    fn bumped_image_says_the_new_version_and_still_verifies() {
        let bumped = with_version(&image(), "1.6.0").expect("patches");
        assert_eq!(facts(&bumped).expect("reads").descriptor.version(), "1.6.0");
        assert!(verifies(&bumped));
    }

    #[test]
    fn set_profile_changes_the_record_alone() {
        let patched = with_profile(&image(), "xiaozhi-1.6", "").expect("patches");
        let read = facts(&patched).expect("reads");
        assert_eq!(read.profile.expect("record").profile(), "xiaozhi-1.6");
        assert_eq!(read.descriptor.version(), "1.5.9");
        assert!(verifies(&patched));
    }

    #[test]
    fn signed_image_is_refused() {
        let mut signed = image();
        signed.resize(signed.len().next_multiple_of(4096), 0xff);
        signed.push(SIGNATURE_MAGIC);
        assert_eq!(with_version(&signed, "2"), Err(PatchError::Signed));
        let mut signed = image();
        signed.extend([0; 4]);
        signed.extend([0x5a; 64]);
        assert_eq!(with_version(&signed, "2"), Err(PatchError::Signed));
    }

    #[test]
    fn application_inside_a_merged_image_is_found_without_a_table_in_its_usual_place() {
        let mut merged = vec![0xff; 0x2_0000];
        merged[0] = MAGIC;
        merged.extend(image());
        let parts = merged_parts(&merged).expect("merged");
        assert_eq!((parts.application, parts.table), (0x2_0000, None));
    }

    #[test]
    fn image_merged_from_the_bootloader_on_starts_at_0x1000() {
        let mut merged = vec![0xff; 0xf000];
        merged[0] = MAGIC;
        merged[0x7000..0x7000 + partition::MAX_LEN].copy_from_slice(&partition::encode(&partition::reference()));
        merged.extend(image());
        let parts = merged_parts(&merged).expect("merged");
        assert_eq!((parts.start, parts.application), (0x1000, 0xf000));
    }

    #[test]
    fn merged_image_is_told_from_an_application() {
        let mut merged = vec![0xff; 0x1_0000];
        merged[0] = MAGIC;
        merged[0x8000..0x8000 + partition::MAX_LEN].copy_from_slice(&partition::encode(&partition::reference()));
        merged.extend(image());
        assert_eq!(facts(&merged).expect_err("merged"), PatchError::Merged { application: 0x1_0000 });
    }

    #[test]
    fn truncated_image_says_how_much_is_missing() {
        let image = image();
        let error = facts(&image[..5000]).expect_err("truncated");
        assert!(matches!(error, PatchError::Truncated { have: 5000, .. }), "{error}");
    }

    #[test]
    fn segment_that_ends_within_the_descriptor_is_refused_since_checksum_and_hash_would_overwrite_it() {
        for (segments, length) in [(0, 0), (1, 0), (1, 16), (1, 255)] {
            let mut bytes = image();
            bytes[1] = segments;
            bytes[HEADER_LEN + 4..HEADER_LEN + 8].copy_from_slice(&u32::to_le_bytes(length));
            let error = with_version(&bytes, "9.9.9").expect_err("damaged");
            let length = usize::try_from(length).expect("small");
            assert_eq!(error, PatchError::DescriptorCut { length, need: descriptor::LEN });
        }
    }

    #[test]
    fn profile_record_outside_the_first_segment_is_none() {
        let mut bytes = image();
        bytes[1] = 1;
        bytes[HEADER_LEN + 4..HEADER_LEN + 8].copy_from_slice(&u32::to_le_bytes(256));
        assert_eq!(facts(&bytes).expect("reads").profile, None);
        assert_eq!(with_profile(&bytes, "xiaozhi-1.6", ""), Err(PatchError::NoProfile));
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn mutilated_images_are_refused_or_patched_but_never_panic(
            changes in proptest::collection::vec((0usize..400, any::<u8>()), 0..8),
            length in 0usize..170_000,
        ) {
            let mut bytes = image();
            for (at, value) in changes {
                bytes[at] = value;
            }
            bytes.truncate(length);
            if let Ok(patched) = with_version(&bytes, "9.9.9") {
                let read = facts(&patched).expect("still one");
                prop_assert_eq!(read.descriptor.version(), "9.9.9");
            }
        }
    }
}
