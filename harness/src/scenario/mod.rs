//! Scenarios: the checked form, and how TOML becomes it.
//!
//! What this module must never know: boards, sockets, clocks.

mod check;
pub mod embedded;
pub mod matrix;
pub mod model;
mod raw;
mod schema;
pub mod values;

use std::path::Path;

use crate::problem::{FileErrors, Problems};
use model::{Scenario, Source};
use values::Values;

pub(crate) use crate::judge::words;

/// Reads a scenario from text. `name` is the scenario's, `path` is for messages, `values` fill its templates.
///
/// # Errors
///
/// Everything that is wrong with the file, each at its place.
pub fn parse(name: &str, path: &str, text: &str, values: &Values) -> Result<Scenario, FileErrors> {
    let mut problems = Problems::new(path, text);
    let raw = match toml::from_str::<raw::RawScenario>(text) {
        Ok(raw) => raw,
        Err(e) => {
            problems.add_toml(&e);
            return problems.finish(None);
        }
    };
    let source = Source { path: path.to_owned(), text: text.to_owned() };
    let scenario = check::Checker { problems: &mut problems, values }.scenario(name, source, raw);
    problems.finish(scenario)
}

/// Name of the scenario in a file: the file's stem.
#[must_use]
pub fn name_of(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

/// The JSON Schema of scenario files.
#[must_use]
pub fn schema() -> String {
    let mut schema = schemars::schema_for!(raw::RawScenario).to_value();
    schema::allow_templates(&mut schema);
    serde_json::to_string_pretty(&schema).unwrap_or_default() + "\n"
}

#[cfg(test)]
mod tests;
