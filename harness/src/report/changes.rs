//! What changed since a baseline, as reports show it: a comparison in words.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::model::ScenarioReport;
use crate::compare::{self, Change, Comparison, FailOn};

/// A comparison with a baseline.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Changes {
    /// The baseline, as it was named.
    pub baseline: String,
    /// What of it is a regression, in words.
    pub regressions: Vec<String>,
    /// Scenarios of which there is something to tell, by how much their change matters.
    pub scenarios: Vec<Changed>,
    /// What the findings stand on.
    pub notes: Vec<String>,
}

/// A scenario on both sides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Changed {
    /// Its name.
    pub name: String,
    /// Chip.
    pub chip: String,
    /// Whether its runs were on virtual time: they are compared with such alone.
    #[serde(default)]
    pub warped: bool,
    /// Name and chip as the comparison tells them apart.
    pub shown: String,
    /// How its verdicts changed.
    pub change: Change,
    /// Its runs in the baseline.
    pub before: Runs,
    /// Its runs in this report.
    pub now: Runs,
    /// What changed besides, a line each; untrusted, since it tells masked console lines.
    pub lines: Vec<String>,
}

/// Runs of a scenario that were judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Runs {
    /// How many failed.
    pub failed: usize,
    /// How many there are.
    pub judged: usize,
}

impl Runs {
    /// `2 of 10 failed`.
    #[must_use]
    pub fn words(self) -> String {
        match (self.failed, self.judged) {
            (_, 0) => "no run".to_owned(),
            (failed, judged) => format!("{failed} of {judged} failed"),
        }
    }
}

impl From<(usize, usize)> for Runs {
    fn from((failed, judged): (usize, usize)) -> Self {
        Self { failed, judged }
    }
}

impl Changes {
    /// What reports tell of a comparison.
    #[must_use]
    pub fn of(comparison: &Comparison, baseline: String, fail_on: &[FailOn]) -> Self {
        let told = comparison.scenarios.iter().filter(|scenario| !compare::is_quiet(scenario));
        Self {
            baseline,
            regressions: comparison.regressions(fail_on),
            scenarios: told
                .map(|s| Changed {
                    name: s.name.clone(),
                    chip: s.chip.clone(),
                    warped: s.warped,
                    shown: comparison.name(s),
                    change: s.change,
                    before: s.failed_before.into(),
                    now: s.failed_now.into(),
                    lines: compare::lines(s),
                })
                .collect(),
            notes: compare::notes(comparison),
        }
    }

    /// What is known of a scenario that did not pass: since when, as far as the baseline tells.
    #[must_use]
    pub fn since(&self, s: &ScenarioReport) -> Option<String> {
        let same = |c: &&Changed| (&c.name, &c.chip, c.warped) == (&s.name, &s.chip, s.warped);
        let changed = self.scenarios.iter().find(same)?;
        let before = changed.before.words();
        match changed.change {
            Change::NewlyFailing | Change::NewlyFlaky => Some(format!("new since the baseline, where {before}")),
            Change::StillFailing | Change::StillFlaky | Change::FailsLess => {
                Some(format!("not new: in the baseline {before}"))
            }
            Change::New => Some("the baseline has no run of it".to_owned()),
            Change::NotJudged | Change::Gone | Change::NewlyPassing | Change::StillPassing => None,
        }
    }
}
