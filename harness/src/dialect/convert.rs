//! From the text of a named group to the value of a field.

use serde_json::Value;

use crate::esp_err;

use super::shape::{EventShape, Kind};

/// How the text of a group becomes the value of its field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Conversion {
    /// As it is.
    Text,
    /// A whole number, decimal or with `0x`.
    Integer,
    /// Hexadecimal with or without `0x`.
    Hex,
    /// A number, perhaps with decimals, times this.
    Scaled(u64),
    /// The group took part in the match: true.
    Flag,
    /// An errno as number, symbol or `strerror` text.
    Errno,
    /// `pc:sp pc:sp ...` to `pc pc ...`.
    ProgramCounters,
}

/// Suffixes of group names that scale a number: what they multiply with, and the ending that the field must have.
const UNITS: &[(&str, u64, &str)] = &[
    ("_s", 1000, "-ms"),
    ("_min", 60_000, "-ms"),
    ("_h", 3_600_000, "-ms"),
    ("_kb", 1000, ""),
    ("_kib", 1024, ""),
    ("_mb", 1_000_000, ""),
    ("_mib", 1_048_576, ""),
];

/// Which field a group fills, and how. `None` when the event has no such field.
///
/// `delay_ms` fills `delay-ms`; so do `delay_s`, `delay_min` and `delay_h`, scaled. `done_kib` fills `done`.
/// `code_hex` fills `code` from digits without `0x`; `addresses_pcs` fills `addresses` from `pc:sp` pairs.
pub(super) fn resolve(group: &str, event: &EventShape) -> Option<(String, Conversion)> {
    let field_of = |name: &str| event.field(&name.replace('_', "-"));
    if let Some(field) = field_of(group) {
        let conversion = match field.kind {
            Kind::Integer if field.name == "errno" => Conversion::Errno,
            Kind::Integer => Conversion::Integer,
            Kind::Text | Kind::Choice(_) => Conversion::Text,
            Kind::Flag => Conversion::Flag,
        };
        return Some((field.name.clone(), conversion));
    }
    if let Some(field) = group.strip_suffix("_hex").and_then(field_of) {
        return (field.kind == Kind::Integer).then(|| (field.name.clone(), Conversion::Hex));
    }
    if let Some(field) = group.strip_suffix("_pcs").and_then(field_of) {
        return (field.kind == Kind::Text).then(|| (field.name.clone(), Conversion::ProgramCounters));
    }
    UNITS.iter().find_map(|(suffix, factor, ending)| {
        let field = event.field(&format!("{}{ending}", group.strip_suffix(suffix)?.replace('_', "-")))?;
        (field.kind == Kind::Integer).then(|| (field.name.clone(), Conversion::Scaled(*factor)))
    })
}

impl Conversion {
    /// The value, or `None` where the text is none (too large a number, an unknown errno).
    pub(super) fn apply(self, text: &str) -> Option<Value> {
        match self {
            Self::Text => Some(Value::from(text.trim_end())),
            Self::Flag => Some(Value::Bool(true)),
            Self::Integer => integer(text, 10).map(Value::from),
            Self::Hex => integer(text, 16).map(Value::from),
            Self::Scaled(factor) => scaled(text, factor).map(Value::from),
            Self::Errno => esp_err::errno_of(text).map(Value::from),
            Self::ProgramCounters => {
                let counters: Vec<&str> =
                    text.split_whitespace().map(|pair| pair.split_once(':').map_or(pair, |(pc, _)| pc)).collect();
                Some(Value::from(counters.join(" ")))
            }
        }
    }
}

fn integer(text: &str, radix: u32) -> Option<i64> {
    let text = text.trim();
    let (negative, digits) = text.strip_prefix('-').map_or((false, text), |digits| (true, digits));
    let (digits, radix) = match digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        Some(digits) => (digits, 16),
        None => (digits, radix),
    };
    // `from_str_radix` would take a sign of its own.
    if !digits.chars().all(|c| c.is_digit(radix)) {
        return None;
    }
    let value = i64::from_str_radix(digits, radix).ok()?;
    Some(if negative { -value } else { value })
}

/// A decimal number times `factor`, rounded down; exact, without floating point.
fn scaled(text: &str, factor: u64) -> Option<u64> {
    let (whole, fraction) = text.trim().split_once('.').unwrap_or((text.trim(), ""));
    if !fraction.chars().all(|c| c.is_ascii_digit()) {
        return None;
    }
    let fraction = fraction.get(..fraction.len().min(9))?;
    let whole = whole.parse::<u64>().ok()?.checked_mul(factor)?;
    let part = match fraction {
        "" => 0,
        digits => {
            let scale = 10_u128.pow(u32::try_from(digits.len()).ok()?);
            u64::try_from(digits.parse::<u128>().ok()? * u128::from(factor) / scale).ok()?
        }
    };
    whole.checked_add(part)
}

#[cfg(test)]
mod tests {
    use super::super::shape::shape;
    use super::*;

    fn resolved(event: &str, group: &str) -> Option<(String, Conversion)> {
        resolve(group, shape(event).expect(event))
    }

    #[test]
    fn groups_find_their_fields_by_name_and_unit() {
        let ms = |conversion| Some(("delay-ms".to_owned(), conversion));
        assert_eq!(resolved("retry-scheduled", "delay_ms"), ms(Conversion::Integer));
        assert_eq!(resolved("retry-scheduled", "delay_s"), ms(Conversion::Scaled(1000)));
        assert_eq!(resolved("retry-scheduled", "delay_min"), ms(Conversion::Scaled(60_000)));
        assert_eq!(resolved("progress", "done_kib"), Some(("done".to_owned(), Conversion::Scaled(1024))));
        assert_eq!(resolved("error", "code_hex"), Some(("code".to_owned(), Conversion::Hex)));
        assert_eq!(resolved("error", "errno"), Some(("errno".to_owned(), Conversion::Errno)));
        assert_eq!(resolved("reset", "download"), Some(("download".to_owned(), Conversion::Flag)));
        assert_eq!(resolved("network-up", "ip_s"), None);
        assert_eq!(resolved("network-up", "address"), None);
    }

    #[test]
    fn texts_become_values() {
        let apply = |conversion: Conversion, text| conversion.apply(text);
        assert_eq!(apply(Conversion::Integer, "32772"), Some(Value::from(32772)));
        assert_eq!(apply(Conversion::Integer, "0x8004"), Some(Value::from(0x8004)));
        assert_eq!(apply(Conversion::Integer, "-0x2700"), Some(Value::from(-0x2700)));
        assert_eq!(apply(Conversion::Hex, "1f"), Some(Value::from(31)));
        assert_eq!(apply(Conversion::Scaled(1000), "60"), Some(Value::from(60_000)));
        assert_eq!(apply(Conversion::Scaled(1000), "1.5"), Some(Value::from(1500)));
        assert_eq!(apply(Conversion::Errno, "Connection reset by peer"), Some(Value::from(104)));
        assert_eq!(
            apply(Conversion::ProgramCounters, "0x400d:0x3ffb 0x400e:0x3ffc"),
            Some(Value::from("0x400d 0x400e"))
        );
    }

    #[test]
    fn what_is_no_number_is_no_value() {
        for text in ["", "-", "0x", "--1", "+1", "99999999999999999999", "1e5", "½"] {
            assert_eq!(Conversion::Integer.apply(text), None, "{text}");
            assert_eq!(Conversion::Scaled(1000).apply(&format!("{text}x")), None, "{text}");
        }
        assert_eq!(Conversion::Scaled(3_600_000).apply("18446744073709551615"), None);
        assert_eq!(Conversion::Scaled(1000).apply("1.-5"), None);
    }
}
