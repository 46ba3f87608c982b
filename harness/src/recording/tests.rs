use std::collections::BTreeMap;
use std::time::Duration;

use super::*;
use crate::timeline::{Action, EventKind, RigEvent};
use crate::verdict::Verdict;

fn header() -> Header {
    Header {
        format: FORMAT,
        made_by: "brickproof test".to_owned(),
        scenario_path: "s.toml".to_owned(),
        case: None,
        scenario: "summary = \"ünïcode\"\n".to_owned(),
        values: BTreeMap::from([("server.port".to_owned(), "8002".to_owned())]),
        board: "virtual".to_owned(),
        chip: "esp32c3".to_owned(),
        facts: Facts { slots: vec![(0x1_0000, "ota_0".to_owned())], prints_attempts: true, skew: Duration::ZERO },
        attempt: 1,
        seed: 7,
        began_wall_ms: 1,
        warped: true,
    }
}

fn event(seq: u64, kind: EventKind) -> Event {
    Event { seq, at_ns: seq * 10, wall_ms: 2, device: None, kind }
}

fn note(message: &str) -> EventKind {
    EventKind::Rig(RigEvent::Note { message: message.to_owned() })
}

fn events() -> Vec<Event> {
    let hostile = note("line\nbreak \u{0} \u{202e} \u{fffd} </script>");
    vec![event(0, EventKind::Action(Action::Reset)), event(1, hostile), event(2, EventKind::Action(Action::RunEnded))]
}

fn footer() -> Footer {
    Footer { verdict: Verdict::skipped("why".to_owned()), wall_ms: 5 }
}

/// A finished recording's text.
fn written(folder: &Path) -> String {
    let path = folder.join("whole.jsonl");
    let mut writer = Writer::create(&path, &header()).expect("created");
    events().iter().for_each(|e| writer.event(e).expect("written"));
    writer.finish(footer()).expect("finished");
    std::fs::read_to_string(path).expect("text")
}

fn read(folder: &Path, text: &[u8]) -> Result<Recording, RecordingError> {
    let path = folder.join("other.jsonl");
    std::fs::write(&path, text).expect("written");
    Recording::read(&path)
}

#[test]
fn what_was_written_is_read_back_whole() {
    let folder = tempfile::tempdir().expect("folder");
    let text = written(folder.path());
    assert_eq!(text.lines().count(), 5, "a line each, whatever the text holds: {text}");
    let recording = read(folder.path(), text.as_bytes()).expect("read");
    assert_eq!((recording.header, recording.events, recording.footer), (header(), events(), Some(footer())));
}

#[test]
fn recording_is_readable_while_it_is_written() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("live.jsonl");
    let mut writer = Writer::create(&path, &header()).expect("created");
    for (n, event) in events().iter().enumerate() {
        writer.event(event).expect("written");
        let so_far = Recording::read(&path).expect("readable");
        assert_eq!((so_far.events.len(), so_far.footer), (n + 1, None));
    }
}

#[test]
fn cut_anywhere_it_is_read_to_the_last_whole_line() {
    let folder = tempfile::tempdir().expect("folder");
    let text = written(folder.path());
    let header_end = text.find('\n').expect("a line");
    for cut in 0..text.len() {
        let whole_lines = text.as_bytes()[..cut].iter().filter(|b| **b == b'\n').count();
        match read(folder.path(), &text.as_bytes()[..cut]) {
            Ok(recording) => {
                assert!(cut >= header_end, "a header that is cut is no recording");
                let read = recording.events.len() + usize::from(recording.footer.is_some());
                // A last line that lacks nothing but its end is whole.
                assert!(read + 1 == whole_lines || read == whole_lines, "cut at {cut}: {read} of {whole_lines}");
            }
            Err(e) => assert!(cut < header_end, "cut at {cut}: {e}"),
        }
    }
}

#[test]
fn damage_before_the_last_line_is_told_with_its_line() {
    let folder = tempfile::tempdir().expect("folder");
    let text = written(folder.path());
    let lines: Vec<&str> = text.lines().collect();
    let without = |n: usize| {
        let kept: Vec<&str> = lines.iter().enumerate().filter(|(i, _)| *i != n).map(|(_, l)| *l).collect();
        kept.join("\n") + "\n"
    };
    let gap = read(folder.path(), without(2).as_bytes()).expect_err("an event is missing").to_string();
    assert!(gap.contains("line 3 is damaged: it is out of order"), "{gap}");
    let bent = read(folder.path(), text.replace("\"seq\":1", "\"seq\":x").as_bytes()).expect_err("bent").to_string();
    assert!(bent.contains("line 3 is damaged") && bent.contains("the lines before it are whole"), "{bent}");
}

#[test]
fn newer_form_and_other_files_are_refused_in_words() {
    let folder = tempfile::tempdir().expect("folder");
    let text = written(folder.path());
    let refused = |bytes: &[u8]| read(folder.path(), bytes).expect_err("refused").to_string();
    let newer = refused(text.replacen("\"format\":1", "\"format\":99", 1).as_bytes());
    assert!(newer.contains("format 99") && newer.contains("or a newer one"), "{newer}");
    assert!(refused(b"").contains("the file is empty"));
    assert!(refused(b"{\"a\":1}\n").contains("no brickproof recording"));
    assert!(refused(&[0xff, 0xfe, 0x00]).contains("no brickproof recording"));
    let absent = Recording::read(&folder.path().join("absent")).expect_err("absent").to_string();
    assert!(absent.contains("cannot read recording"), "{absent}");
}

#[test]
fn recording_that_is_there_is_never_written_over() {
    let folder = tempfile::tempdir().expect("folder");
    written(folder.path());
    let error = Writer::create(&folder.path().join("whole.jsonl"), &header()).expect_err("there already");
    assert!(error.to_string().contains("cannot create recording"), "{error}");
}
