//! The firmware file: what the harness must know of one firmware, so that scenarios hold for another.

mod provision;

pub use provision::{Encoding, Provision, Signs, command};

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use ota_server::units::HumanDuration;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::problem::{FileErrors, Problems};
use crate::scenario::values::{Values, delay_law};

/// A key in the NVS partition.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct NvsKey {
    /// Namespace.
    pub namespace: String,
    /// Key.
    pub key: String,
}

/// NVS keys of Wi-Fi credentials.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct WifiKeys {
    /// The network's name.
    pub ssid: NvsKey,
    /// Its password.
    pub password: NvsKey,
}

/// What differs from a version on.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct VersionPart {
    /// From this version on.
    pub from: String,
    /// Attempts before it gives up.
    #[serde(default)]
    pub max_attempts: Option<u32>,
    /// Delay law.
    #[serde(default)]
    pub delay: Option<String>,
}

/// A firmware file.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(title = "brickproof firmware file")]
pub struct FirmwareFile {
    /// Name.
    pub name: String,
    /// Dialect of its console: a built-in name or a file.
    pub dialect: String,
    /// Attempts before it gives up.
    pub max_attempts: u32,
    /// Delay law: `60s`, `10s doubling`.
    pub delay: String,
    /// It prints a line for each attempt, so that delays can be measured on its own clock.
    pub prints_attempts: bool,
    /// How far stamps of device and server may be apart for the same moment.
    pub skew: HumanDuration,
    /// Configuration keys in NVS, by the names that scenarios use.
    pub nvs: BTreeMap<String, NvsKey>,
    /// Where a real board's Wi-Fi credentials stand in NVS; they come from `BRICKPROOF_WIFI_SSID` and
    /// `BRICKPROOF_WIFI_PASSWORD`. Left out where the firmware has them built in.
    #[serde(default)]
    pub wifi: Option<WifiKeys>,
    /// How it is told what scenarios provision; in NVS unless given.
    #[serde(default)]
    pub provision: Provision,
    /// What differs from a version on, oldest first.
    #[serde(default)]
    pub version: Vec<VersionPart>,
}

/// The firmware file of the reference firmware.
pub const EMBEDDED: &str = include_str!("../../../scenarios/firmware/xiaozhi.toml");

/// Reads a firmware file.
///
/// # Errors
///
/// Everything that is wrong with it, at its place.
pub fn parse(path: &str, text: &str) -> Result<FirmwareFile, FileErrors> {
    let mut problems = Problems::new(path, text);
    let file: FirmwareFile = match toml::from_str(text) {
        Ok(file) => file,
        Err(e) => {
            problems.add_toml(&e);
            return problems.finish(None);
        }
    };
    for (fault, why) in file.provision.problems() {
        let at = text.find(&fault).unwrap_or(0);
        problems.add(at..(at + fault.len()).min(text.len()), why, None);
    }
    let laws = std::iter::once(&file.delay).chain(file.version.iter().filter_map(|v| v.delay.as_ref()));
    for law in laws {
        if let Err(message) = delay_law(law) {
            let at = text.find(law.as_str()).unwrap_or(0);
            problems.add(at..at + law.len(), message, None);
        }
    }
    problems.finish(Some(file))
}

/// Reads a firmware file, the embedded one where no path is given.
///
/// # Errors
///
/// The file cannot be read, or is wrong.
pub fn load(path: Option<&Path>) -> miette::Result<FirmwareFile> {
    match path {
        None => Ok(parse("scenarios/firmware/xiaozhi.toml", EMBEDDED)?),
        Some(path) => {
            let text = std::fs::read_to_string(path)
                .map_err(|e| miette::miette!("cannot read firmware file {}: {e}", path.display()))?;
            Ok(parse(&path.display().to_string(), &text)?)
        }
    }
}

impl FirmwareFile {
    /// The NVS key of a name that scenarios use.
    #[must_use]
    pub fn nvs_key(&self, name: &str) -> Option<&NvsKey> {
        self.nvs.get(name)
    }

    /// How far stamps may be apart.
    #[must_use]
    pub fn skew(&self) -> Duration {
        self.skew.get()
    }

    /// The values that scenarios may refer to, for the version that is flashed.
    #[must_use]
    pub fn values(&self, version: &str, network: Values) -> Values {
        let mut attempts = self.max_attempts;
        let mut delay = self.delay.clone();
        for part in &self.version {
            if part.from == version || is_newer(version, &part.from) {
                attempts = part.max_attempts.unwrap_or(attempts);
                delay = part.delay.clone().unwrap_or(delay);
            }
        }
        network
            .with("firmware.name", &self.name)
            .with("firmware.max_attempts", &attempts.to_string())
            .with("firmware.delay", &delay)
            .with("firmware.version", version)
    }
}

/// Dot-separated numbers compared as numbers.
fn is_newer(version: &str, than: &str) -> bool {
    let numbers = |text: &str| -> Vec<u64> { text.split('.').map(|part| part.parse().unwrap_or(0)).collect() };
    numbers(version) > numbers(than)
}

/// The JSON Schema of firmware files.
#[must_use]
pub fn schema() -> String {
    serde_json::to_string_pretty(&schemars::schema_for!(FirmwareFile)).unwrap_or_default() + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn law_follows_the_version_that_is_flashed() {
        let file = parse("f", EMBEDDED).expect("embedded");
        let delay = |version| file.values(version, Values::default()).fill("{firmware.delay}").expect("value");
        assert_eq!(delay("1.5.9"), "60s");
        assert_eq!(delay("1.6.0"), "10s doubling");
        assert_eq!(delay("1.10"), "10s doubling");
    }

    #[test]
    fn ways_of_provisioning_are_checked_at_their_place() {
        let with = |table: &str| parse("f.toml", &format!("{EMBEDDED}\n[provision]\n{table}"));
        let console = with("how = \"console\"\ncommands = { ota-url = \"set url {value}\" }\nready = \"> $\"\n");
        assert!(matches!(console.expect("good").provision, Provision::Console { .. }));
        assert_eq!(with("how = \"none\"\n").expect("good").provision, Provision::None);
        let form = "how = \"form\"\nfields = { ota-url = \"ota_url\" }\nencoding = \"json\"\n";
        with(&format!("{form}url = \"http://192.168.4.1/advanced/submit\"\n")).expect("good");
        for (table, words) in [
            ("how = \"console\"\ncommands = { ota-url = \"set url\" }\n".to_owned(), "does not hold {value}"),
            ("how = \"console\"\ncommands = {}\nready = \"(\"\n".to_owned(), "no regular expression"),
            (format!("{form}url = \"https://192.168.4.1/\"\n"), "http://HOST/PATH"),
            (format!("{form}url = \"there\"\n"), "no URL"),
            ("how = \"telepathy\"\n".to_owned(), "unknown variant"),
        ] {
            let errors = with(&table).expect_err(&table);
            assert!(errors.problems[0].message.contains(words), "{table}: {}", errors.problems[0]);
        }
    }

    #[test]
    fn misspelt_key_is_named_with_what_was_meant() {
        let text = EMBEDDED.replace("max-attempts", "max-atempts");
        let errors = parse("f.toml", &text).expect_err("misspelt");
        assert!(errors.problems[0].message.contains("max-atempts"));
        assert_eq!(errors.problems[0].help.as_deref(), Some("did you mean `max-attempts`?"));
    }
}
