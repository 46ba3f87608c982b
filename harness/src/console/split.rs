//! Bytes to lines.

use std::borrow::Cow;

use memchr::memchr2;

use crate::secrets::{Line, LineMasker, Secrets};
use crate::timeline::ConsoleLine;

use super::header::{self, Header, Stamp, inner_starts, without_colours};

/// Bytes after which a line without an end is cut. ESP-IDF's own longest lines (backtraces, dumped JSON) stay well below.
pub const MAX_LINE: usize = 16 * 1024;

/// A line with the stamp of its header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SplitLine {
    /// The line.
    pub line: ConsoleLine,
    /// The stamp, where the line has a log header.
    pub stamp: Option<Stamp>,
}

/// Splits console bytes into lines, the same ones whatever the pieces they come in.
///
/// A line ends at LF, CR or CR LF (`\r\r\n`, as some drivers make of it, is one end). A log header or a reset banner in
/// the middle of a line starts a new line; what stood before is marked cut. Colour sequences are dropped; every other
/// byte that text cannot show (control characters, invalid UTF-8) becomes U+FFFD, and the line keeps its raw bytes.
#[derive(Debug, Default)]
pub struct LineSplitter {
    buffer: Vec<u8>,
    /// The last byte was a CR that ended a line: an LF now belongs to it.
    after_cr: bool,
    /// The line so far was given out early: its mere end is no further line.
    flushed: bool,
    /// What must not be shown is taken out before anything reads a line: only here is it known where one was cut.
    masker: LineMasker,
}

impl LineSplitter {
    /// A splitter at the begin of a console.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Masks these wherever a line shows them.
    #[must_use]
    pub fn masking(mut self, secrets: Secrets) -> Self {
        self.masker = LineMasker::new(secrets);
        self
    }

    /// Takes bytes, returns the lines that they complete.
    pub fn feed(&mut self, bytes: &[u8]) -> Vec<SplitLine> {
        let mut lines = Vec::new();
        self.feed_each(bytes, &mut |line| lines.push(line));
        lines
    }

    /// Takes bytes, gives each line that they complete.
    pub fn feed_each(&mut self, mut bytes: &[u8], each: &mut impl FnMut(SplitLine)) {
        while !bytes.is_empty() {
            if self.after_cr {
                if matches!(bytes[0], b'\n' | b'\r') {
                    self.after_cr = bytes[0] == b'\r';
                    bytes = &bytes[1..];
                    continue;
                }
                self.after_cr = false;
            }
            let room = MAX_LINE - self.buffer.len();
            let window = &bytes[..bytes.len().min(room)];
            match memchr2(b'\n', b'\r', window) {
                Some(end) => {
                    self.after_cr = window[end] == b'\r';
                    bytes = &bytes[end + 1..];
                    if self.buffer.is_empty() {
                        self.give(&window[..end], false, each);
                    } else {
                        self.buffer.extend_from_slice(&window[..end]);
                        self.take(false, each);
                    }
                }
                None => {
                    self.buffer.extend_from_slice(window);
                    bytes = &bytes[window.len()..];
                    // Cut only when more than its end would follow, so that a line of exactly the limit stays whole.
                    if self.buffer.len() == MAX_LINE && bytes.first().is_some_and(|b| !matches!(b, b'\n' | b'\r')) {
                        self.take(true, each);
                    } else if self.buffer.len() == MAX_LINE && !bytes.is_empty() {
                        self.after_cr = bytes[0] == b'\r';
                        bytes = &bytes[1..];
                        self.take(false, each);
                    }
                }
            }
        }
    }

    /// True when a line has begun and not ended yet.
    #[must_use]
    pub fn has_partial(&self) -> bool {
        !self.buffer.is_empty()
    }

    /// Gives out the line that has not ended yet, marked cut; what follows counts as a line of its own.
    pub fn flush(&mut self) -> Vec<SplitLine> {
        let mut lines = Vec::new();
        if !self.buffer.is_empty() {
            self.take(true, &mut |line| lines.push(line));
            self.flushed = true;
        }
        lines
    }

    /// Moves the buffered line out.
    fn take(&mut self, cut: bool, each: &mut impl FnMut(SplitLine)) {
        let mut buffer = std::mem::take(&mut self.buffer);
        self.give(&buffer, cut, each);
        buffer.clear();
        self.buffer = buffer;
    }

    /// Gives a line, split where another begins inside it.
    fn give(&mut self, raw: &[u8], cut: bool, each: &mut impl FnMut(SplitLine)) {
        let flushed = std::mem::take(&mut self.flushed);
        if flushed && raw.is_empty() {
            self.masker.ended();
            return;
        }
        let mut begin = 0;
        for start in inner_starts(raw) {
            each(split_line(&mut self.masker, &raw[begin..start], begin > 0, true));
            begin = start;
        }
        each(split_line(&mut self.masker, &raw[begin..], begin > 0, cut));
    }
}

fn split_line(masker: &mut LineMasker, raw: &[u8], begins: bool, cut: bool) -> SplitLine {
    // A colour in the middle of a secret does not hide it.
    let plain = without_colours(raw);
    let begins = begins || begins_by_itself(&plain);
    let header = header::length(&plain);
    let stamp = plain[..header].iter().position(|b| *b == b')').map_or(0, |end| end + 1);
    let masked = masker.mask(Line { bytes: &plain, stamp, header, begins, cut });
    // Where something was masked, the raw bytes are told without it too.
    let raw = if let Cow::Owned(masked) = &masked { masked.as_slice() } else { raw };
    let (text, whole) = decode(&masked);
    let header = Header::parse(&text);
    let stamp = header.as_ref().map(|header| header.stamp);
    let (level, tag, message) = match header {
        Some(header) => (Some(header.level), Some(header.tag), Some(header.message)),
        None => (None, None, None),
    };
    SplitLine { line: ConsoleLine { text, raw: (!whole).then(|| hex::encode(raw)), cut, level, tag, message }, stamp }
}

/// How lines begin that go on with no other: those of the ROM after a reset, and those that tell of a crash (ESP-IDF's panic handler,
/// its heap and stack checks, its task watchdog; esp-backtrace's). A secret's open end in a line before must never swallow one.
const BEGINNINGS: [&str; 26] = [
    "ESP-ROM:",
    "Build:",
    "ets ",
    "rst:0x",
    "Guru Meditation Error",
    "abort() was called",
    "assert failed:",
    "assertion \"",
    "***ERROR***",
    "Stack smashing protect",
    "CORRUPT HEAP",
    "Backtrace:",
    "Core ",
    "Stack memory:",
    "MEPC",
    "PC      :",
    "EXCVADDR",
    "ELF file SHA256",
    "Rebooting...",
    "Brownout detector",
    "Task watchdog got triggered",
    "Debug exception reason:",
    "====================== PANIC",
    "panicked at",
    "thread '",
    "================= CORE DUMP START",
];

/// True for a line that goes on with no other.
fn begins_by_itself(line: &[u8]) -> bool {
    let line = line.trim_ascii_start();
    BEGINNINGS.iter().any(|begin| line.starts_with(begin.as_bytes()))
}

/// The text of bytes without colours, and whether it tells all of them.
fn decode(plain: &[u8]) -> (String, bool) {
    // Nearly every line. Without an early end it takes many bytes at once.
    if plain.iter().fold(true, |shown, b| shown & (matches!(b, b' '..=b'~') | (*b == b'\t'))) {
        return (String::from_utf8_lossy(plain).into_owned(), true);
    }
    if let Ok(text) = std::str::from_utf8(plain)
        && !text.chars().any(is_hidden)
    {
        return (text.to_owned(), true);
    }
    let text = String::from_utf8_lossy(plain);
    (text.chars().map(|c| if is_hidden(c) { char::REPLACEMENT_CHARACTER } else { c }).collect(), false)
}

/// What text cannot show.
fn is_hidden(c: char) -> bool {
    c.is_control() && c != '\t'
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all(bytes: &[u8]) -> Vec<SplitLine> {
        let mut splitter = LineSplitter::new();
        let mut lines = splitter.feed(bytes);
        lines.extend(splitter.flush());
        lines
    }

    fn texts(bytes: &[u8]) -> Vec<String> {
        all(bytes).into_iter().map(|l| l.line.text).collect()
    }

    #[test]
    fn lf_crlf_cr_and_crcrlf_each_end_one_line() {
        assert_eq!(texts(b"a\nb\r\nc\rd\r\r\ne"), ["a", "b", "c", "d", "e"]);
        assert_eq!(texts(b"a\n\nb"), ["a", "", "b"]);
        assert_eq!(texts(b"a\r\n\r\nb\r\n"), ["a", "", "b"]);
    }

    #[test]
    fn colours_vanish_without_a_trace() {
        let lines = all(b"\x1b[0;31mE (6973) esp-tls: oops\x1b[0m\r\n");
        assert_eq!(lines.len(), 1);
        assert_eq!(lines[0].line.text, "E (6973) esp-tls: oops");
        assert_eq!(lines[0].line.message.as_deref(), Some("oops"));
        assert_eq!((lines[0].line.raw.as_ref(), lines[0].line.cut), (None, false));
    }

    #[test]
    fn bytes_that_text_cannot_show_are_kept_as_hex() {
        let lines = all(b"a\x00\xff\x1b[2Jb\n");
        assert_eq!(lines[0].line.raw.as_deref(), Some("6100ff1b5b324a62"));
        assert_eq!(lines[0].line.text, "a\u{fffd}\u{fffd}\u{fffd}[2Jb");
    }

    #[test]
    fn a_line_of_another_task_inside_a_line_starts_its_own() {
        let lines = all(b"I (100) wifi: stateE (101) esp-tls: oops\n");
        assert_eq!(lines.len(), 2);
        assert!(lines[0].line.cut && !lines[1].line.cut);
        assert_eq!(lines[0].line.message.as_deref(), Some("state"));
        assert_eq!(lines[1].line.tag.as_deref(), Some("esp-tls"));
    }

    #[test]
    fn a_reset_cuts_the_line_it_falls_into() {
        let lines = all(b"I (100) Ota: Progress: 4ESP-ROM:esp32c3-api1-20210207\r\nBuild:Feb  7 2021\r\n");
        assert_eq!(lines[0].line.text, "I (100) Ota: Progress: 4");
        assert!(lines[0].line.cut);
        assert_eq!(lines[1].line.text, "ESP-ROM:esp32c3-api1-20210207");
    }

    #[test]
    fn a_flushed_line_is_cut_and_its_end_makes_no_empty_line() {
        let mut splitter = LineSplitter::new();
        assert!(splitter.feed(b"wait uart0").is_empty());
        assert!(splitter.has_partial());
        let lines = splitter.flush();
        assert!(lines[0].line.cut);
        assert!(!splitter.has_partial());
        assert!(splitter.feed(b"\r\n").is_empty());
        assert_eq!(splitter.feed(b"next\r\n")[0].line.text, "next");
    }

    #[test]
    fn a_line_without_an_end_is_cut_at_the_limit_and_one_of_the_limit_is_whole() {
        let long = vec![b'x'; MAX_LINE + 10];
        let lines = all(&long);
        assert_eq!(lines.iter().map(|l| l.line.text.len()).collect::<Vec<_>>(), [MAX_LINE, 10]);
        assert!(lines[0].line.cut);
        let mut exact = vec![b'x'; MAX_LINE];
        exact.extend_from_slice(b"\r\nnext\n");
        let lines = all(&exact);
        assert_eq!(lines.len(), 2);
        assert!(!lines[0].line.cut);
    }

    /// Bytes rich in what matters to the splitter.
    fn console() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            Just(b"\r\n".to_vec()),
            Just(b"\n".to_vec()),
            Just(b"\r".to_vec()),
            Just(b"\x1b[0;31m".to_vec()),
            Just(b"\x1b[".to_vec()),
            Just(b"E (6973) esp-tls: [sock=54] x".to_vec()),
            Just(b"ESP-ROM:esp32c3".to_vec()),
            Just("übergröße".as_bytes().to_vec()),
            Just(vec![b'y'; MAX_LINE - 3]),
            proptest::collection::vec(any::<u8>(), 0..40),
        ];
        proptest::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn any_chunking_gives_the_same_lines(bytes in console(), cuts in proptest::collection::vec(any::<proptest::sample::Index>(), 0..30)) {
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
            cuts.sort_unstable();
            cuts.push(bytes.len());
            let mut splitter = LineSplitter::new();
            let (mut lines, mut begin) = (Vec::new(), 0);
            for cut in cuts {
                lines.extend(splitter.feed(&bytes[begin..cut]));
                begin = cut;
            }
            lines.extend(splitter.flush());
            prop_assert_eq!(lines, all(&bytes));
        }
    }
}
