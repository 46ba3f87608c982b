//! Values that scenarios refer to, so that they hold for another firmware and another network: `{server.url}`.

use std::collections::BTreeMap;
use std::time::Duration;

use ota_server::units::HumanDuration;

use super::model::DelayLaw;
use crate::problem::suggestion;
use crate::secrets::environment::is_variable;

/// Port of the OTA server's TLS listener, as the device sees it.
pub const TLS_PORT: u16 = 8443;
/// The OTA server's name in the rig's name server; reserved for tests (RFC 6761).
pub const SERVER_NAME: &str = "ota.brickproof.test";

/// Names and what they stand for.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Values(pub BTreeMap<String, String>);

impl Values {
    /// The values of a network. The certificate of the test authority is known once there is one: it is made for a run.
    #[must_use]
    pub fn of_network(host: &str, port: u16) -> Self {
        let path = ota_server::serve::OTA_PATH;
        Self(BTreeMap::from([
            ("server.ca".to_owned(), "(the test authority's certificate)".to_owned()),
            ("server.tls-port".to_owned(), TLS_PORT.to_string()),
            ("server.tls-url".to_owned(), format!("https://{host}:{TLS_PORT}{path}")),
            ("server.name".to_owned(), SERVER_NAME.to_owned()),
            ("server.name-url".to_owned(), format!("http://{SERVER_NAME}:{port}{path}")),
            ("server.host".to_owned(), host.to_owned()),
            ("server.port".to_owned(), port.to_string()),
            ("server.url".to_owned(), format!("http://{host}:{port}{path}")),
        ]))
    }

    /// Adds a value.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.0.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Fills a text in, and leaves `{env.NAME}` as it is: the run fills that in where the text is written to the board, so
    /// that nothing else ever holds it.
    ///
    /// # Errors
    ///
    /// As [`fill`](Self::fill), or `NAME` is no name of an environment variable.
    pub fn fill_but_environment(&self, text: &str) -> Result<String, (String, Option<String>)> {
        let mut filled = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("{env.") {
            let (name, after) =
                after.split_once('}').ok_or_else(|| (format!("`{{` in {text:?} is never closed"), None))?;
            if !is_variable(name) {
                return Err((format!("{name:?} is no name of an environment variable"), None));
            }
            filled.push_str(&self.fill(before)?);
            filled.push_str(&format!("{{env.{name}}}"));
            rest = after;
        }
        Ok(filled + &self.fill(rest)?)
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
            if let Some(variable) = name.strip_prefix("env.") {
                return Err((
                    format!(
                        "{variable:?} is taken from the environment where something is provisioned, and nowhere else"
                    ),
                    Some("what is recorded and judged must not depend on a secret (docs/secrets.md)".to_owned()),
                ));
            }
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
