//! From facts to likely causes: what went wrong, how sure that is, what to do, and the lines that say so.
//!
//! Pure rules, used on captured logs and on failing runs alike. What this module must never know: verdicts, clocks,
//! I/O. A cause is a hint for people and changes no verdict.

mod answer;
mod attempt;
mod cause;
mod connect;
mod device;
mod facts;
mod tls;
mod tried;

use url::Url;

use crate::timeline::{ConsoleLine, DeviceEvent, DeviceTime, Event, EventKind, RigEvent};

pub(crate) use tried::names_port;

pub use cause::{Cause, CauseKind, Confidence, Evidence};

use facts::Facts;

/// Likely causes of what a timeline shows, the surest first. `server` is the OTA server's URL as the device should
/// have it, where that is known.
#[must_use]
pub fn diagnose<'e>(events: impl IntoIterator<Item = &'e Event>, server: Option<&Url>) -> Vec<Cause> {
    let mut diagnoser = Diagnoser::new(server.cloned());
    for event in events {
        diagnoser.see(event);
    }
    diagnoser.finish()
}

/// Gathers the facts of a timeline event by event, in bounded memory.
#[derive(Debug)]
pub struct Diagnoser {
    facts: Facts,
}

impl Diagnoser {
    /// A diagnoser before the first event. `server`: the OTA server's URL as the device should have it, where known.
    #[must_use]
    pub fn new(server: Option<Url>) -> Self {
        Self { facts: Facts::new(server) }
    }

    /// Takes the next event of a timeline.
    pub fn see(&mut self, event: &Event) {
        match &event.kind {
            EventKind::Console(line) => self.see_line(event.seq, line, event.device),
            EventKind::Device { line, event } => self.see_device(*line, event),
            EventKind::Server(server) => self.facts.server(event.seq, server),
            EventKind::Action(action) => self.facts.action(event.seq, action),
            EventKind::Rig(RigEvent::Crash { frames, .. }) => self.facts.crash(frames),
            EventKind::Wait { .. } | EventKind::Rig(_) => {}
        }
    }

    /// Takes a console line; `seq` is how its evidence is named (a timeline's `seq`, or a line number).
    pub fn see_line(&mut self, seq: u64, line: &ConsoleLine, at: Option<DeviceTime>) {
        self.facts.line(seq, line, at);
    }

    /// Takes what a dialect read out of the line `seq`, which must have been seen before.
    pub fn see_device(&mut self, seq: u64, event: &DeviceEvent) {
        self.facts.device(seq, event);
    }

    /// The likely causes, the surest first.
    #[must_use]
    pub fn finish(self) -> Vec<Cause> {
        self.conclude().causes
    }

    /// The likely causes, and what they are not drawn from.
    #[must_use]
    pub fn conclude(mut self) -> Conclusion {
        self.facts.close();
        let mut causes = connect::causes(&self.facts);
        causes.extend(answer::causes(&self.facts));
        causes.extend(device::causes(&self.facts));
        for cause in &mut causes {
            cause.resolved = self.facts.success.clone().filter(|success| {
                cause.kind.ends_with_success() && cause.evidence.iter().all(|evidence| evidence.seq < success.seq)
            });
        }
        // Stable: within one confidence the rules' order stands, unresolved causes before resolved ones.
        causes.sort_by_key(|cause| (cause.resolved.is_some(), cause.confidence));
        Conclusion { causes, left_out: self.facts.left_out }
    }
}

/// What a diagnosis comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conclusion {
    /// Likely causes, the surest first.
    pub causes: Vec<Cause>,
    /// Failures and crashes that there was no room to tell from others: each of a further way, URL or reason.
    pub left_out: u64,
}

#[cfg(test)]
mod tests;
