//! Scenarios: the checked form, and how TOML becomes it.
//!
//! What this module must never know: boards, sockets, clocks.

pub mod model;
