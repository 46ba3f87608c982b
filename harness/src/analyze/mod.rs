//! What a captured console says happened: boots, requests, errors, retries and their law, crashes, and the likely cause.
//!
//! Reads a stream of any length in bounded memory, also one that zstd compressed; what lists have no room for is counted.
//! What this module must never know: boards, runs, verdicts.

mod law;
mod render;
mod summary;

use std::io::{self, ErrorKind, Read, Write};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use url::Url;

use crate::compressed::Unpacked;
use crate::console::{ConsoleReader, ReadLine};
use crate::diagnose::{Cause, Diagnoser};
use crate::dialect::Dialect;
use crate::symbols::Elf;

pub use law::{Law, fit};
pub use render::render;
pub use summary::{Boot, Crash, ErrorSeen, Ladder, LeftOut, Request, Retry, Summary};

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
    /// Failures and crashes of further kinds than causes were looked for.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub failures_left_out: u64,
    /// The console is compressed and ends before its end mark: what wrote it was killed, or writes still.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ended_early: bool,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// Reads a captured console to its end. `server`: the OTA server's URL as the device should have it, where known.
///
/// # Errors
/// When the stream cannot be read, or is a recording.
pub fn analyze(console: impl Read, dialect: Arc<Dialect>, server: Option<&Url>) -> io::Result<Analysis> {
    read(console, ConsoleReader::new(dialect), server)
}

fn read(console: impl Read, mut reader: ConsoleReader, server: Option<&Url>) -> io::Result<Analysis> {
    let name = reader.dialect().name().to_owned();
    let mut console = Unpacked::new(console)?;
    let mut analyzer = Analyzer {
        line: 0,
        is_recording: false,
        summariser: Summariser::default(),
        diagnoser: Diagnoser::new(server.cloned()),
    };
    let mut buffer = vec![0; CHUNK];
    loop {
        match console.read(&mut buffer) {
            Ok(0) => break,
            Ok(n) => {
                analyzer.summariser.bytes(n);
                reader.feed_each(&buffer[..n], |line| analyzer.take(&line));
                if analyzer.is_recording {
                    return Err(io::Error::other(
                        "this is a recording of a run and no console: `brickproof judge` reads it",
                    ));
                }
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    reader.finish().iter().for_each(|line| analyzer.take(line));
    let conclusion = analyzer.diagnoser.conclude();
    Ok(Analysis {
        dialect: name,
        summary: analyzer.summariser.finish(),
        causes: conclusion.causes,
        failures_left_out: conclusion.left_out,
        ended_early: console.ended_early(),
    })
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
    is_recording: bool,
    summariser: Summariser,
    diagnoser: Diagnoser,
}

impl Analyzer {
    fn take(&mut self, (line, at, events): &ReadLine) {
        self.line += 1;
        self.is_recording |= self.line == 1 && line.text.starts_with("{\"header\":{\"format\":");
        self.summariser.line(self.line, line, *at);
        self.diagnoser.see_line(self.line, line, *at);
        for event in events {
            self.summariser.event(self.line, event, *at);
            self.diagnoser.see_device(self.line, event);
        }
    }
}

#[cfg(test)]
mod tests;
