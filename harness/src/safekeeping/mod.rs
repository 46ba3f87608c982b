//! Safekeeping: a board's own settings in a file from before a run first writes until they are written back.
//!
//! The file outlives whatever ends the run; `brickproof restore` writes it back then. It may hold Wi-Fi passwords: it
//! lies in the user's state folder, readable by its owner only, never in a report folder.

mod store;

pub use store::{Store, StoreError, default_folder};
