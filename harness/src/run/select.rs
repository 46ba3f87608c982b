//! Which scenarios: by name, by file, by tag.

use std::path::Path;

use miette::{Result, miette};

use crate::problem::suggestion;
use crate::scenario::embedded::SCENARIOS;

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

/// Finds scenarios by name or path; all built-in ones when none is named.
///
/// # Errors
///
/// A name that is no scenario, or a file that cannot be read.
pub fn select(named: &[String]) -> Result<Vec<Selected>> {
    let embedded = |name: &str, text: &str| Selected {
        name: name.to_owned(),
        path: format!("scenarios/scenarios/{name}.toml"),
        text: text.to_owned(),
    };
    if named.is_empty() {
        return Ok(SCENARIOS.iter().map(|(name, text)| embedded(name, text)).collect());
    }
    named
        .iter()
        .map(|name| {
            if let Some((name, text)) = SCENARIOS.iter().find(|(known, _)| known == name) {
                return Ok(embedded(name, text));
            }
            let path = Path::new(name);
            let looks_like_a_file = path.extension().is_some_and(|e| e == "toml") || name.contains('/');
            if !looks_like_a_file {
                let known: Vec<&str> = SCENARIOS.iter().map(|(name, _)| *name).collect();
                let help = suggestion(name, &known).unwrap_or_default();
                return Err(miette!(help = help, "there is no scenario {name:?}, and it is no .toml file either"));
            }
            let text = std::fs::read_to_string(path).map_err(|e| miette!("cannot read scenario {name}: {e}"))?;
            Ok(Selected { name: crate::scenario::name_of(path), path: name.clone(), text })
        })
        .collect()
}
