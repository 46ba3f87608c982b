//! The matrix: which scenario noticed which mutant, from verdicts alone.
//!
//! A mutant is caught where a scenario fails (never where the rig does) by an expectation that was named beforehand. A
//! mutant that only fails otherwise is noticed for another reason than it should be, which is told apart.

mod html;
mod text;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::mutant::Mutant;
use crate::report::model::{ScenarioReport, Status};

pub use html::html;
pub use text::{markdown, terminal};

/// Scenario families that need not catch anything: healthy controls, with the reason.
pub const CONTROLS: &[(&str, &str)] = &[
    ("healthy-update", "shows that nothing fails where nothing is wrong"),
    ("harmless-answers", "odd answers that are right: shows that the suite does not ask for too much"),
    ("odd-downloads", "slow and odd downloads that are right: the same"),
    ("meaningless-answers", "the device's part is to do nothing"),
];

/// A scenario that failed on a mutant, and by which expectations.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Catch {
    /// Scenario, with its case.
    pub scenario: String,
    /// Labels of the expectations that failed.
    pub expectations: Vec<String>,
    /// True when one of them was named beforehand.
    pub expected: bool,
}

/// One mutant's row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Row {
    /// The mutant.
    pub mutant: Mutant,
    /// Scenarios that failed.
    pub catches: Vec<Catch>,
    /// Scenarios in which the rig failed, and why: they tell nothing.
    pub errors: Vec<(String, String)>,
    /// Scenarios that were run.
    pub runs: usize,
}

impl Row {
    /// True when it was caught for a reason named beforehand.
    #[must_use]
    pub fn is_caught(&self) -> bool {
        self.catches.iter().any(|c| c.expected)
    }

    /// What was named beforehand, was run, and did not catch it.
    #[must_use]
    pub fn missed(&self, ran: &BTreeSet<String>) -> Vec<String> {
        let caught = |wanted: &crate::mutant::CaughtBy| {
            self.catches.iter().any(|c| {
                c.scenario == wanted.scenario && c.expectations.iter().any(|e| e.contains(&wanted.expectation))
            })
        };
        let named = self.mutant.caught_by.iter().filter(|c| ran.contains(&c.scenario) && !caught(c));
        named.map(|c| format!("{}: {}", c.scenario, c.expectation)).collect()
    }
}

/// The whole matrix.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Matrix {
    /// One row for each mutant.
    pub rows: Vec<Row>,
    /// Scenarios that did not pass on the sound firmware: name and verdict.
    pub healthy_failures: Vec<(String, Status)>,
    /// Scenarios that were run on the sound firmware.
    pub scenarios: BTreeSet<String>,
}

/// The family of a scenario: its name without its case.
#[must_use]
pub fn family(scenario: &str) -> &str {
    scenario.split('[').next().unwrap_or(scenario)
}

impl Matrix {
    /// The matrix of the sound firmware's report and the mutants'.
    #[must_use]
    pub fn new(healthy: &[ScenarioReport], mutants: Vec<(Mutant, Vec<ScenarioReport>)>) -> Self {
        let scenarios = healthy.iter().map(|s| s.name.clone()).collect();
        let failed = healthy.iter().filter(|s| !matches!(s.status, Status::Pass | Status::Skip));
        let healthy_failures = failed.map(|s| (s.name.clone(), s.status)).collect();
        let rows = mutants.into_iter().map(|(mutant, reports)| row(mutant, &reports)).collect();
        Self { rows, healthy_failures, scenarios }
    }

    /// How many mutants each scenario family catches; those that were run and catch none are there with 0.
    #[must_use]
    pub fn families(&self) -> BTreeMap<String, usize> {
        let mut families: BTreeMap<String, usize> = self.scenarios.iter().map(|s| (family(s).to_owned(), 0)).collect();
        for row in &self.rows {
            let catching: BTreeSet<&str> = row.catches.iter().map(|c| family(&c.scenario)).collect();
            for name in catching {
                *families.entry(name.to_owned()).or_default() += 1;
            }
        }
        families
    }

    /// Families that catch nothing and are no controls.
    #[must_use]
    pub fn idle_families(&self) -> Vec<String> {
        let is_control = |name: &str| CONTROLS.iter().any(|(control, _)| *control == name);
        self.families().into_iter().filter(|(name, n)| *n == 0 && !is_control(name)).map(|(name, _)| name).collect()
    }

    /// What is wrong with the suite: empty where every mutant is caught for a reason named beforehand, and the sound
    /// firmware passes.
    #[must_use]
    pub fn complaints(&self) -> Vec<String> {
        let mut all: Vec<String> = self
            .healthy_failures
            .iter()
            .map(|(name, status)| format!("the sound firmware does not pass {name}: {}", status.word()))
            .collect();
        for row in &self.rows {
            let name = &row.mutant.name;
            if row.catches.is_empty() {
                all.push(format!("mutant {name} is not noticed by any scenario"));
            } else if !row.is_caught() {
                let by: Vec<&str> = row.catches.iter().map(|c| c.scenario.as_str()).take(3).collect();
                all.push(format!("mutant {name} is caught for another reason than those named: by {}", by.join(", ")));
            }
            let missed = row.missed(&self.scenarios);
            all.extend(missed.iter().map(|m| format!("mutant {name} is not caught as its file says: {m}")));
            all.extend(row.errors.iter().map(|(s, why)| format!("mutant {name}: the rig failed in {s}: {why}")));
        }
        all
    }
}

fn row(mutant: Mutant, reports: &[ScenarioReport]) -> Row {
    let catches = reports
        .iter()
        .filter(|s| s.status == Status::Fail)
        .map(|s| {
            let failed = s.expectations.iter().filter(|e| e.status == Status::Fail).map(|e| e.label.clone());
            let mut expectations: Vec<String> = failed.collect();
            // A run that ran away fails as a whole.
            expectations.extend(s.reason.clone());
            let expected = expectations.iter().any(|label| mutant.is_expected(&s.name, label));
            Catch { scenario: s.name.clone(), expectations, expected }
        })
        .collect();
    let errors = reports.iter().filter(|s| s.status == Status::Error);
    let errors = errors.map(|s| (s.name.clone(), s.reason.clone().unwrap_or_default())).collect();
    Row { mutant, catches, errors, runs: reports.len() }
}

#[cfg(test)]
mod tests;
