//! The real labgrid: coordinator, exporter and client, lending a virtual board's pty. The exporter's ser2net listens on all
//! addresses, so all of it runs in a network namespace of its own.

mod remote;

use std::io::{BufRead, BufReader, Read};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, ExitCode, Output, Stdio};

use outside_tools::Need;
use remote::{VirtualBoard, words};

/// Nobody else is in the namespace.
const COORDINATOR: &str = "127.0.0.1:20408";

fn main() -> ExitCode {
    if let Some(code) = remote::in_namespace() {
        return code;
    }
    let needs = ["labgrid-client", "labgrid-coordinator", "labgrid-exporter", "ser2net"].map(Need::Program);
    outside_tools::main(&needs, outside_tools::tests![places_are_lent_and_given_back, what_cannot_be_had_is_told])
}

/// A program of labgrid's, ended on drop.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // One that ended by itself is no concern here.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn tool(name: &str) -> Command {
    let mut command = Command::new(outside_tools::program(name));
    // The exporter finds ser2net among the tools.
    let path = std::env::var("PATH").unwrap_or_default();
    command.env("PATH", format!("{}:{path}", outside_tools::folder().display()));
    command.env("PYTHONUNBUFFERED", "1").env("LG_COORDINATOR", COORDINATOR).stdin(Stdio::null());
    command
}

fn client(user: &str, arguments: &[&str]) -> Output {
    let mut command = tool("labgrid-client");
    command.env("LG_USERNAME", user).env("LG_HOSTNAME", "lab").args(arguments);
    command.output().expect("labgrid-client")
}

fn done(user: &str, arguments: &[&str]) {
    let output = client(user, arguments);
    assert!(output.status.success(), "{arguments:?}: {}", words(&output));
}

fn coordinator(folder: &Path) -> Running {
    let mut command = tool("labgrid-coordinator");
    // It keeps its places in the working folder.
    command.args(["-l", COORDINATOR]).current_dir(folder).stdout(Stdio::null()).stderr(Stdio::null());
    let mut running = Running(command.spawn().expect("labgrid-coordinator"));
    while TcpStream::connect(COORDINATOR).is_err() {
        assert!(running.0.try_wait().expect("coordinator").is_none(), "the coordinator ended");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    running
}

fn exporter(folder: &Path, port: &str) -> Running {
    let config = folder.join("exporter.yaml");
    std::fs::write(&config, format!("desk:\n  RawSerialPort:\n    port: {port}\n    speed: 115200\n"))
        .expect("written");
    let mut command = tool("labgrid-exporter");
    command.args(["-c", COORDINATOR, "-n", "bench", "--hostname", "127.0.0.1"]).arg(&config).current_dir(folder);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("labgrid-exporter");
    let mut out = BufReader::new(child.stdout.take().expect("stdout"));
    let mut line = String::new();
    while !line.contains("Exporter ready") {
        line.clear();
        assert!(out.read_line(&mut line).expect("stdout") > 0, "the exporter ended");
    }
    // It goes on talking, and must not be stopped by a full pipe.
    std::thread::spawn(move || std::io::copy(&mut out, &mut std::io::sink()));
    Running(child)
}

fn run(board: &VirtualBoard, place: &str) -> Command {
    let mut run = Command::new(env!("CARGO_BIN_EXE_brickproof"));
    run.current_dir(board.path("")).args(["run", "./short.toml", "--board", place, "--report", "report"]);
    run.args(["--reset", &format!("virtual:{}", board.control)]);
    run.env("BRICKPROOF_LEASES", board.path("leases")).env("BRICKPROOF_STATE", board.path("state"));
    run.env("BRICKPROOF_LABGRID_CLIENT", outside_tools::program("labgrid-client")).env_remove("RUST_LOG");
    run.env("LG_COORDINATOR", COORDINATOR).env("LG_USERNAME", "ci").env("LG_HOSTNAME", "runner");
    run.stdout(Stdio::piped()).stderr(Stdio::piped());
    run
}

fn places_are_lent_and_given_back() {
    remote::loopback_up();
    let board = VirtualBoard::new();
    let _coordinator = coordinator(&board.path(""));
    let _exporter = exporter(&board.path(""), &board.port);
    done("anna", &["-p", "desk", "create"]);
    done("anna", &["-p", "desk", "add-match", "bench/desk/*"]);

    done("anna", &["-p", "desk", "acquire"]);
    let mut waiting = run(&board, &format!("labgrid:desk@{COORDINATOR}")).spawn().expect("runs");
    let mut errors = BufReader::new(waiting.stderr.take().expect("stderr"));
    let mut line = String::new();
    while !line.contains("waiting for it") {
        line.clear();
        assert!(errors.read_line(&mut line).expect("stderr") > 0, "it ended without a word of waiting");
    }
    assert!(line.contains("is acquired by lab/anna"), "{line}");
    done("anna", &["-p", "desk", "release"]);
    let passed = waiting.wait_with_output().expect("ends");
    let mut rest = String::new();
    errors.read_to_string(&mut rest).expect("stderr");
    assert_eq!(passed.status.code(), Some(0), "{}{rest}", words(&passed));

    let who = words(&client("anna", &["who"]));
    assert!(!who.contains("desk"), "the place was given back: {who}");
    let mut refused = run(&board, "labgrid:desk");
    done("anna", &["-p", "desk", "acquire"]);
    let refused = refused.args(["--wait-board", "0s"]).output().expect("runs");
    assert_eq!(refused.status.code(), Some(3), "{}", words(&refused));
    assert!(words(&refused).contains("is acquired by lab/anna; waited 0ns"), "{}", words(&refused));
    let who = words(&client("anna", &["who"]));
    assert!(who.contains("anna") && who.contains("desk"), "what somebody else has is not given back: {who}");
}

fn what_cannot_be_had_is_told() {
    remote::loopback_up();
    let board = VirtualBoard::new();
    let absent = run(&board, "labgrid:desk").output().expect("runs");
    assert_eq!(absent.status.code(), Some(3), "{}", words(&absent));
    assert!(words(&absent).contains("is the coordinator running"), "{}", words(&absent));
    let _coordinator = coordinator(&board.path(""));
    let unknown = run(&board, "labgrid:nowhere").output().expect("runs");
    assert_eq!(unknown.status.code(), Some(3), "{}", words(&unknown));
    assert!(words(&unknown).contains("`labgrid-client places` lists"), "{}", words(&unknown));
    let client =
        run(&board, "labgrid:desk").env("BRICKPROOF_LABGRID_CLIENT", "/nowhere/client").output().expect("runs");
    assert_eq!(client.status.code(), Some(3), "{}", words(&client));
    assert!(words(&client).contains("pip install labgrid"), "{}", words(&client));
}
