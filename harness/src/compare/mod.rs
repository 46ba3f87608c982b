//! What changed between two sets of runs. Everything is read from recordings; figures are compared by their spread, never by
//! two single runs.
//!
//! What this module must never know: files, terminals, how runs are made.

mod rank_sum;
mod text;

pub use rank_sum::{median, p_value, shift, smallest_p_value};
pub use text::render;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::metrics::{BackOff, Metrics, Recovery};
use crate::verdict::Status;

/// The probability that a comparison of two sets of runs between which nothing changed calls any figure changed: 1 %, over
/// all scenarios and figures together (Holm's correction).
pub const ERROR_RATE: f64 = 0.01;
/// The level at which figures are tested. Runs of one evening on one machine are not quite independent of each other, as the test
/// takes them to be: half of the stated rate is kept for that.
const LEVEL: f64 = ERROR_RATE / 2.0;
/// A figure that changed by less than this is not worth telling, however sure it is: a twentieth of what it was.
const WORTH_TELLING: f64 = 0.05;

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
}

/// A figure of runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Figure {
    /// Time to recover, ms.
    Recovery,
    /// Time to notice a fault, ms.
    Notice,
    /// Number of retries.
    Retries,
    /// Number of connections.
    Connections,
    /// Bytes per second of a download.
    Throughput,
    /// Lowest free heap, bytes.
    FreeHeap,
}

impl Figure {
    const ALL: [Self; 6] =
        [Self::Recovery, Self::Notice, Self::Retries, Self::Connections, Self::Throughput, Self::FreeHeap];

    /// The words for tables.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Recovery => "recovery",
            Self::Notice => "time to notice",
            Self::Retries => "retries",
            Self::Connections => "connections",
            Self::Throughput => "download",
            Self::FreeHeap => "lowest free heap",
        }
    }

    /// Whether more of it is worse. Of a count nobody can say: firmware that tries more often may be back sooner.
    fn more_is_worse(self) -> Option<bool> {
        match self {
            Self::Recovery | Self::Notice => Some(true),
            Self::Throughput | Self::FreeHeap => Some(false),
            Self::Retries | Self::Connections => None,
        }
    }

    fn of(self, metrics: &Metrics) -> Option<f64> {
        #[expect(clippy::cast_precision_loss, reason = "milliseconds, bytes and counts are far below 2^52")]
        let number = |n: u64| n as f64;
        match self {
            Self::Recovery => match metrics.recovery {
                Recovery::NotNeeded => None,
                Recovery::After(ms) => Some(number(ms)),
                Recovery::Never => Some(f64::INFINITY),
            },
            Self::Notice => metrics.notice_ms.map(number),
            Self::Retries => Some(number(metrics.retries)),
            Self::Connections => Some(number(metrics.connections)),
            Self::Throughput => metrics.throughput.map(number),
            Self::FreeHeap => metrics.free_heap.map(number),
        }
    }
}

/// What can be said of a figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Finding {
    /// It became worse.
    Worse,
    /// It became better.
    Better,
    /// It became another, and neither is better.
    Changed,
    /// It differs surely, and by too little to matter.
    Slight,
    /// No difference beyond the spread.
    Same,
    /// There are too few runs to tell a difference of any size from chance.
    TooFew,
}

/// A figure on both sides.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Compared {
    /// Which.
    pub figure: Figure,
    /// Median before; `None` is infinite: it never happened.
    pub before: Option<f64>,
    /// Median now.
    pub now: Option<f64>,
    /// By how much the runs now lie above those before, where that is finite.
    pub shift: Option<f64>,
    /// Number of values before and now.
    pub values: (usize, usize),
    /// Probability of such a difference by chance, before correction.
    pub p: f64,
    /// What can be said.
    pub finding: Finding,
    /// True when all values of both sides are the same. No chance can make such a figure differ, so that it is none of those
    /// that the error rate is shared among (Tarone).
    pub constant: bool,
}

impl Comparison {
    /// How many figures the error rate is shared among.
    #[must_use]
    pub fn tested(&self) -> usize {
        self.scenarios.iter().flat_map(|s| &s.figures).filter(|f| !f.constant).count()
    }
}

/// How a scenario's verdicts changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
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
    /// Compares runs before with runs now.
    #[must_use]
    pub fn of(before: &[Run], now: &[Run]) -> Self {
        let groups = |runs: &[Run]| {
            let mut groups: BTreeMap<(String, String), Vec<Run>> = BTreeMap::new();
            for run in runs {
                groups.entry((run.scenario.clone(), run.chip.clone())).or_default().push(run.clone());
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
        decide(&mut scenarios);
        scenarios.sort_by(|a, b| (a.change, &a.name, &a.chip).cmp(&(b.change, &b.name, &b.chip)));
        Self { error_rate: ERROR_RATE, scenarios }
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

fn scenario((name, chip): &(String, String), before: &[Run], now: &[Run]) -> Scenario {
    let failed = |runs: &[Run]| {
        let judged = runs.iter().filter(|run| matches!(run.status, Status::Pass | Status::Fail)).count();
        (runs.iter().filter(|run| run.status == Status::Fail).count(), judged)
    };
    // Only a run that could be judged measured anything.
    let judged = |runs: &[Run]| -> Vec<Metrics> {
        let judged = runs.iter().filter(|run| matches!(run.status, Status::Pass | Status::Fail));
        judged.map(|run| run.metrics.clone()).collect()
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
        _ => Change::NewlyFlaky,
    };
    let (before, now) = (judged(before), judged(now));
    let figures = Figure::ALL.iter().filter_map(|figure| compared(*figure, &before, &now)).collect();
    let set = |runs: &[Metrics], of: fn(&Metrics) -> &BTreeMap<String, u64>| -> BTreeSet<String> {
        runs.iter().flat_map(|metrics| of(metrics).keys().cloned()).collect()
    };
    let (errors_before, errors_now) = (set(&before, |m| &m.errors), set(&now, |m| &m.errors));
    let (resets_before, resets_now) = (set(&before, |m| &m.resets), set(&now, |m| &m.resets));
    let shape = |runs: &[Metrics]| runs.iter().map(|m| m.back_off).max();
    Scenario {
        name: name.clone(),
        chip: chip.clone(),
        change,
        failed_before,
        failed_now,
        figures,
        back_off: shape(&before)
            .zip(shape(&now))
            .filter(|(one, other)| one != other && *one != BackOff::Unknown && *other != BackOff::Unknown),
        new_errors: errors_now.difference(&errors_before).cloned().collect(),
        gone_errors: errors_before.difference(&errors_now).cloned().collect(),
        new_resets: resets_now.difference(&resets_before).cloned().collect(),
    }
}

fn compared(figure: Figure, before: &[Metrics], now: &[Metrics]) -> Option<Compared> {
    let values = |runs: &[Metrics]| -> Vec<f64> { runs.iter().filter_map(|metrics| figure.of(metrics)).collect() };
    let (before, now) = (values(before), values(now));
    if before.is_empty() || now.is_empty() {
        return None;
    }
    let finite = |value: Option<f64>| value.filter(|v| v.is_finite());
    Some(Compared {
        figure,
        before: finite(median(before.clone())),
        now: finite(median(now.clone())),
        shift: shift(&before, &now),
        values: (before.len(), now.len()),
        p: p_value(&before, &now),
        // Not decided before all are known.
        finding: Finding::Same,
        constant: before.iter().chain(&now).all(|value| Some(value) == before.first()),
    })
}

/// Decides over all figures together, by Holm's method: the smallest p-value must stand against all of them, the next one against
/// the rest, and so on to the first that does not.
fn decide(scenarios: &mut [Scenario]) {
    let mut all: Vec<&mut Compared> =
        scenarios.iter_mut().flat_map(|s| &mut s.figures).filter(|f| !f.constant).collect();
    all.sort_by(|a, b| a.p.total_cmp(&b.p));
    let count = all.len();
    let mut standing = true;
    for (index, compared) in all.into_iter().enumerate() {
        let level = LEVEL / f64::from(u32::try_from(count - index).unwrap_or(u32::MAX));
        standing &= compared.p <= level;
        compared.finding = if standing { sure(compared) } else { unsure(compared, count) };
    }
}

fn sure(compared: &Compared) -> Finding {
    let up = match (compared.before, compared.now, compared.shift) {
        (_, _, Some(shift)) if shift != 0.0 => shift > 0.0,
        (Some(_), None, _) => true,
        (None, Some(_), _) => false,
        _ => return Finding::Slight,
    };
    let small = compared.before.zip(compared.shift).is_some_and(|(was, by)| by.abs() < was.abs() * WORTH_TELLING);
    match compared.figure.more_is_worse() {
        _ if small => Finding::Slight,
        None => Finding::Changed,
        Some(worse) if up == worse => Finding::Worse,
        Some(_) => Finding::Better,
    }
}

fn unsure(compared: &Compared, count: usize) -> Finding {
    let level = LEVEL / f64::from(u32::try_from(count).unwrap_or(u32::MAX));
    let (before, now) = compared.values;
    // Equal medians and no shift need no more runs to look the same.
    let differs = compared.shift != Some(0.0) || compared.before != compared.now;
    if differs && smallest_p_value(before, now) > level { Finding::TooFew } else { Finding::Same }
}

/// How many runs of a scenario each side needs before any difference can be told from chance, among so many figures.
#[must_use]
pub fn runs_needed(figures: usize) -> usize {
    let level = LEVEL / f64::from(u32::try_from(figures.max(1)).unwrap_or(u32::MAX));
    (1..).find(|n| smallest_p_value(*n, *n) <= level).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests;
