//! What settings say must not be shown: the table `[secrets]`, and the boards' Wi-Fi passwords.

use std::ops::Range;

use regex::bytes::Regex;
use schemars::JsonSchema;
use serde::Deserialize;
use toml::Spanned;

use super::layer::{Layer, WifiVariables};
use crate::problem::Problems;
use crate::secrets::environment::{is_variable, too_short};
use crate::secrets::{Secrets, parts};

/// What must not be shown, besides what is known without being told. Both files' lists count.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct SecretsLayer {
    /// Environment variables whose values are masked wherever they stand. One that is not set is fine.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    pub env: Vec<Spanned<String>>,
    /// Regular expressions: their groups are masked, or all they match where they have none.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    pub patterns: Vec<Spanned<String>>,
}

impl SecretsLayer {
    /// Tells what is wrong.
    pub(super) fn check(&self, problems: &mut Problems<'_>) {
        for name in &self.env {
            if !is_variable(name.get_ref()) {
                let message = format!("{:?} is no name of an environment variable", name.get_ref());
                let help = "the name alone, as in \"MQTT_PASSWORD\": the value never stands in a file";
                problems.add(name.span(), message, Some(help.to_owned()));
            }
        }
        for pattern in &self.patterns {
            let add = |problems: &mut Problems<'_>, span: Range<usize>, message: String| {
                let help = "the syntax is that of https://docs.rs/regex; 'single quotes' keep backslashes as they are";
                problems.add(span, message, Some(help.to_owned()));
            };
            match Regex::new(pattern.get_ref()) {
                Ok(found) if found.is_match(b"") => {
                    add(
                        problems,
                        pattern.span(),
                        "this regular expression matches the empty text, and so everywhere".to_owned(),
                    );
                }
                Ok(_) => {}
                Err(e) => {
                    add(problems, pattern.span(), format!("no regular expression: {}", last_line(&e.to_string())))
                }
            }
        }
    }

    pub(super) fn with(mut self, lower: Self) -> Self {
        self.env.splice(0..0, lower.env);
        self.patterns.splice(0..0, lower.patterns);
        self
    }
}

/// The error without its picture of the expression, which stands in the file.
fn last_line(error: &str) -> &str {
    error.lines().last().unwrap_or(error).trim_start_matches("error: ")
}

impl Layer {
    /// What must not be shown. `variable` reads the environment.
    ///
    /// # Errors
    ///
    /// A value is too short to be masked; in words.
    pub fn secrets(&self, variable: impl Fn(&str) -> Option<String>) -> Result<Secrets, String> {
        let secrets = Secrets::default();
        let wifi = std::iter::once(WifiVariables::default()).chain(self.boards.values().filter_map(|b| b.wifi.clone()));
        wifi.filter_map(|wifi| variable(&wifi.password_env)).for_each(|password| secrets.add_value(&password));
        for name in &self.secrets.env {
            let Some(value) = variable(name.get_ref()).filter(|value| !value.is_empty()) else { continue };
            if parts(&value).next().is_none() {
                return Err(too_short(name.get_ref(), &value));
            }
            secrets.add_value(&value);
        }
        // What is none was refused when the file was read.
        self.secrets.patterns.iter().filter_map(|p| Regex::new(p.get_ref()).ok()).for_each(|p| secrets.add_pattern(p));
        Ok(secrets)
    }
}
