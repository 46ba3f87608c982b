//! A history on PostgreSQL: a real server, through the real binary.

#[path = "../support/binary.rs"]
mod binary;
#[allow(dead_code, reason = "it serves several test binaries, each of which uses a part")]
#[path = "../support/histories.rs"]
mod histories;
mod postgres;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use binary::{brickproof, code, stderr, stdout};
use histories::{Written, run_into, trends};
use outside_tools::Need;
use postgres::{PASSWORD, Postgres};

fn main() -> ExitCode {
    outside_tools::main(
        &[Need::Program("postgres"), Need::Program("initdb")],
        outside_tools::tests![
            eight_processes_that_begin_a_history_together_lose_nothing,
            same_recordings_tell_the_same_as_in_a_file,
            server_that_vanishes_while_a_run_goes_is_a_warning_and_the_run_is_taken_in_later,
            server_that_is_not_there_is_told_without_its_password,
        ],
    )
}

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

fn eight_processes_that_begin_a_history_together_lose_nothing() {
    let server = Postgres::start();
    histories::eight_writers_lose_nothing(&server.url());
}

fn same_recordings_tell_the_same_as_in_a_file() {
    let folder = tempfile::tempdir().expect("folder");
    let Written { runs } = histories::written(folder.path(), 2);
    let server = Postgres::start();
    let (url, file) = (server.url(), folder.path().join("h.db"));
    for history in [url.as_str(), text(&file)] {
        for new in ["4 of 4", "0 of 4"] {
            let added = brickproof(&["history", "add", text(&runs), "--history", history]);
            assert!(stdout(&added).starts_with(new), "{history}: {}{}", stdout(&added), stderr(&added));
        }
    }
    assert_eq!(trends(&url, &[]), trends(text(&file), &[]));
    assert_eq!(trends(&url, &["wrong-port", "--board", "virtual"]), trends(text(&file), &["wrong-port"]));
}

fn server_that_vanishes_while_a_run_goes_is_a_warning_and_the_run_is_taken_in_later() {
    let folder = tempfile::tempdir().expect("folder");
    let reports = folder.path().join("r");
    let mut server = Postgres::start();
    let url = server.url();
    let run = Command::new(env!("CARGO_BIN_EXE_brickproof"))
        .args(["run", "healthy-update", "--real-time", "--ci", "--history", &url, "--report", text(&reports)])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    // The server was looked at before the run began; the device boots by now.
    until(|| {
        recording(&reports).is_some_and(|file| std::fs::read_to_string(file).is_ok_and(|t| t.contains("rst:0x1")))
    });
    server.vanish();
    let ran = run.wait_with_output().expect("it ends");
    assert_eq!(code(&ran), 0, "the verdict is the device's: {}{}", stdout(&ran), stderr(&ran));
    let told = stdout(&ran);
    assert!(told.contains("warning: cannot open the history") && told.contains("brickproof history add"), "{told}");
    assert!(!told.contains(PASSWORD) && !stderr(&ran).contains(PASSWORD), "{told}");
    for file in ["report.html", "junit.xml", "report.json", "summary.md", "results.tap", "metrics.txt"] {
        assert!(reports.join(file).is_file(), "{file}");
    }
    let judged = brickproof(&["judge", text(&recording(&reports).expect("recording"))]);
    assert_eq!(code(&judged), 0, "{}", stdout(&judged));
    // What the warning says to do.
    server.start_again();
    for new in ["1 of 1", "0 of 1"] {
        let added = brickproof(&["history", "add", text(&reports.join("runs")), "--history", &url]);
        assert!(stdout(&added).starts_with(new), "{}{}", stdout(&added), stderr(&added));
    }
    assert_eq!(trends(&url, &[])[0]["runs"][0]["passed"], 1);
}

fn server_that_is_not_there_is_told_without_its_password() {
    let folder = tempfile::tempdir().expect("folder");
    let mut server = Postgres::start();
    let url = server.url();
    server.vanish();
    let ran = run_into(&url, &folder.path().join("r"), "c1", &["healthy-update"]);
    assert_eq!(code(&ran), 0, "{}", stderr(&ran));
    assert_eq!(stdout(&ran).matches("warning: ").count(), 2, "before and after: {}", stdout(&ran));
    let read = brickproof(&["history", "--history", &url]);
    assert_eq!(code(&read), 2);
    for said in [stdout(&ran), stderr(&ran), stderr(&read)] {
        assert!(!said.contains(PASSWORD), "{said}");
    }
    assert!(stderr(&read).contains("cannot open the history postgres://brickproof:***@localhost"), "{}", stderr(&read));
}

/// The one recording of a report folder.
fn recording(reports: &Path) -> Option<PathBuf> {
    let run = std::fs::read_dir(reports.join("runs")).ok()?.next()?.ok()?.path();
    let mut files = std::fs::read_dir(run).ok()?.filter_map(|e| Some(e.ok()?.path()));
    files.find(|f| f.extension().is_some_and(|e| e == "jsonl"))
}

/// Waits for what is about to happen; the guard only ends a test that would never end.
fn until(done: impl Fn() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < Duration::from_secs(120), "it never happened");
        std::thread::sleep(Duration::from_millis(20));
    }
}
