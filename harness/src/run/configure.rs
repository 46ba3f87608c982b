//! From chosen boards to what runs on them: what must be known of a board before it is touched.

use super::{BoardChoice, RunConfig, Selected};
use crate::board::flasher::FlashOptions;
use crate::board::nvs::{NvsItem, NvsValue};
use crate::board::qemu::QemuError;
use crate::firmware_file::{FirmwareFile, NvsKey, Provision};
use crate::image::{ImageError, RunOn};
use crate::scenario::{self, values::Values};
use crate::settings::Chosen;

/// A run must not begin on this board.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum ConfigureError {
    /// It is not known how the board reaches this host.
    #[error("the address under which board {board} reaches this host is not known")]
    #[diagnostic(help(
        "give it with --advertise 192.168.1.10 (or BRICKPROOF_ADVERTISE, or `advertise` in brickproof.toml); the board must be \
         able to reach it"
    ))]
    NoAddress {
        /// The board.
        board: String,
    },
    /// Credentials are missing.
    #[error(
        "board {board} needs Wi-Fi credentials: its NVS is made anew, and firmware {firmware:?} keeps them there ({}/{})",
        key.namespace, key.key
    )]
    #[diagnostic(help(
        "set {variables}; or leave [wifi] out of the firmware file where the firmware has its network built in"
    ))]
    NoCredentials {
        /// The board.
        board: String,
        /// The firmware.
        firmware: String,
        /// Where they stand.
        key: NvsKey,
        /// The variables that are empty.
        variables: String,
    },
    /// It is not known where credentials go.
    #[error("{variable} is set, but the firmware file {firmware:?} does not say where in NVS the credentials stand")]
    #[diagnostic(help("add [wifi] with ssid and password to it, or unset the variable"))]
    NoPlace {
        /// The variable.
        variable: String,
        /// The firmware.
        firmware: String,
    },
    /// The image is for other boards.
    #[error("image {image} runs on {runs_on} only, not on board {board}")]
    #[diagnostic(help(
        "add your firmware with `brickproof image add BUILD_FOLDER`, and give --catalogue catalogue.toml; the reference \
         firmware for an emulated or a real ESP32-C3 has catalogues of its own, in firmware-images/esp32c3/images"
    ))]
    WrongImage {
        /// The image.
        image: String,
        /// Where it runs.
        runs_on: String,
        /// The board.
        board: String,
    },
    /// An image cannot be found.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Image(#[from] ImageError),
    /// An emulated board cannot be as it is described.
    #[error(transparent)]
    Emulator(#[from] QemuError),
}

/// What runs on each of the boards: `base` with what differs from board to board. `variable` reads the environment.
///
/// # Errors
///
/// [`ConfigureError`], before anything is touched.
pub fn configure(
    base: &RunConfig,
    boards: Vec<Chosen>,
    scenarios: &[Selected],
    variable: impl Fn(&str) -> Option<String>,
) -> Result<Vec<RunConfig>, ConfigureError> {
    boards.into_iter().map(|board| one(base.clone(), board, scenarios, &variable)).collect()
}

fn one(
    base: RunConfig,
    chosen: Chosen,
    scenarios: &[Selected],
    variable: &impl Fn(&str) -> Option<String>,
) -> Result<RunConfig, ConfigureError> {
    let mut config = RunConfig {
        name: chosen.name,
        board: chosen.board,
        chip: chosen.chip,
        baud: chosen.baud,
        flash: FlashOptions { baud: chosen.flash_baud, ..base.flash },
        port: chosen.ota_port,
        bind: chosen.bind,
        advertise: chosen.advertise,
        ..base
    };
    if config.board == BoardChoice::Virtual {
        // Its network is the rig's own, whatever this host's addresses are.
        config.advertise = None;
        return Ok(config);
    }
    if let BoardChoice::Qemu(settings) = &config.board {
        // Its network is the emulator's, and has no Wi-Fi.
        config.advertise = Some(settings.host());
        settings.check(config.chip)?;
        check_images(&config, RunOn::Qemu, scenarios)?;
        return Ok(config);
    }
    let board = config.board_name();
    if config.is_elsewhere() {
        check_images(&config, RunOn::Serial, scenarios)?;
        if config.advertise.is_none() {
            return Err(ConfigureError::NoAddress { board });
        }
    }
    let names = [chosen.wifi.ssid_env, chosen.wifi.password_env];
    config.credentials = credentials(&config.firmware, &board, config.is_elsewhere(), names, variable)?;
    Ok(config)
}

/// Wi-Fi credentials for the board's NVS, from the environment alone: a command line is seen by other users, and a file is
/// kept.
fn credentials(
    firmware: &FirmwareFile,
    board: &str,
    elsewhere: bool,
    names: [String; 2],
    variable: &impl Fn(&str) -> Option<String>,
) -> Result<Vec<NvsItem>, ConfigureError> {
    if firmware.provision == Provision::None {
        return Ok(Vec::new());
    }
    let given = [&names[0], &names[1]].map(|name| variable(name).filter(|value| !value.is_empty()));
    match (&firmware.wifi, given) {
        (Some(keys), [Some(ssid), password]) => {
            let item = |key: &NvsKey, value: String, secret| NvsItem {
                namespace: key.namespace.clone(),
                key: key.key.clone(),
                value: NvsValue::Text(value),
                secret,
            };
            Ok(vec![item(&keys.ssid, ssid, false), item(&keys.password, password.unwrap_or_default(), true)])
        }
        (Some(keys), [None, _]) if elsewhere => Err(ConfigureError::NoCredentials {
            board: board.to_owned(),
            firmware: firmware.name.clone(),
            key: keys.ssid.clone(),
            variables: names.join(" and "),
        }),
        (None, [Some(_), _]) => {
            let [variable, _] = names;
            Err(ConfigureError::NoPlace { variable, firmware: firmware.name.clone() })
        }
        _ => Ok(Vec::new()),
    }
}

/// An image whose code does not run on such a board is refused before anything is written.
fn check_images(config: &RunConfig, backend: RunOn, scenarios: &[Selected]) -> Result<(), ConfigureError> {
    for selected in scenarios {
        let values = Values::of_network("0.0.0.0", 1).with("firmware.max_attempts", "1").with("firmware.delay", "1s");
        let Ok(scenario) = scenario::parse(&selected.name, &selected.path, &selected.text, &values) else { continue };
        for name in [Some(&scenario.image.flash), scenario.image.offer.as_ref()].into_iter().flatten() {
            let image = config.catalogue.application(name, config.chip)?;
            if !image.runs_on(backend) {
                return Err(ConfigureError::WrongImage {
                    image: image.entry.name.clone(),
                    runs_on: image.entry.runs_on_words(),
                    board: config.board_name(),
                });
            }
        }
    }
    Ok(())
}
