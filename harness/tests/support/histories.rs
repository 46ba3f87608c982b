//! Runs that are kept in a history, in whichever database it is.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

use crate::binary::{brickproof, code, stderr};

/// A scenario of which the expected version is to be filled in: with 1.6.0 it passes.
pub(crate) const UPDATE: &str = r#"
summary = "An update through a reset"
device-time = "2min"
requires = ["flash", "provision", "reset"]
faults = [{ fault = { reset-at = { at = "50%" } }, on = "download", count = 1 }]
[image]
flash = "1.5.9"
offer = "1.6.0"
[provision]
ota-url = "{server.url}"
[[step]]
name = "update"
until = { event = "marked-valid" }
within = "3min"
[[expect]]
boots = { version = "VERSION", slot = "other" }
until-end = true
"#;

/// The binary, about to run scenarios on the virtual board into a history.
fn runs_into(history: &str, reports: &Path, label: &str, scenarios: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_brickproof"));
    command.arg("run").args(scenarios).args(["--history", history, "--label", label, "--quiet", "--report"]);
    command.arg(reports).env_remove("RUST_LOG");
    command
}

/// Runs scenarios on the virtual board into a history.
pub(crate) fn run_into(history: &str, reports: &Path, label: &str, scenarios: &[&str]) -> Output {
    runs_into(history, reports, label, scenarios).output().expect("the binary runs")
}

/// The trends as `history --json` tells them.
pub(crate) fn trends(history: &str, more: &[&str]) -> Value {
    let told = brickproof(&[&["history", "--history", history, "--json"], more].concat());
    assert_eq!(code(&told), 0, "{}", stderr(&told));
    serde_json::from_slice(&told.stdout).expect("JSON")
}

/// Recordings of runs that no history knows.
pub(crate) struct Written {
    /// The folder of the runs' folders, with two recordings in each.
    pub(crate) runs: PathBuf,
}

/// Runs two scenarios so many times.
pub(crate) fn written(folder: &Path, times: usize) -> Written {
    let reports = folder.join("written");
    for _ in 0..times {
        let ran = brickproof(&[
            "run",
            "healthy-update",
            "wrong-port",
            "--quiet",
            "--report",
            reports.to_str().expect("UTF-8"),
        ]);
        assert_eq!(code(&ran), 0, "{}", stderr(&ran));
    }
    Written { runs: reports.join("runs") }
}

/// The folder of the run that began last.
pub(crate) fn newest_run(reports: &Path) -> PathBuf {
    let runs = std::fs::read_dir(reports.join("runs")).expect("runs").map(|e| e.expect("entry").path());
    runs.max_by_key(|run| std::fs::metadata(run).and_then(|m| m.created()).expect("a time")).expect("a run")
}

/// Eight processes run scenarios into one history at once, and three recordings each are in it afterwards.
pub(crate) fn eight_writers_lose_nothing(history: &str) {
    let folder = tempfile::tempdir().expect("folder");
    let labels: Vec<String> = (0..8).map(|n| format!("writer-{n}")).collect();
    let begun: Vec<Child> = labels
        .iter()
        .map(|label| {
            let scenarios = ["healthy-update", "wrong-port", "server-flaps"];
            let mut command = runs_into(history, &folder.path().join(label), label, &scenarios);
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary runs")
        })
        .collect();
    for child in begun {
        let ran = child.wait_with_output().expect("it ends");
        let said = String::from_utf8_lossy(&ran.stdout).into_owned();
        assert!(code(&ran) == 0 && !said.contains("warning"), "{said}{}", stderr(&ran));
    }
    let trends = trends(history, &[]);
    let trends = trends.as_array().expect("a list");
    assert_eq!(trends.len(), 3);
    for trend in trends {
        let runs = trend["runs"].as_array().expect("runs");
        let mut kept: Vec<&str> = runs.iter().map(|run| run["label"].as_str().expect("a label")).collect();
        kept.sort_unstable();
        assert_eq!(kept, labels, "{}", trend["scenario"]);
    }
}
