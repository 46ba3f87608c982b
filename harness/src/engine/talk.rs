//! Talking to a device that runs: what it is told on its console or by its configuration page.

use std::time::Duration;

use super::{Engine, RigError, Stop};
use crate::judge::Matcher;
use crate::scenario::model::Pattern;
use crate::timeline::Event;

/// What a device is told, and the console lines around it.
#[derive(Clone, Debug)]
pub struct Talk {
    /// The line that says that it listens.
    pub ready: Option<Pattern>,
    /// What it is told, in order.
    pub orders: Vec<Order>,
    /// The line that says that it has understood.
    pub done: Option<Pattern>,
    /// How long each line is waited for.
    pub within: Duration,
}

/// Something that a device is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// A line on its console.
    Type {
        /// The line, without its end.
        text: String,
        /// The same, without secrets.
        shown: String,
    },
    /// A form on its configuration page.
    Post {
        /// Where to.
        url: String,
        /// Its `Content-Type`.
        content_type: &'static str,
        /// Its body.
        body: String,
        /// Names of its fields.
        shown: String,
    },
}

impl Engine<'_, '_> {
    /// Tells a device what it must know. One that does not listen, or does not confirm, cannot be provisioned: no verdict on
    /// its updates is possible then.
    pub(super) async fn talk(&mut self, talk: &Talk, from: u64) -> Result<(), Stop> {
        self.line(talk.ready.as_ref(), from, talk.within, "says that it can be provisioned").await?;
        let from = self.timeline.events().len() as u64;
        for order in &talk.orders {
            let action = self.rig.order(order).await?;
            self.tell_actions(vec![action]);
        }
        self.line(talk.done.as_ref(), from, talk.within, "confirms what it was told").await
    }

    async fn line(&mut self, wanted: Option<&Pattern>, from: u64, within: Duration, what: &str) -> Result<(), Stop> {
        let Some(pattern) = wanted else { return Ok(()) };
        let mut matcher = Matcher::new(pattern.clone(), 1);
        let limit = self.rig.now() + within;
        let mut seen = usize::try_from(from).unwrap_or(usize::MAX);
        loop {
            let new: &[Event] = self.timeline.events().get(seen..).unwrap_or_default();
            if new.iter().any(|event| matcher.feed(event)) {
                return Ok(());
            }
            seen = self.timeline.events().len();
            if !self.take(limit).await? {
                return Err(Stop::Rig(RigError(format!(
                    "the device was to be provisioned, and its console showed no line that {what} within {within:?} ({}); \
                     see [provision] in the firmware file",
                    match pattern {
                        Pattern::Console(regex) => regex.as_str(),
                        _ => "an event",
                    }
                ))));
            }
        }
    }
}
