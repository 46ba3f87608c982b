//! Values that scenarios refer to, so that they hold for another firmware and another network: `{server.url}`.

use std::collections::BTreeMap;
use std::time::Duration;

use ota_server::units::HumanDuration;

use super::model::DelayLaw;
use crate::problem::suggestion;

/// Names and what they stand for.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Values(pub BTreeMap<String, String>);

impl Values {
    /// The values of a network.
    #[must_use]
    pub fn of_network(host: &str, port: u16) -> Self {
        Self(BTreeMap::from([
            ("server.host".to_owned(), host.to_owned()),
            ("server.port".to_owned(), port.to_string()),
            ("server.url".to_owned(), format!("http://{host}:{port}{}", ota_server::serve::OTA_PATH)),
        ]))
    }

    /// Adds a value.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.0.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Fills a text in.
    ///
    /// # Errors
    ///
    /// An unknown name or a brace without its partner, in words, and what was meant.
    pub fn fill(&self, text: &str) -> Result<String, (String, Option<String>)> {
        let mut filled = String::new();
        let mut rest = text;
        while let Some(open) = rest.find('{') {
            let close = rest[open..].find('}').ok_or_else(|| (format!("`{{` in {text:?} is never closed"), None))?;
            let name = &rest[open + 1..open + close];
            let value = self.0.get(name).ok_or_else(|| {
                let known: Vec<&str> = self.0.keys().map(String::as_str).collect();
                (format!("there is no value {name:?}"), suggestion(name, &known))
            })?;
            filled.push_str(&rest[..open]);
            filled.push_str(value);
            rest = &rest[open + close + 1..];
        }
        filled.push_str(rest);
        Ok(filled)
    }
}

/// Reads a delay law: `60s`, `10s doubling`, `10s doubling up to 2560s`.
///
/// # Errors
///
/// What is wrong, in words.
pub fn delay_law(text: &str) -> Result<DelayLaw, String> {
    let time = |text: &str| -> Result<Duration, String> {
        text.trim().parse::<HumanDuration>().map(HumanDuration::get).map_err(|e| e.to_string())
    };
    match text.split_once("doubling") {
        None => Ok(DelayLaw::Constant(time(text)?)),
        Some((first, rest)) => {
            let cap = match rest.trim() {
                "" => None,
                rest => {
                    let cap = rest.strip_prefix("up to").ok_or_else(|| {
                        format!(
                            "{text:?} is no delay law; write \"60s\", \"10s doubling\" or \"10s doubling up to 2560s\""
                        )
                    })?;
                    Some(time(cap)?)
                }
            };
            Ok(DelayLaw::Doubling { first: time(first)?, cap })
        }
    }
}
