//! Device events for the timeline: a kind that gives a sign, and a few words.

use crate::timeline::DeviceEvent;

/// What a device event is drawn as: the letter in the page's data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// It was reset or began to run.
    Boot,
    /// Something went wrong.
    Error,
    /// A retry was announced.
    Retry,
    /// A download goes on.
    Progress,
    /// It reached what it was to reach.
    Good,
    /// Anything else.
    Other,
}

impl Kind {
    /// The letter in the page's data.
    pub(super) fn letter(self) -> char {
        match self {
            Self::Boot => 'b',
            Self::Error => 'e',
            Self::Retry => 'r',
            Self::Progress => 'p',
            Self::Good => 'g',
            Self::Other => 'o',
        }
    }
}

/// Kind and words. Words hold text of the device: untrusted.
pub(super) fn describe(event: &DeviceEvent) -> (Kind, String) {
    match event {
        DeviceEvent::Reset { reason, .. } => (Kind::Boot, format!("reset: {reason}")),
        DeviceEvent::SlotLoaded { offset } => (Kind::Other, format!("loads the application at 0x{offset:x}")),
        DeviceEvent::ImageRefused { because, .. } => (Kind::Error, format!("image refused: {because:?}")),
        DeviceEvent::NothingBootable => (Kind::Error, "nothing bootable".to_owned()),
        DeviceEvent::AppStarted { version } => (Kind::Boot, format!("version {version} runs")),
        DeviceEvent::NetworkUp { ip } => (Kind::Other, format!("network: {ip}")),
        DeviceEvent::RequestStarted { url } => (Kind::Other, format!("asks {url}")),
        DeviceEvent::Error { name, errno, status, message, .. } => (Kind::Error, error(name, *errno, *status, message)),
        DeviceEvent::AttemptFailed { message } => (Kind::Error, with("attempt failed", message.as_deref())),
        DeviceEvent::RetryScheduled { attempt, max, delay_ms } => {
            let of = max.map_or_else(String::new, |max| format!(" of {max}"));
            let delay = delay_ms.map_or_else(String::new, |ms| format!(" in {}", crate::timeline::time_words(ms)));
            (Kind::Retry, format!("retry {attempt}{of}{delay}"))
        }
        DeviceEvent::RetriesExhausted => (Kind::Error, "gave up".to_owned()),
        DeviceEvent::UpToDate { version } => (Kind::Good, with("up to date", version.as_deref())),
        DeviceEvent::UpdateAvailable { version } => (Kind::Other, with("update available", version.as_deref())),
        DeviceEvent::DownloadStarted { slot, .. } => (Kind::Progress, with("download begins", slot.as_deref())),
        DeviceEvent::Progress { percent, .. } => (Kind::Progress, format!("{percent} %")),
        DeviceEvent::UpgradeFailed { message } => (Kind::Error, with("upgrade failed", message.as_deref())),
        DeviceEvent::ImageInvalid => (Kind::Error, "image invalid".to_owned()),
        DeviceEvent::UpgradeSuccessful => (Kind::Good, "upgrade successful".to_owned()),
        DeviceEvent::MarkedValid => (Kind::Good, "marked valid".to_owned()),
        DeviceEvent::RolledBack => (Kind::Error, "rolled back".to_owned()),
        DeviceEvent::Restarting => (Kind::Boot, "restarts itself".to_owned()),
        DeviceEvent::Idle => (Kind::Other, "idle".to_owned()),
        DeviceEvent::Panic { reason } => (Kind::Error, format!("crash: {reason}")),
        DeviceEvent::Backtrace { .. } => (Kind::Error, "backtrace".to_owned()),
        DeviceEvent::Brownout => (Kind::Error, "brownout".to_owned()),
        DeviceEvent::Resources { free_heap, sockets } => {
            let heap = free_heap.map_or_else(String::new, |bytes| format!(" {bytes} bytes of heap"));
            let sockets = sockets.map_or_else(String::new, |n| format!(" {n} sockets"));
            (Kind::Other, format!("free:{heap}{sockets}"))
        }
        DeviceEvent::Custom { name, text } => (Kind::Other, with(name, text.as_deref())),
    }
}

fn with(what: &str, more: Option<&str>) -> String {
    more.map_or_else(|| what.to_owned(), |more| format!("{what}: {more}"))
}

fn error(name: &Option<String>, errno: Option<i32>, status: Option<u16>, message: &Option<String>) -> String {
    let parts =
        [name.clone(), errno.map(|n| format!("errno {n}")), status.map(|n| format!("HTTP {n}")), message.clone()];
    let told: Vec<String> = parts.into_iter().flatten().collect();
    if told.is_empty() { "error".to_owned() } else { told.join(", ") }
}
