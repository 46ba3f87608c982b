//! What a device says it did: typed, whatever its firmware's wording. Dialects map console lines to these.

use serde::{Deserialize, Serialize};

/// A typed device event. The serialised form (`event` is the kebab-case name, the fields beside it) is what dialect
/// rules produce from their named groups and what scenario patterns match against.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(tag = "event", rename_all = "kebab-case", rename_all_fields = "kebab-case", deny_unknown_fields)]
pub enum DeviceEvent {
    /// The ROM's reset banner (`rst:0x1 (POWERON)`).
    Reset {
        /// Code after `rst:`.
        code: u32,
        /// The ROM's word for it.
        reason: String,
        /// True in download mode.
        #[serde(default)]
        download: bool,
    },
    /// The second-stage bootloader loaded an application.
    SlotLoaded {
        /// Flash offset of the partition.
        offset: u32,
    },
    /// The bootloader refused an image.
    ImageRefused {
        /// Why.
        because: RefusedBecause,
        /// Flash offset, where the line tells it.
        #[serde(default)]
        offset: Option<u32>,
    },
    /// The bootloader found nothing to boot.
    NothingBootable,
    /// The application runs: its first line that names its version.
    AppStarted {
        /// Version string.
        version: String,
    },
    /// The device has an address.
    NetworkUp {
        /// IP address as printed.
        ip: String,
    },
    /// An attempt at an OTA request began (the URL tried).
    RequestStarted {
        /// URL as printed.
        url: String,
    },
    /// An error was named.
    Error {
        /// ESP_ERR_* name, where known.
        #[serde(default)]
        name: Option<String>,
        /// ESP_ERR_* number, where known.
        #[serde(default)]
        code: Option<i64>,
        /// lwIP errno, where known.
        #[serde(default)]
        errno: Option<i32>,
        /// HTTP status, where that is the error.
        #[serde(default)]
        status: Option<u16>,
        /// The firmware's words.
        #[serde(default)]
        message: Option<String>,
    },
    /// A check or download attempt failed as a whole.
    AttemptFailed {
        /// The firmware's words.
        #[serde(default)]
        message: Option<String>,
    },
    /// A retry was announced.
    RetryScheduled {
        /// This failure's number, from 1.
        attempt: u32,
        /// The cap, where announced.
        #[serde(default)]
        max: Option<u32>,
        /// Announced delay in milliseconds, where announced.
        #[serde(default)]
        delay_ms: Option<u64>,
    },
    /// The device gave up trying.
    RetriesExhausted,
    /// The check succeeded and there is nothing to do.
    UpToDate {
        /// Version that runs.
        #[serde(default)]
        version: Option<String>,
    },
    /// The check succeeded and a newer version is offered.
    UpdateAvailable {
        /// Version offered.
        #[serde(default)]
        version: Option<String>,
    },
    /// A download began.
    DownloadStarted {
        /// URL as printed.
        #[serde(default)]
        url: Option<String>,
        /// Slot label written to.
        #[serde(default)]
        slot: Option<String>,
    },
    /// Download progress.
    Progress {
        /// Per cent.
        percent: u32,
        /// Bytes so far.
        #[serde(default)]
        done: Option<u64>,
        /// Bytes in all.
        #[serde(default)]
        total: Option<u64>,
        /// Bytes per second.
        #[serde(default)]
        speed: Option<u64>,
    },
    /// The download or its verification failed; the old firmware goes on or restarts.
    UpgradeFailed {
        /// The firmware's words.
        #[serde(default)]
        message: Option<String>,
    },
    /// The new image was found corrupt before the switch.
    ImageInvalid,
    /// The new image is written, verified and selected.
    UpgradeSuccessful,
    /// The running image was confirmed.
    MarkedValid,
    /// The device or its bootloader went back to the old image.
    RolledBack,
    /// The device is about to restart itself.
    Restarting,
    /// The device runs its normal operation.
    Idle,
    /// A crash.
    Panic {
        /// Reason: "LoadProhibited", "abort", "assert failed", "Task watchdog".
        reason: String,
    },
    /// A backtrace line.
    Backtrace {
        /// Program counters, innermost first.
        addresses: String,
    },
    /// Brownout detector.
    Brownout,
    /// Free heap and sockets as reported by the firmware.
    Resources {
        /// Free heap in bytes.
        #[serde(default)]
        free_heap: Option<u64>,
        /// Open sockets.
        #[serde(default)]
        sockets: Option<u32>,
    },
    /// Anything else that a user's dialect names.
    Custom {
        /// The rule's own name.
        name: String,
        /// What the rule captured.
        #[serde(default)]
        text: Option<String>,
    },
}

/// Why the bootloader refused an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RefusedBecause {
    /// Magic byte is not 0xE9.
    Magic,
    /// Checksum.
    Checksum,
    /// SHA-256.
    Hash,
    /// Chip id.
    Chip,
    /// Chip revision.
    Revision,
    /// Security version (anti-rollback).
    SecurityVersion,
    /// Segments out of bounds or misaligned.
    Segments,
    /// Anything else.
    Other,
}
