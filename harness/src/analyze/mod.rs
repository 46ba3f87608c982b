//! What a captured console says happened: boots, requests, errors, retries and their law, crashes, and the likely cause.
//!
//! Reads a stream of any length in bounded memory. What this module must never know: boards, runs, verdicts.

mod law;
mod render;
mod summary;

use std::io::{self, ErrorKind, Read, Write};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use url::Url;

use crate::console::{ConsoleReader, ReadLine};
use crate::diagnose::{Cause, Diagnoser};
use crate::dialect::Dialect;
use crate::symbols::Elf;

pub use law::{Law, fit};
pub use render::render;
pub use summary::{Boot, Crash, ErrorSeen, Ladder, Request, Retry, Summary};

use summary::Summariser;

/// Bytes read at once.
const CHUNK: usize = 64 * 1024;

/// What a console says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Analysis {
    /// Dialect that read it.
    pub dialect: String,
    /// What happened.
    pub summary: Summary,
    /// Likely causes, the surest first.
    pub causes: Vec<Cause>,
}

/// Reads a captured console to its end. `server`: the OTA server's URL as the device should have it, where known.
///
/// # Errors
/// When the stream cannot be read.
pub fn analyze(console: impl Read, dialect: Arc<Dialect>, server: Option<&Url>) -> io::Result<Analysis> {
    read(console, ConsoleReader::new(dialect), server)
}

fn read(mut console: impl Read, mut reader: ConsoleReader, server: Option<&Url>) -> io::Result<Analysis> {
    let name = reader.dialect().name().to_owned();
    let mut analyzer =
        Analyzer { line: 0, summariser: Summariser::default(), diagnoser: Diagnoser::new(server.cloned()) };
    let mut buffer = vec![0; CHUNK];
    loop {
        match console.read(&mut buffer) {
            Ok(0) => break,
            Ok(n) => {
                analyzer.summariser.bytes(n);
                analyzer.take(reader.feed(&buffer[..n]));
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    analyzer.take(reader.finish());
    Ok(Analysis { dialect: name, summary: analyzer.summariser.finish(), causes: analyzer.diagnoser.finish() })
}

/// How an analysis is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// For people.
    Text,
    /// [`Analysis`] as JSON.
    Json,
}

/// Entry point of `brickproof analyze`: reads the console with a reader before its first line, writes the analysis; with the firmware's ELF file, where it crashed.
///
/// # Errors
/// When the console cannot be read or the output not be written.
pub fn run(
    console: impl Read,
    reader: ConsoleReader,
    server: Option<&Url>,
    elf: Option<&Elf>,
    format: Format,
    out: &mut dyn Write,
) -> io::Result<Analysis> {
    let mut analysis = read(console, reader, server)?;
    if let Some(elf) = elf {
        analysis.summary.crashes.iter_mut().for_each(|crash| crash.decode(elf));
    }
    match format {
        Format::Text => out.write_all(render(&analysis).as_bytes())?,
        Format::Json => {
            serde_json::to_writer_pretty(&mut *out, &analysis)?;
            writeln!(out)?;
        }
    }
    Ok(analysis)
}

struct Analyzer {
    line: u64,
    summariser: Summariser,
    diagnoser: Diagnoser,
}

impl Analyzer {
    fn take(&mut self, lines: Vec<ReadLine>) {
        for (line, at, events) in lines {
            self.line += 1;
            self.summariser.line(self.line, &line, at);
            self.diagnoser.see_line(self.line, &line, at);
            for event in &events {
                self.summariser.event(self.line, event, at);
                self.diagnoser.see_device(self.line, event);
            }
        }
    }
}

#[cfg(test)]
mod tests;
