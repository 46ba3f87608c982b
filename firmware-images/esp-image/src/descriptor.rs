//! The application descriptor (esp_app_desc_t): 256 bytes at offset 32 of an application image.

use crate::bytes::{fixed, text, u32_at};

/// First word of the descriptor.
pub const MAGIC: u32 = 0xabcd_5432;
/// Where it stands in an image: behind the image header and the first segment header.
pub const OFFSET: usize = 32;
/// Its length.
pub const LEN: usize = 256;

/// The application descriptor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppDescriptor {
    bytes: [u8; LEN],
}

impl AppDescriptor {
    /// A descriptor with version and project name; the rest as given by the setters.
    #[must_use]
    pub fn new(project: &str, version: &str) -> Self {
        let mut bytes = [0; LEN];
        bytes[0..4].copy_from_slice(&MAGIC.to_le_bytes());
        // Any eFuse block revision is good (min 0, max 0xffff); MMU pages of 64 KiB (2^16).
        bytes[178..180].copy_from_slice(&u16::MAX.to_le_bytes());
        bytes[180] = 16;
        let mut descriptor = Self { bytes };
        descriptor.set_version(version);
        descriptor.bytes[48..80].copy_from_slice(&fixed::<32>(project));
        descriptor
    }

    /// Reads a descriptor; `None` where the magic is missing.
    #[must_use]
    pub fn parse(bytes: &[u8; LEN]) -> Option<Self> {
        (u32_at(bytes, 0) == MAGIC).then_some(Self { bytes: *bytes })
    }

    /// The bytes as they stand on flash.
    #[must_use]
    pub fn encode(&self) -> &[u8; LEN] {
        &self.bytes
    }

    /// Security version, compared for anti-rollback.
    #[must_use]
    pub fn secure_version(&self) -> u32 {
        u32_at(&self.bytes, 4)
    }

    /// Application version.
    #[must_use]
    pub fn version(&self) -> &str {
        text(&self.bytes[16..48])
    }

    /// Project name.
    #[must_use]
    pub fn project(&self) -> &str {
        text(&self.bytes[48..80])
    }

    /// Time and date of the build.
    #[must_use]
    pub fn built(&self) -> (&str, &str) {
        (text(&self.bytes[80..96]), text(&self.bytes[96..112]))
    }

    /// ESP-IDF version.
    #[must_use]
    pub fn idf_version(&self) -> &str {
        text(&self.bytes[112..144])
    }

    /// SHA-256 of the ELF file.
    #[must_use]
    pub fn elf_sha256(&self) -> &[u8] {
        &self.bytes[144..176]
    }

    /// Sets the version; longer than 31 bytes is cut.
    pub fn set_version(&mut self, version: &str) {
        self.bytes[16..48].copy_from_slice(&fixed::<32>(version));
    }

    /// Sets the security version.
    pub fn set_secure_version(&mut self, version: u32) {
        self.bytes[4..8].copy_from_slice(&version.to_le_bytes());
    }

    /// Sets build time and date.
    pub fn set_built(&mut self, time: &str, date: &str) {
        self.bytes[80..96].copy_from_slice(&fixed::<16>(time));
        self.bytes[96..112].copy_from_slice(&fixed::<16>(date));
    }

    /// Sets the ESP-IDF version.
    pub fn set_idf_version(&mut self, version: &str) {
        self.bytes[112..144].copy_from_slice(&fixed::<32>(version));
    }

    /// Sets the ELF's SHA-256.
    pub fn set_elf_sha256(&mut self, sha: &[u8; 32]) {
        self.bytes[144..176].copy_from_slice(sha);
    }
}
