//! The report as Markdown: what a CI job shows as its summary.

use std::fmt::Write as _;

use super::model::{Changes, Report, ScenarioReport, time_words};
use super::repeats;
use crate::verdict::Status;

/// Rows of the table, and failures told in whole. GitHub refuses a summary of more than 1 MiB.
const ROWS: usize = 500;
const TOLD: usize = 20;
/// Most characters of one line of a console.
const LINE: usize = 300;

/// Renders a report.
#[must_use]
pub fn render(report: &Report) -> String {
    let count = |status| report.scenarios.iter().filter(|s| s.status == status).count();
    let (pass, fail) = (count(Status::Pass), count(Status::Fail));
    let (error, skip) = (count(Status::Error), count(Status::Skip));
    let mut text = String::from("## brickproof: ");
    text.push_str(match (fail, error, report.problems.len()) {
        (0, 0, 0) if pass > 0 => "the firmware recovered in every scenario that ran\n\n",
        (0, 0, 0) => "nothing ran\n\n",
        (0, _, _) => "the rig failed; that says nothing of the firmware\n\n",
        _ => "the firmware did not recover\n\n",
    });
    let _ =
        writeln!(text, "{pass} passed, {fail} failed, {error} rig errors, {skip} skipped; began {}.\n", report.began);
    for problem in &report.problems {
        let _ = writeln!(text, "* **Problem of the rig:** {}", inline(problem));
    }
    let skips = repeats::skips(report);
    for skip in skips.iter().take(TOLD) {
        let _ = writeln!(text, "* {}", inline(&cut(skip)));
    }
    if skips.len() > TOLD {
        let _ = writeln!(text, "* {} more reasons for skipping are in the report.", skips.len() - TOLD);
    }
    let wrong: Vec<&ScenarioReport> =
        report.scenarios.iter().filter(|s| matches!(s.status, Status::Fail | Status::Error)).collect();
    for scenario in wrong.iter().take(TOLD) {
        let past = report.past.as_ref().and_then(|past| past.scenario(scenario)?.words());
        explain(&mut text, scenario, past.as_deref());
    }
    if wrong.len() > TOLD {
        let _ = writeln!(text, "\n{} more did not pass: see the report.\n", wrong.len() - TOLD);
    }
    if let Some(changes) = &report.changes {
        compared(&mut text, changes);
    }
    table(&mut text, report);
    text
}

/// What changed since the baseline: regressions first, then what else is to be told.
fn compared(text: &mut String, changes: &Changes) {
    let _ = writeln!(text, "\n### Since the baseline {}\n", inline(&changes.baseline));
    if changes.regressions.is_empty() {
        text.push_str("No regression.\n");
    }
    for regression in changes.regressions.iter().take(TOLD) {
        let _ = writeln!(text, "* **Regression:** {}", inline(regression));
    }
    if changes.regressions.len() > TOLD {
        let _ = writeln!(text, "* {} more regressions are in the report.", changes.regressions.len() - TOLD);
    }
    if !changes.scenarios.is_empty() {
        text.push_str("\n| change | scenario | before | now | |\n| --- | --- | --- | --- | --- |\n");
    }
    for s in changes.scenarios.iter().take(TOLD) {
        let lines: Vec<String> = s.lines.iter().take(TOLD).map(|line| inline(&cut(line))).collect();
        let name = inline(&s.shown);
        let (before, now) = (s.before.words(), s.now.words());
        let _ = writeln!(text, "| {} | {name} | {before} | {now} | {} |", s.change.word(), lines.join("<br>"));
    }
    if changes.scenarios.len() > TOLD {
        let _ = writeln!(text, "\n{} more changes are in the report.", changes.scenarios.len() - TOLD);
    }
    let _ = writeln!(text, "\n{}.", inline(&changes.notes.join("; ")));
}

fn table(text: &mut String, report: &Report) {
    text.push_str("\n| | scenario | board | run time | wall time |\n| --- | --- | --- | ---: | ---: |\n");
    let all = repeats::of(report);
    for row in all.iter().take(ROWS) {
        let (first, worst) = (row.first, row.worst());
        let flaky = if row.is_flaky() { " (flaky)" } else { "" };
        let runs = if row.runs > 1 { format!(" × {}", row.runs) } else { String::new() };
        let _ = writeln!(
            text,
            "| {} {}{flaky} | {}{runs} | {} ({}) | {} | {} |",
            worst.sign(),
            worst.word(),
            inline(&first.name),
            inline(&first.board),
            inline(&first.chip),
            time_words(row.run_ms),
            time_words(row.wall_ms)
        );
    }
    if all.len() > ROWS {
        let _ = writeln!(text, "\n{} more rows are in the report.", all.len() - ROWS);
    }
}

fn explain(text: &mut String, scenario: &ScenarioReport, past: Option<&str>) {
    let word = if scenario.status == Status::Error { "Rig error" } else { "Fail" };
    let _ = writeln!(text, "\n### {word}: {} on {}\n", inline(&scenario.name), inline(&scenario.board));
    if let Some(reason) = &scenario.reason {
        let _ = writeln!(text, "{}\n", inline(reason));
    }
    if let Some(cause) = &scenario.cause {
        let _ = writeln!(text, "**Likely cause:** {} {}\n", inline(&cause.sentence), inline(&cause.advice));
    }
    if let Some(past) = past {
        let _ = writeln!(text, "In the history {}.\n", inline(past));
    }
    for expectation in scenario.expectations.iter().filter(|e| e.status == Status::Fail) {
        let place = format!("{}:{}", scenario.file, expectation.line);
        let _ = writeln!(text, "* {}: {} ({})", inline(&expectation.label), inline(&expectation.found), inline(&place));
        let lines: Vec<String> = expectation
            .evidence
            .iter()
            .map(|line| format!("{:>10}  {:<7}  {}", time_words(line.at_ms), line.side.word(), cut(&line.text)))
            .collect();
        if !lines.is_empty() {
            let _ = writeln!(text, "\n{}\n", fenced(&lines.join("\n")));
        }
    }
}

fn cut(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(LINE).collect()
}

/// Text in a paragraph or a cell: nothing in it is markup.
fn inline(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '\\' | '`' | '*' | '_' | '{' | '}' | '[' | ']' | '<' | '>' | '#' | '|' | '~' | '@' | '!' => {
                out.push('\\');
                out.push(c);
            }
            '\n' | '\r' | '\t' => out.push(' '),
            '&' => out.push_str("&amp;"),
            c if c.is_control() => {}
            c => out.push(c),
        }
    }
    out
}

/// Text in a block of its own, whose fence is longer than any in the text.
fn fenced(text: &str) -> String {
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    format!("{fence}text\n{text}\n{fence}")
}

#[cfg(test)]
mod tests {
    use super::super::model::{Cause, ExpectationReport, Line};
    use super::*;
    use crate::compare::Change;
    use crate::report::changes::Changed;
    use crate::timeline::Side;

    fn line(text: &str) -> Line {
        Line { seq: 1, at_ms: 6953, side: Side::Device, text: text.to_owned(), deciding: true }
    }

    #[test]
    fn summary_says_first_whether_firmware_or_rig_failed() {
        let report = |statuses: &[Status]| Report {
            scenarios: statuses.iter().map(|s| ScenarioReport::example("a", 1, *s)).collect(),
            ..Report::example()
        };
        for (statuses, words) in [
            (&[Status::Pass][..], "recovered in every scenario"),
            (&[Status::Pass, Status::Error], "the rig failed"),
            (&[Status::Error, Status::Fail], "the firmware did not recover"),
            (&[Status::Skip], "nothing ran"),
        ] {
            let text = render(&report(statuses));
            assert!(text.lines().next().is_some_and(|first| first.contains(words)), "{text}");
        }
    }

    #[test]
    fn reasons_for_skipping_stand_below_the_counts_and_above_what_failed() {
        let mut skipped = ScenarioReport::example("own-rollback", 1, Status::Skip);
        skipped.reason = Some("the bootloader does it".to_owned());
        let scenarios = vec![ScenarioReport::example("wrong-port", 1, Status::Fail), skipped];
        let text = render(&Report { scenarios, ..Report::example() });
        let told = text.find("* 1 skipped: the bootloader does it (own-rollback)\n").expect("told");
        assert!(text.find("1 skipped; began").is_some_and(|counts| counts < told), "{text}");
        assert!(text.find("### Fail").is_some_and(|failed| told < failed), "{text}");
    }

    #[test]
    fn failure_is_told_with_cause_place_and_evidence() {
        let mut failed = ScenarioReport::example("wrong-port", 1, Status::Fail);
        failed.file = "scenarios/wrong-port.toml".to_owned();
        failed.cause = Some(Cause { sentence: "The URL lacks :8002.".to_owned(), advice: "Add it.".to_owned() });
        failed.expectations = vec![ExpectationReport {
            label: "the device asks port 8002".to_owned(),
            status: Status::Fail,
            found: "it never did".to_owned(),
            line: 12,
            column: 1,
            source: String::new(),
            evidence: vec![line("E (7000) HTTP: <b>*no*</b> ```evil``` | \u{1b}[31m")],
        }];
        let report = Report { scenarios: vec![failed], ..Report::example() };
        insta::assert_snapshot!(render(&report));
    }

    #[test]
    fn text_of_a_device_is_no_markup() {
        assert_eq!(inline("<img src=x> | **a** `b` [c](d)\n&"), r"\<img src=x\> \| \*\*a\*\* \`b\` \[c\](d) &amp;");
        assert!(fenced("```` x").starts_with("`````text\n"));
    }

    #[test]
    fn what_changed_since_the_baseline_is_told_with_its_regressions_first() {
        let changed = Changed {
            name: "wrong-port".to_owned(),
            chip: "esp32c3".to_owned(),
            warped: true,
            shown: "wrong-port (esp32c3)".to_owned(),
            change: Change::NewlyFailing,
            before: (0, 10).into(),
            now: (10, 10).into(),
            lines: vec!["new error line: <b>|pipe".to_owned(), "back-off was constant, is doubling".to_owned()],
        };
        let changes = Changes {
            baseline: "nightly/monday".to_owned(),
            regressions: vec!["wrong-port: it passed, and fails now".to_owned()],
            scenarios: vec![changed],
            notes: vec!["11 of 12 scenarios pass as before".to_owned()],
        };
        let scenarios = vec![ScenarioReport::example("wrong-port", 1, Status::Fail)];
        insta::assert_snapshot!(render(&Report { scenarios, changes: Some(changes), ..Report::example() }));
    }
}
