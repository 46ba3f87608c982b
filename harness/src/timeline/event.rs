//! The event type. A reader who understands this file understands the program.

use std::time::Duration;

use ota_server::event::ServerEvent;
use serde::{Deserialize, Serialize};

use super::{DeviceEvent, Frame, Halted};

/// One event of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Event {
    /// Position on the timeline, from 0, without gaps.
    pub seq: u64,
    /// The run's clock: nanoseconds since the run began (virtual when time is warped).
    pub at_ns: u64,
    /// Wall clock, milliseconds since 1970. Shown, never judged.
    pub wall_ms: u64,
    /// The device's own stamp, where the event carries one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<DeviceTime>,
    /// What happened.
    pub kind: EventKind,
}

impl Event {
    /// The run's clock.
    #[must_use]
    pub fn at(&self) -> Duration {
        Duration::from_nanos(self.at_ns)
    }
}

/// A stamp of the device's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct DeviceTime {
    /// Which boot of this run, from 0 (before the first reset seen).
    pub boot: u32,
    /// Milliseconds since that boot, as printed.
    pub ms: u64,
    /// Milliseconds on the device's unwrapped clock: monotonic over reboots within a run.
    pub unwrapped_ms: u64,
}

/// What kind of event, and its facts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "source", content = "data", rename_all = "kebab-case")]
pub enum EventKind {
    /// A line of the serial console.
    Console(ConsoleLine),
    /// What a dialect read out of a console line.
    Device {
        /// `seq` of the console line.
        line: u64,
        /// The device event.
        event: DeviceEvent,
    },
    /// What the OTA server saw or did.
    Server(ServerEvent),
    /// What the harness did.
    Action(Action),
    /// A wait of the engine ended.
    Wait {
        /// Index of the step in the scenario.
        step: usize,
        /// How it ended.
        outcome: WaitOutcome,
    },
    /// The rig itself: errors and findings.
    Rig(RigEvent),
}

/// One console line, without its line end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct ConsoleLine {
    /// The text, colours removed, invalid UTF-8 replaced.
    pub text: String,
    /// The bytes as received in hexadecimal, only where `text` does not tell them all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raw: Option<String>,
    /// True when a reset, the end of the capture or the length limit cut the line.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cut: bool,
    /// ESP log level letter: E, W, I, D or V.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<char>,
    /// ESP log tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// ESP log message, after level, stamp and tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// How a wait ended. A record only: the judge recomputes from stamps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WaitOutcome {
    /// What was waited for happened.
    Met,
    /// The limit came first.
    TimedOut,
}

/// What the harness did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "kebab-case", rename_all_fields = "kebab-case", deny_unknown_fields)]
pub enum Action {
    /// The run of a scenario began; the board's facts.
    RunStarted {
        /// Scenario name.
        scenario: String,
        /// Board name.
        board: String,
        /// Chip name: esp32, esp32s3, esp32c3.
        chip: String,
        /// True when time is warped.
        warped: bool,
    },
    /// Observation ended: nothing after this was watched.
    RunEnded,
    /// A step began.
    StepStarted {
        /// Index in the scenario.
        step: usize,
        /// Its name.
        name: String,
    },
    /// Regions were written to flash.
    Flashed {
        /// What: catalogue names or region labels.
        what: String,
        /// Bytes sent to the board.
        written: u64,
        /// Bytes found unchanged and not sent.
        unchanged: u64,
        /// How: "espflash", "snapshot".
        how: String,
    },
    /// Keys were written to the NVS partition.
    Provisioned {
        /// `key = value` as written, secrets masked.
        keys: Vec<(String, String)>,
    },
    /// The reset line was pulsed.
    Reset,
    /// A power cut was planned at one of the device's flash operations from now on.
    PowerCutPlanned {
        /// Which one: 0 is the next.
        operation: u64,
        /// Where in it: before, inside, after.
        when: String,
    },
    /// Power was cut.
    PowerOff,
    /// Power was given.
    PowerOn,
    /// The access point of the device's network was taken away.
    WifiOff,
    /// The access point came back.
    WifiOn,
    /// The fault plan was set.
    FaultsSet {
        /// The faults, one line each.
        faults: Vec<String>,
    },
    /// What the server offers was changed.
    Offered {
        /// Version offered.
        version: Option<String>,
    },
    /// A form was sent to the device's configuration page.
    FormSent {
        /// Where to.
        url: String,
        /// Names of its fields.
        fields: String,
    },
    /// The processor was halted for a moment, several times, to see where it stands.
    Inspected {
        /// Each look: all cores that run.
        looks: Vec<Vec<Halted>>,
    },
    /// Bytes were written to the device's console input.
    ConsoleInput {
        /// The text.
        text: String,
    },
}

/// The rig: what makes a verdict impossible (`error`), or a finding about the run itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "rig", rename_all = "kebab-case", rename_all_fields = "kebab-case")]
pub enum RigEvent {
    /// Something of the rig failed: what was tried, on what, why, what to do.
    Error {
        /// The message.
        message: String,
    },
    /// The guard ended a runaway run.
    Runaway {
        /// True when the device made the events (the device's fault), false when the rig did.
        device: bool,
        /// What was exceeded.
        message: String,
    },
    /// Device clock and host clock drift apart by more than 2 %.
    ClockDrift {
        /// Drift in per mille, positive when the device is fast.
        per_mille: i64,
    },
    /// A crash of the device, decoded with the ELF file of what crashed.
    Crash {
        /// Number of the console line that told of it.
        line: u64,
        /// Where it crashed, innermost first; of a chip that prints no backtrace the faulting function alone.
        frames: Vec<Frame>,
        /// Return addresses found on its stack, innermost first. Some may be left over from calls that had ended.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        stack: Vec<Frame>,
        /// Why it could not be decoded.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        why_not: Option<String>,
    },
    /// The console was lost or came back, or anything else worth telling.
    Note {
        /// The message.
        message: String,
    },
}
