//! GitHub Actions: annotations as workflow commands on stdout.
//!
//! Source: GitHub's documentation, "Workflow commands for GitHub Actions"; the escapes are those of its toolkit
//! (`@actions/core`, command.ts): `%`, CR and LF in messages, and `:` and `,` too in properties.

use std::fmt::Write as _;

use super::model::{Report, ScenarioReport};
use crate::verdict::Status;

/// GitHub shows ten annotations of a kind for each step and drops the rest.
const SHOWN: usize = 10;

/// A line for each scenario that did not pass, and for each problem of the rig.
#[must_use]
pub fn annotations(report: &Report) -> String {
    let mut text = String::new();
    let wrong = report.scenarios.iter().filter(|s| matches!(s.status, Status::Fail | Status::Error));
    let (told, more): (Vec<_>, Vec<_>) = wrong.enumerate().partition(|(index, _)| *index < SHOWN);
    for (_, scenario) in told {
        let _ = writeln!(text, "{}", annotation(scenario));
    }
    for problem in &report.problems {
        let _ = writeln!(text, "::error title=brickproof::{}", message(problem));
    }
    if !more.is_empty() {
        let _ =
            writeln!(text, "::notice title=brickproof::{} more scenarios did not pass: see the summary", more.len());
    }
    text
}

fn annotation(scenario: &ScenarioReport) -> String {
    let failed = scenario.expectations.iter().find(|e| e.status == Status::Fail);
    let mut words = match (scenario.status, failed) {
        (Status::Error, _) => "the rig failed, which says nothing of the firmware".to_owned(),
        (_, Some(expectation)) => format!("{}: {}", expectation.label, expectation.found),
        _ => "failed".to_owned(),
    };
    if let Some(reason) = &scenario.reason {
        let _ = write!(words, "\n{reason}");
    }
    if let Some(cause) = &scenario.cause {
        let _ = write!(words, "\nLikely cause: {} {}", cause.sentence, cause.advice);
    }
    let line = failed.map_or(1, |expectation| expectation.line);
    let kind = if scenario.status == Status::Error { "error (rig)" } else { "fail" };
    format!(
        "::error file={},line={line},title={}::{}",
        property(&scenario.file),
        property(&format!("{kind}: {} on {}", scenario.name, scenario.board)),
        message(&words)
    )
}

fn message(text: &str) -> String {
    let plain: String = text.chars().filter(|c| !c.is_control() || matches!(c, '\r' | '\n')).collect();
    plain.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    message(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scenario(status: Status) -> ScenarioReport {
        ScenarioReport::example("a", 1, status)
    }

    #[test]
    fn what_did_not_pass_is_annotated_and_text_cannot_break_out() {
        let mut failed = scenario(Status::Fail);
        failed.name = "a,b:c".to_owned();
        failed.reason = Some("100 %\n::error::forged\u{1b}[31m".to_owned());
        let mut report = Report { scenarios: vec![failed, scenario(Status::Pass)], ..Report::example() };
        report.problems = vec!["board b0 was not used".to_owned()];
        let text = annotations(&report);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 2, "{text}");
        assert!(lines[0].contains("title=fail%3A a%2Cb%3Ac on virtual::"), "{text}");
        assert!(lines[0].ends_with("%0A100 %25%0A::error::forged[31m"), "{text}");
        assert_eq!(lines[1], "::error title=brickproof::board b0 was not used");
    }

    #[test]
    fn more_than_github_shows_are_counted() {
        let report = Report { scenarios: vec![scenario(Status::Error); 13], ..Report::example() };
        let text = annotations(&report);
        assert_eq!(text.lines().count(), 11);
        assert!(text.ends_with("3 more scenarios did not pass: see the summary\n"), "{text}");
    }
}
