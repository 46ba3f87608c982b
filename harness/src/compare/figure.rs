//! Figures of runs, and what can be said of each.

use serde::Serialize;

use super::Run;
use super::draws::{Draw, draws, is_small, pairs};
use super::rank_sum::{median, p_value, shift, smallest_p_value};
use crate::metrics::Recovery;
use crate::verdict::Status;

/// The probability that a comparison of two sets of runs between which nothing changed calls any figure changed: 1 %, over
/// all scenarios and figures together (Holm's correction).
pub const ERROR_RATE: f64 = 0.01;
/// The level at which figures are tested. A test at the stated rate itself would, by luck alone, call more than that in more than a
/// quarter of all sets of 1,000 comparisons; at half of it, in two of a thousand sets (exact binomial, 10 runs on each side).
const LEVEL: f64 = ERROR_RATE / 2.0;
/// A figure that changed by less than this is not worth telling, however sure it is: a twentieth of what it was.
pub(super) const WORTH_TELLING: f64 = 0.05;

/// A figure of runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Figure {
    /// Share of runs that failed; compared where both sides are flaky.
    Failures,
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
    pub(super) const ALL: [Self; 7] = [
        Self::Failures,
        Self::Recovery,
        Self::Notice,
        Self::Retries,
        Self::Connections,
        Self::Throughput,
        Self::FreeHeap,
    ];

    /// The words for tables.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Failures => "failures",
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
            Self::Failures | Self::Recovery | Self::Notice => Some(true),
            Self::Throughput | Self::FreeHeap => Some(false),
            Self::Retries | Self::Connections => None,
        }
    }

    fn of(self, run: &Run) -> Option<f64> {
        let metrics = &run.metrics;
        #[expect(clippy::cast_precision_loss, reason = "milliseconds, bytes and counts are far below 2^52")]
        let number = |n: u64| n as f64;
        match self {
            Self::Failures => Some(f64::from(u8::from(run.status == Status::Fail))),
            Self::Recovery => match metrics.recovery {
                // Left out, a side where only the worst runs fail at all would look like one where all runs do.
                Recovery::NotNeeded => Some(0.0),
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

/// What a finding stands on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Basis {
    /// The rank-sum test: chance is in the values.
    RankSum,
    /// The same seeds on warped time: no chance is in the values, and a difference that is not slight is a change.
    SameSeed,
}

/// A figure on both sides.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Compared {
    /// Which.
    pub figure: Figure,
    /// What the finding stands on.
    pub basis: Basis,
    /// Median before (of failures, the share); `None` is infinite: it never happened.
    pub before: Option<f64>,
    /// Median now.
    pub now: Option<f64>,
    /// By how much the runs now lie above those before, where that is finite.
    pub shift: Option<f64>,
    /// Number of independent values before and now: runs of a real board, seeds on warped time.
    pub values: (usize, usize),
    /// Probability of such a difference by chance, before correction; `None` where no chance is in it.
    pub p: Option<f64>,
    /// What can be said.
    pub finding: Finding,
    /// True when all values of both sides are the same. No chance can make such a figure differ, so that it is none of those
    /// that the error rate is shared among (Tarone).
    pub constant: bool,
}

impl Compared {
    /// Whether it is one of those that the error rate is shared among.
    pub(super) fn is_tested(&self) -> bool {
        self.p.is_some() && !self.constant
    }
}

pub(super) fn compared(figure: Figure, before: &[Run], now: &[Run]) -> Option<Compared> {
    let (before, now) = (draws(before, |run| figure.of(run)), draws(now, |run| figure.of(run)));
    let nothing_to_recover_from = figure == Figure::Recovery && before.iter().chain(&now).all(|d| d.value == 0.0);
    if before.is_empty() || now.is_empty() || nothing_to_recover_from {
        return None;
    }
    Some(match pairs(&before, &now) {
        Some(pairs) => exactly(figure, &pairs),
        None => by_test(figure, &before, &now),
    })
}

fn finite(value: Option<f64>) -> Option<f64> {
    value.filter(|v| v.is_finite())
}

/// The same seeds on warped time.
fn exactly(figure: Figure, pairs: &[(f64, f64)]) -> Compared {
    let (before, now): (Vec<f64>, Vec<f64>) = pairs.iter().copied().unzip();
    let differing = pairs.iter().find(|(before, now)| !is_small(*before, *now));
    let finding = match (differing, figure.more_is_worse()) {
        (None, _) if pairs.iter().all(|(before, now)| before == now) => Finding::Same,
        (None, _) => Finding::Slight,
        (_, None) => Finding::Changed,
        // All pairs that differ by enough do so in one direction.
        (Some((before, now)), Some(worse)) if (now > before) == worse => Finding::Worse,
        _ => Finding::Better,
    };
    let difference = |(before, now): &(f64, f64)| if before == now { 0.0 } else { now - before };
    Compared {
        figure,
        basis: Basis::SameSeed,
        before: finite(middle(figure, &before)),
        now: finite(middle(figure, &now)),
        shift: finite(median(pairs.iter().map(difference).collect())),
        values: (pairs.len(), pairs.len()),
        p: None,
        finding,
        constant: pairs.iter().all(|pair| pair.0 == pairs[0].0 && pair.1 == pairs[0].0),
    }
}

fn by_test(figure: Figure, before: &[Draw], now: &[Draw]) -> Compared {
    let values = |draws: &[Draw]| -> Vec<f64> { draws.iter().map(|draw| draw.value).collect() };
    let (before, now) = (values(before), values(now));
    let (was, is) = (middle(figure, &before), middle(figure, &now));
    // The median difference of verdicts is none until half of them changed.
    let shares = figure == Figure::Failures;
    Compared {
        figure,
        basis: Basis::RankSum,
        shift: if shares { was.zip(is).map(|(was, is)| is - was) } else { shift(&before, &now) },
        before: finite(was),
        now: finite(is),
        values: (before.len(), now.len()),
        p: Some(p_value(&before, &now)),
        // Not decided before all are known.
        finding: Finding::Same,
        constant: before.iter().chain(&now).all(|value| Some(value) == before.first()),
    }
}

/// What stands for all values of a side: the median; of verdicts, the share of failures.
fn middle(figure: Figure, values: &[f64]) -> Option<f64> {
    let count = u32::try_from(values.len()).unwrap_or(u32::MAX);
    match figure {
        Figure::Failures if count > 0 => Some(values.iter().sum::<f64>() / f64::from(count)),
        _ => median(values.to_vec()),
    }
}

/// Decides over all figures together, by Holm's method: the smallest p-value must stand against all of them, the next one against
/// the rest, and so on to the first that does not.
pub(super) fn decide<'f>(figures: impl Iterator<Item = &'f mut Compared>) {
    let mut all: Vec<&mut Compared> = figures.filter(|f| f.is_tested()).collect();
    let p = |compared: &Compared| compared.p.unwrap_or(1.0);
    all.sort_by(|a, b| p(a).total_cmp(&p(b)));
    let count = all.len();
    let mut standing = true;
    for (index, compared) in all.into_iter().enumerate() {
        let level = LEVEL / f64::from(u32::try_from(count - index).unwrap_or(u32::MAX));
        standing &= p(compared) <= level;
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
