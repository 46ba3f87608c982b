//! Recordings: a run's timeline on disk as JSON Lines, written as the run goes, readable to the last whole line.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::judge::Facts;
use crate::timeline::Event;
use crate::verdict::Verdict;

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
    file: BufWriter<File>,
}

impl Writer {
    /// Makes the file, which must not exist yet, and writes the header.
    ///
    /// # Errors
    ///
    /// The folder cannot be written, or the file is there already.
    pub fn create(path: &Path, header: &Header) -> Result<Self, RecordingError> {
        let file = File::create_new(path).map_err(|source| RecordingError::Io {
            doing: "create",
            path: path.to_owned(),
            source,
        })?;
        let mut writer = Self { path: path.to_owned(), file: BufWriter::new(file) };
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
        self.line(&Line::Footer(footer))
    }

    fn line(&mut self, line: &Line) -> Result<(), RecordingError> {
        let written = serde_json::to_writer(&mut self.file, line)
            .map_err(std::io::Error::from)
            .and_then(|()| self.file.write_all(b"\n"))
            .and_then(|()| self.file.flush());
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

impl Recording {
    /// Reads a recording. A last line that is cut off is left out: the run was abandoned there.
    ///
    /// # Errors
    ///
    /// No file, no recording, a newer version, or a damaged line before the last.
    pub fn read(path: &Path) -> Result<Self, RecordingError> {
        let io = |source| RecordingError::Io { doing: "read", path: path.to_owned(), source };
        let file = File::open(path).map_err(io)?;
        let mut header = None;
        let mut events: Vec<Event> = Vec::new();
        let mut footer = None;
        let mut reader = BufReader::new(file);
        let mut bytes = Vec::new();
        for number in 1.. {
            bytes.clear();
            if reader.read_until(b'\n', &mut bytes).map_err(io)? == 0 {
                break;
            }
            let whole = bytes.last() == Some(&b'\n');
            if number == 1 {
                header = Some(read_header(path, &bytes)?);
                continue;
            }
            match serde_json::from_slice(&bytes) {
                Ok(Line::Event(event)) if event.seq == events.len() as u64 => events.push(*event),
                Ok(Line::Footer(found)) => footer = Some(found),
                Ok(_) => return Err(damaged(path, number, "it is out of order".to_owned())),
                Err(_) if !whole => break,
                Err(e) => return Err(damaged(path, number, e.to_string())),
            }
        }
        let header = header.ok_or_else(|| RecordingError::NotReadable {
            path: path.to_owned(),
            why: "the file is empty: the run was abandoned before it began".to_owned(),
        })?;
        Ok(Self { header, events, footer })
    }
}

fn damaged(path: &Path, line: usize, why: String) -> RecordingError {
    RecordingError::Damaged { path: path.to_owned(), line, why }
}

fn read_header(path: &Path, bytes: &[u8]) -> Result<Header, RecordingError> {
    let not = |why: String| RecordingError::NotReadable { path: path.to_owned(), why };
    let value: serde_json::Value =
        serde_json::from_slice(bytes).map_err(|_| not("this is no brickproof recording (*.jsonl)".to_owned()))?;
    let format = value["header"]["format"].as_u64();
    match format {
        Some(format) if format > u64::from(FORMAT) => Err(not(format!(
            "it has format {format}, this program reads up to {FORMAT}: use the brickproof that made it, or a newer one"
        ))),
        Some(_) => match serde_json::from_value(value) {
            Ok(Line::Header(header)) => Ok(*header),
            Ok(_) => Err(not("this is no brickproof recording".to_owned())),
            Err(e) => Err(damaged(path, 1, e.to_string())),
        },
        None => Err(not("this is no brickproof recording: its first line is no header".to_owned())),
    }
}

#[cfg(test)]
mod tests;
