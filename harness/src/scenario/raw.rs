//! The scenario file as it is written: every key, no meaning yet. Unknown keys stop here.

use std::collections::BTreeMap;

use ota_server::plan::FaultRule;
use ota_server::units::HumanDuration;
use schemars::JsonSchema;
use serde::Deserialize;
use toml::Spanned;

use super::model::{Capability, PowerCut};

/// A scenario file.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(title = "brickproof scenario")]
pub(super) struct RawScenario {
    /// One sentence for lists and reports.
    pub(super) summary: String,
    /// Tags for selection; `quick` ones total under 15 min of device time.
    #[serde(default)]
    pub(super) tags: Vec<String>,
    /// How much device time the scenario takes, about.
    pub(super) device_time: HumanDuration,
    /// What the board must be able to do.
    #[serde(default)]
    pub(super) requires: Vec<Capability>,
    /// Lists of values: each combination is a scenario of its own, with its values where `"{matrix.NAME}"` stands. A list is
    /// an array, or a table with a name for each value.
    #[serde(default, rename = "matrix")]
    #[schemars(with = "BTreeMap<String, serde_json::Value>")]
    pub(super) _matrix: toml::Table,
    /// The images.
    pub(super) image: RawImages,
    /// What the device knows before its first boot: keys of the firmware file's `[nvs]`.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, String>")]
    pub(super) provision: BTreeMap<String, Spanned<String>>,
    /// The fault plan from the start.
    #[serde(default)]
    #[schemars(with = "Vec<FaultRule>")]
    pub(super) faults: Vec<Spanned<FaultRule>>,
    /// The steps, in order.
    #[serde(default)]
    #[schemars(with = "Vec<RawStep>")]
    pub(super) step: Vec<Spanned<RawStep>>,
    /// The expectations.
    #[schemars(with = "Vec<RawExpect>")]
    pub(super) expect: Vec<Spanned<RawExpect>>,
}

/// The images of a scenario, by version or by name in the catalogue.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RawImages {
    /// What is flashed before the start.
    pub(super) flash: String,
    /// How the flashed image is built (reference firmware only): `resume` takes up a download that broke off, `ranges`
    /// downloads piece by piece, `attempts=N` tries so often, `recheck=N` checks again after so many seconds, `own-rollback=N`
    /// goes back after so many unconfirmed boots where the bootloader does not.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    pub(super) flash_with: Vec<Spanned<String>>,
    /// Security version of the flashed image, burnt when it is confirmed.
    #[serde(default)]
    pub(super) flash_security: Option<u32>,
    /// What the server offers from the start.
    #[serde(default)]
    pub(super) offer: Option<String>,
    /// The defect that what it offers carries (reference firmware only): a new version that is no good.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub(super) offer_defect: Option<Spanned<String>>,
}

/// A step: its actions in the order of this list, then its wait.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RawStep {
    /// Its name.
    pub(super) name: String,
    /// Replaces the fault plan; an empty list lets the server behave.
    #[serde(default)]
    #[schemars(with = "Option<Vec<FaultRule>>")]
    pub(super) faults: Option<Vec<Spanned<FaultRule>>>,
    /// Changes what the server offers; an empty text offers nothing.
    #[serde(default)]
    pub(super) offer: Option<String>,
    /// Plans a power cut at a flash operation of the device (virtual board).
    #[serde(default)]
    pub(super) cut_power: Option<PowerCut>,
    /// Takes the access point of the device's network away.
    #[serde(default)]
    pub(super) wifi_off: bool,
    /// Cuts power.
    #[serde(default)]
    pub(super) power_off: bool,
    /// Lets device time pass.
    #[serde(default)]
    pub(super) wait: Option<HumanDuration>,
    /// Halts the processor for a moment by its debug probe, to see where it stands. The chip's watchdogs are off from then
    /// on, until it is reset.
    #[serde(default)]
    pub(super) inspect: bool,
    /// Writes configuration keys; the device stands still until it is reset.
    #[serde(default)]
    #[schemars(with = "Option<BTreeMap<String, String>>")]
    pub(super) provision: Option<BTreeMap<String, Spanned<String>>>,
    /// Brings the access point back.
    #[serde(default)]
    pub(super) wifi_on: bool,
    /// Gives power.
    #[serde(default)]
    pub(super) power_on: bool,
    /// Pulses the reset line.
    #[serde(default)]
    pub(super) reset: bool,
    /// What is waited for.
    #[serde(default)]
    #[schemars(with = "Option<RawPattern>")]
    pub(super) until: Option<Spanned<RawPattern>>,
    /// How many matches since the step began; 1 unless given.
    #[serde(default)]
    pub(super) count: Option<u32>,
    /// Limit of the wait on the run's clock.
    #[serde(default)]
    pub(super) within: Option<HumanDuration>,
}

/// What an event must look like: exactly one of the first four.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RawPattern {
    /// A device event (`retry-scheduled`).
    #[serde(default)]
    pub(super) event: Option<String>,
    /// A regular expression for a console line.
    #[serde(default)]
    pub(super) console: Option<String>,
    /// A server event (`request`).
    #[serde(default)]
    pub(super) server: Option<String>,
    /// A harness action (`reset`).
    #[serde(default)]
    pub(super) action: Option<String>,
    /// Fields that must be equal.
    #[serde(default, rename = "where")]
    #[schemars(with = "BTreeMap<String, serde_json::Value>")]
    pub(super) fields: BTreeMap<String, toml::Value>,
}

/// An expectation: exactly one of the kinds, and its window.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RawExpect {
    /// Words for reports; made from the parts where it is not given.
    #[serde(default)]
    pub(super) label: Option<String>,
    /// Kind: this happens, `times`, `at-least` or `at-most` so often; at least once unless given.
    #[serde(default)]
    #[schemars(with = "Option<RawPattern>")]
    pub(super) happens: Option<Spanned<RawPattern>>,
    /// Kind: this never happens.
    #[serde(default)]
    #[schemars(with = "Option<RawPattern>")]
    pub(super) never: Option<Spanned<RawPattern>>,
    /// Kind: these happen in this order.
    #[serde(default)]
    #[schemars(with = "Option<Vec<RawPattern>>")]
    pub(super) in_order: Option<Vec<Spanned<RawPattern>>>,
    /// Kind: retries.
    #[serde(default)]
    #[schemars(with = "Option<RawRetries>")]
    pub(super) retries: Option<Spanned<RawRetries>>,
    /// Kind: what the device runs at the end of the window.
    #[serde(default)]
    pub(super) boots: Option<RawBoots>,
    /// Kind: the running image is confirmed.
    #[serde(default)]
    pub(super) marked_valid: bool,
    /// Kind: an error is named, `times`, `at-least` or `at-most` so often.
    #[serde(default)]
    #[schemars(with = "Option<RawError>")]
    pub(super) error: Option<Spanned<RawError>>,
    /// Kind: the device is alive, without a crash or a reset of its own.
    #[serde(default)]
    pub(super) still_runs: bool,
    /// Exactly so often.
    #[serde(default)]
    pub(super) times: Option<u64>,
    /// At least so often.
    #[serde(default)]
    pub(super) at_least: Option<u64>,
    /// At most so often.
    #[serde(default)]
    pub(super) at_most: Option<u64>,
    /// Window: begins with this step (its name). From the run's begin unless given.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub(super) from_step: Option<Spanned<String>>,
    /// Window: begins with the first match of this.
    #[serde(default)]
    #[schemars(with = "Option<RawPattern>")]
    pub(super) after: Option<Spanned<RawPattern>>,
    /// Window: how long it is.
    #[serde(default)]
    pub(super) within: Option<HumanDuration>,
    /// Window: it ends where this step begins (its name).
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub(super) until_step: Option<Spanned<String>>,
    /// Window: it lasts to the end of observation.
    #[serde(default)]
    pub(super) until_end: bool,
}

/// Retries.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RawRetries {
    /// How many are announced.
    #[serde(default)]
    pub(super) count: Option<u64>,
    /// The cap that each announces: a number, or `"{firmware.max_attempts}"`.
    #[serde(default)]
    #[schemars(with = "Option<serde_json::Value>")]
    pub(super) max: Option<toml::Value>,
    /// The delay law: `"60s"`, `"10s doubling"`, `"10s doubling up to 2560s"`, `"{firmware.delay}"`.
    #[serde(default)]
    pub(super) delay: Option<String>,
    /// Relative tolerance in per cent; 5 unless given. The larger of it and 50 ms holds.
    #[serde(default)]
    pub(super) tolerance_percent: Option<u32>,
}

/// What the device runs.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RawBoots {
    /// Version.
    pub(super) version: String,
    /// Slot label (`ota_0`), or `other`: not the one it ran from first.
    #[serde(default)]
    pub(super) slot: Option<String>,
}

/// An error.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RawError {
    /// ESP_ERR_* name.
    #[serde(default)]
    pub(super) name: Option<String>,
    /// lwIP errno.
    #[serde(default)]
    pub(super) errno: Option<i32>,
}
