//! `brickproof serve`: the misbehaving server as other tests use it, from the outside.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

struct Served {
    process: Child,
    lines: BufReader<ChildStdout>,
    address: SocketAddr,
    api: Option<SocketAddr>,
    dns: Option<SocketAddr>,
}

fn image() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../firmware-images/esp32c3/images/openeth/ota-agent-esp32c3-openeth-1.6.0.bin")
}

impl Served {
    fn start(faults: &[&str]) -> Self {
        let image = image().display().to_string();
        let faults = faults.iter().flat_map(|fault| ["--fault", fault]);
        Self::with(&["--image", &image].into_iter().chain(faults).collect::<Vec<_>>())
    }

    fn with(arguments: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_brickproof"));
        command.args(["serve", "--listen", "127.0.0.1:0"]).args(arguments);
        let mut process = command.stdout(Stdio::piped()).spawn().expect("serves");
        let mut lines = BufReader::new(process.stdout.take().expect("stdout"));
        let mut told = |before: &str| {
            let mut line = String::new();
            lines.read_line(&mut line).expect("a line");
            let address = line.trim().rsplit_once(before).and_then(|(_, a)| a.parse().ok());
            address.unwrap_or_else(|| panic!("no address in {line:?}"))
        };
        let api = arguments.contains(&"--api").then(|| told("API listens on http://"));
        let dns = arguments.contains(&"--dns-listen").then(|| told("answers DNS questions on "));
        let address = told("listens on ");
        Self { process, lines, address, api, dns }
    }

    /// Asks the fault API.
    fn api(&self, method: &str, path: &str, body: &str) -> String {
        let address = self.api.expect("an API");
        let length = body.len();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {address}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
        );
        let (answer, end) = exchange(address, &request);
        assert_eq!(end, Ok(()));
        String::from_utf8(answer).expect("text")
    }

    fn exchange(&self, request: &str) -> (Vec<u8>, Result<(), ErrorKind>) {
        exchange(self.address, request)
    }

    fn get(&self, path: &str) -> (Vec<u8>, Result<(), ErrorKind>) {
        self.exchange(&format!("GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.address))
    }

    fn check(&self) -> serde_json::Value {
        let body = r#"{"application":{"version":"1.5.9"}}"#;
        let (answer, end) = self.exchange(&format!(
            "POST /xiaozhi/ota/ HTTP/1.1\r\nHost: {}\r\nDevice-Id: 02:00:00:42:00:01\r\nContent-Type: application/json\
             \r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            self.address,
            body.len()
        ));
        assert_eq!(end, Ok(()));
        let answer = String::from_utf8(answer).expect("text");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        serde_json::from_str(body).expect("JSON")
    }

    /// Ends the server as a terminal does, and returns the rest of what it told.
    fn stop(mut self) -> String {
        let id = rustix::process::Pid::from_child(&self.process);
        rustix::process::kill_process(id, rustix::process::Signal::INT).expect("signal");
        let mut rest = String::new();
        self.lines.read_to_string(&mut rest).expect("text");
        assert!(self.process.wait().expect("ends").success());
        rest
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // It has usually ended.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Everything that comes on a new connection until it ends, and how it ended.
fn exchange(address: SocketAddr, request: &str) -> (Vec<u8>, Result<(), ErrorKind>) {
    let mut stream = TcpStream::connect(address).expect("connects");
    stream.set_read_timeout(Some(Duration::from_secs(30))).expect("timeout");
    stream.write_all(request.as_bytes()).expect("sent");
    let mut received = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return (received, Ok(())),
            Ok(n) => received.extend(&buffer[..n]),
            Err(e) => return (received, Err(e.kind())),
        }
    }
}

fn body(answer: &[u8]) -> &[u8] {
    let end = answer.windows(4).position(|w| w == b"\r\n\r\n").expect("a head");
    &answer[end + 4..]
}

#[test]
fn offers_its_image_under_the_address_that_the_device_used() {
    let served = Served::start(&[]);
    let answer = served.check();
    assert_eq!(answer["firmware"]["version"], "1.6.0", "read from the image");
    let url = answer["firmware"]["url"].as_str().expect("a URL");
    let path = url.strip_prefix(&format!("http://{}", served.address)).expect("the port is in the URL");
    let (download, end) = served.get(path);
    assert_eq!(end, Ok(()));
    assert!(body(&download) == std::fs::read(image()).expect("image"), "byte for byte");
    let told = served.stop();
    assert!(told.contains("POST /xiaozhi/ota/") && told.contains("closed by"), "{told}");
}

#[test]
fn misbehaves_as_told_and_no_more_than_told() {
    let served = Served::start(&["reset-at:at=50%,on=download,count=1"]);
    let path = "/firmware.bin";
    let (half, end) = served.get(path);
    assert_eq!(end, Err(ErrorKind::ConnectionReset), "a real RST");
    let whole = std::fs::read(image()).expect("image");
    assert!(body(&half) == &whole[..whole.len() / 2], "{} of {} bytes", body(&half).len(), whole.len());
    let (again, end) = served.get(path);
    assert_eq!((body(&again) == whole.as_slice(), end), (true, Ok(())), "the second try is served whole");
    let told = served.stop();
    assert!(told.contains("faults now: reset-at:at=50%,on=download,count=1"), "{told}");
    assert!(told.contains("fault reset-at"), "{told}");
}

#[test]
fn stands_in_front_of_a_server_and_is_changed_while_it_runs() {
    let real = Served::start(&[]);
    let upstream = format!("http://{}", real.address);
    let served = Served::with(&["--upstream", &upstream, "--api", "127.0.0.1:0"]);
    let whole = std::fs::read(image()).expect("image");
    let answer = served.check();
    let url = answer["firmware"]["url"].as_str().expect("a URL");
    assert!(url.starts_with(&format!("http://{}/", served.address)), "the Host of the client went through: {url}");
    let (download, end) = served.get("/firmware.bin");
    assert_eq!((body(&download) == whole.as_slice(), end), (true, Ok(())));
    let added = served.api("POST", "/faults", r#"{"name":"half","fault":{"reset-at":{"at":"50%"}},"on":"download"}"#);
    assert!(added.starts_with("HTTP/1.1 201"), "{added}");
    let (half, end) = served.get("/firmware.bin");
    assert_eq!((body(&half).len(), end), (whole.len() / 2, Err(ErrorKind::ConnectionReset)));
    assert!(served.api("GET", "/faults/half", "").contains(r#""fired":1"#));
    assert!(served.api("DELETE", "/faults/half", "").starts_with("HTTP/1.1 204"));
    assert_eq!(served.get("/firmware.bin").1, Ok(()));
    let gone = real.stop();
    assert!(gone.contains("GET /firmware.bin"), "{gone}");
    let (answer, end) = served.get("/firmware.bin");
    assert!(answer.starts_with(b"HTTP/1.1 502") && end == Ok(()), "{}", String::from_utf8_lossy(&answer));
    let told = served.stop();
    assert!(told.contains("fault reset-at") && told.contains("failed, which is no fault"), "{told}");
}

#[test]
fn bad_arguments_say_what_there_is() {
    let run = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_brickproof")).arg("serve").args(arguments).output();
        let output = output.expect("runs");
        let text = String::from_utf8_lossy(&output.stderr).split_whitespace().collect::<Vec<_>>().join(" ");
        (output.status.code(), text)
    };
    let (code, text) = run(&["--fault", "reset-in:at=50%"]);
    assert!(code == Some(2) && text.contains("there is no fault \"reset-in\""), "{text}");
    let (code, text) = run(&["--image", "Cargo.toml"]);
    assert!(code == Some(2) && text.contains("this is no ESP image"), "{text}");
    for (upstream, why) in [
        ("https://127.0.0.1:8443", "not supported yet"),
        ("http://127.0.0.1", "has no port"),
        ("http://127.0.0.1:80/ota", "has a path"),
    ] {
        let (code, text) = run(&["--upstream", upstream]);
        assert!(code == Some(2) && text.contains(why), "{text}");
    }
    for option in ["--image", "--advertise"] {
        let (code, text) = run(&["--upstream", "http://127.0.0.1:80", option, "x"]);
        assert!(code == Some(2) && text.contains("cannot be used with"), "{text}");
    }
    let (code, text) = run(&["--ota-path", "ota"]);
    assert!(code == Some(2) && text.contains("begins with a slash"), "{text}");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("listener");
    let address = taken.local_addr().expect("address").to_string();
    let (code, text) = run(&["--listen", &address]);
    assert!(code == Some(2) && text.contains(&format!("cannot listen on {address}")), "{text}");
    let (code, text) = run(&["--listen", "127.0.0.1:0", "--api", &address]);
    assert!(code == Some(2) && text.contains(&format!("the fault API cannot listen on {address}")), "{text}");
}

/// A question for the address of a name (RFC 1035, 4.1), with id 7.
fn question(name: &str) -> Vec<u8> {
    let mut bytes = vec![0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        bytes.push(u8::try_from(label.len()).expect("a label"));
        bytes.extend(label.as_bytes());
    }
    bytes.extend([0, 0, 1, 0, 1]);
    bytes
}

#[test]
fn names_are_answered_and_a_fault_acts_on_them() {
    let names = ["--dns-listen", "127.0.0.1:0", "--dns-name", "ota.example=192.168.88.200"];
    let served = Served::with(&[&names[..], &["--fault", "dns:kind=nxdomain,count=1"]].concat());
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").expect("socket");
    socket.set_read_timeout(Some(Duration::from_secs(60))).expect("limit");
    let ask = || {
        let mut answer = [0; 512];
        socket.send_to(&question("ota.example"), served.dns.expect("a name server")).expect("sent");
        let n = socket.recv(&mut answer).expect("an answer");
        (answer[3] & 0x0f, answer[..n].ends_with(&[192, 168, 88, 200]))
    };
    // 3 is NXDOMAIN.
    assert_eq!([ask(), ask()], [(3, false), (0, true)]);
}

#[test]
fn test_authority_is_written_and_signs_the_listener() {
    let folder = tempfile::tempdir().expect("folder");
    let ca = folder.path().join("root.pem");
    let path = ca.display().to_string();
    let served = Served::with(&["--tls-listen", "127.0.0.1:0", "--ca", &path]);
    let pem = std::fs::read_to_string(&ca).expect("the root certificate");
    assert!(pem.starts_with("-----BEGIN CERTIFICATE-----"), "{pem}");
    drop(served);
    let mut refused = Command::new(env!("CARGO_BIN_EXE_brickproof"));
    let refused = refused.args(["serve", "--dns-listen", "127.0.0.1:0", "--dns-name", "ota.example"]).output();
    let refused = refused.expect("runs");
    assert_eq!(refused.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("it is no NAME=ADDRESS"));
}
