//! JUnit XML: `<failure>` where the firmware failed, `<error>` where the rig did, `<skipped>` where nothing was tried.

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
        suite.add_test_cases(report.scenarios.iter().filter(|s| s.board == board).map(|s| case(s, &all)));
        junit.add_test_suite(suite);
    }
    junit.to_string().map_err(|e| e.to_string())
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
    case.set_assertions(scenario.expectations.len());
    case.add_property(("chip", scenario.chip.as_str()));
    case.add_property(("run-time", time_words(scenario.run_ms).as_str()));
    let same = |r: &&Repeats<'_>| r.first.name == scenario.name && r.first.board == scenario.board;
    if let Some(flaky) = all.iter().find(same).filter(|r| r.is_flaky()) {
        let passed = flaky.counts[0].1;
        case.add_property(("flaky", format!("passed {passed} of {} times", flaky.runs).as_str()));
    }
    if let Some(recording) = &scenario.recording {
        case.add_property(("recording", recording.as_str()));
    }
    case.set_system_out(scenario.last_lines.iter().fold(String::new(), |mut text, line| {
        let _ = writeln!(text, "{:>10} {:<7} {}", line.at_ms, line.side.word(), line.text);
        text
    }));
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
