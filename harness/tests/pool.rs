//! Equal boards in a pool: virtual ones, each a process of its own, reached like any other through its serial port.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use brickproof::lease::{self, Holder, Patience};
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

struct VirtualBoard {
    process: Child,
    port: String,
    control: String,
}

impl VirtualBoard {
    fn new(folder: &Path, number: usize) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_brickproof"));
        command.args(["virtual", "--mac", &format!("24:0A:C4:00:00:0{number}"), "--control"]);
        command.arg(folder.join(format!("b{number}.sock")));
        let mut process = command.stdout(Stdio::piped()).spawn().expect("the board starts");
        let mut line = String::new();
        BufReader::new(process.stdout.take().expect("stdout")).read_line(&mut line).expect("a line");
        let published: Value = serde_json::from_str(&line).expect("JSON");
        let text = |key: &str| published[key].as_str().expect(key).to_owned();
        Self { process, port: text("port"), control: text("control") }
    }
}

impl Drop for VirtualBoard {
    fn drop(&mut self) {
        // A board that ended by itself is no concern here.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Boards of a pool, and a project that describes them.
struct Pool {
    folder: tempfile::TempDir,
    boards: Vec<VirtualBoard>,
}

impl Pool {
    fn new(count: usize) -> Self {
        let folder = tempfile::tempdir().expect("folder");
        let boards: Vec<_> = (0..count).map(|n| VirtualBoard::new(folder.path(), n)).collect();
        let mut project = String::from("[run]\nboard = \"all\"\n");
        for (n, board) in boards.iter().enumerate() {
            let VirtualBoard { port, control, .. } = board;
            let _ = writeln!(
                project,
                "[boards.b{n}]\npool = \"all\"\nport = {port:?}\nreset = \"virtual:{control}\"\nchip = \"esp32c3\""
            );
        }
        std::fs::write(folder.path().join("brickproof.toml"), project).expect("project file");
        std::fs::write(folder.path().join("short.toml"), SHORT).expect("scenario");
        Self { folder, boards }
    }

    fn leases(&self) -> PathBuf {
        self.folder.path().join("leases")
    }

    fn run(&self, report: &str, more: &[&str]) -> Command {
        let mut run = Command::new(env!("CARGO_BIN_EXE_brickproof"));
        run.current_dir(self.folder.path()).args(["run", "./short.toml", "--report", report, "--state", "state"]);
        run.args(more).env_remove("RUST_LOG").env("BRICKPROOF_LEASES", self.leases());
        run.stdout(Stdio::piped()).stderr(Stdio::piped());
        run
    }

    fn recordings(&self, report: &str) -> Vec<Vec<Value>> {
        let runs = self.folder.path().join(report).join("runs");
        let files = std::fs::read_dir(runs).into_iter().flatten().flatten().flat_map(|run| {
            std::fs::read_dir(run.path()).into_iter().flatten().flatten().map(|file| file.path()).collect::<Vec<_>>()
        });
        let lines = |file: PathBuf| std::fs::read_to_string(file).expect("recording");
        files.map(lines).map(|text| text.lines().filter_map(|l| serde_json::from_str(l).ok()).collect()).collect()
    }
}

#[test]
fn run_on_a_pool_takes_the_board_that_is_free() {
    let pool = Pool::new(3);
    let me = Holder { pid: std::process::id(), doing: "a test".to_owned(), since: "just now".to_owned() };
    let held: Vec<_> = pool.boards[..2]
        .iter()
        .map(|board| {
            let patience = Patience { limit: Duration::ZERO, waiting: &mut |_| {}, ended: &|| None };
            lease::acquire(&pool.leases(), std::slice::from_ref(&board.port), &me, patience).expect("free")
        })
        .collect();
    let done = pool.run("report", &[]).output().expect("runs");
    assert_eq!(done.status.code(), Some(0), "{}", String::from_utf8_lossy(&done.stdout));
    let recordings = pool.recordings("report");
    assert_eq!(recordings.len(), 1);
    assert_eq!(recordings[0][0]["header"]["board"], "b2", "{}", recordings[0][0]);
    drop(held);
}

#[test]
fn scenarios_on_a_pool_share_its_boards_and_never_one_board() {
    let pool = Pool::new(2);
    let done = pool.run("report", &["--repeat", "4"]).output().expect("runs");
    assert_eq!(done.status.code(), Some(0), "{}", String::from_utf8_lossy(&done.stdout));
    let recordings = pool.recordings("report");
    assert_eq!(recordings.len(), 4);
    // When each board was in use, from the first event of a recording to its last.
    let mut uses: Vec<(String, u64, u64)> = recordings
        .iter()
        .map(|events| {
            let began = events[0]["header"]["began-wall-ms"].as_u64().expect("began");
            let end = events.iter().filter_map(|e| e["event"]["wall-ms"].as_u64()).max().expect("events");
            (events[0]["header"]["board"].as_str().expect("board").to_owned(), began, end)
        })
        .collect();
    uses.sort();
    for pair in uses.windows(2) {
        let [(board, _, end), (next, begin, _)] = pair else { unreachable!("windows of two") };
        assert!(board != next || end <= begin, "two runs at once on {board}: {uses:?}");
    }
}

#[test]
fn board_of_a_run_that_is_killed_is_free_at_once_and_the_next_run_passes() {
    let pool = Pool::new(1);
    let mut first = pool.run("first", &[]).spawn().expect("runs");
    while !pool.recordings("first").iter().flatten().any(|event| event.to_string().contains("\"flashed\"")) {
        assert!(first.try_wait().expect("run").is_none(), "the run ended before it flashed");
        std::thread::sleep(Duration::from_millis(20));
    }
    let mut second = pool.run("second", &[]).spawn().expect("runs");
    let mut errors = BufReader::new(second.stderr.take().expect("stderr"));
    let mut line = String::new();
    while !line.contains("waiting for it") {
        line.clear();
        assert!(errors.read_line(&mut line).expect("stderr") > 0, "it ended without a word of waiting");
    }
    assert!(line.contains(&format!("process {}", first.id())), "{line}");
    first.kill().expect("killed");
    first.wait().expect("dead");
    let done = second.wait_with_output().expect("ends");
    assert_eq!(done.status.code(), Some(0), "{}", String::from_utf8_lossy(&done.stdout));
    let abandoned = pool.recordings("first");
    assert!(abandoned[0].iter().all(|event| event.get("footer").is_none()), "a killed run has no verdict");
}

#[test]
fn board_of_a_pool_that_is_unplugged_is_a_problem_and_the_others_do_its_work() {
    let pool = Pool::new(2);
    let project = pool.folder.path().join("brickproof.toml");
    let text = std::fs::read_to_string(&project).expect("project");
    // A port that is a file: there, and no serial port.
    let port = pool.folder.path().join("short.toml").display().to_string();
    std::fs::write(&project, text.replacen(&pool.boards[0].port, &port, 1)).expect("written");
    let done = pool.run("report", &["--repeat", "2"]).output().expect("runs");
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    assert_eq!(done.status.code(), Some(3), "{said}");
    assert!(said.contains("problem: board b0 was not used, others did its work: cannot open serial port"), "{said}");
    assert!(said.contains("2 pass") || said.contains("2 passed"), "{said}");
}
