//! The timeline: the one ordered, append-only list of stamped events that is a run's only evidence.
//!
//! What this module must never know: how evidence is judged or shown.

mod describe;
mod device_event;
mod event;
mod frame;
mod halted;
mod recorder;
mod texts;

pub use describe::{Side, describe, time_words};
pub use device_event::{DeviceEvent, RefusedBecause};
pub use event::{Action, ConsoleLine, DeviceTime, Event, EventKind, RigEvent, WaitOutcome};
pub use frame::Frame;
pub use halted::{Halted, Standing, standing};
pub use recorder::Timeline;
