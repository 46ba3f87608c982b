//! A board that is there before the run and after it: a virtual one as a process of its own, reached like any other
//! through its serial port.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use brickproof::board::nvs::{self, NvsItem, NvsValue};
use brickproof::image::Catalogue;
use brickproof::lease;
use esp_image::chip::ChipId;
use esp_image::otadata::{ImageState, OtaData};

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
[[expect]]
still-runs = true
from-step = "check"
until-end = true
"#;

const PASSWORD: &str = "correct horse battery";

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_brickproof"));
    command.args(arguments).env_remove("RUST_LOG");
    command
}

/// Where a partition lies: offset and size.
type Place = (usize, usize);

/// A virtual board in a process of its own, with somebody's own settings in its flash. Ended on drop.
struct Bench {
    folder: tempfile::TempDir,
    board: Child,
    port: String,
    reset: String,
    nvs: Place,
    otadata: Place,
    before: Vec<u8>,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("folder");
        let catalogue = Catalogue::embedded().expect("catalogue");
        let image = catalogue.application("1.5.9", ChipId::Esp32C3).expect("image");
        let layout = catalogue.layout(&image).expect("layout");
        let place = |p: &esp_image::partition::Partition| {
            (usize::try_from(p.offset).expect("offset"), usize::try_from(p.size).expect("size"))
        };
        let (nvs, otadata) = (place(layout.nvs().expect("nvs")), place(layout.otadata().expect("otadata")));
        let mut flash = layout.snapshot(virtual_esp32::standalone::DEFAULT_FLASH_SIZE).expect("flash");
        let own = NvsItem {
            namespace: "home".to_owned(),
            key: "owner".to_owned(),
            value: NvsValue::Text("somebody".to_owned()),
            secret: false,
        };
        let settings = nvs::with_items(vec![0xff; nvs.1], &[own]).expect("settings");
        flash[nvs.0..nvs.0 + nvs.1].copy_from_slice(&settings);
        // The second application, chosen by an entry of its own.
        let (_, choice) = OtaData { entries: [None, None] }.select(1, 2, ImageState::Valid);
        let choice = choice.encode();
        flash[otadata.0..otadata.0 + choice.len()].copy_from_slice(&choice);
        std::fs::write(folder.path().join("flash.bin"), &flash).expect("flash file");
        std::fs::write(folder.path().join("short.toml"), SHORT).expect("scenario");

        let path = |name: &str| folder.path().join(name).display().to_string();
        let mut board = command(&["virtual", "--flash", &path("flash.bin"), "--control", &path("control")])
            .stdout(Stdio::piped())
            .spawn()
            .expect("the board starts");
        let mut line = String::new();
        BufReader::new(board.stdout.take().expect("stdout")).read_line(&mut line).expect("a line");
        let published: serde_json::Value = serde_json::from_str(&line).expect("JSON");
        let port = published["port"].as_str().expect("port").to_owned();
        let reset = format!("virtual:{}", published["control"].as_str().expect("control"));
        Self { folder, board, port, reset, nvs, otadata, before: flash }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn run(&self, scenario: &str, more: &[&str]) -> Command {
        let mut run = command(&["run", scenario, "--board", &self.port, "--reset", &self.reset]);
        run.arg("--report").arg(self.path("report")).arg("--state").arg(self.path("state")).args(more);
        run.env("BRICKPROOF_LEASES", self.path("leases"))
            .env("BRICKPROOF_WIFI_SSID", "attic")
            .env("BRICKPROOF_WIFI_PASSWORD", PASSWORD);
        run.stdout(Stdio::piped()).stderr(Stdio::piped());
        run
    }

    fn short(&self, more: &[&str]) -> Output {
        self.run(&self.path("short.toml").display().to_string(), more).output().expect("runs")
    }

    fn restore(&self) -> Output {
        let mut restore = command(&["restore", "--board", &self.port, "--reset", &self.reset, "--state"]);
        restore.arg(self.path("state")).env("BRICKPROOF_LEASES", self.path("leases")).output().expect("runs")
    }

    fn partition(&self, (offset, size): Place) -> Vec<u8> {
        std::fs::read(self.path("flash.bin")).expect("flash file")[offset..offset + size].to_vec()
    }

    fn text(&self, namespace: &str, key: &str) -> Option<String> {
        nvs::text(self.partition(self.nvs), namespace, key).expect("NVS")
    }

    fn is_as_before(&self) -> bool {
        [self.nvs, self.otadata].iter().all(|&place| self.partition(place) == self.before[place.0..place.0 + place.1])
    }

    fn kept(&self) -> usize {
        std::fs::read_dir(self.path("state")).map_or(0, Iterator::count)
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        // A board that ended by itself is no concern here.
        let _ = self.board.kill();
        let _ = self.board.wait();
    }
}

/// Waits until the run's recording holds a text: the run is under way, however fast this machine is.
fn wait_for(run: &mut Child, report: &Path, text: &str) {
    loop {
        let recording = find(report, "jsonl").into_iter().find_map(|path| std::fs::read_to_string(path).ok());
        if recording.is_some_and(|recording| recording.contains(text)) {
            return;
        }
        assert!(run.try_wait().expect("run").is_none(), "the run ended before its recording held {text:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn find(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let paths = entries.filter_map(Result::ok).map(|e| e.path());
    paths
        .flat_map(|path| if path.is_dir() { find(&path, extension) } else { vec![path] })
        .filter(|path| path.extension().is_some_and(|e| e == extension))
        .collect()
}

fn signal(child: &Child, signal: rustix::process::Signal) {
    let id = rustix::process::Pid::from_child(child);
    rustix::process::kill_process(id, signal).expect("signal");
}

fn words(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn board_has_its_own_settings_back_after_a_run() {
    let bench = Bench::new();
    let ran = bench.short(&[]);
    assert_eq!(ran.status.code(), Some(0), "{}", words(&ran));
    assert!(bench.is_as_before(), "{:?}", bench.text("home", "owner"));
    assert_eq!(bench.kept(), 0, "nothing is left to restore");
}

#[test]
fn terminated_run_is_an_error_and_gives_the_board_its_settings_back() {
    let bench = Bench::new();
    let mut run = bench.run("wrong-port", &[]).spawn().expect("runs");
    wait_for(&mut run, &bench.path("report"), "provisioned");
    assert_eq!(bench.kept(), 1, "kept while the board is used");
    assert!(!bench.is_as_before());
    signal(&run, rustix::process::Signal::TERM);
    let ran = run.wait_with_output().expect("ends");
    assert_eq!(ran.status.code(), Some(3), "{}", words(&ran));
    assert!(words(&ran).contains("SIGTERM ended the run before this scenario was done"), "{}", words(&ran));
    assert!(bench.is_as_before(), "{}", words(&ran));
    assert_eq!(bench.kept(), 0);
}

#[test]
fn killed_run_leaves_settings_for_restore_and_no_password_in_any_report() {
    let bench = Bench::new();
    let mut run = bench.run("wrong-port", &[]).spawn().expect("runs");
    wait_for(&mut run, &bench.path("report"), "provisioned");
    run.kill().expect("killed");
    run.wait().expect("gone");
    assert_eq!(bench.text("home", "owner"), None, "the scenario's own settings are on the board");
    assert_eq!(bench.text("wifi", "ssid").as_deref(), Some("attic"));
    assert_eq!(bench.text("wifi", "password").as_deref(), Some(PASSWORD));
    let recording = std::fs::read_to_string(find(&bench.path("report"), "jsonl").pop().expect("one")).expect("text");
    assert!(recording.contains("wifi/password") && !recording.contains(PASSWORD), "{recording}");

    // Another run before the restore: what the killed one left is not taken for the board's own.
    let ran = bench.short(&[]);
    assert_eq!(ran.status.code(), Some(0), "{}", words(&ran));
    assert!(words(&ran).contains("from a run that was broken off"), "{}", words(&ran));
    assert!(bench.is_as_before());
}

#[test]
fn restore_writes_back_what_a_killed_run_kept_once() {
    let bench = Bench::new();
    let mut run = bench.run("wrong-port", &[]).spawn().expect("runs");
    wait_for(&mut run, &bench.path("report"), "provisioned");
    run.kill().expect("killed");
    run.wait().expect("gone");
    let restored = bench.restore();
    assert_eq!(restored.status.code(), Some(0), "{}", words(&restored));
    assert!(words(&restored).contains("wrote nvs, otadata of the board"), "{}", words(&restored));
    assert!(bench.is_as_before());
    let again = bench.restore();
    assert_eq!(again.status.code(), Some(0), "{}", words(&again));
    assert!(words(&again).contains("nothing is kept of the board"), "{}", words(&again));
}

#[test]
fn no_restore_keeps_nothing_and_leaves_the_scenarios_settings() {
    let bench = Bench::new();
    let ran = bench.short(&["--no-restore"]);
    assert_eq!(ran.status.code(), Some(0), "{}", words(&ran));
    assert_eq!(bench.kept(), 0);
    assert_eq!(bench.text("home", "owner"), None);
}

#[test]
fn board_of_another_chip_is_not_written() {
    let bench = Bench::new();
    let ran = bench.short(&["--chip", "esp32s3"]);
    assert_eq!(ran.status.code(), Some(3), "{}", words(&ran));
    assert!(words(&ran).contains("is an esp32c3, but this run is for esp32s3"), "{}", words(&ran));
    assert!(bench.is_as_before());
}

#[test]
fn port_that_is_held_by_another_program_is_a_rig_error() {
    let bench = Bench::new();
    let _monitor = serialport::TTYPort::open(&serialport::new(bench.port.clone(), 115_200)).expect("a monitor");
    let ran = bench.short(&[]);
    assert_eq!(ran.status.code(), Some(3), "{}", words(&ran));
    assert!(words(&ran).contains("another program holds it"), "{}", words(&ran));
}

#[test]
fn port_with_no_esp_behind_it_is_told_after_a_few_tries() {
    let bench = Bench::new();
    let (_silent, port) = serialport::TTYPort::pair().expect("a pty that nobody answers");
    let port = serialport::SerialPort::name(&port).expect("name");
    let mut run = command(&["run", "already-up-to-date", "--board", &port, "--reset", &bench.reset]);
    run.arg("--report").arg(bench.path("report")).arg("--state").arg(bench.path("state"));
    let ran = run.output().expect("runs");
    assert_eq!(ran.status.code(), Some(3), "{}", words(&ran));
    assert!(words(&ran).contains("no ESP answered in download mode"), "{}", words(&ran));
    assert!(words(&ran).contains("check that the port is the board's"), "{}", words(&ran));
}

#[test]
fn settings_of_a_board_are_read_and_changed_one_by_one() {
    let bench = Bench::new();
    let nvs = |arguments: &[&str]| {
        let line = ["--board", &bench.port, "--reset", &bench.reset];
        let mut nvs = command(&["nvs"]);
        let output =
            nvs.args(arguments).args(line).env("BRICKPROOF_LEASES", bench.path("leases")).output().expect("runs");
        let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        (output.status.code(), text)
    };
    let (code, listed) = nvs(&["list"]);
    assert_eq!(code, Some(0), "{listed}");
    assert!(listed.contains("home/owner") && !listed.contains("somebody"), "a text may be a credential: {listed}");
    assert_eq!(nvs(&["get", "home/owner"]), (Some(0), "somebody\n".to_owned()));
    assert_eq!(nvs(&["set", "wifi/channel", "11", "--type", "u8"]), (Some(0), "wifi/channel is 11 now\n".to_owned()));
    // The type that stands there is kept, and what it cannot hold is refused.
    let (code, refused) = nvs(&["set", "wifi/channel", "300"]);
    assert!(code == Some(2) && refused.contains("\"300\" is no u8"), "{code:?} {refused}");
    assert_eq!(nvs(&["set", "wifi/channel", "11"]).1, "wifi/channel is 11 already: nothing was written\n");
    assert_eq!(bench.text("home", "owner").as_deref(), Some("somebody"), "the others stay");
    assert_eq!(nvs(&["erase", "home/owner"]), (Some(0), "erased home/owner\n".to_owned()));
    assert_eq!(bench.text("home", "owner"), None);
    let (code, none) = nvs(&["get", "home/owner"]);
    assert!(code == Some(2) && none.contains("there is no home/owner"), "{code:?} {none}");
    assert_eq!(nvs(&["erase", "--all"]).0, Some(0));
    assert!(bench.partition(bench.nvs).iter().all(|b| *b == 0xff));
}

#[test]
fn board_that_another_process_holds_is_waited_for() {
    let bench = Bench::new();
    let me = lease::Holder { pid: std::process::id(), doing: "a test".to_owned(), since: "just now".to_owned() };
    let patience = lease::Patience { limit: Duration::ZERO, waiting: &mut |_| {}, ended: &|| None };
    let held = lease::acquire(&bench.path("leases"), std::slice::from_ref(&bench.port), &me, patience).expect("free");

    let refused = bench.short(&["--wait-board", "0s"]);
    let said = String::from_utf8_lossy(&refused.stdout).into_owned();
    assert_eq!(refused.status.code(), Some(3), "{said}");
    assert!(said.contains(&format!("is held by process {} (a test) since just now", std::process::id())), "{said}");
    assert!(bench.is_as_before(), "nothing was touched");

    let scenario = bench.path("short.toml").display().to_string();
    let mut waiting = bench.run(&scenario, &[]).spawn().expect("runs");
    let mut errors = BufReader::new(waiting.stderr.take().expect("stderr"));
    let mut line = String::new();
    while !line.contains("waiting for it") {
        line.clear();
        assert!(errors.read_line(&mut line).expect("stderr") > 0, "it ended without a word of waiting");
    }
    assert!(line.contains("(a test)"), "{line}");
    drop(held);
    let done = waiting.wait_with_output().expect("ends");
    assert_eq!(done.status.code(), Some(0), "{}", String::from_utf8_lossy(&done.stdout));
    assert!(bench.is_as_before());
}
