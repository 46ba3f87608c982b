//! What one run measured: figures and sets that two runs of the same scenario can be compared by. A pure function of a
//! timeline.

mod masked;

pub use masked::masked;

use std::collections::BTreeMap;

use ota_server::event::{Purpose, ServerEvent};
use serde::{Deserialize, Serialize};

use crate::judge::Observed;
use crate::timeline::{Action, DeviceEvent, Event, EventKind};

/// Version of the form; raised when a reader of the former could misread the new one, or a figure is measured otherwise.
pub const FORMAT: u32 = 1;

/// How delays between retries grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BackOff {
    /// Fewer than two announced delays: nothing to tell.
    Unknown,
    /// All the same.
    Constant,
    /// Each twice the one before, until a cap holds them.
    Doubling,
    /// Each longer than the one before by the same, until a cap holds them.
    Linear,
    /// None of these.
    Other,
}

impl BackOff {
    /// The word for tables.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Constant => "constant",
            Self::Doubling => "doubling",
            Self::Linear => "linear",
            Self::Other => "irregular",
        }
    }

    fn of(delays: &[u64]) -> Self {
        let near = |found: u64, wanted: u64| found.abs_diff(wanted) * 20 <= wanted;
        let longest = delays.iter().copied().max().unwrap_or(0);
        match delays {
            [] | [_] => Self::Unknown,
            [first, rest @ ..] if rest.iter().all(|delay| near(*delay, *first)) => Self::Constant,
            _ if delays
                .windows(2)
                .all(|pair| near(pair[1], pair[0] * 2) || pair[1] == longest && pair[0] * 2 >= longest) =>
            {
                Self::Doubling
            }
            // Two delays are a step, and no law yet.
            [first, second, _, ..]
                if second > first && {
                    let step = second - first;
                    delays
                        .windows(2)
                        .all(|pair| near(pair[1], pair[0] + step) || pair[1] == longest && pair[0] + step >= longest)
                } =>
            {
                Self::Linear
            }
            _ => Self::Other,
        }
    }
}

/// What one run measured. Times are milliseconds on the run's clock.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Metrics {
    /// [`FORMAT`].
    pub format: u32,
    /// How long the run was observed, on its own clock (virtual where time was warped).
    pub duration_ms: u64,
    /// Retries that were announced.
    pub retries: u64,
    /// Delays as announced, in order.
    pub delays_ms: Vec<u64>,
    /// How they grow.
    pub back_off: BackOff,
    /// From the first fault that the server did to the first error that the device told after it.
    pub notice_ms: Option<u64>,
    /// From the moment at which nothing was wrong any more to the first success after it; see [`Recovery`].
    pub recovery: Recovery,
    /// Bytes per second of the fastest whole download, by the server's stamps.
    pub throughput: Option<u64>,
    /// Connections that the server took.
    pub connections: u64,
    /// Lowest free heap that the firmware told, in bytes.
    pub free_heap: Option<u64>,
    /// Error lines of the console, masked, with how often each came.
    pub errors: BTreeMap<String, u64>,
    /// Reasons of resets that the harness did not do, with how often each came.
    pub resets: BTreeMap<String, u64>,
}

/// How long it took to recover.
///
/// It begins with the last cure after the first failure: faults taken away, configuration written, power or access point given
/// back. Where nothing was cured, the device had to help itself, and it begins with the first failure. It ends with the first
/// success after that: an answer to the version check, an update written, an image confirmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Recovery {
    /// Nothing failed.
    NotNeeded,
    /// It took so long, in milliseconds.
    After(u64),
    /// There was no success until observation ended.
    Never,
}

impl Metrics {
    /// Reads them off a timeline, up to the end of its observation.
    #[must_use]
    pub fn of(events: &[Event]) -> Self {
        let end = Observed::of(events).end_ns;
        let events = || events.iter().filter(|event| event.at_ns <= end);
        let device = || {
            events().filter_map(|event| match &event.kind {
                EventKind::Device { event, .. } => Some(event),
                _ => None,
            })
        };
        let announced: Vec<Option<u64>> = device()
            .filter_map(|event| match event {
                DeviceEvent::RetryScheduled { delay_ms, .. } => Some(*delay_ms),
                _ => None,
            })
            .collect();
        let delays_ms: Vec<u64> = announced.iter().copied().flatten().collect();
        let is_server =
            |event: &Event, wanted: fn(&ServerEvent) -> bool| matches!(&event.kind, EventKind::Server(e) if wanted(e));
        let fault = events().find(|event| is_server(event, |e| matches!(e, ServerEvent::FaultFired { .. })));
        let notice_ms = fault.and_then(|fault| {
            let noticed = events().find(|event| event.seq > fault.seq && failed(event))?;
            Some(noticed.at_ns.saturating_sub(fault.at_ns) / 1_000_000)
        });
        let mut errors = BTreeMap::new();
        let mut resets = BTreeMap::new();
        let mut own_reset = true;
        for event in events() {
            match &event.kind {
                EventKind::Console(line) if line.level == Some('E') => {
                    *errors.entry(masked(line.message.as_deref().unwrap_or(&line.text))).or_insert(0) += 1;
                }
                EventKind::Action(Action::Reset | Action::PowerOn) => own_reset = true,
                EventKind::Device { event: DeviceEvent::Reset { reason, .. }, .. }
                    if !std::mem::take(&mut own_reset) =>
                {
                    *resets.entry(reason.clone()).or_insert(0) += 1;
                }
                _ => {}
            }
        }
        let first = events().map(|event| event.at_ns).min().unwrap_or(0);
        let last = events().map(|event| event.at_ns).max().unwrap_or(0);
        Self {
            format: FORMAT,
            duration_ms: (last - first) / 1_000_000,
            retries: announced.len() as u64,
            back_off: BackOff::of(&delays_ms),
            delays_ms,
            notice_ms,
            recovery: recovery(events),
            throughput: throughput(events),
            connections: events()
                .filter(|event| is_server(event, |e| matches!(e, ServerEvent::Accepted { .. })))
                .count() as u64,
            free_heap: device()
                .filter_map(|event| match event {
                    DeviceEvent::Resources { free_heap, .. } => *free_heap,
                    _ => None,
                })
                .min(),
            errors,
            resets,
        }
    }
}

fn failed(event: &Event) -> bool {
    matches!(
        &event.kind,
        EventKind::Device {
            event: DeviceEvent::Error { .. }
                | DeviceEvent::AttemptFailed { .. }
                | DeviceEvent::RetryScheduled { .. }
                | DeviceEvent::UpgradeFailed { .. },
            ..
        }
    )
}

fn recovery<'e, I: Iterator<Item = &'e Event>>(events: impl Fn() -> I) -> Recovery {
    let Some(failure) = events().find(|event| failed(event)) else { return Recovery::NotNeeded };
    let cured = |event: &&Event| match &event.kind {
        EventKind::Action(Action::FaultsSet { faults }) => faults.is_empty(),
        EventKind::Action(Action::Provisioned { .. } | Action::PowerOn | Action::WifiOn) => true,
        _ => false,
    };
    let from = events().filter(|event| event.seq > failure.seq).filter(cured).last().unwrap_or(failure);
    let succeeded = |event: &&Event| {
        matches!(
            &event.kind,
            EventKind::Device {
                event: DeviceEvent::UpToDate { .. }
                    | DeviceEvent::UpdateAvailable { .. }
                    | DeviceEvent::UpgradeSuccessful
                    | DeviceEvent::MarkedValid,
                ..
            }
        )
    };
    match events().filter(|event| event.seq > from.seq).find(succeeded) {
        Some(success) => Recovery::After(success.at_ns.saturating_sub(from.at_ns) / 1_000_000),
        None => Recovery::Never,
    }
}

fn throughput<'e, I: Iterator<Item = &'e Event>>(events: impl Fn() -> I) -> Option<u64> {
    let mut fastest = None;
    let mut asked: BTreeMap<(u64, u64), u64> = BTreeMap::new();
    for event in events() {
        match &event.kind {
            EventKind::Server(ServerEvent::Request { connection, request, purpose: Purpose::Download, .. }) => {
                asked.insert((*connection, *request), event.at_ns);
            }
            EventKind::Server(ServerEvent::Response { connection, request, announced: Some(all), sent, .. })
                if all == sent =>
            {
                let Some(from) = asked.remove(&(*connection, *request)) else { continue };
                let took = event.at_ns.saturating_sub(from).max(1);
                fastest = fastest.max(u64::try_from(u128::from(*sent) * 1_000_000_000 / u128::from(took)).ok());
            }
            _ => {}
        }
    }
    fastest
}

#[cfg(test)]
mod tests;
