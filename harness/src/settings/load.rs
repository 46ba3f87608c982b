//! Where settings are found.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::layer::Layer;
use crate::problem::FileErrors;

/// Name of the project file, which is looked for in the working folder and the folders above it.
pub const PROJECT_FILE: &str = "brickproof.toml";
/// Name of the bench file: what is true of this machine alone, and not kept with the project. It stands beside the project
/// file.
pub const BENCH_FILE: &str = "brickproof.bench.toml";
/// The lowest layer.
pub const DEFAULTS: &str = include_str!("defaults.toml");

/// Settings could not be read.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum LoadError {
    /// A file that was named, or is there, cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file is wrong.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Wrong(#[from] FileErrors),
}

/// Which files are read.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// The project file, where it is named; it must be there then.
    pub project: Option<PathBuf>,
    /// The bench file, where it is named; it must be there then.
    pub bench: Option<PathBuf>,
}

impl Sources {
    /// As the environment names them: `BRICKPROOF_CONFIG`, `BRICKPROOF_BENCH`.
    #[must_use]
    pub fn from_environment() -> Self {
        let named = |variable| std::env::var_os(variable).filter(|v| !v.is_empty()).map(PathBuf::from);
        Self { project: named("BRICKPROOF_CONFIG"), bench: named("BRICKPROOF_BENCH") }
    }
}

/// All settings of files, merged.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What they say together.
    pub merged: Layer,
    /// The files that were read, the project file first.
    pub files: Vec<PathBuf>,
}

impl Settings {
    /// Reads what there is, seen from a folder.
    ///
    /// # Errors
    ///
    /// [`LoadError`].
    pub fn load(sources: &Sources, folder: &Path) -> Result<Self, LoadError> {
        let project = match &sources.project {
            Some(named) => Some(named.clone()),
            None => folder.ancestors().map(|above| above.join(PROJECT_FILE)).find(|file| file.is_file()),
        };
        let bench = match (&sources.bench, &project) {
            (Some(named), _) => Some(named.clone()),
            (None, Some(project)) => beside(project),
            (None, None) => folder.ancestors().map(|above| above.join(BENCH_FILE)).find(|file| file.is_file()),
        };
        let mut merged = Layer::parse("embedded defaults", DEFAULTS)?;
        let files: Vec<PathBuf> = [project, bench].into_iter().flatten().collect();
        for file in &files {
            merged = read(file)?.over(merged);
        }
        Ok(Self { merged, files })
    }

    /// The files, for messages.
    #[must_use]
    pub fn told(&self) -> String {
        match self.files.as_slice() {
            [] => format!("there is no {PROJECT_FILE} here or above, nor a {BENCH_FILE}: `brickproof init` writes one"),
            files => files.iter().map(|file| file.display().to_string()).collect::<Vec<_>>().join(" and "),
        }
    }
}

fn beside(project: &Path) -> Option<PathBuf> {
    Some(project.with_file_name(BENCH_FILE)).filter(|file| file.is_file())
}

fn read(file: &Path) -> Result<Layer, LoadError> {
    let unreadable = |source| LoadError::Unreadable { path: file.to_owned(), source };
    let bytes = fs::read(file).map_err(unreadable)?;
    let text = String::from_utf8(bytes)
        .map_err(|e| unreadable(std::io::Error::new(ErrorKind::InvalidData, format!("it is no UTF-8 text: {e}"))))?;
    let layer = Layer::parse(&file.display().to_string(), &text)?;
    Ok(layer.in_folder(file.parent().unwrap_or(Path::new(""))))
}
