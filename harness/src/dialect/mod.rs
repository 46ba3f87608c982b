//! Dialects: TOML files of rules that turn a firmware's console lines into [`DeviceEvent`](crate::timeline::DeviceEvent)s.
//!
//! A file is parsed into a raw form, then checked into a [`Dialect`] that cannot be wrong: names of events and fields
//! come from the event type's own schema. What this module must never know: clocks, boards, verdicts.

mod check;
mod convert;
mod error;
mod load;
mod raw;
mod rule;
mod shape;

pub use error::DialectError;
pub use load::{embedded, embedded_names, load, parse};
pub use raw::schema;
pub use rule::Dialect;

#[cfg(test)]
mod tests;
