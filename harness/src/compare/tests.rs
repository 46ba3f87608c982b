use std::sync::atomic::{AtomicU64, Ordering};

use rand_distr::{Distribution, LogNormal};
use rand_pcg::Pcg64;

use super::*;
use crate::metrics::Recovery;

fn run(scenario: &str, status: Status, recovery: Recovery) -> Run {
    let metrics = Metrics {
        format: crate::metrics::FORMAT,
        duration_ms: 60_000,
        retries: 1,
        delays_ms: vec![],
        back_off: BackOff::Unknown,
        notice_ms: None,
        recovery,
        throughput: None,
        connections: 2,
        free_heap: None,
        errors: BTreeMap::new(),
        resets: BTreeMap::new(),
    };
    Run { scenario: scenario.to_owned(), chip: "esp32c3".to_owned(), status, metrics, origin: origin() }
}

/// Each a run of its own, on a real board.
fn origin() -> Origin {
    static RUNS: AtomicU64 = AtomicU64::new(0);
    Origin {
        board: "board-1".to_owned(),
        attempt: 1,
        began_wall_ms: RUNS.fetch_add(1, Ordering::Relaxed),
        seed: 1,
        warped: false,
        text: String::new(),
    }
}

/// The same run on virtual time.
fn warped(seed: u64, run: Run) -> Run {
    let origin = Origin { warped: true, seed, ..origin() };
    Run { origin, ..run }
}

fn runs(statuses: &[Status]) -> Vec<Run> {
    statuses.iter().map(|status| run("s", *status, Recovery::NotNeeded)).collect()
}

fn change(before: &[Status], now: &[Status]) -> Change {
    Comparison::of(&runs(before), &runs(now)).scenarios[0].change
}

#[test]
fn verdicts_before_and_now_say_how_a_scenario_changed() {
    use Status::{Error, Fail, Pass, Skip};
    assert_eq!(change(&[Pass, Pass], &[Fail, Fail]), Change::NewlyFailing);
    assert_eq!(change(&[Pass, Pass], &[Pass, Fail]), Change::NewlyFlaky);
    assert_eq!(change(&[Pass, Fail], &[Fail, Pass]), Change::StillFlaky);
    assert_eq!(change(&[Pass, Fail], &[Fail, Fail]), Change::NewlyFailing, "it never passes any more");
    assert_eq!(change(&[Fail], &[Fail]), Change::StillFailing);
    assert_eq!(change(&[Fail], &[Fail, Pass]), Change::FailsLess, "that is no regression");
    assert_eq!(change(&[Pass, Fail], &[Pass]), Change::NewlyPassing);
    assert_eq!(change(&[Pass], &[Pass]), Change::StillPassing);
    assert_eq!(change(&[Pass], &[Error]), Change::NotJudged);
    assert_eq!(change(&[Skip], &[Pass]), Change::NotJudged);
    assert_eq!(change(&[Pass], &[]), Change::Gone);
    assert_eq!(change(&[], &[Fail]), Change::New);
    assert_eq!(change(&[Pass], &[Pass, Error]), Change::StillPassing, "a broken rig says nothing of the firmware");
}

#[test]
fn what_is_a_regression_is_chosen() {
    let before = runs(&[Status::Pass]);
    let mut now = runs(&[Status::Pass]);
    now[0].metrics.errors.insert("out of memory".to_owned(), 1);
    let comparison = Comparison::of(&before, &now);
    assert!(comparison.regressions(&[FailOn::NewlyFailing, FailOn::Figures]).is_empty());
    assert_eq!(comparison.regressions(&[FailOn::NewErrors]), ["s: new error lines"]);
    let gone = Comparison::of(&before, &[]);
    assert!(gone.is_of_different_suites());
    assert_eq!(gone.regressions(&[FailOn::Gone]), ["s: it is gone"]);
}

#[test]
fn two_single_runs_never_tell_a_figure_from_chance() {
    let of = |ms| vec![run("s", Status::Pass, Recovery::After(ms))];
    let comparison = Comparison::of(&of(1000), &of(60_000));
    let recovery = &comparison.scenarios[0].figures[0];
    assert_eq!((recovery.figure, recovery.finding), (Figure::Recovery, Finding::TooFew));
    let text = render(&comparison);
    assert!(text.contains("too few runs") && text.contains("6 would do on each side, `run --repeat`"), "{text}");
}

#[test]
fn device_that_never_recovers_any_more_is_worse_and_the_other_way_round_better() {
    let of = |recovery| (0..10).map(|_| run("s", Status::Pass, recovery)).collect::<Vec<_>>();
    let (soon, never) = (of(Recovery::After(1000)), of(Recovery::Never));
    let found = |before: &[Run], now: &[Run]| Comparison::of(before, now).scenarios[0].figures[0].finding;
    assert_eq!(found(&soon, &never), Finding::Worse);
    assert_eq!(found(&never, &soon), Finding::Better);
    assert_eq!(found(&never, &never), Finding::Same);
    let text = render(&Comparison::of(&soon, &never));
    assert!(text.contains("recovery worse: 1.000 s before, never now (10 and 10 runs"), "{text}");
}

#[test]
fn sure_but_slight_difference_is_no_regression() {
    let of = |ms| (0..10).map(|_| run("s", Status::Pass, Recovery::After(ms))).collect::<Vec<_>>();
    let comparison = Comparison::of(&of(10_000), &of(10_100));
    assert_eq!(comparison.scenarios[0].figures[0].finding, Finding::Slight);
    assert!(comparison.regressions(&[FailOn::Figures]).is_empty());
}

/// Runs whose recovery takes some time: a log-normal spread of 5 %, and one run in fifty three times as long, as a device
/// does that lost its Wi-Fi on the way.
fn simulated(random: &mut Pcg64, count: usize, ms: f64) -> Vec<Run> {
    let spread = LogNormal::new(0.0, 0.05).expect("a spread");
    let outlier = rand_distr::Bernoulli::new(0.02).expect("a probability");
    let time = |random: &mut Pcg64| {
        let factor: f64 = spread.sample(random);
        ms * factor * if outlier.sample(random) { 3.0 } else { 1.0 }
    };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "some seconds in milliseconds")]
    let after = |random: &mut Pcg64| Recovery::After(time(random) as u64);
    (0..count).map(|_| run("s", Status::Pass, after(random))).collect()
}

/// How many of a thousand comparisons call the figures worse or better.
fn called(seed: u128, now_ms: f64, scenarios: usize) -> usize {
    let mut random = Pcg64::new(seed, 1);
    (0..1000)
        .filter(|_| {
            let mut side = |ms: f64| -> Vec<Run> {
                (0..scenarios)
                    .flat_map(|n| {
                        let named = move |r: Run| Run { scenario: format!("s{n}"), ..r };
                        simulated(&mut random, 10, ms).into_iter().map(named).collect::<Vec<_>>()
                    })
                    .collect()
            };
            let (before, now) = (side(30_000.0), side(now_ms));
            let comparison = Comparison::of(&before, &now);
            let decided = |f: &Compared| matches!(f.finding, Finding::Worse | Finding::Better);
            comparison.scenarios.iter().flat_map(|s| &s.figures).any(decided)
        })
        .count()
}

#[test]
fn runs_between_which_nothing_changed_give_at_most_the_stated_rate_of_false_alarms() {
    // 1 % of 1,000 is 10.
    let (one, several) = (called(1, 30_000.0, 1), called(2, 30_000.0, 5));
    assert!(one <= 10 && several <= 10, "{one} and {several} of 1000");
}

#[test]
fn recovery_that_takes_a_fifth_longer_is_caught_with_ten_runs_on_each_side() {
    let caught = called(3, 36_000.0, 1);
    assert!(caught >= 950, "{caught} of 1000");
}

fn only_figure(before: &[Run], now: &[Run]) -> Compared {
    let comparison = Comparison::of(before, now);
    let of = |f: &&Compared| f.figure == Figure::Recovery;
    comparison.scenarios[0].figures.iter().find(of).expect("a recovery").clone()
}

#[test]
fn same_seed_on_virtual_time_that_differs_has_changed_without_any_test() {
    let of = |ms| vec![warped(7, run("s", Status::Pass, Recovery::After(ms)))];
    let found = |before, now| {
        let compared = only_figure(&of(before), &of(now));
        (compared.basis, compared.finding, compared.p)
    };
    assert_eq!(found(1000, 60_000), (Basis::SameSeed, Finding::Worse, None));
    assert_eq!(found(60_000, 1000), (Basis::SameSeed, Finding::Better, None));
    assert_eq!(found(60_000, 60_500), (Basis::SameSeed, Finding::Slight, None));
    assert_eq!(found(60_000, 60_000), (Basis::SameSeed, Finding::Same, None));
    let text = render(&Comparison::of(&of(1000), &of(60_000)));
    assert!(text.contains("recovery worse: 1.000 s before, 1 min 0 s now (same seed on virtual time)"), "{text}");
}

#[test]
fn repeats_of_one_seed_on_virtual_time_are_one_run_however_many() {
    let of =
        |seed, ms| -> Vec<Run> { (0..50).map(|_| warped(seed, run("s", Status::Pass, Recovery::After(ms)))).collect() };
    let compared = only_figure(&of(1, 1000), &of(2, 60_000));
    assert_eq!((compared.basis, compared.values, compared.finding), (Basis::RankSum, (1, 1), Finding::TooFew));
    let text = render(&Comparison::of(&of(1, 1000), &of(2, 60_000)));
    assert!(text.contains("each with a seed of its own"), "{text}");
}

#[test]
fn seeds_that_disagree_are_left_to_the_test() {
    let of = |change: fn(u64) -> u64| -> Vec<Run> {
        (0..20).map(|seed| warped(seed, run("s", Status::Pass, Recovery::After(change(10_000 + seed * 100))))).collect()
    };
    let same = of(|ms| ms);
    let mixed = only_figure(&same, &of(|ms| if ms % 200 == 0 { ms + 2000 } else { ms - 2000 }));
    assert_eq!((mixed.basis, mixed.values, mixed.finding), (Basis::RankSum, (20, 20), Finding::Same));
    let slower = only_figure(&same, &of(|ms| if ms == 10_000 { ms - 1000 } else { ms + 5000 }));
    assert_eq!((slower.basis, slower.finding), (Basis::RankSum, Finding::Worse));
}

#[test]
fn one_seed_of_many_that_never_recovers_any_more_is_worse() {
    let of = |last| -> Vec<Run> {
        let recovery = |seed| if seed == 4 { last } else { Recovery::After(1000 + seed) };
        (0..5).map(|seed| warped(seed, run("s", Status::Pass, recovery(seed)))).collect()
    };
    let compared = only_figure(&of(Recovery::After(1004)), &of(Recovery::Never));
    assert_eq!((compared.basis, compared.finding, compared.shift), (Basis::SameSeed, Finding::Worse, Some(0.0)));
}

#[test]
fn recording_that_is_given_again_counts_once() {
    let (before, now) = (run("s", Status::Pass, Recovery::After(10)), run("s", Status::Pass, Recovery::After(90)));
    let comparison = Comparison::of(&vec![before; 12], &vec![now; 12]);
    assert_eq!(comparison.duplicates, 22);
    assert_eq!(comparison.scenarios[0].failed_before, (0, 1));
    assert_eq!(comparison.scenarios[0].figures[0].values, (1, 1));
}

#[test]
fn runs_on_virtual_time_are_no_baseline_for_those_of_a_real_board() {
    let real = |ms| run("s", Status::Pass, Recovery::After(ms));
    let virtual_run = |ms| warped(1, run("s", Status::Pass, Recovery::After(ms)));
    let apart = Comparison::of(&[virtual_run(10_000)], &[real(90_000)]);
    assert!(apart.is_of_different_suites(), "{apart:?}");
    let both = Comparison::of(&[virtual_run(10_000), real(90_000)], &[virtual_run(10_000), real(90_000)]);
    let told: Vec<String> = both.scenarios.iter().map(|s| both.name(s)).collect();
    assert_eq!(told, ["s (esp32c3, real time)", "s (esp32c3, virtual time)"]);
    assert!(both.scenarios.iter().all(|s| s.change == Change::StillPassing && s.failed_now == (0, 1)));
}

#[test]
fn flaky_scenario_that_fails_far_more_often_is_worse() {
    let of = |failing: usize| -> Vec<Run> {
        let status = |n| if n < failing { Status::Fail } else { Status::Pass };
        (0..20).map(|n| run("s", status(n), Recovery::NotNeeded)).collect()
    };
    let found = |before, now| {
        let comparison = Comparison::of(&of(before), &of(now));
        assert_eq!(comparison.scenarios[0].change, Change::StillFlaky);
        let failures = comparison.scenarios[0].figures.iter().find(|f| f.figure == Figure::Failures);
        failures.expect("compared where both are flaky").finding
    };
    assert_eq!(found(1, 19), Finding::Worse);
    assert_eq!(found(19, 1), Finding::Better);
    assert_eq!(found(1, 3), Finding::Same, "by chance");
    let text = render(&Comparison::of(&of(1), &of(19)));
    assert!(text.contains("failures worse: 5 % before, 95 % now"), "{text}");
}

#[test]
fn recovery_that_was_not_needed_before_is_worse_when_it_is_now() {
    let of = |recovery| -> Vec<Run> { (0..10).map(|_| run("s", Status::Pass, recovery)).collect() };
    let compared = only_figure(&of(Recovery::NotNeeded), &of(Recovery::After(30_000)));
    assert_eq!(compared.finding, Finding::Worse);
    let unneeded = Comparison::of(&of(Recovery::NotNeeded), &of(Recovery::NotNeeded));
    assert!(unneeded.scenarios[0].figures.iter().all(|f| f.figure != Figure::Recovery));
}

/// What a person reads: one scenario of each kind that is to be told of.
#[test]
fn what_changed_is_told_in_a_table_that_begins_with_what_matters() {
    let of = |scenario: &str, statuses: &[Status], ms: u64| -> Vec<Run> {
        let attempts = statuses.iter().zip(1..);
        attempts
            .map(|(status, attempt)| {
                let mut run = run(scenario, *status, Recovery::After(ms + u64::from(attempt)));
                run.origin.attempt = attempt;
                run
            })
            .collect()
    };
    let (pass, fail) = (Status::Pass, Status::Fail);
    let mut before = [
        of("broken", &[pass; 3], 1000),
        of("wavering", &[pass; 3], 1000),
        of("slower", &[pass; 10], 1000),
        of("few", &[pass; 2], 1000),
        of("steady", &[pass; 3], 1000),
        of("cured", &[fail; 3], 1000),
        of("dropped", &[pass], 1000),
        of("rig", &[pass], 1000),
    ]
    .concat();
    let mut now = [
        of("broken", &[fail; 3], 1000),
        of("wavering", &[pass, fail, pass], 1000),
        of("slower", &[pass; 10], 2000),
        of("few", &[pass; 2], 3000),
        of("steady", &[pass; 3], 1000),
        of("cured", &[pass; 3], 1000),
        of("added", &[pass], 1000),
        of("rig", &[Status::Error], 1000),
    ]
    .concat();
    before[0].metrics.errors.insert("old error #".to_owned(), 1);
    now[0].metrics.errors.insert("E (#) esp-tls: failed".to_owned(), 2);
    now[0].metrics.resets.insert("panic".to_owned(), 1);
    let comparison = Comparison::of(&before, &now);
    insta::assert_snapshot!(render(&comparison));
}
