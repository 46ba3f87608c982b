//! Images: what is flashed on a board and what is served over the air, found by name in a catalogue.
//!
//! A catalogue is a TOML file beside its images. The one with the reference firmware is embedded in the program, so
//! that an installed brickproof needs no checkout; a project adds its own, whose images win where names or versions are
//! the same. A catalogue must tell the truth: every file is compared with its entry before it is used.
//!
//! What this module must never know: scenarios, verdicts, how a board is reached.

mod add;
mod application;
mod build_folder;
mod catalogue;
mod embedded;
mod entry;
mod error;
mod files;
mod layout;
mod parse;
mod patch;
mod reference;
mod store;

pub use add::{Added, add};
pub use application::{Application, read_application};
pub use catalogue::{Catalogue, Image};
pub use entry::{BootloaderCapability, Entry, Kind, RunOn, Software};
pub use error::{CatalogueError, ImageError};
pub use files::{bump, info, set_profile};
pub use layout::Layout;
pub use reference::{Built, ReferenceFile, build_all, reference_files};
pub use store::store;
