//! The report as one self-contained page for the morning after: what failed, since when, why; then, for each scenario, its
//! timeline, console, charts and source.
//!
//! All that must be known stands in the page without its script: verdicts, reasons, causes, deciding lines, charts. The
//! script draws the timelines and consoles out of data that stands beside them. Everything from the console is untrusted:
//! escaped by the template engine or by `untrusted.rs`, shown by the script as text nodes, and the page's own
//! Content-Security-Policy lets no other script run.

mod charts;
mod data;
mod device;
mod over_time;
mod overview;
mod page;
mod section;
mod svg;
mod untrusted;

pub use data::Evidence;
pub use over_time::over_history;
pub use page::{PageError, write};
pub use untrusted::{excerpt, visible};
