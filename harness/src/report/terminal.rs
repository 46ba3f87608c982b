//! What a person sees in the terminal: the table, and for what did not pass, why.

use std::fmt::Write as _;

use super::model::{Line, Report, ScenarioReport, Status, time_words};

/// ANSI colours; removed by the stream where the terminal wants none.
fn colour(status: Status) -> &'static str {
    match status {
        Status::Pass => "\u{1b}[32m",
        Status::Skip => "\u{1b}[2m",
        Status::Fail => "\u{1b}[31m",
        Status::Error => "\u{1b}[33m",
    }
}

const RESET: &str = "\u{1b}[0m";
const BOLD: &str = "\u{1b}[1m";

/// The table of a run and its last line.
#[must_use]
pub fn table(report: &Report) -> String {
    let mut text = String::new();
    let width = report.scenarios.iter().map(|s| label(s).chars().count()).max().unwrap_or(0).max(8);
    let boards = report.scenarios.iter().map(|s| s.board.chars().count() + s.chip.len() + 3).max().unwrap_or(0).max(5);
    let _ = writeln!(
        text,
        "{BOLD}verdict  {:<width$}  {:<boards$}  {:>12}  {:>9}{RESET}",
        "scenario", "board", "run time", "wall time"
    );
    for s in &report.scenarios {
        let board = format!("{} ({})", s.board, s.chip);
        let _ = writeln!(
            text,
            "{}{} {:<6}{RESET} {:<width$}  {board:<boards$}  {:>12}  {:>9}",
            colour(s.status),
            s.status.sign(),
            s.status.word(),
            label(s),
            time_words(s.run_ms),
            time_words(s.wall_ms),
        );
    }
    let count = |status| report.scenarios.iter().filter(|s| s.status == status).count();
    let covered: u64 = report.scenarios.iter().map(|s| s.run_ms).sum();
    let mut parts = vec![format!("{} passed", count(Status::Pass))];
    for (status, word) in
        [(Status::Fail, "failed"), (Status::Error, "not judged (rig error)"), (Status::Skip, "skipped")]
    {
        if count(status) > 0 {
            parts.push(format!("{} {word}", count(status)));
        }
    }
    let _ = writeln!(
        text,
        "\n{BOLD}{}{RESET}; {} of run time in {} of wall time",
        parts.join(", "),
        time_words(covered),
        time_words(report.wall_ms)
    );
    text
}

fn label(scenario: &ScenarioReport) -> String {
    if scenario.attempt > 1 { format!("{} #{}", scenario.name, scenario.attempt) } else { scenario.name.clone() }
}

/// Why a scenario did not pass: the expectation with its place, the evidence of both sides, the likely cause.
#[must_use]
pub fn explanation(scenario: &ScenarioReport) -> String {
    let mut text = String::new();
    let tint = colour(scenario.status);
    let _ =
        writeln!(text, "{tint}{BOLD}{} {} {}{RESET}", scenario.status.sign(), scenario.status.word(), label(scenario));
    if let Some(reason) = &scenario.reason {
        let _ = writeln!(text, "  {reason}");
    }
    for e in scenario.expectations.iter().filter(|e| e.status != Status::Pass) {
        let _ = writeln!(text, "  {tint}{}{RESET} {}", e.status.word(), e.label);
        let _ = writeln!(text, "    at {}:{}:{}", scenario.file, e.line, e.column);
        for line in e.source.lines() {
            let _ = writeln!(text, "    | {line}");
        }
        let _ = writeln!(text, "    found: {}", e.found);
        lines(&mut text, &e.evidence);
    }
    if let Some(cause) = &scenario.cause {
        let _ = writeln!(
            text,
            "  {BOLD}likely cause:{RESET} {}\n  {BOLD}what to do:{RESET} {}",
            cause.sentence, cause.advice
        );
    }
    text
}

/// At most this many evidence lines are printed for one expectation; the report holds them all.
const SHOWN: usize = 24;

fn lines(text: &mut String, evidence: &[Line]) {
    let skipped = evidence.len().saturating_sub(SHOWN);
    if skipped > 0 {
        let _ = writeln!(text, "      ({skipped} earlier lines are in the report)");
    }
    for line in &evidence[skipped..] {
        let mark = if line.deciding { '>' } else { ' ' };
        let at = format!("{}.{:03}", line.at_ms / 1000, line.at_ms % 1000);
        let _ = writeln!(text, "    {mark} {at:>10} s  {:<7}  {}", line.side.word(), safe(&line.text));
    }
}

/// Console text as a terminal can show it: no escape sequence of the device's reaches the user's terminal.
#[must_use]
pub fn safe(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}
