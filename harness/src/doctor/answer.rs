//! What kind of thing an answer comes from.

use serde_json::Value;

use super::probe::Answer;

/// The shape of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// The JSON of a xiaozhi OTA check.
    OtaCheck(OtaCheck),
    /// JSON of something else.
    OtherJson,
    /// A web page.
    Html,
    /// Plain text, as a health answer is: its first line.
    Text(String),
    /// Nothing.
    Empty,
    /// None of these.
    Binary,
}

/// What an OTA check's answer offers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct OtaCheck {
    /// `firmware.version`.
    pub(super) version: Option<String>,
    /// `firmware.url`, where it is not empty.
    pub(super) firmware_url: Option<String>,
}

/// Members of which an OTA check's answer has at least one.
const MEMBERS: [&str; 5] = ["server_time", "firmware", "websocket", "mqtt", "activation"];

/// Characters of a text answer that are shown.
const SHOWN: usize = 120;

impl Answer {
    pub(super) fn shape(&self) -> Shape {
        let Ok(text) = std::str::from_utf8(&self.body) else { return Shape::Binary };
        let text = text.trim_start_matches('\u{feff}').trim();
        if text.is_empty() {
            return Shape::Empty;
        }
        if let Ok(value) = serde_json::from_str::<Value>(text) {
            return match value.as_object() {
                Some(members) if MEMBERS.iter().any(|member| members.contains_key(*member)) => {
                    Shape::OtaCheck(ota_check(&value))
                }
                _ => Shape::OtherJson,
            };
        }
        let head: String = text.chars().take(512).collect::<String>().to_ascii_lowercase();
        if head.starts_with("<!doctype html") || head.contains("<html") {
            return Shape::Html;
        }
        let line = text.lines().next().unwrap_or_default();
        if line.chars().any(|c| c.is_control() && c != '\t') {
            return Shape::Binary;
        }
        Shape::Text(line.chars().take(SHOWN).collect())
    }
}

fn ota_check(value: &Value) -> OtaCheck {
    let text = |key: &str| value["firmware"][key].as_str().map(str::trim).filter(|t| !t.is_empty()).map(str::to_owned);
    OtaCheck { version: text("version"), firmware_url: text("url") }
}

impl Shape {
    /// In words, for "the answer is ...".
    pub(super) fn in_words(&self) -> String {
        match self {
            Self::OtaCheck(_) => "the JSON of an OTA check".to_owned(),
            Self::OtherJson => "JSON without any member of an OTA check's answer".to_owned(),
            Self::Html => "a web page".to_owned(),
            Self::Text(line) => format!("text: \"{line}\""),
            Self::Empty => "empty".to_owned(),
            Self::Binary => "not text".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(body: &[u8]) -> Shape {
        Answer { status: 200, location: None, body: body.to_vec() }.shape()
    }

    #[test]
    fn answers_are_told_apart() {
        let check = br#"{"server_time":{"timestamp":1},"firmware":{"version":"1.6.0","url":""}}"#;
        let expected = OtaCheck { version: Some("1.6.0".to_owned()), firmware_url: None };
        assert_eq!(shape(check), Shape::OtaCheck(expected));
        assert_eq!(shape(b"{\"status\":\"ok\"}"), Shape::OtherJson);
        assert_eq!(shape(b"[1, 2]"), Shape::OtherJson);
        assert_eq!(shape(b"<!DOCTYPE html><title>x</title>"), Shape::Html);
        assert_eq!(shape(b"\n <html>"), Shape::Html);
        assert_eq!(shape(b"OTA is up\nmore"), Shape::Text("OTA is up".to_owned()));
        assert_eq!(shape(b" \r\n"), Shape::Empty);
        assert_eq!(shape(b"\xff\xfe"), Shape::Binary);
        assert_eq!(shape(b"a\x1b[2Jb"), Shape::Binary);
    }

    #[test]
    fn members_of_wrong_types_do_no_harm() {
        assert_eq!(shape(br#"{"firmware": 7}"#), Shape::OtaCheck(OtaCheck::default()));
        assert_eq!(shape(br#"{"firmware": {"version": 1, "url": [2]}}"#), Shape::OtaCheck(OtaCheck::default()));
        let deep = [b"{\"firmware\":".repeat(5000), b"1".to_vec()].concat();
        assert!(matches!(shape(&deep), Shape::Text(_)));
    }
}
