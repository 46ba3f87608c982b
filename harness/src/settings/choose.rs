//! Which boards a run takes, from what is asked for and what is configured.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use esp_image::chip::ChipId;

use super::layer::{Backend, BoardLayer, WifiVariables, is_name};
use super::load::Settings;
use crate::board::flasher::FlashOptions;
use crate::board::port::DEFAULT_BAUD;
use crate::board::ports::AttachedPort;
use crate::board::reset::ResetMethod;
use crate::board::serial::Connection;
use crate::problem::suggestion;
use crate::run::BoardChoice;

/// What a command line or the environment says; it wins over files.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// A board's or pool's name, `virtual`, or a port.
    pub board: Option<String>,
    /// What is to be so on every board chosen.
    pub every: BoardLayer,
}

/// A board that a run may take, with nothing left open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chosen {
    /// Its name, where it is configured.
    pub name: Option<String>,
    /// How it is reached.
    pub board: BoardChoice,
    /// Its chip.
    pub chip: ChipId,
    /// Baud rate of the console.
    pub baud: u32,
    /// Baud rate while flashing.
    pub flash_baud: Option<u32>,
    /// Port of its OTA server.
    pub ota_port: u16,
    /// Address that the OTA server binds, where it is a real board.
    pub bind: IpAddr,
    /// Address under which it reaches this host.
    pub advertise: Option<Ipv4Addr>,
    /// Where its credentials come from.
    pub wifi: WifiVariables,
}

impl Chosen {
    /// How it is reached, where it is on a serial port.
    #[must_use]
    pub fn connection(&self) -> Option<Connection> {
        let BoardChoice::Serial { id, reset, commands, probe } = &self.board else { return None };
        Some(Connection {
            id: id.clone(),
            reset: reset.clone(),
            commands: commands.clone(),
            baud: self.baud,
            flash: FlashOptions { baud: self.flash_baud, ..FlashOptions::default() },
            probe: probe.clone(),
            chip: self.chip,
        })
    }
}

/// No board can be chosen.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum ChooseError {
    /// Nothing has this name.
    #[error("{name:?} is no board: {known}")]
    #[diagnostic(help("{help}"))]
    Unknown {
        /// As given.
        name: String,
        /// What is configured.
        known: String,
        /// What was meant.
        help: String,
    },
    /// A board's description lacks something.
    #[error("board {board} ({files}): {what}")]
    Incomplete {
        /// Its name.
        board: String,
        /// Where it is configured.
        files: String,
        /// What is missing or contradicts itself.
        what: String,
    },
    /// What was given is no port or reset method.
    #[error(transparent)]
    Malformed(#[from] crate::board::BoardError),
    /// Two boards are one.
    #[error("boards {} and {} are both on {port}: every board needs a port of its own ({files})", names.0, names.1)]
    #[diagnostic(help("`brickproof boards` shows the ports; tell equal devices apart by serial number or location"))]
    Clash {
        /// Their names.
        names: (String, String),
        /// The port.
        port: String,
        /// Where they are configured.
        files: String,
    },
    /// Boards of a pool would serve at the same address.
    #[error(
        "boards {} and {} of a pool would both have their OTA server at {address}: give each an `ota-port` or an \
         `advertise` and `bind` of its own ({files})",
        names.0, names.1
    )]
    SameServer {
        /// Their names.
        names: (String, String),
        /// Address and port.
        address: String,
        /// Where they are configured.
        files: String,
    },
    /// Boards of a pool are not equal.
    #[error("boards {} and {} of pool {pool} have different chips: boards of a pool are equal ({files})", names.0, names.1)]
    Unequal {
        /// The pool.
        pool: String,
        /// Their names.
        names: (String, String),
        /// Where they are configured.
        files: String,
    },
}

impl Settings {
    /// The boards that are meant: one, or all of a pool.
    ///
    /// # Errors
    ///
    /// [`ChooseError`].
    pub fn choose(&self, asked: &Asked, attached: &[AttachedPort]) -> Result<Vec<Chosen>, ChooseError> {
        let name = asked.board.as_deref().or(self.merged.run.board.as_deref()).unwrap_or("virtual");
        let boards = &self.merged.boards;
        if let Some(board) = boards.get(name) {
            let chosen = self.complete(Some(name), &asked.every, board.clone())?;
            self.unambiguous(std::slice::from_ref(&chosen), attached)?;
            return Ok(vec![chosen]);
        }
        let pool: Vec<_> = boards.iter().filter(|(_, board)| board.pool.as_deref() == Some(name)).collect();
        if !pool.is_empty() {
            let chosen: Result<Vec<_>, _> = pool
                .into_iter()
                .map(|(board_name, board)| self.complete(Some(board_name), &asked.every, board.clone()))
                .collect();
            let chosen = chosen?;
            self.unambiguous(&chosen, attached)?;
            self.may_run_together(name, &chosen)?;
            return Ok(chosen);
        }
        if is_name(name) {
            return Err(self.unknown(name));
        }
        let board = BoardLayer { port: Some(name.parse()?), ..BoardLayer::default() };
        Ok(vec![self.complete(None, &asked.every, board)?])
    }

    fn unknown(&self, name: &str) -> ChooseError {
        let pools = self.merged.boards.values().filter_map(|board| board.pool.clone());
        let mut names: Vec<String> = self.merged.boards.keys().cloned().chain(pools).collect();
        names.sort_unstable();
        names.dedup();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        ChooseError::Unknown {
            name: name.to_owned(),
            known: format!("boards and pools are {} ({})", names.join(", "), self.told()),
            help: suggestion(name, &names)
                .unwrap_or_else(|| "a serial port is given by its path: /dev/ttyUSB0".to_owned()),
        }
    }

    fn complete(&self, name: Option<&str>, every: &BoardLayer, board: BoardLayer) -> Result<Chosen, ChooseError> {
        let board = every.clone().over(board);
        let run = &self.merged.run;
        let incomplete = |what: &str| ChooseError::Incomplete {
            board: name.unwrap_or("on the command line").to_owned(),
            files: self.told(),
            what: what.to_owned(),
        };
        let commands = board.commands.unwrap_or_default();
        let choice = match board.backend.unwrap_or(Backend::Serial) {
            Backend::Virtual if board.port.is_some() => {
                return Err(incomplete("a virtual board has no `port`; leave it out, or say backend = \"serial\""));
            }
            _ if every.qemu.is_some() && board.backend != Some(Backend::Qemu) => {
                return Err(incomplete("--qemu names an emulator, and this board is not emulated"));
            }
            Backend::Virtual | Backend::Qemu if board.probe.is_some() => {
                return Err(incomplete(
                    "no debug probe reaches a board that is no hardware; leave `probe` out, or BRICKPROOF_PROBE",
                ));
            }
            // Workers of a pool each hold a board; of these there are as many as are wanted.
            Backend::Virtual if board.pool.is_some() => {
                return Err(incomplete("a virtual board is in no `pool`: --jobs says how many run at once"));
            }
            Backend::Virtual => BoardChoice::Virtual,
            Backend::Qemu if board.port.is_some() => {
                return Err(incomplete("an emulated board has no `port`; leave it out, or say backend = \"serial\""));
            }
            Backend::Qemu => BoardChoice::Qemu(board.qemu.unwrap_or_default()),
            Backend::Serial => {
                let id = board.port.ok_or_else(|| {
                    incomplete("it has no `port`: a path as /dev/ttyUSB0, or a USB identity as usb:303a:1001")
                })?;
                let reset = board.reset.unwrap_or(ResetMethod::DtrRts);
                if reset == ResetMethod::Commands && !commands.reset() {
                    return Err(incomplete("reset = \"commands\" needs `hold`, `run` and `download` under `commands`"));
                }
                if commands.power_off.is_some() != commands.power_on.is_some() {
                    return Err(incomplete("`power-off` and `power-on` are given together, or not at all"));
                }
                if commands.wifi_off.is_some() != commands.wifi_on.is_some() {
                    return Err(incomplete("`wifi-off` and `wifi-on` are given together, or not at all"));
                }
                let probe = match board.probe {
                    Some(probe) => Some(probe.complete().ok_or_else(|| {
                        incomplete("its `probe` table has no `select`: VID:PID as `brickproof boards` shows it")
                    })?),
                    None => None,
                };
                if reset == ResetMethod::Probe && !probe.as_ref().is_some_and(|probe| probe.flash) {
                    return Err(incomplete(
                        "reset = \"probe\" needs a `probe` table with flash = true: a probe does not reach the pins that \
                         choose serial download mode",
                    ));
                }
                BoardChoice::Serial { id, reset, commands, probe }
            }
        };
        Ok(Chosen {
            name: name.filter(|name| *name != choice.name()).map(str::to_owned),
            bind: match &choice {
                // The emulator's network leads to loopback.
                BoardChoice::Qemu(_) => Ipv4Addr::LOCALHOST.into(),
                _ => board.bind.or(run.bind).unwrap_or(Ipv4Addr::UNSPECIFIED.into()),
            },
            board: choice,
            chip: board.chip.unwrap_or(ChipId::Esp32C3),
            baud: board.baud.unwrap_or(DEFAULT_BAUD),
            flash_baud: board.flash_baud,
            ota_port: board.ota_port.or(run.port).unwrap_or(8002),
            advertise: board.advertise.or(run.advertise),
            wifi: board.wifi.unwrap_or_default(),
        })
    }

    /// No other configured board is on the port of a chosen one.
    fn unambiguous(&self, chosen: &[Chosen], attached: &[AttachedPort]) -> Result<(), ChooseError> {
        let clash = clashes(self, attached)
            .into_iter()
            .find(|(one, other, _)| chosen.iter().any(|c| [Some(one), Some(other)].contains(&c.name.as_ref())));
        match clash {
            Some((one, other, port)) => Err(ChooseError::Clash { names: (one, other), port, files: self.told() }),
            None => Ok(()),
        }
    }

    fn may_run_together(&self, pool: &str, chosen: &[Chosen]) -> Result<(), ChooseError> {
        let names = |a: &Chosen, b: &Chosen| {
            let name = |c: &Chosen| c.name.clone().unwrap_or_else(|| "virtual".to_owned());
            (name(a), name(b))
        };
        for (index, one) in chosen.iter().enumerate() {
            for other in &chosen[index + 1..] {
                if one.chip != other.chip {
                    let (pool, names) = (pool.to_owned(), names(one, other));
                    return Err(ChooseError::Unequal { pool, names, files: self.told() });
                }
                if is_elsewhere(one)
                    && is_elsewhere(other)
                    && one.ota_port == other.ota_port
                    && (one.bind == other.bind || one.bind.is_unspecified() || other.bind.is_unspecified())
                {
                    let address = format!("{}:{}", one.bind, one.ota_port);
                    return Err(ChooseError::SameServer { names: names(one, other), address, files: self.told() });
                }
            }
        }
        Ok(())
    }
}

/// A board of silicon or in an emulator: its OTA server is at the very port that the board is told.
fn is_elsewhere(chosen: &Chosen) -> bool {
    !matches!(chosen.board, BoardChoice::Virtual | BoardChoice::Serial { reset: ResetMethod::Virtual(_), .. })
}

/// Configured boards that are on the same port now: their names, and the port.
#[must_use]
pub fn clashes(settings: &Settings, attached: &[AttachedPort]) -> Vec<(String, String, String)> {
    let mut owners: BTreeMap<PathBuf, &String> = BTreeMap::new();
    let mut found = Vec::new();
    for (name, board) in &settings.merged.boards {
        let Some(Ok(port)) = board.port.as_ref().map(|id| id.resolve(attached)) else { continue };
        let real = std::fs::canonicalize(&port).unwrap_or_else(|_| PathBuf::from(&port));
        match owners.get(&real) {
            Some(owner) => found.push(((*owner).clone(), name.clone(), port)),
            None => {
                owners.insert(real, name);
            }
        }
    }
    found
}
