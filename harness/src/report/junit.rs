//! JUnit XML: `<failure>` where the firmware failed, `<error>` where the rig did, `<skipped>` where nothing was tried.
//!
//! There is no standard. The form kept to is the strictest in use, the schema that Jenkins' xUnit plugin refuses files by
//! (`junit-10.xsd`): a test case has no properties and no number of assertions there. What is known of a case stands at the begin
//! of its output, which GitHub's actions, GitLab and Jenkins all show.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::Duration;

use quick_junit::{NonSuccessKind, Report as Junit, TestCase, TestCaseStatus, TestSuite};

use super::model::{Report, ScenarioReport, Status, time_words};
use super::repeats::{self, Repeats};

/// The report as JUnit XML. Characters that XML cannot hold are removed by the writer.
///
/// # Errors
///
/// The XML writer's error, in words.
pub fn render(report: &Report) -> Result<String, String> {
    let mut junit = Junit::new("brickproof");
    junit.set_time(Duration::from_millis(report.wall_ms));
    let all = repeats::of(report);
    let mut boards: Vec<&str> = report.scenarios.iter().map(|s| s.board.as_str()).collect();
    boards.sort_unstable();
    boards.dedup();
    for board in boards {
        let mut suite = TestSuite::new(board);
        let chips: BTreeSet<&str> =
            report.scenarios.iter().filter(|s| s.board == board).map(|s| s.chip.as_str()).collect();
        suite.add_property(("board", board));
        suite.add_property(("chip", chips.into_iter().collect::<Vec<_>>().join(", ").as_str()));
        suite.add_property(("made-by", report.made_by.as_str()));
        suite.add_property(("began", report.began.as_str()));
        suite.add_test_cases(report.scenarios.iter().filter(|s| s.board == board).map(|s| case(s, &all)));
        junit.add_test_suite(suite);
    }
    let xml = junit.to_string().map_err(|e| e.to_string())?;
    Ok(without_skipped_of_all(&xml))
}

/// The writer gives `testsuites` a number of skipped cases, which the schema does not know; each `testsuite` has its own.
fn without_skipped_of_all(xml: &str) -> String {
    let parts = xml.split_once("<testsuites").and_then(|(head, rest)| Some((head, rest.split_once('>')?)));
    let Some((head, (attributes, rest))) = parts else { return xml.to_owned() };
    // Attribute values are escaped: a name that holds this text has `&quot;` in place of its quotes.
    let kept =
        attributes.split_once(" skipped=\"").and_then(|(before, after)| Some((before, after.split_once('"')?.1)));
    let (before, after) = kept.unwrap_or((attributes, ""));
    format!("{head}<testsuites{before}{after}>{rest}")
}

fn case(scenario: &ScenarioReport, all: &[Repeats<'_>]) -> TestCase {
    let mut status = match scenario.status {
        Status::Pass => TestCaseStatus::success(),
        Status::Skip => TestCaseStatus::skipped(),
        Status::Fail => TestCaseStatus::non_success(NonSuccessKind::Failure),
        Status::Error => TestCaseStatus::non_success(NonSuccessKind::Error),
    };
    if scenario.status != Status::Pass {
        status.set_message(headline(scenario));
        status.set_description(details(scenario));
        if let Status::Fail | Status::Error = scenario.status {
            status.set_type(match scenario.status {
                Status::Fail => "firmware",
                _ => "rig",
            });
        }
    }
    let mut case = TestCase::new(name(scenario), status);
    case.set_classname(format!("brickproof.{}", scenario.board));
    case.set_time(Duration::from_millis(scenario.wall_ms));
    let mut out = String::new();
    let expected = scenario.expectations.len();
    let _ = writeln!(out, "chip {}, run time {}, {expected} expectations", scenario.chip, time_words(scenario.run_ms));
    let same = |r: &&Repeats<'_>| r.first.name == scenario.name && r.first.board == scenario.board;
    if let Some(flaky) = all.iter().find(same).filter(|r| r.is_flaky()) {
        let passed = flaky.counts[0].1;
        let _ = writeln!(out, "flaky: passed {passed} of {} times", flaky.runs);
    }
    if let Some(recording) = &scenario.recording {
        let _ = writeln!(out, "recording: {recording}");
    }
    for line in &scenario.last_lines {
        let _ = writeln!(out, "{:>10} {:<7} {}", line.at_ms, line.side.word(), line.text);
    }
    case.set_system_out(out);
    case
}

fn name(scenario: &ScenarioReport) -> String {
    if scenario.attempt > 1 {
        format!("{} (repeat {})", scenario.name, scenario.attempt)
    } else {
        scenario.name.clone()
    }
}

/// The first thing to know of a scenario that did not pass.
#[must_use]
pub fn headline(scenario: &ScenarioReport) -> String {
    if let Some(expectation) = scenario.expectations.iter().find(|e| e.status == scenario.status) {
        return format!("{}: {}", expectation.label, expectation.found);
    }
    scenario.reason.clone().unwrap_or_else(|| scenario.status.word().to_owned())
}

fn details(scenario: &ScenarioReport) -> String {
    let mut text = String::new();
    if let Some(reason) = &scenario.reason {
        let _ = writeln!(text, "{reason}");
    }
    for expectation in scenario.expectations.iter().filter(|e| e.status != Status::Pass) {
        let _ = writeln!(
            text,
            "{}: {} ({}:{}:{})\n{}",
            expectation.status.word(),
            expectation.label,
            scenario.file,
            expectation.line,
            expectation.column,
            expectation.found
        );
        for line in &expectation.evidence {
            let mark = if line.deciding { '>' } else { ' ' };
            let _ = writeln!(text, "{mark} {:>10} ms {:<7} {}", line.at_ms, line.side.word(), line.text);
        }
    }
    if let Some(cause) = &scenario.cause {
        let _ = writeln!(text, "likely cause: {}\nwhat to do: {}", cause.sentence, cause.advice);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_of_a_case_stands_in_its_output_since_cases_have_no_properties() {
        let mut scenario = ScenarioReport::example("wrong-port", 1, Status::Fail);
        scenario.recording = Some("runs/1/wrong-port.jsonl".to_owned());
        let again = ScenarioReport::example("wrong-port", 2, Status::Pass);
        let xml = render(&Report { scenarios: vec![scenario, again], ..Report::example() }).expect("XML");
        insta::assert_snapshot!(xml);
    }

    #[test]
    fn number_of_skipped_cases_is_taken_from_the_root_alone() {
        let given =
            "<?xml?>\n<testsuites name=\"a skipped=&quot;1\" skipped=\"2\" time=\"1\"><testsuite skipped=\"2\"/>";
        let wanted = "<?xml?>\n<testsuites name=\"a skipped=&quot;1\" time=\"1\"><testsuite skipped=\"2\"/>";
        assert_eq!(without_skipped_of_all(given), wanted);
        assert_eq!(without_skipped_of_all(wanted), wanted);
    }
}
