//! Every built-in scenario as a test of its own, on the virtual board: `cargo nextest run -E 'test(wrong-port)'`.
//!
//! Listing opens nothing. Each test writes its recording into a folder of its own below `target/brickproof` (or
//! `BRICKPROOF_REPORT`), made exclusively, so that it runs from any folder and beside any other. A skip found at run time
//! would show as a pass: it fails, unless `BRICKPROOF_ALLOW_SKIP=1`.

use std::path::PathBuf;
use std::process::ExitCode;

use brickproof::image::Catalogue;
use brickproof::report::terminal;
use brickproof::run::{RunConfig, Selected, VIRTUAL_HOST, make_folder, run, select};
use brickproof::verdict::Status;
use brickproof::{firmware_file, scenario};
use libtest_mimic::{Arguments, Failed, Trial};

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let scenarios = select(&[]).expect("the built-in scenarios");
    let mut trials: Vec<Trial> = scenarios
        .into_iter()
        .map(|selected| Trial::test(selected.name.clone(), move || on_virtual_board(&selected)).with_kind("virtual"))
        .collect();
    trials.push(Trial::test("every-scenario-is-valid", every_scenario_is_valid).with_kind("virtual"));
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn on_virtual_board(selected: &Selected) -> Result<(), Failed> {
    let reports = std::env::var_os("BRICKPROOF_REPORT")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target/brickproof"), PathBuf::from);
    let firmware = firmware_file::load(None).map_err(|e| format!("{e:?}"))?;
    let config = RunConfig::on_virtual_boards(firmware, Catalogue::embedded()?, make_folder(&reports)?);
    let report = run(&config, std::slice::from_ref(selected), |_| {})?;
    let allow_skip = std::env::var_os("BRICKPROOF_ALLOW_SKIP").is_some_and(|v| v == "1");
    for scenario in &report.scenarios {
        match scenario.status {
            Status::Pass => {}
            Status::Skip if allow_skip => {}
            _ => return Err(terminal::explanation(scenario).into()),
        }
    }
    Ok(())
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
