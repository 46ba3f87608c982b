//! Every built-in scenario as a test of its own, on the virtual board: `cargo nextest run -E 'test(wrong-port)'`.
//!
//! `BRICKPROOF_BOARD` (or `board` in brickproof.toml, where `BRICKPROOF_CONFIG` names it) takes other boards: with a pool of
//! k boards k tests run at once, each holding one. `BRICKPROOF_TAG` lists only scenarios with that tag.
//!
//! Listing opens nothing. Each test writes its recording into a folder of its own below `target/brickproof` (or
//! `BRICKPROOF_REPORT`), made exclusively, so that it runs from any folder and beside any other. A skip found at run time
//! would show as a pass: it fails, unless `BRICKPROOF_ALLOW_SKIP=1`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use brickproof::board::ports;
use brickproof::image::Catalogue;
use brickproof::report::terminal;
use brickproof::rig::Interrupt;
use brickproof::run::{BoardChoice, RunConfig, Selected, VIRTUAL_HOST, configure, make_folder, run_on_any, select};
use brickproof::safekeeping::{self, Store};
use brickproof::scenario::model::{Capability, Scenario};
use brickproof::settings::{Asked, BoardLayer, Settings, Sources};
use brickproof::verdict::Status;
use brickproof::{firmware_file, scenario};
use libtest_mimic::{Arguments, Failed, Trial};
use ota_server::units::HumanDuration;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let scenarios = select(&[]).expect("the built-in scenarios");
    let tag = std::env::var("BRICKPROOF_TAG").ok().filter(|tag| !tag.is_empty());
    let mut trials: Vec<Trial> = scenarios
        .into_iter()
        .filter(|selected| tag.as_ref().is_none_or(|tag| has_tag(selected, tag)))
        .map(|selected| Trial::test(selected.name.clone(), move || on_board(&selected)).with_kind("board"))
        .collect();
    if tag.is_none() {
        trials.push(Trial::test("every-scenario-is-valid", every_scenario_is_valid).with_kind("board"));
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn has_tag(selected: &Selected, tag: &str) -> bool {
    parsed(selected).tags.contains(tag)
}

fn parsed(selected: &Selected) -> Scenario {
    let firmware = firmware_file::load(None).expect("the built-in firmware file");
    let values = firmware.values("0", scenario::values::Values::of_network(&VIRTUAL_HOST.to_string(), 8002));
    scenario::parse(&selected.name, &selected.path, &selected.text, &values).expect("a built-in scenario")
}

/// The images that a scenario can be run with: the program's own, but for what only the chip's have, whose bootloader has no rollback.
fn catalogue(selected: &Selected) -> Result<Catalogue, Failed> {
    let own = Catalogue::embedded()?;
    if !parsed(selected).requires.contains(&Capability::OwnRollback) {
        return Ok(own);
    }
    let chip = "../firmware-images/esp32c3/images/openeth/catalogue.toml";
    Ok(own.with(&Path::new(env!("CARGO_MANIFEST_DIR")).join(chip))?)
}

fn on_board(selected: &Selected) -> Result<(), Failed> {
    let reports = std::env::var_os("BRICKPROOF_REPORT")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target/brickproof"), PathBuf::from);
    let boards = boards(selected, &reports)?;
    let report = run_on_any(&boards, std::slice::from_ref(selected), |_| {})?;
    let allow_skip = std::env::var_os("BRICKPROOF_ALLOW_SKIP").is_some_and(|v| v == "1");
    for scenario in &report.scenarios {
        match scenario.status {
            Status::Pass => {}
            Status::Skip if allow_skip => {}
            _ => return Err(terminal::explanation(scenario).into()),
        }
    }
    if !report.problems.is_empty() {
        return Err(report.problems.join("\n").into());
    }
    Ok(())
}

/// The boards that this test may run on: the virtual one unless others are named.
fn boards(selected: &Selected, reports: &Path) -> Result<Vec<RunConfig>, Failed> {
    let firmware = firmware_file::load(None).map_err(|e| format!("{e:?}"))?;
    let base = RunConfig::on_virtual_boards(firmware, catalogue(selected)?, make_folder(reports)?);
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let sources = Sources::from_environment();
    let named = variable("BRICKPROOF_BOARD");
    if named.is_none() && sources.project.is_none() && sources.bench.is_none() {
        return Ok(vec![base]);
    }
    let settings = Settings::load(&sources, Path::new(env!("CARGO_MANIFEST_DIR")))?;
    let asked = Asked { board: named, every: BoardLayer::default() };
    let chosen = settings.choose(&asked, &ports::attached())?;
    if chosen.iter().all(|board| board.board == BoardChoice::Virtual) {
        return Ok(vec![base]);
    }
    let run = &settings.merged.run;
    let base = RunConfig {
        max_device_time: run.max_device_time.map(HumanDuration::get),
        wait_board: run.wait_board.map(HumanDuration::get),
        safekeeping: Some(Store::new(safekeeping::default_folder())),
        interrupt: Interrupt::on_signals()?,
        ..base
    };
    let mut boards = configure(&base, chosen, std::slice::from_ref(selected), variable)?;
    // Where nextest gives each running test of a group a number of its own, tests begin at different boards: fewer look
    // at one that another has just taken.
    if let Some(slot) = variable("NEXTEST_TEST_GROUP_SLOT").and_then(|slot| slot.parse::<usize>().ok()) {
        let first = slot % boards.len();
        boards.rotate_left(first);
    }
    Ok(boards)
}

fn every_scenario_is_valid() -> Result<(), Failed> {
    let firmware = firmware_file::load(None).map_err(|e| format!("{e:?}"))?;
    let network = scenario::values::Values::of_network(&VIRTUAL_HOST.to_string(), 8002);
    let values = firmware.values("0", network);
    for s in select(&[]).map_err(|e| format!("{e:?}"))? {
        scenario::parse(&s.name, &s.path, &s.text, &values).map_err(|e| format!("{:?}", miette::Report::new(e)))?;
    }
    Ok(())
}
