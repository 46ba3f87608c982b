//! A history in an SQLite file, through the real binary. The same on PostgreSQL is in `tests/history_postgres`.

#[path = "support/binary.rs"]
mod binary;
#[allow(dead_code, reason = "it serves several test binaries, each of which uses a part")]
#[path = "support/histories.rs"]
mod histories;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use binary::{brickproof, code, stderr, stdout};
use histories::{Written, eight_writers_lose_nothing, run_into};
use serde_json::{Value, json};

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

fn trends(history: &str) -> Value {
    histories::trends(history, &[])
}

#[test]
fn eight_processes_that_begin_a_file_together_lose_nothing() {
    let folder = tempfile::tempdir().expect("folder");
    eight_writers_lose_nothing(text(&folder.path().join("h.db")));
}

#[test]
fn first_bad_run_is_told_in_the_terminal_and_in_the_report_of_the_run() {
    let folder = tempfile::tempdir().expect("folder");
    let history = folder.path().join("h.db");
    let reports = folder.path().join("r");
    let scenario = |version: &str| {
        let path = folder.path().join("update.toml");
        let text = histories::UPDATE.replace("VERSION", version);
        std::fs::write(&path, text).expect("scenario");
        path
    };
    // The firmware is sound; what is expected of it is not, from the second run on.
    for (label, version, expected) in [("c1", "1.6.0", 0), ("c2", "9.9.9", 1), ("c3", "9.9.9", 1)] {
        let ran = run_into(text(&history), &reports, label, &[text(&scenario(version))]);
        assert_eq!(code(&ran), expected, "{}", stderr(&ran));
    }
    let told = brickproof(&["history", "--history", text(&history)]);
    let told = stdout(&told);
    let row = told.lines().find(|l| l.contains("update")).expect("a row");
    assert!(row.starts_with("✗ fail") && row.contains("2/3") && row.contains(", c2)"), "{told}");
    let detail = stdout(&brickproof(&["history", "update", "--history", text(&history)]));
    assert!(
        detail.contains("fails since ") && detail.contains(", c2); passed last ") && detail.contains(", c1)"),
        "{detail}"
    );
    for file in ["report.html", "summary.md", "report.json"] {
        let report = std::fs::read_to_string(reports.join(file)).expect(file);
        assert!(report.contains("fails since ") && report.contains("c2"), "{file} does not tell since when");
    }
    let page = std::fs::read_to_string(reports.join("report.html")).expect("page");
    assert!(page.contains("recovery time over 3 runs"), "the page draws how recovery went");
    // Made again, with the history, it tells the same.
    let again = folder.path().join("again");
    let newest = histories::newest_run(&reports);
    let made = brickproof(&["report", text(&newest), "--output", text(&again), "--history", text(&history)]);
    assert_eq!(code(&made), 1, "{}", stderr(&made));
    let page = std::fs::read_to_string(again.join("report.html")).expect("page");
    assert!(page.contains("fails since ") && page.contains("recovery time over 3 runs"));
}

#[test]
fn recordings_of_older_runs_are_taken_in_once() {
    let folder = tempfile::tempdir().expect("folder");
    let Written { runs, .. } = histories::written(folder.path(), 2);
    let history = folder.path().join("h.db");
    let add = |path: &Path| stdout(&brickproof(&["history", "add", text(path), "--history", text(&history)]));
    assert!(add(&runs).starts_with("4 of 4 runs are new"));
    assert!(add(&runs).starts_with("0 of 4 runs are new"));
    let trends = trends(text(&history));
    let runs: Vec<usize> =
        trends.as_array().expect("a list").iter().map(|t| t["runs"].as_array().expect("runs").len()).collect();
    assert_eq!(runs, [2, 2]);
}

/// Two machines may name a run alike: what they ran is not one run.
#[test]
fn two_runs_of_one_name_are_told_apart_by_what_they_were() {
    let folder = tempfile::tempdir().expect("folder");
    let Written { runs, .. } = histories::written(folder.path(), 2);
    let mut folders: Vec<_> = std::fs::read_dir(&runs).expect("runs").map(|e| e.expect("entry").path()).collect();
    folders.sort();
    let history = folder.path().join("h.db");
    for (n, from) in folders.iter().enumerate() {
        let machine = folder.path().join(format!("machine-{n}/20261123-091500-4711"));
        std::fs::create_dir_all(machine.parent().expect("parent")).expect("folder");
        std::fs::rename(from, &machine).expect("renamed");
        let label = format!("commit-{n}");
        let added = brickproof(&["history", "add", text(&machine), "--history", text(&history), "--label", &label]);
        assert!(stdout(&added).starts_with("2 of 2 runs are new"), "{}", stdout(&added));
    }
    for trend in trends(text(&history)).as_array().expect("a list") {
        let labels: Vec<&Value> = trend["runs"].as_array().expect("runs").iter().map(|run| &run["label"]).collect();
        assert_eq!(labels, [&json!("commit-0"), &json!("commit-1")]);
    }
}

#[test]
fn history_that_cannot_be_written_is_told_before_anything_runs() {
    let folder = tempfile::tempdir().expect("folder");
    let history = folder.path().join("h.db");
    let reports = folder.path().join("r");
    assert_eq!(code(&run_into(text(&history), &reports, "c1", &["healthy-update"])), 0);
    std::fs::set_permissions(&history, std::fs::Permissions::from_mode(0o444)).expect("read-only");
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o777)).expect("for everyone");
    let ran = not_as_root(folder.path())
        .args(["run", "healthy-update", "--history", text(&history), "--report", text(&folder.path().join("other"))])
        .output()
        .expect("the binary runs");
    assert_eq!(code(&ran), 2, "{}", stdout(&ran));
    let told = stderr(&ran);
    assert!(told.contains("cannot open the history") && told.contains("readonly database"), "{told}");
    let kept: Vec<_> = walk(&folder.path().join("other"));
    assert!(!kept.iter().any(|f| f.extension().is_some_and(|e| e == "jsonl")), "nothing ran: {kept:?}");
    // What reads it does not write, and so works.
    let read = not_as_root(folder.path()).args(["history", "--history", text(&history)]).output().expect("runs");
    assert!(stdout(&read).contains("healthy-update"), "{}", stderr(&read));
}

#[test]
fn what_is_no_history_is_told_with_what_to_do() {
    let folder = tempfile::tempdir().expect("folder");
    let file = folder.path().join("notes.txt");
    std::fs::write(&file, "no database, but longer than the header of one would be, by some words").expect("written");
    let absent = folder.path().join("absent.db");
    for (arguments, words) in [
        (vec!["history"], "no history is named"),
        (vec!["history", "--history", text(&absent)], "begins one"),
        (vec!["history", "--history", text(&file)], "file is not a database"),
        (vec!["run", "healthy-update", "--history", text(&file)], "file is not a database"),
        (
            vec!["history", "--history", "mysql://root:s3cret@localhost/x"],
            "a history is a file (SQLite) or a postgres:// URL",
        ),
        (vec!["dashboard", "--history", text(&absent)], "begins one"),
    ] {
        let ran = brickproof(&arguments);
        assert_eq!(code(&ran), 2, "{arguments:?}");
        assert!(stderr(&ran).contains(words) && !stderr(&ran).contains("s3cret"), "{arguments:?}: {}", stderr(&ran));
    }
    assert!(!absent.exists());
}

/// The binary as a user who is not root, to whom alone permissions apply.
fn not_as_root(folder: &Path) -> Command {
    if !rustix::process::geteuid().is_root() {
        return Command::new(env!("CARGO_BIN_EXE_brickproof"));
    }
    // Where the binary is, other users may have no way.
    let copy = folder.join("brickproof");
    if !copy.exists() {
        std::fs::copy(env!("CARGO_BIN_EXE_brickproof"), &copy).expect("copied");
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(copy).current_dir(folder);
    command
}

fn walk(folder: &Path) -> Vec<std::path::PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let paths = entries.map(|e| e.expect("entry").path());
    paths.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] }).collect()
}
