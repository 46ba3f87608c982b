//! Trends in words, for a terminal.

use std::fmt::Write as _;

use super::trend::{Run, Trend};
use crate::compare::median;
use crate::date::rfc3339_ms;
use crate::timeline::time_words;

/// All trends as a table, what fails now first.
#[must_use]
pub fn table(trends: &[Trend]) -> String {
    let mut text = String::new();
    let width = |of: fn(&Trend) -> String, least: usize| {
        trends.iter().map(|t| of(t).chars().count()).max().unwrap_or(0).max(least)
    };
    let (names, boards) = (width(|t| visible(&t.scenario), 8), width(board, 5));
    let _ = writeln!(
        text,
        "{:<8} {:<names$} {:<boards$} {:>9} {:>9} {:>24}  failing since",
        "now", "scenario", "board", "failed", "flaky", "recovery (median)"
    );
    for trend in trends {
        let (failed, judged) = trend.failed();
        let flaky = trend.flake_rate.map_or_else(|| "-".to_owned(), |r| format!("{}/{}", r.wavering, r.of));
        let _ = writeln!(
            text,
            "{:<8} {:<names$} {:<boards$} {:>9} {flaky:>9} {:>24}  {}",
            now(trend),
            visible(&trend.scenario),
            board(trend),
            format!("{failed}/{judged}"),
            recovery(trend),
            trend.first_bad.map_or_else(|| "-".to_owned(), |n| which(&trend.runs[n])),
        );
    }
    let fails = trends.iter().filter(|t| t.first_bad.is_some()).count();
    let _ = writeln!(text, "\n{fails} of {} scenarios fail in their last judged run", trends.len());
    text
}

/// One trend with its last runs, newest last.
#[must_use]
pub fn detail(trend: &Trend, last: usize) -> String {
    let mut text = format!("{} on {}: {}\n", visible(&trend.scenario), board(trend), since(trend));
    if let Some(rate) = trend.flake_rate {
        let _ = writeln!(
            text,
            "verdicts differ for {} of {} things that were tried more than once",
            rate.wavering, rate.of
        );
    }
    let shown = &trend.runs[trend.runs.len().saturating_sub(last)..];
    if shown.len() < trend.runs.len() {
        let _ = writeln!(text, "the last {} of {} runs:", shown.len(), trend.runs.len());
    }
    for run in shown {
        let repeats = run.passed + run.failed;
        let counts = if repeats > 1 { format!(" ({} of {repeats} failed)", run.failed) } else { String::new() };
        let label = run.label.as_deref().map_or_else(String::new, |label| format!("  {}", visible(label)));
        let recovery = match (run.recovery_ms, run.never_recovered) {
            (_, 1..) => "  never recovered".to_owned(),
            (Some(ms), 0) => format!("  recovered after {}", millis(ms)),
            (None, 0) => String::new(),
        };
        let (sign, word, began) = (sign(run), run.word(), rfc3339_ms(run.began_ms));
        let _ = writeln!(text, "  {sign} {word:<5} {began}  {}{label}{counts}{recovery}", visible(&run.run));
        if !run.why.is_empty() {
            let _ = writeln!(text, "      {}", visible(&run.why));
        }
    }
    text
}

/// Since when, in a sentence: the first bad run and the last good one before it.
#[must_use]
pub fn since(trend: &Trend) -> String {
    let good = trend.last_good.map(|n| which(&trend.runs[n]));
    match (trend.first_bad, good) {
        (Some(bad), Some(good)) => format!("fails since {}; passed last {good}", which(&trend.runs[bad])),
        (Some(bad), None) => format!("fails since {}; never passed before", which(&trend.runs[bad])),
        (None, Some(good)) => format!("passed last {good}"),
        (None, None) => "never judged".to_owned(),
    }
}

fn which(run: &Run) -> String {
    let label = run.label.as_deref().map_or_else(String::new, |label| format!(", {}", visible(label)));
    format!("{} (run {}{label})", rfc3339_ms(run.began_ms), visible(&run.run))
}

fn now(trend: &Trend) -> String {
    // A rig that is broken now is told, beside what was judged before.
    let last = trend.last().or(trend.runs.last());
    last.map_or_else(String::new, |run| format!("{} {}", sign(run), run.word()))
}

/// A sign for each verdict: colour is never the only one.
#[must_use]
pub fn sign(run: &Run) -> char {
    match run.word() {
        "pass" => '✓',
        "fail" => '✗',
        "flaky" => '≈',
        "error" => '!',
        _ => '-',
    }
}

/// The last recovery, and the median of all.
#[must_use]
pub fn recovery(trend: &Trend) -> String {
    let Some(last) = trend.last() else { return "-".to_owned() };
    let all = median(trend.runs.iter().filter_map(|run| run.recovery_ms).collect());
    match (last.never_recovered, last.recovery_ms, all) {
        (1.., _, Some(all)) => format!("never ({})", millis(all)),
        (1.., _, None) => "never".to_owned(),
        (0, Some(ms), Some(all)) => format!("{} ({})", millis(ms), millis(all)),
        (0, ..) => "-".to_owned(),
    }
}

/// Milliseconds in words.
#[must_use]
pub fn millis(ms: f64) -> String {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "milliseconds are far below 2^52")]
    let whole = ms.max(0.0).round() as u64;
    time_words(whole)
}

fn board(trend: &Trend) -> String {
    format!("{} ({})", visible(&trend.board), visible(&trend.chip))
}

/// Text from a database that others may write to: nothing in it moves a terminal's cursor.
fn visible(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::{Entry, trends};
    use crate::metrics::Recovery;
    use crate::verdict::Status;

    fn history() -> Vec<Trend> {
        let day = |n: u64| 1_795_500_000_000 + n * 86_400_000;
        let run = |scenario: &str, n: u64, status: Status| {
            let mut entry = Entry::example(scenario, &format!("2026112{n}-040000-77"), day(n), status);
            entry.label = Some(format!("c0ffee{n}"));
            entry
        };
        let mut entries = vec![
            run("wrong-port", 0, Status::Pass),
            run("wrong-port", 1, Status::Error),
            run("wrong-port", 2, Status::Fail),
            run("wrong-port", 3, Status::Fail),
            run("healthy-update", 2, Status::Pass),
            run("wavers", 1, Status::Pass),
            run("wavers", 1, Status::Fail),
            run("no-rig", 1, Status::Error),
        ];
        entries[6].identity.attempt = 2;
        entries[2].why = "boots 1.6.0: it never did\u{1b}[2J".to_owned();
        entries[3].recovery = Some(Recovery::Never);
        entries[4].recovery = Some(Recovery::NotNeeded);
        trends(&entries)
    }

    #[test]
    fn table_begins_with_what_fails_and_tells_since_when() {
        insta::assert_snapshot!(table(&history()));
    }

    #[test]
    fn detail_tells_first_bad_run_last_good_run_and_what_failed() {
        let told: String = history().iter().map(|trend| detail(trend, 3)).collect();
        insta::assert_snapshot!(told);
    }
}
