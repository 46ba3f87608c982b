//! Compressed recordings through the real binary: the same answers as from plain ones, and what a killed run leaves.

#[path = "support/binary.rs"]
mod binary;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use binary::{brickproof, code, stderr, stdout};
use brickproof::recording::{Form, Recording, Writer};
use brickproof::timeline::{Action, EventKind};

/// A device that finds nobody and tries again after a minute: in real time there is time to be killed in.
const LONELY: &str = r#"
summary = "nobody is there"
device-time = "3min"
[image]
flash = "1.5.9"
offer = "1.6.0"
[provision]
ota-url = "http://{server.host}:1/xiaozhi/ota/"
[[step]]
name = "wait"
until = { event = "up-to-date" }
within = "150s"
[[expect]]
boots = { version = "1.5.9" }
within = "60s"
"#;

fn kept() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/recordings");
    let files = std::fs::read_dir(folder).expect("kept recordings").map(|entry| entry.expect("entry").path());
    files.filter(|file| Form::of_name(file).is_some()).collect()
}

/// Writes a recording again, as a run with `--compress` writes it.
fn compress(file: &Path, folder: &Path) -> PathBuf {
    let Recording { header, events, footer } = Recording::read(file).expect("kept recording");
    let name = file.file_stem().expect("stem").to_string_lossy();
    let path = folder.join(Form::Compressed.file_name(&name));
    let mut writer = Writer::create(&path, Form::Compressed, &header).expect("created");
    events.iter().for_each(|event| writer.event(event).expect("written"));
    if let Some(footer) = footer {
        writer.finish(footer).expect("finished");
    }
    path
}

fn path(path: &Path) -> &str {
    path.to_str().expect("path")
}

fn recording_below(report: &Path) -> Option<PathBuf> {
    let runs = std::fs::read_dir(report.join("runs")).ok()?.next()?.ok()?;
    let mut files = std::fs::read_dir(runs.path()).ok()?.filter_map(Result::ok).map(|entry| entry.path());
    files.find(|file| Form::of_name(file).is_some())
}

#[test]
fn compressed_recordings_give_the_verdicts_and_reports_of_plain_ones() {
    let folder = tempfile::tempdir().expect("folder");
    let [plain, compressed] = ["plain", "compressed"].map(|name| folder.path().join(name));
    for folder in [&plain, &compressed] {
        std::fs::create_dir(folder).expect("folder");
    }
    for file in kept() {
        let copy = plain.join(file.file_name().expect("name"));
        std::fs::copy(&file, &copy).expect("copied");
        let packed = compress(&file, &compressed);
        let verdicts = [&copy, &packed].map(|file| brickproof(&["judge", "--json", path(file)]));
        assert_eq!(stdout(&verdicts[0]), stdout(&verdicts[1]), "{}", file.display());
        assert_eq!(code(&verdicts[0]), code(&verdicts[1]));
        let sizes = [&copy, &packed].map(|file| std::fs::metadata(file).expect("file").len());
        assert!(sizes[1] * 3 < sizes[0], "{}: {sizes:?}", file.display());
    }
    let reports = [&plain, &compressed].map(|folder| brickproof(&["report", path(folder)]));
    assert_eq!(code(&reports[0]), code(&reports[1]), "{}", stderr(&reports[1]));
    for name in ["report.html", "report.json", "junit.xml", "summary.md", "results.tap"] {
        let [one, other] = [&plain, &compressed].map(|folder| std::fs::read_to_string(folder.join(name)).expect(name));
        assert!(other == one.replace(".jsonl", ".jsonl.zst") || other == one, "{name} differs");
    }
    let compared = brickproof(&["compare", path(&plain), path(&compressed)]);
    assert_eq!(code(&compared), 0, "{}", stdout(&compared));
    assert!(stdout(&compared).contains("no regression"), "{}", stdout(&compared));
    let history = folder.path().join("history.db");
    let added = brickproof(&["history", "add", "--history", path(&history), path(&compressed)]);
    assert!(stdout(&added).contains(&format!("{0} of {0} runs are new", kept().len())), "{}", stderr(&added));
}

#[test]
fn recording_that_was_packed_beside_its_plain_form_is_one_run() {
    let folder = tempfile::tempdir().expect("folder");
    let file = kept().into_iter().find(|file| file.ends_with("wrong-port.jsonl")).expect("kept");
    compress(&file, folder.path());
    std::fs::copy(&file, folder.path().join("wrong-port.jsonl")).expect("copied");
    let reported = brickproof(&["report", path(folder.path())]);
    assert!(stdout(&reported).contains("1 passed"), "{}", stdout(&reported));
}

#[test]
fn project_file_and_command_line_choose_the_form() {
    let folder = tempfile::tempdir().expect("folder");
    let config = folder.path().join("brickproof.toml");
    std::fs::write(&config, "[run]\ncompress = true\n").expect("config");
    let form = |report: &str, more: &[&str]| {
        let report = folder.path().join(report);
        let arguments =
            [&["run", "wrong-port", "--snapshot", "--config", path(&config), "--report", path(&report)], more];
        let ran = brickproof(&arguments.concat());
        assert_eq!(code(&ran), 0, "{}{}", stdout(&ran), stderr(&ran));
        let file = recording_below(&report).expect("a recording");
        let json = std::fs::read_to_string(report.join("report.json")).expect("report.json");
        assert!(json.contains(path(Path::new(file.file_name().expect("name")))), "the report names the file: {json}");
        Form::of_name(&file)
    };
    assert_eq!(form("configured", &[]), Some(Form::Compressed));
    assert_eq!(form("given", &["--compress=false"]), Some(Form::Plain));
}

#[test]
fn killed_run_leaves_every_line_but_at_most_the_last_and_never_passes() {
    let folder = tempfile::tempdir().expect("folder");
    let scenario = folder.path().join("lonely.toml");
    std::fs::write(&scenario, LONELY).expect("scenario");
    let report = folder.path().join("report");
    let mut run = Command::new(env!("CARGO_BIN_EXE_brickproof"))
        .args(["run", path(&scenario), "--compress", "--real-time", "--quiet", "--report", path(&report)])
        .env_remove("RUST_LOG")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("runs");
    // Read by another process while it is written, until the device has been told to boot and has said something.
    let (file, before) = loop {
        let read = recording_below(&report).and_then(|file| Some((Recording::read(&file).ok()?, file)));
        if let Some((recording, file)) = read
            && recording.events.iter().filter(|event| matches!(event.kind, EventKind::Console(_))).count() >= 20
        {
            break (file, recording);
        }
        assert!(run.try_wait().expect("run").is_none(), "the run ended before it could be killed");
        std::thread::sleep(Duration::from_millis(20));
    };
    run.kill().expect("killed");
    run.wait().expect("gone");

    assert_eq!(Form::of_name(&file), Some(Form::Compressed));
    let left = Recording::read(&file).expect("readable");
    assert!(left.footer.is_none());
    assert_eq!(left.events[..before.events.len()], before.events[..], "what was readable then is readable now");
    assert!(!left.events.iter().any(|event| event.kind == EventKind::Action(Action::RunEnded)), "killed too late");
    // Of all that is in the file, no whole line is left out.
    let mut text = Vec::new();
    let bytes = std::fs::File::open(&file).expect("file");
    let mut unpacked = brickproof::compressed::Unpacked::new(bytes).expect("zstd");
    std::io::Read::read_to_end(&mut unpacked, &mut text).expect("no damage");
    assert!(unpacked.ended_early());
    assert_eq!(text.iter().filter(|byte| **byte == b'\n').count(), left.events.len() + 1);

    let judged = brickproof(&["judge", path(&file)]);
    assert_eq!(code(&judged), 3, "{}", stdout(&judged));
    assert!(stdout(&judged).contains("abandoned"), "{}", stdout(&judged));
    let reported = brickproof(&["report", path(&report)]);
    assert_eq!(code(&reported), 3, "{}", stdout(&reported));
    assert!(!stdout(&reported).contains("1 passed"), "{}", stdout(&reported));
}
