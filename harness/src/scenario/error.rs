//! What is wrong with a file, at its place: file, line, column, what was meant.

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

/// All that is wrong with a file.
#[derive(Debug, Clone, thiserror::Error, Diagnostic)]
#[error("{path}: {} in this file", count(problems.len()))]
#[diagnostic(help("`brickproof check FILE` checks without running; docs/scenarios.md describes every key"))]
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
        let (line, column) = place(self.text, span.start);
        self.found.push(Problem {
            message: message.into(),
            span: span.into(),
            help,
            source_code: NamedSource::new(self.path, self.text.to_owned()),
            line,
            column,
        });
    }

    /// Adds what the TOML reader says.
    pub fn add_toml(&mut self, error: &toml::de::Error) {
        let span = error.span().unwrap_or(0..0);
        let message = error.message().to_owned();
        let help = meant(&message);
        self.add(span, message, help);
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

/// Reads serde's own message: "unknown field `x`, expected one of `a`, `b`" holds what could have been meant.
#[must_use]
pub fn meant(message: &str) -> Option<String> {
    let mut quoted = message.split('`').skip(1).step_by(2);
    let given = quoted.next()?;
    if !message.starts_with("unknown") {
        return None;
    }
    let known: Vec<&str> = quoted.collect();
    suggestion(given, &known)
}

/// "did you mean ...?", where something known is near.
#[must_use]
pub fn suggestion(given: &str, known: &[&str]) -> Option<String> {
    let nearest = known.iter().map(|k| (distance(given, k), *k)).min()?;
    if nearest.0 <= given.len().max(3) / 3 + 1 {
        return Some(format!("did you mean `{}`?", nearest.1));
    }
    Some(format!("known are {}", known.iter().map(|k| format!("`{k}`")).collect::<Vec<_>>().join(", ")))
}

/// Levenshtein distance.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, cb) in b.iter().enumerate() {
            let cost = diagonal + usize::from(ca != *cb);
            diagonal = row[j + 1];
            row[j + 1] = cost.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}
