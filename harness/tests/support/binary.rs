//! The real binary, run as a user runs it.
#![allow(dead_code, reason = "each test binary uses a part")]

use std::process::{Command, Output};

/// Runs the binary to its end.
pub(crate) fn brickproof(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_brickproof"))
        .args(arguments)
        .env_remove("RUST_LOG")
        .output()
        .expect("the binary runs")
}

/// Its exit code.
pub(crate) fn code(output: &Output) -> i32 {
    output.status.code().expect("an exit code")
}

/// What it printed.
pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Diagnostics wrap their lines: words matter, not where they break.
pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr)
        .replace(['│', '×', '╰', '─', '▶'], " ")
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
}
