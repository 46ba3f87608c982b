//! A board on a serial port that has a debug probe too.

use async_trait::async_trait;

use super::{Probe, ProbeSettings, RttRead};
use crate::board::BoardError;
use crate::board::board::{Board, FlashWork, Heard, Inspection};
use crate::board::port::Port;
use crate::board::reset::{BootMode, ResetLine};
use crate::board::serial::SerialBoard;

/// A board with its probe.
pub struct ProbedBoard {
    serial: SerialBoard,
    probe: Probe,
    settings: ProbeSettings,
}

impl ProbedBoard {
    /// A board on a port, with its probe. Nothing is attached to before it is needed: an attached probe changes what the
    /// chip does.
    #[must_use]
    pub fn new(serial: SerialBoard, probe: Probe, settings: ProbeSettings) -> Self {
        Self { serial, probe, settings }
    }

    /// Ends what goes on with the chip before it is reset.
    async fn quiet(&mut self) {
        if self.settings.rtt {
            self.probe.forget_console().await;
        } else {
            self.probe.let_go();
        }
    }
}

#[async_trait(?Send)]
impl Board for ProbedBoard {
    fn place(&self) -> &str {
        self.serial.place()
    }

    fn has_power(&self) -> bool {
        self.serial.has_power()
    }

    async fn with_flash(&mut self, work: FlashWork) -> Result<(), BoardError> {
        self.quiet().await;
        if !self.settings.flash {
            return self.serial.with_flash(work).await;
        }
        // A chip that is held in reset does not answer its probe.
        self.serial.run_unheard().await?;
        let done = self.probe.with_flash(work).await;
        // What was done matters more than what went wrong after it.
        done.and(self.serial.hold_after_flash().await)
    }

    async fn start(&mut self) -> Result<(), BoardError> {
        self.quiet().await;
        self.serial.start().await?;
        if self.settings.rtt {
            self.probe.listen();
        }
        Ok(())
    }

    async fn hold(&mut self) -> Result<(), BoardError> {
        self.quiet().await;
        self.serial.hold().await
    }

    async fn power(&mut self, on: bool) -> Result<(), BoardError> {
        self.probe.let_go();
        self.serial.power(on).await?;
        if on && self.settings.rtt {
            self.probe.listen();
        }
        Ok(())
    }

    async fn read_console(&mut self, buffer: &mut [u8]) -> Result<Heard, BoardError> {
        if !self.settings.rtt {
            return self.serial.read_console(buffer).await;
        }
        Ok(match self.probe.heard(buffer).await? {
            RttRead::Bytes(n) => Heard::Bytes(n),
            RttRead::Note(note) => Heard::Note(note),
        })
    }

    async fn alive(&mut self) -> Result<(), BoardError> {
        self.serial.alive().await
    }

    async fn write_console(&mut self, bytes: &[u8]) -> Result<(), BoardError> {
        self.serial.write_console(bytes).await
    }

    async fn wifi(&mut self, in_reach: bool) -> Result<(), BoardError> {
        self.serial.wifi(in_reach).await
    }

    async fn cut_power_at(&mut self, plan: virtual_esp32::CutPlan) -> Result<(), BoardError> {
        self.serial.cut_power_at(plan).await
    }

    fn can_inspect(&self) -> bool {
        true
    }

    async fn inspect(&mut self) -> Result<Inspection, BoardError> {
        self.probe.inspect().await
    }
}

/// The probe as a board's reset line, for boards whose port has none.
pub struct ByProbe(pub Probe);

#[async_trait(?Send)]
impl ResetLine for ByProbe {
    async fn hold(&mut self, _: &Port) -> Result<(), BoardError> {
        self.0.hold().await
    }

    async fn release(&mut self, port: &Port, mode: BootMode) -> Result<(), BoardError> {
        match mode {
            BootMode::Run => self.0.run().await,
            BootMode::Download => Err(BoardError::Unable {
                port: port.path().to_owned(),
                what: "enter serial download mode",
                why:
                    "its reset method is its probe, which does not reach the pins that choose it: set flash = true in \
                      its `probe` table"
                        .to_owned(),
            }),
        }
    }

    fn has_power(&self) -> bool {
        false
    }

    async fn power(&mut self, port: &Port, _: bool) -> Result<(), BoardError> {
        Err(BoardError::Unable {
            port: port.path().to_owned(),
            what: "be cut from its power",
            why: "a debug probe has no power switch: give `power-off` and `power-on` under `commands`".to_owned(),
        })
    }
}
