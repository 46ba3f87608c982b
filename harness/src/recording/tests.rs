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

const FORMS: [Form; 2] = [Form::Plain, Form::Compressed];

/// A finished recording's file, as bytes.
fn finished(form: Form) -> Vec<u8> {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join(form.file_name("whole"));
    let mut writer = Writer::create(&path, form, &header()).expect("created");
    events().iter().for_each(|e| writer.event(e).expect("written"));
    writer.finish(footer()).expect("finished");
    std::fs::read(path).expect("bytes")
}

/// A finished recording's text.
fn written() -> String {
    String::from_utf8(finished(Form::Plain)).expect("text")
}

/// Reads bytes under a name that tells neither form.
fn read(bytes: &[u8]) -> Result<Recording, RecordingError> {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("other");
    std::fs::write(&path, bytes).expect("written");
    Recording::read(&path)
}

/// The same bytes as they are, and compressed in one piece.
fn both(bytes: &[u8]) -> [Vec<u8>; 2] {
    [bytes.to_vec(), zstd::encode_all(bytes, 3).expect("compressed")]
}

/// The words for bytes that are no recording, the same in either form.
fn refused(bytes: &[u8]) -> String {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("refused");
    let [plain, compressed] = both(bytes).map(|bytes| {
        std::fs::write(&path, bytes).expect("written");
        Recording::read(&path).expect_err("refused").to_string()
    });
    assert_eq!(plain, compressed);
    plain
}

#[test]
fn what_was_written_is_read_back_whole() {
    let text = written();
    assert_eq!(text.lines().count(), 5, "a line each, whatever the text holds: {text}");
    assert_eq!(zstd::decode_all(&*finished(Form::Compressed)).expect("zstd"), text.as_bytes(), "the same text");
    for form in FORMS {
        let recording = read(&finished(form)).expect("read");
        assert_eq!((recording.header, recording.events, recording.footer), (header(), events(), Some(footer())));
    }
}

#[test]
fn recording_is_readable_while_it_is_written() {
    for form in FORMS {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("live");
        let mut writer = Writer::create(&path, form, &header()).expect("created");
        for (n, event) in events().iter().enumerate() {
            writer.event(event).expect("written");
            let so_far = Recording::read(&path).expect("readable");
            assert_eq!((so_far.events.len(), so_far.footer), (n + 1, None), "{form:?}");
        }
    }
}

#[test]
fn cut_anywhere_it_is_read_to_the_last_whole_line() {
    let text = written();
    let header_end = text.find('\n').expect("a line");
    for cut in 0..text.len() {
        let whole_lines = text.as_bytes()[..cut].iter().filter(|b| **b == b'\n').count();
        match read(&text.as_bytes()[..cut]) {
            Ok(recording) => {
                assert!(cut >= header_end, "a header that is cut is no recording");
                let read = recording.events.len() + usize::from(recording.footer.is_some());
                // A last line that lacks nothing but its end is whole.
                assert!(read + 1 == whole_lines || read == whole_lines, "cut at {cut}: {read} of {whole_lines}");
            }
            Err(e) => {
                let abandoned = e.to_string().contains("the run was abandoned before it began");
                assert!(cut < header_end && abandoned, "cut at {cut}: {e}");
            }
        }
    }
}

#[test]
fn compressed_and_cut_anywhere_every_line_is_read_whose_block_is_whole() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("growing");
    let mut writer = Writer::create(&path, Form::Compressed, &header()).expect("created");
    let size = || usize::try_from(std::fs::metadata(&path).expect("file").len()).expect("small");
    // Where each line's block ends: after the header, each event, the footer.
    let mut ends = vec![size()];
    for event in events() {
        writer.event(&event).expect("written");
        ends.push(size());
    }
    writer.finish(footer()).expect("finished");
    let bytes = std::fs::read(&path).expect("bytes");
    for cut in 0..bytes.len() {
        let blocks = ends.iter().filter(|end| **end <= cut).count();
        match read(&bytes[..cut]) {
            Ok(recording) => {
                assert!(blocks > 0, "cut at {cut}: no header");
                assert_eq!(recording.header, header());
                assert_eq!(recording.events[..], events()[..blocks - 1], "cut at {cut}");
                assert!(recording.footer.is_none() || blocks == ends.len(), "cut at {cut}");
            }
            Err(e) => {
                let words = if cut == 1 { "no brickproof recording" } else { "the run was abandoned before it began" };
                assert!(blocks == 0 && e.to_string().contains(words), "cut at {cut}: {e}");
            }
        }
    }
}

#[test]
fn damage_before_the_last_line_is_told_with_its_line() {
    let text = written();
    let lines: Vec<&str> = text.lines().collect();
    let without = |n: usize| {
        let kept: Vec<&str> = lines.iter().enumerate().filter(|(i, _)| *i != n).map(|(_, l)| *l).collect();
        kept.join("\n") + "\n"
    };
    let gap = refused(without(2).as_bytes());
    assert!(gap.contains("line 3 is damaged: it is out of order"), "{gap}");
    let bent = refused(text.replace("\"seq\":1", "\"seq\":x").as_bytes());
    assert!(bent.contains("line 3 is damaged") && bent.contains("the lines before it are whole"), "{bent}");
}

#[test]
fn changed_byte_of_a_compressed_recording_never_goes_unnoticed() {
    let bytes = finished(Form::Compressed);
    let whole = read(&bytes).expect("whole");
    let mut unpacking = 0;
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 0x55;
        match read(&changed) {
            Err(RecordingError::Unpacking { why, .. }) => {
                assert!(why.contains("the compressed data is damaged"), "{why}");
                unpacking += 1;
            }
            Err(e) => assert!(!e.to_string().is_empty()),
            // What looks like a file that is cut off is an abandoned run, not one that passed.
            Ok(recording) => {
                assert!(recording.footer.is_none() || recording.events == whole.events, "byte {at}: {recording:?}");
            }
        }
    }
    assert!(unpacking > bytes.len() / 2, "{unpacking} of {} bytes", bytes.len());
    let more = read(&[&bytes[..], b"more"].concat()).expect_err("more than a recording").to_string();
    assert!(more.contains("the compressed data is damaged") && more.contains("`zstd -dc` prints"), "{more}");
}

#[test]
fn newer_form_and_other_files_are_refused_in_words() {
    let text = written();
    let newer = refused(text.replacen("\"format\":1", "\"format\":99", 1).as_bytes());
    assert!(newer.contains("format 99") && newer.contains("or a newer one"), "{newer}");
    assert!(refused(b"").contains("the file is empty"));
    assert!(refused(b"{\"a\":1}\n").contains("no brickproof recording"));
    assert!(refused(&[0xff, 0xfe, 0x00]).contains("no brickproof recording"));
    let folder = tempfile::tempdir().expect("folder");
    let absent = Recording::read(&folder.path().join("absent")).expect_err("absent").to_string();
    assert!(absent.contains("cannot read recording"), "{absent}");
}

#[test]
fn line_without_an_end_does_not_fill_the_memory() {
    // Kilobytes of file, however long the line that they unpack to: reading stops at the limit.
    let mut packed = zstd::stream::write::Encoder::new(Vec::new(), 3).expect("encoder");
    std::io::copy(&mut std::io::Read::take(std::io::repeat(b' '), 64 << 20), &mut packed).expect("packed");
    let bytes = packed.finish().expect("finished");
    assert!(bytes.len() < 1 << 14, "{} bytes", bytes.len());
    let error = read(&bytes).expect_err("refused").to_string();
    assert!(error.contains("line 1 is longer than 16 MiB"), "{error}");
    // A frame that wants a window of gigabytes is refused before memory is taken for it: window descriptor of 2^37 bytes.
    let window = [&[0x28, 0xb5, 0x2f, 0xfd, 0x00, 27 << 3][..], &[0; 32]].concat();
    let error = read(&window).expect_err("refused").to_string();
    assert!(error.contains("damaged") && error.contains("memory"), "{error}");
}

#[test]
fn recording_that_is_there_is_never_written_over() {
    for form in FORMS {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join(form.file_name("whole"));
        Writer::create(&path, form, &header()).expect("created");
        let error = Writer::create(&path, form, &header()).expect_err("there already");
        assert!(error.to_string().contains("cannot create recording"), "{error}");
    }
}

#[test]
fn names_tell_what_is_a_recording() {
    let form = |name: &str| Form::of_name(Path::new(name));
    assert_eq!((form("a/b.jsonl"), form("a/b.jsonl.zst")), (Some(Form::Plain), Some(Form::Compressed)));
    for name in ["day.log.zst", "jsonl", "b.json", "b.jsonl.gz", "b.zst"] {
        assert_eq!(form(name), None, "{name}");
    }
    for form in FORMS {
        assert_eq!(Form::of_name(Path::new(&form.file_name("flash=1.5.9"))), Some(form));
    }
}
