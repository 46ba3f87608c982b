//! Writing entries and files into a project's catalogue.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use super::ImageError;
use super::catalogue::Image;
use super::entry::Entry;
use super::parse::{is_name, parse};

const HEADER: &str = "\
# Image catalogue of this project. `brickproof image add` adds to it; what is written by hand is kept.
";

/// Writes a file as a whole or not at all, with the folders above it.
pub(super) fn write(what: &'static str, path: &Path, bytes: &[u8]) -> Result<(), ImageError> {
    let fail = |why| ImageError::Write { what, path: path.to_owned(), why };
    let folder = folder_of(path);
    fs::create_dir_all(&folder).map_err(fail)?;
    let mut file = NamedTempFile::new_in(&folder).map_err(fail)?;
    file.write_all(bytes).map_err(fail)?;
    // Temporary files are for their owner alone; a catalogue is for whoever may read its folder.
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        file.as_file().set_permissions(fs::Permissions::from_mode(0o644)).map_err(fail)?;
    }
    file.persist(path).map(|_| ()).map_err(|e| fail(e.error))
}

/// Folder of a path; the current one for a bare name.
pub(super) fn folder_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(folder) if folder != Path::new("") => folder.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// A file to put beside a catalogue, with its entry where it has one of its own.
pub(super) struct New {
    pub(super) entry: Entry,
    pub(super) bytes: Vec<u8>,
    pub(super) elf: Option<Vec<u8>>,
}

/// Appends entries to a catalogue, which is made where there is none, and writes their files.
pub(super) fn append(catalogue: &Path, new: &[New]) -> Result<(), ImageError> {
    let mut text = match fs::read_to_string(catalogue) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => HEADER.to_owned(),
        Err(why) => {
            return Err(ImageError::Read { what: "image catalogue", path: catalogue.to_owned(), why });
        }
    };
    let shown = catalogue.display().to_string();
    let there = parse(&shown, &text)?;
    for New { entry, .. } in new {
        if !is_name(&entry.name) {
            return Err(ImageError::BadName { name: entry.name.clone() });
        }
        if there.iter().any(|e| e.name == entry.name) {
            return Err(ImageError::Exists { name: entry.name.clone(), catalogue: catalogue.to_owned() });
        }
        if !text.is_empty() && !text.ends_with("\n\n") {
            text.push_str(if text.ends_with('\n') { "\n" } else { "\n\n" });
        }
        text.push_str(&entry.to_toml());
    }
    // Whatever the entries hold, the catalogue stays one that can be read.
    parse(&shown, &text)?;
    let folder = folder_of(catalogue);
    for New { entry, bytes, elf } in new {
        write("image", &folder.join(&entry.file), bytes)?;
        if let (Some(path), Some(elf)) = (&entry.elf, elf) {
            write("ELF file", &folder.join(path), elf)?;
        }
    }
    write("image catalogue", catalogue, text.as_bytes())
}

/// Puts an image (as [`Image::with_version`] and [`Image::with_profile`] make them) into a project's catalogue.
///
/// # Errors
///
/// The catalogue has one of that name, cannot be understood or written.
pub fn store(image: &Image, catalogue: &Path) -> Result<(), ImageError> {
    append(catalogue, &[New { entry: image.entry.clone(), bytes: image.bytes.clone(), elf: None }])
}
