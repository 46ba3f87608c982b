//! The report's own form, which is also its JSON: a summary, and for each scenario what decided it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use super::changes::Changes;
pub use super::past::Past;
pub use crate::timeline::time_words;
use crate::timeline::{Event, EventKind, Side, describe};
pub use crate::verdict::Status;

/// Version of the JSON form; raised when a reader of the former could misread the new one.
pub const FORMAT: u32 = 1;

/// A whole report.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Report {
    /// [`FORMAT`].
    pub format: u32,
    /// Program and version that made it.
    pub made_by: String,
    /// When the run began, RFC 3339.
    pub began: String,
    /// Wall time of the whole run in milliseconds.
    pub wall_ms: u64,
    /// One entry for each scenario and repeat.
    pub scenarios: Vec<ScenarioReport>,
    /// What went wrong with the rig beside the scenarios: settings that could not be written back to a board.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<String>,
    /// What changed since a baseline, where the run was compared with one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changes: Option<Changes>,
    /// What a history tells of the scenarios, where the run is kept in one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub past: Option<Past>,
}

/// One scenario in a report.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct ScenarioReport {
    /// Scenario name.
    pub name: String,
    /// What it is about.
    pub summary: String,
    /// Board name.
    pub board: String,
    /// Chip name.
    pub chip: String,
    /// Which repeat, from 1.
    pub attempt: u32,
    /// The verdict.
    pub status: Status,
    /// Wall time in milliseconds.
    pub wall_ms: u64,
    /// Time on the run's clock in milliseconds (virtual when warped).
    pub run_ms: u64,
    /// True when time was warped.
    pub warped: bool,
    /// Why, for a skip or an error that no expectation carries.
    pub reason: Option<String>,
    /// The expectations.
    pub expectations: Vec<ExpectationReport>,
    /// The likely cause, where the verdict is not a pass and one was found.
    pub cause: Option<Cause>,
    /// Recording file, relative to the report.
    pub recording: Option<String>,
    /// Scenario file as named in the run.
    pub file: String,
    /// The last lines before observation ended, both sides.
    pub last_lines: Vec<Line>,
}

impl ScenarioReport {
    /// Shows every text but those read off the timeline, the board and the reason, to be masked.
    pub fn each_text(&mut self, see: &mut dyn FnMut(&mut String)) {
        [&mut self.name, &mut self.summary, &mut self.file].into_iter().for_each(&mut *see);
        for e in &mut self.expectations {
            [&mut e.label, &mut e.found, &mut e.source].into_iter().for_each(&mut *see);
        }
        if let Some(cause) = &mut self.cause {
            [&mut cause.sentence, &mut cause.advice].into_iter().for_each(&mut *see);
        }
    }
}

#[cfg(test)]
impl Report {
    /// An empty one: what the tests of reports begin with.
    pub(crate) fn example() -> Self {
        Self {
            format: FORMAT,
            made_by: "brickproof 0.1.0".to_owned(),
            began: "2026-11-23T17:00:00Z".to_owned(),
            wall_ms: 1000,
            scenarios: vec![],
            problems: vec![],
            changes: None,
            past: None,
        }
    }
}

#[cfg(test)]
impl ScenarioReport {
    /// A minute on the virtual board, with nothing to tell: what the tests of reports begin with.
    pub(crate) fn example(name: &str, attempt: u32, status: Status) -> Self {
        Self {
            name: name.to_owned(),
            summary: String::new(),
            board: "virtual".to_owned(),
            chip: "esp32c3".to_owned(),
            attempt,
            status,
            wall_ms: 100,
            run_ms: 60_000,
            warped: true,
            reason: None,
            expectations: vec![],
            cause: None,
            recording: None,
            file: String::new(),
            last_lines: vec![],
        }
    }
}

/// One expectation in a report.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct ExpectationReport {
    /// What was expected, in words.
    pub label: String,
    /// Verdict.
    pub status: Status,
    /// What was found.
    pub found: String,
    /// Line in the scenario file, from 1.
    pub line: usize,
    /// Column, from 1.
    pub column: usize,
    /// The lines of the file that state it.
    pub source: String,
    /// The lines around the deciding events.
    pub evidence: Vec<Line>,
}

/// The likely cause in a sentence, and what to do.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Cause {
    /// What probably went wrong.
    pub sentence: String,
    /// What to do about it.
    pub advice: String,
}

/// A line of evidence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Line {
    /// Position on the timeline.
    pub seq: u64,
    /// Run's clock in milliseconds.
    pub at_ms: u64,
    /// Whose.
    pub side: Side,
    /// The words; untrusted.
    pub text: String,
    /// True when this event decided the verdict.
    pub deciding: bool,
}

/// The lines around the deciding events: up to `around` before and after each, in order, both sides.
#[must_use]
pub fn evidence_lines(events: &[Event], deciding: &[u64], around: usize) -> Vec<Line> {
    let shown: Vec<(&Event, Side, String)> =
        events.iter().filter_map(|e| describe(e).map(|(side, text)| (e, side, text))).collect();
    // A typed device event is shown by the console line it was read from.
    let decides = |event: &Event| {
        deciding.contains(&event.seq)
            || deciding.iter().any(|seq| {
                events
                    .get(usize::try_from(*seq).unwrap_or(usize::MAX))
                    .is_some_and(|d| matches!(d.kind, EventKind::Device { line, .. } if line == event.seq))
            })
    };
    let marks: Vec<bool> = shown.iter().map(|(event, ..)| decides(event)).collect();
    let near = |i: usize| {
        let from = i.saturating_sub(around);
        let to = (i + around + 1).min(marks.len());
        marks[from..to].iter().any(|m| *m)
    };
    shown
        .iter()
        .enumerate()
        .filter(|(i, _)| near(*i))
        .map(|(i, (event, side, text))| Line {
            seq: event.seq,
            at_ms: event.at_ns / 1_000_000,
            side: *side,
            text: text.clone(),
            deciding: marks[i],
        })
        .collect()
}

/// The last lines of a timeline, both sides.
#[must_use]
pub fn last_lines(events: &[Event], count: usize) -> Vec<Line> {
    let mut lines: Vec<Line> = events
        .iter()
        .rev()
        .filter_map(|e| {
            describe(e).map(|(side, text)| Line { seq: e.seq, at_ms: e.at_ns / 1_000_000, side, text, deciding: false })
        })
        .take(count)
        .collect();
    lines.reverse();
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::timeline::{ConsoleLine, DeviceEvent};

    fn line(seq: u64, text: &str) -> Event {
        let console =
            ConsoleLine { text: text.to_owned(), raw: None, cut: false, level: None, tag: None, message: None };
        Event { seq, at_ns: seq * 1_000_000, wall_ms: 0, device: None, kind: EventKind::Console(console) }
    }

    #[test]
    fn typed_event_is_shown_by_its_console_line() {
        let mut events: Vec<Event> = (0..9).map(|n| line(n, &format!("line {n}"))).collect();
        events[5].kind = EventKind::Device { line: 4, event: DeviceEvent::RetriesExhausted };
        let shown = evidence_lines(&events, &[5], 1);
        let texts: Vec<_> = shown.iter().map(|l| (l.text.as_str(), l.deciding)).collect();
        assert_eq!(texts, [("line 3", false), ("line 4", true), ("line 6", false)]);
    }

    #[test]
    fn times_read_naturally() {
        assert_eq!(time_words(6953), "6.953 s");
        assert_eq!(time_words(540_000), "9 min 0 s");
        assert_eq!(time_words(5_110_000), "1 h 25 min");
    }
}
