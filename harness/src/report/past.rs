//! What a history of runs tells of the scenarios of a report, as reports show it.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::model::ScenarioReport;
use crate::history::{Run, Trend, text};

/// Runs of a scenario that the page draws, the newest.
const DRAWN: usize = 60;

/// The past of the scenarios of a report.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Past {
    /// The history, as it was named, without its password.
    pub history: String,
    /// What it tells, a scenario on a board each.
    pub scenarios: Vec<PastScenario>,
}

/// The past of a scenario on a board, this report's run included.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct PastScenario {
    /// Scenario name.
    pub name: String,
    /// Board name.
    pub board: String,
    /// Chip name.
    pub chip: String,
    /// Since when it fails, or when it passed last, in a sentence; untrusted.
    pub since: String,
    /// Runs that failed.
    pub failed: usize,
    /// Runs that were judged.
    pub judged: usize,
    /// The newest runs, oldest first: for the page alone.
    #[serde(skip)]
    pub runs: Vec<Run>,
}

impl Past {
    /// What a report of some runs tells of trends.
    #[must_use]
    pub fn of(trends: &[Trend], reported: &[ScenarioReport], history: String) -> Self {
        let reported: BTreeSet<(&str, &str, &str)> =
            reported.iter().map(|s| (s.name.as_str(), s.board.as_str(), s.chip.as_str())).collect();
        let is_reported = |trend: &&Trend| reported.contains(&(&trend.scenario, &trend.board, &trend.chip));
        let scenarios = trends.iter().filter(is_reported).map(|trend| {
            let (failed, judged) = trend.failed();
            PastScenario {
                name: trend.scenario.clone(),
                board: trend.board.clone(),
                chip: trend.chip.clone(),
                since: text::since(trend),
                failed,
                judged,
                runs: trend.runs[trend.runs.len().saturating_sub(DRAWN)..].to_vec(),
            }
        });
        Self { history, scenarios: scenarios.collect() }
    }

    /// What is known of a scenario.
    #[must_use]
    pub fn scenario(&self, s: &ScenarioReport) -> Option<&PastScenario> {
        self.scenarios.iter().find(|past| past.name == s.name && past.board == s.board && past.chip == s.chip)
    }
}

impl PastScenario {
    /// How often it failed and since when; nothing where this is the only run.
    #[must_use]
    pub fn words(&self) -> Option<String> {
        (self.judged > 1).then(|| format!("{} of {} runs failed; {}", self.failed, self.judged, self.since))
    }
}
