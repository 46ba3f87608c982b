//! The catalogue: layers of entries, and the images found in them.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use esp_image::chip::ChipId;
use esp_image::descriptor::AppDescriptor;
use esp_image::partition::PartitionTable;
use esp_image::patch;
use esp_image::record::{self, BootloaderRecord, ProfileRecord};
use sha2::{Digest, Sha256};

use super::ImageError;
use super::application::{Application, read_application};
use super::embedded;
use super::entry::{BootloaderCapability, Entry, Kind, RunOn, Software};
use super::parse::parse;

/// An application image, found and checked.
#[derive(Clone, Debug)]
pub struct Image {
    /// Its catalogue entry.
    pub entry: Entry,
    /// Its chip.
    pub chip: ChipId,
    /// The application image: what an OTA slot holds and what is served. Of a merged image the application alone.
    pub bytes: Vec<u8>,
    /// Its application descriptor.
    pub descriptor: AppDescriptor,
    /// Its profile record, in images of the reference firmware.
    pub profile: Option<ProfileRecord>,
    /// Where it runs.
    pub run_on: BTreeSet<RunOn>,
}

impl Image {
    /// Name in the catalogue.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.entry.name
    }

    /// Version that the device reports when it runs this image.
    #[must_use]
    pub fn version(&self) -> &str {
        self.descriptor.version()
    }

    /// True where the image's code runs. A virtual-only image on a real board would brick it until it is flashed anew.
    #[must_use]
    pub fn runs_on(&self, backend: RunOn) -> bool {
        self.run_on.contains(&backend)
    }
}

#[derive(Clone, Debug)]
enum Place {
    Embedded,
    Folder(PathBuf),
}

impl Place {
    fn read(&self, entry: &Entry) -> Result<Cow<'static, [u8]>, ImageError> {
        let path = match self {
            Self::Embedded => match embedded::file(&entry.file) {
                Some(bytes) => return Ok(Cow::Borrowed(bytes)),
                None => PathBuf::from(&entry.file),
            },
            Self::Folder(folder) => folder.join(&entry.file),
        };
        let read = if matches!(self, Self::Embedded) {
            Err(std::io::Error::new(std::io::ErrorKind::NotFound, "not embedded in this program"))
        } else {
            fs::read(&path)
        };
        read.map(Cow::Owned).map_err(|why| ImageError::Read { what: "image", path, why })
    }
}

#[derive(Clone, Debug)]
struct Layer {
    place: Place,
    entries: Vec<Entry>,
}

/// Catalogues on top of each other: what is found in a later one wins.
#[derive(Clone, Debug)]
pub struct Catalogue {
    layers: Vec<Layer>,
}

impl Catalogue {
    /// The reference firmware's catalogue, embedded in this program.
    ///
    /// # Errors
    ///
    /// Never in a program whose tests passed: one of them reads it.
    pub fn embedded() -> Result<Self, ImageError> {
        let entries = parse("(embedded)", embedded::CATALOGUE)?;
        Ok(Self { layers: vec![Layer { place: Place::Embedded, entries }] })
    }

    /// The catalogue of a file alone.
    ///
    /// # Errors
    ///
    /// It cannot be read or understood.
    pub fn load(path: &Path) -> Result<Self, ImageError> {
        Self { layers: Vec::new() }.with(path)
    }

    /// Puts a project's catalogue on top: its images win over those below.
    ///
    /// # Errors
    ///
    /// It cannot be read or understood.
    pub fn with(mut self, path: &Path) -> Result<Self, ImageError> {
        let text = fs::read_to_string(path).map_err(|why| ImageError::Read {
            what: "image catalogue",
            path: path.to_owned(),
            why,
        })?;
        let entries = parse(&path.display().to_string(), &text)?;
        let folder = path.parent().unwrap_or(Path::new("")).to_owned();
        self.layers.push(Layer { place: Place::Folder(folder), entries });
        Ok(self)
    }

    /// All entries, the topmost layer's first.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.layers.iter().rev().flat_map(|layer| &layer.entries)
    }

    /// Finds an application image by its name, its version or `project-version`, and reads it.
    ///
    /// # Errors
    ///
    /// There is none, or more than one; it is for another chip; it is not what the catalogue says.
    pub fn application(&self, wanted: &str, chip: ChipId) -> Result<Image, ImageError> {
        for layer in self.layers.iter().rev() {
            if let Some(entry) = layer.entries.iter().find(|e| e.name == wanted && e.software().is_some()) {
                return Self::image(layer, entry, Some(chip));
            }
            let fits = |s: &Software| {
                s.chip == chip
                    && (s.version == wanted || wanted.strip_prefix(&*s.project) == Some(&*format!("-{}", s.version)))
            };
            let found: Vec<&Entry> = layer.entries.iter().filter(|e| e.software().is_some_and(fits)).collect();
            match found[..] {
                [] => {}
                [entry] => return Self::image(layer, entry, Some(chip)),
                _ => {
                    if let Some(image) = Self::the_same(layer, &found, chip)? {
                        return Ok(image);
                    }
                    let names = found.iter().map(|e| e.name.clone()).collect();
                    return Err(ImageError::Ambiguous { wanted: wanted.to_owned(), chip, names });
                }
            }
        }
        Err(ImageError::NotFound { wanted: wanted.to_owned(), chip, there: self.what_there_is(wanted, chip) })
    }

    /// The application of several entries that hold the very same one, alone and merged with what a first flash needs:
    /// then nothing is ambiguous, and the entry that says what it is flashed with stands for it.
    fn the_same(layer: &Layer, found: &[&Entry], chip: ChipId) -> Result<Option<Image>, ImageError> {
        let mut alone = found.iter().filter(|e| matches!(e.kind, Kind::Application { .. }));
        let (Some(entry), None) = (alone.next(), alone.next()) else { return Ok(None) };
        let image = Self::image(layer, entry, Some(chip))?;
        for other in found {
            if Self::image(layer, other, Some(chip))?.bytes != image.bytes {
                return Ok(None);
            }
        }
        Ok(Some(image))
    }

    fn what_there_is(&self, wanted: &str, chip: ChipId) -> String {
        let software = || self.entries().filter_map(|e| Some((e, e.software()?)));
        let others: BTreeSet<ChipId> = software().filter(|(_, s)| s.version == wanted).map(|(_, s)| s.chip).collect();
        let names: Vec<&str> = software().filter(|(_, s)| s.chip == chip).map(|(e, _)| e.name.as_str()).collect();
        let mut there = match names[..] {
            [] => format!("it has none for {chip} at all"),
            _ => format!("for {chip} there are {}", names.join(", ")),
        };
        if !others.is_empty() {
            let others: Vec<&str> = others.into_iter().map(ChipId::name).collect();
            there += &format!("; version {wanted} is there for {}", others.join(", "));
        }
        there + "; `brickproof image add` adds a build of yours, `brickproof image bump` makes another version of one"
    }

    fn image(layer: &Layer, entry: &Entry, chip: Option<ChipId>) -> Result<Image, ImageError> {
        let software = entry.software();
        if let (Some(found), Some(wanted)) = (software.map(|s| s.chip), chip)
            && found != wanted
        {
            return Err(ImageError::OtherChip { name: entry.name.clone(), found, wanted });
        }
        let file = true_bytes(layer, entry)?;
        let what = format!("image `{}`", entry.name);
        let bytes = match &entry.kind {
            Kind::Merged { .. } => {
                let parts = patch::merged_parts(&file).ok_or_else(|| untrue(entry, "the file is no merged image"))?;
                &file[parts.application..]
            }
            _ => &file[..],
        };
        let Application { chip, facts } = read_application(bytes, &what)?;
        let found = Application { chip, facts: facts.clone() }.software();
        if Some(&found) != software {
            return Err(untrue(entry, &format!("the file holds {found:?}")));
        }
        // Of a merged image the application ends where its own length says; a signature belongs to the image.
        let end = if matches!(entry.kind, Kind::Merged { .. }) && !facts.signed { facts.length } else { bytes.len() };
        Ok(Image {
            entry: entry.clone(),
            chip,
            bytes: bytes[..end].to_vec(),
            descriptor: facts.descriptor,
            profile: facts.profile,
            run_on: entry.run_on.clone(),
        })
    }

    /// The ELF file of an image's build, where the catalogue has one.
    #[must_use]
    pub fn elf(&self, image: &Image) -> Option<PathBuf> {
        let elf = image.entry.elf.as_ref()?;
        let of = |layer: &&Layer| layer.entries.iter().any(|entry| entry.name == image.entry.name);
        match &self.layers.iter().rev().find(of)?.place {
            Place::Embedded => None,
            Place::Folder(folder) => Some(folder.join(elf)),
        }
    }

    /// The file of an entry, checked against it. `name` is searched from the topmost layer down.
    pub(super) fn file(&self, name: &str) -> Result<Option<(Entry, Vec<u8>)>, ImageError> {
        for layer in self.layers.iter().rev() {
            if let Some(entry) = layer.entries.iter().find(|e| e.name == name) {
                return Ok(Some((entry.clone(), true_bytes(layer, entry)?.into_owned())));
            }
        }
        Ok(None)
    }

    /// Compares every file with its entry, and reads every image as far as it can be understood.
    ///
    /// # Errors
    ///
    /// All differences found.
    pub fn check(&self) -> Result<(), Vec<ImageError>> {
        let mut errors = Vec::new();
        for layer in &self.layers {
            for entry in &layer.entries {
                let checked = match entry.kind {
                    Kind::Application { .. } | Kind::Merged { .. } => {
                        Self::image(layer, entry, None).and_then(|image| self.layout(&image).map(|_| ())).or_else(|e| {
                            // An application alone is good for serving.
                            if matches!(e, ImageError::Incomplete { .. }) { Ok(()) } else { Err(e) }
                        })
                    }
                    Kind::Bootloader { .. } | Kind::PartitionTable { .. } | Kind::Data { .. } => {
                        true_bytes(layer, entry).map(|_| ())
                    }
                };
                errors.extend(checked.err());
            }
        }
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }
}

fn untrue(entry: &Entry, difference: &str) -> ImageError {
    ImageError::Untrue { name: entry.name.clone(), difference: difference.to_owned() }
}

fn true_bytes(layer: &Layer, entry: &Entry) -> Result<Cow<'static, [u8]>, ImageError> {
    let bytes = layer.place.read(entry)?;
    let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    if length != entry.size {
        return Err(untrue(entry, &format!("{} has {length} bytes, not {}", entry.file, entry.size)));
    }
    if Sha256::digest(&bytes)[..] != entry.sha256 {
        return Err(untrue(entry, &format!("the SHA-256 of {} is another one", entry.file)));
    }
    match &entry.kind {
        Kind::Bootloader { chip, capabilities, .. } => {
            if let Some(id) = chip_id_of(&bytes).filter(|id| *id != chip.image_id()) {
                return Err(untrue(entry, &format!("the file is for chip id {id}")));
            }
            if let Some(found) = recorded_capabilities(&bytes).filter(|found| found != capabilities) {
                let found: Vec<&str> = found.into_iter().map(BootloaderCapability::name).collect();
                return Err(untrue(entry, &format!("the bootloader itself states [{}]", found.join(", "))));
            }
        }
        Kind::PartitionTable { .. } => {
            PartitionTable::parse(&bytes).map_err(|e| untrue(entry, &e.to_string()))?;
        }
        Kind::Application { .. } | Kind::Merged { .. } | Kind::Data { .. } => {}
    }
    Ok(bytes)
}

fn chip_id_of(bootloader: &[u8]) -> Option<u16> {
    Some(u16::from_le_bytes([*bootloader.get(12)?, *bootloader.get(13)?]))
}

/// What a bootloader's own record states; Espressif's have none.
pub(super) fn recorded_capabilities(bootloader: &[u8]) -> Option<BTreeSet<BootloaderCapability>> {
    let bytes = bootloader.get(record::BOOTLOADER_OFFSET..)?.first_chunk()?;
    let record = BootloaderRecord::parse(bytes)?;
    let stated =
        [(record.rollback, BootloaderCapability::Rollback), (record.anti_rollback, BootloaderCapability::AntiRollback)];
    Some(stated.into_iter().filter(|(has, _)| *has).map(|(_, c)| c).collect())
}
