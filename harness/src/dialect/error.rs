//! What is wrong with a dialect file: where, why, and what was meant.

use std::ops::Range;
use std::sync::Arc;

use miette::{Diagnostic, LabeledSpan, NamedSource, SourceCode};

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

/// One thing that is wrong in a dialect file. Its text begins with `file:line:column`.
#[derive(Debug, thiserror::Error)]
#[error("{path}:{line}:{column}: {message}")]
pub struct Problem {
    path: String,
    line: usize,
    column: usize,
    message: String,
    help: Option<String>,
    span: Range<usize>,
    source_code: NamedSource<Arc<str>>,
}

impl Problem {
    pub(super) fn new(file: &File, span: Range<usize>, message: String, help: Option<String>) -> Self {
        let before = file.text.get(..span.start.min(file.text.len())).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        let source_code = NamedSource::new(&file.path, Arc::clone(&file.text)).with_language("TOML");
        Self { path: file.path.clone(), line, column, message, help, span, source_code }
    }

    /// Line in the file, from 1.
    #[must_use]
    pub fn line(&self) -> usize {
        self.line
    }

    /// Column in characters, from 1.
    #[must_use]
    pub fn column(&self) -> usize {
        self.column
    }

    /// Byte position, for ordering.
    pub(super) fn start(&self) -> usize {
        self.span.start
    }
}

impl Diagnostic for Problem {
    fn help<'a>(&'a self) -> Option<Box<dyn std::fmt::Display + 'a>> {
        self.help.as_ref().map(|help| Box::new(help) as Box<dyn std::fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        Some(&self.source_code)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        Some(Box::new(std::iter::once(LabeledSpan::new_with_span(Some("here".to_owned()), self.span.clone()))))
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
