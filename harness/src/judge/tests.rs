use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::scenario::model::{
    Anchor, DelayLaw, Expectation, ExpectationKind, Images, Limit, Pattern, Scenario, Source, Template, Window,
};
use crate::timeline::{ConsoleLine, DeviceEvent, DeviceTime};

const SECOND: u64 = 1_000_000_000;

fn facts() -> Facts {
    Facts {
        slots: vec![(0x1_0000, "ota_0".to_owned()), (0x19_0000, "ota_1".to_owned())],
        prints_attempts: true,
        skew: Duration::from_millis(100),
    }
}

fn scenario(kind: ExpectationKind, within: Option<u64>) -> Scenario {
    let window =
        Window { from: Anchor::Start, until: within.map_or(Limit::End, |s| Limit::Within(Duration::from_secs(s))) };
    Scenario {
        name: "test".to_owned(),
        summary: String::new(),
        tags: BTreeSet::new(),
        source: Source { path: String::new(), text: String::new() },
        requires: BTreeSet::new(),
        device_time: Duration::from_secs(60),
        image: Images {
            flash: "1".to_owned(),
            flash_with: vec![],
            flash_security: None,
            offer: None,
            offer_defect: None,
        },
        provision: BTreeMap::new(),
        faults: vec![],
        steps: vec![],
        expectations: vec![Expectation { label: "it".to_owned(), span: 0..0, window, kind }],
    }
}

/// A timeline: seconds and what happened.
fn timeline(events: &[(f64, EventKind)]) -> Vec<Event> {
    events
        .iter()
        .enumerate()
        .map(|(seq, (at, kind))| {
            let ms = Duration::from_secs_f64(*at).as_micros().div_ceil(1000);
            let ms = u64::try_from(ms).expect("small");
            let stamped = matches!(kind, EventKind::Device { .. } | EventKind::Console(_));
            let device = stamped.then_some(DeviceTime { boot: 1, ms, unwrapped_ms: ms });
            Event { seq: seq as u64, at_ns: ms * 1_000_000, wall_ms: 0, device, kind: kind.clone() }
        })
        .collect()
}

fn device(event: DeviceEvent) -> EventKind {
    EventKind::Device { line: 0, event }
}

fn retry(attempt: u32, delay_s: u64) -> EventKind {
    device(DeviceEvent::RetryScheduled { attempt, max: Some(10), delay_ms: Some(delay_s * 1000) })
}

fn asks() -> EventKind {
    device(DeviceEvent::RequestStarted { url: "http://h/".to_owned() })
}

fn ended() -> EventKind {
    EventKind::Action(Action::RunEnded)
}

fn pattern(event: &str) -> Pattern {
    Pattern::Device { event: event.to_owned(), fields: BTreeMap::new() }
}

fn status(kind: ExpectationKind, within: Option<u64>, events: &[(f64, EventKind)]) -> Status {
    judge(&scenario(kind, within), &timeline(events), &facts()).status
}

fn happens(min: u64, max: Option<u64>) -> ExpectationKind {
    ExpectationKind::Happens { pattern: pattern("marked-valid"), count: Count { min, max } }
}

#[test]
fn window_is_inclusive_at_its_limit() {
    let valid = || device(DeviceEvent::MarkedValid);
    assert_eq!(status(happens(1, None), Some(10), &[(10.0, valid()), (11.0, ended())]), Status::Pass);
    assert_eq!(status(happens(1, None), Some(10), &[(10.001, valid()), (11.0, ended())]), Status::Fail);
}

#[test]
fn recording_that_ends_too_early_proves_nothing() {
    assert_eq!(status(happens(1, None), Some(10), &[(9.0, ended())]), Status::Error);
    let never = ExpectationKind::Never { pattern: pattern("panic") };
    assert_eq!(status(never.clone(), Some(10), &[(9.0, ended())]), Status::Error);
    let crash = device(DeviceEvent::Panic { reason: "abort".to_owned() });
    assert_eq!(status(never, Some(10), &[(1.0, crash), (2.0, ended())]), Status::Fail, "decided already");
}

#[test]
fn abandoned_recording_is_never_a_pass() {
    let valid = (1.0, device(DeviceEvent::MarkedValid));
    assert_eq!(status(happens(1, None), Some(10), &[valid]), Status::Error);
    for expectation in [happens(1, None), happens(2, None)] {
        let events = timeline(&[(1.0, device(DeviceEvent::MarkedValid))]);
        let verdict = judge(&scenario(expectation, Some(10)), &events, &facts());
        assert!(
            verdict.reason.is_some_and(|reason| reason.starts_with("abandoned")),
            "whether or not it was met by then"
        );
    }
}

#[test]
fn broken_rig_outweighs_what_the_device_did() {
    let rig = EventKind::Rig(RigEvent::Error { message: "port gone".to_owned() });
    assert_eq!(status(happens(1, None), Some(1), &[(2.0, rig), (3.0, ended())]), Status::Error);
    let runaway = |device| EventKind::Rig(RigEvent::Runaway { device, message: String::new() });
    assert_eq!(status(happens(0, None), Some(1), &[(2.0, runaway(true)), (3.0, ended())]), Status::Fail);
    assert_eq!(status(happens(0, None), Some(1), &[(2.0, runaway(false)), (3.0, ended())]), Status::Error);
}

fn retries(delay: DelayLaw) -> ExpectationKind {
    ExpectationKind::Retries { count: None, max: Some(10), delay: Some(delay), tolerance_per_mille: 50 }
}

#[test]
fn delays_are_measured_from_retry_line_to_next_attempt_within_five_per_cent() {
    let law = || retries(DelayLaw::Constant(Duration::from_secs(60)));
    let kept = |s: f64| [(1.0, retry(1, 60)), (1.0 + s, asks()), (200.0, ended())];
    assert_eq!(status(law(), None, &kept(60.0)), Status::Pass);
    assert_eq!(status(law(), None, &kept(63.0)), Status::Pass, "exactly 5 %");
    assert_eq!(status(law(), None, &kept(63.01)), Status::Fail);
    assert_eq!(status(law(), None, &kept(0.5)), Status::Fail, "a retry storm");
}

#[test]
fn intervals_tell_announced_measured_and_due_delays_of_each_retry() {
    let events = timeline(&[(1.0, retry(1, 10)), (11.0, asks()), (12.0, retry(2, 20)), (60.0, ended())]);
    let doubling = DelayLaw::Doubling { first: Duration::from_secs(10), cap: None };
    let found = super::intervals(&scenario(retries(doubling), Some(5)), &events, &facts());
    let seconds = |d: Option<Duration>| d.map(|d| d.as_secs());
    let told: Vec<_> =
        found.iter().map(|i| (i.attempt, i.until, seconds(i.announced), seconds(i.measured), seconds(i.due))).collect();
    // The second stands after the expectation's window, and its delay was never over.
    assert_eq!(told, [(1, Some(1), Some(10), Some(10), Some(10)), (2, None, Some(20), None, None)]);
}

#[test]
fn short_delays_have_fifty_milliseconds() {
    let law = || ExpectationKind::Retries {
        count: None,
        max: None,
        delay: Some(DelayLaw::Constant(Duration::from_millis(100))),
        tolerance_per_mille: 50,
    };
    let event = || device(DeviceEvent::RetryScheduled { attempt: 1, max: None, delay_ms: Some(100) });
    assert_eq!(status(law(), None, &[(1.0, event()), (1.15, asks()), (9.0, ended())]), Status::Pass);
    assert_eq!(status(law(), None, &[(1.0, event()), (1.151, asks()), (9.0, ended())]), Status::Fail);
}

#[test]
fn doubling_that_does_not_double_and_a_counter_that_sticks_fail() {
    let law = || retries(DelayLaw::Doubling { first: Duration::from_secs(10), cap: None });
    let good = [(0.0, retry(1, 10)), (10.0, asks()), (10.1, retry(2, 20)), (30.1, asks()), (99.0, ended())];
    assert_eq!(status(law(), None, &good), Status::Pass);
    let flat = [(0.0, retry(1, 10)), (10.0, asks()), (10.1, retry(2, 10)), (20.1, asks()), (99.0, ended())];
    assert_eq!(status(law(), None, &flat), Status::Fail);
    let stuck = [(0.0, retry(1, 10)), (10.0, asks()), (10.1, retry(1, 10)), (99.0, ended())];
    assert_eq!(status(law(), None, &stuck), Status::Fail);
}

fn boot(at: f64, offset: u32, version: &str) -> Vec<(f64, EventKind)> {
    vec![
        (at, device(DeviceEvent::Reset { code: 1, reason: "POWERON".to_owned(), download: false })),
        (at + 0.1, device(DeviceEvent::SlotLoaded { offset })),
        (at + 0.2, device(DeviceEvent::AppStarted { version: version.to_owned() })),
    ]
}

#[test]
fn what_runs_last_counts_not_what_ran_once() {
    let updated = || ExpectationKind::Boots { version: Template("2".to_owned()), slot: Some("other".to_owned()) };
    let mut events = boot(0.0, 0x1_0000, "1");
    events.extend(boot(10.0, 0x19_0000, "2"));
    let rolled_back = [events.clone(), boot(20.0, 0x1_0000, "1"), vec![(30.0, ended())]].concat();
    events.push((30.0, ended()));
    assert_eq!(status(updated(), None, &events), Status::Pass);
    assert_eq!(status(updated(), None, &rolled_back), Status::Fail);
}

#[test]
fn new_version_from_the_old_slot_is_not_an_update_to_the_other() {
    let updated = ExpectationKind::Boots { version: Template("2".to_owned()), slot: Some("other".to_owned()) };
    let events = [boot(0.0, 0x1_0000, "1"), boot(10.0, 0x1_0000, "2"), vec![(30.0, ended())]].concat();
    assert_eq!(status(updated, None, &events), Status::Fail);
}

fn line(at: f64) -> (f64, EventKind) {
    let console = ConsoleLine { text: "x".to_owned(), raw: None, cut: false, level: None, tag: None, message: None };
    (at, EventKind::Console(console))
}

#[test]
fn reset_of_its_own_is_not_still_running() {
    let runs = || ExpectationKind::StillRuns;
    let asked = vec![(0.0, EventKind::Action(Action::Reset))];
    let calm = [asked.clone(), boot(0.1, 0x1_0000, "1"), vec![line(50.0), (60.0, ended())]].concat();
    assert_eq!(status(runs(), Some(60), &calm), Status::Pass);
    let again = [asked.clone(), boot(0.1, 0x1_0000, "1"), boot(20.0, 0x1_0000, "1"), vec![(60.0, ended())]].concat();
    assert_eq!(status(runs(), Some(60), &again), Status::Fail);
    let flashed = EventKind::Action(Action::Flashed {
        what: "app".to_owned(),
        written: 1,
        unchanged: 0,
        how: "espflash".to_owned(),
    });
    let flashed = [vec![(0.0, flashed)], again].concat();
    assert_eq!(status(runs(), Some(60), &flashed), Status::Fail, "flashing and reset explain one reset, not two");
    let silent = [asked, boot(0.1, 0x1_0000, "1"), vec![line(1.0), (100.0, ended())]].concat();
    assert_eq!(status(runs(), Some(100), &silent), Status::Fail);
}

#[test]
fn reset_whose_banner_comes_after_its_step_began_is_the_harnesss_own() {
    // As in real time: the reset line is pulsed, the step begins, the first bytes arrive.
    let step = |at: f64| (at, EventKind::Action(Action::StepStarted { step: 0, name: "check".to_owned() }));
    let asked = vec![(0.001, EventKind::Action(Action::Reset)), step(0.002)];
    let events = [asked, boot(0.01, 0x1_0000, "1"), vec![line(4.0), (10.0, ended())]].concat();
    let mut scenario = scenario(ExpectationKind::StillRuns, Some(5));
    scenario.expectations[0].window.from = Anchor::Step(0);
    assert_eq!(judge(&scenario, &timeline(&events), &facts()).status, Status::Pass);
}

#[test]
fn rig_that_broke_fails_no_expectation_that_it_could_not_watch() {
    let broken = EventKind::Rig(RigEvent::Error { message: "port gone".to_owned() });
    let mut scenario = scenario(happens(1, None), None);
    scenario.expectations[0].window.from = Anchor::After(pattern("up-to-date"));
    let verdict = judge(&scenario, &timeline(&[(1.0, broken), (2.0, ended())]), &facts());
    assert_eq!(verdict.status, Status::Error);
    assert_eq!(verdict.expectations[0].status, Status::Error, "{}", verdict.expectations[0].found);
}

#[test]
fn order_within_the_skew_is_not_judged_across_sides() {
    let server = Pattern::Server { event: "accepted".to_owned(), fields: BTreeMap::new() };
    let accepted = EventKind::Server(ota_server::event::ServerEvent::Accepted {
        connection: 1,
        port: 80,
        peer: ([127, 0, 0, 1], 1).into(),
    });
    let order = || ExpectationKind::InOrder { patterns: vec![pattern("request-started"), server.clone()] };
    let events = |gap: f64| vec![(1.0, accepted.clone()), (1.0 + gap, asks()), (9.0, ended())];
    assert_eq!(status(order(), None, &events(0.1)), Status::Pass);
    assert_eq!(status(order(), None, &events(0.2)), Status::Fail);
}

#[test]
fn settled_means_that_no_further_event_could_change_it() {
    let valid = timeline(&[(5.0, device(DeviceEvent::MarkedValid))]);
    assert!(is_settled(&scenario(happens(1, None), Some(10)), &valid, &facts(), 5 * SECOND));
    assert!(!is_settled(&scenario(happens(1, Some(1)), Some(10)), &valid, &facts(), 5 * SECOND));
    assert!(is_settled(&scenario(happens(1, Some(1)), Some(10)), &valid, &facts(), 10 * SECOND));
}

fn any_event() -> impl Strategy<Value = EventKind> {
    prop_oneof![
        Just(device(DeviceEvent::MarkedValid)),
        (1u32..4, 0u64..100).prop_map(|(n, d)| retry(n, d)),
        Just(asks()),
        Just(device(DeviceEvent::SlotLoaded { offset: 0x1_0000 })),
        Just(device(DeviceEvent::AppStarted { version: "1".to_owned() })),
        Just(device(DeviceEvent::Panic { reason: "abort".to_owned() })),
        Just(EventKind::Action(Action::Reset)),
        Just(ended()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn matching_event_by_event_equals_matching_the_whole(kinds in proptest::collection::vec(any_event(), 0..40), wanted in 1u32..5) {
        let events = timeline(&kinds.into_iter().enumerate().map(|(n, k)| (f64::from(u32::try_from(n).expect("small")), k)).collect::<Vec<_>>());
        let mut live = Matcher::new(pattern("request-started"), wanted);
        let met: Vec<u64> = events.iter().filter(|e| live.feed(e)).map(|e| e.seq).collect();
        let whole: Vec<u64> = events.iter().filter(|e| matches(&pattern("request-started"), e)).map(|e| e.seq).collect();
        prop_assert_eq!(live.seen(), &whole[..]);
        let nth = whole.get(usize::try_from(wanted).expect("small") - 1).copied();
        prop_assert_eq!(met, nth.into_iter().collect::<Vec<_>>());
    }

    #[test]
    fn any_timeline_is_judged_without_a_panic_and_the_same_twice(kinds in proptest::collection::vec(any_event(), 0..40)) {
        let events = timeline(&kinds.into_iter().enumerate().map(|(n, k)| (f64::from(u32::try_from(n).expect("small")), k)).collect::<Vec<_>>());
        for kind in [happens(1, Some(2)), retries(DelayLaw::Constant(Duration::from_secs(1))), ExpectationKind::StillRuns, ExpectationKind::MarkedValid] {
            let scenario = scenario(kind, Some(20));
            prop_assert_eq!(judge(&scenario, &events, &facts()), judge(&scenario, &events, &facts()));
        }
    }
}
