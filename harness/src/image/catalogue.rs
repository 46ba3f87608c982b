//! The catalogue: which images there are, with what they are and where they come from.

use std::path::{Path, PathBuf};

use esp_image::chip::ChipId;
use esp_image::patch;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::reference::BUILT;
use super::{Image, ImageError, error};

/// What an image is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// An application, for a slot or for serving.
    Application,
    /// A second-stage bootloader.
    Bootloader,
    /// A whole flash in one file.
    Merged,
}

/// One image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Entry {
    /// Name.
    pub name: String,
    /// What it is for.
    pub kind: Kind,
    /// Chip name.
    pub chip: String,
    /// Version of the application descriptor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Project of the application descriptor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// Profile of the profile record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// Backends that can run it: `virtual`, `serial`, `qemu`.
    pub run_on: Vec<String>,
    /// File, relative to the catalogue.
    pub file: String,
    /// Size in bytes.
    pub size: u64,
    /// SHA-256 of the file.
    pub sha256: String,
    /// Where it comes from.
    pub origin: String,
    /// The command that makes it again.
    pub make: String,
    /// What a bootloader can do: `bootloader-rollback`, `anti-rollback`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub capabilities: Vec<String>,
    /// ELF, relative to the catalogue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub elf: Option<String>,
}

impl Entry {
    /// The chip.
    ///
    /// # Errors
    ///
    /// A name that is no chip known here.
    pub fn chip_id(&self) -> Result<ChipId, ImageError> {
        ChipId::from_name(&self.chip).ok_or_else(|| ImageError::Unusable {
            path: PathBuf::from(&self.file),
            why: format!("chip {:?} is not known; there are esp32, esp32s3, esp32c3", self.chip),
        })
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    image: Vec<Entry>,
}

enum Place {
    Embedded,
    Folder(PathBuf),
}

/// A catalogue: the embedded one, and those of the user over it.
pub struct Catalogue {
    entries: Vec<Entry>,
    places: Vec<Place>,
}

const EMBEDDED: &str = include_str!("../../../firmware-images/catalogue.toml");

impl Catalogue {
    /// The catalogue that comes with the program.
    ///
    /// # Errors
    ///
    /// Never for a released program; a test reads it.
    pub fn embedded() -> Result<Self, ImageError> {
        let file = parse(Path::new("(embedded)"), EMBEDDED)?;
        let places = file.image.iter().map(|_| Place::Embedded).collect();
        Ok(Self { entries: file.image, places })
    }

    /// Adds a catalogue file; its entries come first.
    ///
    /// # Errors
    ///
    /// The file cannot be read or is malformed.
    pub fn with(mut self, path: &Path) -> Result<Self, ImageError> {
        let text = String::from_utf8_lossy(&error::read(path)?).into_owned();
        let file = parse(path, &text)?;
        let folder = path.parent().map_or_else(PathBuf::new, Path::to_owned);
        for entry in file.image.into_iter().rev() {
            self.entries.insert(0, entry);
            self.places.insert(0, Place::Folder(folder.clone()));
        }
        Ok(self)
    }

    /// All entries.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// An application by name or version, for a chip.
    ///
    /// # Errors
    ///
    /// There is none, or its file is not what the catalogue says.
    pub fn application(&self, name_or_version: &str, chip: ChipId) -> Result<Image, ImageError> {
        let fits = |e: &Entry| e.kind == Kind::Application && e.chip == chip.name();
        let index = self
            .entries
            .iter()
            .position(|e| fits(e) && (e.name == name_or_version || e.version.as_deref() == Some(name_or_version)))
            .ok_or_else(|| ImageError::NotFound {
                wanted: name_or_version.to_owned(),
                chip: chip.to_string(),
                have: self.entries.iter().filter(|e| fits(e)).filter_map(|e| e.version.clone()).collect(),
            })?;
        self.load(index)
    }

    /// The bootloader for a chip.
    ///
    /// # Errors
    ///
    /// There is none, or its file is not what the catalogue says.
    pub fn bootloader(&self, chip: ChipId) -> Result<Image, ImageError> {
        let index =
            self.entries.iter().position(|e| e.kind == Kind::Bootloader && e.chip == chip.name()).ok_or_else(|| {
                ImageError::NotFound { wanted: "bootloader".to_owned(), chip: chip.to_string(), have: vec![] }
            })?;
        self.load(index)
    }

    fn load(&self, index: usize) -> Result<Image, ImageError> {
        let entry = self.entries[index].clone();
        let (bytes, path) = match &self.places[index] {
            Place::Embedded => {
                let found = BUILT.iter().find(|(name, _)| *name == entry.name);
                (found.map_or_else(Vec::new, |(_, bytes)| bytes.to_vec()), PathBuf::from(&entry.file))
            }
            Place::Folder(folder) => {
                let path = folder.join(&entry.file);
                (error::read(&path)?, path)
            }
        };
        let unusable = |why: String| ImageError::Unusable { path: path.clone(), why };
        if sha256(&bytes) != entry.sha256 {
            return Err(unusable(format!(
                "its SHA-256 is {}, the catalogue says {}; add it again if the change is meant",
                sha256(&bytes),
                entry.sha256
            )));
        }
        if entry.kind == Kind::Application {
            let facts = patch::facts(&bytes).map_err(|e| unusable(e.to_string()))?;
            let chip = entry.chip_id()?;
            if facts.header.chip_id != chip.image_id() {
                let found = esp_image::chip::name_of_id(facts.header.chip_id);
                return Err(unusable(format!("it is an image for the {found}, the catalogue says {chip}")));
            }
        }
        Ok(Image { entry, bytes })
    }
}

fn parse(path: &Path, text: &str) -> Result<File, ImageError> {
    toml::from_str(text).map_err(|e| {
        let place = e.span().map_or_else(String::new, |span| {
            let before = &text[..span.start.min(text.len())];
            let line = before.matches('\n').count() + 1;
            let column = before.len() - before.rfind('\n').map_or(0, |n| n + 1) + 1;
            format!("line {line}, column {column}: ")
        });
        ImageError::Catalogue { path: path.to_owned(), why: format!("{place}{}", e.message()) }
    })
}

/// A catalogue file's text.
pub(super) fn render(entries: &[Entry]) -> String {
    let header = "# The image catalogue. `brickproof image build` makes this file and the images again, byte for byte;\n\
                  # a test checks that it tells the truth.\n\n";
    let body = toml::to_string(&File { image: entries.to_vec() }).unwrap_or_default();
    format!("{header}{body}")
}

/// Adds an entry to a catalogue file, keeping what is there.
pub(super) fn append(path: &Path, entry: &Entry) -> Result<(), ImageError> {
    let existing =
        if path.exists() { String::from_utf8_lossy(&error::read(path)?).into_owned() } else { String::new() };
    let file = parse(path, &existing)?;
    if file.image.iter().any(|e| e.name == entry.name) {
        return Err(ImageError::Catalogue {
            path: path.to_owned(),
            why: format!("there is an image {:?} already; give another with --name", entry.name),
        });
    }
    let added = toml::to_string(&File { image: vec![entry.clone()] }).unwrap_or_default();
    let gap = if existing.is_empty() || existing.ends_with("\n\n") { "" } else { "\n" };
    error::write(path, format!("{existing}{gap}{added}").as_bytes())
}

/// SHA-256 in hexadecimal.
pub(super) fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}
