//! The power sweep in steps: a sound firmware survives each cut, one that writes over itself does not.

use brickproof::firmware_file;
use brickproof::image::Catalogue;
use brickproof::mutant;
use brickproof::run::RunConfig;
use brickproof::sweep::{Outcome, Sweep, WHENS, sweep};

fn swept(mutant: Option<&str>, every: u64) -> Sweep {
    let folder = tempfile::tempdir().expect("folder");
    let firmware = firmware_file::load(None).expect("firmware");
    let catalogue = Catalogue::embedded().expect("catalogue");
    let mut config = RunConfig::on_virtual_boards(firmware, catalogue, folder.path().to_owned());
    config.snapshot = true;
    config.jobs = std::thread::available_parallelism().map_or(1, usize::from);
    config.mutant =
        mutant.map(|name| mutant::all().expect("mutants").into_iter().find(|m| m.name == name).expect(name));
    sweep(&config, every, |_| {}).expect("sweep")
}

#[test]
fn sound_firmware_survives_power_cuts_all_through_an_update() {
    let sweep = swept(None, 50);
    let catalogue = Catalogue::embedded().expect("catalogue");
    let image = catalogue.application("1.6.0", esp_image::chip::ChipId::Esp32C3).expect("what is offered");
    let length = u64::try_from(image.bytes.len()).expect("small");
    let (sectors, pages) = (length.div_ceil(4096), length.div_ceil(256));
    // What selects and confirms the image comes on top; the sweep looks at every fiftieth.
    assert!(sweep.operations >= (sectors + pages) / 50 * 50, "{sectors} sectors, {pages} pages: {}", sweep.operations);
    assert_eq!(sweep.cuts.len(), usize::try_from(sweep.operations.div_ceil(50)).expect("small") * WHENS.len());
    let wrong: Vec<_> = sweep.cuts.iter().filter(|c| c.outcome != Outcome::Sound).collect();
    assert!(wrong.is_empty(), "{wrong:?}");
}

#[test]
fn firmware_that_writes_over_itself_is_bricked() {
    let sweep = swept(Some("writes-running-slot"), 300);
    assert!(sweep.count(Outcome::Brick) > 0, "{:?}", sweep.cuts);
    assert_eq!(sweep.count(Outcome::Error), 0, "{:?}", sweep.cuts);
}
