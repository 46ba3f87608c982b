//! A folder with all that a run in the stand-in's emulator needs, and what came of it.

use std::io::BufRead as _;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use brickproof::image::{Catalogue, Entry, Kind, RunOn};
use serde_json::Value;

use crate::stand_in;

/// Ends as soon as the device has been told that it is up to date.
pub(crate) const SHORT: &str = r#"
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
[[expect]]
still-runs = true
from-step = "check"
until-end = true
"#;

/// The folder, with emulators in `bin`, and a port that is this bench's own.
pub(crate) struct Bench {
    folder: tempfile::TempDir,
    /// Bound, and not listened on: connections to it are refused, and nobody else gets it.
    _reserved: OwnedFd,
    /// Where its OTA server listens.
    pub(crate) port: u16,
}

impl Bench {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("folder");
        let bin = folder.path().join("bin");
        std::fs::create_dir(&bin).expect("bin");
        std::fs::create_dir(folder.path().join("tmp")).expect("tmp");
        let this = std::env::current_exe().expect("this program");
        for program in ["qemu-system-xtensa", "qemu-system-riscv32"] {
            std::os::unix::fs::symlink(&this, bin.join(program)).expect("link");
        }
        catalogue(&folder.path().join("images"));
        let (reserved, port) = reserve();
        Self { folder, _reserved: reserved, port }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> String {
        let path = self.path(name);
        std::fs::write(&path, text).expect("file");
        path.display().to_string()
    }

    /// `brickproof run` on an emulated board, with the emulators on PATH.
    pub(crate) fn command(&self, scenario: &str, more: &[&str]) -> Command {
        let mut command = self.plain(scenario, more);
        command.args(["--board", "qemu"]).arg("--catalogue").arg(self.path("images/catalogue.toml"));
        command
    }

    /// The same, without a word about board and images.
    pub(crate) fn plain(&self, scenario: &str, more: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_brickproof"));
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("BRICKPROOF_")) {
            command.env_remove(name);
        }
        command.current_dir(self.folder.path()).args(["run", scenario, "--quiet", "--port", &self.port.to_string()]);
        command.arg("--report").arg(self.path("report")).args(more);
        command.env_remove("RUST_LOG").env("PATH", self.path("bin")).env("TMPDIR", self.path("tmp"));
        command.env("BRICKPROOF_LEASES", self.path("leases")).env(stand_in::LOG, self.path("emulator.log"));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    pub(crate) fn run(&self, scenario: &str, more: &[&str]) -> Output {
        self.command(scenario, more).output().expect("runs")
    }

    pub(crate) fn with_vice(&self, scenario: &str, vice: &str) -> Output {
        self.command(scenario, &[]).env(stand_in::VICE, vice).output().expect("runs")
    }

    /// What the emulators were told, in order.
    fn log(&self) -> Vec<Value> {
        let Ok(file) = std::fs::File::open(self.path("emulator.log")) else { return Vec::new() };
        let lines = std::io::BufReader::new(file).lines().map(|line| line.expect("text"));
        lines.map(|line| serde_json::from_str(&line).expect("JSON")).collect()
    }

    /// Process ids of the emulators that were started.
    pub(crate) fn pids(&self) -> Vec<i32> {
        let pids = self.log().into_iter().filter_map(|line| line["started"].as_i64());
        pids.map(|pid| i32::try_from(pid).expect("pid")).collect()
    }

    /// The command lines of the emulators, with `DIR` for their private folder, which nobody can know.
    pub(crate) fn command_lines(&self) -> Vec<String> {
        let tmp = self.path("tmp").display().to_string();
        let lines = self.log().into_iter().filter(|line| line["started"].is_number()).map(|line| {
            let arguments = line["arguments"].as_array().expect("arguments").iter();
            let arguments = arguments.map(|argument| {
                let argument = argument.as_str().expect("text");
                match argument.split_once(&tmp) {
                    Some((before, after)) => {
                        let (_, name) = after.trim_start_matches('/').split_once('/').expect("a private folder");
                        format!("{before}DIR/{name}")
                    }
                    None => argument.to_owned(),
                }
            });
            let program = line["program"].as_str().expect("program").to_owned();
            std::iter::once(program).chain(arguments).collect::<Vec<_>>().join(" ")
        });
        lines.collect()
    }

    /// The orders that the emulators were given.
    pub(crate) fn orders(&self) -> Vec<String> {
        self.log().into_iter().filter_map(|line| line["order"].as_str().map(str::to_owned)).collect()
    }

    /// The only recording.
    pub(crate) fn recording(&self) -> String {
        let mut found = recordings(&self.path("report"));
        assert_eq!(found.len(), 1, "{found:?}");
        std::fs::read_to_string(found.remove(0)).expect("recording")
    }

    /// Waits until the run's recording holds a text: the run is under way, however fast this machine is.
    pub(crate) fn wait_for(&self, run: &mut Child, text: &str) {
        loop {
            let found =
                recordings(&self.path("report")).into_iter().filter_map(|path| std::fs::read_to_string(path).ok());
            if found.into_iter().any(|recording| recording.contains(text)) {
                return;
            }
            assert!(run.try_wait().expect("run").is_none(), "the run ended before its recording held {text:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until an emulator is gone. The kernel kills it with whoever started it, but not at the same instant.
    pub(crate) fn wait_until_gone(&self, pid: i32) {
        let begun = Instant::now();
        while is_there(pid) {
            if begun.elapsed() > Duration::from_secs(60) {
                let id = rustix::process::Pid::from_raw(pid).expect("pid");
                // So that the test leaves nothing behind either.
                let _ = rustix::process::kill_process(id, rustix::process::Signal::KILL);
                panic!("emulator {pid} outlives the run that started it");
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Nothing of the emulators is left: neither process nor folder.
    pub(crate) fn assert_nothing_left(&self) {
        for pid in self.pids() {
            assert!(!is_there(pid), "emulator {pid} still runs");
        }
        let left: Vec<_> =
            std::fs::read_dir(self.path("tmp")).expect("tmp").map(|e| e.expect("entry").path()).collect();
        assert!(left.is_empty(), "{left:?}");
    }
}

/// A process that runs; one that has ended and is not yet taken off the kernel's list does not.
fn is_there(pid: i32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    status.rsplit_once(") ").is_some_and(|(_, state)| !state.starts_with('Z'))
}

fn recordings(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let paths = entries.filter_map(Result::ok).map(|e| e.path());
    paths
        .flat_map(|path| if path.is_dir() { recordings(&path) } else { vec![path] })
        .filter(|path| path.extension().is_some_and(|e| e == "jsonl"))
        .collect()
}

/// A port of loopback that nobody else gets while the descriptor is open. With SO_REUSEADDR on both, a server may listen on
/// it beside a socket that does not listen.
fn reserve() -> (OwnedFd, u16) {
    use rustix::net::{AddressFamily, SocketType, bind, getsockname, socket, sockopt::set_socket_reuseaddr};
    let reserved = socket(AddressFamily::INET, SocketType::STREAM, None).expect("socket");
    set_socket_reuseaddr(&reserved, true).expect("reuse");
    bind(&reserved, &SocketAddr::from(([127, 0, 0, 1], 0))).expect("bound");
    let address = SocketAddr::try_from(getsockname(&reserved).expect("name")).expect("address");
    (reserved, address.port())
}

/// The reference firmware's images as images for emulators: what the stand-in's chip runs.
fn catalogue(folder: &Path) {
    std::fs::create_dir_all(folder).expect("folder");
    let embedded = Path::new(env!("CARGO_MANIFEST_DIR")).join("../firmware-images");
    let embedded = embedded.canonicalize().expect("the reference firmware's images");
    let catalogue = Catalogue::load(&embedded.join("catalogue.toml")).expect("catalogue");
    let renamed = |name: &str| format!("emulated-{name}");
    let entry = |entry: &Entry| {
        let kind = match &entry.kind {
            Kind::Application { software, flash_with } => Kind::Application {
                software: software.clone(),
                flash_with: flash_with.iter().map(|name| renamed(name)).collect(),
            },
            other => other.clone(),
        };
        Entry { name: renamed(&entry.name), kind, run_on: [RunOn::Qemu].into(), ..entry.clone() }
    };
    let text: Vec<String> = catalogue.entries().map(|found| entry(found).to_toml()).collect();
    for images in ["images", "esp32c3"] {
        std::os::unix::fs::symlink(embedded.join(images), folder.join(images)).expect("link");
    }
    std::fs::write(folder.join("catalogue.toml"), text.join("\n")).expect("catalogue");
}

/// What a run said on both streams, on one line: diagnostics wrap theirs.
pub(crate) fn words(output: &Output) -> String {
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    text.replace(['│', '×', '╰', '─', '▶'], " ").split_whitespace().collect::<Vec<_>>().join(" ")
}
