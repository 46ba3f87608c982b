//! Patterns against events: the one matcher that engine triggers and the judge share.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use crate::scenario::model::Pattern;
use crate::timeline::{Event, EventKind};

/// Counts matches of a pattern, event by event.
#[derive(Clone, Debug)]
pub struct Matcher {
    pattern: Pattern,
    wanted: u32,
    seen: Vec<u64>,
}

impl Matcher {
    /// A matcher that is satisfied after so many matches.
    #[must_use]
    pub fn new(pattern: Pattern, wanted: u32) -> Self {
        Self { pattern, wanted: wanted.max(1), seen: Vec::new() }
    }

    /// Looks at the next event; true when it is the match that satisfies.
    pub fn feed(&mut self, event: &Event) -> bool {
        if !matches(&self.pattern, event) {
            return false;
        }
        self.seen.push(event.seq);
        self.seen.len() == usize::try_from(self.wanted).unwrap_or(usize::MAX)
    }

    /// `seq` of the matches so far.
    #[must_use]
    pub fn seen(&self) -> &[u64] {
        &self.seen
    }
}

/// Whether an event is as a pattern says.
#[must_use]
pub fn matches(pattern: &Pattern, event: &Event) -> bool {
    match (pattern, &event.kind) {
        (Pattern::Console(regex), EventKind::Console(line)) => regex.is_match(&line.text),
        (Pattern::Device { event, fields }, EventKind::Device { event: seen, .. }) => is(seen, "event", event, fields),
        (Pattern::Server { event, fields }, EventKind::Server(seen)) => is(seen, "server", event, fields),
        (Pattern::Action { event, fields }, EventKind::Action(seen)) => is(seen, "action", event, fields),
        _ => false,
    }
}

/// Compares by the serialised form: its tag is the event's name, its members are the fields.
fn is(seen: &impl Serialize, tag: &str, name: &str, fields: &BTreeMap<String, Value>) -> bool {
    let Ok(Value::Object(seen)) = serde_json::to_value(seen) else { return false };
    seen.get(tag).and_then(Value::as_str) == Some(name)
        && fields.iter().all(|(key, wanted)| seen.get(key).is_some_and(|found| equal(found, wanted)))
}

/// Numbers are equal by value, whatever their type.
fn equal(found: &Value, wanted: &Value) -> bool {
    match (found.as_f64(), wanted.as_f64()) {
        (Some(found), Some(wanted)) => (found - wanted).abs() < f64::EPSILON,
        _ => found == wanted,
    }
}

/// A pattern in words.
#[must_use]
pub(crate) fn words(pattern: &Pattern) -> String {
    let with = |event: &str, fields: &BTreeMap<String, Value>| {
        let fields: Vec<_> = fields.iter().map(|(k, v)| format!("{k} {}", plain(v))).collect();
        if fields.is_empty() { event.to_owned() } else { format!("{event} ({})", fields.join(", ")) }
    };
    match pattern {
        Pattern::Device { event, fields } => format!("device event {}", with(event, fields)),
        Pattern::Console(regex) => format!("console line /{regex}/"),
        Pattern::Server { event, fields } => format!("server event {}", with(event, fields)),
        Pattern::Action { event, fields } => format!("harness action {}", with(event, fields)),
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Which clock's side a pattern's events come from: order across sides counts only beyond the skew.
pub(crate) fn side(pattern: &Pattern) -> u8 {
    match pattern {
        Pattern::Device { .. } | Pattern::Console(_) => 0,
        Pattern::Server { .. } => 1,
        Pattern::Action { .. } => 2,
    }
}
