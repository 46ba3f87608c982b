//! Keeps what ARCHITECTURE.md promises of each module: what it must never know, checked by what it imports.

use std::fs;
use std::path::{Path, PathBuf};

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display())) {
        let path = entry.expect("entry").path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
    found
}

/// Code before the first `#[cfg(test)]`, without comments.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).expect("source");
    let text = text.split("#[cfg(test)]").next().unwrap_or_default().to_owned();
    text.lines().filter(|l| !l.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

fn must_not_know(module: &str, words: &[&str]) {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(module);
    let files = if source.is_dir() { sources(&source) } else { vec![source.with_extension("rs")] };
    assert!(!files.is_empty(), "{module} has no source: does ARCHITECTURE.md still name it rightly?");
    for file in files {
        let code = code(&file);
        for word in words {
            assert!(!code.contains(word), "{} must not know {word} (ARCHITECTURE.md)", file.display());
        }
    }
}

const CLOCKS: &[&str] = &["Instant", "SystemTime", "tokio::"];
const IO: &[&str] = &["std::fs", "std::net", "std::io::std", "std::process", "println!", "eprintln!"];

#[test]
fn judge_does_no_io_and_asks_no_clock() {
    must_not_know("judge", CLOCKS);
    must_not_know("judge", IO);
    must_not_know("judge", &["crate::board", "crate::engine", "crate::rig", "crate::report"]);
}

#[test]
fn timeline_knows_neither_judges_nor_reports() {
    must_not_know("timeline", &["crate::judge", "crate::report", "crate::engine", "crate::board"]);
}

#[test]
fn reports_are_made_from_timelines_and_verdicts_alone() {
    must_not_know("report", CLOCKS);
    must_not_know("report", &["crate::board", "crate::rig", "crate::engine", "virtual_esp32", "std::net"]);
}

#[test]
fn history_knows_no_runs_and_its_trends_are_pure() {
    must_not_know(
        "history",
        &["crate::board", "crate::rig", "crate::engine", "crate::run", "crate::cli", "std::process"],
    );
    must_not_know("history/trend.rs", CLOCKS);
    must_not_know("history/trend.rs", IO);
}

#[test]
fn dashboard_writes_nothing() {
    must_not_know(
        "dashboard",
        &["Access::Write", "fs::write", "File::create", "crate::board", "crate::rig", "crate::engine"],
    );
}

#[test]
fn boards_know_no_scenarios() {
    must_not_know("board", &["crate::scenario", "crate::judge", "crate::engine", "crate::report"]);
}

#[test]
fn console_and_dialect_are_pure() {
    must_not_know("console", CLOCKS);
    must_not_know("console", &["crate::board", "crate::scenario", "crate::judge", "std::net"]);
    must_not_know("dialect", CLOCKS);
}

#[test]
fn secrets_are_known_without_files_sockets_clocks_and_boards() {
    for module in ["secrets", "../../fixtures/ota-server/src/secrets"] {
        must_not_know(module, CLOCKS);
        must_not_know(module, IO);
        must_not_know(
            module,
            &["std::env::", "crate::board", "crate::rig", "crate::engine", "crate::settings", "crate::server"],
        );
    }
}

#[test]
fn nothing_but_main_ends_the_process() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for file in sources(&source).iter().filter(|f| !f.ends_with("main.rs")) {
        assert!(!code(file).contains("process::exit"), "{} ends the process", file.display());
    }
}

#[test]
fn images_know_neither_scenarios_nor_how_a_board_is_reached() {
    must_not_know("image", CLOCKS);
    must_not_know("image", &["crate::scenario", "crate::judge", "crate::engine", "crate::report", "serialport"]);
}
