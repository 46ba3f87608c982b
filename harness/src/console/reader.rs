//! Splitter, clock and dialect as one incremental thing.

use std::sync::Arc;

use crate::dialect::Dialect;
use crate::timeline::{ConsoleLine, DeviceEvent, DeviceTime};

use super::{DeviceClock, LineSplitter, SplitLine};

/// A line, its device time if it carries a stamp, and what the dialect reads out of it.
pub type ReadLine = (ConsoleLine, Option<DeviceTime>, Vec<DeviceEvent>);

/// Reads a console as it comes, in any pieces; used live and on captures alike.
///
/// Events come with the whole line only. Whoever reads live calls [`flush`](Self::flush) when a line has stood unfinished
/// for longer than the device would take to print its rest, so that a prompt or a line cut by a hang is seen too.
#[derive(Debug)]
pub struct ConsoleReader {
    splitter: LineSplitter,
    clock: DeviceClock,
    dialect: Arc<Dialect>,
}

impl ConsoleReader {
    /// A reader at the begin of a console.
    #[must_use]
    pub fn new(dialect: Arc<Dialect>) -> Self {
        Self { splitter: LineSplitter::new(), clock: DeviceClock::new(), dialect }
    }

    /// Takes bytes, returns the lines that they complete.
    pub fn feed(&mut self, bytes: &[u8]) -> Vec<ReadLine> {
        let lines = self.splitter.feed(bytes);
        self.read(lines)
    }

    /// The text of the line that has not ended yet, if there is any.
    #[must_use]
    pub fn partial(&self) -> Option<String> {
        self.splitter.partial()
    }

    /// Gives out the unfinished line, marked cut; the reader goes on, and what follows counts as a line of its own.
    pub fn flush(&mut self) -> Vec<ReadLine> {
        let lines = self.splitter.flush();
        self.read(lines)
    }

    /// The console ended: what is left, marked cut.
    pub fn finish(mut self) -> Vec<ReadLine> {
        self.flush()
    }

    /// Which boot the console is in: 0 before the first reset seen.
    #[must_use]
    pub fn boot(&self) -> u32 {
        self.clock.boot()
    }

    fn read(&mut self, lines: Vec<SplitLine>) -> Vec<ReadLine> {
        lines
            .into_iter()
            .map(|SplitLine { line, stamp }| {
                let at = self.clock.see(&line.text, stamp);
                let events = self.dialect.read(&line);
                (line, at, events)
            })
            .collect()
    }
}
