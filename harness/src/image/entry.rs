//! The checked catalogue entry, and how it is written as TOML.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use esp_image::chip::ChipId;

/// A kind of board that an image runs on, by its backend's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RunOn {
    /// The virtual ESP32. Images for it alone, which may hold no machine code or go with a bootloader that does not, are refused
    /// on a real port.
    Virtual,
    /// A real board on a serial port.
    Serial,
    /// A real board on a debug probe.
    Probe,
    /// Espressif's QEMU.
    Qemu,
}

impl RunOn {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Virtual, Self::Serial, Self::Probe, Self::Qemu];

    /// Name as catalogues write it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Virtual => "virtual",
            Self::Serial => "serial",
            Self::Probe => "probe",
            Self::Qemu => "qemu",
        }
    }

    /// Where an image with machine code runs.
    #[must_use]
    pub fn real() -> BTreeSet<Self> {
        BTreeSet::from([Self::Serial, Self::Probe, Self::Qemu])
    }
}

/// What a second-stage bootloader can do beyond booting, as its entry states.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BootloaderCapability {
    /// CONFIG_BOOTLOADER_APP_ROLLBACK_ENABLE.
    Rollback,
    /// CONFIG_BOOTLOADER_APP_ANTI_ROLLBACK.
    AntiRollback,
}

impl BootloaderCapability {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Rollback, Self::AntiRollback];

    /// Name as catalogues write it; scenarios require it by the same one.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Rollback => "bootloader-rollback",
            Self::AntiRollback => "anti-rollback",
        }
    }
}

/// What an application says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Software {
    /// Chip.
    pub chip: ChipId,
    /// Version in the descriptor.
    pub version: String,
    /// Project name in the descriptor.
    pub project: String,
    /// Profile in the profile record, for images of the reference firmware.
    pub profile: Option<String>,
}

/// What an image is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An application image: what an OTA slot holds and what is served.
    Application {
        /// What it says of itself.
        software: Software,
        /// Names of the entries that are flashed along with it: bootloader, partition table, data.
        flash_with: Vec<String>,
    },
    /// Bootloader, partition table and application in one file.
    Merged {
        /// What its application says of itself.
        software: Software,
        /// Flash offset of the file's first byte.
        offset: u32,
        /// What its bootloader can do.
        capabilities: BTreeSet<BootloaderCapability>,
    },
    /// A second-stage bootloader; its flash offset is the chip's.
    Bootloader {
        /// Chip.
        chip: ChipId,
        /// Version, where one is known.
        version: Option<String>,
        /// What it can do.
        capabilities: BTreeSet<BootloaderCapability>,
    },
    /// A partition table in its binary form.
    PartitionTable {
        /// Flash offset, 0x8000 as a rule.
        offset: u32,
    },
    /// Other content of flash: a file system, assets.
    Data {
        /// Flash offset.
        offset: u32,
    },
}

impl Kind {
    /// Name as catalogues write it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Application { .. } => "application",
            Self::Merged { .. } => "merged",
            Self::Bootloader { .. } => "bootloader",
            Self::PartitionTable { .. } => "partition-table",
            Self::Data { .. } => "data",
        }
    }
}

/// One image of a catalogue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Name, unique in its catalogue.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// Where it runs.
    pub run_on: BTreeSet<RunOn>,
    /// File, relative to the catalogue's folder.
    pub file: String,
    /// Its size in bytes.
    pub size: u64,
    /// Its SHA-256.
    pub sha256: [u8; 32],
    /// The ELF file of the same build, relative to the catalogue's folder.
    pub elf: Option<String>,
    /// Where it comes from, in words.
    pub origin: String,
    /// The command that makes the file again.
    pub make: Option<String>,
}

impl Entry {
    /// What the application in it says of itself; `None` for what holds no application.
    #[must_use]
    pub fn software(&self) -> Option<&Software> {
        match &self.kind {
            Kind::Application { software, .. } | Kind::Merged { software, .. } => Some(software),
            Kind::Bootloader { .. } | Kind::PartitionTable { .. } | Kind::Data { .. } => None,
        }
    }

    /// Chip that it is for; `None` where any will do.
    #[must_use]
    pub fn chip(&self) -> Option<ChipId> {
        match &self.kind {
            Kind::Application { software, .. } | Kind::Merged { software, .. } => Some(software.chip),
            Kind::Bootloader { chip, .. } => Some(*chip),
            Kind::PartitionTable { .. } | Kind::Data { .. } => None,
        }
    }

    /// Version of the application in it.
    #[must_use]
    pub fn version(&self) -> Option<&str> {
        self.software().map(|s| s.version.as_str())
    }

    /// Where it runs, in words.
    #[must_use]
    pub fn runs_on_words(&self) -> String {
        self.run_on.iter().map(|r| r.name()).collect::<Vec<_>>().join(", ")
    }

    /// The entry as a `[[image]]` table.
    #[must_use]
    pub fn to_toml(&self) -> String {
        let mut text = String::from("[[image]]\n");
        let mut put = |key: &str, value: String| {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{key} = {value}");
        };
        put("name", quoted(&self.name));
        put("kind", quoted(self.kind.name()));
        if let Some(chip) = self.chip() {
            put("chip", quoted(chip.name()));
        }
        if let Some(software) = self.software() {
            put("version", quoted(&software.version));
            put("project", quoted(&software.project));
            if let Some(profile) = &software.profile {
                put("profile", quoted(profile));
            }
        }
        match &self.kind {
            Kind::Application { flash_with, .. } => {
                if !flash_with.is_empty() {
                    put("flash-with", list(flash_with.iter().map(String::as_str)));
                }
            }
            Kind::Merged { offset, capabilities, .. } => {
                put("offset", format!("{offset:#x}"));
                put("capabilities", list(capabilities.iter().map(|c| c.name())));
            }
            Kind::Bootloader { version, capabilities, .. } => {
                if let Some(version) = version {
                    put("version", quoted(version));
                }
                put("capabilities", list(capabilities.iter().map(|c| c.name())));
            }
            Kind::PartitionTable { offset } | Kind::Data { offset } => put("offset", format!("{offset:#x}")),
        }
        put("run-on", list(self.run_on.iter().map(|r| r.name())));
        put("file", quoted(&self.file));
        put("size", self.size.to_string());
        put("sha256", quoted(&hex::encode(self.sha256)));
        if let Some(elf) = &self.elf {
            put("elf", quoted(elf));
        }
        put("origin", quoted(&self.origin));
        if let Some(make) = &self.make {
            put("make", quoted(make));
        }
        text
    }
}

fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

fn list<'a>(items: impl Iterator<Item = &'a str>) -> String {
    format!("[{}]", items.map(quoted).collect::<Vec<_>>().join(", "))
}
