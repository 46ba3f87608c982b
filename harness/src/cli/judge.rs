//! `brickproof judge` and `brickproof report`: everything from recordings alone.

use std::path::{Path, PathBuf};

use miette::{Result, miette};

use super::args::{JudgeArgs, ReportArgs};
use super::compare::Baseline;
use super::{history, out, run::page_of};
use crate::compare;
use crate::recording::Recording;
use crate::report::{junit, model, model::Report, terminal};
use crate::run::recorded::{self, recordings_below, report_of};
use crate::run::report_recording;
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
        recordings_below(folder, &mut files).map_err(|e| miette!("cannot read {}: {e}", folder.display()))?;
    }
    files.sort();
    if files.is_empty() {
        return Err(miette!("there is no recording (*.jsonl, *.jsonl.zst) below {}", args.folders[0].display()));
    }
    let output = args.output.clone().unwrap_or_else(|| args.folders[0].clone());
    let mut report = report_of(&files, &output).map_err(|e| miette!("{e}"))?;
    // A baseline that cannot be compared is told before anything is written.
    let baseline = if args.baseline.is_empty() { None } else { Some(Baseline::read(&args.baseline)?) };
    let comparison = baseline.as_ref().map(|baseline| baseline.against(&args.folders)).transpose()?;
    let told = baseline.as_ref().zip(comparison.as_ref());
    report.changes = told.map(|(baseline, comparison)| baseline.told(comparison, &args.fail_on));
    report.past = history::past(&args.history, &report)?;
    let page = write_reports(&report, &output)?;
    out(&terminal::table(&report))?;
    out(&format!("report: {}\n", page.display()))?;
    let code = exit_code(report.scenarios.iter().map(|s| s.status));
    let Some(comparison) = comparison else { return Ok(code) };
    out(&format!("\n{}", compare::render(&comparison)))?;
    Ok(code.max(super::compare::verdict(&comparison, &args.fail_on, true)?))
}

/// Writes the page. `run` and `report` both make it from the recordings, so that it is the same page.
fn write_page(report: &Report, folder: &Path, page: &Path) -> std::result::Result<(), String> {
    let file = std::fs::File::create(page).map_err(|e| e.to_string())?;
    recorded::page(report, folder, folder, &mut std::io::BufWriter::new(file))
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
