//! From a timeline and its verdict to what reports show.

use std::time::{Duration, UNIX_EPOCH};

use super::case_name;
use crate::diagnose;
use crate::judge;
use crate::problem::place;
use crate::recording::{Header, Recording};
use crate::report::html::Evidence;
use crate::report::model::{Cause, ExpectationReport, ScenarioReport, evidence_lines, last_lines};
use crate::scenario::{self, model::Scenario, values::Values};
use crate::timeline::Event;
use crate::verdict::{Status, Verdict};

/// Lines shown before and after a deciding event.
const AROUND: usize = 4;
/// Lines shown of the timeline's end.
const LAST: usize = 40;

/// What is known of a run besides its timeline.
pub struct Ran<'r> {
    /// Scenario name.
    pub name: &'r str,
    /// Scenario file as named.
    pub path: &'r str,
    /// Its text.
    pub text: &'r str,
    /// The scenario, where it could be read.
    pub scenario: Option<&'r Scenario>,
    /// Board name.
    pub board: &'r str,
    /// Chip name.
    pub chip: &'r str,
    /// Which repeat.
    pub attempt: u32,
    /// Time was warped.
    pub warped: bool,
    /// Wall time in milliseconds.
    pub wall_ms: u64,
    /// Recording, relative to the report.
    pub recording: Option<String>,
    /// The OTA server's URL as the device sees it.
    pub server_url: Option<String>,
}

/// Makes a scenario's part of a report.
#[must_use]
pub fn scenario_report(ran: &Ran<'_>, events: &[Event], verdict: &Verdict) -> ScenarioReport {
    let expectations = verdict
        .expectations
        .iter()
        .map(|e| {
            let (line, column) = place(ran.text, e.span.start);
            let source = source(ran.text, e.span.start);
            let evidence = if e.status == Status::Pass { vec![] } else { evidence_lines(events, &e.evidence, AROUND) };
            ExpectationReport {
                label: e.label.clone(),
                status: e.status,
                found: e.found.clone(),
                line,
                column,
                source,
                evidence,
            }
        })
        .collect();
    let cause = if matches!(verdict.status, Status::Fail) { likely_cause(ran, events) } else { None };
    ScenarioReport {
        name: ran.name.to_owned(),
        summary: ran.scenario.map_or_else(String::new, |s| s.summary.clone()),
        board: ran.board.to_owned(),
        chip: ran.chip.to_owned(),
        attempt: ran.attempt,
        status: verdict.status,
        wall_ms: ran.wall_ms,
        run_ms: events.last().map_or(0, |e| e.at_ns / 1_000_000),
        warped: ran.warped,
        reason: verdict.reason.clone(),
        expectations,
        cause,
        recording: ran.recording.clone(),
        file: ran.path.to_owned(),
        last_lines: if verdict.status == Status::Pass { vec![] } else { last_lines(events, LAST) },
    }
}

/// The lines of the table that begins at a place of a scenario file: to the next table, or the next blank line.
fn source(text: &str, at: usize) -> String {
    let Some(before) = text.get(..at) else { return String::new() };
    let begin = before.rfind('\n').map_or(0, |n| n + 1);
    let mut lines = text.get(begin..).unwrap_or_default().lines();
    let first = lines.next();
    let rest = lines.take_while(|line| !line.trim().is_empty() && !line.starts_with('['));
    first.into_iter().chain(rest).collect::<Vec<_>>().join("\n")
}

/// The first cause that the device did not get over by itself.
fn likely_cause(ran: &Ran<'_>, events: &[Event]) -> Option<Cause> {
    let server = ran.server_url.as_ref().and_then(|url| url.parse().ok());
    let causes = diagnose::diagnose(events, server.as_ref());
    let open = causes.iter().find(|c| c.resolved.is_none()).or_else(|| causes.first())?;
    Some(Cause { sentence: open.sentence.clone(), advice: open.remedy.clone() })
}

/// Judges a recording and makes its part of a report: the same verdict as at the time, from the recording alone.
///
/// # Errors
///
/// The recorded scenario cannot be read by this version, in words.
pub fn report_recording(recording: &Recording, file: &str) -> Result<(Verdict, ScenarioReport), String> {
    let header = &recording.header;
    let (name, scenario) = recorded_scenario(header)?;
    let verdict = judge::judge(&scenario, &recording.events, &header.facts);
    let ran = Ran {
        name: &name,
        path: &header.scenario_path,
        text: &header.scenario,
        scenario: Some(&scenario),
        board: &header.board,
        chip: &header.chip,
        attempt: header.attempt,
        warped: header.warped,
        wall_ms: recording.footer.as_ref().map_or(0, |f| f.wall_ms),
        recording: Some(file.to_owned()),
        server_url: header.values.get("server.url").cloned(),
    };
    Ok((verdict.clone(), scenario_report(&ran, &recording.events, &verdict)))
}

/// What the page shows of a recording besides its part of the report.
///
/// # Errors
///
/// The recorded scenario cannot be read by this version, in words.
pub fn evidence(recording: Recording) -> Result<Evidence, String> {
    let Recording { header, events, .. } = recording;
    let (_, scenario) = recorded_scenario(&header)?;
    let began = UNIX_EPOCH.checked_add(Duration::from_millis(header.began_wall_ms)).unwrap_or(UNIX_EPOCH);
    Ok(Evidence {
        verdict: judge::judge(&scenario, &events, &header.facts),
        intervals: judge::intervals(&scenario, &events, &header.facts),
        events,
        source: header.scenario,
        began: super::rfc3339(began),
    })
}

/// The scenario of a recording, with its name.
fn recorded_scenario(header: &Header) -> Result<(String, Scenario), String> {
    let name = scenario::name_of(std::path::Path::new(&header.scenario_path));
    let name = case_name(&name, header.case.as_deref());
    let values = Values(header.values.clone());
    let scenario = scenario::parse(&name, &header.scenario_path, &header.scenario, &values)
        .map_err(|e| format!("the recorded scenario is not read by this version: {}", words(&e)))?;
    Ok((name, scenario))
}

fn words(errors: &crate::problem::FileErrors) -> String {
    errors.problems.iter().map(|p| format!("line {}: {}", p.line, p.message)).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::source;

    #[test]
    fn source_of_an_expectation_is_its_whole_table() {
        let text = "summary = 'x'\n[[expect]]\nboots = 1\nwithin = '2s'\n[[expect]]\nnever = 2\n\n# more\n";
        assert_eq!(source(text, 14), "[[expect]]\nboots = 1\nwithin = '2s'");
        assert_eq!(source(text, text.rfind("[[").expect("a table")), "[[expect]]\nnever = 2");
        assert_eq!(source(text, 9999), "");
    }
}
