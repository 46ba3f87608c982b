//! What was meant by a misspelt name.

/// The candidate nearest to `word`, if it is near enough to be what was meant.
#[must_use]
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let limit = (word.chars().count() / 3).max(1) + 1;
    candidates
        .into_iter()
        .map(|candidate| (strsim::levenshtein(word, candidate), candidate))
        .min()
        .filter(|(distance, _)| *distance <= limit)
        .map(|(_, candidate)| candidate)
}

/// "did you mean ...?" where something known is near, else what is known.
#[must_use]
pub fn suggestion(given: &str, known: &[&str]) -> Option<String> {
    if known.is_empty() {
        return None;
    }
    Some(nearest(given, known.iter().copied()).map_or_else(
        || format!("known are {}", known.iter().map(|k| format!("`{k}`")).collect::<Vec<_>>().join(", ")),
        |meant| format!("did you mean `{meant}`?"),
    ))
}

/// Reads serde's own message: "unknown field `x`, expected one of `a`, `b`" holds what could have been meant.
#[must_use]
pub fn meant(message: &str) -> Option<String> {
    let mut quoted = message.split('`').skip(1).step_by(2);
    let given = quoted.next()?;
    if !message.starts_with("unknown") {
        return None;
    }
    suggestion(given, &quoted.collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_finds_its_word_and_nonsense_finds_none() {
        let words = ["retry-scheduled", "retries-exhausted", "reset"];
        assert_eq!(nearest("retry-sheduled", words), Some("retry-scheduled"));
        assert_eq!(nearest("rest", words), Some("reset"));
        assert_eq!(nearest("banana", words), None);
        assert_eq!(suggestion("banana", &["apple"]).as_deref(), Some("known are `apple`"));
    }

    #[test]
    fn what_serde_knows_is_what_could_have_been_meant() {
        let message = "unknown field `sumary`, expected one of `summary`, `tags`";
        assert_eq!(meant(message).as_deref(), Some("did you mean `summary`?"));
        assert_eq!(meant("missing field `summary`"), None);
    }
}
