//! Where dialects come from: embedded ones by name, files by path, each after the one it extends.

use std::path::Path;
use std::sync::Arc;

use super::check::check;
use super::error::{DialectError, File};
use super::raw::RawDialect;
use super::rule::{Dialect, Rule};
use crate::problem::{Problem, nearest};

const EMBEDDED: &[(&str, &str)] = &[
    ("esp-idf", include_str!("../../../scenarios/dialects/esp-idf.toml")),
    ("xiaozhi", include_str!("../../../scenarios/dialects/xiaozhi.toml")),
];

/// Longer chains of `extends` are a circle or a mistake.
const MAX_DEPTH: usize = 8;

/// Names of the dialects that come with the program.
pub fn embedded_names() -> impl Iterator<Item = &'static str> {
    EMBEDDED.iter().map(|(name, _)| *name)
}

/// A dialect that comes with the program.
///
/// # Errors
/// When there is none of this name.
pub fn embedded(name: &str) -> Result<Dialect, DialectError> {
    let Some((_, text)) = EMBEDDED.iter().find(|(known, _)| *known == name) else {
        return Err(DialectError::Unknown {
            name: name.to_owned(),
            known: embedded_names().collect::<Vec<_>>().join(", "),
        });
    };
    read(File { path: format!("{name} (embedded)"), text: Arc::from(*text) }, 0)
}

/// The dialect of this name or path. What holds a `/` or `\` or ends in `.toml` is a path.
///
/// # Errors
/// When there is no such dialect, the file cannot be read, or it is wrong.
pub fn load(name_or_path: &str) -> Result<Dialect, DialectError> {
    if !is_path(name_or_path) {
        return embedded(name_or_path);
    }
    read(open(name_or_path)?, 0)
}

/// Reads a dialect from text. `path` stands in messages, and a relative `extends` is seen from its folder.
///
/// # Errors
/// When the text is no right dialect.
pub fn parse(path: &str, text: &str) -> Result<Dialect, DialectError> {
    read(File { path: path.to_owned(), text: Arc::from(text) }, 0)
}

fn is_path(name: &str) -> bool {
    name.contains(['/', '\\']) || Path::new(name).extension().is_some_and(|e| e.eq_ignore_ascii_case("toml"))
}

fn open(path: &str) -> Result<File, DialectError> {
    let text = std::fs::read_to_string(path).map_err(|source| DialectError::Read { path: path.to_owned(), source })?;
    Ok(File { path: path.to_owned(), text: Arc::from(text) })
}

fn read(file: File, depth: usize) -> Result<Dialect, DialectError> {
    let invalid = |problems| DialectError::Invalid { path: file.path.clone(), problems };
    let raw: RawDialect =
        toml::from_str(&file.text).map_err(|error| invalid(vec![Problem::of_toml(&file.path, &file.text, &error)]))?;
    let inherited = match &raw.extends {
        None => Vec::new(),
        Some(parent) => inherit(&file, parent, depth)?,
    };
    check(&file, raw, inherited).map_err(invalid)
}

fn inherit(file: &File, parent: &toml::Spanned<String>, depth: usize) -> Result<Vec<Rule>, DialectError> {
    let name = parent.get_ref();
    let problem = |message: String, help: Option<String>| DialectError::Invalid {
        path: file.path.clone(),
        problems: vec![file.problem(parent.span(), message, help)],
    };
    if depth >= MAX_DEPTH {
        return Err(problem(
            format!("more than {MAX_DEPTH} dialects extend each other, \"{name}\" being the next"),
            Some("see whether a dialect extends itself by way of another".to_owned()),
        ));
    }
    if !is_path(name) {
        return match EMBEDDED.iter().find(|(known, _)| known == name) {
            Some((_, text)) => {
                read(File { path: format!("{name} (embedded)"), text: Arc::from(*text) }, depth + 1).map(|d| d.rules)
            }
            None => {
                let meant = nearest(name, embedded_names());
                let known = embedded_names().collect::<Vec<_>>().join(", ");
                let help = meant.map_or_else(
                    || format!("embedded dialects are {known}; a file is named by its path, ending in .toml"),
                    |meant| format!("did you mean \"{meant}\"?"),
                );
                Err(problem(format!("no dialect \"{name}\" to extend"), Some(help)))
            }
        };
    }
    let path = Path::new(&file.path).parent().unwrap_or(Path::new("")).join(name);
    let opened = open(&path.to_string_lossy()).map_err(|error| {
        problem(format!("dialect to extend: {error}"), Some("the path is seen from this file's folder".to_owned()))
    })?;
    read(opened, depth + 1).map(|dialect| dialect.rules)
}
