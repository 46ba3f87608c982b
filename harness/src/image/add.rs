//! Adding images of a project to its catalogue: an ESP-IDF build folder, an application .bin or a merged .bin.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use esp_image::build::VIRTUAL_IDF;
use esp_image::partition::{APP, OFFSET, PartitionTable};
use esp_image::patch;
use sha2::{Digest, Sha256};

use super::ImageError;
use super::application::{Application, read_application};
use super::build_folder::{self, BuildFolder, Placed};
use super::catalogue::{Catalogue, recorded_capabilities};
use super::entry::{Entry, Kind, RunOn};
use super::parse::is_name;
use super::patch::file_name;
use super::reference;
use super::store::{New, append};

/// What was added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Added {
    /// The application's entry, or the merged image's.
    pub entry: Entry,
    /// Entries of what a first flash writes along with it: bootloader, partition table, data.
    pub parts: Vec<Entry>,
}

/// What to add, and where to.
struct Request<'a> {
    source: &'a Path,
    catalogue: &'a Path,
    elf: Option<&'a Path>,
    name: Option<&'a str>,
}

/// Adds an ESP-IDF build folder, an application .bin or a merged .bin to a catalogue, which is made where there is none:
/// files are copied beside it, entries are appended. `elf` is the ELF file of the same build (a build folder's own is
/// found); without `name` the image is named `project-chip-version`.
///
/// # Errors
///
/// `path` holds no image or a damaged one, the ELF is of another build, the catalogue has the name already or cannot be
/// written.
pub fn add(path: &Path, catalogue: &Path, elf: Option<&Path>, name: Option<&str>) -> Result<Added, ImageError> {
    if let Some(name) = name.filter(|name| !is_name(name)) {
        return Err(ImageError::BadName { name: name.to_owned() });
    }
    let request = Request { source: path, catalogue, elf, name };
    let (first, parts) = if path.is_dir() { from_folder(&request)? } else { (from_file(&request)?, Vec::new()) };
    let added = Added { entry: first.entry.clone(), parts: parts.iter().map(|p| p.entry.clone()).collect() };
    let mut new = vec![first];
    new.extend(parts);
    append(catalogue, &new)?;
    Ok(added)
}

fn read(path: &Path) -> Result<Vec<u8>, ImageError> {
    fs::read(path).map_err(|why| ImageError::Read { what: "image", path: path.to_owned(), why })
}

fn from_file(request: &Request<'_>) -> Result<New, ImageError> {
    let bytes = read(request.source)?;
    let what = request.source.display().to_string();
    let Some(parts) = patch::merged_parts(&bytes) else {
        let application = read_application(&bytes, &what)?;
        let Kin { flash_with, run_on } = kin(request.catalogue, &application)?;
        let mut added = application_entry(request, &application, bytes, request.elf, flash_with, None)?;
        if let Some(run_on) = run_on {
            added.entry.run_on = run_on;
        }
        return Ok(added);
    };
    let application = read_application(&bytes[parts.application..], &what)?;
    let bootloader = application.chip.bootloader_offset().checked_sub(parts.start);
    let capabilities = bootloader
        .and_then(|at| bytes.get(usize::try_from(at).ok()?..))
        .and_then(recorded_capabilities)
        .unwrap_or_default();
    let kind = Kind::Merged { software: application.software(), offset: parts.start, capabilities };
    let name = name_of(request, &application);
    let elf = request.elf.map(|path| elf_of(path, &application, &what)).transpose()?;
    Ok(new(&name, kind, &application, bytes, elf, None))
}

/// What is known of an application that comes alone, from its kin.
#[derive(Default)]
struct Kin {
    /// What it is flashed with; nothing where it can only be served.
    flash_with: Vec<String>,
    /// Where it runs, if that is known better than of any firmware.
    run_on: Option<BTreeSet<RunOn>>,
}

/// Finds the kin of an application: for another version of a project that the catalogue has, that; for the reference
/// firmware's, what comes with this program. Nothing is known of others.
fn kin(catalogue: &Path, application: &Application) -> Result<Kin, ImageError> {
    if is_virtual(application) {
        let flash_with = reference::flash_with(application.chip);
        return Ok(Kin { flash_with, run_on: Some(BTreeSet::from([RunOn::Virtual])) });
    }
    let software = application.software();
    let in_catalogue = |there: &Catalogue| {
        let same = there.entries().filter_map(|entry| match &entry.kind {
            Kind::Application { software: s, flash_with }
                if s.project == software.project && s.chip == software.chip && !flash_with.is_empty() =>
            {
                // Which network a build of the reference firmware has decides where it runs.
                let run_on = application.facts.profile.as_ref().map(|_| entry.run_on.clone());
                Some(Kin { flash_with: flash_with.clone(), run_on })
            }
            _ => None,
        });
        same.last()
    };
    let mut found = None;
    if catalogue.exists() {
        found = in_catalogue(&Catalogue::load(catalogue)?);
    }
    if found.is_none() && application.facts.profile.is_some() {
        found = in_catalogue(&Catalogue::embedded()?);
    }
    Ok(found.unwrap_or_default())
}

fn is_virtual(application: &Application) -> bool {
    application.facts.descriptor.idf_version() == VIRTUAL_IDF
}

fn from_folder(request: &Request<'_>) -> Result<(New, Vec<New>), ImageError> {
    let BuildFolder { application: placed, bootloader, partition_table, data, capabilities, elf } =
        build_folder::read(request.source)?;
    let fail = |why: String| ImageError::BuildFolder { path: request.source.to_owned(), why };
    let bytes = read(&placed.file)?;
    let application = read_application(&bytes, &placed.file.display().to_string())?;
    let name = name_of(request, &application);
    let make = Some("idf.py build");
    let mut parts = Vec::new();
    if let Some(Placed { offset, file }) = bootloader {
        let chip = application.chip;
        if offset != chip.bootloader_offset() {
            let why = format!(
                "its bootloader goes to {offset:#x}, the ROM of {chip} looks at {:#x}",
                chip.bootloader_offset()
            );
            return Err(fail(why));
        }
        let bytes = read(&file)?;
        let capabilities = recorded_capabilities(&bytes).unwrap_or(capabilities);
        let kind = Kind::Bootloader { chip, version: None, capabilities };
        parts.push(new(&format!("{name}-bootloader"), kind, &application, bytes, None, make));
    }
    if let Some(Placed { offset, file }) = partition_table {
        let bytes = read(&file)?;
        let table = PartitionTable::parse(&bytes).map_err(|e| fail(format!("{}: {e}", file.display())))?;
        if offset != OFFSET {
            // Firmware is told the offset when it is built; this program is not.
            return Err(fail(format!(
                "its partition table stands at {offset:#x} (CONFIG_PARTITION_TABLE_OFFSET); only {OFFSET:#x} is supported"
            )));
        }
        if !table.partitions().iter().any(|p| p.kind == APP && p.offset == placed.offset) {
            return Err(fail(format!(
                "no application partition begins at {:#x}, the application's offset",
                placed.offset
            )));
        }
        let kind = Kind::PartitionTable { offset };
        parts.push(new(&format!("{name}-partition-table"), kind, &application, bytes, None, make));
    }
    for Placed { offset, file } in data {
        let stem = file.file_stem().unwrap_or_default().to_string_lossy();
        let label = file_name(&format!("{name}-{stem}-{offset:x}"));
        parts.push(new(&label, Kind::Data { offset }, &application, read(&file)?, None, make));
    }
    let flash_with = parts.iter().map(|p| p.entry.name.clone()).collect();
    let elf = request.elf.map(Path::to_owned).or(elf);
    Ok((application_entry(request, &application, bytes, elf.as_deref(), flash_with, make)?, parts))
}

fn application_entry(
    request: &Request<'_>,
    application: &Application,
    bytes: Vec<u8>,
    elf: Option<&Path>,
    flash_with: Vec<String>,
    make: Option<&str>,
) -> Result<New, ImageError> {
    let name = name_of(request, application);
    let elf = elf.map(|path| elf_of(path, application, &format!("image `{name}`"))).transpose()?;
    let kind = Kind::Application { software: application.software(), flash_with };
    Ok(new(&name, kind, application, bytes, elf, make))
}

fn name_of(request: &Request<'_>, application: &Application) -> String {
    let software = application.software();
    let made = || file_name(&format!("{}-{}-{}", software.project, software.chip, software.version));
    request.name.map_or_else(made, str::to_owned)
}

/// Reads an ELF file and checks that the image was made from it, where the image says from which.
fn elf_of(path: &Path, application: &Application, what: &str) -> Result<Vec<u8>, ImageError> {
    let bytes = fs::read(path).map_err(|why| ImageError::Read { what: "ELF file", path: path.to_owned(), why })?;
    let expected = application.facts.descriptor.elf_sha256();
    let found = Sha256::digest(&bytes);
    // All zeros: the build did not record it (esp-hal).
    if expected.iter().any(|b| *b != 0) && found[..] != *expected {
        return Err(ImageError::OtherElf {
            path: PathBuf::from(path),
            what: what.to_owned(),
            found: hex::encode(&found[..4]),
            expected: hex::encode(&expected[..4]),
        });
    }
    Ok(bytes)
}

fn new(
    name: &str,
    kind: Kind,
    application: &Application,
    bytes: Vec<u8>,
    elf: Option<Vec<u8>>,
    make: Option<&str>,
) -> New {
    let descriptor = &application.facts.descriptor;
    let (time, date) = descriptor.built();
    let run_on = match kind {
        Kind::PartitionTable { .. } | Kind::Data { .. } => RunOn::ALL.into(),
        _ if is_virtual(application) => BTreeSet::from([RunOn::Virtual]),
        _ => RunOn::real(),
    };
    let entry = Entry {
        name: name.to_owned(),
        kind,
        run_on,
        file: format!("images/{name}.bin"),
        size: u64::try_from(bytes.len()).unwrap_or(u64::MAX),
        sha256: Sha256::digest(&bytes).into(),
        elf: elf.as_ref().map(|_| format!("images/{name}.elf")),
        origin: format!(
            "{} {}, {}, built {date} {time}",
            descriptor.project(),
            descriptor.version(),
            descriptor.idf_version()
        ),
        make: make.map(str::to_owned),
    };
    New { entry, bytes, elf }
}
