//! The server's answer to a version check: JSON, of which the agent takes what it knows and skips the rest.

use heapless::{String, Vec};
use picojson::{Event, PullParser, SliceParser};

use crate::url;

/// Longest version.
pub const VERSION: usize = 31;
/// Most settings kept from one answer.
const SETTINGS: usize = 16;

/// A setting for an NVS namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// `mqtt` or `websocket`.
    pub namespace: &'static str,
    /// Key; NVS keys have 15 bytes at most.
    pub key: String<15>,
    /// Value.
    pub value: Value,
}

/// A setting's value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Text.
    Text(String<128>),
    /// A number.
    Number(i32),
}

/// The answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// Offered version.
    pub version: Option<String<VERSION>>,
    /// Where the image is.
    pub url: Option<String<{ url::MAX }>>,
    /// Install even if it is not newer.
    pub force: bool,
    /// The server wants the device activated.
    pub activation: bool,
    /// The server told its time.
    pub server_time: bool,
    /// Settings to keep.
    pub settings: Vec<Setting, SETTINGS>,
}

/// The body is no JSON object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotJson;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Section {
    Firmware,
    Mqtt,
    Websocket,
    Other,
}

/// Reads an answer.
///
/// # Errors
///
/// [`NotJson`] where the body is no JSON object or ends early.
pub fn parse(body: &[u8]) -> Result<Answer, NotJson> {
    let mut answer = Answer::default();
    let mut scratch = [0u8; 512];
    let mut parser = SliceParser::with_buffer_from_slice(body, &mut scratch);
    let mut depth = 0u32;
    let mut section = Section::Other;
    let mut key = String::<32>::new();
    let mut begun = false;
    loop {
        let event = parser.next_event().map_err(|_| NotJson)?;
        match event {
            Event::StartObject => {
                begun = true;
                depth += 1;
                if depth == 2 {
                    section = match key.as_str() {
                        "firmware" => Section::Firmware,
                        "mqtt" => Section::Mqtt,
                        "websocket" => Section::Websocket,
                        _ => Section::Other,
                    };
                    answer.activation |= key == "activation";
                    answer.server_time |= key == "server_time";
                }
            }
            Event::StartArray => {
                if !begun {
                    return Err(NotJson);
                }
                depth += 1;
            }
            Event::EndObject | Event::EndArray => {
                depth = depth.saturating_sub(1);
                if depth < 2 {
                    section = Section::Other;
                }
            }
            Event::Key(name) => {
                key.clear();
                // A key too long for us is one that we do not know.
                let _ = key.push_str(name.as_str());
            }
            Event::String(text) if depth == 2 => take_text(&mut answer, section, &key, text.as_str()),
            Event::Number(number) if depth == 2 => {
                let number = number.as_int().and_then(|n| i32::try_from(n).ok());
                take_number(&mut answer, section, &key, number);
            }
            Event::Bool(value) if depth == 2 && section == Section::Firmware && key == "force" => answer.force = value,
            Event::EndDocument => return if begun && depth == 0 { Ok(answer) } else { Err(NotJson) },
            _ if !begun => return Err(NotJson),
            _ => {}
        }
    }
}

fn take_text(answer: &mut Answer, section: Section, key: &str, text: &str) {
    match (section, key) {
        (Section::Firmware, "version") => answer.version = String::try_from(text).ok(),
        (Section::Firmware, "url") => answer.url = String::try_from(text).ok(),
        (Section::Mqtt | Section::Websocket, key) => {
            if let (Ok(key), Ok(text)) = (String::try_from(key), String::try_from(text)) {
                keep(answer, section, key, Value::Text(text));
            }
        }
        _ => {}
    }
}

fn take_number(answer: &mut Answer, section: Section, key: &str, number: Option<i32>) {
    match (section, key, number) {
        (Section::Firmware, "force", Some(number)) => answer.force = number != 0,
        (Section::Mqtt | Section::Websocket, key, Some(number)) => {
            if let Ok(key) = String::try_from(key) {
                keep(answer, section, key, Value::Number(number));
            }
        }
        _ => {}
    }
}

fn keep(answer: &mut Answer, section: Section, key: String<15>, value: Value) {
    let namespace = if section == Section::Mqtt { "mqtt" } else { "websocket" };
    // More settings than there is room for: the first ones win.
    let _ = answer.settings.push(Setting { namespace, key, value });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_members_are_taken_and_others_skipped() {
        let answer = parse(
            br#"{"server_time":{"timestamp":1790000000000,"timezone_offset":480},"x":[{"version":"no"}],
                "firmware":{"version":"1.6.0","url":"http:\/\/h:8002\/f.bin","force":1,"deep":{"url":"no"}},
                "websocket":{"url":"ws://h/","port":8000}}"#,
        )
        .expect("json");
        assert_eq!(answer.version.as_deref(), Some("1.6.0"));
        assert_eq!(answer.url.as_deref(), Some("http://h:8002/f.bin"));
        assert!(answer.force && answer.server_time && !answer.activation);
        assert_eq!(answer.settings.len(), 2);
    }

    #[test]
    fn what_is_no_json_object_is_refused() {
        for bad in ["", "<html>", "[]", "1", "\"x\"", "{\"firmware\":{", "{} {}", "null", "\u{0}"] {
            assert_eq!(parse(bad.as_bytes()), Err(NotJson), "{bad:?}");
        }
    }

    #[test]
    fn deep_nesting_does_not_overflow() {
        let mut deep = [b'['; 4096];
        deep[0] = b'{';
        assert_eq!(parse(&deep), Err(NotJson));
    }
}
