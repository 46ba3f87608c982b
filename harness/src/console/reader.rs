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
    secrets: Vec<String>,
}

/// What stands in place of a secret.
pub const MASK: &str = "***";

impl ConsoleReader {
    /// A reader at the begin of a console.
    #[must_use]
    pub fn new(dialect: Arc<Dialect>) -> Self {
        Self { splitter: LineSplitter::new(), clock: DeviceClock::new(), dialect, secrets: Vec::new() }
    }

    /// Masks these texts wherever a line shows them, before anything else reads the line.
    #[must_use]
    pub fn masking(mut self, secrets: Vec<String>) -> Self {
        self.secrets = secrets.into_iter().filter(|s| !s.is_empty()).collect();
        // The longest first: one may be part of another.
        self.secrets.sort_by_key(|s| std::cmp::Reverse(s.len()));
        self
    }

    /// Takes bytes, returns the lines that they complete.
    pub fn feed(&mut self, bytes: &[u8]) -> Vec<ReadLine> {
        let mut lines = Vec::new();
        self.feed_each(bytes, |line| lines.push(line));
        lines
    }

    /// Takes bytes, gives each line that they complete as soon as it is read: of many bytes at once, no list is made.
    pub fn feed_each(&mut self, bytes: &[u8], mut each: impl FnMut(ReadLine)) {
        let Self { splitter, clock, dialect, secrets } = self;
        splitter.feed_each(bytes, &mut |line| each(read(line, clock, dialect, secrets)));
    }

    /// The text of the line that has not ended yet, if there is any.
    #[must_use]
    pub fn partial(&self) -> Option<String> {
        self.splitter.partial()
    }

    /// True when a line has begun and not ended yet.
    #[must_use]
    pub fn has_partial(&self) -> bool {
        self.splitter.has_partial()
    }

    /// Gives out the unfinished line, marked cut; the reader goes on, and what follows counts as a line of its own.
    pub fn flush(&mut self) -> Vec<ReadLine> {
        let Self { splitter, clock, dialect, secrets } = self;
        splitter.flush().into_iter().map(|line| read(line, clock, dialect, secrets)).collect()
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
}

fn read(split: SplitLine, clock: &mut DeviceClock, dialect: &Dialect, secrets: &[String]) -> ReadLine {
    let SplitLine { mut line, stamp } = split;
    secrets.iter().for_each(|secret| mask(&mut line, secret));
    let at = clock.see(&line.text, stamp);
    let events = dialect.read(&line);
    (line, at, events)
}

fn mask(line: &mut ConsoleLine, secret: &str) {
    if !line.text.contains(secret) {
        return;
    }
    for text in [Some(&mut line.text), line.tag.as_mut(), line.message.as_mut()].into_iter().flatten() {
        *text = text.replace(secret, MASK);
    }
    // The raw bytes would tell it.
    line.raw = None;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_masked_before_anything_reads_the_line() {
        let dialect = Arc::new(crate::dialect::embedded("xiaozhi").expect("dialect"));
        let mut reader = ConsoleReader::new(dialect).masking(vec!["hunter2".to_owned(), "hunter2-long".to_owned()]);
        let mut lines = reader.feed(b"I (10) wifi: join net, password hunt");
        lines.extend(reader.feed(b"er2-long\r\n\x01hunter2 again\r\n"));
        let told = format!("{lines:?}");
        assert!(!told.contains("hunter2") && !told.contains(&hex::encode("hunter2")), "{told}");
        assert_eq!(lines[0].0.message.as_deref(), Some("join net, password ***"));
        assert_eq!(lines[1].0.text, "\u{fffd}*** again");
    }
}
