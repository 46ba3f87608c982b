//! Splitter, clock and dialect as one incremental thing.

use std::sync::Arc;

use crate::dialect::Dialect;
use crate::secrets::Secrets;
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

    /// Masks these wherever a line shows them, before anything else reads the line.
    #[must_use]
    pub fn masking(mut self, secrets: Secrets) -> Self {
        self.splitter = self.splitter.masking(secrets);
        self
    }

    /// What reads its lines.
    #[must_use]
    pub fn dialect(&self) -> &Dialect {
        &self.dialect
    }

    /// Takes bytes, returns the lines that they complete.
    pub fn feed(&mut self, bytes: &[u8]) -> Vec<ReadLine> {
        let mut lines = Vec::new();
        self.feed_each(bytes, |line| lines.push(line));
        lines
    }

    /// Takes bytes, gives each line that they complete as soon as it is read: of many bytes at once, no list is made.
    pub fn feed_each(&mut self, bytes: &[u8], mut each: impl FnMut(ReadLine)) {
        let Self { splitter, clock, dialect } = self;
        splitter.feed_each(bytes, &mut |line| each(read(line, clock, dialect)));
    }

    /// True when a line has begun and not ended yet.
    #[must_use]
    pub fn has_partial(&self) -> bool {
        self.splitter.has_partial()
    }

    /// Gives out the unfinished line, marked cut; the reader goes on, and what follows counts as a line of its own.
    pub fn flush(&mut self) -> Vec<ReadLine> {
        let Self { splitter, clock, dialect } = self;
        splitter.flush().into_iter().map(|line| read(line, clock, dialect)).collect()
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

fn read(split: SplitLine, clock: &mut DeviceClock, dialect: &Dialect) -> ReadLine {
    let SplitLine { line, stamp } = split;
    let at = clock.see(&line.text, stamp);
    let events = dialect.read(&line);
    (line, at, events)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Its rules take longer to compile than a thousand lines to read.
    static DIALECT: std::sync::LazyLock<Arc<Dialect>> =
        std::sync::LazyLock::new(|| Arc::new(crate::dialect::embedded("xiaozhi").expect("dialect")));

    fn reader(secrets: &[&str]) -> ConsoleReader {
        let known = Secrets::default();
        secrets.iter().for_each(|secret| known.add_value(secret));
        ConsoleReader::new(Arc::clone(&DIALECT)).masking(known)
    }

    fn texts(lines: &[ReadLine]) -> Vec<&str> {
        lines.iter().map(|(line, ..)| line.text.as_str()).collect()
    }

    #[test]
    fn secrets_are_masked_before_anything_reads_the_line() {
        let mut reader = reader(&["hunter2", "hunter2-long"]);
        let mut lines = reader.feed(b"I (10) wifi: join net, password hunt");
        lines.extend(reader.feed(b"er2-long\r\n\x01hunter2 again\r\nhun\x1b[0;31mter2\r\n"));
        let told = format!("{lines:?}");
        assert!(!told.contains("hunter2") && !told.contains(&hex::encode("hunter2")), "{told}");
        assert_eq!(lines[0].0.message.as_deref(), Some("join net, password ***"));
        assert_eq!(lines[1].0.text, "\u{fffd}*** again");
        assert_eq!(
            lines[1].0.raw.as_deref(),
            Some(hex::encode("\x01*** again").as_str()),
            "the rest of the bytes is told"
        );
        assert_eq!(lines[2].0.text, "***");
    }

    #[test]
    fn secret_in_a_line_that_is_no_text_does_not_survive_in_its_bytes() {
        let mut reader = reader(&["pässwort"]);
        let lines = reader.feed("\u{7}pässwort".as_bytes()).into_iter().chain(reader.feed(b"\xff\r\n"));
        let lines: Vec<ReadLine> = lines.collect();
        assert_eq!(lines[0].0.raw.as_deref(), Some("072a2a2aff"));
        // Cut in the middle of a character.
        reader.feed(b"say p\xc3\xa4s\xc3");
        assert_eq!(
            reader.flush()[0].0.raw.as_deref(),
            Some(hex::encode(b"say p\xc3\xa4s\xc3").as_str()),
            "no part of it"
        );
        reader.feed(b"say p\xc3\xa4");
        let first = reader.flush().remove(0).0;
        let rest = reader.feed(b"sswort!\r\n").remove(0).0;
        assert_eq!((first.text.as_str(), rest.text.as_str()), ("say ***", "***!"));
    }

    #[test]
    fn secret_that_a_quiet_moment_or_another_task_cuts_does_not_get_out_in_halves() {
        let mut reader = reader(&["hunter2-long"]);
        reader.feed(b"I (10) wifi: join hunter");
        let first = reader.flush();
        assert_eq!(texts(&first), ["I (10) wifi: join ***"]);
        assert_eq!(texts(&reader.feed(b"2-long\r\n")), ["***"]);
        let lines = reader.feed(b"I (11) wifi: join hunterE (12) esp-tls: oops\r\n2-long\r\n");
        assert_eq!(texts(&lines), ["I (11) wifi: join ***", "E (12) esp-tls: oops", "***"]);
        let mut long = vec![b'x'; crate::console::MAX_LINE - 6];
        long.extend(b"hunter2-long\r\n");
        let lines = reader.feed(&long);
        assert!(lines[0].0.text.ends_with("x***") && lines[1].0.text == "***", "{:?}", lines[1]);
    }

    #[test]
    fn reset_after_a_cut_secret_is_still_seen() {
        let mut reader = reader(&[]);
        reader.feed(b"I (10) wifi: password=hun");
        assert_eq!(texts(&reader.flush()), ["I (10) wifi: password=***"]);
        let lines = reader.feed(b"rst:0x1 (POWERON),boot:0x8 (SPI_FAST_FLASH_BOOT)\r\nI (10) token: rst\r\n");
        assert!(lines[0].0.text.starts_with("rst:0x1 (POWERON)") && reader.boot() == 1);
        assert_eq!(lines[1].0.message.as_deref(), Some("rst"), "a tag is no name of a secret");
    }

    #[test]
    fn crash_after_a_line_that_was_cut_in_a_secret_is_told_whole() {
        let crashes = [
            "Guru Meditation Error: Core  0 panic'ed (LoadProhibited). Exception was unhandled.",
            "abort() was called at PC 0x4037c1d3 on core 0",
            "assert failed: xQueueSemaphoreTake queue.c:1545",
            "***ERROR*** A stack overflow in task main has been detected.",
            "Backtrace: 0x40375a1d:0x3fc95f90 0x4037e1a9:0x3fc95fb0",
            "Core  0 register dump:",
            "MEPC    : 0x42005440  RA      : 0x42005436",
            "ELF file SHA256: a511d501e",
            "Rebooting...",
            "CORRUPT HEAP: Bad head at 0x3fc9a4e0",
            "panicked at src/main.rs:10:5:",
        ];
        for cut in ["I (100) app: token=", "{\"token\":\"abc", "I (100) app: got Authorization: Bearer abc"] {
            for crash in crashes {
                let mut reader = reader(&[]);
                let console = format!("{cut}I (101) esp-tls: oops\r\n{crash}\r\n");
                let lines = reader.feed(console.as_bytes());
                assert_eq!(texts(&lines).last(), Some(&crash), "after {cut}");
            }
        }
    }

    #[test]
    fn nothing_is_masked_in_the_stamp_of_a_line() {
        let mut reader = reader(&["70021234"]);
        let lines = reader.feed(b"I (70021234) Ota: 70021234\r\n");
        assert_eq!(texts(&lines), ["I (70021234) Ota: ***"]);
        assert_eq!(lines[0].1.map(|at| at.ms), Some(70_021_234));
    }

    #[test]
    fn end_of_a_flushed_prompt_is_its_end() {
        let mut reader = reader(&[]);
        reader.feed(b"Password: ");
        assert_eq!(texts(&reader.flush()), ["Password: "]);
        assert_eq!(texts(&reader.feed(b"\r\nwelcome\r\n")), ["welcome"]);
    }

    /// Of letters that stand nowhere else in the test, so that each one that gets out is seen, in bytes too.
    const SECRET: &str = "QZXJKVQZWYJ!";

    proptest! {
        #[test]
        fn whatever_pieces_and_pauses_a_console_comes_with_two_bytes_of_a_secret_get_out_at_most(
            before in "[a-h\t ]{0,12}",
            after in prop_oneof![Just(&b""[..]), Just(&b" end"[..]), Just(&b"\xff\x01"[..]), Just(&b"\x1b[0m"[..])],
            other in any::<bool>(),
            pieces in proptest::collection::vec((any::<proptest::sample::Index>(), any::<bool>()), 0..10),
        ) {
            let mut reader = reader(&[SECRET]);
            let mut console = before.into_bytes();
            let middle = if other { "\x1b[0;31mE (12) esp-tls: oops\x1b[0m\r\n" } else { "" };
            let cut = pieces.first().map_or(0, |(at, _)| at.index(SECRET.len() + 1));
            console.extend(SECRET[..cut].bytes().chain(middle.bytes()).chain(SECRET[cut..].bytes()));
            console.extend_from_slice(after);
            console.extend_from_slice(b"\r\n");
            let mut places: Vec<(usize, bool)> = pieces.iter().map(|(at, pause)| (at.index(console.len()), *pause)).collect();
            places.push((console.len(), true));
            places.sort_unstable();
            let (mut lines, mut from) = (Vec::new(), 0);
            for (to, pause) in places {
                lines.extend(reader.feed(&console[from..to]));
                // One or the other: a pause within another task's colours would be a third thing.
                if pause && !other {
                    lines.extend(reader.flush());
                }
                from = to;
            }
            let mut got_out = 0;
            for (line, ..) in &lines {
                let raw = line.raw.as_ref().map(|raw| hex::decode(raw).expect("hexadecimal"));
                let bytes = raw.as_deref().unwrap_or(line.text.as_bytes());
                got_out += bytes.iter().filter(|b| SECRET.as_bytes().contains(b)).count();
            }
            // Where another task's line comes between, two of the end may get out too.
            let bound = if other { 4 } else { 2 };
            prop_assert!(got_out <= bound, "{lines:?}");
        }
    }
}
