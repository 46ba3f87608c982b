//! One expectation against the timeline.

use crate::reset_reason::in_words;
use crate::scenario::model::{Count, Expectation, ExpectationKind, Pattern, Scenario};
use crate::timeline::{Action, DeviceEvent, Event, EventKind};
use crate::verdict::Status;

use super::window::{Resolved, resolve};
use super::{Facts, Observed, count_words, matcher, matches, millis, nanos, retries};

/// The outcome for one expectation.
pub(crate) struct Outcome {
    pub(crate) status: Status,
    pub(crate) found: String,
    pub(crate) evidence: Vec<u64>,
    /// No further event can change it.
    pub(crate) settled: bool,
}

/// The console must have spoken this recently for a device to count as alive.
const ALIVE_WITHIN_NS: u64 = 60_000_000_000;

/// What was found so far, before the question whether the window is over.
enum Found {
    /// Nothing can change this any more.
    Decided(bool, String, Vec<u64>),
    /// This holds if the window ends now.
    SoFar(bool, String, Vec<u64>),
}

pub(crate) fn evaluate(
    expectation: &Expectation,
    scenario: &Scenario,
    events: &[Event],
    facts: &Facts,
    observed: &Observed,
) -> Outcome {
    let window = resolve(&expectation.window, events);
    if window == Resolved::NotBegun {
        let found = "its window never began".to_owned();
        return if observed.finished {
            Outcome { status: Status::Fail, found, evidence: vec![], settled: true }
        } else {
            Outcome { status: Status::Error, found, evidence: vec![], settled: false }
        };
    }
    let inside: Vec<&Event> = events.iter().filter(|e| window.contains(e)).collect();
    let found = match &expectation.kind {
        ExpectationKind::Happens { pattern, count } => happens(&inside, pattern, *count),
        ExpectationKind::Never { pattern } => never(&inside, pattern),
        ExpectationKind::InOrder { patterns } => in_order(&inside, patterns, facts),
        ExpectationKind::Retries { count, max, delay, tolerance_per_mille } => {
            let asked =
                retries::Asked { count: *count, max: *max, delay: *delay, tolerance_per_mille: *tolerance_per_mille };
            retried(&asked, &inside, facts)
        }
        ExpectationKind::Boots { version, slot } => boots(&inside, events, &version.0, slot.as_deref(), facts),
        ExpectationKind::MarkedValid => marked_valid(&inside),
        ExpectationKind::Error { name, errno, count } => error_named(&inside, name.as_deref(), *errno, *count),
        ExpectationKind::StillRuns => still_runs(events, scenario, window, observed),
    };
    conclude(found, window, observed)
}

fn conclude(found: Found, window: Resolved, observed: &Observed) -> Outcome {
    let status = |holds| if holds { Status::Pass } else { Status::Fail };
    match found {
        Found::Decided(holds, found, evidence) => Outcome { status: status(holds), found, evidence, settled: true },
        Found::SoFar(holds, found, evidence) if window.is_over(observed) => {
            Outcome { status: status(holds), found, evidence, settled: true }
        }
        // A window without an end does not keep a run going.
        Found::SoFar(_, found, evidence) => Outcome {
            status: Status::Error,
            found: format!("not observed long enough; so far: {found}"),
            evidence,
            settled: window.end_ns().is_none(),
        },
    }
}

fn happens(events: &[&Event], pattern: &Pattern, count: Count) -> Found {
    let seen: Vec<u64> = events.iter().filter(|e| matches(pattern, e)).map(|e| e.seq).collect();
    counted(seen, count, "it happened")
}

fn counted(seen: Vec<u64>, count: Count, what: &str) -> Found {
    let n = seen.len() as u64;
    let words = match n {
        0 => format!("{what} not at all, wanted {}", count_words(count)),
        1 => format!("{what} once, wanted {}", count_words(count)),
        n => format!("{what} {n} times, wanted {}", count_words(count)),
    };
    match count.max {
        Some(max) if n > max => Found::Decided(false, words, seen),
        None if n >= count.min => Found::Decided(true, words, seen),
        _ => Found::SoFar(n >= count.min, words, seen),
    }
}

fn never(events: &[&Event], pattern: &Pattern) -> Found {
    match events.iter().find(|e| matches(pattern, e)) {
        Some(event) => Found::Decided(false, format!("it happened at {}", millis(event.at_ns)), vec![event.seq]),
        None => Found::SoFar(true, "it did not happen".to_owned(), vec![]),
    }
}

fn in_order(events: &[&Event], patterns: &[Pattern], facts: &Facts) -> Found {
    let mut evidence: Vec<u64> = Vec::new();
    let mut last: Option<(&Event, &Pattern)> = None;
    for (index, pattern) in patterns.iter().enumerate() {
        let next = events.iter().find(|event| {
            let after = last.is_none_or(|(before, by)| {
                // Stamps of two sides may cross by the skew.
                let slack = if matcher::side(by) == matcher::side(pattern) { 0 } else { nanos(facts.skew) };
                event.seq > before.seq || (slack > 0 && event.at_ns.saturating_add(slack) >= before.at_ns)
            });
            after && !evidence.contains(&event.seq) && matches(pattern, event)
        });
        match next {
            Some(event) => {
                evidence.push(event.seq);
                last = Some((event, pattern));
            }
            None => {
                let words = format!("{} did not happen after {index} of the others", matcher::words(pattern));
                return Found::SoFar(false, words, evidence);
            }
        }
    }
    Found::Decided(true, "in this order".to_owned(), evidence)
}

fn retried(asked: &retries::Asked, events: &[&Event], facts: &Facts) -> Found {
    let found = retries::examine(asked, events, facts);
    if let Some(problem) = found.problem {
        return Found::Decided(false, format!("{problem}; {}", found.words), found.evidence);
    }
    let Some(count) = asked.count else {
        return Found::SoFar(found.retries > 0, found.words, found.evidence);
    };
    let words = format!("{}; wanted {}", found.words, count_words(count));
    if count.max.is_some_and(|max| found.retries > max) {
        return Found::Decided(false, words, found.evidence);
    }
    Found::SoFar(found.retries >= count.min, words, found.evidence)
}

/// Which application started: its version, and the slot that the bootloader loaded before.
struct Boot<'a> {
    seq: u64,
    version: &'a str,
    slot: Option<String>,
}

fn boots_of<'a>(events: impl Iterator<Item = &'a Event>, facts: &Facts) -> Vec<Boot<'a>> {
    let mut slot: Option<String> = None;
    let mut boots = Vec::new();
    for event in events {
        match &event.kind {
            EventKind::Device { event: DeviceEvent::Reset { .. }, .. } => slot = None,
            EventKind::Device { event: DeviceEvent::SlotLoaded { offset }, .. } => {
                slot = Some(facts.slot(*offset).map_or_else(|| format!("{offset:#x}"), str::to_owned));
            }
            EventKind::Device { event: DeviceEvent::AppStarted { version }, .. } => {
                boots.push(Boot { seq: event.seq, version, slot: slot.clone() });
            }
            _ => {}
        }
    }
    boots
}

/// What the device runs at the end of the window, by its last boot, not by its words about updates.
fn boots(window: &[&Event], all: &[Event], version: &str, slot: Option<&str>, facts: &Facts) -> Found {
    let inside = boots_of(window.iter().copied(), facts);
    let Some(last) = inside.last() else {
        return Found::SoFar(false, "no application started".to_owned(), vec![]);
    };
    let first_slot = boots_of(all.iter(), facts).first().and_then(|b| b.slot.clone());
    let ran = last.slot.as_deref().unwrap_or("an unknown slot");
    let words = format!("version {} runs from {ran}", last.version);
    let slot_is_right = match slot {
        None => true,
        Some("other") => last.slot.is_some() && last.slot != first_slot,
        Some(wanted) => last.slot.as_deref() == Some(wanted),
    };
    Found::SoFar(last.version == version && slot_is_right, words, vec![last.seq])
}

fn marked_valid(events: &[&Event]) -> Found {
    let marked = |e: &&&Event| matches!(e.kind, EventKind::Device { event: DeviceEvent::MarkedValid, .. });
    match events.iter().find(marked) {
        Some(event) => Found::Decided(true, format!("marked valid at {}", millis(event.at_ns)), vec![event.seq]),
        None => Found::SoFar(false, "the running image was not marked valid".to_owned(), vec![]),
    }
}

fn error_named(events: &[&Event], name: Option<&str>, errno: Option<i32>, count: Count) -> Found {
    let mut named = Vec::new();
    let mut numbered = Vec::new();
    for event in events {
        if let EventKind::Device { event: DeviceEvent::Error { name: n, errno: e, .. }, .. } = &event.kind {
            if name.is_some() && n.as_deref() == name {
                named.push(event.seq);
            }
            if errno.is_some() && *e == errno {
                numbered.push(event.seq);
            }
        }
    }
    // Name and errno usually stand on lines of their own: each must be there so often.
    let seen = match (name, errno) {
        (Some(_), Some(_)) if numbered.len() < named.len() => numbered,
        (None, _) => numbered,
        _ => named,
    };
    counted(seen, count, "it was named")
}

fn still_runs(events: &[Event], scenario: &Scenario, window: Resolved, observed: &Observed) -> Found {
    // What explains the next reset may stand before the window: in real time a banner comes after its step began.
    // Several explanations (flashed, then reset) still explain one reset only.
    let mut explained = false;
    for event in events {
        match &event.kind {
            EventKind::Action(Action::Reset | Action::PowerOn | Action::Flashed { .. })
            | EventKind::Device { event: DeviceEvent::Restarting | DeviceEvent::UpgradeSuccessful, .. } => {
                explained = true;
            }
            EventKind::Device { event: DeviceEvent::Panic { reason }, .. } if window.contains(event) => {
                return Found::Decided(false, format!("it crashed: {reason}"), vec![event.seq]);
            }
            EventKind::Device { event: DeviceEvent::Reset { reason, .. }, .. } => {
                if !explained && window.contains(event) {
                    return Found::Decided(
                        false,
                        format!("it was reset by itself: {}", in_words(reason)),
                        vec![event.seq],
                    );
                }
                explained = false;
            }
            _ => {}
        }
    }
    let events: Vec<&Event> = events.iter().filter(|e| window.contains(e)).collect();
    let end = window.end_ns().unwrap_or(observed.end_ns).min(observed.end_ns);
    let last = events.iter().rev().find(|e| matches!(e.kind, EventKind::Console(_)));
    match last {
        Some(line) if end.saturating_sub(line.at_ns) <= ALIVE_WITHIN_NS => {
            Found::SoFar(true, format!("its console spoke at {}", millis(line.at_ns)), vec![line.seq])
        }
        Some(line) => Found::SoFar(false, format!("its console fell silent at {}", millis(line.at_ns)), vec![line.seq]),
        None => Found::SoFar(false, format!("its console said nothing in {}", scenario.name), vec![]),
    }
}
