//! What can go wrong with images and catalogues. None of it is the firmware's failure.

use std::path::PathBuf;

use esp_image::chip::ChipId;
use esp_image::patch::PatchError;
use esp_image::verify;
use miette::{Diagnostic, NamedSource, SourceSpan};

/// A catalogue file that cannot be understood, with the place.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[error("image catalogue {file}: {message}")]
pub struct CatalogueError {
    /// Path as the user named it.
    pub file: String,
    /// What is wrong, in words.
    pub message: String,
    /// The file's text.
    #[source_code]
    pub source_code: NamedSource<String>,
    /// The place.
    #[label("here")]
    pub span: Option<SourceSpan>,
    /// What to do.
    #[help]
    pub help: Option<String>,
}

/// An image cannot be found, read, patched or laid out.
#[derive(Debug, thiserror::Error, Diagnostic)]
pub enum ImageError {
    /// A catalogue cannot be understood.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Catalogue(#[from] Box<CatalogueError>),
    /// A file cannot be read.
    #[error("cannot read {what} {}: {why}", path.display())]
    Read {
        /// What it is: "image", "catalogue".
        what: &'static str,
        /// Path.
        path: PathBuf,
        /// The operating system's words.
        why: std::io::Error,
    },
    /// A file cannot be written.
    #[error("cannot write {what} {}: {why}", path.display())]
    Write {
        /// What it is.
        what: &'static str,
        /// Path.
        path: PathBuf,
        /// The operating system's words.
        why: std::io::Error,
    },
    /// No catalogue has such an image.
    #[error("no application image `{wanted}` for {chip} in the catalogue; {there}")]
    NotFound {
        /// Name or version as asked for.
        wanted: String,
        /// Chip.
        chip: ChipId,
        /// What there is, and how to add one.
        there: String,
    },
    /// More than one image fits.
    #[error("`{wanted}` for {chip} fits several images ({}); say which one by its name", names.join(", "))]
    Ambiguous {
        /// Version as asked for.
        wanted: String,
        /// Chip.
        chip: ChipId,
        /// Names of the images.
        names: Vec<String>,
    },
    /// The image is for another chip.
    #[error("image `{name}` is for {found}, the board is an {wanted}; choose an image for {wanted}, or another board")]
    OtherChip {
        /// Image.
        name: String,
        /// Its chip.
        found: ChipId,
        /// The board's.
        wanted: ChipId,
    },
    /// The chip is not supported here.
    #[error(
        "{what} is for chip id {id} ({}), which brickproof does not know; it knows esp32, esp32s3 and esp32c3",
        esp_image::chip::name_of_id(*id)
    )]
    UnknownChip {
        /// Image.
        what: String,
        /// Chip id in its header.
        id: u16,
    },
    /// File and entry differ.
    #[error(
        "image `{name}` is not what its catalogue says: {difference}; if the new file is meant, take the entry out and \
         add it again with `brickproof image add`"
    )]
    Untrue {
        /// Entry.
        name: String,
        /// What differs.
        difference: String,
    },
    /// The bytes are no application image.
    #[error("{what}: {why}{}", next_step(why))]
    NoApplication {
        /// File or image.
        what: String,
        /// Why.
        why: PatchError,
    },
    /// The image is damaged.
    #[error("{what} is damaged: {why}; build it again, or fetch it again if it was downloaded")]
    Damaged {
        /// File or image.
        what: String,
        /// Why.
        why: verify::ImageError,
    },
    /// A part that a first flash needs is not named.
    #[error(
        "image `{name}` cannot be flashed on an empty board: {missing}; add it with its bootloader and partition table, \
         from its ESP-IDF build folder (`brickproof image add BUILD_FOLDER`) or as a merged image"
    )]
    Incomplete {
        /// Image.
        name: String,
        /// What is missing, in words.
        missing: String,
    },
    /// The parts do not fit together on flash.
    #[error("image `{name}` cannot be laid out on flash: {why}")]
    Layout {
        /// Image.
        name: String,
        /// Why, and what to do.
        why: String,
    },
    /// The catalogue has an image of this name.
    #[error("catalogue {} has an image `{name}` already; choose another name with --name, or remove the entry", catalogue.display())]
    Exists {
        /// Name.
        name: String,
        /// Catalogue.
        catalogue: PathBuf,
    },
    /// A name that could not stand as a file name everywhere.
    #[error("`{name}` is no image name: use letters, digits, `.`, `_`, `+` and `-`, not beginning with `.`")]
    BadName {
        /// The name.
        name: String,
    },
    /// An ESP-IDF build folder that cannot be used.
    #[error("ESP-IDF build folder {}: {why}", path.display())]
    BuildFolder {
        /// Path.
        path: PathBuf,
        /// Why, and what to do.
        why: String,
    },
    /// The ELF file is of another build.
    #[error(
        "{} is not the ELF file of {what}: its SHA-256 begins with {found}, the image was made from {expected}; give the \
         ELF of the same build",
        path.display()
    )]
    OtherElf {
        /// ELF file.
        path: PathBuf,
        /// Image.
        what: String,
        /// First bytes of its SHA-256.
        found: String,
        /// First bytes of the one in the image's descriptor.
        expected: String,
    },
}

fn next_step(why: &PatchError) -> &'static str {
    match why {
        PatchError::NotAnImage { .. } => "; give the application's .bin of an ESP-IDF, Arduino or esp-hal build",
        PatchError::Merged { .. } => {
            "; serve or give the application's own .bin (in an ESP-IDF build folder `<project>.bin`), or add the merged \
             file to a catalogue with `brickproof image add`, which takes the application out of it"
        }
        PatchError::Truncated { .. } | PatchError::DescriptorCut { .. } => {
            "; build it again, or fetch it again if it was downloaded"
        }
        PatchError::NoDescriptor => "; give the application's .bin",
        PatchError::NoProfile => "; other firmware's behaviour is described in its firmware.toml",
        PatchError::Signed | PatchError::TooLong { .. } => "",
    }
}
