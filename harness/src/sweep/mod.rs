//! The power sweep: power is cut at every flash operation of an update, before it, inside it (torn) and after it. The
//! device must boot every time, run one of the two versions, and still be able to update.
//!
//! An operation is what a flash chip does at once: a sector of 4 KiB erased, or a page of 256 bytes programmed. The sweep
//! is complete: it goes on until a cut is planned at an operation that the update does not have.

use std::path::Path;

use serde::Serialize;

use crate::recording::{Recording, RecordingError};
use crate::report::model::{ScenarioReport, Status};
use crate::run::{RunConfig, Selected, run};
use crate::timeline::{Action, DeviceEvent, Event, EventKind};

/// The scenario of one cut; `{operation}` and `{when}` stand for the cut's.
const SCENARIO: &str = include_str!("cut.toml");
/// Where in an operation power is cut.
pub const WHENS: [&str; 3] = ["before", "inside", "after"];
/// Operations that are tried at once, before it is known whether the update has so many.
const BATCH: u64 = 32;
/// Recordings kept of what is not sound: a brick's boot loop fills megabytes, and the next one tells the same.
const MOST_KEPT: usize = 20;

/// How a device came out of a power cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It booted and updated.
    Sound,
    /// It booted, and something else is wrong: see the expectations.
    Finding,
    /// No application started any more.
    Brick,
    /// The rig failed: nothing is known.
    Error,
}

/// One cut.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Cut {
    /// At which operation, from 0.
    pub operation: u64,
    /// Where in it.
    pub when: &'static str,
    /// What came of it.
    pub outcome: Outcome,
    /// What is wrong, in words.
    pub wrong: Vec<String>,
}

/// A whole sweep.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Sweep {
    /// Flash operations that the update has, from the first of its boot to the confirmation.
    pub operations: u64,
    /// Every so many of them were tried.
    pub every: u64,
    /// The cuts.
    pub cuts: Vec<Cut>,
}

/// A sweep could not be made.
#[derive(Debug, thiserror::Error)]
pub enum SweepError {
    /// A run's files.
    #[error("cannot run the sweep: {0}")]
    Run(#[from] std::io::Error),
    /// A run's recording.
    #[error(transparent)]
    Recording(#[from] RecordingError),
    /// A cut that must have fallen did not.
    #[error("the sweep is not complete: power was not cut {when} operation {operation}, though the update has {of}")]
    Incomplete {
        /// The operation.
        operation: u64,
        /// Where in it.
        when: &'static str,
        /// How many the update has.
        of: u64,
    },
}

impl Sweep {
    /// How many cuts came out so.
    #[must_use]
    pub fn count(&self, outcome: Outcome) -> usize {
        self.cuts.iter().filter(|c| c.outcome == outcome).count()
    }
}

/// The scenario of one cut.
fn scenario(operation: u64, when: &str) -> Selected {
    let text = SCENARIO.replace("{operation}", &operation.to_string()).replace("{when}", when);
    Selected { name: format!("power-sweep[operation={operation},when={when}]"), path: "power-sweep".to_owned(), text }
}

/// Sweeps an update of the configuration's firmware (a mutant's, where it names one), every `every`th operation. `tell`
/// hears how many operations are done.
///
/// # Errors
///
/// See [`SweepError`].
pub fn sweep(config: &RunConfig, every: u64, mut tell: impl FnMut(u64)) -> Result<Sweep, SweepError> {
    let every = every.max(1);
    let mut cuts = Vec::new();
    let mut missed: Vec<(u64, &'static str)> = Vec::new();
    let mut next = 0;
    let operations = loop {
        let batch: Vec<(u64, &'static str)> =
            (0..BATCH).map(|n| next + n * every).flat_map(|operation| WHENS.map(|when| (operation, when))).collect();
        let scenarios: Vec<Selected> = batch.iter().map(|(operation, when)| scenario(*operation, when)).collect();
        let report = run(config, &scenarios, |_| {})?;
        for ((operation, when), report) in batch.into_iter().zip(&report.scenarios) {
            let keep = cuts.iter().filter(|c: &&Cut| c.outcome != Outcome::Sound).count() < MOST_KEPT;
            match judged(&config.folder, report, keep)? {
                Some((outcome, wrong)) => cuts.push(Cut { operation, when, outcome, wrong }),
                None => missed.push((operation, when)),
            }
        }
        next += BATCH * every;
        tell(next);
        if let Some(end) = missed.iter().map(|(operation, _)| *operation).min() {
            break end;
        }
    };
    // Each operation before the first that is not there was cut in each way.
    for operation in (0..operations).step_by(usize::try_from(every).unwrap_or(1)) {
        if let Some(when) = WHENS.into_iter().find(|w| !cuts.iter().any(|c| c.operation == operation && c.when == *w)) {
            return Err(SweepError::Incomplete { operation, when, of: operations });
        }
    }
    // What lies behind was cut in part of the ways only because the update takes other turns after an early cut.
    cuts.retain(|cut| cut.operation < operations);
    Ok(Sweep { operations, every, cuts })
}

/// What came of a run; `None` when its cut never fell. A run whose recording tells it is deleted when nothing is wrong.
fn judged(folder: &Path, report: &ScenarioReport, keep: bool) -> Result<Option<(Outcome, Vec<String>)>, SweepError> {
    let Some(file) = report.recording.as_ref().and_then(|r| Path::new(r).file_name()) else {
        return Ok(Some((Outcome::Error, report.reason.clone().into_iter().collect())));
    };
    let path = folder.join(file);
    let recording = Recording::read(&path)?;
    if report.status == Status::Error {
        return Ok(Some((Outcome::Error, report.reason.clone().into_iter().collect())));
    }
    let fell = power_failed(&recording.events);
    if !fell || report.status == Status::Pass || !keep {
        // Thousands of sound runs tell nothing that the sweep does not.
        std::fs::remove_file(&path)?;
    }
    if !fell {
        return Ok(None);
    }
    let failed = report.expectations.iter().filter(|e| e.status != Status::Pass);
    let wrong: Vec<String> = failed.map(|e| format!("{}: {}", e.label, e.found)).collect();
    let outcome = match report.status {
        Status::Pass => Outcome::Sound,
        _ if starts_after_power(&recording.events) => Outcome::Finding,
        _ => Outcome::Brick,
    };
    Ok(Some((outcome, wrong)))
}

fn after_power(events: &[Event]) -> impl Iterator<Item = &EventKind> {
    events.iter().map(|e| &e.kind).skip_while(|kind| **kind != EventKind::Action(Action::PowerOn))
}

/// Power on a board that has it does nothing: a reset by power tells that it was gone.
fn power_failed(events: &[Event]) -> bool {
    after_power(events).any(|kind| matches!(kind, EventKind::Device { event: DeviceEvent::Reset { .. }, .. }))
}

fn starts_after_power(events: &[Event]) -> bool {
    after_power(events).any(|kind| matches!(kind, EventKind::Device { event: DeviceEvent::AppStarted { .. }, .. }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{self, values::Values};

    #[test]
    fn scenario_of_a_cut_is_valid() {
        let values = Values::of_network("192.168.88.200", 8002);
        for when in WHENS {
            let cut = scenario(7, when);
            let parsed = scenario::parse(&cut.name, &cut.path, &cut.text, &values);
            parsed.unwrap_or_else(|e| panic!("{:?}", miette::Report::new(e)));
        }
    }
}
