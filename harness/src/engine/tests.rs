use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use async_trait::async_trait;

use super::*;
use crate::judge::judge;
use crate::scenario::model::{
    Anchor, Count, Expectation, ExpectationKind, Images, Limit, Pattern, Source, Template, Wait, Window,
};
use crate::symbols::Crash;
use crate::timeline::{Frame, Halted};
use crate::verdict::Status;

/// A rig that plays a script: what comes when, on tokio's paused clock.
struct Scripted {
    start: tokio::time::Instant,
    script: VecDeque<(u64, Result<&'static str, &'static str>)>,
    acted: Vec<Duration>,
    /// The line to it is dead in the end.
    dead: bool,
    /// Where its probe finds the processor, or why it does not.
    probe: Option<Result<&'static str, &'static str>>,
    /// How it is told keys.
    talk: Option<Talk>,
    told: Vec<Order>,
}

#[async_trait(?Send)]
impl Rig for Scripted {
    fn now(&self) -> Duration {
        self.start.elapsed()
    }

    async fn start(&mut self, _: &Scenario) -> Result<Vec<Action>, RigError> {
        Ok(vec![Action::Reset])
    }

    async fn act(&mut self, _: &StepAction) -> Result<Vec<Action>, RigError> {
        self.acted.push(self.now());
        Ok(vec![Action::Reset])
    }

    async fn next(&mut self) -> Result<Incoming, RigError> {
        let Some((at, _)) = self.script.front() else { return std::future::pending().await };
        tokio::time::sleep_until(self.start + Duration::from_millis(*at)).await;
        match self.script.pop_front() {
            Some((_, Ok(line))) if line.starts_with("gap: ") => {
                Ok(Incoming::Gap { at: self.now(), message: line.to_owned() })
            }
            Some((_, Ok(line))) => {
                // A line that ends with three dots is one that the device did not finish.
                let text = line.strip_suffix("...").map_or_else(|| format!("{line}\r\n"), str::to_owned);
                Ok(Incoming::Console { at: self.now(), bytes: text.into_bytes() })
            }
            Some((_, Err(why))) => Err(RigError(why.to_owned())),
            None => std::future::pending().await,
        }
    }

    fn talk(&self, _: &BTreeMap<String, Template>, _: bool) -> Result<Option<Talk>, RigError> {
        Ok(self.talk.clone())
    }

    async fn order(&mut self, order: &Order) -> Result<Action, RigError> {
        self.told.push(order.clone());
        Ok(Action::ConsoleInput { text: "told".to_owned() })
    }

    async fn alive(&mut self) -> Result<(), RigError> {
        if self.dead { Err(RigError("the server does not answer".to_owned())) } else { Ok(()) }
    }

    fn decode(&self, crash: &Crash) -> Option<RigEvent> {
        let frame = |address: &u64| Frame { address: *address, function: None, file: None, line: None };
        let frames = crash.counters.iter().map(frame).collect();
        Some(RigEvent::Crash { line: crash.line, frames, stack: vec![], why_not: None })
    }

    fn can_inspect(&self) -> bool {
        self.probe.is_some()
    }

    async fn inspect(&mut self, _: Option<&str>) -> Result<Vec<Halted>, RigError> {
        match self.probe {
            Some(Ok(function)) => {
                let function = Some(function.to_owned());
                let frame = Frame { address: 0x4200_0000, function, file: None, line: None };
                Ok(vec![Halted { core: 0, frames: vec![frame], stack: vec![], why_not: None }])
            }
            Some(Err(why)) => Err(RigError(why.to_owned())),
            None => panic!("inspected without a probe"),
        }
    }

    async fn stop(&mut self) -> Vec<Incoming> {
        vec![]
    }
}

/// Name of a scenario in which the line to the device is dead in the end.
const DEAD: &str = "dead-line";
/// Names of scenarios on a rig with a probe: one finds the processor in a function, one fails.
const PROBED: &str = "probed";
const BLIND: &str = "blind-probe";
const VALID: &str = "I (900) Ota: Marking firmware as valid";

fn marked() -> Pattern {
    Pattern::Device { event: "marked-valid".to_owned(), fields: BTreeMap::new() }
}

fn scenario(expectation: ExpectationKind, within: u64) -> Scenario {
    let wait = Wait { pattern: marked(), count: 1, within: Duration::from_secs(10) };
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
        provision: BTreeMap::from([("ota-url".to_owned(), Template(String::new()))]),
        faults: vec![],
        steps: vec![
            Step { name: "wait".to_owned(), span: 0..0, actions: vec![], until: Some(wait) },
            Step { name: "act".to_owned(), span: 0..0, actions: vec![StepAction::Reset], until: None },
        ],
        expectations: vec![Expectation {
            label: "it".to_owned(),
            span: 0..0,
            window: Window { from: Anchor::Start, until: Limit::Within(Duration::from_secs(within)) },
            kind: expectation,
        }],
    }
}

fn happens(min: u64, max: Option<u64>) -> ExpectationKind {
    ExpectationKind::Happens { pattern: marked(), count: Count { min, max } }
}

fn facts() -> Facts {
    Facts { slots: vec![], prints_attempts: true, skew: Duration::ZERO }
}

type Script<'s> = &'s [(u64, Result<&'static str, &'static str>)];

/// Runs a scenario over a script: status, end of observation in seconds, when the second step acted.
fn play(scenario: &Scenario, script: Script<'_>) -> (Status, f64, Vec<Duration>) {
    let (status, events, acted) = watch(scenario, script);
    (status, events.last().expect("events").at().as_secs_f64(), acted)
}

/// Runs a scenario over a script: status, timeline, when the second step acted.
fn watch(scenario: &Scenario, script: Script<'_>) -> (Status, Vec<crate::timeline::Event>, Vec<Duration>) {
    watch_at_most(MAX_EVENTS, scenario, script)
}

fn watch_at_most(
    max_events: usize,
    scenario: &Scenario,
    script: Script<'_>,
) -> (Status, Vec<crate::timeline::Event>, Vec<Duration>) {
    let (status, events, acted, _) = watch_talk(max_events, scenario, script, None);
    (status, events, acted)
}

/// The same with a device that is told keys while it runs; and what it was told.
fn watch_talk(
    max_events: usize,
    scenario: &Scenario,
    script: Script<'_>,
    talk: Option<Talk>,
) -> (Status, Vec<crate::timeline::Event>, Vec<Duration>, Vec<Order>) {
    let in_flight = virtual_time::InFlight::new();
    virtual_time::run(virtual_time::Mode::Warped, &in_flight, async {
        let start = tokio::time::Instant::now();
        let script = script.iter().copied().collect();
        let probe = match scenario.name.as_str() {
            PROBED => Some(Ok("wait_for_ever")),
            BLIND => Some(Err("the cable is loose")),
            _ => None,
        };
        let mut rig = Scripted { probe, start, script, acted: vec![], dead: scenario.name == DEAD, talk, told: vec![] };
        let reader = ConsoleReader::new(Arc::new(crate::dialect::embedded("xiaozhi").expect("dialect")));
        let mut timeline = Timeline::new(|| 0, |_| {});
        run_at_most(max_events, scenario, &facts(), &mut rig, reader, &mut timeline, Action::Reset).await;
        let verdict = judge(scenario, timeline.events(), &facts());
        (verdict.status, timeline.into_events(), rig.acted, rig.told)
    })
    .expect("runtime")
}

#[test]
fn step_acts_at_the_moment_its_wait_is_met_and_the_run_ends_when_all_is_decided() {
    let (status, end, acted) = play(&scenario(happens(1, None), 60), &[(2000, Ok(VALID))]);
    assert_eq!((status, acted), (Status::Pass, vec![Duration::from_secs(2)]));
    assert!(end < 3.0, "nothing could change the verdict any more: {end}");
}

#[test]
fn exact_count_is_watched_to_the_end_of_its_window() {
    let script = [(2000, Ok(VALID)), (59_000, Ok(VALID))];
    assert_eq!(play(&scenario(happens(1, Some(1)), 60), &script).0, Status::Fail);
    let (status, end, _) = play(&scenario(happens(1, Some(1)), 60), &script[..1]);
    assert_eq!(status, Status::Pass);
    assert!(end >= 60.0, "{end}");
}

#[test]
fn line_at_the_very_limit_counts() {
    assert_eq!(play(&scenario(happens(1, None), 60), &[(10_000, Ok(VALID))]).0, Status::Pass);
}

#[test]
fn wait_that_is_never_met_fails_the_firmware() {
    assert_eq!(play(&scenario(happens(0, None), 1), &[]).0, Status::Fail);
}

#[test]
fn rig_that_breaks_in_the_middle_is_an_error_whatever_was_seen() {
    let script = [(2000, Ok(VALID)), (3000, Err("port gone"))];
    assert_eq!(play(&scenario(happens(1, Some(1)), 60), &script).0, Status::Error);
}

#[test]
fn line_that_stays_unfinished_is_read_after_a_quiet_second_and_its_rest_is_a_line_of_its_own() {
    // The valid marking comes without its line end, as from a device that hangs right after.
    let script = [(2000, Ok("I (900) Ota: Marking firmware as valid...")), (9000, Ok("rest"))];
    let (status, events, acted) = watch(&scenario(happens(1, Some(1)), 20), &script);
    assert_eq!((status, acted), (Status::Pass, vec![Duration::from_secs(3)]));
    let lines: Vec<_> = events
        .iter()
        .filter_map(|e| match &e.kind {
            EventKind::Console(line) => Some((e.at().as_millis(), line.text.as_str(), line.cut)),
            _ => None,
        })
        .collect();
    assert_eq!(lines, [(3000, "I (900) Ota: Marking firmware as valid", true), (9000, "rest", false)]);
}

#[test]
fn line_that_comes_in_pieces_within_the_second_stays_one() {
    let script = [(2000, Ok("I (900) Ota: Marking...")), (2900, Ok(" firmware as valid"))];
    let (status, _, acted) = watch(&scenario(happens(1, Some(1)), 20), &script);
    assert_eq!((status, acted), (Status::Pass, vec![Duration::from_millis(2900)]));
}

#[test]
fn device_clock_that_drifts_is_a_finding_and_no_verdict() {
    let drift = |stamp_at_50s: &'static str| {
        let script = [(1000, Ok("I (1000) main: up")), (2000, Ok(VALID)), (50_000, Ok(stamp_at_50s))];
        let (status, events, _) = watch(&scenario(happens(1, Some(1)), 60), &script);
        assert_eq!(status, Status::Pass);
        events.into_iter().find_map(|e| match e.kind {
            EventKind::Rig(RigEvent::ClockDrift { per_mille }) => Some(per_mille),
            _ => None,
        })
    };
    assert_eq!(drift("I (50000) main: on time"), None);
    assert_eq!(drift("I (50900) main: within two per cent"), None);
    assert_eq!(drift("I (52450) main: fast"), Some(50));
    assert_eq!(drift("I (47550) main: slow"), Some(-50));
}

#[test]
fn run_that_had_to_be_ended_is_the_devices_fault_where_it_made_most_of_the_events() {
    let line = |text: &str| {
        EventKind::Console(crate::timeline::ConsoleLine {
            text: text.to_owned(),
            raw: None,
            cut: false,
            level: None,
            tag: None,
            message: None,
        })
    };
    let event = |kind| crate::timeline::Event { seq: 0, at_ns: 0, wall_ms: 0, device: None, kind };
    let mut events = vec![event(EventKind::Action(Action::Reset)), event(EventKind::Action(Action::Reset))];
    let by_device = |events: &[crate::timeline::Event]| match runaway(events, String::new()) {
        RigEvent::Runaway { device, .. } => device,
        other => panic!("{other:?}"),
    };
    assert!(!by_device(&[]) && !by_device(&events));
    events.extend((0..3).map(|_| event(line("again"))));
    assert!(by_device(&events));
}

#[test]
fn device_that_spins_is_ended_by_the_guard_and_fails() {
    let script: Vec<_> = (0..200).map(|at| (at, Ok("W (1) HTTP_CLIENT: nothing to read yet"))).collect();
    let (status, events, _) = watch_at_most(100, &scenario(happens(1, None), 10), &script);
    assert_eq!(status, Status::Fail);
    let ended = |e: &&crate::timeline::Event| matches!(e.kind, EventKind::Rig(RigEvent::Runaway { device: true, .. }));
    assert!(events.iter().any(|e| ended(&e)) && events.len() < 110, "{}", events.len());
}

#[test]
fn line_that_a_gap_cut_is_kept_and_not_continued() {
    let script: Script<'_> =
        &[(100, Ok("I (10) Ota: half...")), (200, Ok("gap: the port is gone")), (300, Ok("a line")), (400, Ok(VALID))];
    let (_, events, _) = watch(&scenario(happens(1, None), 5), script);
    let told: Vec<String> = events
        .iter()
        .filter(|event| matches!(event.kind, EventKind::Console(_) | EventKind::Rig(_)))
        .filter_map(|event| crate::timeline::describe(event).map(|(_, words)| words))
        .collect();
    assert_eq!(told, ["I (10) Ota: half", "gap: the port is gone", "a line", VALID]);
}

#[test]
fn crash_is_decoded_where_the_device_told_of_it() {
    let script: Script<'_> = &[
        (100, Ok("Guru Meditation Error: Core  0 panic'ed (LoadProhibited). Exception was unhandled.")),
        (110, Ok("Backtrace: 0x400d525d:0x3ffb46b0 0x400d316e:0x3ffb46e0")),
        (120, Ok("ELF file SHA256: a511d501e")),
        (400, Ok(VALID)),
    ];
    let (_, events, _) = watch(&scenario(happens(1, None), 5), script);
    let crash = events.iter().find_map(|event| match &event.kind {
        EventKind::Rig(RigEvent::Crash { line, frames, .. }) => Some((event.seq, *line, frames.len())),
        _ => None,
    });
    let (seq, line, frames) = crash.expect("decoded");
    assert_eq!(frames, 2);
    let text = |seq: u64| events.iter().find(|event| event.seq == seq).and_then(crate::timeline::describe);
    assert!(text(line).expect("the line").1.starts_with("Guru Meditation"), "the line that told of it");
    assert!(
        events.iter().position(|e| e.seq == seq)
            < events.iter().position(|e| text(e.seq).is_some_and(|t| t.1 == VALID))
    );
}

fn console(expression: &str) -> Pattern {
    Pattern::Console(regex::Regex::new(expression).expect("expression"))
}

fn set_url() -> Talk {
    let order = Order::Type { text: "set url".to_owned(), shown: "set url".to_owned() };
    let (ready, done) = (Some(console("^config>")), Some(console("^saved")));
    Talk { ready, orders: vec![order], done, within: Duration::from_secs(30) }
}

#[test]
fn running_device_is_told_its_keys_once_it_listens_and_the_steps_begin_when_it_has_understood() {
    let script: Script<'_> = &[(1000, Ok("config> ")), (2000, Ok("saved")), (5000, Ok(VALID))];
    let (status, events, _, told) = watch_talk(MAX_EVENTS, &scenario(happens(1, None), 60), script, Some(set_url()));
    assert_eq!(status, Status::Pass);
    assert_eq!(told.len(), 1);
    let at = |wanted: &dyn Fn(&EventKind) -> bool| events.iter().find(|e| wanted(&e.kind)).expect("event").at();
    let typed = at(&|kind| matches!(kind, EventKind::Action(Action::ConsoleInput { .. })));
    let begun = at(&|kind| matches!(kind, EventKind::Action(Action::StepStarted { step: 0, .. })));
    assert_eq!((typed, begun), (Duration::from_secs(1), Duration::from_secs(2)));
}

#[test]
fn device_that_cannot_be_told_is_no_verdict_on_its_firmware() {
    for (script, words) in [
        (&[(5000, Ok(VALID))][..], "says that it can be provisioned"),
        (&[(1000, Ok("config> ")), (5000, Ok(VALID))][..], "confirms what it was told"),
    ] {
        let (status, events, _, _) = watch_talk(MAX_EVENTS, &scenario(happens(1, None), 60), script, Some(set_url()));
        assert_eq!(status, Status::Error);
        let error = events.iter().find_map(|event| match &event.kind {
            EventKind::Rig(RigEvent::Error { message }) => Some(message.as_str()),
            _ => None,
        });
        assert!(error.is_some_and(|error| error.contains(words)), "{error:?}");
    }
}

#[test]
fn key_that_is_provisioned_in_a_step_is_told_too() {
    let mut asks = scenario(happens(1, None), 60);
    asks.steps[1].actions = vec![StepAction::Provision(BTreeMap::new())];
    let plain = Talk { ready: None, done: None, ..set_url() };
    let (_, _, acted, told) = watch_talk(MAX_EVENTS, &asks, &[(2000, Ok(VALID))], Some(plain));
    assert_eq!((told.len(), acted), (2, vec![]), "before the steps, and in one: nothing is written to flash");
}

#[test]
fn silence_of_a_dead_line_is_no_failure_of_the_firmware() {
    let mut silent = scenario(happens(1, None), 60);
    assert_eq!(watch(&silent, &[]).0, Status::Fail, "a device that says nothing, on a line that is there");
    silent.name = DEAD.to_owned();
    assert_eq!(watch(&silent, &[]).0, Status::Error);
}

/// What the timeline tells of looks at the processor, and whether observation had ended before.
fn looked_at(events: &[crate::timeline::Event]) -> Option<(String, bool)> {
    let ended = events.iter().position(|e| matches!(e.kind, EventKind::Action(Action::RunEnded)));
    let looks = |e: &crate::timeline::Event| {
        matches!(e.kind, EventKind::Action(Action::Inspected { .. }))
            || matches!(&e.kind, EventKind::Rig(RigEvent::Note { message }) if message.contains("looked at"))
    };
    let at = events.iter().position(looks)?;
    Some((crate::timeline::describe(&events[at]).expect("words").1, ended.is_some_and(|ended| ended < at)))
}

fn probed(name: &str, action: Option<StepAction>) -> Scenario {
    let mut scenario = Scenario { name: name.to_owned(), ..scenario(happens(1, None), 60) };
    if let Some(action) = action {
        scenario.steps[1].actions = vec![action];
    }
    scenario
}

#[test]
fn device_that_fails_in_silence_is_looked_at_after_the_observation() {
    let (status, events, _) = watch(&probed(PROBED, None), &[(2000, Ok("I (900) main: hello"))]);
    let (told, after_the_end) = looked_at(&events).expect("looked at");
    assert_eq!(status, Status::Fail);
    assert!(told.contains("all 3 looks found core 0 in wait_for_ever"), "{told}");
    assert!(after_the_end, "a probe that attaches changes what the device does");
}

#[test]
fn device_that_talks_or_passes_is_not_looked_at() {
    let (status, events, _) = watch(&probed(PROBED, None), &[(55_000, Ok("I (900) main: hello"))]);
    assert_eq!((status, looked_at(&events)), (Status::Fail, None), "it talked 5 s before the end");
    let (status, events, _) = watch(&probed(PROBED, None), &[(2000, Ok(VALID))]);
    assert_eq!((status, looked_at(&events)), (Status::Pass, None));
    let (status, events, _) = watch(&scenario(happens(1, None), 60), &[]);
    assert_eq!((status, looked_at(&events)), (Status::Fail, None), "there is no probe");
}

#[test]
fn step_that_inspects_looks_at_the_processor_when_its_turn_comes() {
    let (status, events, acted) = watch(&probed(PROBED, Some(StepAction::Inspect)), &[(2000, Ok(VALID))]);
    let (told, after_the_end) = looked_at(&events).expect("looked at");
    assert!(told.contains("wait_for_ever") && !after_the_end, "{told}");
    assert_eq!((status, acted), (Status::Pass, vec![]));
}

#[test]
fn probe_that_fails_is_told_and_decides_nothing() {
    let (status, events, _) = watch(&probed(BLIND, Some(StepAction::Inspect)), &[(2000, Ok(VALID))]);
    let (told, _) = looked_at(&events).expect("told");
    assert_eq!(status, Status::Pass);
    assert!(told.contains("the cable is loose"), "{told}");
    assert_eq!(watch(&probed(BLIND, None), &[]).0, Status::Fail);
}

#[test]
fn version_that_runs_is_known_from_its_own_words_until_it_may_be_another() {
    let events = |lines: &[&str]| {
        let mut reader = ConsoleReader::new(Arc::new(crate::dialect::embedded("xiaozhi").expect("dialect")));
        let mut timeline = Timeline::new(|| 0, |_| {});
        for (_, device, found) in reader.feed((lines.join("\n") + "\n").as_bytes()) {
            for event in found {
                timeline.record(Duration::ZERO, device, EventKind::Device { line: 0, event });
            }
        }
        timeline.into_events()
    };
    let started = "I (320) app_init: App version:      1.6.0";
    assert_eq!(running_version(&events(&[started, "I (400) main: hello"])), Some("1.6.0"));
    assert_eq!(running_version(&events(&[started, "rst:0xc (RTC_SW_CPU_RST),boot:0x13 (SPI_FAST_FLASH_BOOT)"])), None);
    assert_eq!(running_version(&[]), None);
}
