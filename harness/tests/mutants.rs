//! The suite's worth: each mutant is caught by every expectation that its file names, and docs/mutants.md says so.

use brickproof::firmware_file;
use brickproof::image::Catalogue;
use brickproof::matrix::{Matrix, markdown};
use brickproof::mutant::{self, Mutant};
use brickproof::report::model::ScenarioReport;
use brickproof::run::{RunConfig, Selected, run, select};

fn reports(mutant: Option<&Mutant>, scenarios: &[Selected]) -> Vec<ScenarioReport> {
    let folder = tempfile::tempdir().expect("folder");
    let firmware = firmware_file::load(None).expect("firmware");
    let catalogue = Catalogue::embedded().expect("catalogue");
    let mut config = RunConfig::on_virtual_boards(firmware, catalogue, folder.path().to_owned());
    config.mutant = mutant.cloned();
    config.jobs = std::thread::available_parallelism().map_or(1, usize::from);
    run(&config, scenarios, |_| {}).expect("runs").scenarios
}

#[test]
fn every_mutant_is_caught_by_every_expectation_that_its_file_names() {
    let mutants = mutant::all().expect("mutants");
    let mut all = select(&[]).expect("scenarios");
    all.retain(|s| mutants.iter().any(|m| m.caught_by.iter().any(|c| c.scenario == s.name)));
    for by in mutants.iter().flat_map(|m| &m.caught_by) {
        assert!(all.iter().any(|s| s.name == by.scenario), "there is no scenario {:?}", by.scenario);
    }
    let healthy = reports(None, &all);
    let tried = mutants.into_iter().map(|mutant| {
        let named: Vec<Selected> =
            all.iter().filter(|s| mutant.caught_by.iter().any(|c| c.scenario == s.name)).cloned().collect();
        let reports = reports(Some(&mutant), &named);
        (mutant, reports)
    });
    let matrix = Matrix::new(&healthy, tried.collect());
    assert_eq!(matrix.complaints(), Vec::<String>::new());
}

#[test]
fn page_of_mutants_is_what_their_files_say() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/mutants.md");
    let page = markdown(&mutant::all().expect("mutants"));
    if std::env::var_os("BRICKPROOF_UPDATE").is_some() {
        std::fs::write(path, &page).expect("docs/mutants.md");
    }
    assert_eq!(
        std::fs::read_to_string(path).expect("docs/mutants.md"),
        page,
        "write it again with BRICKPROOF_UPDATE=1"
    );
}
