//! brickproof: hardware-in-the-loop tests of ESP32 over-the-air updates.
//!
//! Everything that happens in a run is an event on one [`timeline`]; the [`judge`] is a pure function of a
//! [`scenario`] and a timeline; [`report`]s are made from timelines and verdicts alone. ARCHITECTURE.md is the map.

pub mod analyze;
pub mod board;
pub mod cli;
pub mod compare;
pub mod compressed;
pub mod console;
pub mod dashboard;
pub mod date;
pub mod diagnose;
pub mod dialect;
pub mod doctor;
pub mod engine;
pub mod esp_err;
pub mod firmware_file;
pub mod history;
pub mod image;
pub mod judge;
pub mod labgrid;
pub mod lease;
pub mod matrix;
pub mod metrics;
pub mod mutant;
pub mod problem;
pub mod recording;
pub mod report;
pub mod reset_reason;
pub mod rig;
pub mod run;
pub mod safekeeping;
pub mod scenario;
pub mod secrets;
pub mod settings;
pub mod sweep;
pub mod symbols;
pub mod timeline;
pub mod verdict;
