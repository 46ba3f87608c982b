//! Windows: which part of the timeline an expectation looks at.

use crate::scenario::model::{Anchor, Limit, Window};
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
        Anchor::Step(index) => step_began(*index, events),
        Anchor::After(pattern) => events.iter().find(|e| matches(pattern, e)).map(|e| e.at_ns),
    };
    let Some(from_ns) = from else { return Resolved::NotBegun };
    let end_ns = match window.until {
        Limit::Within(within) => Some(from_ns.saturating_add(nanos(within))),
        Limit::Step(index) => step_began(index, events),
        Limit::End => None,
    };
    // What came only after its end began no window: an empty one would let everything pass.
    if end_ns.is_some_and(|end| end < from_ns) { Resolved::NotBegun } else { Resolved::Open { from_ns, end_ns } }
}

fn step_began(index: usize, events: &[Event]) -> Option<u64> {
    let began = |e: &&Event| matches!(&e.kind, EventKind::Action(Action::StepStarted { step, .. }) if *step == index);
    events.iter().find(began).map(|e| e.at_ns)
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
    use crate::scenario::model::Pattern;

    fn event(at_ns: u64, action: Action) -> Event {
        Event { seq: 0, at_ns, wall_ms: 0, device: None, kind: EventKind::Action(action) }
    }

    #[test]
    fn window_until_a_step_ends_where_that_begins_however_long_it_takes() {
        let window = Window { from: Anchor::Start, until: Limit::Step(1) };
        let begun = |at_ns, step| event(at_ns, Action::StepStarted { step, name: String::new() });
        let finished = Observed { end_ns: 9, finished: true };
        let none = resolve(&window, &[begun(0, 0)]);
        assert!(none.contains(&event(8, Action::Reset)) && none.is_over(&finished), "it never began");
        assert!(!none.is_over(&Observed { finished: false, ..finished }));
        let both = resolve(&window, &[begun(0, 0), begun(5, 1)]);
        assert!(both.contains(&event(5, Action::Reset)) && !both.contains(&event(6, Action::Reset)));
        assert!(both.is_over(&Observed { end_ns: 5, finished: false }));
    }

    #[test]
    fn window_whose_begin_comes_after_its_end_has_not_begun() {
        let reset = Pattern::Action { event: "reset".to_owned(), fields: std::collections::BTreeMap::new() };
        let window = Window { from: Anchor::After(reset), until: Limit::Step(1) };
        let begun = |at_ns, step| event(at_ns, Action::StepStarted { step, name: String::new() });
        assert_eq!(resolve(&window, &[begun(0, 0), begun(5, 1), event(6, Action::Reset)]), Resolved::NotBegun);
        let open = Resolved::Open { from_ns: 4, end_ns: Some(5) };
        assert_eq!(resolve(&window, &[begun(0, 0), event(4, Action::Reset), begun(5, 1)]), open);
    }

    #[test]
    fn window_includes_its_limit_and_nothing_beyond() {
        let window = Window { from: Anchor::Start, until: Limit::Within(Duration::from_secs(1)) };
        let resolved = resolve(&window, &[]);
        let at = |at_ns| event(at_ns, Action::Reset);
        assert!(resolved.contains(&at(1_000_000_000)));
        assert!(!resolved.contains(&at(1_000_000_001)));
        assert!(resolved.is_over(&Observed { end_ns: 1_000_000_000, finished: false }));
        assert!(!resolved.is_over(&Observed { end_ns: 999_999_999, finished: true }));
    }
}
