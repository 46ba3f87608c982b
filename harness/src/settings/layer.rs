//! One layer of settings: a file as it is written. Unknown keys and wrong types stop here, at their place.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use esp_image::chip::ChipId;
use ota_server::units::HumanDuration;
use schemars::JsonSchema;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use super::secrets::SecretsLayer;
use crate::board::commands::Commands;
use crate::board::identity::PortId;
use crate::board::probe::ProbeLayer;
use crate::board::qemu::QemuSettings;
use crate::board::reset::ResetMethod;
use crate::problem::{FileErrors, Problems};

/// A project file (`brickproof.toml`) or a bench file.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(title = "brickproof.toml")]
pub struct Layer {
    /// What `brickproof run` takes where its command line says nothing.
    #[serde(default)]
    pub run: RunLayer,
    /// The boards, by name.
    #[serde(default)]
    pub boards: BTreeMap<String, BoardLayer>,
    /// What must not be shown.
    #[serde(default)]
    pub secrets: SecretsLayer,
}

/// Settings of a run. Paths are relative to the file that holds them.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RunLayer {
    /// Which board: the name of a board or of a pool, `virtual`, or a serial port.
    pub board: Option<String>,
    /// Folder for recordings and reports.
    pub report: Option<PathBuf>,
    /// Firmware file.
    pub firmware: Option<PathBuf>,
    /// Image catalogue to use beside the built-in one.
    pub catalogue: Option<PathBuf>,
    /// Port of the OTA server, as the device sees it.
    pub port: Option<u16>,
    /// Address that the OTA server binds for real boards.
    pub bind: Option<IpAddr>,
    /// Address under which real boards reach this host.
    pub advertise: Option<Ipv4Addr>,
    /// How long a board that another process holds is waited for.
    pub wait_board: Option<HumanDuration>,
    /// Scenarios that take longer are skipped on real boards and in real time.
    pub max_device_time: Option<HumanDuration>,
    /// How many scenarios run at once on virtual boards.
    #[schemars(range(min = 1))]
    pub jobs: Option<std::num::NonZeroU32>,
    /// Seed of everything random in a run.
    pub seed: Option<u64>,
    /// Compresses recordings as they are written (`*.jsonl.zst`).
    pub compress: Option<bool>,
    /// History that keeps a summary of each run: a file (SQLite), or postgres://USER@HOST/DATABASE.
    pub history: Option<String>,
}

/// How a board is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Backend {
    /// A board on a serial port.
    Serial,
    /// A virtual board, made for each scenario.
    Virtual,
    /// A chip in Espressif's QEMU, made for each scenario.
    Qemu,
}

/// Names of the environment variables that hold Wi-Fi credentials. Credentials themselves never stand in a file.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct WifiVariables {
    /// Variable with the network's name.
    pub ssid_env: String,
    /// Variable with its password.
    pub password_env: String,
}

impl Default for WifiVariables {
    fn default() -> Self {
        Self { ssid_env: "BRICKPROOF_WIFI_SSID".to_owned(), password_env: "BRICKPROOF_WIFI_PASSWORD".to_owned() }
    }
}

/// A board.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct BoardLayer {
    /// How it is reached; `serial` unless given.
    pub backend: Option<Backend>,
    /// Its chip: esp32, esp32s3, esp32c3.
    #[serde(default, deserialize_with = "chip")]
    #[schemars(with = "Option<String>")]
    pub chip: Option<ChipId>,
    /// Boards of one pool are equal: a run that asks for the pool takes whichever is free.
    pub pool: Option<String>,
    /// Its serial port: a path, or a USB identity `usb:VID:PID`, `usb:VID:PID:SERIAL`, `usb:VID:PID@LOCATION`,
    /// a port on another machine `rfc2217://HOST:PORT`, a place of labgrid `labgrid:PLACE`.
    #[serde(default, deserialize_with = "from_text")]
    #[schemars(with = "Option<String>")]
    pub port: Option<PortId>,
    /// How it is reset: dtr-rts, usb-serial-jtag, commands, probe, virtual:SOCKET.
    #[serde(default, deserialize_with = "from_text")]
    #[schemars(with = "Option<String>")]
    pub reset: Option<ResetMethod>,
    /// Baud rate of the console.
    #[schemars(range(min = 1))]
    pub baud: Option<u32>,
    /// Baud rate while flashing.
    #[schemars(range(min = 1))]
    pub flash_baud: Option<u32>,
    /// Shell commands that switch what the port itself cannot: power, reset, the access point.
    pub commands: Option<Commands>,
    /// Its debug probe, where it has one.
    pub probe: Option<ProbeLayer>,
    /// How it is emulated, where its backend is `qemu`.
    pub qemu: Option<QemuSettings>,
    /// Port of this board's OTA server; boards that run at once on one host need ports or addresses of their own.
    pub ota_port: Option<u16>,
    /// Address that this board's OTA server binds.
    pub bind: Option<IpAddr>,
    /// Address under which this board reaches this host.
    pub advertise: Option<Ipv4Addr>,
    /// Where its Wi-Fi credentials come from.
    pub wifi: Option<WifiVariables>,
}

/// A text that a type reads itself; its words stand at the place in the file.
fn from_text<'de, T, D>(deserializer: D) -> Result<Option<T>, D::Error>
where
    T: FromStr<Err: Display>,
    D: Deserializer<'de>,
{
    String::deserialize(deserializer)?.parse().map(Some).map_err(D::Error::custom)
}

fn chip<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<ChipId>, D::Error> {
    let name = String::deserialize(deserializer)?;
    let chip = ChipId::from_name(&name);
    chip.map(Some).ok_or_else(|| D::Error::custom(format!("{name:?} is no chip; there are esp32, esp32s3, esp32c3")))
}

/// Upper fields where they are given, else lower ones.
macro_rules! over {
    ($upper:ident over $lower:ident: $($field:ident),+) => {
        Self { $($field: $upper.$field.or($lower.$field)),+ }
    };
}

impl RunLayer {
    fn over(self, lower: Self) -> Self {
        over!(self over lower: board, report, firmware, catalogue, port, bind, advertise, wait_board, max_device_time, jobs,
            seed, compress, history)
    }
}

impl BoardLayer {
    /// This one, and what `lower` says of the same board where this one says nothing.
    #[must_use]
    pub fn over(mut self, mut lower: Self) -> Self {
        // Unlike the others these two are merged key by key.
        self.qemu = match (self.qemu, lower.qemu.take()) {
            (Some(upper), Some(below)) => Some(upper.over(below)),
            (upper, below) => upper.or(below),
        };
        self.probe = match (self.probe, lower.probe.take()) {
            (Some(upper), Some(below)) => Some(upper.over(below)),
            (upper, below) => upper.or(below),
        };
        over!(self over lower: backend, chip, pool, port, reset, baud, flash_baud, commands, probe, qemu, ota_port, bind, advertise,
            wifi)
    }
}

impl Layer {
    /// Reads a file's text.
    ///
    /// # Errors
    ///
    /// What is wrong with it, at its place.
    pub fn parse(path: &str, text: &str) -> Result<Self, FileErrors> {
        let mut problems = Problems::new(path, text);
        let layer: Self = match toml::from_str(text) {
            Ok(layer) => layer,
            Err(e) => {
                problems.add_toml(&e);
                return problems.finish(None);
            }
        };
        for (name, board) in &layer.boards {
            for word in [Some(name), board.pool.as_ref()].into_iter().flatten() {
                if !is_name(word) {
                    let at = text.find(word.as_str()).unwrap_or(0);
                    problems.add(
                        at..at + word.len(),
                        format!("{word:?} is no name of a board or pool"),
                        Some("letters, digits, `-`, `_` and `.`: anything else would read as a serial port".to_owned()),
                    );
                }
            }
            for (key, baud) in [("baud", board.baud), ("flash-baud", board.flash_baud)] {
                if baud == Some(0) {
                    let at = text.find(key).unwrap_or(0);
                    problems.add(at..at + key.len(), format!("board {name}: {key} is 0"), None);
                }
            }
        }
        layer.secrets.check(&mut problems);
        problems.finish(Some(layer))
    }

    /// This layer over a lower one: what it says wins, key by key, board by board.
    #[must_use]
    pub fn over(self, lower: Self) -> Self {
        let mut boards = lower.boards;
        for (name, board) in self.boards {
            let below = boards.remove(&name).unwrap_or_default();
            boards.insert(name, board.over(below));
        }
        Self { run: self.run.over(lower.run), boards, secrets: self.secrets.with(lower.secrets) }
    }

    /// Paths made relative to the folder of the file that holds them.
    #[must_use]
    pub fn in_folder(mut self, folder: &Path) -> Self {
        let paths = [&mut self.run.report, &mut self.run.firmware, &mut self.run.catalogue];
        for path in paths.into_iter().flatten() {
            *path = folder.join(&path);
        }
        for board in self.boards.values_mut() {
            board.qemu = board.qemu.take().map(|settings| settings.in_folder(folder));
        }
        self
    }
}

/// What names a board or a pool, and can be no serial port.
pub(super) fn is_name(word: &str) -> bool {
    !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
}

/// The JSON Schema of project and bench files.
#[must_use]
pub fn schema() -> String {
    serde_json::to_string_pretty(&schemars::schema_for!(Layer)).unwrap_or_default() + "\n"
}
