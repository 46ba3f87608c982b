//! Shell commands that switch what a board's port cannot: power (a relay, a USB hub), reset, the access point.

use std::io::Read;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;

use super::BoardError;
use super::port::Port;
use super::reset::{BootMode, ResetLine};
use virtual_esp32::CutPlan;

/// A command that takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often a command is looked at.
const LOOK: Duration = Duration::from_millis(5);
/// Most of what a failed command said that is told.
const TOLD: usize = 500;

/// Commands, run by `sh -c` with the board's port in `BRICKPROOF_PORT`. What has no command is done by the reset method.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Commands {
    /// Cuts power.
    #[serde(default)]
    pub power_off: Option<String>,
    /// Gives power.
    #[serde(default)]
    pub power_on: Option<String>,
    /// Holds the chip in reset.
    #[serde(default)]
    pub hold: Option<String>,
    /// Lets the chip out of reset so that it boots from flash.
    #[serde(default)]
    pub run: Option<String>,
    /// Lets the chip out of reset so that it waits for downloads.
    #[serde(default)]
    pub download: Option<String>,
    /// Takes the access point of the board's network away.
    #[serde(default)]
    pub wifi_off: Option<String>,
    /// Brings the access point back.
    #[serde(default)]
    pub wifi_on: Option<String>,
}

impl Commands {
    /// Power can be cut and given.
    #[must_use]
    pub fn switch_power(&self) -> bool {
        self.power_off.is_some() && self.power_on.is_some()
    }

    /// The access point can be taken away and brought back.
    #[must_use]
    pub fn switch_wifi(&self) -> bool {
        self.wifi_off.is_some() && self.wifi_on.is_some()
    }

    /// The chip can be reset by them alone.
    #[must_use]
    pub fn reset(&self) -> bool {
        self.hold.is_some() && self.run.is_some() && self.download.is_some()
    }
}

/// A reset line with commands before it.
pub struct ByCommands {
    commands: Commands,
    /// What does the rest.
    line: Option<Box<dyn ResetLine>>,
}

impl ByCommands {
    /// Commands, and the line that does what they do not.
    #[must_use]
    pub fn new(commands: Commands, line: Option<Box<dyn ResetLine>>) -> Self {
        Self { commands, line }
    }

    fn rest(&mut self, port: &Port, what: &'static str) -> Result<&mut Box<dyn ResetLine>, BoardError> {
        let why = "it is reset by commands, and none is configured for this".to_owned();
        self.line.as_mut().ok_or_else(|| BoardError::Unable { port: port.path().to_owned(), what, why })
    }
}

async fn order(port: &Port, doing: &'static str, command: &str) -> Result<(), BoardError> {
    let (path, line) = (port.path().to_owned(), command.to_owned());
    let failed =
        |why: String| BoardError::Reset { doing, port: port.path().to_owned(), method: format!("`{command}`"), why };
    match tokio::task::spawn_blocking(move || carry_out(&line, &path, PATIENCE)).await {
        Ok(done) => done.map_err(failed),
        Err(panicked) => Err(failed(panicked.to_string())),
    }
}

/// Runs a command to its end.
fn carry_out(command: &str, port: &str, patience: Duration) -> Result<(), String> {
    let mut shell = Command::new("sh");
    shell.args(["-c", command]).env("BRICKPROOF_PORT", port);
    // What it says goes to a file: a pipe that nobody empties would stop it.
    let said = tempfile::tempfile().map_err(|e| format!("cannot make a temporary file: {e}"))?;
    let same = |file: &std::fs::File| file.try_clone().map(Stdio::from);
    let (out, err) = (same(&said), same(&said));
    shell.stdin(Stdio::null());
    shell.stdout(out.map_err(|e| e.to_string())?).stderr(err.map_err(|e| e.to_string())?);
    let mut child = shell.spawn().map_err(|e| format!("cannot start sh: {e}"))?;
    let begun = Instant::now();
    let status = loop {
        match child.try_wait().map_err(|e| e.to_string())? {
            Some(status) => break status,
            None if begun.elapsed() > patience => {
                // It may have ended by itself meanwhile.
                let _ = child.kill();
                let _ = child.wait();
                return Err(format!("it did not end within {patience:?}"));
            }
            None => std::thread::sleep(LOOK),
        }
    };
    if status.success() {
        return Ok(());
    }
    Err(format!("it ended with {status}{}", words(said)))
}

fn words(mut said: std::fs::File) -> String {
    use std::io::{Seek, SeekFrom};
    let mut bytes = Vec::new();
    let read = said.seek(SeekFrom::Start(0)).and_then(|_| said.read_to_end(&mut bytes));
    let text = String::from_utf8_lossy(&bytes);
    let text: String = text.trim().chars().map(|c| if c.is_control() { ' ' } else { c }).take(TOLD).collect();
    if read.is_err() || text.is_empty() { String::new() } else { format!(" and said: {text}") }
}

#[async_trait(?Send)]
impl ResetLine for ByCommands {
    async fn hold(&mut self, port: &Port) -> Result<(), BoardError> {
        match &self.commands.hold {
            Some(command) => order(port, "hold", command).await,
            None => self.rest(port, "be held in reset")?.hold(port).await,
        }
    }

    async fn release(&mut self, port: &Port, mode: BootMode) -> Result<(), BoardError> {
        let command = match mode {
            BootMode::Run => &self.commands.run,
            BootMode::Download => &self.commands.download,
        };
        match command {
            Some(command) => order(port, "release", command).await,
            None => self.rest(port, "be let out of reset")?.release(port, mode).await,
        }
    }

    fn has_power(&self) -> bool {
        self.commands.switch_power() || self.line.as_ref().is_some_and(|line| line.has_power())
    }

    async fn power(&mut self, port: &Port, on: bool) -> Result<(), BoardError> {
        match if on { &self.commands.power_on } else { &self.commands.power_off } {
            Some(command) => order(port, "switch", command).await,
            None => self.rest(port, "switch power")?.power(port, on).await,
        }
    }

    async fn wifi(&mut self, port: &Port, in_reach: bool) -> Result<(), BoardError> {
        match if in_reach { &self.commands.wifi_on } else { &self.commands.wifi_off } {
            Some(command) => order(port, "switch the access point of", command).await,
            None => self.rest(port, "take its access point away")?.wifi(port, in_reach).await,
        }
    }

    async fn cut_power_at(&mut self, port: &Port, plan: CutPlan) -> Result<(), BoardError> {
        self.rest(port, "cut its power at a flash operation")?.cut_power_at(port, plan).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_is_told_the_port_and_its_failure_is_told_with_its_words() {
        carry_out("test \"$BRICKPROOF_PORT\" = /dev/ttyUSB7", "/dev/ttyUSB7", PATIENCE).expect("the port");
        let error = carry_out("echo no such hub >&2; exit 3", "p", PATIENCE).expect_err("failed");
        assert_eq!(error, "it ended with exit status: 3 and said: no such hub");
    }

    #[test]
    fn command_that_hangs_is_ended() {
        // `exec`: the shell itself becomes what is killed.
        let error = carry_out("exec sleep 600", "p", Duration::ZERO).expect_err("hangs");
        assert!(error.contains("did not end"), "{error}");
    }
}
