//! The form of a dialect file as written, before it is checked.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use toml::Spanned;

/// A dialect: rules that turn a firmware's console lines into device events.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "brickproof dialect")]
pub(super) struct RawDialect {
    /// Name of the dialect, for messages.
    #[schemars(with = "String")]
    pub(super) name: Spanned<String>,
    /// One sentence: which firmware it is for.
    #[serde(default)]
    #[expect(dead_code, reason = "kept in the file for its readers")]
    pub(super) summary: Option<String>,
    /// The dialect whose rules come first: an embedded one by name, or a file by its path seen from this file.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub(super) extends: Option<Spanned<String>>,
    /// Names of inherited rules to leave out.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    pub(super) without: Vec<Spanned<String>>,
    /// The rules. A rule named as an inherited one replaces it.
    #[serde(default)]
    pub(super) rule: Vec<RawRule>,
}

/// One rule: lines that match give the event.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawRule {
    /// Name, unique within the dialect.
    #[schemars(with = "String")]
    pub(super) name: Spanned<String>,
    /// What the pattern looks at.
    #[serde(default)]
    pub(super) on: On,
    /// Regular expression for the whole tag of the log line. Without it any tag will do.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub(super) tag: Option<Spanned<String>>,
    /// Level letters, any of which will do ("EW"). Without it any level will do.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub(super) level: Option<Spanned<String>>,
    /// Regular expression. Its named groups fill the event's fields: `(?<delay_s>\d+)` fills `delay-ms` from seconds.
    #[serde(rename = "match")]
    #[schemars(with = "String")]
    pub(super) pattern: Spanned<String>,
    /// Kebab-case name of the device event.
    #[schemars(with = "String")]
    pub(super) event: Spanned<String>,
    /// Fields with the same value every time.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, serde_json::Value>")]
    pub(super) set: BTreeMap<Spanned<String>, Spanned<toml::Value>>,
    /// Whole console lines that must give this event: checked whenever the file is loaded.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    pub(super) examples: Vec<Spanned<String>>,
}

/// What a rule's pattern looks at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum On {
    /// The message of an ESP-IDF log line, after level, stamp and tag; lines without a log header are not looked at.
    #[default]
    Message,
    /// The whole line, with or without a log header.
    Line,
}

/// The JSON Schema of dialect files, pretty-printed, with a line end.
#[must_use]
pub fn schema() -> String {
    let schema = schemars::schema_for!(RawDialect);
    let mut text = serde_json::to_string_pretty(&schema).unwrap_or_default();
    text.push('\n');
    text
}
