//! What a history tells of each scenario on each board: since when it fails, how often its verdict wavers, how recovery went. Pure.
//!
//! A rig that failed and a skip say nothing of the firmware: they neither end nor begin a series of failures, and no rate counts them.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::entry::Entry;
use crate::compare::median;
use crate::metrics::Recovery;
use crate::verdict::Status;

/// One run of a scenario on a board, with all its repeats.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Run {
    /// Name of the run's folder.
    pub run: String,
    /// What was tested, where it was told.
    pub label: Option<String>,
    /// When its first repeat began: milliseconds since 1970.
    pub began_ms: u64,
    /// Repeats that passed.
    pub passed: usize,
    /// Repeats that failed.
    pub failed: usize,
    /// Repeats that the rig broke.
    pub rig_errors: usize,
    /// Repeats that were skipped.
    pub skipped: usize,
    /// Median of the recovery times of its repeats, milliseconds; `None` where none recovered.
    pub recovery_ms: Option<f64>,
    /// Repeats that never recovered.
    pub never_recovered: usize,
    /// What failed first, in a line; empty for a pass. Untrusted.
    pub why: String,
    /// Recording of the first repeat with the worst verdict, as the run named it.
    pub recording: Option<String>,
}

impl Run {
    /// The verdict on the firmware: a failed repeat is a failed run. `None` where no repeat was judged.
    #[must_use]
    pub fn verdict(&self) -> Option<Status> {
        match (self.passed, self.failed) {
            (0, 0) => None,
            (_, 0) => Some(Status::Pass),
            _ => Some(Status::Fail),
        }
    }

    /// The word for tables: `flaky` where repeats differ.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match (self.passed, self.failed, self.rig_errors) {
            (0, 0, 0) => "skip",
            (0, 0, _) => "error",
            (_, 0, _) => "pass",
            (0, _, _) => "fail",
            _ => "flaky",
        }
    }
}

/// How often verdicts of the same thing differ.
///
/// Attempts of one scenario text on one board are of the same thing when they have the same label (a commit), or where none is told
/// when they are repeats of one run. Repeats of one seed on virtual time are one draw. Things that were tried once tell nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct FlakeRate {
    /// Things with both verdicts.
    pub wavering: usize,
    /// Things that were tried more than once.
    pub of: usize,
}

/// What the history tells of a scenario on a board.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Trend {
    /// Scenario name.
    pub scenario: String,
    /// Board name.
    pub board: String,
    /// Chip name.
    pub chip: String,
    /// Its runs, oldest first.
    pub runs: Vec<Run>,
    /// The first run of the series of failed runs that lasts until now: index in `runs`. `None` where the last judged run passed.
    pub first_bad: Option<usize>,
    /// The last judged run that passed: index in `runs`.
    pub last_good: Option<usize>,
    /// How often verdicts of the same thing differ; `None` where nothing was tried more than once.
    pub flake_rate: Option<FlakeRate>,
}

impl Trend {
    /// The last run that was judged.
    #[must_use]
    pub fn last(&self) -> Option<&Run> {
        self.runs.iter().rev().find(|run| run.verdict().is_some())
    }

    /// Runs that failed, and runs that were judged.
    #[must_use]
    pub fn failed(&self) -> (usize, usize) {
        let judged = self.runs.iter().filter_map(Run::verdict);
        (judged.clone().filter(|v| *v == Status::Fail).count(), judged.count())
    }

    fn of((scenario, board, chip): (&str, &str, &str), entries: &[&Entry]) -> Self {
        let mut runs: Vec<Run> = Vec::new();
        let mut worst: Vec<Status> = Vec::new();
        let mut times: Vec<Vec<f64>> = Vec::new();
        // Two machines may give the same name to different runs; their labels and days then tell them apart no better, so that
        // the name with its label is what a run is.
        let mut of: BTreeMap<(&str, Option<&str>), usize> = BTreeMap::new();
        for entry in entries {
            let index = *of.entry((&entry.identity.run, entry.label.as_deref())).or_insert_with(|| {
                runs.push(Run {
                    run: entry.identity.run.clone(),
                    label: entry.label.clone(),
                    began_ms: entry.identity.began_ms,
                    passed: 0,
                    failed: 0,
                    rig_errors: 0,
                    skipped: 0,
                    recovery_ms: None,
                    never_recovered: 0,
                    why: String::new(),
                    recording: entry.recording.clone(),
                });
                worst.push(Status::Skip);
                times.push(Vec::new());
                runs.len() - 1
            });
            let run = &mut runs[index];
            match entry.status {
                Status::Pass => run.passed += 1,
                Status::Fail => run.failed += 1,
                Status::Error => run.rig_errors += 1,
                Status::Skip => run.skipped += 1,
            }
            if severity(entry.status) > severity(worst[index]) {
                worst[index] = entry.status;
                run.why.clone_from(&entry.why);
                run.recording.clone_from(&entry.recording);
            }
            // What a rig broke measured nothing.
            if matches!(entry.status, Status::Pass | Status::Fail) {
                match entry.recovery {
                    #[expect(clippy::cast_precision_loss, reason = "milliseconds are far below 2^52")]
                    Some(Recovery::After(ms)) => times[index].push(ms as f64),
                    Some(Recovery::Never) => run.never_recovered += 1,
                    Some(Recovery::NotNeeded) | None => {}
                }
            }
        }
        for (run, times) in runs.iter_mut().zip(times) {
            run.recovery_ms = median(times);
        }
        let last_good = runs.iter().rposition(|run| run.verdict() == Some(Status::Pass));
        let first_bad = runs
            .iter()
            .enumerate()
            .skip(last_good.map_or(0, |n| n + 1))
            .find(|(_, run)| run.verdict() == Some(Status::Fail))
            .map(|(n, _)| n);
        Self {
            scenario: scenario.to_owned(),
            board: board.to_owned(),
            chip: chip.to_owned(),
            runs,
            first_bad,
            last_good,
            flake_rate: flake_rate(entries),
        }
    }
}

fn severity(status: Status) -> u8 {
    match status {
        Status::Skip => 0,
        Status::Pass => 1,
        Status::Error => 2,
        Status::Fail => 3,
    }
}

fn flake_rate(entries: &[&Entry]) -> Option<FlakeRate> {
    /// What was tried, with its draws: each a seed on virtual time, or an attempt.
    type Things<'e> = BTreeMap<(&'e str, Option<&'e str>, &'e str), BTreeMap<(Option<u64>, usize), BTreeSet<bool>>>;
    let mut things: Things<'_> = BTreeMap::new();
    for (n, entry) in entries.iter().enumerate() {
        let passed = match entry.status {
            Status::Pass => true,
            Status::Fail => false,
            Status::Error | Status::Skip => continue,
        };
        let run = if entry.label.is_some() { "" } else { entry.identity.run.as_str() };
        let thing = (run, entry.label.as_deref(), entry.identity.text_digest.as_str());
        let draw = if entry.warped { (Some(entry.identity.seed), 0) } else { (None, n) };
        things.entry(thing).or_default().entry(draw).or_default().insert(passed);
    }
    let mut rate = FlakeRate { wavering: 0, of: 0 };
    for draws in things.values() {
        let verdicts: BTreeSet<bool> = draws.values().flatten().copied().collect();
        // One seed that gives both verdicts on virtual time wavers, though it should not be able to.
        if draws.len() > 1 || verdicts.len() > 1 {
            rate.of += 1;
            rate.wavering += usize::from(verdicts.len() > 1);
        }
    }
    (rate.of > 0).then_some(rate)
}

/// The trends of all scenarios on all boards: what fails now first, then what wavers, then by name. `entries` are oldest first.
#[must_use]
pub fn trends(entries: &[Entry]) -> Vec<Trend> {
    let mut groups: BTreeMap<(&str, &str, &str), Vec<&Entry>> = BTreeMap::new();
    for entry in entries {
        let id = &entry.identity;
        groups.entry((&id.scenario, &id.board, &id.chip)).or_default().push(entry);
    }
    let mut trends: Vec<Trend> = groups.into_iter().map(|(key, entries)| Trend::of(key, &entries)).collect();
    let wavers = |trend: &Trend| trend.flake_rate.is_some_and(|rate| rate.wavering > 0);
    trends.sort_by_key(|trend| (trend.first_bad.is_none(), !wavers(trend)));
    trends
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history(statuses: &[Status]) -> Vec<Entry> {
        let runs = statuses.iter().zip(0u64..);
        runs.map(|(status, n)| Entry::example("a", &format!("run-{n}"), n * 1000, *status)).collect()
    }

    use Status::{Error, Fail, Pass, Skip};

    #[test]
    fn first_bad_run_is_the_one_after_the_last_good_one_and_a_broken_rig_is_neither() {
        let found = |statuses: &[Status]| {
            let trend = trends(&history(statuses)).remove(0);
            (trend.first_bad, trend.last_good)
        };
        assert_eq!(found(&[Pass, Pass, Fail, Fail]), (Some(2), Some(1)));
        assert_eq!(found(&[Fail, Pass, Error, Fail, Skip, Fail]), (Some(3), Some(1)));
        assert_eq!(found(&[Fail, Fail]), (Some(0), None));
        assert_eq!(found(&[Fail, Pass]), (None, Some(1)));
        assert_eq!(found(&[Pass, Error]), (None, Some(0)));
        assert_eq!(found(&[Error, Skip]), (None, None));
    }

    #[test]
    fn repeats_of_one_run_are_one_run_and_differing_ones_are_flaky() {
        let mut entries = history(&[Pass, Pass, Fail]);
        for (entry, attempt) in entries.iter_mut().zip(1..) {
            entry.identity.run = "one".to_owned();
            entry.identity.attempt = attempt;
        }
        entries[2].recovery = Some(Recovery::Never);
        entries[2].why = "no update".to_owned();
        let trend = trends(&entries).remove(0);
        assert_eq!(trend.runs.len(), 1);
        let run = &trend.runs[0];
        assert_eq!((run.word(), run.passed, run.failed, run.never_recovered), ("flaky", 2, 1, 1));
        assert_eq!((run.why.as_str(), run.recovery_ms), ("no update", Some(12_000.0)));
        assert_eq!(trend.flake_rate, Some(FlakeRate { wavering: 1, of: 1 }));
        assert_eq!(trend.first_bad, Some(0));
    }

    #[test]
    fn verdicts_of_one_commit_that_differ_are_flakes_and_those_of_two_are_not() {
        let mut entries = history(&[Pass, Fail, Fail, Pass, Pass]);
        assert_eq!(trends(&entries)[0].flake_rate, None, "each run may have tested something else");
        for (entry, commit) in entries.iter_mut().zip(["a", "b", "b", "c", "c"]) {
            entry.label = Some(commit.to_owned());
        }
        assert_eq!(trends(&entries)[0].flake_rate, Some(FlakeRate { wavering: 0, of: 2 }));
        entries[4].status = Fail;
        assert_eq!(trends(&entries)[0].flake_rate, Some(FlakeRate { wavering: 1, of: 2 }));
        entries[4].identity.text_digest = "another scenario by now".to_owned();
        assert_eq!(trends(&entries)[0].flake_rate, Some(FlakeRate { wavering: 0, of: 1 }));
        entries[3].status = Error;
        assert_eq!(trends(&entries)[0].flake_rate, Some(FlakeRate { wavering: 0, of: 1 }));
    }

    #[test]
    fn repeats_of_one_seed_on_virtual_time_are_one_draw() {
        let mut entries = history(&[Pass, Pass]);
        for entry in &mut entries {
            entry.label = Some("commit".to_owned());
            entry.warped = true;
        }
        assert_eq!(trends(&entries)[0].flake_rate, None);
        entries[1].identity.seed = 2;
        assert_eq!(trends(&entries)[0].flake_rate, Some(FlakeRate { wavering: 0, of: 1 }));
    }

    #[test]
    fn what_fails_stands_before_what_wavers_and_that_before_the_rest() {
        let mut entries = history(&[Pass]);
        entries.push(Entry::example("b", "run-0", 0, Fail));
        let mut wavering = [Entry::example("c", "run-0", 0, Fail), Entry::example("c", "run-1", 1, Pass)];
        wavering.iter_mut().for_each(|entry| entry.label = Some("commit".to_owned()));
        entries.extend(wavering);
        let names: Vec<_> = trends(&entries).into_iter().map(|t| t.scenario).collect();
        assert_eq!(names, ["b", "c", "a"]);
    }
}
