//! `{env.NAME}` in a scenario's provisioning: a value that the scenario's text, and with it the recording, never holds.

use std::collections::{BTreeMap, BTreeSet};

use super::{SHORTEST, SHORTEST_NUMBER, Secrets, parts as masked_parts};
use crate::scenario::model::{Scenario, StepAction, Template};

const OPEN: &str = "{env.";

/// True for the name of an environment variable.
#[must_use]
pub fn is_variable(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// Texts and names of variables, in turn; the last text has no name after it.
fn parts(text: &str) -> Vec<(&str, Option<&str>)> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(OPEN)
        && let Some((name, after)) = after.split_once('}')
    {
        parts.push((before, Some(name)));
        rest = after;
    }
    parts.push((rest, None));
    parts
}

/// The text with the variables' values in place of their names. What is not known stays.
#[must_use]
pub fn filled(text: &str, variables: &BTreeMap<String, String>) -> String {
    let mut whole = String::new();
    for (before, name) in parts(text) {
        whole.push_str(before);
        if let Some(name) = name {
            match variables.get(name) {
                Some(value) => whole.push_str(value),
                None => whole.push_str(&format!("{OPEN}{name}}}")),
            }
        }
    }
    whole
}

/// True when a text holds nothing but variables.
#[must_use]
pub fn is_only_variables(text: &str) -> bool {
    text.contains(OPEN) && parts(text).iter().all(|(before, _)| before.is_empty())
}

/// What a scenario provisions, at its start and in its steps.
pub(super) fn provisioned(scenario: &Scenario) -> impl Iterator<Item = (&String, &Template)> {
    let steps = scenario.steps.iter().flat_map(|step| &step.actions).filter_map(|action| match action {
        StepAction::Provision(keys) => Some(keys),
        _ => None,
    });
    std::iter::once(&scenario.provision).chain(steps).flatten()
}

/// The variables that a scenario takes, and their values, which are secrets from here on.
///
/// # Errors
///
/// One is not set, or too short to be masked; in words.
pub fn of_scenario(
    scenario: &Scenario,
    secrets: &Secrets,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<BTreeMap<String, String>, String> {
    let names: BTreeSet<&str> =
        provisioned(scenario).flat_map(|(_, value)| parts(&value.0)).filter_map(|(_, name)| name).collect();
    let mut values = BTreeMap::new();
    for name in names {
        let value = variable(name).filter(|value| !value.is_empty()).ok_or_else(|| {
            format!("the scenario takes a value from the environment variable {name}, which is not set: set it")
        })?;
        if masked_parts(&value).next().is_none() {
            return Err(too_short(name, &value));
        }
        secrets.add_value(&value);
        values.insert(name.to_owned(), value);
    }
    Ok(values)
}

/// Why a variable's value cannot be masked.
#[must_use]
pub fn too_short(name: &str, value: &str) -> String {
    format!(
        "the environment variable {name} is to be kept secret and has {} bytes: masking a text of fewer than {SHORTEST}, \
         or {SHORTEST_NUMBER} digits, would spoil every line that holds it by accident; take a longer one",
        value.len()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_filled_in_and_what_is_not_known_stays() {
        let variables = BTreeMap::from([("TOKEN".to_owned(), "t{0}".to_owned())]);
        assert_eq!(
            filled("http://h/?a={env.TOKEN}&b={env.OTHER}&c={env.TOKEN}", &variables),
            "http://h/?a=t{0}&b={env.OTHER}&c=t{0}"
        );
        assert_eq!(filled("{env.", &variables), "{env.");
        assert!(is_only_variables("{env.A}{env.B}") && !is_only_variables("a{env.B}") && !is_only_variables(""));
        assert!(is_variable("_A1") && !is_variable("1A") && !is_variable("A-B") && !is_variable(""));
    }
}
