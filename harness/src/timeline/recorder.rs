//! The growing timeline: numbers events, keeps their stamps in order, and passes each on as it comes.

use std::time::Duration;

use super::{DeviceTime, Event, EventKind};
use crate::secrets::Secrets;

/// The timeline of a run while it goes.
pub struct Timeline<'s> {
    events: Vec<Event>,
    wall: Box<dyn Fn() -> u64 + 's>,
    sink: Box<dyn FnMut(&Event) + 's>,
    secrets: Secrets,
}

impl<'s> Timeline<'s> {
    /// An empty timeline. `wall` gives the wall stamp (milliseconds since 1970), `sink` hears every event.
    pub fn new(wall: impl Fn() -> u64 + 's, sink: impl FnMut(&Event) + 's) -> Self {
        Self { events: Vec::new(), wall: Box::new(wall), sink: Box::new(sink), secrets: Secrets::default() }
    }

    /// Knows what must not be shown: no event gets on the timeline with it.
    #[must_use]
    pub fn masking(mut self, secrets: Secrets) -> Self {
        self.secrets = secrets;
        self
    }

    /// Appends an event and returns its `seq`. Stamps of two sides may cross a little; the timeline never goes back.
    pub fn record(&mut self, at: Duration, device: Option<DeviceTime>, mut kind: EventKind) -> u64 {
        kind.each_text(&mut |text| self.secrets.mask_in(text));
        let seq = self.events.len() as u64;
        let at_ns = u64::try_from(at.as_nanos()).unwrap_or(u64::MAX);
        let at_ns = self.events.last().map_or(at_ns, |last| at_ns.max(last.at_ns));
        let event = Event { seq, at_ns, wall_ms: (self.wall)(), device, kind };
        (self.sink)(&event);
        self.events.push(event);
        seq
    }

    /// All events so far.
    #[must_use]
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// The events, when the run is over.
    #[must_use]
    pub fn into_events(self) -> Vec<Event> {
        self.events
    }
}

#[cfg(test)]
mod tests {
    use ota_server::event::ServerEvent;

    use super::*;
    use crate::timeline::{Action, RigEvent};

    #[test]
    fn no_event_gets_on_the_timeline_with_a_secret_in_it() {
        let secrets = Secrets::default();
        secrets.add_value("hunter2-long");
        let heard = std::cell::RefCell::new(String::new());
        let mut line =
            Timeline::new(|| 0, |event| heard.borrow_mut().push_str(&format!("{event:?}\n"))).masking(secrets);
        let text = || "of hunter2-long, at http://me:pw4711@h/?token=t4711".to_owned();
        let kinds = [
            EventKind::Action(Action::ConsoleInput { text: text() }),
            EventKind::Action(Action::Provisioned { keys: vec![("wifi/ota_url".to_owned(), text())] }),
            EventKind::Action(Action::FormSent { url: text(), fields: "ota-url".to_owned() }),
            EventKind::Action(Action::FaultsSet { faults: vec![text()] }),
            EventKind::Rig(RigEvent::Error { message: text() }),
            EventKind::Rig(RigEvent::Note { message: text() }),
            EventKind::Rig(RigEvent::Crash { line: 1, frames: vec![], stack: vec![], why_not: Some(text()) }),
            EventKind::Server(ServerEvent::PlanChanged { faults: vec![text()] }),
        ];
        let count = kinds.len();
        for kind in kinds {
            line.record(Duration::ZERO, None, kind);
        }
        for told in [heard.borrow().clone(), format!("{:?}", line.events())] {
            assert!(!told.contains("hunter2") && !told.contains("4711"), "{told}");
            assert_eq!(told.matches("of ***, at http://me:***@h/?token=***").count(), count, "{told}");
        }
    }
}
