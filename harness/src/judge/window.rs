//! Windows: which part of the timeline an expectation looks at.

use crate::scenario::model::{Anchor, Window};
use crate::timeline::{Action, Event, EventKind};

use super::{Observed, matches, nanos};

/// A window on the run's clock, inclusive at both ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Resolved {
    /// Its begin was not seen.
    NotBegun,
    /// From here to there; without an end, to the end of observation.
    Open {
        /// Nanoseconds.
        from_ns: u64,
        /// Nanoseconds.
        end_ns: Option<u64>,
    },
}

pub(crate) fn resolve(window: &Window, events: &[Event]) -> Resolved {
    let from = match &window.from {
        Anchor::Start => Some(0),
        Anchor::Step(index) => events
            .iter()
            .find(|e| matches!(&e.kind, EventKind::Action(Action::StepStarted { step, .. }) if step == index))
            .map(|e| e.at_ns),
        Anchor::After(pattern) => events.iter().find(|e| matches(pattern, e)).map(|e| e.at_ns),
    };
    from.map_or(Resolved::NotBegun, |from_ns| Resolved::Open {
        from_ns,
        end_ns: window.within.map(|within| from_ns.saturating_add(nanos(within))),
    })
}

impl Resolved {
    pub(crate) fn end_ns(self) -> Option<u64> {
        match self {
            Self::Open { end_ns, .. } => end_ns,
            Self::NotBegun => None,
        }
    }

    pub(crate) fn contains(self, event: &Event) -> bool {
        match self {
            Self::NotBegun => false,
            Self::Open { from_ns, end_ns } => event.at_ns >= from_ns && end_ns.is_none_or(|end| event.at_ns <= end),
        }
    }

    /// Whether observation reached the window's end. A window without an end ends with observation, if that ended on
    /// purpose.
    pub(crate) fn is_over(self, observed: &Observed) -> bool {
        match self {
            Self::NotBegun => observed.finished,
            Self::Open { end_ns: Some(end), .. } => observed.end_ns >= end,
            Self::Open { end_ns: None, .. } => observed.finished,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn window_includes_its_limit_and_nothing_beyond() {
        let window = Window { from: Anchor::Start, within: Some(Duration::from_secs(1)) };
        let resolved = resolve(&window, &[]);
        let at = |at_ns| Event { seq: 0, at_ns, wall_ms: 0, device: None, kind: EventKind::Action(Action::Reset) };
        assert!(resolved.contains(&at(1_000_000_000)));
        assert!(!resolved.contains(&at(1_000_000_001)));
        assert!(resolved.is_over(&Observed { end_ns: 1_000_000_000, finished: false }));
        assert!(!resolved.is_over(&Observed { end_ns: 999_999_999, finished: true }));
    }
}
