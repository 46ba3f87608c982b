use std::net::SocketAddr;
use std::sync::Arc;

use ota_server::event::{Closed, ServerEvent};
use proptest::prelude::*;

use super::*;
use crate::console::ConsoleReader;
use crate::dialect;
use crate::timeline::{Action, RefusedBecause};

const CHECK: &str = "I (100) EspHttp: Opening HTTP connection to http://10.0.0.2:8002/xiaozhi/ota/";
const RETRY: &str = "W (200) Application: Check new version failed, retry in 60 seconds (1/10)";
const DOWNLOAD: &str = "I (150) Ota: Upgrading firmware from http://10.0.0.2:8002/fw/1.6.0.bin";
const FAILED: &str = "I (200) Application: Firmware upgrade failed...";

/// A timeline as a run records it, from console lines and server events.
#[derive(Default)]
struct Run {
    events: Vec<Event>,
}

impl Run {
    fn push(&mut self, device: Option<DeviceTime>, kind: EventKind) -> u64 {
        let seq = self.events.len() as u64;
        self.events.push(Event { seq, at_ns: seq, wall_ms: 0, device, kind });
        seq
    }

    fn console(mut self, lines: &[&str]) -> Self {
        let mut reader = ConsoleReader::new(Arc::new(dialect::embedded("xiaozhi").expect("embedded")));
        for (line, at, found) in reader.feed((lines.join("\n") + "\n").as_bytes()) {
            let line = self.push(at, EventKind::Console(line));
            for event in found {
                self.push(at, EventKind::Device { line, event });
            }
        }
        self
    }

    fn server(mut self, event: ServerEvent) -> Self {
        self.push(None, EventKind::Server(event));
        self
    }

    fn causes(&self, server: Option<&str>) -> Vec<Cause> {
        diagnose(&self.events, server.map(|url| Url::parse(url).expect("a URL")).as_ref())
    }
}

fn first(lines: &[&str], server: Option<&str>) -> Cause {
    Run::default().console(lines).causes(server).into_iter().next().unwrap_or_else(|| panic!("no cause for {lines:?}"))
}

fn address() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 5))
}

fn accepted() -> ServerEvent {
    ServerEvent::Accepted { connection: 1, port: 8002, peer: address() }
}

fn fault(name: &str) -> ServerEvent {
    ServerEvent::FaultFired { connection: Some(1), request: None, fault: name.to_owned(), detail: "RST".to_owned() }
}

#[test]
fn each_way_to_fail_a_check_has_its_cause() {
    use CauseKind::*;
    let tls = "E (110) transport_base: Failed to open a new connection: 32772";
    let named = |name: &str| format!("E (120) EspHttp: Failed to perform HTTP request: {name}");
    let (fetch, again) = (named("ESP_ERR_HTTP_FETCH_HEADER"), named("ESP_ERR_HTTP_EAGAIN"));
    let (redirect, scheme) = (named("ESP_ERR_HTTP_MAX_REDIRECT"), named("ESP_ERR_HTTP_INVALID_TRANSPORT"));
    let (memory, write) = (named("ESP_ERR_NO_MEM"), named("ESP_ERR_HTTP_WRITE_DATA"));
    let connect = named("ESP_ERR_HTTP_CONNECT");
    let cases: [(CauseKind, &[&str]); 17] = [
        (ServerDown, &["E (110) esp-tls: [sock=54] delayed connect error: Connection reset by peer", tls, &connect]),
        (HostUnreachable, &["E (110) esp-tls: [sock=54] delayed connect error: Host is unreachable", tls, &connect]),
        (HostUnreachable, &["E (110) esp-tls: [sock=54] select() timeout", &connect]),
        (DnsFailure, &["E (110) esp-tls: couldn't get hostname for :nowhere: getaddrinfo() returns 202", &connect]),
        (TlsFailure, &["E (110) esp-tls-mbedtls: mbedtls_ssl_handshake returned -0x2700", tls, &connect]),
        (TlsFailure, &["E (110) Ota: Failed to open HTTP connection, code=0x801a"]),
        (ConnectionReset, &["E (110) EspTcp: Connection failed, errno 104: Connection reset by peer", &fetch]),
        (ConnectionReset, &[&write]),
        (NoAnswer, &[&again]),
        (NoAnswer, &[&fetch]),
        (RedirectLoop, &[&redirect]),
        (BadScheme, &[&scheme]),
        (OutOfResources, &[&memory]),
        (ServerError, &["E (110) Ota: Failed to check version, status code: 503"]),
        (Unauthorised, &["E (110) Ota: Failed to check version, status code: 401"]),
        (WrongService, &["E (110) Ota: Failed to parse JSON response"]),
        (WrongService, &["E (110) HTTP_CLIENT: HTTP parser error: what answers is no HTTP server", &fetch]),
    ];
    for (kind, lines) in cases {
        let console: Vec<&str> = [CHECK].iter().chain(lines).chain(&[RETRY]).copied().collect();
        let cause = first(&console, None);
        assert_eq!(cause.kind, kind, "{lines:?}: {cause:?}");
        assert!(cause.evidence.len() >= 3 && !cause.remedy.is_empty(), "{cause:?}");
    }
}

#[test]
fn each_way_to_fail_a_download_has_its_cause() {
    use CauseKind::*;
    let invalid = "E (190) Ota: Image validation failed, image is corrupted";
    let cases: [(CauseKind, &[&str]); 8] = [
        (Truncated, &["E (190) Ota: Failed to read HTTP data: ESP_ERR_HTTP_INCOMPLETE_DATA"]),
        (Truncated, &["E (190) Ota: Failed to read HTTP data: ESP_ERR_HTTP_CONNECTION_CLOSED"]),
        (Stalled, &["E (190) Ota: Failed to read HTTP data: ESP_ERR_HTTP_READ_TIMEOUT"]),
        (NoContentLength, &["E (190) Ota: Failed to get content length"]),
        (CorruptImage, &[invalid]),
        (MergedImage, &["E (190) esp_ota_ops: OTA image has invalid magic byte (expected 0xE9, saw 0xff)", invalid]),
        (WrongChip, &["E (190) esp_image: mismatch chip ID, expected 5, found 9", invalid]),
        (WrongService, &["E (190) Ota: Failed to get firmware, status code: 404"]),
    ];
    for (kind, lines) in cases {
        let console: Vec<&str> = [CHECK, "I (140) Ota: New version available: 1.6.0", DOWNLOAD]
            .iter()
            .chain(lines)
            .chain(&[FAILED])
            .copied()
            .collect();
        let run = Run::default().console(&console);
        let causes = run.causes(None);
        assert_eq!(causes.iter().map(|cause| cause.kind).collect::<Vec<_>>(), [kind], "{lines:?}");
        assert_eq!(causes[0].resolved, None);
    }
    let merged = "I (150) Ota: Upgrading firmware from http://10.0.0.2:8002/fw/merged-binary.bin";
    assert_eq!(first(&[CHECK, merged, invalid, FAILED], None).kind, MergedImage);
}

#[test]
fn the_server_known_makes_the_difference_certain() {
    let refused = [
        CHECK,
        "E (110) esp-tls: [sock=54] delayed connect error: Connection reset by peer",
        "E (110) transport_base: Failed to open a new connection: 32772",
        RETRY,
    ];
    let with = |server| first(&refused, Some(server));
    let cause = with("http://10.0.0.2:8003/xiaozhi/ota/");
    assert_eq!((cause.kind, cause.confidence), (CauseKind::WrongPort, Confidence::Certain));
    assert!(cause.sentence.contains("8002 instead of 8003"), "{}", cause.sentence);
    assert!(cause.remedy.contains("http://10.0.0.2:8003/xiaozhi/ota/"), "{}", cause.remedy);
    assert_eq!(with("http://10.0.0.3:8002/xiaozhi/ota/").kind, CauseKind::WrongHost);
    assert_eq!(with("http://10.0.0.2:8002/xiaozhi/ota/").kind, CauseKind::ServerDown);
    let page = [CHECK, "E (110) Ota: Failed to check version, status code: 404", RETRY];
    let cause = first(&page, Some("http://10.0.0.2:8002/other/ota/"));
    assert!(cause.sentence.contains("the path is the difference"), "{}", cause.sentence);
}

#[test]
fn a_run_knows_its_servers_port_by_itself() {
    let wrong = [
        "I (100) EspHttp: Opening HTTP connection to http://10.0.0.2/xiaozhi/ota/",
        "E (110) esp-tls: [sock=54] delayed connect error: Connection reset by peer",
        "E (110) transport_base: Failed to open a new connection: 32772",
        RETRY,
    ];
    let run = Run::default().server(ServerEvent::Listening { port: 8002, address: address() }).console(&wrong);
    let cause = &run.causes(None)[0];
    assert_eq!((cause.kind, cause.confidence), (CauseKind::WrongPort, Confidence::Certain));
    assert!(cause.remedy.contains("http://10.0.0.2:8002/xiaozhi/ota/"), "{}", cause.remedy);
}

#[test]
fn a_reset_of_an_accepted_connection_is_no_closed_port() {
    let run = Run::default().console(&[CHECK]).server(accepted()).console(&[
        "E (110) esp-tls: [sock=54] delayed connect error: Connection reset by peer",
        "E (110) transport_base: Failed to open a new connection: 32772",
        RETRY,
    ]);
    assert_eq!(run.causes(None)[0].kind, CauseKind::ConnectionReset);
}

#[test]
fn a_device_that_stays_away_after_a_fault_is_named() {
    let run = Run::default()
        .console(&[CHECK])
        .server(accepted())
        .server(fault("accept-reset"))
        .server(ServerEvent::ConnectionClosed { connection: 1, how: Closed::Reset, bytes_in: 0, bytes_out: 0 });
    let causes = run.causes(None);
    let cause = causes.iter().find(|cause| cause.kind == CauseKind::NotRecovered).expect("named");
    assert!(cause.sentence.contains("accept-reset (1 times). After the last of them the device never connected again"));
    assert_eq!(cause.evidence.len(), 1);
    let recovered = run.console(&["I (900) Ota: Current is the latest version"]);
    assert_eq!(recovered.causes(None), []);
}

#[test]
fn bytes_that_the_server_withheld_make_a_truncation_certain() {
    let response =
        ServerEvent::Response { connection: 1, request: 1, status: 200, announced: Some(163_840), sent: 4096 };
    let run = Run::default()
        .console(&[CHECK, DOWNLOAD])
        .server(response)
        .console(&["E (190) Ota: Failed to read HTTP data: ESP_ERR_HTTP_INCOMPLETE_DATA", FAILED]);
    let cause = &run.causes(None)[0];
    assert_eq!((cause.kind, cause.confidence), (CauseKind::Truncated, Confidence::Certain));
    assert!(cause.sentence.contains("4096 of 163840"), "{}", cause.sentence);
}

#[test]
fn what_the_operator_resets_is_no_boot_loop() {
    let banner = "rst:0x1 (POWERON),boot:0x8 (SPI_FAST_FLASH_BOOT)";
    let mut run = Run::default();
    for _ in 0..5 {
        run = run.console(&[banner]);
        run.push(None, EventKind::Action(Action::Reset));
    }
    assert_eq!(run.causes(None), []);
    let looping = Run::default().console(&[banner; 3]);
    assert_eq!(looping.causes(None)[0].kind, CauseKind::BootLoop);
}

#[test]
fn no_network_and_no_request_are_told_apart() {
    let lost = ["I (900) wifi:state: auth -> init (200)"];
    assert_eq!(first(&lost, None).kind, CauseKind::NetworkNeverUp);
    let silent = ["I (900) main: hello", "I (40000) main: still here"];
    assert_eq!(first(&silent, None).kind, CauseKind::NetworkNeverUp);
    let idle = ["I (900) wifi: Got IP: 10.0.0.9", "I (70000) main: still here"];
    assert_eq!(first(&idle, None).kind, CauseKind::NeverAsked);
    let early = ["I (900) wifi: Got IP: 10.0.0.9", "I (9000) main: still here"];
    assert_eq!(Run::default().console(&early).causes(None), []);
}

#[test]
fn a_url_that_is_too_short_is_named() {
    let cause = first(&["E (100) Ota: Check version URL is not properly set", RETRY], None);
    assert_eq!((cause.kind, cause.confidence), (CauseKind::UrlNotSet, Confidence::Certain));
}

fn device_event() -> impl Strategy<Value = DeviceEvent> {
    let error = (any::<Option<i64>>(), any::<Option<i32>>(), any::<Option<u16>>(), ".{0,20}").prop_map(
        |(code, errno, status, message)| DeviceEvent::Error { name: None, code, errno, status, message: Some(message) },
    );
    prop_oneof![
        error,
        (0..4_u32).prop_map(|offset| DeviceEvent::SlotLoaded { offset }),
        Just(DeviceEvent::Reset { code: 1, reason: "x".to_owned(), download: false }),
        Just(DeviceEvent::ImageRefused { because: RefusedBecause::Hash, offset: None }),
        "(http://)?[a-z:/0-9\\[\\]@]{0,12}".prop_map(|url| DeviceEvent::RequestStarted { url }),
        Just(DeviceEvent::AttemptFailed { message: None }),
        any::<u32>().prop_map(|attempt| DeviceEvent::RetryScheduled { attempt, max: None, delay_ms: None }),
        Just(DeviceEvent::RetriesExhausted),
        Just(DeviceEvent::DownloadStarted { url: None, slot: None }),
        Just(DeviceEvent::UpgradeFailed { message: None }),
        Just(DeviceEvent::UpgradeSuccessful),
        Just(DeviceEvent::ImageInvalid),
        Just(DeviceEvent::MarkedValid),
        ".{0,5}".prop_map(|reason| DeviceEvent::Panic { reason }),
    ]
}

proptest! {
    #[test]
    fn any_events_in_any_order_are_diagnosed(events in proptest::collection::vec((any::<u64>(), device_event()), 0..60)) {
        let mut diagnoser = Diagnoser::new(None);
        for (seq, event) in &events {
            diagnoser.see_device(*seq, event);
        }
        for cause in diagnoser.finish() {
            prop_assert!(!cause.sentence.is_empty() && !cause.remedy.is_empty());
        }
    }
}

#[test]
fn what_is_wrong_with_a_certificate_or_a_handshake_is_told() {
    let handshake = |code: &str| format!("E (110) esp-tls-mbedtls: mbedtls_ssl_handshake returned {code}");
    let info = |words: &str| format!("I (112) esp-tls-mbedtls: verification info:   ! {words}");
    let connect = "E (120) EspHttp: Failed to perform HTTP request: ESP_ERR_HTTP_CONNECT";
    for (code, words, told) in [
        ("-0x2700", "The certificate validity has expired", "has expired"),
        ("-0x2700", "The certificate validity starts in the future", "clock is not set"),
        ("-0x2700", "The certificate Common Name (CN) does not match with the expected CN", "is for another host name"),
        ("-0x2700", "The certificate is not correctly signed by the trusted CA", "authority that the firmware trusts"),
        ("-0x2700", "words of another version", "does not accept the server's certificate"),
        ("-0x6E80", "", "no version of TLS"),
        ("-0x7200", "", "most often plain HTTP"),
        ("-0x0050", "", "was reset in the handshake"),
        ("-0x1234", "", "could not agree"),
    ] {
        let (handshake, info) = (handshake(code), info(words));
        let mut console = vec![CHECK, &handshake];
        if !words.is_empty() {
            console.push(&info);
        }
        console.extend([connect, RETRY]);
        let cause = first(&console, None);
        assert_eq!(cause.kind, CauseKind::TlsFailure, "{code} {words}");
        assert!(cause.sentence.contains(told), "{code} {words}: {}", cause.sentence);
    }
}

#[test]
fn processor_that_stays_in_one_place_is_a_cause_with_its_function() {
    use crate::timeline::{Frame, Halted};
    let at = |function: &str| {
        let file = Some("/src/ota.c".to_owned());
        let frame = Frame { address: 0x4200_0000, function: Some(function.to_owned()), file, line: Some(7) };
        vec![Halted { core: 0, frames: vec![frame], stack: vec![], why_not: None }]
    };
    let causes = |looks: Vec<Vec<Halted>>| {
        let mut run = Run::default().console(&[CHECK]);
        run.push(None, EventKind::Action(Action::Inspected { looks }));
        run.causes(None)
    };
    let stuck = causes(vec![at("wait_for_server"); 3]);
    let hang = stuck.iter().find(|cause| cause.kind == CauseKind::Hang).expect("a cause");
    assert!(hang.sentence.contains("hangs in wait_for_server (ota.c:7)"), "{}", hang.sentence);
    let other = |looks| causes(looks).iter().all(|cause| cause.kind != CauseKind::Hang);
    assert!(other(vec![at("esp_cpu_wait_for_intr"); 3]), "it has nothing to do");
    assert!(other(vec![at("send"), at("receive"), at("send")]), "it moves");
}
