use std::sync::Arc;

use super::*;
use crate::console::ConsoleReader;
use crate::timeline::Event;

const FAILED: &str = "W (200) Application: Check new version failed, retry in 60 seconds (1/10)";
const LATEST: &str = "I (900) Ota: Current is the latest version";
const VALID: &str = "I (900) Ota: Marking firmware as valid";

/// A timeline, each thing with its second.
#[derive(Default)]
struct Run(Vec<Event>);

impl Run {
    fn push(&mut self, second: u64, kind: EventKind) -> u64 {
        let seq = self.0.len() as u64;
        self.0.push(Event { seq, at_ns: second * 1_000_000_000, wall_ms: 0, device: None, kind });
        seq
    }

    fn line(mut self, second: u64, line: &str) -> Self {
        let mut reader = ConsoleReader::new(Arc::new(crate::dialect::embedded("xiaozhi").expect("embedded")));
        for (line, _, found) in reader.feed(format!("{line}\n").as_bytes()) {
            let line = self.push(second, EventKind::Console(line));
            for event in found {
                self.push(second, EventKind::Device { line, event });
            }
        }
        self
    }

    fn does(mut self, second: u64, action: Action) -> Self {
        self.push(second, EventKind::Action(action));
        self
    }

    fn serves(mut self, second: u64, event: ServerEvent) -> Self {
        self.push(second, EventKind::Server(event));
        self
    }
}

#[test]
fn recovery_begins_with_the_last_cure_or_with_the_failure() {
    let of = |run: Run| Metrics::of(&run.0).recovery;
    assert_eq!(of(Run::default().line(1, VALID)), Recovery::NotNeeded);
    assert_eq!(of(Run::default().line(1, FAILED)), Recovery::Never);
    assert_eq!(of(Run::default().line(1, FAILED).line(61, VALID)), Recovery::After(60_000));
    let cured = Run::default().line(1, FAILED).does(31, Action::FaultsSet { faults: vec![] }).line(61, VALID);
    assert_eq!(of(cured), Recovery::After(30_000));
    let before = Run::default().does(0, Action::FaultsSet { faults: vec![] }).line(1, FAILED).line(61, VALID);
    assert_eq!(of(before), Recovery::After(60_000), "what was set before anything failed cured nothing");
}

#[test]
fn what_came_after_the_end_of_observation_does_not_count() {
    let run = Run::default().line(1, FAILED).does(10, Action::RunEnded).line(61, VALID);
    assert_eq!(Metrics::of(&run.0).recovery, Recovery::Never);
}

#[test]
fn shape_of_back_off_is_read_from_the_delays() {
    let shape = BackOff::of;
    assert_eq!(shape(&[60_000]), BackOff::Unknown);
    assert_eq!(shape(&[60_000, 60_500, 60_000]), BackOff::Constant);
    assert_eq!(shape(&[10_000, 20_000, 40_000, 80_000]), BackOff::Doubling);
    assert_eq!(shape(&[10_000, 20_000, 30_000, 30_000]), BackOff::Doubling, "held by a cap");
    assert_eq!(shape(&[10_000, 20_000, 30_000, 40_000]), BackOff::Linear);
    assert_eq!(shape(&[10_000, 15_000, 20_000, 22_000, 22_000]), BackOff::Linear, "held by a cap");
    assert_eq!(shape(&[10_000, 25_000]), BackOff::Other, "a step is no law");
    assert_eq!(shape(&[40_000, 30_000, 20_000]), BackOff::Other);
    assert_eq!(shape(&[10_000, 60_000, 10_000]), BackOff::Other);
}

#[test]
fn faults_errors_connections_and_downloads_are_measured() {
    let peer = std::net::SocketAddr::from(([127, 0, 0, 1], 5));
    let fault = |connection| ServerEvent::FaultFired {
        connection: Some(connection),
        request: None,
        fault: "reset".to_owned(),
        detail: String::new(),
    };
    let run = Run::default()
        .serves(1, ServerEvent::Accepted { connection: 1, port: 8002, peer })
        .serves(2, fault(1))
        .line(4, "E (400) EspHttp: read failed: errno 104")
        .line(5, FAILED)
        .line(6, "E (600) EspHttp: read failed: errno 113")
        .line(7, LATEST);
    let metrics = Metrics::of(&run.0);
    assert_eq!((metrics.retries, metrics.connections), (1, 1));
    assert_eq!(metrics.notice_ms, Some(2000));
    assert_eq!(metrics.errors, BTreeMap::from([("read failed: errno #".to_owned(), 2)]));
}

#[test]
fn metrics_are_read_back_as_written_and_carry_their_version() {
    let metrics = Metrics::of(&Run::default().line(3, FAILED).line(64, VALID).0);
    assert_eq!((metrics.format, metrics.duration_ms), (FORMAT, 61_000));
    let json = serde_json::to_string(&metrics).expect("JSON");
    assert!(json.contains("\"format\":1") && json.contains("\"duration-ms\":61000"), "{json}");
    assert_eq!(serde_json::from_str::<Metrics>(&json).expect("read back"), metrics);
    assert_eq!(Metrics::of(&[]).duration_ms, 0);
}
