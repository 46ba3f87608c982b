//! The header of an ESP-IDF log line: level, stamp, tag.

use std::borrow::Cow;
use std::sync::LazyLock;

use memchr::memmem::Finder;
use memchr::{memchr, memchr_iter};
use regex::bytes::Regex as BytesRegex;

/// Characters of the longest tag.
const MAX_TAG: usize = 64;

/// What stands between level and tag: `(6953)`, or wall time where the firmware is built with
/// `CONFIG_LOG_TIMESTAMP_SOURCE_SYSTEM` (with a date in the `_FULL` form of newer versions).
const STAMP: &str = r"(?:\d{1,13}|(?:\d{2,4}-\d{2}-\d{2} )?\d{2}:\d{2}:\d{2}\.\d{3})";

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
        let line = line.trim_start();
        let level = line.chars().next().filter(|level| "EWIDV".contains(*level))?;
        let (stamp, rest) = line[1..].strip_prefix(" (")?.split_once(')')?;
        let stamp = parse_stamp(stamp)?;
        let (tag, message) = rest.strip_prefix(' ')?.split_once(':')?;
        let is_long = tag.len() > MAX_TAG && tag.chars().nth(MAX_TAG).is_some();
        if tag.is_empty() || tag.starts_with(char::is_whitespace) || is_long {
            return None;
        }
        let message = message.strip_prefix(' ').unwrap_or(message);
        Some(Self { level, stamp, tag: tag.to_owned(), message: message.trim_end().to_owned() })
    }
}

/// A stamp as [`STAMP`] describes it.
fn parse_stamp(text: &str) -> Option<Stamp> {
    if text.bytes().all(|b| b.is_ascii_digit()) {
        return if text.len() <= 13 { text.parse().ok().map(Stamp::Boot) } else { None };
    }
    let (date, time) = text.split_once(' ').map_or((None, text), |(date, time)| (Some(date), time));
    let [hours, minutes, seconds, ms] = numbers(time, [2, 2, 2, 3], [b':', b':', b'.'])?;
    let of_day = ((hours * 60 + minutes) * 60 + seconds) * 1000 + ms;
    let days = match date {
        Some(date) => {
            let year = date.find('-').filter(|digits| (2..=4).contains(digits))?;
            let [year, month, day] = numbers(date, [year, 2, 2], [b'-', b'-'])?;
            days_of_date(year, month, day)
        }
        None => 0,
    };
    Some(Stamp::Wall(days * 86_400_000 + of_day))
}

/// Numbers of these widths with these signs between.
fn numbers<const N: usize, const M: usize>(text: &str, widths: [usize; N], signs: [u8; M]) -> Option<[u64; N]> {
    let mut rest = text.as_bytes();
    let mut found = [0; N];
    for (n, width) in widths.into_iter().enumerate() {
        if n > 0 {
            rest = rest.strip_prefix(&[*signs.get(n - 1)?])?;
        }
        let (digits, after) = rest.split_at_checked(width)?;
        rest = after;
        for digit in digits {
            found[n] = found[n] * 10 + u64::from(digit.is_ascii_digit().then(|| digit - b'0')?);
        }
    }
    rest.is_empty().then_some(found)
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
    if !may_have_inner(raw) {
        return Vec::new();
    }
    INNER
        .find_iter(raw)
        .filter(|found| {
            let before = &raw[..found.start()];
            // "WIFI (5) ch: " is a word, not a header that begins at its last letter.
            let in_word = found.as_bytes()[0].is_ascii_uppercase()
                && !found.as_bytes().starts_with(b"ESP-ROM")
                && before.last().is_some_and(u8::is_ascii_uppercase);
            !is_rest(before) && !in_word
        })
        .map(|found| found.start())
        .collect()
}

/// White space or colour before a header or banner is a part of it.
fn is_rest(before: &[u8]) -> bool {
    // Most lines begin with one colour.
    before.is_empty()
        || before.first().is_some_and(|b| *b == 0x1b || b.is_ascii_whitespace())
            && without_colours(before).iter().all(u8::is_ascii_whitespace)
}

/// False where [`INNER`] cannot find what it is looked for: nearly every line, which is spared the expression.
fn may_have_inner(raw: &[u8]) -> bool {
    static BANNERS: LazyLock<[Finder<'static>; 3]> = LazyLock::new(|| ["ESP-ROM:", "ets ", "rst:0x"].map(Finder::new));
    let header = memchr_iter(b'(', raw).any(|at| {
        let begin = at.saturating_sub(2);
        matches!(raw[begin..at], [b'E' | b'W' | b'I' | b'D' | b'V', b' ']) && !is_rest(&raw[..begin])
    });
    header || BANNERS.iter().any(|banner| banner.find(raw.get(1..).unwrap_or_default()).is_some())
}

/// The bytes without complete colour sequences (`ESC [ 0;32 m`).
pub(super) fn without_colours(raw: &[u8]) -> Cow<'_, [u8]> {
    let Some(mut at) = memchr(0x1b, raw) else { return Cow::Borrowed(raw) };
    let mut plain = Vec::with_capacity(raw.len());
    let mut rest = raw;
    loop {
        let (before, escape) = rest.split_at(at);
        plain.extend_from_slice(before);
        let is_of_colour = |b: &u8| b.is_ascii_digit() || *b == b';';
        let parameters = escape.get(2..).unwrap_or_default().iter().take_while(|b| is_of_colour(b)).count();
        rest = if escape.get(1) == Some(&b'[') && escape.get(2 + parameters) == Some(&b'm') {
            &escape[3 + parameters..]
        } else {
            plain.push(0x1b);
            &escape[1..]
        };
        match memchr(0x1b, rest) {
            Some(next) => at = next,
            None => break,
        }
    }
    plain.extend_from_slice(rest);
    Cow::Owned(plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

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

    /// What headers and colours are, said once more as expressions.
    fn by_expression(line: &str) -> Option<Header> {
        static HEADER: LazyLock<regex::Regex> = LazyLock::new(|| {
            let header = format!(r"^\s*([EWIDV]) \(({STAMP})\) ([^\s:][^:]{{0,63}}?): ?(.*)$");
            regex::Regex::new(&header).expect("valid pattern")
        });
        let found = HEADER.captures(line)?;
        let stamp = parse_stamp(&found[2])?;
        let level = found[1].chars().next()?;
        Some(Header { level, stamp, tag: found[3].to_owned(), message: found[4].trim_end().to_owned() })
    }

    fn inner_by_expression(raw: &[u8]) -> Vec<usize> {
        let starts = INNER.find_iter(raw).filter(|found| {
            let before = &raw[..found.start()];
            let upper = |b: Option<&u8>| b.is_some_and(u8::is_ascii_uppercase);
            let in_word =
                upper(found.as_bytes().first()) && !found.as_bytes().starts_with(b"ESP") && upper(before.last());
            !without_colours(before).iter().all(u8::is_ascii_whitespace) && !in_word
        });
        starts.map(|found| found.start()).collect()
    }

    /// Lines rich in what headers are made of.
    fn line() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            "[EWIDV] \\([0-9]{1,14}\\) ",
            "\\((?:[0-9]{1,5}-[0-9]{2}-[0-9]{2} )?[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{2,4}\\) ",
            Just("I (1) WIFI (5) ch: ".to_owned()),
            Just("\u{1b}[0;32m".to_owned()),
            Just("\u{1b}[".to_owned()),
            Just("ESP-ROM:esp32c3 ets Jul 29 2019 ".to_owned()),
            Just("rst:0x1 (POWERON)".to_owned()),
            Just("\u{a0}\u{2003}\u{663}\u{664}".to_owned()),
            "[A-Za-z_]{1,70}:? ?",
            "[ -~\\t]{0,12}",
            ".{0,4}",
        ];
        proptest::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat().replace('\n', ""))
    }

    proptest! {
        #[test]
        fn headers_are_what_the_expression_says(line in line()) {
            prop_assert_eq!(Header::parse(&line), by_expression(&line));
        }

        #[test]
        fn lines_are_split_where_the_expression_says(line in line(), noise in any::<[u8; 2]>()) {
            let raw = [line.as_bytes(), &noise].concat();
            prop_assert_eq!(inner_starts(&raw), inner_by_expression(&raw));
            let colour = BytesRegex::new(r"(?-u)\x1b\[[0-9;]*m").expect("valid pattern");
            prop_assert_eq!(without_colours(&raw), colour.replace_all(&raw, &b""[..]));
        }
    }
}
