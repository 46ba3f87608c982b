//! Regressions between real runs, through the binary: the firmware's two laws of retrying, and bad input.

use std::path::{Path, PathBuf};

#[path = "support/binary.rs"]
mod binary;

use binary::{brickproof, code, stderr, stdout};

/// A scenario whose server is away for so long from the start, with a version of the firmware; its file.
fn outage(folder: &Path, version: &str, down: &str, then: &str) -> PathBuf {
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
faults = [{then}]
until = {{ event = "marked-valid" }}
within = "20min"

[[expect]]
boots = {{ version = "1.6.1", slot = "other" }}
until-end = true
"#
    );
    std::fs::write(&scenario, text).expect("scenario");
    scenario
}

/// Runs a scenario that passes; the report folder.
fn runs(scenario: &Path, report: &str, more: &[&str]) -> PathBuf {
    let report = scenario.with_file_name(report);
    let (file, folder) = (scenario.to_str().expect("text"), report.to_str().expect("text"));
    let output = brickproof(&[&["run", file, "--quiet", "--report", folder], more].concat());
    assert_eq!(code(&output), 0, "{}", stdout(&output));
    report
}

fn compare(before: &Path, now: &Path) -> (i32, String, String) {
    let output = brickproof(&["compare", before.to_str().expect("text"), now.to_str().expect("text")]);
    (code(&output), stdout(&output), stderr(&output))
}

#[test]
fn newer_law_of_retrying_recovers_sooner_from_short_outages_and_later_from_long_ones() {
    let folder = tempfile::tempdir().expect("folder");
    let of = |version: &str, down: &str| runs(&outage(folder.path(), version, down, ""), "report", &[]);
    let (exit, short, _) = compare(&of("1.5.9", "25s"), &of("1.6.0", "25s"));
    assert!(short.contains("recovery better"), "{short}");
    assert!(short.contains("retries changed: 1 before, 2 now"), "{short}");
    assert_eq!((exit, short.contains("no regression")), (0, true), "{short}");

    let (old, new) = (of("1.5.9", "8min"), of("1.6.0", "8min"));
    let (exit, long, _) = compare(&old, &new);
    assert!(long.contains("back-off was constant, is doubling"), "{long}");
    assert!(long.contains("regression: outage-8min: recovery worse"), "{long}");
    assert_eq!(exit, 1);
    let chosen = brickproof(&[
        "compare",
        "--fail-on",
        "newly-failing",
        "--baseline",
        old.to_str().expect("text"),
        new.to_str().expect("text"),
    ]);
    assert_eq!(code(&chosen), 0, "what is no regression by choice: {}", stdout(&chosen));

    let (exit, same, _) = compare(&old, &old);
    assert_eq!((exit, same.contains("no regression")), (0, true), "{same}");
    let (exit, _, other) = compare(&old, &of("1.6.0", "20s"));
    assert_eq!(exit, 2);
    assert!(other.contains("have no scenario in common"), "{other}");
}

#[test]
fn run_is_compared_with_its_baseline_and_a_regression_is_exit_1() {
    let folder = tempfile::tempdir().expect("folder");
    let old = outage(folder.path(), "1.5.9", "8min", "");
    let new = outage(folder.path(), "1.6.0", "8min", "");
    let before = runs(&old, "before", &[]);
    let baseline = ["--baseline", before.to_str().expect("text")];
    runs(&old, "again", &baseline);
    let folder = new.with_file_name("now");
    let file = new.to_str().expect("text");
    let worse = brickproof(
        &[&["run", file, "--quiet", "--report", folder.to_str().expect("text")], baseline.as_slice()].concat(),
    );
    assert_eq!(code(&worse), 1, "{}", stdout(&worse));
    assert!(stdout(&worse).contains("1 passed"), "every verdict is a pass: {}", stdout(&worse));
    assert!(stdout(&worse).contains("regression: outage-8min: recovery worse"), "{}", stdout(&worse));
    tells_the_regression(&folder);
    // Everything is made from recordings: the same comparison again, elsewhere.
    let again = new.with_file_name("again");
    let (from, to) = (folder.to_str().expect("text"), again.to_str().expect("text"));
    let reported = brickproof(&[&["report", from, "--output", to], baseline.as_slice()].concat());
    assert_eq!(code(&reported), 1, "{}", stdout(&reported));
    assert!(stdout(&reported).contains("regression: outage-8min: recovery worse"), "{}", stdout(&reported));
    tells_the_regression(&again);
    let json = brickproof(&["compare", "--json", before.to_str().expect("text"), from]);
    let json: serde_json::Value = serde_json::from_str(&stdout(&json)).expect("JSON");
    let told = json["regressions"][0].as_str().expect("a regression");
    assert!(told.starts_with("outage-8min: recovery worse"), "{told}");
}

/// The page, report.json and the summary for CI tell the one regression of a report.
fn tells_the_regression(report: &Path) {
    let read = |name: &str| std::fs::read_to_string(report.join(name)).expect(name);
    let json: serde_json::Value = serde_json::from_str(&read("report.json")).expect("JSON");
    assert_eq!(json["changes"]["regressions"].as_array().map(Vec::len), Some(1), "{json}");
    assert_eq!(json["changes"]["scenarios"][0]["change"], "still-passing", "{json}");
    let page = read("report.html");
    assert!(page.contains("<b>✗ regression:</b> outage-8min: recovery worse"), "on the page");
    assert!(page.contains("<li>back-off was constant, is doubling</li>"), "on the page");
    assert!(read("summary.md").contains("**Regression:** outage-8min: recovery worse"), "in the summary");
}

#[test]
fn report_without_a_readable_baseline_is_refused_before_anything_is_written() {
    let folder = tempfile::tempdir().expect("folder");
    let report = runs(&outage(folder.path(), "1.5.9", "20s", ""), "report", &[]);
    let output = folder.path().join("elsewhere");
    let empty = folder.path().join("empty");
    std::fs::create_dir(&empty).expect("folder");
    let path = |p: &Path| p.to_str().expect("text").to_owned();
    let args = ["report", &path(&report), "--output", &path(&output), "--baseline", &path(&empty)];
    let refused = brickproof(&args);
    assert_eq!(code(&refused), 2, "{}", stdout(&refused));
    assert!(stderr(&refused).contains("no recording"), "{}", stderr(&refused));
    assert!(!output.exists());
}

#[test]
fn another_seed_of_the_same_firmware_is_no_regression_however_often_it_is_repeated() {
    let folder = tempfile::tempdir().expect("folder");
    let late = "{ fault = { delay = { uniform = { from = \"1s\", to = \"9s\" } } } }";
    let scenario = outage(folder.path(), "1.5.9", "25s", late);
    let of = |seed: &str| runs(&scenario, seed, &["--repeat", "8", "--seed", seed]);
    let (exit, told, _) = compare(&of("3"), &of("4"));
    assert!(told.contains("too few runs"), "the seeds differ: {told}");
    assert_eq!((exit, told.contains("no regression")), (0, true), "{told}");
}

#[test]
fn recording_that_is_cut_in_the_middle_of_a_line_is_nobodys_failure() {
    let folder = tempfile::tempdir().expect("folder");
    let report = runs(&outage(folder.path(), "1.5.9", "25s", ""), "report", &[]);
    let run = std::fs::read_dir(report.join("runs")).expect("runs").next().expect("one").expect("run");
    let text = std::fs::read(run.path().join("outage-25s.jsonl")).expect("recording");
    let cut = folder.path().join("cut.jsonl");
    let half = &text[..text.len() / 2];
    assert_ne!(half.last(), Some(&b'\n'));
    std::fs::write(&cut, half).expect("written");
    let (exit, told, _) = compare(&report, &cut);
    assert_eq!((exit, told.contains("not judged")), (0, true), "{told}");
}

#[test]
fn what_is_no_recording_is_told_and_no_regression() {
    let folder = tempfile::tempdir().expect("folder");
    let empty = folder.path().join("empty");
    std::fs::create_dir(&empty).expect("folder");
    let (exit, _, told) = compare(&empty, &empty);
    assert_eq!(exit, 2);
    assert!(told.contains("there is no recording (*.jsonl, *.jsonl.zst) below"), "{told}");
    let newer = folder.path().join("newer.jsonl");
    std::fs::write(&newer, "{\"header\":{\"format\":999}}\n").expect("written");
    let (exit, _, told) = compare(&newer, &newer);
    assert_eq!(exit, 2);
    assert!(told.contains("format 999"), "{told}");
    let one = brickproof(&["compare", newer.to_str().expect("text")]);
    assert_eq!(code(&one), 2);
    assert!(stderr(&one).contains("which of them are the baseline"), "{}", stderr(&one));
    let missing = brickproof(&["run", "wrong-port", "--baseline", "/no/such/folder"]);
    assert_eq!(code(&missing), 2);
    assert!(stderr(&missing).contains("cannot read /no/such/folder"), "{}", stderr(&missing));
}
