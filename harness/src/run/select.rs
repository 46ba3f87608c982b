//! Which scenarios: by name, by file, by tag.

use std::path::Path;

use miette::{Result, miette};

use crate::problem::suggestion;
use crate::scenario::embedded::SCENARIOS;
use crate::scenario::matrix;

/// A scenario that was asked for: read, not parsed yet (its templates need the board).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selected {
    /// Name.
    pub name: String,
    /// File as named in messages.
    pub path: String,
    /// Text.
    pub text: String,
}

impl Selected {
    /// The case of a scenario with a matrix: what stands in brackets behind its name.
    #[must_use]
    pub fn case(&self) -> Option<&str> {
        self.name.split_once('[').and_then(|(_, case)| case.strip_suffix(']'))
    }
}

/// The name of a scenario's case.
#[must_use]
pub fn case_name(name: &str, case: Option<&str>) -> String {
    case.map_or_else(|| name.to_owned(), |case| format!("{name}[{case}]"))
}

/// The cases of a scenario file.
fn cases(name: &str, path: &str, text: &str) -> Result<Vec<Selected>> {
    let cases = matrix::cases(path, text)?;
    Ok(cases
        .into_iter()
        .map(|case| Selected { name: case_name(name, case.name.as_deref()), path: path.to_owned(), text: case.text })
        .collect())
}

/// Finds scenarios by name or path; all built-in ones when none is named. A scenario with a matrix is all of its cases, or
/// the one that is named with it: `server-errors[code=503]`.
///
/// # Errors
///
/// A name that is no scenario, or a file that cannot be read.
pub fn select(named: &[String]) -> Result<Vec<Selected>> {
    let embedded = |name: &str, text: &str| cases(name, &format!("scenarios/scenarios/{name}.toml"), text);
    let mut found = Vec::new();
    if named.is_empty() {
        for (name, text) in SCENARIOS {
            found.extend(embedded(name, text)?);
        }
    }
    for wanted in named {
        let base = wanted.split('[').next().unwrap_or(wanted);
        let path = Path::new(base);
        let looks_like_a_file = path.extension().is_some_and(|e| e == "toml") || base.contains('/');
        let mut all = if let Some((name, text)) = SCENARIOS.iter().find(|(known, _)| *known == base) {
            embedded(name, text)?
        } else if looks_like_a_file {
            let text = std::fs::read_to_string(path).map_err(|e| miette!("cannot read scenario {base}: {e}"))?;
            cases(&crate::scenario::name_of(path), base, &text)?
        } else {
            let known: Vec<&str> = SCENARIOS.iter().map(|(name, _)| *name).collect();
            let help = suggestion(base, &known).unwrap_or_default();
            return Err(miette!(help = help, "there is no scenario {wanted:?}, and it is no .toml file either"));
        };
        if let Some((_, case)) = wanted.split_once('[') {
            let known: Vec<String> = all.iter().filter_map(|s| s.case().map(str::to_owned)).collect();
            let case = case.trim_end_matches(']');
            all.retain(|s| s.case() == Some(case));
            if all.is_empty() {
                let known: Vec<&str> = known.iter().map(String::as_str).collect();
                let help = suggestion(case, &known).unwrap_or_else(|| "it has no [matrix]".to_owned());
                return Err(miette!(help = help, "scenario {base} has no case {case:?}"));
            }
        }
        found.extend(all);
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scenario_with_a_matrix_is_all_its_cases_or_the_one_named() {
        let folder = tempfile::tempdir().expect("folder");
        let file = folder.path().join("many.toml").display().to_string();
        std::fs::write(&file, "n = \"{matrix.n}\"\n[matrix]\nn = [1, 2]\n").expect("file");
        let names =
            |wanted: String| select(&[wanted]).map(|found| found.into_iter().map(|s| s.name).collect::<Vec<_>>());
        assert_eq!(names(file.clone()).expect("all"), ["many[n=1]", "many[n=2]"]);
        assert_eq!(names(format!("{file}[n=2]")).expect("one"), ["many[n=2]"]);
        let error = format!("{:?}", names(format!("{file}[n=7]")).expect_err("no such case"));
        assert!(error.contains("has no case \"n=7\""), "{error}");
    }
}
