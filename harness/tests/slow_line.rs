//! Warped time against a line that delivers late: whatever a pty's kernel worker or a loaded machine does, device time
//! stands still meanwhile, and the timeline is the same.

mod support;

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use brickproof::firmware_file;
use brickproof::image::Catalogue;
use brickproof::recording::Recording;
use brickproof::run::{RunConfig, run, select};
use brickproof::timeline::Event;
use brickproof::verdict::Status;
use rustix::fs::{Mode, OFlags};
use rustix::pty::OpenptFlags;
use rustix::termios::OptionalActions;

fn open(path: &Path) -> File {
    rustix::fs::open(path, OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty()).expect("open").into()
}

/// A second pty in front of the board's: bytes of both directions are held back by up to 8 ms each time.
fn late(board: &Path) -> PathBuf {
    let master = rustix::pty::openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).expect("a pty");
    rustix::pty::grantpt(&master).expect("granted");
    rustix::pty::unlockpt(&master).expect("unlocked");
    let mut raw = rustix::termios::tcgetattr(&master).expect("settings");
    raw.make_raw();
    rustix::termios::tcsetattr(&master, OptionalActions::Now, &raw).expect("raw");
    let name = rustix::pty::ptsname(&master, Vec::new()).expect("name");
    let path = PathBuf::from(name.to_str().expect("text"));
    let (near, board) = (File::from(master), open(board));
    // Stays open while bytes are relayed, so that nobody's opening and closing of the port ends the relay.
    let keep = open(&path);
    let (back_from, back_to) = (board.try_clone().expect("clone"), near.try_clone().expect("clone"));
    std::thread::spawn(move || relay(back_from, back_to));
    std::thread::spawn(move || {
        relay(near, board);
        drop(keep);
    });
    path
}

/// Ends when the board is gone with its run.
fn relay(mut from: File, mut to: File) {
    let mut buffer = [0; 256];
    for delay in (0..9).cycle() {
        let Ok(n @ 1..) = from.read(&mut buffer) else { return };
        std::thread::sleep(Duration::from_millis(delay));
        if to.write_all(&buffer[..n]).is_err() {
            return;
        }
    }
}

/// Status and timeline of a scenario run over a line.
fn timeline(name: &str, line: Option<fn(&Path) -> PathBuf>) -> (Status, Vec<Event>) {
    let folder = tempfile::tempdir().expect("folder");
    let run_folder = folder.path().join("run");
    std::fs::create_dir(&run_folder).expect("folder");
    let firmware = firmware_file::load(None).expect("firmware");
    let catalogue = Catalogue::embedded().expect("catalogue");
    let mut config = RunConfig::on_virtual_boards(firmware, catalogue, run_folder.clone());
    config.line_through = line;
    let report = run(&config, &select(&[name.to_owned()]).expect("scenario"), |_| {}).expect("runs");
    let recording = Recording::read(&run_folder.join(format!("{name}.jsonl"))).expect("recording");
    (report.scenarios[0].status, recording.events)
}

fn assert_same_over_a_late_line(name: &str) {
    let (status, prompt) = timeline(name, None);
    assert_eq!(status, Status::Pass);
    let (status, delayed) = timeline(name, Some(late));
    assert_eq!(status, Status::Pass);
    assert_eq!(support::difference(&prompt, &delayed), None);
}

#[test]
fn wrong_port_is_judged_the_same_over_a_late_line() {
    assert_same_over_a_late_line("wrong-port");
}

#[test]
fn slow_response_is_judged_the_same_over_a_late_line() {
    assert_same_over_a_late_line("slow-response");
}

#[test]
fn stalled_download_is_judged_the_same_over_a_late_line() {
    assert_same_over_a_late_line("stalled-download");
}
