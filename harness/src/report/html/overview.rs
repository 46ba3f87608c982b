//! The page's answer, before any detail: what did not pass, since when and why; then every scenario on every board.

use std::collections::BTreeMap;

use super::charts::{Recovered, recoveries};
use super::untrusted::{excerpt, visible};
use crate::compare::Change;
use crate::metrics::Recovery;
use crate::report::changes::Changed;
use crate::report::junit::headline;
use crate::report::model::{Changes, Report, ScenarioReport, Status, time_words};

/// Answers told in full; the rest stands in the table.
const ANSWERS: usize = 20;

/// What is known of a run only by its recording.
#[derive(Clone, Debug)]
pub(super) struct Known {
    /// When it began, RFC 3339.
    pub(super) began: String,
    pub(super) recovery: Recovery,
}

pub(super) struct Overview<'r> {
    pub(super) title: String,
    pub(super) counts: Vec<Count>,
    pub(super) flaky: usize,
    pub(super) answers: Vec<Answer>,
    pub(super) more_answers: usize,
    pub(super) boards: Vec<String>,
    pub(super) rows: Vec<Row<'r>>,
    pub(super) recoveries: Option<String>,
    pub(super) changes: Option<Compared>,
}

/// What changed since the baseline. All words are shown as [`visible`] makes them.
pub(super) struct Compared {
    pub(super) baseline: String,
    pub(super) regressions: Vec<String>,
    pub(super) rows: Vec<ComparedRow>,
    pub(super) notes: Vec<String>,
}

/// A scenario of which there is something to tell.
pub(super) struct ComparedRow {
    /// Where its run is on the page, if it has one here.
    pub(super) id: Option<String>,
    pub(super) change: Change,
    pub(super) name: String,
    pub(super) before: String,
    pub(super) now: String,
    pub(super) lines: Vec<String>,
}

pub(super) struct Count {
    pub(super) status: Status,
    pub(super) n: usize,
    pub(super) words: &'static str,
}

/// A scenario that did not pass.
pub(super) struct Answer {
    pub(super) id: String,
    pub(super) status: Status,
    pub(super) name: String,
    pub(super) board: String,
    pub(super) since: String,
    pub(super) why: String,
    pub(super) cause: Option<String>,
    pub(super) advice: String,
}

/// A scenario in the table: a cell for each board.
pub(super) struct Row<'r> {
    /// The name as it is; the other is for people.
    of: &'r str,
    pub(super) name: String,
    pub(super) summary: String,
    pub(super) worst: Status,
    pub(super) cells: Vec<Option<Cell>>,
}

pub(super) struct Cell {
    pub(super) id: String,
    pub(super) status: Status,
    pub(super) run: String,
    pub(super) wall: String,
    /// Runs by their verdicts, where there are several and they differ.
    pub(super) flaky: Option<String>,
    pub(super) runs: usize,
}

/// One scenario on one board: indices of its runs in the report.
struct Group<'r> {
    first: &'r ScenarioReport,
    runs: Vec<usize>,
}

pub(super) fn overview<'r>(report: &'r Report, known: &[Option<Known>]) -> Overview<'r> {
    let groups = groups(report);
    let mut bad: Vec<&Group<'_>> = groups.iter().filter(|g| is_bad(worst(report, g))).collect();
    bad.sort_by_key(|g| rank(worst(report, g)));
    let several_boards = groups.iter().any(|g| board(g.first) != board(groups[0].first));
    let recovered: Vec<Recovered> = groups
        .iter()
        .map(|g| {
            let place = if several_boards { format!(" · {}", g.first.board) } else { String::new() };
            let runs = g.runs.iter().filter_map(|n| known[*n].as_ref()).map(|k| k.recovery).collect();
            Recovered { name: format!("{}{place}", g.first.name), runs }
        })
        .collect();
    let (boards, rows) = table(report, &groups);
    Overview {
        title: title(report),
        counts: counts(report),
        flaky: groups.iter().filter(|g| flaky(report, g).is_some()).count(),
        answers: bad.iter().take(ANSWERS).map(|g| answer(report, g, known)).collect(),
        more_answers: bad.len().saturating_sub(ANSWERS),
        boards,
        rows,
        recoveries: recoveries(&recovered),
        changes: report.changes.as_ref().map(|changes| compared(report, &groups, changes)),
    }
}

fn compared(report: &Report, groups: &[Group<'_>], changes: &Changes) -> Compared {
    let id = |s: &Changed| {
        let same = |g: &&Group<'_>| (&g.first.name, &g.first.chip, g.first.warped) == (&s.name, &s.chip, s.warped);
        let group = groups.iter().find(same)?;
        Some(format!("s{}", shown(report, group)))
    };
    let rows = changes.scenarios.iter().map(|s| ComparedRow {
        id: id(s),
        change: s.change,
        name: visible(&s.shown),
        before: s.before.words(),
        now: s.now.words(),
        lines: s.lines.iter().map(|line| excerpt(line)).collect(),
    });
    Compared {
        baseline: visible(&changes.baseline),
        regressions: changes.regressions.iter().map(|r| excerpt(r)).collect(),
        rows: rows.collect(),
        notes: changes.notes.iter().map(|note| visible(note)).collect(),
    }
}

fn groups(report: &Report) -> Vec<Group<'_>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    let mut of: BTreeMap<(&str, &str, &str), usize> = BTreeMap::new();
    for (n, s) in report.scenarios.iter().enumerate() {
        let index = *of.entry((&s.name, &s.board, &s.chip)).or_insert_with(|| {
            groups.push(Group { first: s, runs: vec![] });
            groups.len() - 1
        });
        groups[index].runs.push(n);
    }
    groups
}

/// The page's order: the answer first. A rig that failed says nothing of the firmware, and stands after what does.
pub(super) fn rank(status: Status) -> u8 {
    match status {
        Status::Fail => 0,
        Status::Error => 1,
        Status::Pass => 2,
        Status::Skip => 3,
    }
}

/// Why, in a line: what the rig says of its own failure tells more than what it kept from being watched.
fn why(s: &ScenarioReport) -> String {
    match (&s.reason, s.status) {
        (Some(reason), Status::Error) => excerpt(reason),
        _ => excerpt(&headline(s)),
    }
}

fn is_bad(status: Status) -> bool {
    matches!(status, Status::Fail | Status::Error)
}

fn worst(report: &Report, group: &Group<'_>) -> Status {
    group.runs.iter().map(|n| report.scenarios[*n].status).max().unwrap_or(Status::Pass)
}

/// The run that a link leads to: the first of the worst.
fn shown(report: &Report, group: &Group<'_>) -> usize {
    let worst = worst(report, group);
    group.runs.iter().copied().find(|n| report.scenarios[*n].status == worst).unwrap_or_default()
}

fn flaky(report: &Report, group: &Group<'_>) -> Option<String> {
    let count = |status| group.runs.iter().filter(|n| report.scenarios[**n].status == status).count();
    let told: Vec<String> = [Status::Pass, Status::Fail, Status::Error, Status::Skip]
        .into_iter()
        .filter_map(|status| Some((status, count(status))).filter(|(_, n)| *n > 0))
        .map(|(status, n)| format!("{n} {}", status.word()))
        .collect();
    (told.len() > 1).then(|| told.join(", "))
}

fn title(report: &Report) -> String {
    let of = |status| report.scenarios.iter().filter(|s| s.status == status).count();
    let all = report.scenarios.len();
    match (of(Status::Fail), of(Status::Error)) {
        (0, 0) => format!("brickproof: {all} scenarios, none failed"),
        (fails, 0) => format!("brickproof: {fails} of {all} scenarios failed"),
        (0, errors) => format!("brickproof: the rig failed in {errors} of {all} scenarios"),
        (fails, errors) => format!("brickproof: {fails} of {all} scenarios failed, and the rig failed in {errors}"),
    }
}

fn counts(report: &Report) -> Vec<Count> {
    [
        (Status::Fail, "failed"),
        (Status::Error, "not judged: the rig failed"),
        (Status::Pass, "passed"),
        (Status::Skip, "skipped"),
    ]
    .into_iter()
    .map(|(status, words)| {
        let n = report.scenarios.iter().filter(|s| s.status == status).count();
        Count { status, n, words }
    })
    .filter(|count| count.n > 0)
    .collect()
}

fn answer(report: &Report, group: &Group<'_>, known: &[Option<Known>]) -> Answer {
    let index = shown(report, group);
    let s = &report.scenarios[index];
    Answer {
        id: format!("s{index}"),
        status: s.status,
        name: visible(&s.name),
        board: board(s),
        since: since(report, group, index, known),
        why: why(s),
        cause: s.cause.as_ref().map(|c| excerpt(&c.sentence)),
        advice: s.cause.as_ref().map_or_else(String::new, |c| excerpt(&c.advice)),
    }
}

/// Since when: among the runs of this report, and within the run that is shown.
fn since(report: &Report, group: &Group<'_>, index: usize, known: &[Option<Known>]) -> String {
    let mut words = Vec::new();
    let first = group.first;
    words.extend(report.changes.as_ref().and_then(|changes| changes.since(first)));
    let past = report.past.as_ref().and_then(|past| past.scenario(first)?.words());
    words.extend(past.map(|words| format!("in the history {}", visible(&words))));
    if let Some(flaky) = flaky(report, group) {
        let mut stamped: Vec<(&str, bool)> = group
            .runs
            .iter()
            .filter_map(|n| known[*n].as_ref().map(|k| (k.began.as_str(), is_bad(report.scenarios[*n].status))))
            .collect();
        stamped.sort_unstable_by_key(|(began, _)| *began);
        let good = stamped.iter().rposition(|(_, bad)| !bad).map_or(0, |n| n + 1);
        match stamped.get(good) {
            Some((began, _))
                if stamped.len() == group.runs.len() && good > 0 && !stamped[..good].iter().any(|s| s.1) =>
            {
                words.push(format!("since the run of {began}; it passed before ({flaky})"));
            }
            _ => words.push(format!("flaky: {flaky} in {} runs", group.runs.len())),
        }
    } else if group.runs.len() > 1 {
        words.push(format!("in all {} runs", group.runs.len()));
    }
    let s = &report.scenarios[index];
    let failed = s.expectations.iter().filter(|e| e.status == Status::Fail);
    let decided = failed.clone().find_map(|e| e.evidence.iter().find(|l| l.deciding));
    match decided {
        Some(line) => words.push(format!("decided {} into the run", time_words(line.at_ms))),
        None if failed.count() > 0 => {
            words.push(format!("clear when observation ended, after {}", time_words(s.run_ms)));
        }
        None => {}
    }
    words.join("; ")
}

fn table<'r>(report: &Report, groups: &[Group<'r>]) -> (Vec<String>, Vec<Row<'r>>) {
    let mut boards: Vec<String> = Vec::new();
    let mut rows: Vec<Row<'r>> = Vec::new();
    for group in groups {
        let board = board(group.first);
        let column = boards.iter().position(|b| *b == board).unwrap_or_else(|| {
            boards.push(board);
            boards.len() - 1
        });
        let row = rows.iter().position(|r| r.of == group.first.name).unwrap_or_else(|| {
            let (name, summary) = (visible(&group.first.name), visible(&group.first.summary));
            rows.push(Row { of: &group.first.name, name, summary, worst: Status::Pass, cells: vec![] });
            rows.len() - 1
        });
        let row = &mut rows[row];
        let status = worst(report, group);
        row.worst = row.worst.max(status);
        row.cells.resize_with(column.max(row.cells.len().saturating_sub(1)) + 1, || None);
        let sum = |of: fn(&ScenarioReport) -> u64| group.runs.iter().map(|n| of(&report.scenarios[*n])).sum();
        row.cells[column] = Some(Cell {
            id: format!("s{}", shown(report, group)),
            status,
            run: time_words(sum(|s| s.run_ms)),
            wall: time_words(sum(|s| s.wall_ms)),
            flaky: flaky(report, group),
            runs: group.runs.len(),
        });
    }
    for row in &mut rows {
        row.cells.resize_with(boards.len(), || None);
    }
    // What did not pass stands first; beside that the run's order.
    rows.sort_by_key(|row| rank(row.worst));
    (boards, rows)
}

/// A board with its chip, as reports name it.
pub(super) fn board(s: &ScenarioReport) -> String {
    visible(&format!("{} ({})", s.board, s.chip))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(began: &str) -> Option<Known> {
        Some(Known { began: began.to_owned(), recovery: Recovery::NotNeeded })
    }

    #[test]
    fn what_failed_stands_first_with_all_boards_side_by_side() {
        let mut other = ScenarioReport::example("b", 1, Status::Fail);
        other.board = "bench".to_owned();
        let scenarios = vec![
            ScenarioReport::example("a", 1, Status::Pass),
            ScenarioReport::example("b", 1, Status::Pass),
            other,
            ScenarioReport::example("c", 1, Status::Error),
        ];
        let report = Report { scenarios, ..Report::example() };
        let overview = overview(&report, &[None, None, None, None]);
        assert_eq!(overview.boards, ["virtual (esp32c3)", "bench (esp32c3)"]);
        let rows: Vec<_> = overview
            .rows
            .iter()
            .map(|r| (r.name.as_str(), r.cells.iter().map(|c| c.as_ref().map(|c| c.status)).collect::<Vec<_>>()))
            .collect();
        assert_eq!(
            rows,
            [
                ("b", vec![Some(Status::Pass), Some(Status::Fail)]),
                ("c", vec![Some(Status::Error), None]),
                ("a", vec![Some(Status::Pass), None]),
            ]
        );
        assert_eq!(overview.answers.iter().map(|a| a.id.as_str()).collect::<Vec<_>>(), ["s2", "s3"]);
        assert_eq!(overview.title, "brickproof: 1 of 4 scenarios failed, and the rig failed in 1");
    }

    #[test]
    fn scenario_that_passed_until_a_run_tells_since_which() {
        let runs = [Status::Fail, Status::Pass, Status::Fail].into_iter().zip(1..);
        let scenarios = runs.map(|(status, n)| ScenarioReport::example("a", n, status)).collect();
        let report = Report { scenarios, ..Report::example() };
        // The report's order is not the order of time.
        let told = overview(&report, &[known("2026-11-23"), known("2026-11-21"), known("2026-11-22")]);
        assert!(told.answers[0].since.starts_with("since the run of 2026-11-22; it passed before (1 pass, 2 fail)"));
        let wavering = overview(&report, &[known("2026-11-21"), known("2026-11-22"), known("2026-11-23")]);
        assert!(wavering.answers[0].since.starts_with("flaky: 1 pass, 2 fail in 3 runs"));
        assert_eq!(wavering.flaky, 1);
    }

    #[test]
    fn baseline_tells_whether_a_failure_is_new() {
        let changed = |name: &str, change, before| Changed {
            name: name.to_owned(),
            chip: "esp32c3".to_owned(),
            warped: true,
            shown: format!("{name} (esp32c3)"),
            change,
            before,
            now: (1, 1).into(),
            lines: vec!["new error line: \u{1b}[31mred".to_owned()],
        };
        let changes = Changes {
            baseline: "monday".to_owned(),
            regressions: vec!["a: it passed, and fails now".to_owned()],
            scenarios: vec![
                changed("a", Change::NewlyFailing, (0, 10).into()),
                changed("b", Change::StillFailing, (3, 3).into()),
                changed("c", Change::New, (0, 0).into()),
                changed("d", Change::Gone, (0, 2).into()),
            ],
            notes: vec![],
        };
        let scenarios = ["a", "b", "c"].map(|name| ScenarioReport::example(name, 1, Status::Fail)).to_vec();
        let report = Report { scenarios, changes: Some(changes), ..Report::example() };
        let overview = overview(&report, &[None, None, None]);
        let since: Vec<_> = overview.answers.iter().map(|a| a.since.as_str()).collect();
        assert_eq!(
            since,
            [
                "new since the baseline, where 0 of 10 failed",
                "not new: in the baseline 3 of 3 failed",
                "the baseline has no run of it"
            ]
        );
        let rows = overview.changes.expect("compared").rows;
        assert_eq!(
            rows.iter().map(|r| r.id.as_deref()).collect::<Vec<_>>(),
            [Some("s0"), Some("s1"), Some("s2"), None]
        );
        assert_eq!(rows[0].lines, ["new error line: ␛[31mred"]);
    }
}
