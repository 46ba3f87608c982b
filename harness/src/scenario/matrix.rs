//! `[matrix]`: one file, many cases. Each combination of its values is a scenario of its own.
//!
//! Cases are made in the text, before the file is read: `"{matrix.code}"` with its quotes becomes the value as TOML writes
//! it (a number, a table, a text), `{matrix.code}` inside a longer text becomes its words. Lines stay where they are, so
//! that problems are told at their place.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::{Spanned, Value};

use crate::problem::{FileErrors, Problems, suggestion};

/// One case of a scenario file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// `code=503,failures=3`; none where the file has no matrix.
    pub name: Option<String>,
    /// The file's text with the case's values in it.
    pub text: String,
}

/// More cases than this are a mistake.
const MOST: usize = 1000;

#[derive(Deserialize)]
struct File {
    #[serde(default)]
    matrix: BTreeMap<String, Spanned<Values>>,
}

/// The values of one name: listed, or each under a name of its own where its words would not do.
#[derive(Deserialize)]
#[serde(untagged)]
enum Values {
    Listed(Vec<Value>),
    Named(BTreeMap<String, Value>),
}

impl Values {
    /// Each value with its name.
    fn named(&self) -> Vec<(String, &Value)> {
        match self {
            Self::Listed(values) => values.iter().map(|value| (words(value), value)).collect(),
            Self::Named(values) => values.iter().map(|(name, value)| (name.clone(), value)).collect(),
        }
    }
}

/// A value without the marks that only TOML needs.
fn words(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// The cases of a file; a file without `[matrix]` is one.
///
/// # Errors
///
/// A matrix that makes no sense, at its place. What is wrong besides is found when a case is read.
pub fn cases(path: &str, text: &str) -> Result<Vec<Case>, FileErrors> {
    let mut problems = Problems::new(path, text);
    let Ok(file) = toml::from_str::<File>(text) else {
        // Whoever reads the whole file tells all of it; the matrix alone is told here.
        return match toml::from_str::<toml::Table>(text) {
            Ok(table) if table.contains_key("matrix") => {
                let at = text.find("[matrix]").unwrap_or(0);
                let help = "write name = [values], or [matrix.name] with a name for each value".to_owned();
                problems.add(at..at + 8, "a matrix holds lists of values", Some(help));
                problems.finish(None)
            }
            _ => Ok(vec![Case { name: None, text: text.to_owned() }]),
        };
    };
    check(&mut problems, text, &file);
    let mut cases = vec![(Vec::new(), text.to_owned())];
    for (name, values) in &file.matrix {
        let values = values.get_ref().named();
        if cases.len() * values.len() > MOST {
            problems.add(0..0, format!("the matrix makes more than {MOST} cases"), None);
            break;
        }
        cases = cases
            .into_iter()
            .flat_map(|(named, text)| {
                values.iter().map(move |(word, value)| {
                    let mut named: Vec<String> = named.clone();
                    named.push(format!("{name}={word}"));
                    let place = format!("{{matrix.{name}}}");
                    let text = text.replace(&format!("\"{place}\""), &value.to_string()).replace(&place, &words(value));
                    (named, text)
                })
            })
            .collect();
    }
    let named = |names: Vec<String>| (!names.is_empty()).then(|| names.join(","));
    problems.finish(Some(cases.into_iter().map(|(names, text)| Case { name: named(names), text }).collect()))
}

/// Names without values, names that nobody uses, and uses of names that there are not.
fn check(problems: &mut Problems<'_>, text: &str, file: &File) {
    for (name, values) in &file.matrix {
        let named = values.get_ref().named();
        let span = values.span();
        if named.is_empty() {
            problems.add(span.clone(), format!("`{name}` has no values: there would be no case"), None);
        }
        let mut words: Vec<&str> = named.iter().map(|(word, _)| word.as_str()).collect();
        words.sort_unstable();
        if let Some(twice) = words.windows(2).find(|pair| pair[0] == pair[1]) {
            problems.add(
                span.clone(),
                format!("`{name}` has {:?} twice: each case needs its own name", twice[0]),
                None,
            );
        }
        if !text.contains(&format!("{{matrix.{name}}}")) {
            let help = format!("write \"{{matrix.{name}}}\" where it belongs, or leave it out");
            problems.add(span, format!("`{name}` is used nowhere: its cases would all be the same"), Some(help));
        }
    }
    for (at, _) in text.match_indices("{matrix.") {
        let end = text[at..].find('}').map_or(text.len(), |n| at + n + 1);
        let name = text[at + 8..end].trim_end_matches('}');
        if !file.matrix.contains_key(name) {
            let known: Vec<&str> = file.matrix.keys().map(String::as_str).collect();
            problems.add(at..end, format!("the matrix has no `{name}`"), suggestion(name, &known));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_combination_is_a_case_with_its_values_in_place() {
        let text = "code = \"{matrix.code}\"\ntext = \"after {matrix.code}, {matrix.n} times\"\nn = \"{matrix.n}\"\n\
                    [matrix]\ncode = [500, 503]\nn = [1, 2, 3]\n";
        let cases = cases("f", text).expect("cases");
        assert_eq!(cases.len(), 6);
        assert_eq!(cases[5].name.as_deref(), Some("code=503,n=3"));
        assert!(cases[5].text.starts_with("code = 503\ntext = \"after 503, 3 times\"\nn = 3\n"), "{}", cases[5].text);
    }

    #[test]
    fn tables_are_put_in_as_tables_under_the_names_they_are_given() {
        let text = "fault = \"{matrix.fault}\"\n[matrix.fault]\nnone = \"none\"\nlate = { delay = { by = \"1s\" } }\n";
        let cases = cases("f", text).expect("cases");
        let parsed: toml::Table = toml::from_str(&cases[0].text).expect("TOML");
        assert_eq!(cases[0].name.as_deref(), Some("fault=late"));
        assert_eq!(parsed["fault"]["delay"]["by"].as_str(), Some("1s"));
        assert_eq!(cases[0].text.lines().count(), text.lines().count(), "lines stay where they are");
        let parsed: toml::Table = toml::from_str(&cases[1].text).expect("TOML");
        assert_eq!(parsed["fault"].as_str(), Some("none"));
    }

    #[test]
    fn file_without_a_matrix_is_one_case_as_it_stands() {
        assert_eq!(cases("f", "a = 1\n").expect("one"), [Case { name: None, text: "a = 1\n".to_owned() }]);
        assert_eq!(cases("f", "broken").expect("told elsewhere").len(), 1);
    }

    #[test]
    fn matrix_without_sense_is_told_at_its_place() {
        let problem = |text: &str| {
            let errors = cases("f", text).expect_err("wrong");
            let first = &errors.problems[0];
            (first.line, first.message.clone(), first.help.clone())
        };
        let (line, message, _) = problem("a = 1\n[matrix]\ncode = [1]\n");
        assert!(line == 3 && message.contains("used nowhere"), "{line}: {message}");
        let (line, message, help) = problem("a = \"{matrix.cod}\"\nb = \"{matrix.code}\"\n[matrix]\ncode = [1]\n");
        assert!(line == 1 && message.contains("no `cod`"), "{line}: {message}");
        assert_eq!(help.as_deref(), Some("did you mean `code`?"));
        assert!(problem("a = \"{matrix.n}\"\n[matrix]\nn = []\n").1.contains("no values"));
        assert!(problem("a = \"{matrix.n}\"\n[matrix]\nn = [1, 1]\n").1.contains("twice"));
        assert!(problem("a = \"{matrix.n}\"\n[matrix]\nn = 1\n").1.contains("lists of values"));
        assert!(problem("a = \"{matrix.n}\"\n").1.contains("the matrix has no `n`"));
    }
}
