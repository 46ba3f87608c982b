//! The same seed gives the same timeline; another seed another one, where something is left to chance.

mod support;

use brickproof::firmware_file;
use brickproof::image::Catalogue;
use brickproof::recording::Recording;
use brickproof::run::{RunConfig, Selected, run, select};
use brickproof::timeline::Event;

/// Faults by chance, a law of delay, and random bits: everything that a seed decides.
const CHANCE: &str = r#"
summary = "Much is left to chance"
device-time = "10min"
faults = [
    { fault = { delay = { log-normal = { median = "500ms", sigma = 1.0 } } } },
    { fault = { status = { code = 503 } }, on = "check", chance = "60%" },
    { fault = { corrupt = { bits = 2 } }, on = "download", chance = "50%" },
]
[image]
flash = "1.5.9"
offer = "1.6.0"
[provision]
ota-url = "{server.url}"
[[step]]
name = "whatever comes"
wait = "15min"
[[expect]]
never = { event = "nothing-bootable" }
until-end = true
"#;

fn timeline(selected: &Selected, seed: u64) -> Vec<Event> {
    let folder = tempfile::tempdir().expect("folder");
    let firmware = firmware_file::load(None).expect("firmware");
    let catalogue = Catalogue::embedded().expect("catalogue");
    let mut config = RunConfig::on_virtual_boards(firmware, catalogue, folder.path().to_owned());
    config.seed = seed;
    let report = run(&config, std::slice::from_ref(selected), |_| {}).expect("runs");
    let file = report.scenarios[0].recording.as_ref().expect("a recording");
    let name = std::path::Path::new(file).file_name().expect("name");
    let recording = Recording::read(&folder.path().join(name)).expect("recording");
    assert_eq!(recording.header.seed, seed);
    recording.events
}

#[test]
fn same_seed_gives_the_same_timeline_and_another_one_another() {
    let chance = Selected { name: "chance".to_owned(), path: "chance.toml".to_owned(), text: CHANCE.to_owned() };
    let first = timeline(&chance, 7);
    assert_eq!(support::difference(&first, &timeline(&chance, 7)), None);
    assert!(support::difference(&first, &timeline(&chance, 8)).is_some());
}

#[test]
fn built_in_scenarios_give_the_same_timeline_again() {
    for name in ["wrong-port", "truncated-image", "server-flaps", "bad-new-version[defect=hangs-at-start]"] {
        let selected = select(&[name.to_owned()]).expect("scenario").remove(0);
        assert_eq!(support::difference(&timeline(&selected, 1), &timeline(&selected, 1)), None, "{name}");
    }
}
