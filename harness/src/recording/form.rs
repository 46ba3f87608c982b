//! The two forms of a recording's file, and what its name says of them.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use zstd::stream::write::Encoder;

/// Level of compression: what docs/decisions/0017-compressed-recordings.md measures it to be worth.
const LEVEL: i32 = 3;

/// How a recording stands on disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// Text: `*.jsonl`.
    #[default]
    Plain,
    /// The same text compressed by zstd, each line a block of its own: `*.jsonl.zst`.
    Compressed,
}

impl Form {
    /// The name of a recording's file.
    #[must_use]
    pub fn file_name(self, stem: &str) -> String {
        match self {
            Self::Plain => format!("{stem}.jsonl"),
            Self::Compressed => format!("{stem}.jsonl.zst"),
        }
    }

    /// The form that a file's name tells, where it is the name of a recording. What the file holds tells itself.
    #[must_use]
    pub fn of_name(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_str()?;
        if name.ends_with(".jsonl") {
            Some(Self::Plain)
        } else {
            name.ends_with(".jsonl.zst").then_some(Self::Compressed)
        }
    }
}

/// Where lines go.
pub(super) enum Output {
    Plain(File),
    Compressed(Box<Encoder<'static, File>>),
}

impl Output {
    pub(super) fn new(file: File, form: Form) -> io::Result<Self> {
        Ok(match form {
            Form::Plain => Self::Plain(file),
            Form::Compressed => {
                let mut encoder = Encoder::new(file, LEVEL)?;
                // A changed byte may leave lines that read well.
                encoder.include_checksum(true)?;
                Self::Compressed(Box::new(encoder))
            }
        })
    }

    /// Hands a whole line to the system.
    pub(super) fn line(&mut self, line: &[u8]) -> io::Result<()> {
        match self {
            Self::Plain(file) => file.write_all(line),
            Self::Compressed(encoder) => {
                encoder.write_all(line)?;
                // Ends the block and keeps the window: a reader has the line, and the next one may refer to it.
                encoder.flush()
            }
        }
    }

    pub(super) fn finish(self) -> io::Result<()> {
        match self {
            Self::Plain(_) => Ok(()),
            Self::Compressed(encoder) => encoder.finish().map(|_| ()),
        }
    }
}

impl std::fmt::Debug for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Plain(_) => "Plain",
            Self::Compressed(_) => "Compressed",
        })
    }
}
