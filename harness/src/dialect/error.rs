//! What is wrong with a dialect file: where, why, and what was meant.

use std::ops::Range;
use std::sync::Arc;

use miette::Diagnostic;

use crate::problem::Problem;

/// A dialect that cannot be used, with everything that is wrong with it.
#[derive(Debug, thiserror::Error)]
pub enum DialectError {
    /// There is no embedded dialect of this name, and it is no path.
    #[error("no dialect is named \"{name}\"; the embedded ones are {known}")]
    Unknown {
        /// The name asked for.
        name: String,
        /// The names that exist.
        known: String,
    },
    /// The file could not be read.
    #[error("could not read dialect file {path}: {source}")]
    Read {
        /// The path as given.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// The file was read and is wrong.
    #[error("dialect {path} cannot be used: {} problem{} found", .problems.len(), if .problems.len() == 1 { "" } else { "s" })]
    Invalid {
        /// The file as the user named it.
        path: String,
        /// All that is wrong, in the order of the file.
        problems: Vec<Problem>,
    },
}

impl Diagnostic for DialectError {
    fn help<'a>(&'a self) -> Option<Box<dyn std::fmt::Display + 'a>> {
        match self {
            Self::Unknown { .. } => {
                Some(Box::new("for a dialect of your own give its path, with a folder or the ending .toml in it"))
            }
            Self::Read { .. } => Some(Box::new("give the path of a dialect file that exists and may be read")),
            Self::Invalid { .. } => None,
        }
    }

    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn Diagnostic> + 'a>> {
        match self {
            Self::Invalid { problems, .. } => Some(Box::new(problems.iter().map(|problem| problem as &dyn Diagnostic))),
            Self::Unknown { .. } | Self::Read { .. } => None,
        }
    }
}

/// A dialect file as read.
#[derive(Clone, Debug)]
pub(super) struct File {
    /// As the user named it.
    pub(super) path: String,
    /// Its text.
    pub(super) text: Arc<str>,
}

impl File {
    pub(super) fn problem(&self, span: Range<usize>, message: String, help: Option<String>) -> Problem {
        Problem::new(&self.path, &self.text, span, message, help)
    }
}
