//! Mutants: the reference firmware with one wrong decision, and what of the suite must notice.

mod embedded;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::problem::{FileErrors, Problems, suggestion};

pub use embedded::MUTANTS;

/// Which image of a scenario carries the defect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Carrier {
    /// The one that is flashed.
    Base,
    /// The one that is served.
    Update,
    /// Both.
    Both,
}

/// An expectation that may catch a mutant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct CaughtBy {
    /// The scenario, with its case where it has one.
    pub scenario: String,
    /// The label of the expectation, or a part of it.
    pub expectation: String,
}

/// A mutant file.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(title = "brickproof mutant")]
struct MutantFile {
    /// What is wrong with it, in a sentence.
    summary: String,
    /// The defect's name in the profile record (`firmware-images/ota-agent/src/defect.rs`).
    defect: String,
    /// Which image carries it.
    carrier: Carrier,
    /// What may catch it, named beforehand: each of them does.
    caught_by: Vec<CaughtBy>,
}

/// A firmware with a defect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Mutant {
    /// Its name: the file's.
    pub name: String,
    /// What is wrong with it, in a sentence.
    pub summary: String,
    /// The defect's name in the profile record.
    pub defect: String,
    /// Which image carries it.
    pub carrier: Carrier,
    /// What may catch it.
    pub caught_by: Vec<CaughtBy>,
}

impl Mutant {
    /// The parameters of its profile record.
    #[must_use]
    pub fn parameters(&self) -> String {
        parameters(&self.defect)
    }

    /// Whether an expectation was named beforehand as one that may catch it.
    #[must_use]
    pub fn is_expected(&self, scenario: &str, label: &str) -> bool {
        self.caught_by.iter().any(|c| c.scenario == scenario && label.contains(&c.expectation))
    }
}

/// The parameters of a profile record that switch a defect on.
#[must_use]
pub fn parameters(defect: &str) -> String {
    format!("defect={defect}")
}

/// Reads a mutant file.
///
/// # Errors
///
/// Everything that is wrong with it, at its place.
pub fn parse(name: &str, path: &str, text: &str) -> Result<Mutant, FileErrors> {
    let mut problems = Problems::new(path, text);
    let file: MutantFile = match toml::from_str(text) {
        Ok(file) => file,
        Err(e) => {
            problems.add_toml(&e);
            return problems.finish(None);
        }
    };
    if ota_agent::defect::Defect::find(&file.defect).is_none() {
        let known: Vec<&str> = ota_agent::defect::ALL.iter().map(|(name, _)| *name).collect();
        let at = text.find(&file.defect).unwrap_or(0);
        let message = format!("the reference firmware has no defect `{}`", file.defect);
        problems.add(at..at + file.defect.len(), message, suggestion(&file.defect, &known));
    }
    if file.caught_by.is_empty() {
        problems.add(0..0, "`caught-by` is empty: nothing would show that the suite notices this mutant", None);
    }
    let MutantFile { summary, defect, carrier, caught_by } = file;
    problems.finish(Some(Mutant { name: name.to_owned(), summary, defect, carrier, caught_by }))
}

/// The mutants that come with the program.
///
/// # Errors
///
/// What is wrong with a file.
pub fn all() -> Result<Vec<Mutant>, FileErrors> {
    MUTANTS.iter().map(|(name, text)| parse(name, &format!("scenarios/mutants/{name}.toml"), text)).collect()
}

/// The JSON Schema of mutant files.
#[must_use]
pub fn schema() -> String {
    serde_json::to_string_pretty(&schemars::schema_for!(MutantFile)).unwrap_or_default() + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mutant_is_valid_and_every_defect_has_one() {
        let mutants = all().unwrap_or_else(|e| panic!("{:?}", miette::Report::new(e)));
        for (name, _) in ota_agent::defect::ALL {
            assert!(mutants.iter().any(|m| m.defect == *name), "no mutant has the defect {name}");
        }
        assert!(mutants.len() >= 25, "{}", mutants.len());
    }

    #[test]
    fn misspelt_defect_is_told_with_what_was_meant() {
        let text = "summary = 's'\ndefect = 'no-delays'\ncarrier = 'base'\ncaught-by = []\n";
        let errors = parse("m", "m.toml", text).expect_err("wrong");
        assert_eq!(errors.problems.len(), 2);
        let defect = errors.problems.iter().find(|p| p.line == 2).expect("the defect");
        assert_eq!(defect.help.as_deref(), Some("did you mean `no-delay`?"));
    }
}
