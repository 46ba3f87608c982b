//! The judge: a pure function from a scenario and a timeline to verdicts.
//!
//! What this module must never know: clocks, files, sockets, boards. It recomputes everything from the stamps on the
//! events; that a wait of the engine timed out only says that the engine stopped waiting.

mod expectation;
mod facts;
mod matcher;
mod retries;
mod window;

pub use facts::{Facts, Observed};
pub(crate) use matcher::words;
pub use matcher::{Matcher, matches};
pub use retries::{Interval, intervals};

use crate::scenario::model::{Count, Scenario};
use crate::timeline::{Action, Event, EventKind, RigEvent};
use crate::verdict::{ExpectationVerdict, Status, Verdict};

/// Judges a timeline.
#[must_use]
pub fn judge(scenario: &Scenario, events: &[Event], facts: &Facts) -> Verdict {
    let observed = Observed::of(events);
    let mut expectations: Vec<ExpectationVerdict> = Vec::new();
    for (index, step) in scenario.steps.iter().enumerate() {
        if let Some(wait) = &step.until {
            expectations.push(step_verdict(index, step, wait, events, &observed));
        }
    }
    for expectation in &scenario.expectations {
        let outcome = expectation::evaluate(expectation, scenario, events, facts, &observed);
        expectations.push(ExpectationVerdict {
            label: expectation.label.clone(),
            span: expectation.span.clone(),
            status: outcome.status,
            found: outcome.found,
            evidence: outcome.evidence,
        });
    }
    let (status, reason) = overall(events, &observed, &expectations);
    Verdict { status, reason, expectations }
}

/// True when no further event could change any verdict: every expectation is decided or its window is over.
#[must_use]
pub fn is_settled(scenario: &Scenario, events: &[Event], facts: &Facts, now_ns: u64) -> bool {
    let observed = Observed { end_ns: now_ns, finished: false };
    scenario.expectations.iter().all(|e| expectation::evaluate(e, scenario, events, facts, &observed).settled)
}

/// When the last window closes that is open now, as far as that is known: run's clock, nanoseconds.
#[must_use]
pub fn horizon(scenario: &Scenario, events: &[Event]) -> Option<u64> {
    scenario.expectations.iter().filter_map(|e| window::resolve(&e.window, events).end_ns()).max()
}

fn step_verdict(
    index: usize,
    step: &crate::scenario::model::Step,
    wait: &crate::scenario::model::Wait,
    events: &[Event],
    observed: &Observed,
) -> ExpectationVerdict {
    let what = matcher::words(&wait.pattern);
    let times = if wait.count > 1 { format!(" {} times", wait.count) } else { String::new() };
    let within = ota_server::units::HumanDuration::from(wait.within);
    let label = format!("step {} ({}): {what}{times} within {within}", index + 1, step.name);
    let begun = events
        .iter()
        .find(|e| matches!(&e.kind, EventKind::Action(Action::StepStarted { step, .. }) if *step == index));
    let (status, found, evidence) = match begun {
        None if observed.finished => (Status::Fail, "the step was never reached".to_owned(), vec![]),
        None => (Status::Error, "not observed long enough: the step was never reached".to_owned(), vec![]),
        Some(begun) => {
            let limit = begun.at_ns.saturating_add(nanos(wait.within));
            let mut matcher = Matcher::new(wait.pattern.clone(), wait.count);
            let met = events.iter().filter(|e| e.seq > begun.seq && e.at_ns <= limit).find(|e| matcher.feed(e));
            match met {
                Some(event) => {
                    let after = millis(event.at_ns - begun.at_ns);
                    (Status::Pass, format!("after {after}"), vec![event.seq])
                }
                None if observed.end_ns < limit => (
                    Status::Error,
                    format!(
                        "not observed long enough: observation ended {} into the step",
                        millis(observed.end_ns.saturating_sub(begun.at_ns))
                    ),
                    vec![],
                ),
                None => {
                    let seen = matcher.seen().len();
                    (Status::Fail, format!("happened {seen} of {} times", wait.count), matcher.seen().to_vec())
                }
            }
        }
    };
    ExpectationVerdict { label, span: step.span.clone(), status, found, evidence }
}

fn overall(events: &[Event], observed: &Observed, expectations: &[ExpectationVerdict]) -> (Status, Option<String>) {
    for event in events {
        match &event.kind {
            EventKind::Rig(RigEvent::Error { message }) => return (Status::Error, Some(message.clone())),
            EventKind::Rig(RigEvent::Runaway { device, message }) => {
                return (if *device { Status::Fail } else { Status::Error }, Some(message.clone()));
            }
            _ => {}
        }
    }
    let worst = expectations.iter().map(|e| e.status).filter(|s| *s != Status::Skip).max().unwrap_or(Status::Pass);
    // An expectation that was not observed long enough says nothing of the firmware, one that failed does.
    let failed = expectations.iter().any(|e| e.status == Status::Fail);
    if !observed.finished && !failed {
        let reason = "abandoned: the recording has no end, so what came after it is not known".to_owned();
        return (Status::Error, Some(reason));
    }
    (if failed { Status::Fail } else { worst }, None)
}

pub(crate) fn nanos(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// A length of time for people.
pub(crate) fn millis(ns: u64) -> String {
    crate::timeline::time_words(ns / 1_000_000)
}

/// Whether a count is as wanted, and the words for what was wanted.
pub(crate) fn count_words(count: Count) -> String {
    match (count.min, count.max) {
        (min, Some(max)) if min == max => format!("{min} times"),
        (min, Some(max)) => format!("{min} to {max} times"),
        (1, None) => "at least once".to_owned(),
        (min, None) => format!("at least {min} times"),
    }
}

#[cfg(test)]
mod tests;
