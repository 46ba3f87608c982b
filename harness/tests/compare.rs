//! Regressions between real runs, through the binary: the firmware's two laws of retrying, and bad input.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn brickproof(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_brickproof"))
        .args(arguments)
        .env_remove("RUST_LOG")
        .output()
        .expect("the binary runs")
}

fn words(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes).replace(['│', '×', '╰', '─', '▶'], " ");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Runs of a server that is away for so long from the start, with a version of the firmware.
fn outage(folder: &Path, version: &str, down: &str) -> PathBuf {
    let place = folder.join(format!("{version}-{down}"));
    std::fs::create_dir(&place).expect("folder");
    let scenario = place.join(format!("outage-{down}.toml"));
    let text = format!(
        r#"summary = "The server is away for {down} from the start"
device-time = "30min"
requires = ["flash", "provision", "reset"]
faults = [{{ fault = "closed-port" }}]

[image]
flash = "{version}"
offer = "1.6.1"

[provision]
ota-url = "{{server.url}}"

[[step]]
name = "away"
wait = "{down}"

[[step]]
name = "back"
faults = []
until = {{ event = "marked-valid" }}
within = "20min"

[[expect]]
boots = {{ version = "1.6.1", slot = "other" }}
until-end = true
"#
    );
    std::fs::write(&scenario, text).expect("scenario");
    let report = place.join("report");
    let output = brickproof(&[
        "run",
        scenario.to_str().expect("text"),
        "--repeat",
        "8",
        "--quiet",
        "--report",
        report.to_str().expect("text"),
    ]);
    assert_eq!(output.status.code(), Some(0), "{}", words(&output.stdout));
    report
}

fn compare(before: &Path, now: &Path) -> (Option<i32>, String, String) {
    let output = brickproof(&["compare", before.to_str().expect("text"), now.to_str().expect("text")]);
    (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned(), words(&output.stderr))
}

#[test]
fn newer_law_of_retrying_recovers_sooner_from_short_outages_and_later_from_long_ones() {
    let folder = tempfile::tempdir().expect("folder");
    let of = |version: &str, down: &str| outage(folder.path(), version, down);
    let (code, short, _) = compare(&of("1.5.9", "25s"), &of("1.6.0", "25s"));
    assert!(short.contains("recovery better"), "{short}");
    assert!(short.contains("retries changed: 1 before, 2 now"), "{short}");
    assert_eq!((code, short.contains("no regression")), (Some(0), true), "{short}");

    let (old, new) = (of("1.5.9", "8min"), of("1.6.0", "8min"));
    let (code, long, _) = compare(&old, &new);
    assert!(long.contains("recovery worse"), "{long}");
    assert!(long.contains("back-off was constant, is doubling"), "{long}");
    assert!(long.contains("regression: outage-8min: recovery worse"), "{long}");
    assert_eq!(code, Some(1));
    let chosen = brickproof(&[
        "compare",
        "--fail-on",
        "newly-failing",
        "--baseline",
        old.to_str().expect("text"),
        new.to_str().expect("text"),
    ]);
    assert_eq!(chosen.status.code(), Some(0), "what is no regression by choice: {}", words(&chosen.stdout));

    let (code, same, _) = compare(&old, &old);
    assert_eq!((code, same.contains("no regression")), (Some(0), true), "{same}");
    let (code, _, other) = compare(&old, &of("1.6.0", "20s"));
    assert_eq!(code, Some(2));
    assert!(other.contains("have no scenario in common"), "{other}");
}

#[test]
fn run_is_compared_with_its_baseline_and_a_regression_is_exit_1() {
    let folder = tempfile::tempdir().expect("folder");
    let report = |name: &str| folder.path().join(name).to_str().expect("text").to_owned();
    let (before, now) = (report("before"), report("now"));
    let run = |more: &[&str]| brickproof(&[&["run", "wrong-port", "--quiet"], more].concat());
    assert_eq!(run(&["--report", &before]).status.code(), Some(0));
    let same = run(&["--report", &now, "--baseline", &before]);
    assert_eq!(same.status.code(), Some(0), "{}", words(&same.stdout));
    assert!(words(&same.stdout).contains("no regression"), "{}", words(&same.stdout));
    // The runs before stand for ones that are to come: a recording whose device never came back.
    let file = std::fs::read_dir(Path::new(&before).join("runs")).expect("runs").next().expect("one").expect("run");
    let recording = file.path().join("wrong-port.jsonl");
    let text = std::fs::read_to_string(&recording).expect("recording");
    let cut = folder.path().join("cut.jsonl");
    let lines: Vec<&str> = text.lines().take(text.lines().count() / 2).collect();
    std::fs::write(&cut, lines.join("\n")).expect("written");
    let (code, told, _) = compare(Path::new(&before), &cut);
    assert_eq!((code, told.contains("not judged")), (Some(0), true), "a cut recording is nobody's failure: {told}");
}

#[test]
fn what_is_no_recording_is_told_and_no_regression() {
    let folder = tempfile::tempdir().expect("folder");
    let empty = folder.path().join("empty");
    std::fs::create_dir(&empty).expect("folder");
    let (code, _, told) = compare(&empty, &empty);
    assert_eq!(code, Some(2));
    assert!(told.contains("there is no recording (*.jsonl) below"), "{told}");
    let newer = folder.path().join("newer.jsonl");
    std::fs::write(&newer, "{\"header\":{\"format\":999}}\n").expect("written");
    let (code, _, told) = compare(&newer, &newer);
    assert_eq!(code, Some(2));
    assert!(told.contains("format 999"), "{told}");
    let one = brickproof(&["compare", newer.to_str().expect("text")]);
    assert_eq!(one.status.code(), Some(2));
    assert!(words(&one.stderr).contains("which of them are the baseline"), "{}", words(&one.stderr));
    let missing = brickproof(&["run", "wrong-port", "--baseline", "/no/such/folder"]);
    assert_eq!(missing.status.code(), Some(2));
    assert!(words(&missing.stderr).contains("cannot read /no/such/folder"), "{}", words(&missing.stderr));
}
