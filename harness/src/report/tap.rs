//! The report as TAP, version 14 (testanything.org): one point for each run, what went wrong as a YAML block beneath it.

use std::fmt::Write as _;

use super::junit::headline;
use super::model::{Report, ScenarioReport, Status};

/// The report's text.
#[must_use]
pub fn render(report: &Report) -> String {
    let mut text = format!("TAP version 14\n1..{}\n", report.scenarios.len());
    for (number, scenario) in (1..).zip(&report.scenarios) {
        let ok = if matches!(scenario.status, Status::Pass | Status::Skip) { "ok" } else { "not ok" };
        let repeat = if scenario.attempt > 1 { format!(", repeat {}", scenario.attempt) } else { String::new() };
        let name = format!("{} ({}, {}{repeat})", scenario.name, scenario.board, scenario.chip);
        let _ = write!(text, "{ok} {number} - {}", escaped(&name));
        if scenario.status == Status::Skip {
            let _ = write!(text, " # SKIP {}", escaped(&headline(scenario)));
        }
        text.push('\n');
        if matches!(scenario.status, Status::Fail | Status::Error) {
            text.push_str(&block(scenario));
        }
    }
    for problem in &report.problems {
        let _ = writeln!(text, "# problem: {}", one_line(problem));
    }
    text
}

fn block(scenario: &ScenarioReport) -> String {
    let mut text = "  ---\n".to_owned();
    // A JSON string is a YAML string too, whatever a device wrote.
    let mut add = |key: &str, value: &str| {
        let _ = writeln!(text, "  {key}: {}", serde_json::Value::from(value));
    };
    add("severity", if scenario.status == Status::Fail { "fail" } else { "rig error" });
    add("message", &headline(scenario));
    if let Some(cause) = &scenario.cause {
        add("cause", &cause.sentence);
    }
    if let Some(recording) = &scenario.recording {
        add("recording", recording);
    }
    text.push_str("  ...\n");
    text
}

/// A description: `#` begins a directive, and a backslash escapes.
fn escaped(text: &str) -> String {
    one_line(text).replace('\\', "\\\\").replace('#', "\\#")
}

fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_run_is_a_point_and_what_went_wrong_stands_beneath_it() {
        let mut skipped = ScenarioReport::example("port #2", 1, Status::Skip);
        skipped.reason = Some("no power switch".to_owned());
        let mut failed = ScenarioReport::example("wrong-port", 2, Status::Fail);
        failed.reason = Some("it said \"no\"\n  ...\nok 9".to_owned());
        let scenarios = vec![ScenarioReport::example("healthy", 1, Status::Pass), skipped, failed];
        let report = Report { scenarios, problems: vec!["not\nwritten".to_owned()], ..Report::example() };
        insta::assert_snapshot!(render(&report));
    }
}
