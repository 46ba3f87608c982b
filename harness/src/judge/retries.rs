//! Retries: how many were announced, with which cap, and whether the delays announced and kept follow their law.

use std::time::Duration;

use crate::scenario::model::{Count, DelayLaw, ExpectationKind, Scenario};
use crate::timeline::{Action, DeviceEvent, Event, EventKind};

use super::window::resolve;
use super::{Facts, millis, nanos};

/// A delay may be off by this much whatever its length: stamps are whole milliseconds and lines take time to print.
const FLOOR: Duration = Duration::from_millis(50);

/// What is asked of the retries.
pub(crate) struct Asked {
    pub(crate) count: Option<Count>,
    pub(crate) max: Option<u32>,
    pub(crate) delay: Option<DelayLaw>,
    pub(crate) tolerance_per_mille: u32,
}

/// One announced retry.
struct Retry {
    seq: u64,
    attempt: u32,
    max: Option<u32>,
    announced: Option<Duration>,
    measured: Option<Duration>,
    /// The event that ended the delay.
    until: Option<u64>,
}

/// An announced retry with its delay: as announced, as kept, and as the scenario wants it. For those who show what was
/// judged; the judge itself asks [`examine`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interval {
    /// `seq` of the announcement.
    pub seq: u64,
    /// `seq` of the event that ended the delay, where it was seen.
    pub until: Option<u64>,
    /// This failure's number, from 1.
    pub attempt: u32,
    /// The delay that was announced.
    pub announced: Option<Duration>,
    /// The delay that was kept: in device time where the firmware prints its attempts, else in the run's.
    pub measured: Option<Duration>,
    /// The delay that the first expectation wants whose window holds the announcement.
    pub due: Option<Duration>,
    /// How far announced and measured may be from `due`.
    pub tolerance: Duration,
}

impl Interval {
    /// True when the announced or the measured delay is not as due.
    #[must_use]
    pub fn is_off(&self) -> bool {
        let off = |delay: Duration| self.due.is_some_and(|due| delay.abs_diff(due) > self.tolerance);
        self.announced.is_some_and(off) || self.measured.is_some_and(off)
    }
}

/// All announced retries of a timeline, with the delays that the scenario's expectations want.
#[must_use]
pub fn intervals(scenario: &Scenario, events: &[Event], facts: &Facts) -> Vec<Interval> {
    let laws: Vec<_> = scenario
        .expectations
        .iter()
        .filter_map(|e| match e.kind {
            ExpectationKind::Retries { delay: Some(law), tolerance_per_mille, .. } => {
                Some((resolve(&e.window, events), law, tolerance_per_mille))
            }
            _ => None,
        })
        .collect();
    let all: Vec<&Event> = events.iter().collect();
    let stamped = |retry: &Retry| usize::try_from(retry.seq).ok().and_then(|at| events.get(at));
    collect(&all, facts)
        .into_iter()
        .map(|retry| {
            let law = laws.iter().find(|(window, ..)| stamped(&retry).is_some_and(|event| window.contains(event)));
            let due = law.and_then(|(_, law, _)| due(*law, retry.attempt));
            let tolerance = due.zip(law).map_or(FLOOR, |(due, (.., per_mille))| tolerance(due, *per_mille));
            Interval {
                seq: retry.seq,
                until: retry.until,
                attempt: retry.attempt,
                announced: retry.announced,
                measured: retry.measured,
                due,
                tolerance,
            }
        })
        .collect()
}

fn tolerance(due: Duration, per_mille: u32) -> Duration {
    FLOOR.max(due.saturating_mul(per_mille) / 1000)
}

/// What was found: evidence, and what is wrong, if anything.
pub(crate) struct Found {
    pub(crate) retries: u64,
    pub(crate) problem: Option<String>,
    pub(crate) words: String,
    pub(crate) evidence: Vec<u64>,
}

pub(crate) fn examine(asked: &Asked, events: &[&Event], facts: &Facts) -> Found {
    let retries = collect(events, facts);
    let evidence = retries.iter().map(|r| r.seq).collect();
    let measured: Vec<_> = retries.iter().filter_map(|r| r.measured).map(|d| millis(nanos(d))).collect();
    let words = match (retries.len(), measured.is_empty()) {
        (0, _) => "no retry was announced".to_owned(),
        (n, true) => format!("{n} retries announced, none of their delays could be measured"),
        (n, false) => format!("{n} retries announced, measured delays {}", measured.join(", ")),
    };
    Found { retries: retries.len() as u64, problem: problem(asked, &retries), words, evidence }
}

fn problem(asked: &Asked, retries: &[Retry]) -> Option<String> {
    let mut expected_attempt = None;
    for retry in retries {
        // Counts up by one, and starts again with a restart of the device or after a success.
        if expected_attempt.is_some_and(|n| retry.attempt != n && retry.attempt != 1) {
            let wanted = expected_attempt.unwrap_or(1);
            return Some(format!("retry {} was announced where {wanted} was due", retry.attempt));
        }
        if expected_attempt.is_some() && retry.attempt == 1 && retries.len() > 1 && expected_attempt == Some(2) {
            return Some("retry 1 was announced twice in a row: the counter does not count".to_owned());
        }
        expected_attempt = Some(retry.attempt + 1);
        if let (Some(wanted), found) = (asked.max, retry.max)
            && found != Some(wanted)
        {
            let found = found.map_or_else(|| "none".to_owned(), |n| n.to_string());
            return Some(format!("retry {} announces {found} attempts in all, not {wanted}", retry.attempt));
        }
        let Some(law) = asked.delay else { continue };
        let Some(due) = due(law, retry.attempt) else {
            return Some("the firmware file's delay law was not filled in".to_owned());
        };
        let tolerance = tolerance(due, asked.tolerance_per_mille);
        for (word, delay) in [("announced", retry.announced), ("measured", retry.measured)] {
            if let Some(delay) = delay
                && delay.abs_diff(due) > tolerance
            {
                return Some(format!(
                    "retry {} {word} {} where {} was due (within {})",
                    retry.attempt,
                    millis(nanos(delay)),
                    millis(nanos(due)),
                    millis(nanos(tolerance)),
                ));
            }
        }
    }
    None
}

fn due(law: DelayLaw, attempt: u32) -> Option<Duration> {
    match law {
        DelayLaw::Constant(delay) => Some(delay),
        DelayLaw::Doubling { first, cap } => {
            let factor = 1u32.checked_shl(attempt.saturating_sub(1)).unwrap_or(u32::MAX);
            let delay = first.saturating_mul(factor);
            Some(cap.map_or(delay, |cap| delay.min(cap)))
        }
        DelayLaw::OfFirmware => None,
    }
}

fn collect(events: &[&Event], facts: &Facts) -> Vec<Retry> {
    let mut retries: Vec<Retry> = Vec::new();
    // The retry whose delay runs, and when it began.
    let mut running: Option<(usize, u64)> = None;
    for event in events {
        let device_ns = event.device.map(|d| d.unwrapped_ms.saturating_mul(1_000_000));
        match &event.kind {
            EventKind::Device { event: DeviceEvent::RetryScheduled { attempt, max, delay_ms }, .. } => {
                let stamp = if facts.prints_attempts { device_ns } else { Some(event.at_ns) };
                running = stamp.map(|stamp| (retries.len(), stamp));
                retries.push(Retry {
                    seq: event.seq,
                    attempt: *attempt,
                    max: *max,
                    announced: delay_ms.map(Duration::from_millis),
                    measured: None,
                    until: None,
                });
            }
            EventKind::Device { event: DeviceEvent::RequestStarted { .. }, .. } if facts.prints_attempts => {
                if let (Some((index, from)), Some(to)) = (running.take(), device_ns) {
                    retries[index].measured = Some(Duration::from_nanos(to.saturating_sub(from)));
                    retries[index].until = Some(event.seq);
                }
            }
            EventKind::Server(ota_server::event::ServerEvent::Accepted { .. }) if !facts.prints_attempts => {
                if let Some((index, from)) = running.take() {
                    let waited = Duration::from_nanos(event.at_ns.saturating_sub(from));
                    // The two stamps come from different sides.
                    retries[index].measured = Some(waited.saturating_sub(facts.skew));
                    retries[index].until = Some(event.seq);
                }
            }
            // A restart ends the wait that was running: it is nobody's delay.
            EventKind::Device { event: DeviceEvent::Reset { .. }, .. }
            | EventKind::Action(Action::Reset | Action::PowerOff | Action::Provisioned { .. }) => running = None,
            _ => {}
        }
    }
    retries
}
