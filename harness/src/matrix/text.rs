//! The matrix for people: in the terminal, and as the page docs/mutants.md.

use std::fmt::Write as _;

use super::{CONTROLS, Matrix};
use crate::mutant::{Carrier, Mutant};

/// Scenarios named in one row of the terminal.
const SHOWN: usize = 3;

/// The matrix for a terminal.
#[must_use]
pub fn terminal(matrix: &Matrix) -> String {
    let mut text = String::new();
    let width = matrix.rows.iter().map(|r| r.mutant.name.len()).max().unwrap_or(0).max(6);
    let _ = writeln!(text, "{:<10} {:<width$}  {:>9}  noticed by", "", "mutant", "scenarios");
    for row in &matrix.rows {
        let verdict = match (row.is_caught(), row.catches.is_empty()) {
            (true, _) => "✓ caught",
            (false, false) => "? noticed",
            (false, true) => "✗ alive",
        };
        // Those named beforehand first.
        let mut names: Vec<&str> = row.catches.iter().filter(|c| c.expected).map(|c| c.scenario.as_str()).collect();
        names.extend(row.catches.iter().filter(|c| !c.expected).map(|c| c.scenario.as_str()));
        let more = names.len().saturating_sub(SHOWN);
        let mut by = names.into_iter().take(SHOWN).collect::<Vec<_>>().join(", ");
        if more > 0 {
            let _ = write!(by, " and {more} more");
        }
        let count = row.catches.len();
        let _ = writeln!(text, "{verdict:<10} {:<width$}  {count:>4}/{:<4}  {by}", row.mutant.name, row.runs);
    }
    let _ = writeln!(text, "\nscenario families, and how many mutants each notices:");
    for (name, n) in matrix.families() {
        let control = CONTROLS.iter().find(|(control, _)| *control == name);
        let why = control.map(|(_, why)| format!("  (a control: {why})")).unwrap_or_default();
        let _ = writeln!(text, "  {n:>3}  {name}{why}");
    }
    for name in matrix.idle_families() {
        let _ = writeln!(text, "note: {name} notices no mutant");
    }
    let caught = matrix.rows.iter().filter(|r| r.is_caught()).count();
    let passed = matrix.scenarios.len() - matrix.healthy_failures.len();
    let _ = writeln!(
        text,
        "\n{caught} of {} mutants caught; the sound firmware passes {passed} of {} scenarios",
        matrix.rows.len(),
        matrix.scenarios.len()
    );
    for complaint in matrix.complaints() {
        let _ = writeln!(text, "! {complaint}");
    }
    text
}

/// The page docs/mutants.md: what each mutant does wrong, and what catches it, as the mutants' files say and a test shows.
#[must_use]
pub fn markdown(mutants: &[Mutant]) -> String {
    let mut text = String::from(PREFACE);
    for mutant in mutants {
        let carrier = match mutant.carrier {
            Carrier::Base => "the flashed image",
            Carrier::Update => "the served image",
            Carrier::Both => "both images",
        };
        let _ = write!(text, "\n## `{}`\n\n{} In {carrier}. Caught by:\n\n", mutant.name, mutant.summary);
        for by in &mutant.caught_by {
            let _ = writeln!(text, "* `{}`: {}", by.scenario, by.expectation);
        }
    }
    text
}

const PREFACE: &str = "# Mutants

Made from `scenarios/mutants/` by a test, which also runs each mutant on each scenario named here and requires that it is
caught by that expectation; to write it again: `BRICKPROOF_UPDATE=1 cargo test -p brickproof --test mutants`.

A mutant is the reference firmware with one wrong decision, switched on by the profile record of its image. The suite is
worth what it catches: `brickproof matrix` runs every scenario on every mutant.
";
