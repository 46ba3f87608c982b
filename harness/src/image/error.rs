//! What can be wrong with images and catalogues.

use std::path::{Path, PathBuf};

/// An image or a catalogue cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// The file system refused.
    #[error("cannot {doing} {}: {source}", path.display())]
    Io {
        /// What was tried.
        doing: &'static str,
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Not an image, or not one that this needs.
    #[error("cannot use {}: {why}", path.display())]
    Unusable {
        /// Which file.
        path: PathBuf,
        /// Why, and what would do.
        why: String,
    },
    /// The catalogue file is malformed.
    #[error("catalogue {}: {why}", path.display())]
    Catalogue {
        /// Which file.
        path: PathBuf,
        /// Place and reason.
        why: String,
    },
    /// No such image.
    #[error("no image {wanted} for {chip} in the catalogue; there are {}", have.join(", "))]
    NotFound {
        /// What was asked for.
        wanted: String,
        /// For which chip.
        chip: String,
        /// What there is for it.
        have: Vec<String>,
    },
}

pub(super) fn read(path: &Path) -> Result<Vec<u8>, ImageError> {
    std::fs::read(path).map_err(|source| ImageError::Io { doing: "read", path: path.to_owned(), source })
}

pub(super) fn write(path: &Path, bytes: &[u8]) -> Result<(), ImageError> {
    std::fs::write(path, bytes).map_err(|source| ImageError::Io { doing: "write", path: path.to_owned(), source })
}
