//! A comparison in words: a table that begins with what matters.

use std::fmt::Write as _;

use super::{Basis, Change, Compared, Comparison, Figure, Finding, Scenario, runs_needed};
use crate::timeline::time_words;

/// A comparison for a terminal.
#[must_use]
pub fn render(comparison: &Comparison) -> String {
    let mut text = String::new();
    let _ = writeln!(text, "{:<15} {:<40} failed before, now", "change", "scenario");
    for scenario in &comparison.scenarios {
        if is_quiet(scenario) {
            continue;
        }
        let of = |(failed, all): (usize, usize)| format!("{failed}/{all}");
        let name = comparison.name(scenario);
        let (before, now) = (of(scenario.failed_before), of(scenario.failed_now));
        let _ = writeln!(text, "{:<15} {name:<40} {before}, {now}", scenario.change.word());
        for line in lines(scenario) {
            let _ = writeln!(text, "  {line}");
        }
    }
    text.push('\n');
    for note in notes(comparison) {
        let _ = writeln!(text, "{note}");
    }
    text
}

/// What is to be said of all scenarios together, a line each: how many pass as before, and what the findings stand on.
#[must_use]
pub fn notes(comparison: &Comparison) -> Vec<String> {
    let passing = comparison.scenarios.iter().filter(|s| s.change == Change::StillPassing).count();
    let figures: Vec<&Compared> = comparison.scenarios.iter().flat_map(|s| &s.figures).collect();
    let mut notes = vec![format!("{passing} of {} scenarios pass as before", comparison.scenarios.len())];
    let tested = comparison.tested();
    if tested > 0 {
        let rate = comparison.error_rate * 100.0;
        notes.push(format!(
            "{}: false alarms in at most {rate} % of comparisons, over all of them together",
            counted(tested, "varies", "vary")
        ));
    }
    let exact = figures.iter().filter(|f| f.basis == Basis::SameSeed).count();
    if exact > 0 {
        notes.push(format!(
            "{} of the same seeds on virtual time: compared as they are, without chance",
            counted(exact, "is", "are")
        ));
    }
    let few = figures.iter().filter(|f| f.finding == Finding::TooFew).count();
    if few > 0 {
        notes.push(format!(
            "{}, with too few runs to tell that from chance: {} would do on each side, {}",
            counted(few, "differs", "differ"),
            runs_needed(comparison.tested()),
            how_to_get_more(comparison)
        ));
    }
    if comparison.duplicates > 0 {
        notes.push(format!("{} recordings are given more than once, and count once", comparison.duplicates));
    }
    notes
}

/// `1 figure differs`, `2 figures differ`.
fn counted(n: usize, one: &str, several: &str) -> String {
    if n == 1 { format!("1 figure {one}") } else { format!("{n} figures {several}") }
}

/// On virtual time a repeat is the same run again: only another seed adds to what is known.
fn how_to_get_more(comparison: &Comparison) -> &'static str {
    let few = |s: &&Scenario| s.figures.iter().any(|f| f.finding == Finding::TooFew);
    let mut warped = comparison.scenarios.iter().filter(few).map(|s| s.warped);
    match (warped.clone().any(|warped| warped), warped.all(|warped| warped)) {
        (true, true) => "each with a seed of its own (`run --seed`); or one with the same seed",
        (true, false) => "`run --repeat` on a board, on virtual time each with a seed of its own (`run --seed`)",
        (false, _) => "`run --repeat`",
    }
}

/// Whether there is nothing to tell of a scenario: it passes as before, by the same figures.
#[must_use]
pub fn is_quiet(scenario: &Scenario) -> bool {
    scenario.change == Change::StillPassing && lines(scenario).is_empty()
}

/// What changed in a scenario besides its verdict, a line each. Console text in it is masked, and untrusted.
#[must_use]
pub fn lines(scenario: &Scenario) -> Vec<String> {
    let mut lines: Vec<String> = scenario
        .figures
        .iter()
        .filter(|f| matches!(f.finding, Finding::Worse | Finding::Better | Finding::Changed | Finding::TooFew))
        .map(figure)
        .collect();
    if let Some((before, now)) = scenario.back_off {
        lines.push(format!("back-off was {}, is {}", before.word(), now.word()));
    }
    if scenario.text_changed && !lines.is_empty() {
        lines.push("the scenario's text differs between the two sides: the change may be its own".to_owned());
    }
    let known = !matches!(scenario.change, Change::New | Change::Gone);
    if known {
        lines.extend(scenario.new_errors.iter().map(|line| format!("new error line: {line}")));
        lines.extend(scenario.gone_errors.iter().map(|line| format!("error line gone: {line}")));
        lines.extend(scenario.new_resets.iter().map(|reason| format!("new reset reason: {reason}")));
    }
    lines
}

/// `recovery worse: 31.204 s before, 1 min 2 s now (10 and 10 runs, p = 0.00001)`.
pub(super) fn figure(compared: &Compared) -> String {
    let words = match compared.finding {
        Finding::Worse => "worse",
        Finding::Better => "better",
        Finding::Changed => "changed",
        Finding::Slight => "slightly different",
        Finding::Same => "the same",
        Finding::TooFew => "different, by too few runs to tell",
    };
    let value = |value: Option<f64>| value.map_or_else(|| "never".to_owned(), |value| amount(compared.figure, value));
    let grounds = match (compared.p, compared.values) {
        (Some(p), (before, now)) => format!("{before} and {now} runs, p = {p:.1e}"),
        (None, (1, _)) => "same seed on virtual time".to_owned(),
        (None, (seeds, _)) => format!("same {seeds} seeds on virtual time"),
    };
    format!(
        "{} {words}: {} before, {} now ({grounds})",
        compared.figure.word(),
        value(compared.before),
        value(compared.now),
    )
}

fn amount(figure: Figure, value: f64) -> String {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "figures are counts, far below 2^52")]
    let whole = value.max(0.0).round() as u64;
    match figure {
        Figure::Failures => format!("{:.0} %", value * 100.0),
        // A run in which nothing failed.
        Figure::Recovery if whole == 0 => "not needed".to_owned(),
        Figure::Recovery | Figure::Notice => time_words(whole),
        Figure::Retries | Figure::Connections => whole.to_string(),
        Figure::Throughput => format!("{whole} bytes/s"),
        Figure::FreeHeap => format!("{whole} bytes"),
    }
}
