use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use async_trait::async_trait;

use super::*;
use crate::judge::judge;
use crate::scenario::model::{
    Anchor, Count, Expectation, ExpectationKind, Images, Pattern, Source, Template, Wait, Window,
};
use crate::verdict::Status;

/// A rig that plays a script: what comes when, on tokio's paused clock.
struct Scripted {
    start: tokio::time::Instant,
    script: VecDeque<(u64, Result<&'static str, &'static str>)>,
    acted: Vec<Duration>,
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
            Some((_, Ok(line))) => Ok(Incoming::Console { at: self.now(), bytes: format!("{line}\r\n").into_bytes() }),
            Some((_, Err(why))) => Err(RigError(why.to_owned())),
            None => std::future::pending().await,
        }
    }

    async fn stop(&mut self) -> Vec<Incoming> {
        vec![]
    }
}

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
        image: Images { flash: "1".to_owned(), offer: None },
        provision: BTreeMap::from([("ota-url".to_owned(), Template(String::new()))]),
        faults: vec![],
        steps: vec![
            Step { name: "wait".to_owned(), span: 0..0, actions: vec![], until: Some(wait) },
            Step { name: "act".to_owned(), span: 0..0, actions: vec![StepAction::Reset], until: None },
        ],
        expectations: vec![Expectation {
            label: "it".to_owned(),
            span: 0..0,
            window: Window { from: Anchor::Start, within: Some(Duration::from_secs(within)) },
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

/// Runs a scenario over a script: status, end of observation in seconds, when the second step acted.
fn play(scenario: &Scenario, script: &[(u64, Result<&'static str, &'static str>)]) -> (Status, f64, Vec<Duration>) {
    let in_flight = virtual_time::InFlight::new();
    virtual_time::run(virtual_time::Mode::Warped, &in_flight, async {
        let mut rig =
            Scripted { start: tokio::time::Instant::now(), script: script.iter().copied().collect(), acted: vec![] };
        let reader = ConsoleReader::new(Arc::new(crate::dialect::embedded("xiaozhi").expect("dialect")));
        let mut timeline = Timeline::new(|| 0, |_| {});
        run(scenario, &facts(), &mut rig, reader, &mut timeline, Action::Reset).await;
        let verdict = judge(scenario, timeline.events(), &facts());
        let end = timeline.events().last().expect("events").at().as_secs_f64();
        (verdict.status, end, rig.acted)
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
