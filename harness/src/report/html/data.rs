//! What the page's script needs of one timeline, as compact JSON: columns in place of an object for each line.
//!
//! Pure: a timeline and its verdict in, numbers and words out. `assets/data.js` is its only reader, on the same page, so
//! the form has no version.

use std::collections::HashMap;

use ota_server::event::{Closed, ServerEvent};
use serde::Serialize;

use super::device;
use super::untrusted::InertJson;
use crate::judge::Interval;
use crate::timeline::{Action, Event, EventKind, RigEvent, Side, describe};
use crate::verdict::Verdict;

/// Bytes of a line's raw form that are shown, in hexadecimal.
const RAW: usize = 512;

/// A run as it was recorded and judged: what the page needs besides the report.
#[derive(Clone, Debug)]
pub struct Evidence {
    /// The timeline.
    pub events: Vec<Event>,
    /// What the judge says of it.
    pub verdict: Verdict,
    /// Its retries, measured and expected.
    pub intervals: Vec<Interval>,
    /// The scenario's text, templates filled in.
    pub source: String,
    /// When the run began, RFC 3339.
    pub began: String,
}

/// The data of one timeline. Times are microseconds of the run's clock; rows are indices into [`Rows`].
#[derive(Debug, Serialize)]
pub(super) struct Data {
    /// The last moment.
    end: u64,
    rows: Rows,
    device: Device,
    connections: Vec<Connection>,
    faults: Vec<Fault>,
    /// Which faults were in force: from, to, their names.
    plans: Vec<(u64, u64, String)>,
    /// Steps of the scenario: from, to, name.
    steps: Vec<(u64, u64, String)>,
    /// What the harness did: when, row.
    actions: Vec<(u64, usize)>,
    retries: Vec<Retry>,
    /// The rows that decided each expectation, in the verdict's order.
    deciding: Vec<Vec<usize>>,
    /// The row that shows each event.
    #[serde(skip)]
    row_of: Vec<usize>,
}

/// Everything that has words, in order.
#[derive(Debug, Default, Serialize)]
struct Rows {
    /// Time since the row before.
    dt: Vec<u64>,
    /// A letter for each: d(evice), s(erver), h(arness), r(ig).
    side: String,
    /// The log level's letter for each; a space for none.
    level: String,
    text: Vec<String>,
    /// Of lines whose text does not tell all their bytes: row and the first bytes in hexadecimal.
    raw: Vec<(usize, String)>,
}

/// Typed device events; a column each.
#[derive(Debug, Default, Serialize)]
struct Device {
    /// The console line that each was read from.
    row: Vec<usize>,
    /// A letter for each (`device::Kind`).
    kind: String,
    words: Vec<String>,
}

/// A connection of the server.
#[derive(Debug, Serialize)]
struct Connection {
    /// When, and its row.
    from: u64,
    row: usize,
    /// When it ended, and that row; absent for one still open.
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<(u64, usize)>,
    port: u16,
    /// Number, requests and answers.
    words: String,
    /// A connection that was reset, by either side.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    reset: bool,
}

/// A fault that acted.
#[derive(Debug, Serialize)]
struct Fault {
    at: u64,
    row: usize,
    name: String,
}

/// A retry's delay. Delays are milliseconds.
#[derive(Debug, Serialize)]
struct Retry {
    from: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<u64>,
    row: usize,
    attempt: u32,
    measured: Option<u128>,
    due: Option<u128>,
    /// Measured and due are further apart than is allowed.
    off: bool,
}

impl Data {
    pub(super) fn of(evidence: &Evidence) -> Self {
        let events = &evidence.events;
        let end = events.last().map_or(0, micros);
        let mut data = Self {
            end,
            rows: Rows::default(),
            device: Device::default(),
            connections: Vec::new(),
            faults: Vec::new(),
            plans: Vec::new(),
            steps: Vec::new(),
            actions: Vec::new(),
            retries: Vec::new(),
            deciding: Vec::new(),
            row_of: Vec::new(),
        };
        // A typed device event is shown by the console line it was read from.
        let mut row_of: Vec<usize> = Vec::with_capacity(events.len());
        let mut open: HashMap<u64, usize> = HashMap::new();
        let mut before = 0;
        for event in events {
            let at = micros(event);
            if let EventKind::Device { line, event } = &event.kind {
                let line = usize::try_from(*line).ok().and_then(|line| row_of.get(line).copied());
                let row = line.unwrap_or_else(|| data.rows.text.len().saturating_sub(1));
                row_of.push(row);
                data.device.add(row, event);
                continue;
            }
            let row = data.rows.text.len();
            row_of.push(row.saturating_sub(1));
            let Some((side, text)) = describe(event) else { continue };
            if let Some(own) = row_of.last_mut() {
                *own = row;
            }
            data.rows.add(event, at.saturating_sub(before), side, text);
            before = before.max(at);
            match &event.kind {
                EventKind::Server(event) => data.server(at, row, event, &mut open),
                EventKind::Action(action) => data.action(at, row, action),
                _ => {}
            }
        }
        for step in [&mut data.steps, &mut data.plans] {
            close(step, end);
        }
        let row = |seq: u64| usize::try_from(seq).ok().and_then(|seq| row_of.get(seq).copied());
        let at = |seq: u64| usize::try_from(seq).ok().and_then(|seq| events.get(seq)).map(micros);
        data.retries = evidence.intervals.iter().filter_map(|i| retry(i, &row, &at)).collect();
        data.deciding = evidence
            .verdict
            .expectations
            .iter()
            .map(|e| {
                let mut rows: Vec<usize> = e.evidence.iter().filter_map(|seq| row(*seq)).collect();
                rows.dedup();
                rows
            })
            .collect();
        data.row_of = row_of;
        data
    }

    /// The row that shows an event.
    pub(super) fn row(&self, seq: u64) -> Option<usize> {
        usize::try_from(seq).ok().and_then(|seq| self.row_of.get(seq).copied())
    }

    /// About how many bytes it takes as JSON.
    pub(super) fn weight(&self) -> usize {
        self.rows.text.iter().chain(&self.device.words).map(|text| text.len() + 12).sum()
    }

    /// Writes it as JSON that can stand in an element of the page.
    pub(super) fn write(&self, out: &mut impl std::io::Write) -> serde_json::Result<()> {
        self.serialize(&mut serde_json::Serializer::with_formatter(out, InertJson))
    }

    fn server(&mut self, at: u64, row: usize, event: &ServerEvent, open: &mut HashMap<u64, usize>) {
        match event {
            ServerEvent::Accepted { connection, port, .. } => {
                open.insert(*connection, self.connections.len());
                let words = format!("#{connection}");
                self.connections.push(Connection { from: at, row, to: None, port: *port, words, reset: false });
            }
            ServerEvent::Request { connection, method, path, .. } => {
                self.say(open, *connection, &format!("{method} {path}"))
            }
            ServerEvent::Response { connection, status, .. } => self.say(open, *connection, &format!("→ {status}")),
            ServerEvent::TlsHandshake { connection, done, .. } => {
                self.say(open, *connection, if *done { "TLS" } else { "TLS failed" });
            }
            ServerEvent::ConnectionClosed { connection, how, .. } => {
                if let Some(index) = open.remove(connection) {
                    self.connections[index].to = Some((at, row));
                    self.connections[index].reset = matches!(how, Closed::Reset | Closed::ResetByPeer);
                }
            }
            ServerEvent::FaultFired { fault, .. } => self.faults.push(Fault { at, row, name: fault.clone() }),
            ServerEvent::PlanChanged { faults } => self.plan(at, faults),
            _ => {}
        }
    }

    fn say(&mut self, open: &HashMap<u64, usize>, connection: u64, words: &str) {
        if let Some(index) = open.get(&connection) {
            let said = &mut self.connections[*index].words;
            // A connection kept alive for many requests is told by its first ones.
            if said.len() < 200 {
                said.push(' ');
                said.push_str(words);
            }
        }
    }

    fn action(&mut self, at: u64, row: usize, action: &Action) {
        match action {
            Action::StepStarted { step, name } => {
                close(&mut self.steps, at);
                self.steps.push((at, u64::MAX, format!("{}: {name}", step + 1)));
            }
            _ => self.actions.push((at, row)),
        }
    }

    fn plan(&mut self, at: u64, faults: &[String]) {
        close(&mut self.plans, at);
        if !faults.is_empty() {
            self.plans.push((at, u64::MAX, faults.join(", ")));
        }
    }
}

/// Ends the span that is open, if one is.
fn close(spans: &mut [(u64, u64, String)], at: u64) {
    if let Some(last) = spans.last_mut().filter(|last| last.1 == u64::MAX) {
        last.1 = at;
    }
}

impl Rows {
    fn add(&mut self, event: &Event, dt: u64, side: Side, text: String) {
        let (letter, level) = match &event.kind {
            EventKind::Console(line) => ('d', line.level.unwrap_or(' ')),
            EventKind::Rig(RigEvent::Error { .. } | RigEvent::Runaway { .. }) => ('r', 'E'),
            _ => (
                match side {
                    Side::Device => 'd',
                    Side::Server => 's',
                    Side::Harness => 'h',
                    Side::Rig => 'r',
                },
                ' ',
            ),
        };
        if let EventKind::Console(line) = &event.kind
            && let Some(raw) = &line.raw
        {
            let shown: String = raw.chars().take(2 * RAW).collect();
            self.raw.push((self.text.len(), shown));
        }
        self.dt.push(dt);
        self.side.push(letter);
        self.level.push(if level.is_ascii_alphabetic() { level } else { ' ' });
        self.text.push(text);
    }
}

impl Device {
    fn add(&mut self, row: usize, event: &crate::timeline::DeviceEvent) {
        let (kind, words) = device::describe(event);
        self.row.push(row);
        self.kind.push(kind.letter());
        self.words.push(words);
    }
}

fn retry(interval: &Interval, row: &impl Fn(u64) -> Option<usize>, at: &impl Fn(u64) -> Option<u64>) -> Option<Retry> {
    Some(Retry {
        from: at(interval.seq)?,
        to: interval.until.and_then(at),
        row: row(interval.seq)?,
        attempt: interval.attempt,
        measured: interval.measured.map(|d| d.as_millis()),
        due: interval.due.map(|d| d.as_millis()),
        off: interval.is_off(),
    })
}

fn micros(event: &Event) -> u64 {
    event.at_ns / 1000
}

#[cfg(test)]
mod tests;
