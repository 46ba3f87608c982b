use rand_distr::{Distribution, LogNormal};
use rand_pcg::Pcg64;

use super::*;

fn run(scenario: &str, status: Status, recovery: Recovery) -> Run {
    let metrics = Metrics {
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
    Run { scenario: scenario.to_owned(), chip: "esp32c3".to_owned(), status, metrics }
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
    assert_eq!(change(&[Fail], &[Fail, Pass]), Change::NewlyFlaky);
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
    assert!(text.contains("too few runs") && text.contains("6 runs on each side"), "{text}");
}

#[test]
fn device_that_never_recovers_any_more_is_worse_and_the_other_way_round_better() {
    let of = |recovery| vec![run("s", Status::Pass, recovery); 10];
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
    let of = |ms| vec![run("s", Status::Pass, Recovery::After(ms)); 10];
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
