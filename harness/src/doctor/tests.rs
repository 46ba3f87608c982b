//! The checks against servers on loopback, each on a port of its own choosing.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use super::*;

/// Answers every request on one loopback port until dropped.
struct Server {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// `answer` makes the whole response from the request's method.
    fn start(answer: impl Fn(&str) -> Vec<u8> + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
        let address = listener.local_addr().expect("address");
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stopped.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(mut stream) = stream else { continue };
                let _ = stream.set_read_timeout(Some(Duration::from_secs(5)));
                if let Some(method) = read_request(&mut stream) {
                    let _ = stream.write_all(&answer(&method));
                }
            }
        });
        Self { address, stop, thread: Some(thread) }
    }

    fn ota() -> Self {
        Self::start(|method| match method {
            "POST" => http("200 OK", "application/json", OTA_ANSWER),
            _ => http("200 OK", "text/plain", "OTA interface is up"),
        })
    }

    fn options(&self) -> Options {
        options(format!("http://{}/xiaozhi/ota/", self.address))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        // Wakes the accept call.
        let _ = std::net::TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

const OTA_ANSWER: &str = r#"{"server_time":{"timestamp":1},"firmware":{"version":"1.6.0","url":""},"websocket":{}}"#;

fn read_request(stream: &mut std::net::TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 1024];
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length:")?.trim().parse().ok())
                .unwrap_or(0);
            if body.len() >= length {
                return head.split(' ').next().map(str::to_owned);
            }
        }
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => return None,
            Ok(n) => bytes.extend_from_slice(&buffer[..n]),
        }
    }
}

fn http(status: &str, kind: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}")
        .into_bytes()
}

fn options(url: String) -> Options {
    Options { candidate_ports: Vec::new(), allow_loopback: true, ..Options::new(url) }
}

/// A port on which nothing listens for as long as the value lives: bound, so that nobody else gets it, and never put
/// to listen, so that it refuses.
struct ClosedPort(rustix::fd::OwnedFd);

impl ClosedPort {
    fn new() -> Self {
        use rustix::net::{AddressFamily, SocketType, bind, socket};
        let socket = socket(AddressFamily::INET, SocketType::STREAM, None).expect("socket");
        bind(&socket, &SocketAddr::from(([127, 0, 0, 1], 0))).expect("bound");
        Self(socket)
    }

    fn port(&self) -> u16 {
        let address = rustix::net::getsockname(&self.0).expect("address");
        SocketAddr::try_from(address).expect("an IP address").port()
    }
}

fn text(report: &Report) -> String {
    let mut out = Vec::new();
    write(report, &mut out).expect("written");
    String::from_utf8(out).expect("text")
}

#[test]
fn an_ota_server_is_fine() {
    let server = Server::ota();
    let report = examine(&server.options());
    assert_eq!((report.outcome, report.outcome.exit_code()), (Outcome::Fine, 0), "{}", text(&report));
    assert!(report.findings.iter().all(|finding| finding.severity == Severity::Ok), "{}", text(&report));
    assert!(text(&report).contains("offering version 1.6.0"));
}

#[test]
fn a_closed_port_names_the_port_that_does_answer() {
    let server = Server::ota();
    let closed_port = ClosedPort::new();
    let closed = closed_port.port();
    let mut options = options(format!("http://127.0.0.1:{closed}/xiaozhi/ota/"));
    options.candidate_ports = vec![closed, server.address.port()];
    let report = examine(&options);
    assert_eq!(report.outcome.exit_code(), 1);
    assert_eq!(report.suggestion, Some(format!("http://{}/xiaozhi/ota/", server.address)));
    let text = text(&report).replace(&closed.to_string(), "CLOSED").replace(&server.address.port().to_string(), "OPEN");
    insta::assert_snapshot!(text);
}

#[test]
fn another_service_is_told_from_an_ota_server() {
    let page = Server::start(|_| http("200 OK", "text/html", "<!doctype html><title>Router</title>"));
    let ota = Server::ota();
    let mut options = page.options();
    options.candidate_ports = vec![ota.address.port()];
    let report = examine(&options);
    assert_eq!(report.outcome, Outcome::Problem);
    assert!(text(&report).contains("a web page: no OTA server"), "{}", text(&report));
    assert_eq!(report.suggestion, Some(format!("http://{}/xiaozhi/ota/", ota.address)));
}

#[test]
fn statuses_of_failure_are_problems() {
    for (status, part) in [("404 Not Found", "status 404"), ("503 Busy", "status 503"), ("302 Found", "redirected")] {
        let server = Server::start(move |_| http(status, "text/plain", "no"));
        let report = examine(&server.options());
        assert_eq!(report.outcome, Outcome::Problem, "{status}");
        assert!(text(&report).contains(part), "{}", text(&report));
    }
}

#[test]
fn what_speaks_no_http_is_a_problem() {
    let server = Server::start(|_| b"SSH-2.0-OpenSSH_9.6\r\n".to_vec());
    let report = examine(&server.options());
    assert_eq!(report.outcome, Outcome::Problem, "{}", text(&report));
}

#[test]
fn silence_ends_after_the_timeout() {
    // The backlog takes the connection; nobody ever answers.
    let silent = TcpListener::bind("127.0.0.1:0").expect("bound");
    let mut options = options(format!("http://{}/xiaozhi/ota/", silent.local_addr().expect("address")));
    options.timeout = Duration::from_millis(200);
    let report = examine(&options);
    assert_eq!(report.outcome, Outcome::Problem);
    assert!(text(&report).contains("no answer in time"), "{}", text(&report));
}

#[test]
fn a_firmware_url_without_its_port_is_a_problem() {
    let answer = r#"{"firmware":{"version":"1.6.0","url":"http://127.0.0.1/xiaozhi/ota/download/merged-binary.bin"}}"#;
    let server = Server::start(move |_| http("200 OK", "application/json", answer));
    let report = examine(&server.options());
    assert_eq!(report.outcome, Outcome::Problem);
    let text = text(&report);
    assert!(text.contains("which has no port") && text.contains("merged image"), "{text}");
}

#[test]
fn loopback_is_no_address_for_a_device() {
    let server = Server::ota();
    let options = Options { allow_loopback: false, ..server.options() };
    assert_eq!(examine(&options).outcome, Outcome::Problem);
}

#[test]
fn what_is_no_url_ends_with_status_two() {
    for url in ["", "not a url", "192.168.88.200:8002/xiaozhi/ota/", "http://", "http://[::1/"] {
        let report = examine(&options(url.to_owned()));
        assert_eq!(report.outcome.exit_code(), 2, "{url}");
        assert!(!report.findings.is_empty(), "{url}");
    }
}
