//! Reports made again from recordings alone.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use super::outcome::{evidence, report_recording};
use super::{made_by, rfc3339};
use crate::recording::{Form, Recording};
use crate::report::html;
use crate::report::model::{self, Report, ScenarioReport};

/// The recordings below a folder, at any depth, in no order.
///
/// # Errors
///
/// A folder cannot be read.
pub fn recordings_below(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            recordings_below(&path, files)?;
        } else if is_recording(&path) {
            files.push(path);
        }
    }
    Ok(())
}

/// Whether a file is a recording by its name, and no packed copy beside one: whoever packs one with zstd has both, and it is one run.
#[must_use]
pub fn is_recording(path: &Path) -> bool {
    Form::of_name(path).is_some_and(|form| form == Form::Plain || !path.with_extension("").is_file())
}

/// A report of recordings, each judged again. They are named relative to `folder` where they lie below it.
///
/// # Errors
///
/// A recording cannot be read, in words.
pub fn report_of(files: &[PathBuf], folder: &Path) -> Result<Report, String> {
    let mut scenarios = Vec::new();
    let mut began = u64::MAX;
    for file in files {
        let recording = Recording::read(file).map_err(|e| e.to_string())?;
        began = began.min(recording.header.began_wall_ms);
        let shown = file.strip_prefix(folder).unwrap_or(file).display().to_string();
        let (_, report) = report_recording(&recording, &shown).map_err(|e| format!("{}: {e}", file.display()))?;
        scenarios.push(report);
    }
    Ok(Report {
        format: model::FORMAT,
        made_by: made_by(),
        began: rfc3339(UNIX_EPOCH.checked_add(Duration::from_millis(began)).unwrap_or(UNIX_EPOCH)),
        wall_ms: scenarios.iter().map(|s| s.wall_ms).sum(),
        scenarios,
        problems: Vec::new(),
        changes: None,
        past: None,
    })
}

/// Writes a report's page, with the timelines of its recordings, which are relative to `folder`. `scratch` is where a
/// scratch file without a name can be made.
///
/// # Errors
///
/// The page or its scratch file cannot be written, in words. A recording that cannot be read is told on the page.
pub fn page(report: &Report, folder: &Path, scratch: &Path, out: &mut impl Write) -> Result<(), String> {
    let mut scratch = tempfile::tempfile_in(scratch).map_err(|e| format!("no scratch file: {e}"))?;
    let find = |scenario: &ScenarioReport| match &scenario.recording {
        Some(recording) => {
            Recording::read(&recording_of(folder, recording)).map_err(|e| e.to_string()).and_then(evidence).map(Some)
        }
        None => Ok(None),
    };
    html::write(report, find, &mut scratch, out).map_err(|e| e.to_string())
}

/// Where a report's recording is: relative to the report, or as it was named when it lies elsewhere.
fn recording_of(folder: &Path, recording: &str) -> PathBuf {
    let below = folder.join(recording);
    if below.is_file() { below } else { PathBuf::from(recording) }
}
