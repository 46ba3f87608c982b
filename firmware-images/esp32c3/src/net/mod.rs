//! The network: smoltcp over a card, polled, with lwIP's errors. Both cards share all of it but themselves.
//!
//! What this module must never know: HTTP, retries, what an error leads to.

mod device;
mod link;
mod stack;
mod tcp;

#[cfg(feature = "openeth")]
mod openeth;
#[cfg(feature = "wifi")]
mod wifi;

#[cfg(feature = "openeth")]
pub(crate) use openeth::{Card, Device, take_heap};
#[cfg(feature = "wifi")]
pub(crate) use wifi::{Card, Device, take_heap};

pub(crate) use link::Link;
pub(crate) use stack::Stack;
pub(crate) use tcp::Network;
