//! How a firmware is told its configuration.

use std::collections::BTreeMap;

use ota_server::units::HumanDuration;
use regex::Regex;
use schemars::JsonSchema;
use serde::Deserialize;

/// What stands for a value in a console command.
const VALUE: &str = "{value}";
/// How long a device is waited for, unless the file says otherwise.
const WITHIN: std::time::Duration = std::time::Duration::from_secs(60);

/// How a firmware is told what scenarios provision.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(tag = "how", rename_all = "kebab-case", rename_all_fields = "kebab-case", deny_unknown_fields)]
pub enum Provision {
    /// Into its NVS partition, under the keys of `[nvs]`.
    #[default]
    Nvs,
    /// By commands on its console.
    Console {
        /// The commands, by the names that scenarios use, `wifi-ssid` and `wifi-password`; `{value}` is the value.
        commands: BTreeMap<String, String>,
        /// Around the commands.
        #[serde(flatten)]
        signs: Signs,
    },
    /// By the form of its configuration page, which it serves on an access point of its own. This host must be in that
    /// network.
    Form {
        /// Where the form is sent by POST, as `http://192.168.4.1/submit`.
        url: String,
        /// The form's fields, by the names that scenarios use, `wifi-ssid` and `wifi-password`.
        fields: BTreeMap<String, String>,
        /// How fields are written.
        #[serde(default)]
        encoding: Encoding,
        /// Around the form.
        #[serde(flatten)]
        signs: Signs,
    },
    /// Not at all: it is built with its configuration, and scenarios that provision something are skipped.
    None,
}

/// How the fields of a form are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Encoding {
    /// `a=1&b=2`, as browsers do.
    #[default]
    Form,
    /// A JSON object of texts.
    Json,
}

/// What the console says around provisioning.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
pub struct Signs {
    /// Regular expression of the console line that says that the device listens. Without it it is told at once.
    #[serde(default)]
    pub ready: Option<String>,
    /// Regular expression of the console line that says that it has understood. Without it nothing is waited for.
    #[serde(default)]
    pub done: Option<String>,
    /// How long each is waited for; 60 s unless given.
    #[serde(default)]
    pub within: Option<HumanDuration>,
}

impl Signs {
    /// How long each is waited for.
    #[must_use]
    pub fn within(&self) -> std::time::Duration {
        self.within.map_or(WITHIN, HumanDuration::get)
    }
}

impl Provision {
    /// What is wrong with it: the text at fault, and why.
    pub(super) fn problems(&self) -> Vec<(String, String)> {
        let mut found = Vec::new();
        if let Self::Console { signs, .. } | Self::Form { signs, .. } = self {
            for expression in [&signs.ready, &signs.done].into_iter().flatten() {
                if let Err(e) = Regex::new(expression) {
                    found.push((expression.clone(), format!("it is no regular expression: {e}")));
                }
            }
        }
        match self {
            Self::Console { commands, .. } => {
                for command in commands.values().filter(|command| !command.contains(VALUE)) {
                    found
                        .push((command.clone(), format!("the command does not hold {VALUE}, where the value belongs")));
                }
            }
            Self::Form { url, .. } => match url.parse::<url::Url>() {
                Ok(parsed) if parsed.scheme() == "http" && parsed.has_host() => {}
                Ok(_) => found.push((url.clone(), "a device's own page is reached by http://HOST/PATH".to_owned())),
                Err(e) => found.push((url.clone(), format!("it is no URL: {e}"))),
            },
            Self::Nvs | Self::None => {}
        }
        found
    }
}

/// A command with its value.
#[must_use]
pub fn command(template: &str, value: &str) -> String {
    template.replace(VALUE, value)
}
