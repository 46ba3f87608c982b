//! The header of an ESP-IDF log line: level, stamp, tag.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::Regex;
use regex::bytes::Regex as BytesRegex;

/// What stands between level and tag: `(6953)`, or wall time where the firmware is built with
/// `CONFIG_LOG_TIMESTAMP_SOURCE_SYSTEM` (with a date in the `_FULL` form of newer versions).
const STAMP: &str = r"(?:\d{1,13}|(?:\d{2,4}-\d{2}-\d{2} )?\d{2}:\d{2}:\d{2}\.\d{3})";

static HEADER: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(&format!(r"^\s*([EWIDV]) \(({STAMP})\) ([^\s:][^:]{{0,63}}?): ?(.*)$")).expect("valid pattern")
});

/// Where a new line begins inside a line: a header that another task printed (with or without its colour), or the ROM's
/// banner after a reset. The tag of such a header must be one word, so that prose is not taken for one.
static INNER: LazyLock<BytesRegex> = LazyLock::new(|| {
    BytesRegex::new(&format!(
        r"(?-u)(?:\x1b\[[0-9;]*m)?[EWIDV] \({STAMP}\) [A-Za-z0-9_./\-]{{1,64}}:|ESP-ROM:esp32|ets [A-Z][a-z]{{2}} [ 0-9][0-9] [0-9]{{4}} |rst:0x[0-9a-fA-F]{{1,8}} \("
    ))
    .expect("valid pattern")
});

/// A stamp as the line prints it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stamp {
    /// Milliseconds since boot.
    Boot(u64),
    /// Wall time in milliseconds: since midnight, or since a fixed day where the line carries a date.
    Wall(u64),
}

/// The parsed header of a log line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// E, W, I, D or V.
    pub level: char,
    /// The stamp.
    pub stamp: Stamp,
    /// The tag.
    pub tag: String,
    /// What follows.
    pub message: String,
}

impl Header {
    /// Reads the header of a line without colours; `None` where it has none.
    #[must_use]
    pub fn parse(line: &str) -> Option<Self> {
        // Most lines of a banner or dump begin otherwise: the look at two bytes spares them the expression.
        let begin = line.trim_start().as_bytes();
        if !matches!(begin, [b'E' | b'W' | b'I' | b'D' | b'V', b' ', ..]) {
            return None;
        }
        let found = HEADER.captures(line)?;
        let stamp = parse_stamp(&found[2])?;
        Some(Self {
            level: found[1].chars().next()?,
            stamp,
            tag: found[3].to_owned(),
            message: found[4].trim_end().to_owned(),
        })
    }
}

fn parse_stamp(text: &str) -> Option<Stamp> {
    if !text.contains(':') {
        return text.parse().ok().map(Stamp::Boot);
    }
    let (date, time) = text.split_once(' ').map_or((None, text), |(date, time)| (Some(date), time));
    let number = |range: std::ops::Range<usize>| time.get(range)?.parse::<u64>().ok();
    let of_day = ((number(0..2)? * 60 + number(3..5)?) * 60 + number(6..8)?) * 1000 + number(9..12)?;
    let days = match date {
        Some(date) => {
            let mut parts = date.split('-').map(|part| part.parse::<u64>().ok());
            days_of_date(parts.next()??, parts.next()??, parts.next()??)
        }
        None => 0,
    };
    Some(Stamp::Wall(days * 86_400_000 + of_day))
}

/// Days since the first of March of year 0: only differences matter. Counting years from March puts the leap day last.
fn days_of_date(year: u64, month: u64, day: u64) -> u64 {
    let year = if month <= 2 { year.saturating_sub(1) } else { year };
    let from_march = (month + 9) % 12;
    year * 365 + year / 4 - year / 100 + year / 400 + (153 * from_march + 2) / 5 + day
}

/// Bytes of a line's log header, with the blank after it; 0 where it has none. Every line is asked: by hand this costs a
/// tenth of the expression.
pub(super) fn length(line: &[u8]) -> usize {
    let blanks = line.len() - line.trim_ascii_start().len();
    let [b'E' | b'W' | b'I' | b'D' | b'V', b' ', b'(', rest @ ..] = &line[blanks..] else { return 0 };
    let Some(stamp) = rest.iter().position(|b| !b.is_ascii_digit() && !b"-:. ".contains(b)) else { return 0 };
    let Some([b')', b' ', tag @ ..]) = rest.get(stamp..) else { return 0 };
    // A tag has 64 bytes at most.
    let Some(end) = tag.iter().take(65).position(|b| *b == b':').filter(|end| *end > 0) else { return 0 };
    let blank = usize::from(tag.get(end + 1) == Some(&b' '));
    line.len() - tag.len() + end + 1 + blank
}

/// Offsets at which a raw line must be split, ascending, without 0.
pub(super) fn inner_starts(raw: &[u8]) -> Vec<usize> {
    INNER
        .find_iter(raw)
        .filter(|found| {
            let before = &raw[..found.start()];
            // A banner's own parts stay together with what is only white space or colour before them, and "WIFI (5) ch: "
            // is a word, not a header that begins at its last letter.
            let is_rest = without_colours(before).iter().all(u8::is_ascii_whitespace);
            let in_word = found.as_bytes()[0].is_ascii_uppercase()
                && !found.as_bytes().starts_with(b"ESP-ROM")
                && before.last().is_some_and(u8::is_ascii_uppercase);
            !is_rest && !in_word
        })
        .map(|found| found.start())
        .collect()
}

/// The bytes without complete colour sequences.
pub(super) fn without_colours(raw: &[u8]) -> Cow<'_, [u8]> {
    static COLOUR: LazyLock<BytesRegex> =
        LazyLock::new(|| BytesRegex::new(r"(?-u)\x1b\[[0-9;]*m").expect("valid pattern"));
    if raw.contains(&0x1b) { COLOUR.replace_all(raw, &b""[..]) } else { Cow::Borrowed(raw) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn milliseconds_and_wall_time_are_read() {
        let line = Header::parse("W (6993) Application: Check new version failed").expect("a header");
        assert_eq!((line.level, line.stamp), ('W', Stamp::Boot(6993)));
        assert_eq!((line.tag.as_str(), line.message.as_str()), ("Application", "Check new version failed"));
        let line = Header::parse("I (12:34:56.789) wifi: Got IP: 1.2.3.4").expect("a header");
        assert_eq!(line.stamp, Stamp::Wall(45_296_789));
        assert_eq!(line.message, "Got IP: 1.2.3.4");
    }

    #[test]
    fn a_dated_stamp_advances_over_midnight_and_leap_day() {
        let of = |text: &str| match Header::parse(&format!("I ({text}) a: b")).expect("a header").stamp {
            Stamp::Wall(ms) => ms,
            Stamp::Boot(_) => panic!("wall time expected"),
        };
        assert_eq!(of("2024-02-29 00:00:01.000") - of("2024-02-28 23:59:59.000"), 2000);
        assert_eq!(of("2024-03-01 00:00:00.000") - of("2024-02-28 00:00:00.000"), 2 * 86_400_000);
        assert_eq!(of("2023-03-01 00:00:00.000") - of("2023-02-28 00:00:00.000"), 86_400_000);
        assert_eq!(of("2025-01-01 00:00:00.000") - of("2024-12-31 00:00:00.000"), 86_400_000);
    }

    #[test]
    fn what_is_no_header_is_none() {
        for line in ["", "rst:0x1 (POWERON)", "X (12) a: b", "I (abc) a: b", "I (12) nothing after", "Rebooting..."] {
            assert_eq!(Header::parse(line), None, "{line}");
        }
    }

    #[test]
    fn length_of_a_header_is_what_stands_before_the_message() {
        for line in [
            "I (6953) wifi: Got IP",
            " W (12:34:56.789) a b:x",
            "E (2024-02-29 00:00:01.000) t:  y",
            "plain",
            "I (1) none",
        ] {
            let message = Header::parse(line).map(|header| header.message);
            let length = length(line.as_bytes());
            assert_eq!(
                message.as_deref(),
                (length > 0).then(|| line[length..].trim()).map(|m| if line.contains("  y") { " y" } else { m }),
                "{line}"
            );
        }
    }

    #[test]
    fn a_header_or_a_banner_inside_a_line_is_found() {
        assert_eq!(inner_starts(b"I (1) a: hel\x1b[0;31mE (2) b: x"), [12]);
        assert_eq!(inner_starts(b"I (69I (6953) wifi: Got IP"), [5]);
        assert_eq!(inner_starts(b"I (1) Ota: Progress: 4ESP-ROM:esp32c3-api1-20210207"), [22]);
        assert_eq!(inner_starts(b"I (1) Ota: Progress: 4ets Jul 29 2019 12:21:46"), [22]);
    }

    #[test]
    fn a_word_that_ends_in_a_level_letter_is_no_header() {
        assert!(inner_starts(b"I (1) a: joined WIFI (5) ch: 3").is_empty());
        assert!(inner_starts(b"\x1b[0;32mI (1) a: b\x1b[0m").is_empty());
    }
}
