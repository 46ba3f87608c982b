//! The report as JSON: the model as it is, and which verdicts differ between repeats.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use super::model::Report;
use super::repeats;

/// A report as JSON holds it.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(title = "report.json")]
struct Whole<'r> {
    #[serde(flatten)]
    report: &'r Report,
    /// Scenarios whose verdict differs between repeats.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default)]
    flaky: Vec<Flaky<'r>>,
}

/// A scenario whose verdict differs between repeats.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
struct Flaky<'r> {
    /// Scenario name.
    name: &'r str,
    /// Board name.
    board: &'r str,
    /// Chip name.
    chip: &'r str,
    /// How many runs there were.
    runs: usize,
    /// How many of them had each verdict.
    verdicts: BTreeMap<&'static str, usize>,
}

/// The JSON Schema of report.json. The form's version is its `format`.
#[must_use]
pub fn schema() -> String {
    serde_json::to_string_pretty(&schemars::schema_for!(Whole<'static>)).unwrap_or_default() + "\n"
}

/// The report's text.
///
/// # Errors
///
/// The report cannot be written as JSON.
pub fn render(report: &Report) -> Result<String, serde_json::Error> {
    let flaky = repeats::of(report)
        .into_iter()
        .filter(repeats::Repeats::is_flaky)
        .map(|r| Flaky {
            name: &r.first.name,
            board: &r.first.board,
            chip: &r.first.chip,
            runs: r.runs,
            verdicts: r.counts.iter().filter(|(_, n)| *n > 0).map(|(status, n)| (status.word(), *n)).collect(),
        })
        .collect();
    serde_json::to_string_pretty(&Whole { report, flaky })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

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
            changes: None,
            past: None,
        };
        let json: serde_json::Value = serde_json::from_str(&render(&report).expect("json")).expect("json");
        let flaky = json["flaky"].as_array().expect("a list");
        assert_eq!(flaky.len(), 1);
        assert_eq!((&flaky[0]["name"], &flaky[0]["runs"]), (&json!("wavering"), &json!(3)));
        assert_eq!(flaky[0]["verdicts"], json!({ "pass": 2, "fail": 1 }));
        serde_json::from_value::<Report>(json).expect("the model reads what was written");
    }

    #[test]
    fn schema_is_what_the_code_says_and_names_every_key() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../scenarios/schema/report.schema.json");
        if std::env::var_os("BRICKPROOF_UPDATE").is_some() {
            std::fs::write(path, schema()).expect("schema");
        }
        let kept = std::fs::read_to_string(path).expect("schema");
        assert_eq!(kept, schema(), "write report.schema.json again with BRICKPROOF_UPDATE=1");
        let schema: serde_json::Value = serde_json::from_str(&kept).expect("JSON");
        let report = Report { scenarios: vec![ScenarioReport::example("s", 1, Status::Pass)], ..Report::example() };
        let json: serde_json::Value = serde_json::from_str(&render(&report).expect("json")).expect("json");
        let names = |value: &serde_json::Value| value.as_object().map(|o| o.keys().cloned().collect::<Vec<_>>());
        let known = |at: &str, key: &str| schema.pointer(at).is_some_and(|properties| properties.get(key).is_some());
        for required in schema["required"].as_array().expect("a list") {
            let key = required.as_str().expect("a key");
            assert!(json.get(key).is_some(), "{key} is required, and not always there");
        }
        for key in names(&json).expect("an object") {
            assert!(known("/properties", &key), "{key}");
        }
        for key in names(&json["scenarios"][0]).expect("an object") {
            assert!(known("/$defs/ScenarioReport/properties", &key), "{key}");
        }
    }
}
