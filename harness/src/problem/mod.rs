//! What is wrong with a file that people write, at its place: file, line, column, what was meant.

mod suggest;

pub use suggest::{meant, nearest, suggestion};

use std::ops::Range;

use miette::{Diagnostic, NamedSource, SourceSpan};

/// One thing that is wrong.
#[derive(Debug, Clone, thiserror::Error, Diagnostic)]
#[error("{message}")]
pub struct Problem {
    /// What is wrong.
    pub message: String,
    /// Where (bytes).
    #[label("here")]
    pub span: SourceSpan,
    /// What was meant, or what to do.
    #[help]
    pub help: Option<String>,
    /// The file.
    #[source_code]
    pub source_code: NamedSource<String>,
    /// Line, from 1.
    pub line: usize,
    /// Column, from 1.
    pub column: usize,
}

impl Problem {
    /// A problem at a place of a file's text.
    #[must_use]
    pub fn new(path: &str, text: &str, span: Range<usize>, message: impl Into<String>, help: Option<String>) -> Self {
        let (line, column) = place(text, span.start);
        let source_code = NamedSource::new(path, text.to_owned()).with_language("TOML");
        Self { message: message.into(), span: span.into(), help, source_code, line, column }
    }

    /// What the TOML reader says.
    #[must_use]
    pub fn of_toml(path: &str, text: &str, error: &toml::de::Error) -> Self {
        let message = error.message().trim().to_owned();
        let help = meant(&message);
        Self::new(path, text, error.span().unwrap_or(0..0), message, help)
    }
}

/// All that is wrong with a file.
#[derive(Debug, Clone, thiserror::Error, Diagnostic)]
#[error("{path}: {} in this file", count(problems.len()))]
#[diagnostic(help(
    "`brickproof check FILE` checks without running; docs/scenarios.md and docs/bench.md describe every key"
))]
pub struct FileErrors {
    /// The file as named.
    pub path: String,
    /// What is wrong, in the order of the file.
    #[related]
    pub problems: Vec<Problem>,
}

fn count(n: usize) -> String {
    if n == 1 { "1 problem".to_owned() } else { format!("{n} problems") }
}

/// Collects problems of one file.
pub struct Problems<'t> {
    path: &'t str,
    text: &'t str,
    found: Vec<Problem>,
}

impl<'t> Problems<'t> {
    /// None yet.
    #[must_use]
    pub fn new(path: &'t str, text: &'t str) -> Self {
        Self { path, text, found: Vec::new() }
    }

    /// Adds one.
    pub fn add(&mut self, span: Range<usize>, message: impl Into<String>, help: Option<String>) {
        self.found.push(Problem::new(self.path, self.text, span, message, help));
    }

    /// Adds what the TOML reader says.
    pub fn add_toml(&mut self, error: &toml::de::Error) {
        self.found.push(Problem::of_toml(self.path, self.text, error));
    }

    /// The value, unless something was wrong.
    ///
    /// # Errors
    ///
    /// All problems.
    pub fn finish<T>(mut self, value: Option<T>) -> Result<T, FileErrors> {
        match value {
            Some(value) if self.found.is_empty() => Ok(value),
            _ => {
                self.found.sort_by_key(|p| p.span.offset());
                Err(FileErrors { path: self.path.to_owned(), problems: self.found })
            }
        }
    }
}

/// Line and column of a byte, both from 1.
#[must_use]
pub fn place(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |n| n + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}
