//! From the raw form to a dialect that cannot be wrong; all problems of a file at once.

use std::collections::BTreeSet;
use std::ops::Range;

use regex::Regex;
use serde_json::{Map, Value};
use toml::Spanned;

use crate::console::LineSplitter;
use crate::timeline::DeviceEvent;

use super::convert::{Conversion, resolve};
use super::error::File;
use super::raw::{RawDialect, RawRule};
use super::rule::{Dialect, Group, Rule};
use super::shape::{EventShape, Field, Kind, shape, shapes};
use crate::problem::{Problem, nearest};

/// Checks a file's rules and puts them after the inherited ones.
pub(super) fn check(file: &File, raw: RawDialect, inherited: Vec<Rule>) -> Result<Dialect, Vec<Problem>> {
    let mut checker = Checker { file, problems: Vec::new() };
    let mut rules = checker.inherited(&raw.without, inherited);
    let mut own = BTreeSet::new();
    for raw_rule in &raw.rule {
        if !own.insert(raw_rule.name.get_ref().clone()) {
            let message = format!("a second rule is named \"{}\"", raw_rule.name.get_ref());
            checker.problem(raw_rule.name.span(), message, Some("give each rule of a file its own name".to_owned()));
        }
        if let Some(rule) = checker.rule(raw_rule) {
            match rules.iter_mut().find(|known| known.name == rule.name) {
                Some(replaced) => *replaced = rule,
                None => rules.push(rule),
            }
        }
    }
    if checker.problems.is_empty() {
        match Dialect::new(raw.name.get_ref().clone(), rules) {
            Ok(dialect) => return Ok(dialect),
            Err(error) => checker.problem(
                raw.name.span(),
                format!("the patterns of this dialect are too large together: {error}"),
                Some("repeat less: counted repetitions such as {1000} of large classes cost most".to_owned()),
            ),
        }
    }
    checker.problems.sort_by_key(|p| p.span.offset());
    Err(checker.problems)
}

struct Checker<'f> {
    file: &'f File,
    problems: Vec<Problem>,
}

impl Checker<'_> {
    fn problem(&mut self, span: Range<usize>, message: String, help: Option<String>) {
        self.problems.push(self.file.problem(span, message, help));
    }

    fn inherited(&mut self, without: &[Spanned<String>], mut rules: Vec<Rule>) -> Vec<Rule> {
        for name in without {
            let before = rules.len();
            let meant = nearest(name.get_ref(), rules.iter().map(|rule| rule.name.as_str())).map(str::to_owned);
            rules.retain(|rule| rule.name != *name.get_ref());
            if rules.len() == before {
                let help = meant.map_or_else(
                    || "`without` names rules of the dialect that this one extends".to_owned(),
                    |meant| format!("did you mean \"{meant}\"?"),
                );
                self.problem(name.span(), format!("no inherited rule is named \"{}\"", name.get_ref()), Some(help));
            }
        }
        rules
    }

    fn rule(&mut self, raw: &RawRule) -> Option<Rule> {
        let before = self.problems.len();
        let pattern = self.regex(&raw.pattern, |text| text.to_owned());
        let tag = raw.tag.as_ref().and_then(|tag| self.regex(tag, |text| format!("^(?:{text})$")));
        if let Some(levels) = &raw.level
            && (levels.get_ref().is_empty() || !levels.get_ref().chars().all(|c| "EWIDV".contains(c)))
        {
            let message = format!("\"{}\" is no set of log levels", levels.get_ref());
            self.problem(
                levels.span(),
                message,
                Some("levels are the letters E, W, I, D and V, as in \"EW\"".to_owned()),
            );
        }
        let event = self.event(&raw.event);
        let (event, pattern) = (event?, pattern?);
        let constants = self.constants(raw, event);
        let groups = self.groups(raw, event, &pattern);
        self.required(raw, event, &groups);
        let filled = |field: &str| constants.contains_key(field) || groups.iter().any(|group| group.field == field);
        let rule = Rule {
            name: raw.name.get_ref().clone(),
            on: raw.on,
            tag,
            levels: raw.level.as_ref().map(|levels| levels.get_ref().clone()),
            takes_message: event.field("message").is_some() && !filled("message"),
            pattern,
            event: event.name.clone(),
            constants,
            groups,
        };
        if self.problems.len() == before {
            self.examples(raw, &rule);
        }
        (self.problems.len() == before).then_some(rule)
    }

    fn regex(&mut self, text: &Spanned<String>, whole: impl Fn(&str) -> String) -> Option<Regex> {
        match Regex::new(&whole(text.get_ref())) {
            Ok(regex) => Some(regex),
            Err(error) => {
                // The engine's message draws the pattern over several lines; its last one says what is wrong.
                let words = error.to_string();
                let reason = words.lines().last().unwrap_or_default().trim().trim_start_matches("error: ").to_owned();
                let message = format!("bad regular expression `{}`: {reason}", text.get_ref());
                let help =
                    "the syntax is that of Rust's regex crate; single quotes in TOML keep backslashes as they are";
                self.problem(text.span(), message, Some(help.to_owned()));
                None
            }
        }
    }

    fn event(&mut self, name: &Spanned<String>) -> Option<&'static EventShape> {
        let found = shape(name.get_ref());
        if found.is_none() {
            let names = || shapes().iter().map(|shape| shape.name.as_str());
            let help = nearest(name.get_ref(), names()).map_or_else(
                || {
                    let known = names().collect::<Vec<_>>().join(", ");
                    format!("device events are {known}; for anything else use custom with a name")
                },
                |meant| format!("did you mean \"{meant}\"?"),
            );
            self.problem(name.span(), format!("unknown device event \"{}\"", name.get_ref()), Some(help));
        }
        found
    }

    fn unknown_field(&mut self, span: Range<usize>, what: String, field: &str, event: &EventShape) {
        let names = || event.fields.iter().map(|field| field.name.as_str());
        let help = match nearest(field, names()) {
            Some(meant) => format!("did you mean \"{meant}\"?"),
            None if event.fields.is_empty() => format!("{} has no fields", event.name),
            None => format!("{} has {}", event.name, names().collect::<Vec<_>>().join(", ")),
        };
        self.problem(span, what, Some(help));
    }

    fn constants(&mut self, raw: &RawRule, event: &EventShape) -> Map<String, Value> {
        let mut constants = Map::new();
        for (key, value) in &raw.set {
            let Some(field) = event.field(key.get_ref()) else {
                let what = format!("device event {} has no field \"{}\"", event.name, key.get_ref());
                self.unknown_field(key.span(), what, key.get_ref(), event);
                continue;
            };
            let json = match (value.get_ref(), &field.kind) {
                (toml::Value::String(text), Kind::Text) => Some(Value::from(text.as_str())),
                (toml::Value::String(word), Kind::Choice(words)) if words.contains(word) => {
                    Some(Value::from(word.as_str()))
                }
                (toml::Value::Integer(number), Kind::Integer) => Some(Value::from(*number)),
                (toml::Value::Boolean(flag), Kind::Flag) => Some(Value::from(*flag)),
                _ => None,
            };
            match json.filter(|json| fits(event, field, json)) {
                Some(json) => {
                    constants.insert(field.name.clone(), json);
                }
                None => {
                    let help = match (&field.kind, value.get_ref().as_str()) {
                        (Kind::Choice(words), Some(word)) => nearest(word, words.iter().map(String::as_str))
                            .map(|meant| format!("did you mean \"{meant}\"?")),
                        _ => None,
                    };
                    let message = format!("{} of {} takes {}", field.name, event.name, describe(&field.kind));
                    self.problem(value.span(), message, help.or(Some(format!("here it is {}", value.get_ref()))));
                }
            }
        }
        constants
    }

    fn groups(&mut self, raw: &RawRule, event: &EventShape, pattern: &Regex) -> Vec<Group> {
        let mut groups: Vec<Group> = Vec::new();
        for (index, name) in pattern.capture_names().enumerate() {
            let Some(name) = name else { continue };
            let Some((field, conversion)) = resolve(name, event) else {
                let what = format!("group \"{name}\" fits no field of device event {}", event.name);
                self.unknown_field(raw.pattern.span(), what, &name.replace('_', "-"), event);
                continue;
            };
            if raw.set.keys().any(|key| *key.get_ref() == field) {
                let message = format!("field {field} is both set and filled by group \"{name}\"");
                self.problem(raw.pattern.span(), message, Some("keep one of the two".to_owned()));
            }
            groups.push(Group { index, field, conversion });
        }
        groups
    }

    fn required(&mut self, raw: &RawRule, event: &EventShape, groups: &[Group]) {
        let set = |name: &str| raw.set.keys().any(|key| key.get_ref() == name);
        for field in event.fields.iter().filter(|field| field.required) {
            if !set(&field.name) && !groups.iter().any(|group| group.field == field.name) {
                let message = format!("device event {} needs its field {}", event.name, field.name);
                let group = field.name.replace('-', "_");
                let help = format!("capture it as `(?<{group}>...)` or give it under `set`");
                self.problem(raw.event.span(), message, Some(help));
            }
        }
        for group in groups {
            let choice = event.field(&group.field).is_some_and(|field| matches!(field.kind, Kind::Choice(_)));
            if choice && group.conversion == Conversion::Text {
                let message = format!("field {} takes one of a few words and cannot be captured", group.field);
                self.problem(raw.pattern.span(), message, Some("give it under `set`, one rule per word".to_owned()));
            }
        }
    }

    fn examples(&mut self, raw: &RawRule, rule: &Rule) {
        for example in &raw.examples {
            let mut splitter = LineSplitter::new();
            let mut lines = splitter.feed(example.get_ref().as_bytes());
            lines.extend(splitter.flush());
            if !lines.iter().any(|line| rule.read(&line.line).is_some()) {
                let message = format!("the rule \"{}\" does not match its own example", rule.name);
                let help = "on = \"message\" (the default) looks only at what follows the tag; check tag and level too";
                self.problem(example.span(), message, Some(help.to_owned()));
            }
        }
    }
}

/// Whether the event's type takes this value: a number may be too large for it.
fn fits(event: &EventShape, field: &Field, value: &Value) -> bool {
    let mut probe = Map::new();
    probe.insert("event".to_owned(), Value::from(event.name.as_str()));
    for other in event.fields.iter().filter(|other| other.required) {
        probe.insert(other.name.clone(), sample(&other.kind));
    }
    probe.insert(field.name.clone(), value.clone());
    serde_json::from_value::<DeviceEvent>(Value::Object(probe)).is_ok()
}

fn sample(kind: &Kind) -> Value {
    match kind {
        Kind::Integer => Value::from(1),
        Kind::Text => Value::from(""),
        Kind::Flag => Value::from(false),
        Kind::Choice(words) => Value::from(words.first().map(String::as_str).unwrap_or_default()),
    }
}

fn describe(kind: &Kind) -> String {
    match kind {
        Kind::Integer => "a whole number within its range".to_owned(),
        Kind::Text => "text".to_owned(),
        Kind::Flag => "true or false".to_owned(),
        Kind::Choice(words) => format!("one of {}", words.join(", ")),
    }
}
