//! Recordings: a run's timeline on disk as JSON Lines, written as the run goes, readable to the last whole line.
//!
//! They stand on disk as text or compressed ([`Form`]); whoever reads one need not know which.

mod form;
mod read;

use std::fs::File;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::judge::Facts;
use crate::timeline::Event;
use crate::verdict::Verdict;

pub use form::Form;

use form::Output;

/// Version of the form; raised when a reader of the former could misread the new one.
pub const FORMAT: u32 = 1;

/// First line: everything that is needed to judge the recording again, anywhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Header {
    /// [`FORMAT`].
    pub format: u32,
    /// Program and version.
    pub made_by: String,
    /// Scenario file: path as named, and text with its templates filled in.
    pub scenario_path: String,
    /// Which case of its matrix, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub case: Option<String>,
    /// The scenario's text.
    pub scenario: String,
    /// Values of the scenario's templates.
    pub values: std::collections::BTreeMap<String, String>,
    /// Board name.
    pub board: String,
    /// Chip name.
    pub chip: String,
    /// Facts of board and firmware that the judge needs.
    pub facts: Facts,
    /// Which repeat, from 1.
    pub attempt: u32,
    /// Seed of everything random.
    pub seed: u64,
    /// When the run began: milliseconds since 1970.
    pub began_wall_ms: u64,
    /// True when time was warped.
    pub warped: bool,
}

/// Last line of a run that was finished.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Footer {
    /// The verdict at the time.
    pub verdict: Verdict,
    /// Wall time of the run in milliseconds.
    pub wall_ms: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Line {
    Header(Box<Header>),
    Event(Box<Event>),
    Footer(Footer),
}

/// A recording could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum RecordingError {
    /// The file system refused.
    #[error("cannot {doing} recording {}: {source}", path.display())]
    Io {
        /// What was tried.
        doing: &'static str,
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A line is no JSON of a recording.
    #[error("recording {}: line {line} is damaged: {why}; the lines before it are whole", path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// Why.
        why: String,
    },
    /// What zstd wrote was changed.
    #[error(
        "recording {}: {why} somewhere after line {lines}; `zstd -dc` prints the lines before the damage, copy the file anew \
         if it came from elsewhere", path.display()
    )]
    Unpacking {
        /// Which file.
        path: PathBuf,
        /// Lines read before it was noticed.
        lines: usize,
        /// Why, in zstd's words.
        why: String,
    },
    /// Not a recording, or one of a newer version.
    #[error("{}: {why}", path.display())]
    NotReadable {
        /// Which file.
        path: PathBuf,
        /// Why, and what to do.
        why: String,
    },
}

/// Writes a recording, a line per event, each handed to the system at once.
#[derive(Debug)]
pub struct Writer {
    path: PathBuf,
    output: Output,
    line: Vec<u8>,
}

impl Writer {
    /// Makes the file, which must not exist yet, and writes the header.
    ///
    /// # Errors
    ///
    /// The folder cannot be written, or the file is there already.
    pub fn create(path: &Path, form: Form, header: &Header) -> Result<Self, RecordingError> {
        let io = |source| RecordingError::Io { doing: "create", path: path.to_owned(), source };
        let file = File::create_new(path).map_err(io)?;
        let output = Output::new(file, form).map_err(io)?;
        let mut writer = Self { path: path.to_owned(), output, line: Vec::new() };
        writer.line(&Line::Header(Box::new(header.clone())))?;
        Ok(writer)
    }

    /// Writes an event.
    ///
    /// # Errors
    ///
    /// The disk is full or gone.
    pub fn event(&mut self, event: &Event) -> Result<(), RecordingError> {
        self.line(&Line::Event(Box::new(event.clone())))
    }

    /// Writes the footer: the run is finished.
    ///
    /// # Errors
    ///
    /// The disk is full or gone.
    pub fn finish(mut self, footer: Footer) -> Result<(), RecordingError> {
        self.line(&Line::Footer(footer))?;
        let Self { path, output, .. } = self;
        output.finish().map_err(|source| RecordingError::Io { doing: "write", path, source })
    }

    fn line(&mut self, line: &Line) -> Result<(), RecordingError> {
        self.line.clear();
        let written = serde_json::to_writer(&mut self.line, line).map_err(std::io::Error::from).and_then(|()| {
            self.line.push(b'\n');
            self.output.line(&self.line)
        });
        written.map_err(|source| RecordingError::Io { doing: "write", path: self.path.clone(), source })
    }
}

/// A recording as read.
#[derive(Clone, Debug)]
pub struct Recording {
    /// Header.
    pub header: Header,
    /// Events.
    pub events: Vec<Event>,
    /// Footer; a run that was abandoned has none.
    pub footer: Option<Footer>,
}

#[cfg(test)]
mod tests;
