//! A checked dialect, and how it reads a line.

use regex::{Regex, RegexSet};
use serde_json::{Map, Value};

use crate::esp_err;
use crate::timeline::{ConsoleLine, DeviceEvent};

use super::convert::Conversion;
use super::raw::On;

/// Rules that turn console lines into device events.
#[derive(Clone, Debug)]
pub struct Dialect {
    name: String,
    pub(super) rules: Vec<Rule>,
    message: Table,
    line: Table,
}

/// One checked rule.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    pub(super) name: String,
    pub(super) on: On,
    pub(super) tag: Option<Regex>,
    pub(super) levels: Option<String>,
    pub(super) pattern: Regex,
    pub(super) event: String,
    pub(super) constants: Map<String, Value>,
    pub(super) groups: Vec<Group>,
    /// The event has a `message` field that neither a group nor a constant fills: the line's own words do.
    pub(super) takes_message: bool,
}

/// What a capture group fills.
#[derive(Clone, Debug)]
pub(super) struct Group {
    pub(super) index: usize,
    pub(super) field: String,
    pub(super) conversion: Conversion,
}

/// All patterns that look at the same text, matched in one pass.
#[derive(Clone, Debug)]
struct Table {
    set: RegexSet,
    /// Which rule each pattern of the set belongs to.
    rules: Vec<usize>,
    /// Rules that are looked at one by one. One for some levels only is refused at a glance for most lines, and may match
    /// nearly all text of its own (`.`), at each byte of which the set would stop. At a text that is not ASCII a word boundary
    /// sends the whole set to an engine that is a hundred times slower; alone such a pattern is found by its letters.
    alone: Vec<usize>,
}

impl Table {
    fn new(rules: &[Rule], on: On) -> Result<Self, regex::Error> {
        let is_alone = |index: &usize| {
            let rule = &rules[*index];
            rule.levels.is_some() || has_word_boundary(rule.pattern.as_str())
        };
        let (alone, together): (Vec<_>, Vec<_>) =
            (0..rules.len()).filter(|index| rules[*index].on == on).partition(is_alone);
        let set = RegexSet::new(together.iter().map(|index| rules[*index].pattern.as_str()))?;
        Ok(Self { set, rules: together, alone })
    }

    /// Adds the rules that may read a text; all others do not.
    fn matches(&self, text: &str, candidates: &mut Vec<usize>) {
        candidates.extend(self.set.matches(text).into_iter().map(|pattern| self.rules[pattern]));
        candidates.extend_from_slice(&self.alone);
    }
}

fn has_word_boundary(pattern: &str) -> bool {
    regex_syntax::parse(pattern).is_ok_and(|hir| hir.properties().look_set().contains_word_unicode())
}

impl Dialect {
    /// # Errors
    /// When the patterns together are larger than the regex engine allows.
    pub(super) fn new(name: String, rules: Vec<Rule>) -> Result<Self, regex::Error> {
        let (message, line) = (Table::new(&rules, On::Message)?, Table::new(&rules, On::Line)?);
        Ok(Self { name, rules, message, line })
    }

    /// The name that the file gives.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The patterns of all rules, for other tools to search for the same.
    pub fn patterns(&self) -> impl Iterator<Item = &str> {
        self.rules.iter().map(|rule| rule.pattern.as_str())
    }

    /// What a line says the device did, in the order of the rules. A rule whose captures do not fit the event (a number
    /// beyond its type) gives nothing, and an error without name or number gives way to one with.
    #[must_use]
    pub fn read(&self, line: &ConsoleLine) -> Vec<DeviceEvent> {
        let mut events = Vec::new();
        for event in self.candidates(line).into_iter().filter_map(|index| self.rules[index].read(line)) {
            // Two rules may say the same of one line: it happened once.
            if !events.contains(&event) {
                events.push(event);
            }
        }
        if events.iter().any(|event| is_error(event, true)) {
            events.retain(|event| !is_error(event, false));
        }
        events
    }

    /// The rules that may read a line, in order.
    pub(super) fn candidates(&self, line: &ConsoleLine) -> Vec<usize> {
        let mut candidates = Vec::new();
        self.line.matches(&line.text, &mut candidates);
        if let Some(message) = &line.message {
            self.message.matches(message, &mut candidates);
        }
        candidates.retain(|index| self.rules[*index].is_of_level(line));
        candidates.sort_unstable();
        candidates
    }
}

impl Rule {
    /// The event, if the line is one for this rule.
    pub(super) fn read(&self, line: &ConsoleLine) -> Option<DeviceEvent> {
        if !self.is_of_level(line) {
            return None;
        }
        if let Some(tag) = &self.tag {
            line.tag.as_ref().filter(|found| tag.is_match(found))?;
        }
        let text = match self.on {
            On::Message => line.message.as_deref()?,
            On::Line => &line.text,
        };
        let captures = self.pattern.captures(text)?;
        let mut fields = self.constants.clone();
        fields.insert("event".to_owned(), Value::from(self.event.as_str()));
        for group in &self.groups {
            if let Some(found) = captures.get(group.index)
                && let Some(value) = group.conversion.apply(found.as_str())
            {
                fields.insert(group.field.clone(), value);
            }
        }
        if self.takes_message {
            let words = line.message.as_deref().unwrap_or(&line.text);
            fields.insert("message".to_owned(), Value::from(words));
        }
        serde_json::from_value(Value::Object(fields)).ok().map(complete)
    }

    fn is_of_level(&self, line: &ConsoleLine) -> bool {
        self.levels.as_ref().is_none_or(|levels| line.level.is_some_and(|level| levels.contains(level)))
    }
}

/// Whether an event is an error that is (or is not) named or numbered.
fn is_error(event: &DeviceEvent, known: bool) -> bool {
    match event {
        DeviceEvent::Error { name, code, errno, status, .. } => {
            (name.is_some() || code.is_some() || errno.is_some() || status.is_some()) == known
        }
        _ => false,
    }
}

/// An error known by name also gets its number, and the other way round.
fn complete(event: DeviceEvent) -> DeviceEvent {
    match event {
        DeviceEvent::Error { name, code, errno, status, message } => {
            let known = name.as_deref().and_then(esp_err::code_of);
            let name = name.or_else(|| code.and_then(esp_err::name_of).map(str::to_owned));
            DeviceEvent::Error { name, code: code.or(known), errno, status, message }
        }
        other => other,
    }
}
