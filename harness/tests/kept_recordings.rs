//! Kept recordings (`fixtures/recordings`): what was judged once is judged the same by every later version.
//!
//! A verdict that is to change is written anew with `BRICKPROOF_UPDATE=1`; the change is then seen in review.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use brickproof::recording::Recording;
use brickproof::run::report_recording;
use brickproof::verdict::{Status, Verdict};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/recordings")
}

fn recordings() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder()).expect("kept recordings");
    let mut files: Vec<_> = entries.map(|e| e.expect("entry").path()).collect();
    files.retain(|f| f.extension().is_some_and(|e| e == "jsonl"));
    files.sort();
    files
}

fn judged(path: &Path) -> (Recording, Verdict) {
    let recording = Recording::read(path).unwrap_or_else(|e| panic!("{e}"));
    let (verdict, _) = report_recording(&recording, "kept").unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    (recording, verdict)
}

#[test]
fn verdicts_of_kept_recordings_stay_as_they_were() {
    let mut found = String::new();
    for path in recordings() {
        let (_, verdict) = judged(&path);
        let name = path.file_name().expect("name").to_string_lossy();
        let reason = verdict.reason.map(|r| format!(": {r}")).unwrap_or_default();
        writeln!(found, "{name}: {}{reason}", verdict.status.word()).expect("text");
        for e in verdict.expectations {
            writeln!(found, "    {:<5} {} ({}) {:?}", e.status.word(), e.label, e.found, e.evidence).expect("text");
        }
    }
    let expected = folder().join("verdicts.txt");
    if std::env::var_os("BRICKPROOF_UPDATE").is_some() {
        std::fs::write(&expected, &found).expect("written");
    }
    let expected = std::fs::read_to_string(&expected).expect("verdicts.txt");
    assert_eq!(found, expected, "look at the change; write verdicts.txt again with BRICKPROOF_UPDATE=1 if it is meant");
}

#[test]
fn kept_recordings_hold_every_verdict() {
    let statuses: Vec<Status> = recordings().iter().map(|path| judged(path).1.status).collect();
    for status in [Status::Pass, Status::Fail, Status::Error] {
        assert!(statuses.contains(&status), "no kept recording is judged {status:?}");
    }
}

#[test]
fn recording_cut_off_anywhere_never_passes() {
    let folder = tempfile::tempdir().expect("folder");
    for path in recordings() {
        let text = std::fs::read_to_string(&path).expect("text");
        let lines: Vec<&str> = text.lines().collect();
        // At every twentieth line, and just before the end of observation was recorded.
        let end = lines.iter().position(|l| l.contains("\"run-ended\"")).expect("a run that ended");
        for cut in (1..end).step_by(20).chain([end]) {
            let file = folder.path().join("cut.jsonl");
            std::fs::write(&file, lines[..cut].join("\n") + "\n").expect("cut");
            let status = judged(&file).1.status;
            assert_ne!(status, Status::Pass, "{} cut after line {cut}", path.display());
        }
    }
}
