//! What must not be shown: the rule that the OTA server shares, and what a scenario takes from the environment.
//!
//! What this module must never know: files, sockets, clocks, boards.

pub mod environment;
pub mod kept_out;

pub use ota_server::secrets::{
    Line, LineMasker, MASK, SHORTEST, SHORTEST_NUMBER, Secrets, is_harmless_parameter, is_secret_header,
    is_secret_name, parts,
};
