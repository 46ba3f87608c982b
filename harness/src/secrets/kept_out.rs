//! A recording holds its scenario, and is judged by it: a scenario that holds a secret can be neither recorded with it nor
//! judged without it.

use std::collections::BTreeMap;

use super::environment::provisioned;
use super::{Secrets, is_secret_name};
use crate::problem::place;
use crate::scenario::model::Scenario;

const ADVICE: &str = "a recording holds its scenario as it is; write `{env.NAME}` in its place, and set that environment \
                      variable (docs/secrets.md)";

/// Says why a scenario cannot be recorded, if that is so: its text, its path or one of its templates' values holds what
/// must not be shown.
///
/// # Errors
///
/// Where the secret stands, and what to do, in words that do not hold it.
pub fn check(scenario: &Scenario, values: &BTreeMap<String, String>, secrets: &Secrets) -> Result<(), String> {
    let source = &scenario.source;
    if let Some(found) = secrets.place_in(&source.text) {
        let (line, column) = place(&source.text, found.start);
        let path = secrets.mask(&source.path);
        return Err(format!("{path}:{line}:{column}: the scenario's text holds a secret's value: {ADVICE}"));
    }
    if secrets.place_in(&source.path).is_some() || secrets.place_in(&scenario.name).is_some() {
        return Err("the scenario's name or path holds a secret's value: give the file another name".to_owned());
    }
    if let Some((name, _)) = values.iter().find(|(_, value)| secrets.place_in(value).is_some()) {
        return Err(format!(
            "{}: {name}, a value that fills the scenario's templates, is a secret's or holds one: {ADVICE}",
            source.path
        ));
    }
    for (key, value) in provisioned(scenario) {
        if let Some(what) = literal(key, &value.0) {
            let at = source.text.find(key.as_str()).unwrap_or(0);
            let (line, column) = place(&source.text, at);
            return Err(format!("{}:{line}:{column}: {what} stands in the scenario's text: {ADVICE}", source.path));
        }
    }
    Ok(())
}

/// What a provisioned value shows that is secret by its name.
fn literal(key: &str, value: &str) -> Option<String> {
    let taken = |text: &str| text.is_empty() || text.contains("{env.") || text.contains("%7Benv.");
    if is_secret_name(key) && !taken(value) {
        return Some(format!("the value of {key}"));
    }
    let url = url::Url::parse(value).ok()?;
    if url.password().is_some_and(|password| !taken(password)) {
        return Some(format!("the password in the URL {key}"));
    }
    let parameter = url.query_pairs().find(|(name, value)| is_secret_name(name) && !taken(value))?.0.into_owned();
    Some(format!("the value of `{parameter}` in the URL {key}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{self, values::Values};

    fn checked(provision: &str, secrets: &Secrets) -> Result<(), String> {
        let text = format!(
            "summary = \"x\"\ndevice-time = \"1min\"\n[image]\nflash = \"1.5.9\"\n[provision]\n{provision}\n[[expect]]\nstill-runs = true\nuntil-end = true\n"
        );
        let values = Values::of_network("192.168.88.200", 8002);
        let scenario = scenario::parse("s", "s.toml", &text, &values).unwrap_or_else(|e| panic!("{e:?}"));
        check(&scenario, &values.0, secrets)
    }

    #[test]
    fn scenario_that_holds_a_secret_is_told_with_its_place_and_without_the_secret() {
        let secrets = Secrets::default();
        secrets.add_value("hunter2-long");
        let why = checked("ota-url = \"http://h/hunter2-long\"", &secrets).expect_err("a value");
        assert!(why.starts_with("s.toml:6:21: ") && why.contains("{env.NAME}") && !why.contains("hunter2"), "{why}");
        secrets.add_pattern(regex::bytes::Regex::new("serial-[0-9]+").expect("pattern"));
        checked("ota-url = \"http://h/serial-12\"", &secrets).expect_err("a pattern");
        let value = secrets.fork();
        value.add_value("192.168.88.200");
        let why = checked("ota-url = \"{server.url}\"", &value).expect_err("a template's value");
        assert!(why.contains("server."), "{why}");
    }

    #[test]
    fn what_is_secret_by_its_name_is_taken_from_the_environment() {
        let none = Secrets::default();
        for (provision, what) in [
            ("ota-url = \"http://h/?v=1&access_token=abc\"", "`access_token` in the URL ota-url"),
            ("ota-url = \"http://me:abc@h/\"", "the password in the URL ota-url"),
            ("mqtt-password = \"abc\"", "the value of mqtt-password"),
        ] {
            let why = checked(provision, &none).expect_err(provision);
            assert!(why.contains(what) && why.contains("s.toml:6:1"), "{why}");
            checked(&provision.replace("abc", "{env.ABC}"), &none).expect(provision);
        }
        checked("ota-url = \"{server.url}?mac=aa:bb\"", &none).expect("nobody's secret by its name");
    }
}
