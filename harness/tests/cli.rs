//! The real binary: exit codes, messages for bad input, reports on disk.

use std::path::{Path, PathBuf};

#[path = "support/binary.rs"]
mod binary;

use binary::{brickproof, code, stderr, stdout};

fn recordings(folder: &Path) -> Vec<PathBuf> {
    let runs = std::fs::read_dir(folder.join("runs")).expect("runs");
    runs.flat_map(|run| std::fs::read_dir(run.expect("run").path()).expect("run folder"))
        .map(|file| file.expect("file").path())
        .collect()
}

#[test]
fn the_case_runs_passes_and_is_judged_the_same_from_its_recording_alone() {
    let folder = tempfile::tempdir().expect("folder");
    let report = folder.path().join("report");
    let ran = brickproof(&["run", "wrong-port", "--report", report.to_str().expect("path")]);
    assert_eq!(code(&ran), 0, "{}", stdout(&ran));
    assert!(stdout(&ran).contains("1 passed") && stdout(&ran).contains("report.html"));
    let html = std::fs::read_to_string(report.join("report.html")).expect("page");
    assert!(html.contains("wrong-port"));
    let xml = std::fs::read_to_string(report.join("junit.xml")).expect("junit");
    assert!(xml.contains("tests=\"1\"") && !xml.contains("<failure") && !xml.contains("<error"), "{xml}");

    let recording = recordings(&report).pop().expect("a recording");
    let judged = brickproof(&["judge", recording.to_str().expect("path")]);
    assert_eq!(code(&judged), 0, "{}", stdout(&judged));

    // Cut off in the middle, as after a crash: abandoned, never passed.
    let text = std::fs::read(&recording).expect("recording");
    let cut = folder.path().join("cut.jsonl");
    std::fs::write(&cut, &text[..text.len() / 2]).expect("cut");
    let judged = brickproof(&["judge", cut.to_str().expect("path")]);
    assert_eq!(code(&judged), 3, "{}", stdout(&judged));
}

#[test]
fn failing_firmware_is_exit_1_with_place_evidence_and_cause() {
    let folder = tempfile::tempdir().expect("folder");
    let scenario = folder.path().join("impatient.toml");
    // Nobody corrects the URL, yet an update is expected.
    let text = r#"
summary = "an update that cannot happen"
device-time = "1min"
[image]
flash = "1.5.9"
offer = "1.6.0"
[provision]
ota-url = "http://{server.host}/xiaozhi/ota/"
[[expect]]
boots = { version = "1.6.0", slot = "other" }
within = "90s"
"#;
    std::fs::write(&scenario, text).expect("scenario");
    let report = folder.path().join("report");
    let ran = brickproof(&["run", scenario.to_str().expect("path"), "--report", report.to_str().expect("path")]);
    let out = stdout(&ran);
    assert_eq!(code(&ran), 1, "{out}");
    assert!(out.contains("impatient.toml:9:1"), "the expectation's place: {out}");
    assert!(out.contains("| within = \"90s\""), "the expectation as it stands in the file: {out}");
    assert!(out.contains("version 1.5.9 runs from ota_0"), "{out}");
    assert!(out.contains("likely cause") && out.contains("8002"), "the cause names the port: {out}");
    let xml = std::fs::read_to_string(report.join("junit.xml")).expect("junit");
    assert!(xml.contains("<failure") && !xml.contains("<error"), "{xml}");
}

#[test]
fn misspelt_key_is_exit_2_with_file_line_and_meaning() {
    let folder = tempfile::tempdir().expect("folder");
    let scenario = folder.path().join("typo.toml");
    std::fs::write(&scenario, "sumary = \"x\"\n").expect("scenario");
    for command in ["check", "run"] {
        let output = brickproof(&[command, scenario.to_str().expect("path")]);
        assert_eq!(code(&output), 2);
        let text = stderr(&output);
        assert!(text.contains("unknown field `sumary`") && text.contains("did you mean `summary`?"), "{text}");
        assert!(text.contains("typo.toml:1:1"), "{text}");
    }
}

#[test]
fn absent_port_and_port_that_is_no_esp_are_rig_errors_not_failures() {
    let folder = tempfile::tempdir().expect("folder");
    let report = folder.path().join("report");
    let report = report.to_str().expect("path");
    let refused = brickproof(&["run", "healthy-update", "--board", "/dev/no-such-port", "--report", report]);
    assert_eq!(code(&refused), 2, "a virtual-only image is refused on a real port: {}", stderr(&refused));
    assert!(stderr(&refused).contains("runs on virtual only"), "{}", stderr(&refused));

    let absent = brickproof(&[
        "run",
        "healthy-update",
        "--board",
        "/dev/no-such-port",
        "--reset",
        "virtual:/no/such.sock",
        "--report",
        report,
    ]);
    assert_eq!(code(&absent), 3, "{}", stdout(&absent));
    assert!(stdout(&absent).contains("there is no such port"), "{}", stdout(&absent));
}

#[test]
fn report_folder_that_cannot_be_written_is_found_before_the_run() {
    let folder = tempfile::tempdir().expect("folder");
    let file = folder.path().join("file");
    std::fs::write(&file, "").expect("file");
    let output = brickproof(&["run", "healthy-update", "--report", file.to_str().expect("path")]);
    assert_eq!(code(&output), 2);
    assert!(stderr(&output).contains("cannot write the report folder"), "{}", stderr(&output));
}

#[test]
fn unknown_scenario_is_told_with_what_was_meant() {
    let output = brickproof(&["run", "wrong-prot"]);
    assert_eq!(code(&output), 2);
    assert!(stderr(&output).contains("did you mean `wrong-port`?"), "{}", stderr(&output));
}

#[test]
fn truncated_image_and_image_for_another_chip_are_refused_with_the_reason() {
    let folder = tempfile::tempdir().expect("folder");
    let images = Path::new(env!("CARGO_MANIFEST_DIR")).join("../firmware-images/images");
    let whole = std::fs::read(images.join("ota-agent-esp32-1.5.9.bin")).expect("image");
    let cut = folder.path().join("cut.bin");
    std::fs::write(&cut, &whole[..5000]).expect("cut");
    let output = brickproof(&["image", "info", cut.to_str().expect("path")]);
    assert_eq!(code(&output), 2);
    assert!(stderr(&output).contains("truncated"), "{}", stderr(&output));
}

#[test]
fn a_mebibyte_of_random_bytes_is_analysed_without_a_panic() {
    let folder = tempfile::tempdir().expect("folder");
    let file = folder.path().join("noise.log");
    let mut state = 0x2545_f491_4f6c_dd1du64;
    let noise: Vec<u8> = (0..1 << 20)
        .map(|_| {
            // xorshift64: seeded, the same noise every time.
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()[0]
        })
        .collect();
    std::fs::write(&file, noise).expect("noise");
    let output = brickproof(&["analyze", file.to_str().expect("path")]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
}

#[test]
fn url_that_is_no_url_is_told_so() {
    let output = brickproof(&["doctor", "not a url"]);
    assert_eq!(code(&output), 2, "{}", stdout(&output));
}

#[test]
fn real_time_gives_the_same_verdict_on_a_short_scenario() {
    let folder = tempfile::tempdir().expect("folder");
    let report = folder.path().join("report");
    let ran = brickproof(&["run", "healthy-update", "--real-time", "--report", report.to_str().expect("path")]);
    assert_eq!(code(&ran), 0, "{}", stdout(&ran));
}

#[test]
fn reports_are_made_again_from_recordings_of_several_runs_alone() {
    let folder = tempfile::tempdir().expect("folder");
    let path = |name: &str| folder.path().join(name).display().to_string();
    for (scenario, report) in [("healthy-update", "one"), ("truncated-image", "two")] {
        let ran = brickproof(&["run", scenario, "--report", &path(report)]);
        assert_eq!(code(&ran), 0, "{}", stdout(&ran));
    }
    let merged = brickproof(&["report", &path("one"), &path("two"), "--output", &path("both")]);
    assert_eq!(code(&merged), 0, "{}", stderr(&merged));
    assert!(stdout(&merged).contains("2 passed"), "{}", stdout(&merged));
    let json = std::fs::read_to_string(folder.path().join("both/report.json")).expect("report");
    assert!(json.contains("\"healthy-update\"") && json.contains("\"truncated-image\""), "{json}");

    let nothing = brickproof(&["report", &path("both")]);
    assert_eq!(code(&nothing), 2);
    assert!(stderr(&nothing).contains("there is no recording"), "{}", stderr(&nothing));
}

#[test]
fn page_of_a_run_is_made_again_from_its_recording_alone() {
    let folder = tempfile::tempdir().expect("folder");
    let report = folder.path().join("report");
    let report = report.to_str().expect("path");
    let ran = brickproof(&["run", "reset-mid-download", "--report", report]);
    assert_eq!(code(&ran), 0, "{}", stdout(&ran));
    let wall = regex::Regex::new(r"[0-9.]+ s wall").expect("pattern");
    // The whole page but its first lines: wall time differs by what a process takes besides its runs.
    let page = || {
        let html = std::fs::read_to_string(format!("{report}/report.html")).expect("page");
        let main = html.split_once("<main>").expect("main").1;
        wall.replace_all(main, "wall").into_owned()
    };
    let then = page();
    assert!(then.contains("application/json") && then.contains("connection 2: fault reset-at"));
    std::fs::remove_file(format!("{report}/report.html")).expect("removed");
    let again = brickproof(&["report", report]);
    assert_eq!(code(&again), 0, "{}", stderr(&again));
    assert!(page() == then, "the pages differ");
}

#[test]
fn log_lines_have_no_colours_where_stderr_is_no_terminal() {
    let folder = tempfile::tempdir().expect("folder");
    let report = folder.path().join("report").display().to_string();
    let ran = brickproof(&["-vv", "run", "healthy-update", "--report", &report]);
    let log = String::from_utf8_lossy(&ran.stderr).into_owned();
    assert!(log.contains("DEBUG") && !log.contains('\u{1b}'), "{log}");
    let json = brickproof(&["-vv", "--log-format", "json", "run", "healthy-update", "--report", &report]);
    let log = String::from_utf8_lossy(&json.stderr).into_owned();
    let objects = log.lines().filter(|line| line.starts_with('{'));
    assert!(objects.clone().count() > 0, "{log}");
    objects.for_each(|line| drop(serde_json::from_str::<serde_json::Value>(line).expect("JSON")));
}

#[test]
fn nvs_of_a_file_full_of_garbage_is_never_overwritten_by_itself() {
    let folder = tempfile::tempdir().expect("folder");
    let file = folder.path().join("nvs.bin");
    let garbage = vec![0x5a; 0x4000];
    std::fs::write(&file, &garbage).expect("file");
    let nvs = |arguments: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_brickproof"));
        let output = command.arg("nvs").args(arguments).arg("--file").arg(&file).output().expect("runs");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (code, said) = nvs(&["set", "wifi/ssid", "net"]);
    assert_eq!(code, Some(2));
    assert!(said.contains("4 damaged pages") && said.contains("erase --all"), "{said}");
    assert_eq!(std::fs::read(&file).expect("file"), garbage, "it is as it was");
    assert_eq!(nvs(&["erase", "--all"]).0, Some(0));
    assert_eq!(nvs(&["set", "wifi/ssid", "net"]).0, Some(0));
    assert_eq!(nvs(&["get", "wifi/ssid"]).0, Some(0));
    let (code, said) = nvs(&["set", "wifi", "net"]);
    assert!(code == Some(2) && said.contains("no NAMESPACE/KEY"), "{said}");
}

/// Without probe support; a program with it would look for the probe.
#[cfg(not(feature = "probe"))]
#[test]
fn probe_without_probe_support_is_a_rig_error_that_says_how_to_build_it() {
    let folder = tempfile::tempdir().expect("folder");
    let report = folder.path().to_str().expect("text");
    let output = brickproof(&[
        "run",
        "wrong-port",
        "--board",
        "/dev/null",
        "--reset",
        "virtual:/no/such.sock",
        "--probe",
        "303a:1001",
        "--report",
        report,
        "--state",
        report,
    ]);
    assert_eq!(code(&output), 3, "{}", stderr(&output));
    assert!(stdout(&output).contains("--features probe"), "{}", stdout(&output));
    let malformed = brickproof(&["run", "wrong-port", "--board", "/dev/null", "--probe", "esp-prog"]);
    assert_eq!(code(&malformed), 2);
    assert!(stderr(&malformed).contains("is no debug probe"), "{}", stderr(&malformed));
}
