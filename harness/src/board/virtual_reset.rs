//! The virtual board's own reset line and power switch: in this process, or over a control socket.

use async_trait::async_trait;
use virtual_esp32::{BoardGone, CutPlan, Handle, control};

use super::BoardError;
use super::port::Port;
use super::reset::{BootMode, ResetLine};

fn mode(mode: BootMode) -> virtual_esp32::BootMode {
    match mode {
        BootMode::Run => virtual_esp32::BootMode::Run,
        BootMode::Download => virtual_esp32::BootMode::Download,
    }
}

fn failed(doing: &'static str, port: &Port, method: &str, why: &dyn std::fmt::Display) -> BoardError {
    BoardError::Reset { doing, port: port.path().to_owned(), method: method.to_owned(), why: why.to_string() }
}

/// A virtual board in this process.
pub struct InProcess(pub Handle);

#[async_trait(?Send)]
impl ResetLine for InProcess {
    async fn hold(&mut self, port: &Port) -> Result<(), BoardError> {
        self.0.hold_in_reset().await.map_err(|e: BoardGone| failed("hold", port, "its handle", &e))
    }

    async fn release(&mut self, port: &Port, boot: BootMode) -> Result<(), BoardError> {
        self.0.release(mode(boot)).await.map_err(|e| failed("release", port, "its handle", &e))
    }

    fn has_power(&self) -> bool {
        true
    }

    async fn power(&mut self, port: &Port, on: bool) -> Result<(), BoardError> {
        let result = if on { self.0.power_on().await } else { self.0.power_off().await };
        result.map_err(|e| failed("switch", port, "its handle", &e))
    }

    async fn wifi(&mut self, _: &Port, in_reach: bool) -> Result<(), BoardError> {
        self.0.set_wifi(in_reach);
        Ok(())
    }

    async fn cut_power_at(&mut self, _: &Port, plan: CutPlan) -> Result<(), BoardError> {
        self.0.flash().cut_power_at(plan);
        Ok(())
    }
}

/// A virtual board in another process, reached over its control socket. Orders block this thread for the time of a
/// round trip on a Unix socket.
pub struct BySocket {
    path: String,
    client: control::Client,
}

impl BySocket {
    /// Connects to the control socket.
    ///
    /// # Errors
    ///
    /// Nothing listens there.
    pub fn connect(path: &str, port: &Port) -> Result<Self, BoardError> {
        let client =
            control::Client::connect(path).map_err(|e| failed("reach", port, &format!("virtual:{path}"), &e))?;
        Ok(Self { path: path.to_owned(), client })
    }

    fn send(&mut self, doing: &'static str, port: &Port, command: &control::Command) -> Result<(), BoardError> {
        let method = format!("virtual:{}", self.path);
        self.client.send(command).map(drop).map_err(|e| failed(doing, port, &method, &e))
    }
}

#[async_trait(?Send)]
impl ResetLine for BySocket {
    async fn hold(&mut self, port: &Port) -> Result<(), BoardError> {
        self.send("hold", port, &control::Command::Hold)
    }

    async fn release(&mut self, port: &Port, boot: BootMode) -> Result<(), BoardError> {
        self.send("release", port, &control::Command::Release { mode: mode(boot) })
    }

    fn has_power(&self) -> bool {
        true
    }

    async fn power(&mut self, port: &Port, on: bool) -> Result<(), BoardError> {
        self.send("switch", port, if on { &control::Command::PowerOn } else { &control::Command::PowerOff })
    }

    async fn wifi(&mut self, port: &Port, in_reach: bool) -> Result<(), BoardError> {
        self.send("switch the Wi-Fi of", port, &control::Command::Wifi { in_reach })
    }

    async fn cut_power_at(&mut self, port: &Port, plan: CutPlan) -> Result<(), BoardError> {
        let CutPlan { operation, when } = plan;
        self.send("plan a power cut of", port, &control::Command::CutPower { operation, when })
    }
}
