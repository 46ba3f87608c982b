//! One run of a scenario on the page: what decided it, its charts, its source; places for timeline and console.

use askama::Template;

use super::charts;
use super::data::{Data, Evidence};
use super::over_time::over_history;
use super::overview::board;
use super::untrusted::{excerpt, visible};
use crate::report::model::{Cause, ExpectationReport, ScenarioReport, Status, time_words};
use crate::report::past::PastScenario;

/// Evidence lines in the page without its script; the console shows all.
const LINES: usize = 60;

#[derive(Template)]
#[template(path = "report_section.html")]
pub(super) struct Section {
    id: String,
    data_id: String,
    name: String,
    board: String,
    status: Status,
    summary: String,
    run: String,
    wall: String,
    began: String,
    warped: bool,
    open: bool,
    reason: Option<String>,
    cause: Option<Cause>,
    failed: Vec<Expectation>,
    others: Vec<Expectation>,
    last_lines: Vec<Line>,
    timeline: bool,
    why_no_timeline: String,
    retries: Option<String>,
    progress: Option<String>,
    past: Option<String>,
    file: String,
    source: Vec<SourceLine>,
    recording: Option<String>,
}

struct Expectation {
    index: usize,
    status: Status,
    label: String,
    found: String,
    place: String,
    source: String,
    lines: Vec<Line>,
    left_out: usize,
}

struct Line {
    /// The row of the console; absent where the page has none.
    row: Option<usize>,
    at: String,
    side: &'static str,
    text: String,
    deciding: bool,
}

struct SourceLine {
    number: usize,
    text: String,
    /// Of the first line of an expectation: its verdict.
    verdict: Option<Status>,
    failed: bool,
}

/// What stands before and after the data.
pub(super) fn section(
    index: usize,
    s: &ScenarioReport,
    evidence: Option<&Evidence>,
    data: Result<&Data, String>,
    past: Option<&PastScenario>,
    open: bool,
) -> Section {
    let rows = data.as_ref().ok();
    let row = |seq| rows.and_then(|data| data.row(seq));
    let line = |line: &crate::report::model::Line| Line {
        row: row(line.seq),
        at: seconds(line.at_ms),
        side: line.side.word(),
        text: excerpt(&line.text),
        deciding: line.deciding,
    };
    let expectation = |(index, e): (usize, &ExpectationReport)| {
        // The deciding lines are what must be seen: the first of them is never left out.
        let begin = e.evidence.iter().position(|l| l.deciding).unwrap_or_default().saturating_sub(LINES / 4);
        let lines: Vec<Line> = e.evidence.iter().skip(begin).take(LINES).map(line).collect();
        Expectation {
            index,
            status: e.status,
            label: visible(&e.label),
            found: excerpt(&e.found),
            place: visible(&format!("{}:{}:{}", s.file, e.line, e.column)),
            source: visible(&e.source),
            left_out: e.evidence.len() - lines.len(),
            lines,
        }
    };
    let (failed, mut others): (Vec<_>, Vec<_>) =
        s.expectations.iter().enumerate().map(expectation).partition(|e: &Expectation| e.status == Status::Fail);
    others.sort_by_key(|e| e.status == Status::Pass);
    Section {
        id: format!("s{index}"),
        data_id: format!("d{index}"),
        name: visible(&if s.attempt > 1 { format!("{} (repeat {})", s.name, s.attempt) } else { s.name.clone() }),
        board: board(s),
        status: s.status,
        summary: visible(&s.summary),
        run: time_words(s.run_ms),
        wall: time_words(s.wall_ms),
        began: evidence.map(|e| e.began.clone()).unwrap_or_default(),
        warped: s.warped,
        open,
        reason: s.reason.as_deref().map(visible),
        cause: s.cause.as_ref().map(|c| Cause { sentence: excerpt(&c.sentence), advice: excerpt(&c.advice) }),
        failed,
        others,
        last_lines: s.last_lines.iter().map(line).collect(),
        timeline: data.is_ok(),
        why_no_timeline: data.err().unwrap_or_default(),
        retries: evidence.and_then(|e| charts::retries(&e.intervals)),
        progress: evidence.and_then(|e| charts::progress(&e.events)),
        past: past.and_then(|past| over_history(&past.runs)),
        file: visible(&s.file),
        source: evidence.map(|e| source(&e.source, &s.expectations)).unwrap_or_default(),
        recording: s.recording.as_deref().map(visible),
    }
}

/// The scenario's file by lines, with what the judge said of its expectations.
fn source(text: &str, expectations: &[ExpectationReport]) -> Vec<SourceLine> {
    let lines = |e: &ExpectationReport| e.line..e.line + e.source.lines().count().max(1);
    text.lines()
        .zip(1..)
        .map(|(text, number)| SourceLine {
            number,
            text: visible(text),
            verdict: expectations.iter().filter(|e| e.line == number).map(|e| e.status).max(),
            failed: expectations.iter().any(|e| e.status != Status::Pass && lines(e).contains(&number)),
        })
        .collect()
}

/// Seconds on the run's clock, for columns.
fn seconds(ms: u64) -> String {
    format!("{}.{:03}", ms / 1000, ms % 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failing_expectation_is_marked_in_the_source_over_all_its_lines() {
        let text = "summary = 'x'\n\n[[expect]]\nboots = 1\nwithin = '2s'\n\n[[expect]]\nnever = 2\n";
        let expectation = |line, status, source: &str| ExpectationReport {
            label: String::new(),
            status,
            found: String::new(),
            line,
            column: 1,
            source: source.to_owned(),
            evidence: vec![],
        };
        let expectations = [
            expectation(3, Status::Fail, "[[expect]]\nboots = 1\nwithin = '2s'"),
            expectation(7, Status::Pass, "[[expect]]\nnever = 2"),
        ];
        let lines = source(text, &expectations);
        let failed: Vec<_> = lines.iter().filter(|l| l.failed).map(|l| l.number).collect();
        assert_eq!(failed, [3, 4, 5]);
        assert_eq!((lines[2].verdict, lines[6].verdict), (Some(Status::Fail), Some(Status::Pass)));
    }
}
