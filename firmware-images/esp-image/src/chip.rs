//! Chips, as images and tools name them.

/// A chip of the ESP32 family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ChipId {
    /// ESP32.
    Esp32,
    /// ESP32-S3.
    Esp32S3,
    /// ESP32-C3.
    Esp32C3,
}

impl ChipId {
    /// All chips known here.
    pub const ALL: [Self; 3] = [Self::Esp32, Self::Esp32S3, Self::Esp32C3];

    /// The chip id in image headers (esp_chip_id_t).
    #[must_use]
    pub fn image_id(self) -> u16 {
        match self {
            Self::Esp32 => 0,
            Self::Esp32C3 => 5,
            Self::Esp32S3 => 9,
        }
    }

    /// The chip of an image header's id.
    #[must_use]
    pub fn from_image_id(id: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|chip| chip.image_id() == id)
    }

    /// Name as tools and catalogues write it: "esp32c3".
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Esp32 => "esp32",
            Self::Esp32S3 => "esp32s3",
            Self::Esp32C3 => "esp32c3",
        }
    }

    /// The chip of a name; hyphens and case do not matter.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|chip| chip.name().bytes().eq(name.bytes().filter(|b| *b != b'-').map(|b| b.to_ascii_lowercase())))
    }

    /// Where the ROM looks for the second-stage bootloader.
    #[must_use]
    pub fn bootloader_offset(self) -> u32 {
        match self {
            Self::Esp32 => 0x1000,
            Self::Esp32S3 | Self::Esp32C3 => 0,
        }
    }

    /// True for the RISC-V chips.
    #[must_use]
    pub fn is_riscv(self) -> bool {
        matches!(self, Self::Esp32C3)
    }
}

impl core::fmt::Display for ChipId {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.name())
    }
}

/// Name of any chip id that an image header may carry, for messages.
#[must_use]
pub fn name_of_id(id: u16) -> &'static str {
    match id {
        0 => "ESP32",
        2 => "ESP32-S2",
        5 => "ESP32-C3",
        9 => "ESP32-S3",
        12 => "ESP32-C2",
        13 => "ESP32-C6",
        16 => "ESP32-H2",
        _ => "unknown chip",
    }
}
