//! What a person sees in the terminal: the table, and for what did not pass, why.

use std::fmt::Write as _;

use super::model::{Line, Report, ScenarioReport, Status, time_words};
use super::repeats;

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

/// The table of a run and its last lines. Repeats of a scenario share a row.
#[must_use]
pub fn table(report: &Report) -> String {
    let mut text = String::new();
    let all = repeats::of(report);
    let repeated = all.iter().any(|r| r.runs > 1);
    let width = all.iter().map(|r| r.first.name.chars().count()).max().unwrap_or(0).max(8);
    let boards = all.iter().map(|r| board(r.first).chars().count()).max().unwrap_or(0).max(5);
    let runs = if repeated { format!("{:>6}  ", "runs") } else { String::new() };
    let _ = writeln!(
        text,
        "{BOLD}verdict  {:<width$}  {:<boards$}  {runs}{:>12}  {:>10}{RESET}",
        "scenario", "board", "run time", "wall time"
    );
    for r in &all {
        let status = r.worst();
        let runs = if repeated { format!("{:>6}  ", r.runs) } else { String::new() };
        let _ = write!(
            text,
            "{}{} {:<6}{RESET} {:<width$}  {:<boards$}  {runs}{:>12}  {:>10}",
            colour(status),
            status.sign(),
            status.word(),
            r.first.name,
            board(r.first),
            time_words(r.run_ms),
            time_words(r.wall_ms),
        );
        if r.is_flaky() {
            let _ = write!(text, "  {BOLD}flaky:{RESET} {}", counts(&r.counts));
        }
        text.push('\n');
    }
    let skips = repeats::skips(report);
    if !skips.is_empty() {
        text.push('\n');
    }
    for skip in skips {
        let _ = writeln!(text, "{}{} {skip}{RESET}", colour(Status::Skip), Status::Skip.sign());
    }
    let mut sum = all.first().map_or([(Status::Pass, 0); 4], |r| r.counts.map(|(status, _)| (status, 0)));
    for (n, (_, count)) in sum.iter_mut().enumerate() {
        *count = all.iter().map(|r| r.counts[n].1).sum();
    }
    let covered = report.scenarios.iter().map(|s| s.run_ms).sum();
    let _ = writeln!(
        text,
        "\n{BOLD}{}{RESET}; {} of run time in {} of wall time",
        counts(&sum),
        time_words(covered),
        time_words(report.wall_ms)
    );
    let (passed, judged) = (sum[0].1, sum[0].1 + sum[2].1 + sum[3].1);
    if repeated && passed == judged && judged > 0 {
        let places = if judged > 1000 { 3 } else { 1 };
        let bound = 100.0 * repeats::bound_of_none(judged);
        let _ = writeln!(
            text,
            "0 of {judged} runs had another verdict than pass: its rate is at most {bound:.places$} % (95 % confidence)"
        );
    }
    text
}

fn board(scenario: &ScenarioReport) -> String {
    format!("{} ({})", scenario.board, scenario.chip)
}

/// "198 passed, 2 failed".
fn counts(counts: &[(Status, usize)]) -> String {
    let words = [
        (Status::Pass, "passed"),
        (Status::Fail, "failed"),
        (Status::Error, "not judged (rig error)"),
        (Status::Skip, "skipped"),
    ];
    let told = words.iter().filter_map(|(status, word)| {
        let n = counts.iter().find(|(of, _)| of == status)?.1;
        (n > 0 || *status == Status::Pass).then(|| format!("{n} {word}"))
    });
    told.collect::<Vec<_>>().join(", ")
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

#[cfg(test)]
mod tests {
    use super::super::model::{FORMAT, Report};
    use super::*;

    fn shown(scenarios: Vec<ScenarioReport>) -> String {
        let (made_by, began) = ("test".to_owned(), "now".to_owned());
        let report = Report {
            format: FORMAT,
            made_by,
            began,
            wall_ms: 250,
            scenarios,
            problems: vec![],
            changes: None,
            past: None,
        };
        let text = table(&report);
        [BOLD, RESET, "\u{1b}[2m", "\u{1b}[32m", "\u{1b}[31m", "\u{1b}[33m"]
            .iter()
            .fold(text, |text, code| text.replace(code, ""))
    }

    #[test]
    fn verdict_that_differs_between_repeats_is_shown_as_flaky_with_its_rate() {
        let runs = (1..=3).flat_map(|n| {
            let flaky = if n == 2 { Status::Fail } else { Status::Pass };
            [ScenarioReport::example("steady", n, Status::Pass), ScenarioReport::example("wavering", n, flaky)]
        });
        insta::assert_snapshot!(shown(runs.collect()), @r"
        verdict  scenario  board                runs      run time   wall time
        ✓ pass   steady    virtual (esp32c3)       3     3 min 0 s     0.300 s
        ✗ fail   wavering  virtual (esp32c3)       3     3 min 0 s     0.300 s  flaky: 2 passed, 1 failed

        5 passed, 1 failed; 6 min 0 s of run time in 0.250 s of wall time
        ");
    }

    #[test]
    fn repeats_without_another_verdict_tell_how_much_that_proves() {
        let text = shown((1..=59).map(|n| ScenarioReport::example("steady", n, Status::Pass)).collect());
        assert!(text.contains("0 of 59 runs had another verdict than pass: its rate is at most 5.0 %"), "{text}");
        let once = shown(vec![
            ScenarioReport::example("steady", 1, Status::Pass),
            ScenarioReport::example("other", 1, Status::Skip),
        ]);
        assert!(!once.contains("rate") && !once.contains("runs"), "{once}");
        assert!(once.contains("\n– 1 skipped: no reason is known (other)\n"), "{once}");
    }
}
