//! The checked scenario: a value of these types cannot be wrong in itself.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::time::Duration;

use ota_server::plan::FaultRule;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A checked scenario.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Name, equal to the file's stem.
    pub name: String,
    /// One sentence for lists and reports.
    pub summary: String,
    /// Tags for selection (`quick`).
    pub tags: BTreeSet<String>,
    /// The file as read, for messages that point into it.
    pub source: Source,
    /// What the board must be able to do.
    pub requires: BTreeSet<Capability>,
    /// Expected device time in all.
    pub device_time: Duration,
    /// The images.
    pub image: Images,
    /// What the device must know before its first boot: firmware-file key names (`ota-url`) to values.
    pub provision: BTreeMap<String, Template>,
    /// Fault plan in force from the start.
    pub faults: Vec<FaultRule>,
    /// The steps, in order.
    pub steps: Vec<Step>,
    /// The expectations.
    pub expectations: Vec<Expectation>,
}

/// The file that a scenario was read from.
#[derive(Clone, Debug)]
pub struct Source {
    /// Path as the user named it.
    pub path: String,
    /// The text.
    pub text: String,
}

/// What a board can do.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Capability {
    /// Its flash can be written.
    Flash,
    /// Its flash can be read back.
    ReadFlash,
    /// Its configuration can be written before boot.
    Provision,
    /// It can be reset.
    Reset,
    /// Its power can be cut and given.
    Power,
    /// Its bootloader rolls a pending image back.
    BootloaderRollback,
    /// Its bootloader does not, and its firmware goes back by itself.
    OwnRollback,
    /// Its bootloader refuses a lower security version.
    AntiRollback,
    /// It can be told to trust the rig's test authority: the server speaks TLS beside HTTP.
    TestCa,
    /// It asks the rig's name server for names.
    Dns,
    /// The access point of its network can be taken away.
    Wifi,
    /// Its processor can be halted by a debug probe to see where it stands.
    Inspect,
}

/// Which images a scenario uses: catalogue version names, resolved for the board's chip.
#[derive(Clone, Debug)]
pub struct Images {
    /// What is flashed before the start.
    pub flash: String,
    /// How the flashed image is built: words of the reference firmware's profile record.
    pub flash_with: Vec<String>,
    /// Security version of the flashed image.
    pub flash_security: Option<u32>,
    /// What the server offers from the start, if anything.
    pub offer: Option<String>,
    /// The defect that what it offers carries: a new version that is no good.
    pub offer_defect: Option<String>,
}

/// A string with `{server.host}`, `{server.port}`, `{server.url}`, `{firmware.max_attempts}` and the like in it,
/// checked for known names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template(pub String);

/// One step: actions in order, then a wait.
#[derive(Clone, Debug)]
pub struct Step {
    /// Its name.
    pub name: String,
    /// Where it stands in the file (bytes).
    pub span: Range<usize>,
    /// What is done, in order.
    pub actions: Vec<StepAction>,
    /// What is waited for afterwards. Without it the step ends at once.
    pub until: Option<Wait>,
}

/// A wait: a pattern, how often, and the limit on the run's clock.
#[derive(Clone, Debug)]
pub struct Wait {
    /// What to wait for.
    pub pattern: Pattern,
    /// How many matches since the step began.
    pub count: u32,
    /// The limit.
    pub within: Duration,
}

/// Where in a flash operation power is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CutWhen {
    /// Before anything is changed.
    Before,
    /// In the middle: a torn erase or program, as the run's seed says.
    Inside,
    /// After the whole change, before the chip can know it.
    After,
}

/// A power cut at a flash operation of the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct PowerCut {
    /// At which operation from now on: 0 is the next one. An operation is a sector erased or a page of 256 bytes
    /// programmed. With `draw`: below which one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<u64>,
    /// In its place: so many per cent of the operations that an update to the image takes that the scenario offers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub percent: Option<u8>,
    /// The operation is drawn at random by the run's seed and this number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub draw: Option<u64>,
    /// Where in it.
    pub when: CutWhen,
}

/// Flash operations of an update beside those that write the image: otadata when it is selected and when it is confirmed,
/// NVS. Counted of the reference firmware: 699 operations for an image of 163,888 bytes. Where it counts its boots
/// (`own-rollback`) there are five more.
const SELECT_AND_CONFIRM: u64 = 17;

impl PowerCut {
    /// The operation, or with a draw the one below which it is drawn, of an update to an image of `length` bytes: each
    /// sector of 4 KiB is erased once, each page of 256 bytes programmed once.
    #[must_use]
    pub fn below(&self, length: u64) -> u64 {
        let all = length.div_ceil(4096) + length.div_ceil(256) + SELECT_AND_CONFIRM;
        match (self.operation, self.percent) {
            (Some(operation), _) => operation,
            (None, percent) => all * u64::from(percent.unwrap_or(100)) / 100,
        }
    }
}

/// What a step does.
#[derive(Clone, Debug)]
pub enum StepAction {
    /// Replaces the fault plan (empty: the server behaves).
    Faults(Vec<FaultRule>),
    /// Plans a power cut at one of the device's flash operations.
    CutPower(PowerCut),
    /// Writes keys into the device's configuration (the device restarts with the next reset).
    Provision(BTreeMap<String, Template>),
    /// Halts the processor for a moment to see where it stands.
    Inspect,
    /// Pulses the reset line.
    Reset,
    /// Cuts power.
    PowerOff,
    /// Gives power.
    PowerOn,
    /// Takes the access point of the device's network away, or brings it back.
    Wifi {
        /// Whether it is in reach.
        in_reach: bool,
    },
    /// Changes what the server offers.
    Offer(Option<String>),
    /// Lets device time pass.
    Wait(Duration),
}

/// What an event must look like.
#[derive(Clone, Debug)]
pub enum Pattern {
    /// A device event by name, with equal fields.
    Device {
        /// Kebab-case name (`retry-scheduled`).
        event: String,
        /// Fields that must be equal.
        fields: BTreeMap<String, serde_json::Value>,
    },
    /// A console line.
    Console(regex::Regex),
    /// A server event by name, with equal fields.
    Server {
        /// Kebab-case name (`request`).
        event: String,
        /// Fields that must be equal.
        fields: BTreeMap<String, serde_json::Value>,
    },
    /// A harness action by name.
    Action {
        /// Kebab-case name (`reset`).
        event: String,
        /// Fields that must be equal.
        fields: BTreeMap<String, serde_json::Value>,
    },
}

/// One assertion over the timeline.
#[derive(Clone, Debug)]
pub struct Expectation {
    /// What it says, in words (made from its parts where the file gives none).
    pub label: String,
    /// Where it stands in the file (bytes).
    pub span: Range<usize>,
    /// Where on the timeline it looks.
    pub window: Window,
    /// What must hold.
    pub kind: ExpectationKind,
}

/// Which part of the timeline an expectation looks at, on the run's clock, inclusive at both ends.
#[derive(Clone, Debug)]
pub struct Window {
    /// Where it begins.
    pub from: Anchor,
    /// Where it ends.
    pub until: Limit,
}

/// Where a window ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// So long after its begin.
    Within(Duration),
    /// Where this step begins, by its index; with observation where it never does.
    Step(usize),
    /// With observation.
    End,
}

/// Where a window begins.
#[derive(Clone, Debug)]
pub enum Anchor {
    /// The run's begin.
    Start,
    /// The begin of a step.
    Step(usize),
    /// The first match of a pattern.
    After(Pattern),
}

/// How a number must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Count {
    /// At least.
    pub min: u64,
    /// At most.
    pub max: Option<u64>,
}

/// What must hold.
#[derive(Clone, Debug)]
pub enum ExpectationKind {
    /// The pattern matches so many times.
    Happens {
        /// The pattern.
        pattern: Pattern,
        /// How often.
        count: Count,
    },
    /// The pattern never matches.
    Never {
        /// The pattern.
        pattern: Pattern,
    },
    /// The patterns match in this order (other events may stand between).
    InOrder {
        /// The patterns.
        patterns: Vec<Pattern>,
    },
    /// The retries announced and kept: number, cap, and the delays between, in device time.
    Retries {
        /// How many retries are announced.
        count: Option<Count>,
        /// The cap that each announces.
        max: Option<u32>,
        /// The delay law that announced and measured delays must follow.
        delay: Option<DelayLaw>,
        /// Relative tolerance in per mille; the larger of it and 50 ms holds.
        tolerance_per_mille: u32,
    },
    /// The device boots this version, and proves it by what it then runs.
    Boots {
        /// Version.
        version: Template,
        /// Slot label (`ota_0`), or `other`: not the one it ran from before.
        slot: Option<String>,
    },
    /// The running image gets confirmed.
    MarkedValid,
    /// An error is named.
    Error {
        /// ESP_ERR_* name.
        name: Option<String>,
        /// lwIP errno.
        errno: Option<i32>,
        /// How often.
        count: Count,
    },
    /// The device is alive at the end: no panic, no unexplained reset in the window, and its console speaks.
    StillRuns,
}

/// How the delay grows from retry to retry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DelayLaw {
    /// Always the same.
    Constant(Duration),
    /// Doubling from the first up to a cap.
    Doubling {
        /// First delay.
        first: Duration,
        /// No longer than this.
        cap: Option<Duration>,
    },
    /// What the firmware file says.
    OfFirmware,
}

impl Scenario {
    /// The ports of a host that the device is told by its configuration, in URLs: 80 where an http URL names none.
    #[must_use]
    pub fn ports_of(&self, host: &str) -> BTreeSet<u16> {
        let steps = self.steps.iter().flat_map(|s| &s.actions).filter_map(|action| match action {
            StepAction::Provision(keys) => Some(keys),
            _ => None,
        });
        std::iter::once(&self.provision)
            .chain(steps)
            .flat_map(BTreeMap::values)
            .filter_map(|value| url::Url::parse(&value.0).ok())
            .filter(|url| url.host_str() == Some(host))
            .filter_map(|url| url.port_or_known_default())
            .collect()
    }
}
