//! `brickproof run`.

use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use esp_image::chip::ChipId;
use miette::{Report, Result, miette};
use ota_server::units::HumanDuration;
use sha2::{Digest, Sha256};

use super::args::{LineArgs, RunArgs};
use super::compare::Baseline;
use super::history::{self, Keeper};
use super::{ci, judge::write_reports, out, progress};
use crate::board::BoardError;
use crate::board::ports;
use crate::board::probe::ProbeLayer;
use crate::board::qemu::QemuSettings;
use crate::board::reset::ResetMethod;
use crate::board::serial::Connection;
use crate::compare;
use crate::firmware_file;
use crate::image::Catalogue;
use crate::recording::Form;
use crate::report::terminal;
use crate::rig::Interrupt;
use crate::run::{self, BoardChoice, RunConfig, configure};
use crate::scenario::{self, values::Values};
use crate::secrets::Secrets;
use crate::settings::{Asked, BoardLayer, Sources};
use crate::verdict::{Status, exit_code};

/// Longer scenarios are skipped on real boards and in real time unless asked for.
const REAL_TIME_LIMIT: Duration = Duration::from_secs(600);
/// A board that another process holds is waited for so long, unless told otherwise.
const WAIT: Duration = Duration::from_secs(600);

pub(super) fn run(args: &RunArgs, sources: &Sources, secrets: &Secrets) -> Result<u8> {
    let settings = super::settings(sources)?;
    let defaults = &settings.merged.run;
    let firmware = firmware_file::load(args.firmware.as_deref().or(defaults.firmware.as_deref()))?;
    // A dialect that cannot be read is told with its places, before anything is touched.
    crate::dialect::load(&firmware.dialect)?;
    let mut catalogue = Catalogue::embedded().map_err(Report::new)?;
    if let Some(path) = args.catalogue.as_ref().or(defaults.catalogue.as_ref()) {
        catalogue = catalogue.with(path).map_err(Report::new)?;
    }
    let every = BoardLayer {
        chip: args.chip.as_deref().map(|name| chip(Some(name))).transpose()?,
        baud: args.baud,
        ota_port: args.port,
        bind: args.bind,
        advertise: args.advertise,
        qemu: args.qemu.clone().map(|program| QemuSettings { program: Some(program), ..QemuSettings::default() }),
        ..line(&args.line)?
    };
    let chosen = settings.choose(&Asked { board: args.board.clone(), every }, &ports::attached())?;
    let seed = args.seed.or(defaults.seed).unwrap_or(1);
    let mut scenarios = selected(&args.select, &firmware)?;
    if args.shuffle {
        shuffle(&mut scenarios, seed);
    }
    let is_virtual = chosen.iter().all(|chosen| chosen.board == BoardChoice::Virtual);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let compress = args.compress.or(defaults.compress).unwrap_or(false);
    let jobs = args.jobs.or(defaults.jobs.map(std::num::NonZeroU32::get));
    let limit = defaults.max_device_time.map_or(REAL_TIME_LIMIT, HumanDuration::get);
    let wait_board = args.line.wait_board.or(defaults.wait_board.map(HumanDuration::get)).unwrap_or(WAIT);
    let base = RunConfig {
        jobs: if is_virtual { jobs.map_or(cores, |n| usize::try_from(n).unwrap_or(1)) } else { 1 },
        max_device_time: args.max_device_time.or((!is_virtual || args.real_time).then_some(limit)),
        repeat: args.repeat,
        form: if compress { Form::Compressed } else { Form::Plain },
        real_time: args.real_time,
        seed,
        wait_board: (!is_virtual).then_some(wait_board),
        safekeeping: (!is_virtual && !args.no_restore).then(|| super::restore::store(&args.line)),
        snapshot: args.snapshot,
        secrets: secrets.clone(),
        ..RunConfig::on_virtual_boards(firmware, catalogue, std::path::PathBuf::new())
    };
    // A baseline that cannot be read is told before anything is touched.
    let baseline = if args.baseline.is_empty() { None } else { Some(Baseline::read(&args.baseline)?) };
    let history = history::place(&args.history, defaults.history.as_deref())?;
    let mut boards = configure(&base, chosen, &scenarios, |name| std::env::var(name).ok())?;
    // Before the board is touched: a disk that cannot be written is found at once.
    let reports = args.report.clone().or(defaults.report.clone()).unwrap_or_else(|| "brickproof-report".into());
    let folder = run::make_folder(&reports).map_err(|e| {
        miette!(
            help = "choose another folder with --report",
            "cannot write the report folder {}: {e}",
            reports.display()
        )
    })?;
    let keeper = history.map(|place| Keeper::begin(place, args.label.clone())).transpose()?;
    let interrupt = if is_virtual {
        Interrupt::never()
    } else {
        Interrupt::on_signals().map_err(|e| miette!("cannot watch for SIGTERM: {e}"))?
    };
    for config in &mut boards {
        config.folder.clone_from(&folder);
        config.interrupt = interrupt.clone();
    }
    let ci = args.ci.then(ci::Job::of_environment);
    if let Some(job) = &ci {
        out(&job.begin())?;
    }
    let mut shown =
        progress::Shown::new(args.quiet, args.ci, scenarios.len() * usize::try_from(args.repeat).unwrap_or(1));
    let began = UNIX_EPOCH.elapsed().map_or(0, |d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX));
    let mut report = run::run_on_any(&boards, &scenarios, |p| shown.show(p)).map_err(|e| miette!("{e}"))?;
    // What cannot be compared is told after the reports are written: they stand without it.
    let comparison = baseline.as_ref().map(|baseline| baseline.against(std::slice::from_ref(&folder)));
    if let (Some(baseline), Some(Ok(comparison))) = (&baseline, &comparison) {
        report.changes = Some(baseline.told(comparison, &args.fail_on));
    }
    if let Some(keeper) = &keeper {
        report.past = keeper.keep(&report, &reports, &folder, began)?;
    }
    let page = write_reports(&report, &reports)?;
    for scenario in report.scenarios.iter().filter(|s| matches!(s.status, Status::Fail | Status::Error)) {
        out(&format!("\n{}", terminal::explanation(scenario)))?;
    }
    out(&format!("\n{}", terminal::table(&report)))?;
    for problem in &report.problems {
        out(&format!("problem: {problem}\n"))?;
    }
    out(&format!("report: {} (seed {})\n", page.display(), seed))?;
    if let Some(job) = &ci {
        out(&job.end(&report))?;
        job.summarise(&report);
    }
    let code = if report.problems.is_empty() { exit_code(report.scenarios.iter().map(|s| s.status)) } else { 3 };
    let Some(comparison) = comparison.transpose()? else { return Ok(code) };
    out(&format!("\n{}", compare::render(&comparison)))?;
    Ok(code.max(super::compare::verdict(&comparison, &args.fail_on, true)?))
}

/// An order that depends on the seed and the names alone: a scenario that leans on the one before it shows.
fn shuffle(scenarios: &mut [run::Selected], seed: u64) {
    scenarios.sort_by_cached_key(|s| Sha256::digest(format!("{seed} {}", s.name)).to_vec());
}

/// What the command line says of how a board on a serial port is reached.
fn line(args: &LineArgs) -> Result<BoardLayer> {
    let reset = args.reset.as_deref().map(str::parse::<ResetMethod>).transpose().map_err(|e| miette!("{e}"))?;
    let probe = args.probe.as_deref().map(str::parse).transpose().map_err(|e: BoardError| miette!("{e}"))?;
    Ok(BoardLayer { reset, flash_baud: args.flash_baud, probe: probe.map(ProbeLayer::of), ..BoardLayer::default() })
}

/// The board on a serial port that a command other than `run` is about, and how long it is waited for.
pub(super) fn one_board(sources: &Sources, board: &str, args: &LineArgs) -> Result<(Connection, Duration)> {
    let settings = super::settings(sources)?;
    let asked = Asked { board: Some(board.to_owned()), every: line(args)? };
    let chosen = settings.choose(&asked, &ports::attached())?;
    let wait = args.wait_board.or(settings.merged.run.wait_board.map(HumanDuration::get)).unwrap_or(WAIT);
    match chosen.as_slice() {
        [one] => match one.connection() {
            Some(connection) => Ok((connection, wait)),
            None => Err(miette!(
                help = "`brickproof virtual` makes one that stays, with a port",
                "board {board} is made for each scenario: there is nothing on it before or after"
            )),
        },
        several => {
            let names: Vec<_> = several.iter().filter_map(|c| c.name.as_deref()).collect();
            Err(miette!(help = "name one of them", "{board} is a pool of boards: {}", names.join(", ")))
        }
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

/// The report folder as given.
pub(super) fn page_of(folder: &Path) -> std::path::PathBuf {
    folder.join("report.html")
}
