//! `brickproof run`.

use std::path::Path;
use std::time::Duration;

use esp_image::chip::ChipId;
use miette::{Report, Result, miette};
use sha2::{Digest, Sha256};

use super::args::RunArgs;
use super::{judge::write_reports, out, progress};
use crate::board::flasher::FlashOptions;
use crate::board::identity::PortId;
use crate::board::nvs::{NvsItem, NvsValue};
use crate::firmware_file::{self, FirmwareFile, NvsKey};
use crate::image::{Catalogue, RunOn};
use crate::report::terminal;
use crate::rig::Interrupt;
use crate::run::{self, BoardChoice, RunConfig};
use crate::scenario::{self, values::Values};
use crate::verdict::{Status, exit_code};

/// Longer scenarios are skipped on real boards and in real time unless asked for.
const REAL_TIME_LIMIT: Duration = Duration::from_secs(600);

pub(super) fn run(args: &RunArgs) -> Result<u8> {
    let firmware = firmware_file::load(args.firmware.as_deref())?;
    // A dialect that cannot be read is told with its places, before anything is touched.
    crate::dialect::load(&firmware.dialect)?;
    let mut catalogue = Catalogue::embedded().map_err(Report::new)?;
    if let Some(path) = &args.catalogue {
        catalogue = catalogue.with(path).map_err(Report::new)?;
    }
    let board = match args.board.as_str() {
        "virtual" => BoardChoice::Virtual,
        port => BoardChoice::Serial {
            id: port.parse::<PortId>().map_err(|e| miette!("{e}"))?,
            reset: args.line.reset.parse().map_err(|e| miette!("{e}"))?,
        },
    };
    let chip = chip(args.chip.as_deref())?;
    let mut scenarios = selected(&args.select, &firmware)?;
    if args.shuffle {
        shuffle(&mut scenarios, args.seed);
    }
    check_images(&board, &catalogue, chip, &scenarios, args.line.reset.starts_with("virtual:"))?;
    if let (BoardChoice::Serial { .. }, None, false) = (&board, args.advertise, args.line.reset.starts_with("virtual:"))
    {
        return Err(miette!(
            help =
                "give it with --advertise 192.168.1.10 (or BRICKPROOF_ADVERTISE); the board must be able to reach it",
            "the address under which the board reaches this host is not known"
        ));
    }
    let credentials = credentials(&firmware, args)?;
    // Before the board is touched: a disk that cannot be written is found at once.
    let folder = run::make_folder(&args.report).map_err(|e| {
        miette!(
            help = "choose another folder with --report",
            "cannot write the report folder {}: {e}",
            args.report.display()
        )
    })?;
    let is_virtual = board == BoardChoice::Virtual;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let jobs = args.jobs.map_or(cores, |n| usize::try_from(n).unwrap_or(1));
    let config = RunConfig {
        jobs: if is_virtual { jobs } else { 1 },
        max_device_time: args.max_device_time.or((!is_virtual || args.real_time).then_some(REAL_TIME_LIMIT)),
        board,
        chip,
        firmware,
        catalogue,
        folder,
        repeat: args.repeat,
        real_time: args.real_time,
        bind: args.bind,
        advertise: args.advertise,
        port: args.port,
        baud: args.baud,
        flash: FlashOptions { baud: args.line.flash_baud, ..FlashOptions::default() },
        seed: args.seed,
        credentials,
        wait_board: (!is_virtual).then_some(args.line.wait_board),
        safekeeping: (!is_virtual && !args.no_restore).then(|| super::restore::store(&args.line)),
        interrupt: if is_virtual {
            Interrupt::never()
        } else {
            Interrupt::on_signals().map_err(|e| miette!("cannot watch for SIGTERM: {e}"))?
        },
        snapshot: args.snapshot,
        mutant: None,
        line_through: None,
    };
    let mut shown = progress::Shown::new(args.quiet, scenarios.len() * usize::try_from(args.repeat).unwrap_or(1));
    let report = run::run(&config, &scenarios, |p| shown.show(p)).map_err(|e| miette!("{e}"))?;
    let page = write_reports(&report, &args.report)?;
    for scenario in report.scenarios.iter().filter(|s| matches!(s.status, Status::Fail | Status::Error)) {
        out(&format!("\n{}", terminal::explanation(scenario)))?;
    }
    out(&format!("\n{}", terminal::table(&report)))?;
    for problem in &report.problems {
        out(&format!("problem: {problem}\n"))?;
    }
    out(&format!("report: {} (seed {})\n", page.display(), args.seed))?;
    Ok(if report.problems.is_empty() { exit_code(report.scenarios.iter().map(|s| s.status)) } else { 3 })
}

/// An order that depends on the seed and the names alone: a scenario that leans on the one before it shows.
fn shuffle(scenarios: &mut [run::Selected], seed: u64) {
    scenarios.sort_by_cached_key(|s| Sha256::digest(format!("{seed} {}", s.name)).to_vec());
}

/// Names of the environment variables that hold Wi-Fi credentials.
const WIFI: [&str; 2] = ["BRICKPROOF_WIFI_SSID", "BRICKPROOF_WIFI_PASSWORD"];

/// Wi-Fi credentials for the board's NVS, from the environment alone: a command line is seen by other users.
fn credentials(firmware: &FirmwareFile, args: &RunArgs) -> Result<Vec<NvsItem>> {
    if args.board == "virtual" {
        return Ok(Vec::new());
    }
    let given = WIFI.map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()));
    let elsewhere = !args.line.reset.starts_with("virtual:");
    match (&firmware.wifi, given) {
        (Some(keys), [Some(ssid), password]) => {
            let item = |key: &NvsKey, value: String, secret| NvsItem {
                namespace: key.namespace.clone(),
                key: key.key.clone(),
                value: NvsValue::Text(value),
                secret,
            };
            Ok(vec![item(&keys.ssid, ssid, false), item(&keys.password, password.unwrap_or_default(), true)])
        }
        (Some(keys), [None, _]) if elsewhere => Err(miette!(
            help = "set BRICKPROOF_WIFI_SSID and BRICKPROOF_WIFI_PASSWORD; or leave [wifi] out of the firmware file where \
                    the firmware has its network built in",
            "the board needs Wi-Fi credentials: its NVS is made anew, and firmware {:?} keeps them there ({}/{})",
            firmware.name,
            keys.ssid.namespace,
            keys.ssid.key
        )),
        (None, [Some(_), _]) => Err(miette!(
            help = "add [wifi] with ssid and password to it, or unset the variable",
            "BRICKPROOF_WIFI_SSID is set, but the firmware file {:?} does not say where in NVS the credentials stand",
            firmware.name
        )),
        _ => Ok(Vec::new()),
    }
}

pub(super) fn chip(name: Option<&str>) -> Result<ChipId> {
    let name = name.unwrap_or("esp32c3");
    ChipId::from_name(name).ok_or_else(|| miette!(help = "there are esp32, esp32s3, esp32c3", "{name:?} is no chip"))
}

/// The scenarios that were asked for, all of them valid.
pub(super) fn selected(
    select: &super::args::SelectArgs,
    firmware: &firmware_file::FirmwareFile,
) -> Result<Vec<run::Selected>> {
    let values = firmware.values("0", Values::of_network(&run::VIRTUAL_HOST.to_string(), 8002));
    let mut chosen = Vec::new();
    for selected in run::select(&select.scenarios)? {
        let scenario = scenario::parse(&selected.name, &selected.path, &selected.text, &values)?;
        if select.tag.is_empty() || select.tag.iter().any(|tag| scenario.tags.contains(tag)) {
            chosen.push(selected);
        }
    }
    if chosen.is_empty() {
        return Err(miette!(
            help = "`brickproof list` shows tags",
            "no scenario has the tag {}",
            select.tag.join(" or ")
        ));
    }
    Ok(chosen)
}

/// An image that only the virtual board can run is refused on a real port before anything is written.
fn check_images(
    board: &BoardChoice,
    catalogue: &Catalogue,
    chip: ChipId,
    scenarios: &[run::Selected],
    virtual_port: bool,
) -> Result<()> {
    let BoardChoice::Serial { id, .. } = board else { return Ok(()) };
    if virtual_port {
        return Ok(());
    }
    for selected in scenarios {
        let values = Values::of_network("0.0.0.0", 1).with("firmware.max_attempts", "1").with("firmware.delay", "1s");
        let Ok(scenario) = scenario::parse(&selected.name, &selected.path, &selected.text, &values) else { continue };
        for name in [Some(&scenario.image.flash), scenario.image.offer.as_ref()].into_iter().flatten() {
            let image = catalogue.application(name, chip).map_err(Report::new)?;
            if !image.runs_on(RunOn::Serial) {
                return Err(miette!(
                    help = "add your firmware with `brickproof image add BUILD_FOLDER`, and give --catalogue catalogue.toml",
                    "image {} runs on {} only, not on the board at {id}",
                    image.entry.name,
                    image.entry.runs_on_words()
                ));
            }
        }
    }
    Ok(())
}

/// The report folder as given.
pub(super) fn page_of(folder: &Path) -> std::path::PathBuf {
    folder.join("report.html")
}
