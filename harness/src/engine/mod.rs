//! The engine: drives a scenario over a rig and puts everything that happens on the timeline.
//!
//! It takes part in the run's clock: a wait ends only when nothing that came before its limit is left unread.
//!
//! What this module must never know: how boards are reached, how faults are made, what verdicts follow.

mod rig;
mod talk;

pub use rig::{Incoming, Rig, RigError};
pub use talk::{Order, Talk};

use std::time::Duration;

use crate::console::ConsoleReader;
use crate::judge::{self, Facts, Matcher};
use crate::scenario::model::{Scenario, Step, StepAction};
use crate::symbols::CrashWatch;
use crate::timeline::{Action, DeviceEvent, DeviceTime, Event, EventKind, RigEvent, Timeline, WaitOutcome};
use crate::verdict::Status;

/// A run of more events than this has run away.
const MAX_EVENTS: usize = 400_000;
/// Clocks that drift apart by more than this are a finding.
const DRIFT_PER_MILLE: i64 = 20;
/// Drift is measured over boots of at least this length: shorter ones tell nothing.
const DRIFT_OVER_MS: u64 = 30_000;
/// An expectation whose window has not begun when the steps are done is waited for at most this long.
const LATE_WINDOW: Duration = Duration::from_secs(600);

/// A line that stands unfinished for this long is taken as it is: a prompt, or what a hang left. A UART sends a byte in
/// under 0.1 ms at 115200 baud, and USB bridges hold bytes back for some 16 ms at most (FTDI's latency timer).
const QUIET: Duration = Duration::from_secs(1);

/// Looks at a halted processor: one tells where it is, several whether it stays there.
const LOOKS: usize = 3;
/// Time between two looks: much longer than a scheduler's tick (10 ms in ESP-IDF), much shorter than anything waits for.
const BETWEEN_LOOKS: Duration = Duration::from_millis(100);
/// A device that fails, and says nothing for this long, is looked at where it can be. The firmware
/// that this began with speaks every 10 s, whatever it does.
const SILENCE: Duration = Duration::from_secs(10);

/// Runs a scenario to its end. Whatever goes wrong with the rig is on the timeline afterwards, as is the end.
pub async fn run(
    scenario: &Scenario,
    facts: &Facts,
    rig: &mut dyn Rig,
    reader: ConsoleReader,
    timeline: &mut Timeline<'_>,
    started: Action,
) {
    run_at_most(MAX_EVENTS, scenario, facts, rig, reader, timeline, started).await;
}

async fn run_at_most(
    max_events: usize,
    scenario: &Scenario,
    facts: &Facts,
    rig: &mut dyn Rig,
    reader: ConsoleReader,
    timeline: &mut Timeline<'_>,
    started: Action,
) {
    let mut engine = Engine {
        max_events,
        scenario,
        facts,
        rig,
        reader,
        heard: Duration::ZERO,
        crashes: CrashWatch::default(),
        timeline,
    };
    engine.timeline.record(engine.rig.now(), None, EventKind::Action(started));
    let ended = engine.drive().await;
    let whole = ended.is_ok();
    if let Err(stop) = ended {
        match stop {
            Stop::Rig(error) => engine.tell_rig(RigEvent::Error { message: error.to_string() }),
            Stop::Runaway(event) => engine.tell_rig(event),
        }
    }
    engine.end(whole).await;
}

/// Why a run stops early.
enum Stop {
    Rig(RigError),
    Runaway(RigEvent),
}

impl From<RigError> for Stop {
    fn from(error: RigError) -> Self {
        Self::Rig(error)
    }
}

/// A run that had to be ended: by the device where it made most of the events.
#[must_use]
pub fn runaway(events: &[Event], message: String) -> RigEvent {
    let by_device = |e: &&Event| matches!(e.kind, EventKind::Console(_) | EventKind::Device { .. });
    let device = events.iter().filter(by_device).count() * 2 > events.len();
    RigEvent::Runaway { device, message }
}

struct Engine<'e, 's> {
    max_events: usize,
    scenario: &'e Scenario,
    facts: &'e Facts,
    rig: &'e mut dyn Rig,
    reader: ConsoleReader,
    /// When the console last said something.
    heard: Duration,
    crashes: CrashWatch,
    timeline: &'e mut Timeline<'s>,
}

impl Engine<'_, '_> {
    async fn drive(&mut self) -> Result<(), Stop> {
        let actions = self.rig.start(self.scenario).await?;
        self.tell_actions(actions);
        if let Some(talk) = self.rig.talk(&self.scenario.provision, true)? {
            self.talk(&talk, 0).await?;
        }
        for (index, step) in self.scenario.steps.iter().enumerate() {
            self.step(index, step).await?;
        }
        self.observe().await?;
        Ok(self.rig.alive().await?)
    }

    async fn step(&mut self, index: usize, step: &Step) -> Result<(), Stop> {
        let begun = self.rig.now();
        let action = Action::StepStarted { step: index, name: step.name.clone() };
        let mut seen = self.timeline.record(begun, None, EventKind::Action(action)) + 1;
        for action in &step.actions {
            if let StepAction::Wait(time) = action {
                let until = self.rig.now() + *time;
                while self.take(until).await? {}
            } else if matches!(action, StepAction::Inspect) {
                self.inspect().await;
            } else if let StepAction::Provision(keys) = action
                && let Some(talk) = self.rig.talk(keys, false)?
            {
                let now = self.timeline.events().len() as u64;
                self.talk(&talk, now).await?;
            } else {
                let actions = self.rig.act(action).await?;
                self.tell_actions(actions);
            }
        }
        let Some(wait) = &step.until else { return Ok(()) };
        let mut matcher = Matcher::new(wait.pattern.clone(), wait.count);
        let limit = begun + wait.within;
        let outcome = loop {
            let met =
                self.timeline.events()[usize::try_from(seen).unwrap_or(usize::MAX)..].iter().any(|e| matcher.feed(e));
            seen = self.timeline.events().len() as u64;
            if met {
                break WaitOutcome::Met;
            }
            if !self.take(limit).await? {
                break WaitOutcome::TimedOut;
            }
        };
        self.timeline.record(self.rig.now(), None, EventKind::Wait { step: index, outcome });
        Ok(())
    }

    /// Watches until no further event could change any verdict.
    async fn observe(&mut self) -> Result<(), Stop> {
        let begun = self.rig.now();
        loop {
            let now = nanos(self.rig.now());
            if judge::is_settled(self.scenario, self.timeline.events(), self.facts, now) {
                return Ok(());
            }
            let late = nanos(begun + LATE_WINDOW.min(self.scenario.device_time));
            let end = judge::horizon(self.scenario, self.timeline.events()).filter(|end| *end > now).unwrap_or(late);
            if now >= end || !self.take(Duration::from_nanos(end)).await? && now >= late {
                return Ok(());
            }
        }
    }

    /// Takes the next thing that comes, or lets the limit pass. True when something came.
    async fn take(&mut self, limit: Duration) -> Result<bool, Stop> {
        let unfinished = self.reader.has_partial().then(|| self.heard + QUIET).filter(|quiet| *quiet < limit);
        let left = unfinished.unwrap_or(limit).saturating_sub(self.rig.now());
        let incoming = tokio::select! {
            biased;
            incoming = self.rig.next() => incoming?,
            () = tokio::time::sleep(left) => {
                if unfinished.is_some() {
                    self.take_unfinished();
                }
                return Ok(unfinished.is_some());
            }
        };
        self.tell(incoming);
        if self.timeline.events().len() > self.max_events {
            let message = format!("more than {} events: the run was ended", self.max_events);
            return Err(Stop::Runaway(runaway(self.timeline.events(), message)));
        }
        Ok(true)
    }

    fn tell(&mut self, incoming: Incoming) {
        match incoming {
            Incoming::Console { at, bytes } => {
                self.heard = at;
                for read in self.reader.feed(&bytes) {
                    self.tell_line(at, read);
                }
            }
            Incoming::Gap { at, message } => {
                self.take_unfinished();
                self.timeline.record(at, None, EventKind::Rig(RigEvent::Note { message }));
            }
            Incoming::Server { at, event } => {
                self.timeline.record(at, None, EventKind::Server(event));
            }
            Incoming::Rig { at, event } => {
                self.timeline.record(at, None, EventKind::Rig(event));
            }
        }
    }

    fn take_unfinished(&mut self) {
        let at = self.rig.now();
        for read in self.reader.flush() {
            self.tell_line(at, read);
        }
    }

    fn tell_line(&mut self, at: Duration, (line, device, events): crate::console::ReadLine) {
        let line = self.timeline.record(at, device, EventKind::Console(line));
        for event in events {
            let crash = self.crashes.feed(line, &event);
            self.timeline.record(at, device, EventKind::Device { line, event });
            if let Some(decoded) = crash.and_then(|crash| self.rig.decode(&crash)) {
                self.tell_rig(decoded);
            }
        }
    }

    fn tell_actions(&mut self, actions: Vec<Action>) {
        for action in actions {
            self.timeline.record(self.rig.now(), None, EventKind::Action(action));
        }
    }

    fn tell_rig(&mut self, event: RigEvent) {
        self.timeline.record(self.rig.now(), None, EventKind::Rig(event));
    }

    fn fails(&self) -> bool {
        judge::judge(self.scenario, self.timeline.events(), self.facts).status == Status::Fail
    }

    /// Looks at the processor. A probe that fails says nothing of the firmware.
    async fn inspect(&mut self) {
        let version = running_version(self.timeline.events()).map(str::to_owned);
        let mut looks = Vec::new();
        for look in 0..LOOKS {
            if look > 0 {
                tokio::time::sleep(BETWEEN_LOOKS).await;
            }
            match self.rig.inspect(version.as_deref()).await {
                Ok(cores) => looks.push(cores),
                Err(why) => {
                    self.tell_rig(RigEvent::Note { message: format!("the processor could not be looked at: {why}") });
                    return;
                }
            }
        }
        self.tell_actions(vec![Action::Inspected { looks }]);
    }

    async fn end(&mut self, whole: bool) {
        let at = self.rig.now();
        self.take_unfinished();
        if let Some(per_mille) = drift(self.timeline.events()) {
            self.tell_rig(RigEvent::ClockDrift { per_mille });
        }
        self.timeline.record(at, None, EventKind::Action(Action::RunEnded));
        // Not before the end: a probe that attaches switches watchdogs off, and one of them might have saved the device.
        if whole && at.saturating_sub(self.heard) >= SILENCE && self.rig.can_inspect() && self.fails() {
            self.inspect().await;
        }
        let panicked = |e: &Event| matches!(e.kind, EventKind::Device { event: DeviceEvent::Panic { .. }, .. });
        if self.timeline.events().iter().any(panicked) {
            match self.rig.after_crash().await {
                Ok(None) => {}
                Ok(Some(message)) => self.tell_rig(RigEvent::Note { message }),
                Err(why) => self.tell_rig(RigEvent::Note { message: format!("no core dump could be fetched: {why}") }),
            }
        }
        for event in self.rig.stop().await {
            self.tell(event);
        }
    }
}

/// The version that runs, where the device has said so since it was last reset: before that it may be another.
fn running_version(events: &[Event]) -> Option<&str> {
    let last = events.iter().rev().find_map(|event| match &event.kind {
        EventKind::Device { event: DeviceEvent::AppStarted { version }, .. } => Some(Some(version.as_str())),
        EventKind::Device {
            event:
                DeviceEvent::Reset { .. }
                | DeviceEvent::SlotLoaded { .. }
                | DeviceEvent::Restarting
                | DeviceEvent::Panic { .. }
                | DeviceEvent::RolledBack,
            ..
        }
        | EventKind::Action(Action::Reset | Action::PowerOn | Action::PowerOff) => Some(None),
        _ => None,
    });
    last.flatten()
}

/// How far the device's clock is off against the run's, in per mille, where that is worth telling.
fn drift(events: &[Event]) -> Option<i64> {
    let mut boot: Option<(DeviceTime, u64)> = None;
    let mut worst = None;
    for event in events {
        let Some(device) = event.device else { continue };
        match boot {
            Some((first, at_ns)) if first.boot == device.boot => {
                let by_device = device.ms.saturating_sub(first.ms);
                let by_host = event.at_ns.saturating_sub(at_ns) / 1_000_000;
                if by_host >= DRIFT_OVER_MS {
                    let (by_device, by_host) = (i64::try_from(by_device).ok()?, i64::try_from(by_host).ok()?);
                    worst = Some((by_device - by_host) * 1000 / by_host);
                }
            }
            _ => boot = Some((device, event.at_ns)),
        }
    }
    worst.filter(|per_mille| per_mille.abs() > DRIFT_PER_MILLE)
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
