//! The report as JSON: the model as it is, and which verdicts differ between repeats.

use serde_json::json;

use super::model::Report;
use super::repeats;

/// The report's text.
///
/// # Errors
///
/// The report cannot be written as JSON.
pub fn render(report: &Report) -> Result<String, serde_json::Error> {
    let mut value = serde_json::to_value(report)?;
    let flaky: Vec<_> = repeats::of(report)
        .into_iter()
        .filter(repeats::Repeats::is_flaky)
        .map(|r| {
            let counts: serde_json::Map<_, _> =
                r.counts.iter().filter(|(_, n)| *n > 0).map(|(status, n)| (status.word().to_owned(), json!(n))).collect();
            json!({ "name": r.first.name, "board": r.first.board, "chip": r.first.chip, "runs": r.runs, "verdicts": counts })
        })
        .collect();
    if !flaky.is_empty() {
        value["flaky"] = flaky.into();
    }
    serde_json::to_string_pretty(&value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::model::{FORMAT, ScenarioReport, Status};

    #[test]
    fn verdict_that_differs_between_repeats_is_listed_with_its_counts() {
        let wavering = [Status::Pass, Status::Fail, Status::Pass].into_iter().zip(1..);
        let scenarios = wavering
            .flat_map(|(s, n)| {
                [ScenarioReport::example("steady", n, Status::Pass), ScenarioReport::example("wavering", n, s)]
            })
            .collect();
        let report = Report {
            format: FORMAT,
            made_by: String::new(),
            began: String::new(),
            wall_ms: 1,
            scenarios,
            problems: vec![],
        };
        let json: serde_json::Value = serde_json::from_str(&render(&report).expect("json")).expect("json");
        let flaky = json["flaky"].as_array().expect("a list");
        assert_eq!(flaky.len(), 1);
        assert_eq!((&flaky[0]["name"], &flaky[0]["runs"]), (&json!("wavering"), &json!(3)));
        assert_eq!(flaky[0]["verdicts"], json!({ "pass": 2, "fail": 1 }));
        serde_json::from_value::<Report>(json).expect("the model reads what was written");
    }
}
