//! `brickproof judge` and `brickproof report`: everything from recordings alone.

use std::path::{Path, PathBuf};

use miette::{Result, miette};

use super::args::{JudgeArgs, ReportArgs};
use super::compare::Baseline;
use super::{out, run::page_of};
use crate::compare;
use crate::recording::{Form, Recording};
use crate::report::{html, junit, model, model::Report, terminal};
use crate::run::{evidence, made_by, report_recording, rfc3339};
use crate::verdict::exit_code;

pub(super) fn judge(args: &JudgeArgs) -> Result<u8> {
    let mut statuses = Vec::new();
    for path in &args.recordings {
        let recording = Recording::read(path).map_err(|e| miette!("{e}"))?;
        let (verdict, report) = report_recording(&recording, &path.display().to_string())
            .map_err(|e| miette!("{}: {e}", path.display()))?;
        if args.json {
            out(&(serde_json::to_string_pretty(&verdict).unwrap_or_default() + "\n"))?;
        } else {
            out(&terminal::explanation(&report))?;
            for e in verdict.expectations.iter().filter(|e| e.status == model::Status::Pass) {
                out(&format!("  pass {} ({})\n", e.label, e.found))?;
            }
            if let Some(then) = &recording.footer
                && then.verdict.status != verdict.status
            {
                out(&format!("  note: the verdict at the time was {}\n", then.verdict.status.word()))?;
            }
        }
        statuses.push(verdict.status);
    }
    Ok(exit_code(statuses))
}

pub(super) fn report(args: &ReportArgs) -> Result<u8> {
    let mut files = Vec::new();
    for folder in &args.folders {
        find(folder, &mut files).map_err(|e| miette!("cannot read {}: {e}", folder.display()))?;
    }
    files.sort();
    if files.is_empty() {
        return Err(miette!("there is no recording (*.jsonl, *.jsonl.zst) below {}", args.folders[0].display()));
    }
    let output = args.output.clone().unwrap_or_else(|| args.folders[0].clone());
    let mut scenarios = Vec::new();
    let mut began = u64::MAX;
    for file in &files {
        let recording = Recording::read(file).map_err(|e| miette!("{e}"))?;
        began = began.min(recording.header.began_wall_ms);
        let shown = file.strip_prefix(&output).unwrap_or(file).display().to_string();
        let (_, report) = report_recording(&recording, &shown).map_err(|e| miette!("{}: {e}", file.display()))?;
        scenarios.push(report);
    }
    // A baseline that cannot be compared is told before anything is written.
    let baseline = if args.baseline.is_empty() { None } else { Some(Baseline::read(&args.baseline)?) };
    let comparison = baseline.as_ref().map(|baseline| baseline.against(&args.folders)).transpose()?;
    let told = baseline.as_ref().zip(comparison.as_ref());
    let report = Report {
        format: model::FORMAT,
        made_by: made_by(),
        began: rfc3339(std::time::UNIX_EPOCH + std::time::Duration::from_millis(began)),
        wall_ms: scenarios.iter().map(|s| s.wall_ms).sum(),
        scenarios,
        problems: Vec::new(),
        changes: told.map(|(baseline, comparison)| baseline.told(comparison, &args.fail_on)),
    };
    let page = write_reports(&report, &output)?;
    out(&terminal::table(&report))?;
    out(&format!("report: {}\n", page.display()))?;
    let code = exit_code(report.scenarios.iter().map(|s| s.status));
    let Some(comparison) = comparison else { return Ok(code) };
    out(&format!("\n{}", compare::render(&comparison)))?;
    Ok(code.max(super::compare::verdict(&comparison, &args.fail_on, true)?))
}

/// The recordings below a folder.
pub(super) fn find(folder: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            find(&path, files)?;
        } else if Form::of_name(&path).is_some_and(|form| form == Form::Plain || !has_plain(&path)) {
            files.push(path);
        }
    }
    Ok(())
}

/// Whether the same recording stands there as text: whoever packs one with zstd has both, and it is one run.
fn has_plain(compressed: &Path) -> bool {
    compressed.with_extension("").is_file()
}

/// Writes the page. `run` and `report` both make it from the recordings, so that it is the same page.
fn write_page(report: &Report, folder: &Path, page: &Path) -> std::result::Result<(), String> {
    let mut scratch = tempfile::tempfile_in(folder).map_err(|e| format!("no scratch file: {e}"))?;
    let file = std::fs::File::create(page).map_err(|e| e.to_string())?;
    let find = |scenario: &model::ScenarioReport| match &scenario.recording {
        Some(recording) => {
            Recording::read(&recording_of(folder, recording)).map_err(|e| e.to_string()).and_then(evidence).map(Some)
        }
        None => Ok(None),
    };
    html::write(report, find, &mut scratch, &mut std::io::BufWriter::new(file)).map_err(|e| e.to_string())
}

/// Where a report's recording is: relative to the report, or as it was named when it lies elsewhere.
fn recording_of(folder: &Path, recording: &str) -> PathBuf {
    let below = folder.join(recording);
    if below.is_file() { below } else { PathBuf::from(recording) }
}

/// Writes HTML, JUnit XML, JSON, TAP, OpenMetrics and Markdown into a folder; returns the page.
pub(super) fn write_reports(report: &Report, folder: &Path) -> Result<PathBuf> {
    let failed = |what: &str, why: String| miette!("cannot write {what} in {}: {why}", folder.display());
    std::fs::create_dir_all(folder).map_err(|e| failed("the report", e.to_string()))?;
    let page = page_of(folder);
    write_page(report, folder, &page).map_err(|e| failed("report.html", e))?;
    let xml = junit::render(report).map_err(|e| failed("junit.xml", e))?;
    std::fs::write(folder.join("junit.xml"), xml).map_err(|e| failed("junit.xml", e.to_string()))?;
    let json = crate::report::json::render(report).map_err(|e| failed("report.json", e.to_string()))?;
    std::fs::write(folder.join("report.json"), json).map_err(|e| failed("report.json", e.to_string()))?;
    let tap = crate::report::tap::render(report);
    std::fs::write(folder.join("results.tap"), tap).map_err(|e| failed("results.tap", e.to_string()))?;
    let made = std::time::UNIX_EPOCH.elapsed().unwrap_or_default().as_millis();
    let metrics = crate::report::openmetrics::render(report, u64::try_from(made).unwrap_or(u64::MAX));
    std::fs::write(folder.join("metrics.txt"), metrics).map_err(|e| failed("metrics.txt", e.to_string()))?;
    let summary = crate::report::markdown::render(report);
    std::fs::write(folder.join("summary.md"), summary).map_err(|e| failed("summary.md", e.to_string()))?;
    Ok(page)
}
