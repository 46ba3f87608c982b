//! Reset lines: how a board is held in reset, released into run or download mode, and cut from its power.

use std::fmt;
use std::str::FromStr;

use async_trait::async_trait;

use super::commands::{ByCommands, Commands};
use super::lines::{
    CLASSIC_HOLD, CLASSIC_RELEASE_DOWNLOAD, CLASSIC_RELEASE_RUN, Step, USB_JTAG_DOWNLOAD, USB_JTAG_HOLD,
    USB_JTAG_RELEASE_RUN, play,
};
use super::probe::{ByProbe, Probe};
use super::virtual_reset::BySocket;
use super::{BoardError, port::Port};
use virtual_esp32::CutPlan;

/// What the chip's straps say when it leaves reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BootMode {
    /// Boot from flash.
    Run,
    /// The ROM's serial download mode.
    Download,
}

/// How a user names a reset method.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ResetMethod {
    /// DTR and RTS through the auto-reset circuit of a USB-to-serial bridge.
    DtrRts,
    /// The USB-Serial-JTAG peripheral of the S3 and C3.
    UsbSerialJtag,
    /// Commands of the board's settings alone.
    Commands,
    /// The board's debug probe.
    Probe,
    /// A virtual board's control socket.
    Virtual(String),
}

impl FromStr for ResetMethod {
    type Err = BoardError;

    fn from_str(text: &str) -> Result<Self, BoardError> {
        match text {
            "dtr-rts" => Ok(Self::DtrRts),
            "usb-serial-jtag" => Ok(Self::UsbSerialJtag),
            "commands" => Ok(Self::Commands),
            "probe" => Ok(Self::Probe),
            _ => match text.strip_prefix("virtual:") {
                Some(socket) if !socket.is_empty() => Ok(Self::Virtual(socket.to_owned())),
                _ => Err(BoardError::Malformed {
                    given: text.to_owned(),
                    what: "reset method",
                    why: "it is dtr-rts, usb-serial-jtag, commands (with `hold`, `run` and `download` under `commands` in \
                          brickproof.toml), probe (with a `probe` table there), or virtual:SOCKET with the control socket that `brickproof virtual` prints"
                        .to_owned(),
                }),
            },
        }
    }
}

impl ResetMethod {
    /// The reset line of the board on a port, with commands for what they are given for.
    ///
    /// # Errors
    ///
    /// A virtual board's control socket cannot be reached, or there is no probe where that is the method.
    pub fn line(
        &self,
        port: &Port,
        commands: &Commands,
        probe: Option<&Probe>,
    ) -> Result<Box<dyn ResetLine>, BoardError> {
        let line: Option<Box<dyn ResetLine>> = match self {
            Self::DtrRts => Some(Box::new(ModemReset::Classic)),
            Self::UsbSerialJtag => Some(Box::new(ModemReset::UsbJtag)),
            Self::Commands => None,
            Self::Probe => Some(Box::new(ByProbe(probe.map(Probe::share).ok_or_else(|| BoardError::Unable {
                port: port.path().to_owned(),
                what: "be reset by its probe",
                why: "none is configured for it: add a `probe` table".to_owned(),
            })?))),
            Self::Virtual(socket) => Some(Box::new(BySocket::connect(socket, port)?)),
        };
        Ok(match line {
            Some(line) if *commands == Commands::default() => line,
            line => Box::new(ByCommands::new(commands.clone(), line)),
        })
    }
}

impl fmt::Display for ResetMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DtrRts => f.write_str("dtr-rts"),
            Self::UsbSerialJtag => f.write_str("usb-serial-jtag"),
            Self::Commands => f.write_str("commands"),
            Self::Probe => f.write_str("probe"),
            Self::Virtual(socket) => write!(f, "virtual:{socket}"),
        }
    }
}

/// A board's reset line and, where it has one, its power switch.
#[async_trait(?Send)]
pub trait ResetLine {
    /// Holds the chip in reset.
    ///
    /// # Errors
    ///
    /// The line's failure.
    async fn hold(&mut self, port: &Port) -> Result<(), BoardError>;

    /// Lets the chip out of reset.
    ///
    /// # Errors
    ///
    /// The line's failure.
    async fn release(&mut self, port: &Port, mode: BootMode) -> Result<(), BoardError>;

    /// True when power can be cut.
    fn has_power(&self) -> bool;

    /// Cuts (`false`) or gives (`true`) power.
    ///
    /// # Errors
    ///
    /// The switch's failure, or that there is none.
    async fn power(&mut self, port: &Port, on: bool) -> Result<(), BoardError>;

    /// Takes the access point of the device's network away, or brings it back. Only a virtual board can.
    ///
    /// # Errors
    ///
    /// This is no such board, or it does not answer.
    async fn wifi(&mut self, port: &Port, in_reach: bool) -> Result<(), BoardError> {
        let _ = in_reach;
        Err(BoardError::Unable {
            port: port.path().to_owned(),
            what: "take its access point away",
            why: "only a virtual board's network is the rig's own".to_owned(),
        })
    }

    /// Plans a power cut at a flash operation of the chip. Only a virtual board can.
    ///
    /// # Errors
    ///
    /// This is no such board, or it does not answer.
    async fn cut_power_at(&mut self, port: &Port, plan: CutPlan) -> Result<(), BoardError> {
        let _ = plan;
        Err(BoardError::Unable {
            port: port.path().to_owned(),
            what: "cut its power at a flash operation",
            why: "only a virtual board knows its own operations".to_owned(),
        })
    }
}

/// DTR and RTS of the board's own port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ModemReset {
    /// Auto-reset circuit.
    Classic,
    /// USB-Serial-JTAG.
    UsbJtag,
}

impl ModemReset {
    fn hold_sequence(self) -> &'static [Step] {
        match self {
            Self::Classic => CLASSIC_HOLD,
            Self::UsbJtag => USB_JTAG_HOLD,
        }
    }

    fn release_sequence(self, mode: BootMode) -> &'static [Step] {
        match (self, mode) {
            (Self::Classic, BootMode::Run) => CLASSIC_RELEASE_RUN,
            (Self::Classic, BootMode::Download) => CLASSIC_RELEASE_DOWNLOAD,
            (Self::UsbJtag, BootMode::Run) => USB_JTAG_RELEASE_RUN,
            (Self::UsbJtag, BootMode::Download) => USB_JTAG_DOWNLOAD,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Classic => "DTR and RTS",
            Self::UsbJtag => "USB-Serial-JTAG",
        }
    }

    async fn play(self, port: &Port, doing: &'static str, sequence: &'static [Step]) -> Result<(), BoardError> {
        let mut lines = port.lines()?;
        let played = tokio::task::spawn_blocking(move || play(&mut *lines, sequence));
        let failed = |why: String| BoardError::Reset {
            doing,
            port: port.path().to_owned(),
            method: self.name().to_owned(),
            why,
        };
        match played.await {
            Ok(Ok(())) => Ok(()),
            // ENOTTY: a pseudo-terminal.
            Ok(Err(e)) if e.raw_os_error() == Some(25) => Err(failed(
                "this port has no modem lines (a pseudo-terminal?); give a virtual board's control socket with \
                 `--reset virtual:SOCKET`"
                    .to_owned(),
            )),
            Ok(Err(e)) => Err(failed(e.to_string())),
            Err(panicked) => Err(failed(panicked.to_string())),
        }
    }
}

#[async_trait(?Send)]
impl ResetLine for ModemReset {
    async fn hold(&mut self, port: &Port) -> Result<(), BoardError> {
        self.play(port, "hold", self.hold_sequence()).await
    }

    async fn release(&mut self, port: &Port, mode: BootMode) -> Result<(), BoardError> {
        self.play(port, "release", self.release_sequence(mode)).await
    }

    fn has_power(&self) -> bool {
        false
    }

    async fn power(&mut self, port: &Port, _on: bool) -> Result<(), BoardError> {
        Err(BoardError::Unable {
            port: port.path().to_owned(),
            what: "switch power",
            why: "no power switch is configured for it".to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reset_methods_read_back_as_written() {
        for text in ["dtr-rts", "usb-serial-jtag", "commands", "virtual:/run/board.sock"] {
            assert_eq!(text.parse::<ResetMethod>().expect(text).to_string(), text);
        }
        let error = "jtag".parse::<ResetMethod>().expect_err("unknown").to_string();
        assert!(error.contains("dtr-rts, usb-serial-jtag, commands"), "{error}");
    }
}
