//! A virtual board in a process of its own, and a scenario on it.

#![allow(dead_code, reason = "each of the test programs uses its part of it")]

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, ExitCode, Output, Stdio};

use serde_json::Value;

/// Ends as soon as the device has been told that it is up to date: real time is not spent on waiting.
const SHORT: &str = r#"
summary = "The version that runs is the one offered"
device-time = "1min"
[image]
flash = "1.6.0"
offer = "1.6.0"
[provision]
ota-url = "{server.url}"
[[step]]
name = "check"
until = { event = "up-to-date" }
within = "1min"
[[expect]]
boots = { version = "1.6.0", slot = "ota_0" }
until-end = true
"#;

/// A virtual board in a process of its own. Ended on drop.
pub(crate) struct VirtualBoard {
    folder: tempfile::TempDir,
    process: Child,
    pub(crate) port: String,
    pub(crate) control: String,
    pub(crate) rfc2217: String,
}

impl VirtualBoard {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("folder");
        std::fs::write(folder.path().join("short.toml"), SHORT).expect("scenario");
        let mut command = Command::new(env!("CARGO_BIN_EXE_brickproof"));
        command.args(["virtual", "--rfc2217", "0", "--control"]).arg(folder.path().join("control"));
        let mut process = command.stdout(Stdio::piped()).spawn().expect("the board starts");
        let mut line = String::new();
        BufReader::new(process.stdout.take().expect("stdout")).read_line(&mut line).expect("a line");
        let published: Value = serde_json::from_str(&line).expect("JSON");
        let text = |key: &str| published[key].as_str().expect(key).to_owned();
        let (port, control, rfc2217) = (text("port"), text("control"), text("rfc2217"));
        Self { folder, process, port, control, rfc2217 }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn brickproof(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_brickproof"));
        command.current_dir(self.folder.path()).args(arguments).env_remove("RUST_LOG");
        command.env("BRICKPROOF_LEASES", self.path("leases")).env("BRICKPROOF_STATE", self.path("state"));
        command.output().expect("runs")
    }

    /// A scenario on the board behind a port, reset by its control socket.
    pub(crate) fn passes_behind(&self, port: &str) {
        let reset = format!("virtual:{}", self.control);
        let done = self.brickproof(&["run", "./short.toml", "--board", port, "--reset", &reset, "--report", "report"]);
        assert_eq!(done.status.code(), Some(0), "{}", words(&done));
    }
}

impl Drop for VirtualBoard {
    fn drop(&mut self) {
        // A board that ended by itself is no concern here.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

pub(crate) fn words(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Set inside the namespace.
const INSIDE: &str = "BRICKPROOF_TEST_NAMESPACE";
/// Gives the loopback interface a second address, and brings it up: ioctls SIOCSIFADDR and SIOCSIFFLAGS with IFF_UP and
/// IFF_RUNNING (netdevice(7)). With 127.0.0.1 alone getaddrinfo's AI_ADDRCONFIG finds no address for ser2net to listen on.
const LOOPBACK: &str = "import fcntl,socket,struct;s=socket.socket();\
    fcntl.ioctl(s,0x8914,struct.pack('16sH14x',b'lo',0x41));\
    fcntl.ioctl(s,0x8916,struct.pack('16sHH4s8x',b'lo:1',socket.AF_INET,0,socket.inet_aton('127.0.0.2')))";

/// Runs this program again in a network namespace of its own, for servers that listen on all addresses: its exit code. `None`
/// inside, and where tests are only listed.
pub(crate) fn in_namespace() -> Option<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if std::env::var_os(INSIDE).is_some() || arguments.iter().any(|argument| argument == "--list") {
        return None;
    }
    let mut again = Command::new("unshare");
    if !rustix::process::geteuid().is_root() {
        again.args(["--user", "--map-root-user"]);
    }
    again.args(["--net", "--"]).arg(std::env::current_exe().expect("this program")).args(arguments);
    let status = again.env(INSIDE, "1").status().expect("unshare (util-linux)");
    Some(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Brings the namespace's loopback interface up.
pub(crate) fn loopback_up() {
    let up = Command::new(outside_tools::program("python")).args(["-c", LOOPBACK]).status().expect("python");
    assert!(up.success(), "the loopback interface of the namespace does not come up");
}
