//! What the engine asks of a rig: a board, an OTA server, and their events.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use ota_server::event::ServerEvent;

use super::{Order, Talk};
use crate::scenario::model::{Scenario, StepAction, Template};
use crate::symbols::Crash;
use crate::timeline::{Action, Halted, RigEvent};

/// The rig failed: no verdict on the firmware is possible.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct RigError(pub String);

impl From<crate::board::BoardError> for RigError {
    fn from(error: crate::board::BoardError) -> Self {
        Self(error.to_string())
    }
}

impl From<std::io::Error> for RigError {
    fn from(error: std::io::Error) -> Self {
        Self(error.to_string())
    }
}

/// Something that happened, stamped on the run's clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Incoming {
    /// Bytes of the console.
    Console {
        /// When they were read.
        at: Duration,
        /// The bytes.
        bytes: Vec<u8>,
    },
    /// The console went away or came back: what comes next does not continue a line that came before.
    Gap {
        /// When.
        at: Duration,
        /// What happened.
        message: String,
    },
    /// The server saw or did something.
    Server {
        /// When.
        at: Duration,
        /// What.
        event: ServerEvent,
    },
    /// The rig has something to tell.
    Rig {
        /// When.
        at: Duration,
        /// What.
        event: RigEvent,
    },
}

/// A board and an OTA server that a scenario runs on.
#[async_trait(?Send)]
pub trait Rig {
    /// The run's clock.
    fn now(&self) -> Duration;

    /// Flashes, provisions, sets offer and faults, attaches the console and lets the board boot.
    ///
    /// # Errors
    ///
    /// Whatever of the rig fails.
    async fn start(&mut self, scenario: &Scenario) -> Result<Vec<Action>, RigError>;

    /// Does one of a step's actions; [`StepAction::Wait`] is the engine's own.
    ///
    /// # Errors
    ///
    /// Whatever of the rig fails.
    async fn act(&mut self, action: &StepAction) -> Result<Vec<Action>, RigError>;

    /// Waits for the next thing that happens. Must be safe to drop: nothing is lost when the engine stops waiting.
    ///
    /// # Errors
    ///
    /// The board's port is gone, bytes got stuck.
    async fn next(&mut self) -> Result<Incoming, RigError>;

    /// How the running device is told keys; `None` where they are written while it does not run. `first` tells it
    /// everything that it must know before a scenario, else keys are changed.
    ///
    /// # Errors
    ///
    /// There is no way to tell it one of the keys.
    fn talk(&self, keys: &BTreeMap<String, Template>, first: bool) -> Result<Option<Talk>, RigError> {
        let _ = (keys, first);
        Ok(None)
    }

    /// Tells the device something.
    ///
    /// # Errors
    ///
    /// The console or the page cannot be reached.
    async fn order(&mut self, order: &Order) -> Result<Action, RigError> {
        Err(RigError(format!("this rig cannot tell a device anything: {order:?}")))
    }

    /// A crash decoded with the ELF files of the images, where there are any.
    fn decode(&self, crash: &Crash) -> Option<RigEvent> {
        let _ = crash;
        None
    }

    /// Proves that what was not heard was not said: the way to the device's console is still there.
    ///
    /// # Errors
    ///
    /// It is not, so silence says nothing of the firmware.
    async fn alive(&mut self) -> Result<(), RigError> {
        Ok(())
    }

    /// Whether [`Self::inspect`] may be asked for.
    fn can_inspect(&self) -> bool {
        false
    }

    /// Halts the processor for a moment to see where it stands: all cores that run. `version` is the firmware that runs,
    /// where the device has said so since its last reset.
    ///
    /// # Errors
    ///
    /// It could not be seen, which says nothing of the firmware.
    async fn inspect(&mut self, version: Option<&str>) -> Result<Vec<Halted>, RigError> {
        let _ = version;
        Err(RigError("this rig has no debug probe".to_owned()))
    }

    /// Gathers what a device that crashed left behind, after the observation has ended; in words.
    ///
    /// # Errors
    ///
    /// It could not be gathered, which says nothing of the firmware.
    async fn after_crash(&mut self) -> Result<Option<String>, RigError> {
        Ok(None)
    }

    /// Ends the run: what the server still had to tell.
    async fn stop(&mut self) -> Vec<Incoming>;
}
