//! Recordings read back, whatever was left of them.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use super::{FORMAT, Footer, Header, Line, Recording, RecordingError};
use crate::compressed::{Damaged, Unpacked};
use crate::timeline::Event;

/// Bytes of the longest line that is read. The longest that is written holds a scenario file, or a console line of
/// [`crate::console::MAX_LINE`] bytes; a file that has a longer one was made to use up memory, which a few hundred bytes of
/// compressed zeros do.
const MAX_LINE: usize = 16 << 20;

impl Recording {
    /// Reads a recording of either form. A last line that is cut off is left out: the run was abandoned there.
    ///
    /// # Errors
    ///
    /// No file, no recording, a newer version, or damage before the last line.
    pub fn read(path: &Path) -> Result<Self, RecordingError> {
        let mut lines = Lines::open(path)?;
        let mut header = None;
        let mut events: Vec<Event> = Vec::new();
        let mut footer: Option<Footer> = None;
        while lines.next()? {
            if lines.number == 1 {
                header = Some(lines.header()?);
                continue;
            }
            match serde_json::from_slice(&lines.line) {
                Ok(Line::Event(event)) if event.seq == events.len() as u64 => events.push(*event),
                Ok(Line::Footer(found)) => footer = Some(found),
                Ok(_) => return Err(lines.damaged("it is out of order".to_owned())),
                Err(_) if !lines.is_whole() => break,
                Err(e) => return Err(lines.damaged(e.to_string())),
            }
        }
        let header = header.ok_or_else(|| lines.none())?;
        Ok(Self { header, events, footer })
    }
}

/// The lines of a file, one at a time.
struct Lines<'p> {
    path: &'p Path,
    reader: BufReader<Unpacked<File>>,
    /// The line read last, with its end.
    line: Vec<u8>,
    /// Its number, from 1.
    number: usize,
}

impl<'p> Lines<'p> {
    fn open(path: &'p Path) -> Result<Self, RecordingError> {
        let io = |source| RecordingError::Io { doing: "read", path: path.to_owned(), source };
        let reader = BufReader::new(Unpacked::new(File::open(path).map_err(io)?).map_err(io)?);
        Ok(Self { path, reader, line: Vec::new(), number: 0 })
    }

    /// Reads the next line; false at the end.
    fn next(&mut self) -> Result<bool, RecordingError> {
        self.line.clear();
        let read = self.reader.by_ref().take(MAX_LINE as u64 + 1).read_until(b'\n', &mut self.line);
        let path = || self.path.to_owned();
        let read = read.map_err(|source| {
            if Damaged::is(&source) {
                RecordingError::Unpacking { path: path(), lines: self.number, why: source.to_string() }
            } else {
                RecordingError::Io { doing: "read", path: path(), source }
            }
        })?;
        self.number += 1;
        if read > MAX_LINE {
            let (number, limit) = (self.number, MAX_LINE >> 20);
            let why = format!("line {number} is longer than {limit} MiB: no line of a brickproof recording is");
            return Err(RecordingError::NotReadable { path: path(), why });
        }
        Ok(read > 0)
    }

    fn is_whole(&self) -> bool {
        self.line.last() == Some(&b'\n')
    }

    fn damaged(&self, why: String) -> RecordingError {
        RecordingError::Damaged { path: self.path.to_owned(), line: self.number, why }
    }

    fn not(&self, why: impl Into<String>) -> RecordingError {
        RecordingError::NotReadable { path: self.path.to_owned(), why: why.into() }
    }

    /// There is no line at all.
    fn none(&self) -> RecordingError {
        self.not(if self.reader.get_ref().ended_early() {
            "the file ends before its first line does: the run was abandoned before it began"
        } else {
            "the file is empty: the run was abandoned before it began"
        })
    }

    fn header(&self) -> Result<Header, RecordingError> {
        let Ok(value) = serde_json::from_slice::<serde_json::Value>(&self.line) else {
            return Err(self.not(if !self.is_whole() && begins_header(&self.line) {
                "the file ends before its first line does: the run was abandoned before it began"
            } else {
                "this is no brickproof recording (*.jsonl, *.jsonl.zst)"
            }));
        };
        match value["header"]["format"].as_u64() {
            Some(format) if format > u64::from(FORMAT) => Err(self.not(format!(
                "it has format {format}, this program reads up to {FORMAT}: use the brickproof that made it, or a newer one"
            ))),
            Some(_) => match serde_json::from_value(value) {
                Ok(Line::Header(header)) => Ok(*header),
                Ok(_) => Err(self.not("this is no brickproof recording")),
                Err(e) => Err(self.damaged(e.to_string())),
            },
            None => Err(self.not("this is no brickproof recording: its first line is no header")),
        }
    }
}

/// Whether bytes are the begin of a header as it is written.
fn begins_header(line: &[u8]) -> bool {
    const BEGIN: &[u8] = b"{\"header\":{";
    line.starts_with(BEGIN) || BEGIN.starts_with(line)
}
