use super::*;
use crate::judge::Facts;
use crate::timeline::{ConsoleLine, DeviceEvent, DeviceTime, Timeline};
use crate::verdict::{ExpectationVerdict, Status};

fn console(text: &str, level: Option<char>) -> EventKind {
    let raw = text.contains('\u{fffd}').then(|| "ff00".to_owned());
    EventKind::Console(ConsoleLine { text: text.to_owned(), raw, cut: false, level, tag: None, message: None })
}

/// A small run: a step, a fault, a connection that is reset, a retry that comes too late, hostile text.
fn evidence() -> Evidence {
    let mut line = Timeline::new(|| 0, |_| {});
    let ms = std::time::Duration::from_millis;
    let device = |ms| Some(DeviceTime { boot: 1, ms, unwrapped_ms: ms });
    let action = EventKind::Action;
    let (started, set) = (Action::StepStarted { step: 0, name: "fails".to_owned() }, vec!["reset-at".to_owned()]);
    line.record(ms(0), None, action(Action::FaultsSet { faults: set.clone() }));
    line.record(ms(1), None, action(started));
    line.record(ms(1), None, EventKind::Server(ServerEvent::PlanChanged { faults: set }));
    let seq = line.record(ms(30), device(30), console("I (30) boot", Some('I')));
    let reset = DeviceEvent::Reset { code: 1, reason: "POWERON".to_owned(), download: false };
    line.record(ms(30), None, EventKind::Device { line: seq, event: reset });
    let peer = "127.0.0.1:5".parse().expect("address");
    line.record(ms(40), None, EventKind::Server(ServerEvent::Accepted { connection: 1, port: 8002, peer }));
    let fired = ServerEvent::FaultFired {
        connection: Some(1),
        request: None,
        fault: "reset-at".to_owned(),
        detail: "RST".to_owned(),
    };
    line.record(ms(41), None, EventKind::Server(fired));
    let closed = ServerEvent::ConnectionClosed { connection: 1, how: Closed::Reset, bytes_in: 1, bytes_out: 2 };
    line.record(ms(42), None, EventKind::Server(closed));
    let seq = line.record(ms(50), device(50), console("W (50) </script>\u{fffd}\u{202e} retry 1", Some('W')));
    let retry = DeviceEvent::RetryScheduled { attempt: 1, max: Some(10), delay_ms: Some(1000) };
    let retry = line.record(ms(50), device(50), EventKind::Device { line: seq, event: retry });
    let seq = line.record(ms(3050), device(3050), console("I (3050) asks", Some('I')));
    let asks = DeviceEvent::RequestStarted { url: "http://h/".to_owned() };
    line.record(ms(3050), device(3050), EventKind::Device { line: seq, event: asks });
    line.record(ms(4000), None, EventKind::Action(Action::RunEnded));
    let events = line.into_events();
    let scenario = "summary = \"s\"\ndevice-time = \"1min\"\n[image]\nflash = \"1.6.0\"\n[[expect]]\nretries = { delay = \"1s\" }\nuntil-end = true\n";
    let parsed = crate::scenario::parse("s", "s.toml", scenario, &crate::scenario::values::Values::default());
    let facts = Facts { slots: vec![], prints_attempts: true, skew: ms(0) };
    let intervals = crate::judge::intervals(&parsed.expect("valid"), &events, &facts);
    let expectation = ExpectationVerdict {
        label: "it".to_owned(),
        span: 0..1,
        status: Status::Fail,
        found: String::new(),
        evidence: vec![retry],
    };
    let verdict = Verdict { status: Status::Fail, reason: None, expectations: vec![expectation] };
    Evidence { events, verdict, intervals, source: scenario.to_owned(), began: String::new() }
}

#[test]
fn data_of_a_small_run_is_columns_that_point_at_rows() {
    let data = Data::of(&evidence());
    let mut json = Vec::new();
    data.write(&mut json).expect("written");
    let text = String::from_utf8(json).expect("UTF-8");
    assert!(!text.contains('<') && !text.contains('\u{202e}'), "{text}");
    let value: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    insta::assert_snapshot!(serde_json::to_string_pretty(&value).expect("JSON"));
}

#[test]
fn every_event_has_a_row_and_rows_are_in_order() {
    let evidence = evidence();
    let data = Data::of(&evidence);
    let rows: Vec<usize> = evidence.events.iter().map(|e| data.row(e.seq).expect("a row")).collect();
    assert!(rows.is_sorted() && rows.last() == Some(&(data.rows.text.len() - 1)), "{rows:?}");
    assert_eq!(data.rows.dt.iter().sum::<u64>(), 4_000_000, "gaps add up to the run");
    assert_eq!([data.rows.side.len(), data.rows.level.len(), data.rows.dt.len()], [data.rows.text.len(); 3]);
    assert_eq!(data.row(evidence.events.len() as u64), None);
}

#[test]
fn damaged_references_of_a_recording_end_nowhere_and_nothing_panics() {
    let mut damaged = evidence();
    for event in &mut damaged.events {
        if let EventKind::Device { line, .. } = &mut event.kind {
            *line = u64::MAX;
        }
        event.at_ns = u64::MAX - event.at_ns;
    }
    damaged.verdict.expectations[0].evidence = vec![u64::MAX, 3];
    let data = Data::of(&damaged);
    assert_eq!(data.deciding, [vec![3]]);
    assert!(Data::of(&Evidence { events: vec![], ..damaged }).rows.text.is_empty());
}
