//! Recordings for the page: kept ones, and such as no firmware of good will would leave.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use brickproof::console::{ConsoleReader, ReadLine};
use brickproof::recording::{Footer, Form, Header, Recording, Writer};
use brickproof::timeline::{Action, ConsoleLine, Event, EventKind, Timeline};
use brickproof::verdict::Verdict;

/// Control characters, which the console reader replaces.
const TAMPERED: &str = "nul \0 bell \u{7} delete \u{7f} escape \u{1b}[31m next line \u{85}";

/// A folder with recordings, of which reports are made.
pub(crate) struct Folder(pub(crate) tempfile::TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().expect("folder"))
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Recordings that the project keeps.
    pub(crate) fn with_kept(self, names: &[&str]) -> Self {
        for name in names {
            std::fs::copy(kept(name), self.path().join(name)).expect("copied");
        }
        self
    }

    /// Makes the report as a user does, and returns its page.
    pub(crate) fn report(&self) -> PathBuf {
        let mut command = Command::new(env!("CARGO_BIN_EXE_brickproof"));
        let made = command.arg("report").arg(self.path()).env_remove("RUST_LOG").output().expect("brickproof");
        assert!(made.status.code().is_some_and(|code| code <= 3), "{}", String::from_utf8_lossy(&made.stderr));
        let page = self.path().join("report.html");
        assert!(page.is_file(), "{}", String::from_utf8_lossy(&made.stderr));
        page
    }

    /// Writes a recording: console bytes as the device sends them, each with its moment in milliseconds.
    pub(crate) fn record(&self, name: &str, header: &Header, console: impl Iterator<Item = (u64, Vec<u8>)>) {
        let dialect = brickproof::dialect::load("xiaozhi").expect("dialect");
        let mut reader = ConsoleReader::new(Arc::new(dialect));
        let path = self.path().join(name);
        let mut writer = Writer::create(&path, Form::Plain, header).expect("recording");
        let sink = |event: &Event| writer.event(event).expect("written");
        let mut line = Timeline::new(|| header.began_wall_ms, sink);
        let moment = std::time::Duration::from_millis;
        let started = Action::RunStarted {
            scenario: "s".to_owned(),
            board: header.board.clone(),
            chip: header.chip.clone(),
            warped: header.warped,
        };
        line.record(moment(0), None, EventKind::Action(started));
        let mut end = 0;
        for (at, bytes) in console {
            end = at;
            told(&mut line, moment(at), reader.feed(&bytes));
        }
        told(&mut line, moment(end), reader.finish());
        // What the reader lets nobody through with: as of a recording that was made or changed elsewhere.
        for text in [TAMPERED.to_owned(), "x".repeat(1 << 20)] {
            let console = ConsoleLine { text, raw: None, cut: false, level: None, tag: None, message: None };
            line.record(moment(end + 1), None, EventKind::Console(console));
        }
        line.record(moment(end + 2), None, EventKind::Action(Action::RunEnded));
        drop(line);
        let verdict = Verdict::skipped("as it was at the time".to_owned());
        writer.finish(Footer { verdict, wall_ms: 1 }).expect("footer");
    }
}

/// Lines and what the dialect reads out of them, as the engine records them.
fn told(timeline: &mut Timeline<'_>, at: std::time::Duration, read: Vec<ReadLine>) {
    for (console, device, events) in read {
        let line = timeline.record(at, device, EventKind::Console(console));
        for event in events {
            timeline.record(at, device, EventKind::Device { line, event });
        }
    }
}

/// The header of a kept recording, with another scenario.
pub(crate) fn header(scenario: &str) -> Header {
    let recording = Recording::read(&kept("impatient.jsonl")).expect("kept recording");
    Header { scenario: scenario.to_owned(), scenario_path: "s.toml".to_owned(), case: None, ..recording.header }
}

fn kept(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/recordings").join(name)
}
