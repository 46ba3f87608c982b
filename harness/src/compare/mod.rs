//! What changed between two sets of runs. Everything is read from recordings; figures are compared by their spread, never by
//! two single runs.
//!
//! What this module must never know: files, terminals, how runs are made.

mod draws;
mod figure;
mod rank_sum;
mod text;

pub use figure::{Basis, Compared, ERROR_RATE, Figure, Finding, runs_needed};
pub use rank_sum::{median, p_value, shift, smallest_p_value};
pub use text::{is_quiet, lines, notes, render};

use std::collections::{BTreeMap, BTreeSet};

use figure::{compared, decide};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::metrics::{BackOff, Metrics};
use crate::verdict::Status;

/// One run, as far as it is compared.
#[derive(Clone, Debug)]
pub struct Run {
    /// Scenario name, with its case.
    pub scenario: String,
    /// Chip name.
    pub chip: String,
    /// Its verdict.
    pub status: Status,
    /// What it measured.
    pub metrics: Metrics,
    /// Which run it was.
    pub origin: Origin,
}

/// What tells one run of a scenario from others.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Origin {
    /// Board name.
    pub board: String,
    /// Which repeat, from 1.
    pub attempt: u32,
    /// When it began: milliseconds since 1970.
    pub began_wall_ms: u64,
    /// Seed of everything random.
    pub seed: u64,
    /// True when time was warped: the same seed then gives the same run.
    pub warped: bool,
    /// The scenario's text.
    pub text: String,
}

/// How a scenario's verdicts changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// It passed, and now fails.
    NewlyFailing,
    /// It always gave the same verdict, and now gives several.
    NewlyFlaky,
    /// It gives several verdicts, as before.
    StillFlaky,
    /// It fails, as before.
    StillFailing,
    /// It always failed, and now passes at times.
    FailsLess,
    /// The rig did not judge it on one side.
    NotJudged,
    /// It is only in the runs now.
    New,
    /// It is only in the runs before.
    Gone,
    /// It failed or was flaky, and now passes.
    NewlyPassing,
    /// It passes, as before.
    StillPassing,
}

impl Change {
    /// The words for tables.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::NewlyFailing => "newly failing",
            Self::NewlyFlaky => "newly flaky",
            Self::StillFlaky => "still flaky",
            Self::StillFailing => "still failing",
            Self::FailsLess => "fails less",
            Self::NotJudged => "not judged",
            Self::New => "new",
            Self::Gone => "gone",
            Self::NewlyPassing => "newly passing",
            Self::StillPassing => "passes",
        }
    }
}

/// A scenario on both sides.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Scenario {
    /// Its name.
    pub name: String,
    /// Chip.
    pub chip: String,
    /// How its verdicts changed.
    pub change: Change,
    /// Runs that failed, and that were judged: before.
    pub failed_before: (usize, usize),
    /// The same, now.
    pub failed_now: (usize, usize),
    /// Whether its runs were made on warped time, where a repeat with the same seed is the same run.
    pub warped: bool,
    /// Whether the scenario's text differs between the two sides: a change may then be the scenario's own.
    pub text_changed: bool,
    /// Figures.
    pub figures: Vec<Compared>,
    /// How delays grew and grow, where that changed.
    pub back_off: Option<(BackOff, BackOff)>,
    /// Error lines that are new, masked.
    pub new_errors: BTreeSet<String>,
    /// Error lines that are gone.
    pub gone_errors: BTreeSet<String>,
    /// Reset reasons that are new.
    pub new_resets: BTreeSet<String>,
}

/// Two sets of runs compared.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Comparison {
    /// Probability of a false alarm of the figures, over all of them together.
    pub error_rate: f64,
    /// Recordings that were given more than once on one side, and count once.
    pub duplicates: usize,
    /// Scenarios, by how much their change matters.
    pub scenarios: Vec<Scenario>,
}

/// What makes a comparison a regression.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum FailOn {
    /// A scenario that passed fails.
    NewlyFailing,
    /// A scenario became flaky.
    NewlyFlaky,
    /// A figure became worse.
    Figures,
    /// The number of retries or connections changed.
    Counts,
    /// An error line is new.
    NewErrors,
    /// A reset reason is new.
    NewResets,
    /// A scenario is gone.
    Gone,
}

impl Comparison {
    /// How many figures the error rate is shared among.
    #[must_use]
    pub fn tested(&self) -> usize {
        self.scenarios.iter().flat_map(|s| &s.figures).filter(|f| f.is_tested()).count()
    }

    /// Compares runs before with runs now.
    #[must_use]
    pub fn of(before: &[Run], now: &[Run]) -> Self {
        let mut duplicates = 0;
        let mut groups = |runs: &[Run]| {
            let mut seen = BTreeSet::new();
            let mut groups: BTreeMap<Key, Vec<Run>> = BTreeMap::new();
            for run in runs {
                // The same recording again, in another folder or by another path, is no further evidence.
                if seen.insert((&run.scenario, &run.chip, &run.origin)) {
                    let key = (run.scenario.clone(), run.chip.clone(), run.origin.warped);
                    groups.entry(key).or_default().push(run.clone());
                } else {
                    duplicates += 1;
                }
            }
            groups
        };
        let (before, now) = (groups(before), groups(now));
        let names: BTreeSet<_> = before.keys().chain(now.keys()).collect();
        let none = Vec::new();
        let mut scenarios: Vec<Scenario> = names
            .into_iter()
            .map(|key| scenario(key, before.get(key).unwrap_or(&none), now.get(key).unwrap_or(&none)))
            .collect();
        decide(scenarios.iter_mut().flat_map(|scenario| &mut scenario.figures));
        scenarios.sort_by(|a, b| (a.change, &a.name, &a.chip, a.warped).cmp(&(b.change, &b.name, &b.chip, b.warped)));
        Self { error_rate: ERROR_RATE, duplicates, scenarios }
    }

    /// A scenario as it is named: with its chip, and its kind of time where the comparison has both.
    #[must_use]
    pub fn name(&self, scenario: &Scenario) -> String {
        let other = |s: &&Scenario| s.name == scenario.name && s.chip == scenario.chip && s.warped != scenario.warped;
        let time = match (self.scenarios.iter().find(other), scenario.warped) {
            (None, _) => "",
            (Some(_), true) => ", virtual time",
            (Some(_), false) => ", real time",
        };
        format!("{} ({}{time})", scenario.name, scenario.chip)
    }

    /// Whether there is no scenario that both sides have.
    #[must_use]
    pub fn is_of_different_suites(&self) -> bool {
        self.scenarios.iter().all(|s| matches!(s.change, Change::New | Change::Gone))
    }

    /// What of it is a regression, in words.
    #[must_use]
    pub fn regressions(&self, fail_on: &[FailOn]) -> Vec<String> {
        let mut found = Vec::new();
        for scenario in &self.scenarios {
            let mut tell = |on: FailOn, is: bool, what: String| {
                if is && fail_on.contains(&on) {
                    found.push(format!("{}: {what}", scenario.name));
                }
            };
            let change = |wanted| scenario.change == wanted;
            tell(FailOn::NewlyFailing, change(Change::NewlyFailing), "it passed, and fails now".to_owned());
            tell(FailOn::NewlyFlaky, change(Change::NewlyFlaky), "its verdict differs between runs now".to_owned());
            tell(FailOn::Gone, change(Change::Gone), "it is gone".to_owned());
            for figure in scenario.figures.iter().filter(|f| f.finding == Finding::Worse) {
                tell(FailOn::Figures, true, text::figure(figure));
            }
            for figure in scenario.figures.iter().filter(|f| f.finding == Finding::Changed) {
                tell(FailOn::Counts, true, text::figure(figure));
            }
            // A scenario that was not there before has nothing that is new in it.
            let known = !matches!(scenario.change, Change::New | Change::Gone);
            tell(FailOn::NewErrors, known && !scenario.new_errors.is_empty(), "new error lines".to_owned());
            tell(FailOn::NewResets, known && !scenario.new_resets.is_empty(), "new reset reasons".to_owned());
        }
        found
    }
}

/// What is compared with its like: scenario, chip, and whether time was warped. What a real board took says nothing of what a virtual
/// one takes.
type Key = (String, String, bool);

fn scenario((name, chip, warped): &Key, before: &[Run], now: &[Run]) -> Scenario {
    let failed = |runs: &[Run]| {
        let judged = runs.iter().filter(|run| matches!(run.status, Status::Pass | Status::Fail)).count();
        (runs.iter().filter(|run| run.status == Status::Fail).count(), judged)
    };
    // Only a run that could be judged measured anything.
    let judged = |runs: &[Run]| -> Vec<Run> {
        runs.iter().filter(|run| matches!(run.status, Status::Pass | Status::Fail)).cloned().collect()
    };
    let (failed_before, failed_now) = (failed(before), failed(now));
    let change = match (failed_before, failed_now) {
        _ if before.is_empty() => Change::New,
        _ if now.is_empty() => Change::Gone,
        ((_, 0), _) | (_, (_, 0)) => Change::NotJudged,
        ((0, _), (0, _)) => Change::StillPassing,
        (_, (0, _)) => Change::NewlyPassing,
        ((0, _), (n, all)) if n == all => Change::NewlyFailing,
        ((n, all), (m, of)) if n == all && m == of => Change::StillFailing,
        ((n, all), (m, of)) if n > 0 && n < all && m < of => Change::StillFlaky,
        // It passed now and then, and never does any more.
        ((n, all), (m, of)) if n < all && m == of => Change::NewlyFailing,
        ((n, all), _) if n == all => Change::FailsLess,
        _ => Change::NewlyFlaky,
    };
    let (before, now) = (judged(before), judged(now));
    // What else a verdict can do is told by `change`.
    let worth = |figure: &&Figure| **figure != Figure::Failures || change == Change::StillFlaky;
    let figures = Figure::ALL.iter().filter(worth).filter_map(|figure| compared(*figure, &before, &now)).collect();
    let set = |runs: &[Run], of: fn(&Metrics) -> &BTreeMap<String, u64>| -> BTreeSet<String> {
        runs.iter().flat_map(|run| of(&run.metrics).keys().cloned()).collect()
    };
    let texts = |runs: &[Run]| -> BTreeSet<String> { runs.iter().map(|run| run.origin.text.clone()).collect() };
    let (errors_before, errors_now) = (set(&before, |m| &m.errors), set(&now, |m| &m.errors));
    let (resets_before, resets_now) = (set(&before, |m| &m.resets), set(&now, |m| &m.resets));
    let shape = |runs: &[Run]| runs.iter().map(|run| run.metrics.back_off).max();
    Scenario {
        name: name.clone(),
        chip: chip.clone(),
        change,
        failed_before,
        failed_now,
        warped: *warped,
        text_changed: !before.is_empty() && !now.is_empty() && texts(&before) != texts(&now),
        figures,
        back_off: shape(&before)
            .zip(shape(&now))
            .filter(|(one, other)| one != other && *one != BackOff::Unknown && *other != BackOff::Unknown),
        new_errors: errors_now.difference(&errors_before).cloned().collect(),
        gone_errors: errors_before.difference(&errors_now).cloned().collect(),
        new_resets: resets_now.difference(&resets_before).cloned().collect(),
    }
}

#[cfg(test)]
mod tests;
