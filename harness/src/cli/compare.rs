//! `brickproof compare`: what changed between two sets of runs, from recordings alone.

use std::path::{Path, PathBuf};

use miette::{Result, miette};
use serde::Serialize;

use super::args::CompareArgs;
use super::out;
use crate::compare::{Comparison, FailOn, Origin, Run, render};
use crate::metrics::Metrics;
use crate::recording::Recording;
use crate::report::changes::Changes;
use crate::run::recorded::recordings_below;
use crate::run::report_recording;

pub(super) fn compare(args: &CompareArgs) -> Result<u8> {
    let (before, now) = match args.baseline.as_slice() {
        [] => match args.runs.as_slice() {
            [before, now] => (std::slice::from_ref(before), std::slice::from_ref(now)),
            _ => {
                return Err(miette!(
                    help = "`brickproof compare BEFORE NOW`, or `--baseline BEFORE` once or more and the runs now after it",
                    "{} paths are given: which of them are the baseline?",
                    args.runs.len()
                ));
            }
        },
        baseline => (baseline, args.runs.as_slice()),
    };
    let comparison = compared(before, now)?;
    if args.json {
        let told = Told { comparison: &comparison, regressions: comparison.regressions(&args.fail_on) };
        out(&(serde_json::to_string_pretty(&told).map_err(|e| miette!("{e}"))? + "\n"))?;
    } else {
        out(&render(&comparison))?;
    }
    verdict(&comparison, &args.fail_on, !args.json)
}

/// A comparison as `--json` prints it: with what of it is a regression, in words.
#[derive(Serialize)]
struct Told<'c> {
    #[serde(flatten)]
    comparison: &'c Comparison,
    regressions: Vec<String>,
}

/// Compares the recordings below some paths with those below others.
fn compared(before: &[PathBuf], now: &[PathBuf]) -> Result<Comparison> {
    Baseline::read(before)?.against(now)
}

/// The runs that others are compared with.
pub(super) struct Baseline {
    runs: Vec<Run>,
    shown: String,
}

impl Baseline {
    /// Reads the recordings below some paths.
    pub(super) fn read(paths: &[PathBuf]) -> Result<Self> {
        Ok(Self { runs: runs(paths)?, shown: shown(paths) })
    }

    /// Compares the recordings below some paths with it.
    pub(super) fn against(&self, now: &[PathBuf]) -> Result<Comparison> {
        let comparison = Comparison::of(&self.runs, &runs(now)?);
        if comparison.is_of_different_suites() {
            return Err(miette!(
                help = "a baseline holds runs of the same scenarios on the same chip, and of the same kind of time: real, or virtual",
                "{} and {} have no scenario in common",
                self.shown,
                shown(now)
            ));
        }
        Ok(comparison)
    }

    /// What reports tell of a comparison with it.
    pub(super) fn told(&self, comparison: &Comparison, fail_on: &[FailOn]) -> Changes {
        Changes::of(comparison, self.shown.clone(), fail_on)
    }
}

/// Tells the regressions; 1 where there are any.
pub(super) fn verdict(comparison: &Comparison, fail_on: &[FailOn], aloud: bool) -> Result<u8> {
    let regressions = comparison.regressions(fail_on);
    if aloud {
        for regression in &regressions {
            out(&format!("regression: {regression}\n"))?;
        }
        if regressions.is_empty() {
            out("no regression\n")?;
        }
    }
    Ok(u8::from(!regressions.is_empty()))
}

fn runs(paths: &[PathBuf]) -> Result<Vec<Run>> {
    recordings(paths)?.iter().map(|file| run(file)).collect()
}

/// The recordings at or below some paths, of which there must be one.
pub(super) fn recordings(paths: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in paths {
        if path.is_file() {
            files.push(path.clone());
        } else {
            recordings_below(path, &mut files).map_err(|e| miette!("cannot read {}: {e}", path.display()))?;
        }
    }
    files.sort();
    if files.is_empty() {
        return Err(miette!(
            help = "a run's recordings are below its report folder, in runs/",
            "there is no recording (*.jsonl, *.jsonl.zst) below {}",
            shown(paths)
        ));
    }
    Ok(files)
}

fn run(file: &Path) -> Result<Run> {
    let recording = Recording::read(file).map_err(|e| miette!("{e}"))?;
    let (verdict, report) =
        report_recording(&recording, &file.display().to_string()).map_err(|e| miette!("{}: {e}", file.display()))?;
    let metrics = Metrics::of(&recording.events);
    let header = recording.header;
    let origin = Origin {
        board: header.board,
        attempt: header.attempt,
        began_wall_ms: header.began_wall_ms,
        seed: header.seed,
        warped: header.warped,
        text: header.scenario,
    };
    Ok(Run { scenario: report.name, chip: report.chip, status: verdict.status, metrics, origin })
}

fn shown(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
}
