//! The serial console: bytes to lines, lines to device time and device events.
//!
//! Pure and incremental: whoever has the bytes feeds them in any pieces. What this module must never know: boards,
//! clocks of the host, scenarios.

mod clock;
mod header;
mod reader;
mod split;

pub use clock::DeviceClock;
pub use header::{Header, Stamp};
pub use reader::{ConsoleReader, ReadLine};
pub use split::{LineSplitter, MAX_LINE, SplitLine};
