//! What the judge must know besides scenario and timeline: facts of the board and the firmware file. They stand in the
//! recording, so that it can be judged again elsewhere.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::timeline::{Action, Event, EventKind, RigEvent};

/// Facts of board and firmware.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Facts {
    /// Flash offset and label of each application partition.
    pub slots: Vec<(u32, String)>,
    /// The firmware prints a line for each attempt, so delays are measured in device time.
    pub prints_attempts: bool,
    /// How far stamps of different sources may be apart for the same moment. Order counts only beyond it.
    pub skew: Duration,
}

impl Facts {
    /// Label of the slot at an offset.
    #[must_use]
    pub fn slot(&self, offset: u32) -> Option<&str> {
        self.slots.iter().find(|(at, _)| *at == offset).map(|(_, label)| label.as_str())
    }
}

/// How far observation went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Observed {
    /// The last moment observed, on the run's clock, in nanoseconds.
    pub end_ns: u64,
    /// Observation ended on purpose: not by a crash, not because the rig failed or the run ran away.
    pub finished: bool,
}

impl Observed {
    /// Reads it off a timeline.
    #[must_use]
    pub fn of(events: &[Event]) -> Self {
        let ended = events.iter().rev().find(|e| matches!(e.kind, EventKind::Action(Action::RunEnded)));
        let broken =
            events.iter().any(|e| matches!(e.kind, EventKind::Rig(RigEvent::Error { .. } | RigEvent::Runaway { .. })));
        let last = events.last().map_or(0, |e| e.at_ns);
        Self { end_ns: ended.map_or(last, |e| e.at_ns), finished: ended.is_some() && !broken }
    }
}
