#![no_std]
//! The reference OTA firmware: a voice assistant's update behaviour, all of it, behind hardware traits.
//!
//! The virtual board runs this crate compiled for the host; a board support crate for a chip runs the very same code.
//! What it does and prints follows public firmware of the xiaozhi family; each decision that a defect could flip stands
//! in [`profile::Profile`], which is chosen at run time by the profile record inside the image.
//!
//! What this crate must never know: the host, tests, whether its clock is warped.

pub mod agent;
pub mod answer;
pub mod defect;
pub mod error;
pub mod http;
pub mod identity;
pub mod parameters;
pub mod platform;
pub mod profile;
pub mod slots;
pub mod socket;
pub mod task_watchdog;
pub mod url;
pub mod version;

mod check;
mod download;
mod log;
mod note;
mod own_rollback;
mod resume;
mod wait;

pub use agent::{App, run};
