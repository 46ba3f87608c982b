//! The history of runs: a row for each run of a scenario on a board, in SQLite or PostgreSQL, and what the rows tell over time.
//!
//! What this module must never know: boards, servers, terminals, how runs are made.

mod entry;
mod error;
mod place;
mod row;
mod store;
pub mod text;
mod trend;

pub use entry::{Entry, Identity};
pub use error::HistoryError;
pub use place::Place;
pub use store::{Access, Filter, Stamp, Store};
pub use trend::{FlakeRate, Run, Trend, trends};
