//! The report as OpenMetrics text: what a Prometheus push gateway or a node exporter's text-file collector takes. One gauge for
//! each verdict of each scenario, so that a query can ask for failures by scenario, board and chip.

use std::fmt::Write as _;

use super::model::Report;
use super::repeats;

/// The report's text. `made_ms` is when it was made, in milliseconds since 1970.
#[must_use]
pub fn render(report: &Report, made_ms: u64) -> String {
    let mut text = String::new();
    let all = repeats::of(report);
    let labels = |r: &repeats::Repeats<'_>| {
        let label = |name: &str, value: &str| format!("{name}=\"{}\"", escaped(value));
        [label("scenario", &r.first.name), label("board", &r.first.board), label("chip", &r.first.chip)].join(",")
    };
    family(&mut text, "brickproof_runs", "Runs of a scenario by verdict.", None);
    for repeats in &all {
        for (status, n) in repeats.counts {
            let _ = writeln!(text, "brickproof_runs{{{},verdict=\"{}\"}} {n}", labels(repeats), status.word());
        }
    }
    family(&mut text, "brickproof_flaky", "1 where runs of a scenario gave several verdicts.", None);
    for repeats in &all {
        let _ = writeln!(text, "brickproof_flaky{{{}}} {}", labels(repeats), u8::from(repeats.is_flaky()));
    }
    family(&mut text, "brickproof_run_seconds", "Mean time of a run on its own clock.", Some("seconds"));
    for repeats in &all {
        let mean = repeats.run_ms / u64::try_from(repeats.runs.max(1)).unwrap_or(1);
        let _ = writeln!(text, "brickproof_run_seconds{{{}}} {}", labels(repeats), seconds(mean));
    }
    family(&mut text, "brickproof_problems", "Problems of the rig beside the scenarios.", None);
    let _ = writeln!(text, "brickproof_problems {}", report.problems.len());
    family(&mut text, "brickproof_report_timestamp_seconds", "When the report was made.", Some("seconds"));
    let _ = writeln!(text, "brickproof_report_timestamp_seconds {}", seconds(made_ms));
    text.push_str("# EOF\n");
    text
}

fn family(text: &mut String, name: &str, help: &str, unit: Option<&str>) {
    let _ = writeln!(text, "# TYPE {name} gauge");
    if let Some(unit) = unit {
        let _ = writeln!(text, "# UNIT {name} {unit}");
    }
    let _ = writeln!(text, "# HELP {name} {help}");
}

fn seconds(ms: u64) -> String {
    format!("{}.{:03}", ms / 1000, ms % 1000)
}

/// A label's value: backslash, quote and line feed are escaped, as the format says.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::model::{ScenarioReport, Status};

    #[test]
    fn verdicts_are_gauges_with_labels() {
        let scenarios = vec![
            ScenarioReport::example("wavering", 1, Status::Pass),
            ScenarioReport::example("wavering", 2, Status::Fail),
            ScenarioReport::example("say \"hi\"\n\\", 1, Status::Pass),
        ];
        let report = Report { scenarios, ..Report::example() };
        insta::assert_snapshot!(render(&report, 1_795_418_237_042));
    }
}
