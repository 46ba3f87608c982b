//! The dashboard's pages, made of trends alone.
//!
//! Text of a history is untrusted: others may write to its database. It is shown as `visible` makes it, and escaped by the
//! template engine. There is no script on these pages.

use std::path::PathBuf;

use askama::Template;
use url::form_urlencoded::Serializer;

use crate::date::rfc3339_ms;
use crate::history::{Run, Trend, text};
use crate::report::html::{excerpt, over_history, visible};
use crate::verdict::Status;

/// The style sheet: that of a report, and what only the dashboard has.
pub(super) const CSS: &str = concat!(include_str!("../report/html/assets/page.css"), include_str!("dashboard.css"));

/// Runs of a scenario that the overview shows, the newest.
const STRIP: usize = 30;
/// Runs of a scenario that its page lists unless told otherwise.
pub(super) const LISTED: usize = 100;
/// Runs that its chart draws.
const DRAWN: usize = 200;

/// What of the overview is shown.
pub(super) struct Shown {
    /// Part of a scenario's name, of either case; empty for all.
    pub(super) part: String,
    /// Only what fails or wavers.
    pub(super) bad: bool,
}

impl Shown {
    fn takes(&self, trend: &Trend) -> bool {
        let named = self.part.is_empty() || trend.scenario.to_lowercase().contains(&self.part.to_lowercase());
        named && (!self.bad || is_bad(trend))
    }
}

fn is_bad(trend: &Trend) -> bool {
    trend.first_bad.is_some() || trend.flake_rate.is_some_and(|rate| rate.wavering > 0)
}

#[derive(Template)]
#[template(path = "dashboard.html")]
struct Overview<'a> {
    title: String,
    history: String,
    part: &'a str,
    bad: bool,
    failing: usize,
    flaky: usize,
    passing: usize,
    unjudged: usize,
    newest: Option<String>,
    rows: Vec<Row>,
    left_out: usize,
}

struct Row {
    word: &'static str,
    sign: char,
    name: String,
    href: String,
    board: String,
    strip: Vec<Mark>,
    since: String,
    failed: String,
    flaky: String,
    recovery: String,
}

/// A run in a row of runs.
struct Mark {
    word: &'static str,
    sign: char,
    title: String,
}

impl Mark {
    fn of(run: &Run) -> Self {
        let label = run.label.as_deref().map_or_else(String::new, |label| format!(", {label}"));
        let title = format!("{}: {}{label}", rfc3339_ms(run.began_ms), run.word());
        Self { word: run.word(), sign: text::sign(run), title: visible(&title) }
    }
}

/// The overview: a row for each scenario on each board, what fails first.
pub(super) fn overview(all: &[Trend], history: &str, shown: &Shown) -> askama::Result<String> {
    let rows: Vec<Row> = all.iter().filter(|trend| shown.takes(trend)).map(row).collect();
    let failing = all.iter().filter(|t| t.first_bad.is_some()).count();
    let flaky = all.iter().filter(|t| t.flake_rate.is_some_and(|rate| rate.wavering > 0)).count();
    let unjudged = all.iter().filter(|t| t.last().is_none()).count();
    let newest = all.iter().filter_map(|t| t.runs.last()).map(|run| run.began_ms).max();
    let title = match failing {
        0 => "brickproof: nothing fails in its last run".to_owned(),
        n => format!("brickproof: {n} of {} scenarios fail in their last run", all.len()),
    };
    Overview {
        title,
        history: visible(history),
        part: &shown.part,
        bad: shown.bad,
        failing,
        flaky,
        passing: all.len() - failing - unjudged,
        unjudged,
        newest: newest.map(rfc3339_ms),
        left_out: all.len() - rows.len(),
        rows,
    }
    .render()
}

fn row(trend: &Trend) -> Row {
    let (failed, judged) = trend.failed();
    let last = trend.last().or(trend.runs.last());
    let strip = &trend.runs[trend.runs.len().saturating_sub(STRIP)..];
    Row {
        word: last.map_or("skip", Run::word),
        sign: last.map_or('-', text::sign),
        name: visible(&trend.scenario),
        href: href(trend),
        board: board(trend),
        strip: strip.iter().map(Mark::of).collect(),
        since: trend.first_bad.map_or_else(String::new, |n| which(&trend.runs[n])),
        failed: format!("{failed} of {judged}"),
        flaky: trend.flake_rate.map_or_else(|| "–".to_owned(), |rate| format!("{} of {}", rate.wavering, rate.of)),
        recovery: text::recovery(trend),
    }
}

/// Where a scenario's page is, relative to the dashboard.
fn href(trend: &Trend) -> String {
    let pairs = [("name", &trend.scenario), ("board", &trend.board), ("chip", &trend.chip)];
    format!("scenario?{}", Serializer::new(String::new()).extend_pairs(pairs).finish())
}

fn board(trend: &Trend) -> String {
    visible(&format!("{} ({})", trend.board, trend.chip))
}

fn which(run: &Run) -> String {
    let label = run.label.as_deref().map_or_else(String::new, |label| format!(", {label}"));
    visible(&format!("{}{label}", rfc3339_ms(run.began_ms)))
}

#[derive(Template)]
#[template(path = "dashboard_scenario.html")]
struct Scenario {
    name: String,
    board: String,
    history: String,
    now: Mark,
    since: String,
    flaky: Option<String>,
    failed: usize,
    judged: usize,
    chart: Option<String>,
    drawn: usize,
    rows: Vec<RunRow>,
    /// Where more runs are listed, and how many there are.
    more: Option<(String, usize)>,
}

struct RunRow {
    mark: Mark,
    began: String,
    /// Where its page is, if its recordings are here: of the scenario alone, and of the whole run.
    pages: Option<(String, String)>,
    run: String,
    label: String,
    counts: String,
    recovery: String,
    why: String,
}

/// How a scenario's page is shown.
pub(super) struct View<'v> {
    /// The history, as it is shown.
    pub(super) history: &'v str,
    /// How many runs are listed.
    pub(super) last: usize,
    /// Whether a run's recordings are here.
    pub(super) kept: &'v dyn Fn(&str) -> bool,
}

/// The page of a scenario on a board: recovery over time, and its runs, newest first.
pub(super) fn scenario(trend: &Trend, view: &View<'_>) -> askama::Result<String> {
    let (failed, judged) = trend.failed();
    let flaky = trend.flake_rate.map(|rate| {
        format!("verdicts differ for {} of {} things that were tried more than once", rate.wavering, rate.of)
    });
    let drawn = &trend.runs[trend.runs.len().saturating_sub(DRAWN)..];
    let rows = trend.runs.iter().rev().take(view.last).map(|run| run_row(run, view)).collect();
    let last = trend.last().or(trend.runs.last());
    Scenario {
        name: visible(&trend.scenario),
        board: board(trend),
        history: visible(view.history),
        now: last.map_or(Mark { word: "skip", sign: '-', title: String::new() }, Mark::of),
        since: visible(&text::since(trend)),
        flaky,
        failed,
        judged,
        chart: over_history(drawn),
        drawn: drawn.len(),
        rows,
        more: (trend.runs.len() > view.last)
            .then(|| (format!("{}&last={}", href(trend), trend.runs.len()), trend.runs.len())),
    }
    .render()
}

fn run_row(run: &Run, view: &View<'_>) -> RunRow {
    let repeats = run.passed + run.failed;
    let recovery = match (run.recovery_ms, run.never_recovered) {
        (_, 1..) => "never".to_owned(),
        (Some(ms), 0) => text::millis(ms),
        (None, 0) => "–".to_owned(),
    };
    RunRow {
        mark: Mark::of(run),
        began: rfc3339_ms(run.began_ms),
        pages: (view.kept)(&run.run).then(|| pages(run)),
        run: visible(&run.run),
        label: visible(run.label.as_deref().unwrap_or_default()),
        counts: if repeats > 1 { format!("{} of {repeats} failed", run.failed) } else { String::new() },
        recovery,
        why: excerpt(&run.why),
    }
}

/// A name as one part of a path.
fn segment(name: &str) -> String {
    let mut url = url::Url::parse("http://x/").ok();
    if let Some(Ok(mut path)) = url.as_mut().map(url::Url::path_segments_mut) {
        path.push(name);
    }
    url.map_or_else(String::new, |url| url.path().trim_start_matches('/').to_owned())
}

/// Where the page of a run is: of its recording alone, and of all.
fn pages(run: &Run) -> (String, String) {
    let whole = format!("run/{}", segment(&run.run));
    let file = run.recording.as_deref().and_then(|path| path.rsplit('/').next());
    let one = file.map_or_else(
        || whole.clone(),
        |file| format!("{whole}?{}", Serializer::new(String::new()).append_pair("recording", file).finish()),
    );
    (one, whole)
}

#[derive(Template)]
#[template(path = "dashboard_message.html")]
struct Message<'a> {
    title: &'a str,
    words: String,
    links: Vec<(String, String)>,
}

/// A page that says what is wrong.
pub(super) fn message(title: &str, words: &str) -> String {
    let page = Message { title, words: visible(words), links: Vec::new() };
    page.render().unwrap_or_else(|_| "the page could not be made".to_owned())
}

/// A page that lets choose between the folders that have a run of the same name.
pub(super) fn choice(run: &str, folders: &[PathBuf], recording: Option<&str>) -> askama::Result<String> {
    let link = |(n, folder): (usize, &PathBuf)| {
        let mut query = Serializer::new(String::new());
        query.append_pair("of", &n.to_string());
        if let Some(recording) = recording {
            query.append_pair("recording", recording);
        }
        (format!("?{}", query.finish()), visible(&folder.display().to_string()))
    };
    let links = folders.iter().enumerate().map(link).collect();
    let words = format!("Several report folders have a run named {}: which one?", visible(run));
    Message { title: "Which run?", words, links }.render()
}

/// Verdicts have classes of their own in the style sheet; what wavers has that of an error.
fn class(word: &str) -> &str {
    if word == "flaky" { Status::Error.word() } else { word }
}
