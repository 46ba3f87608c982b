//! Runs: scenarios on a board, several at once where the board is virtual, each to its verdict and recording.

mod attached;
mod configure;
mod one;
mod outcome;
pub mod recorded;
mod select;
mod worker;

pub use crate::date::rfc3339;
pub use attached::{Restored, acquire, hold, restore, with_nvs};
pub use configure::{ConfigureError, configure};
pub use outcome::{evidence, report_recording, scenario_report};
pub use select::{Selected, case_name, select};

use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant, SystemTime};

use esp_image::chip::ChipId;

use crate::board::commands::Commands;
use crate::board::flasher::FlashOptions;
use crate::board::identity::PortId;
use crate::board::nvs::NvsItem;
use crate::board::port::DEFAULT_BAUD;
use crate::board::probe::ProbeSettings;
use crate::board::qemu::QemuSettings;
use crate::board::reset::ResetMethod;
use crate::board::serial::Connection;
use crate::firmware_file::FirmwareFile;
use crate::image::Catalogue;
use crate::mutant::Mutant;
use crate::recording::Form;
use crate::report::model::{self, Report, ScenarioReport};
use crate::rig::{Interrupt, RunImages};
use crate::safekeeping::Store;
use crate::secrets::Secrets;

/// The network that the virtual board believes itself in: the addresses of the case that the project began with.
pub const VIRTUAL_HOST: Ipv4Addr = Ipv4Addr::new(192, 168, 88, 200);

/// Which board.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BoardChoice {
    /// One made for each scenario, in this process.
    Virtual,
    /// A board on a serial port.
    Serial {
        /// Which port.
        id: PortId,
        /// How it is reset.
        reset: ResetMethod,
        /// Shell commands for what the reset method cannot.
        commands: Commands,
        /// Its debug probe, where it has one.
        probe: Option<ProbeSettings>,
    },
    /// A chip in Espressif's QEMU, made for each scenario.
    Qemu(QemuSettings),
}

impl BoardChoice {
    /// Its name in reports.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Virtual => "virtual".to_owned(),
            Self::Serial { id, .. } => id.to_string(),
            Self::Qemu(_) => "qemu".to_owned(),
        }
    }
}

/// How scenarios are run.
#[derive(Clone)]
pub struct RunConfig {
    /// The board's name, where it is configured.
    pub name: Option<String>,
    /// Which board.
    pub board: BoardChoice,
    /// Its chip.
    pub chip: ChipId,
    /// The firmware file.
    pub firmware: FirmwareFile,
    /// Images.
    pub catalogue: Catalogue,
    /// The run's folder, which exists and is empty.
    pub folder: PathBuf,
    /// How recordings stand in it.
    pub form: Form,
    /// How often each scenario is run.
    pub repeat: u32,
    /// How many at once.
    pub jobs: usize,
    /// Let the virtual board's time pass as the machine's does.
    pub real_time: bool,
    /// Skip longer scenarios.
    pub max_device_time: Option<Duration>,
    /// Where the server binds, for boards elsewhere.
    pub bind: IpAddr,
    /// This host as the board sees it, for boards elsewhere.
    pub advertise: Option<Ipv4Addr>,
    /// The server's port, as the device sees it.
    pub port: u16,
    /// Console baud rate.
    pub baud: u32,
    /// How flashing is done.
    pub flash: FlashOptions,
    /// Seed.
    pub seed: u64,
    /// Wi-Fi credentials for boards elsewhere; written to NVS, shown nowhere.
    pub credentials: Vec<NvsItem>,
    /// Where the settings of an attached board are kept while it is used; `None` leaves them to be overwritten.
    pub safekeeping: Option<Store>,
    /// How long an attached board that another process holds is waited for; `None` does not ask who holds it.
    pub wait_board: Option<Duration>,
    /// Ends the run early.
    pub interrupt: Interrupt,
    /// Restores the flash of virtual boards from a snapshot, in place of flashing them through their port.
    pub snapshot: bool,
    /// The mutant that is tried in place of the sound firmware.
    pub mutant: Option<Mutant>,
    /// What must not be shown. Each run adds to its own copy.
    pub secrets: Secrets,
    /// Reads the environment, where a scenario takes a value from there.
    pub variable: fn(&str) -> Option<String>,
    /// Puts something between a virtual board's port and the harness, which opens the path returned: a line that delays
    /// its bytes, as a test does.
    pub line_through: Option<fn(&Path) -> PathBuf>,
}

impl RunConfig {
    /// One run after the other on virtual ESP32-C3s, with everything else as it is unless told otherwise.
    #[must_use]
    pub fn on_virtual_boards(firmware: FirmwareFile, catalogue: Catalogue, folder: PathBuf) -> Self {
        Self {
            name: None,
            board: BoardChoice::Virtual,
            chip: ChipId::Esp32C3,
            firmware,
            catalogue,
            folder,
            form: Form::Plain,
            repeat: 1,
            jobs: 1,
            real_time: false,
            max_device_time: None,
            bind: Ipv4Addr::LOCALHOST.into(),
            advertise: None,
            port: 8002,
            baud: DEFAULT_BAUD,
            flash: FlashOptions::default(),
            seed: 1,
            credentials: Vec::new(),
            safekeeping: None,
            wait_board: None,
            interrupt: Interrupt::never(),
            snapshot: false,
            mutant: None,
            secrets: Secrets::default(),
            variable: |name| std::env::var(name).ok(),
            line_through: None,
        }
    }

    /// How the board is reached, where it is on a serial port.
    #[must_use]
    pub fn connection(&self) -> Option<Connection> {
        let BoardChoice::Serial { id, reset, commands, probe } = &self.board else { return None };
        Some(Connection {
            id: id.clone(),
            reset: reset.clone(),
            commands: commands.clone(),
            baud: self.baud,
            flash: self.flash,
            probe: probe.clone(),
            chip: self.chip,
        })
    }

    /// The board's name in reports.
    #[must_use]
    pub fn board_name(&self) -> String {
        self.name.clone().unwrap_or_else(|| self.board.name())
    }

    /// The images that it uses.
    #[must_use]
    pub fn images(&self) -> RunImages<'_> {
        RunImages { catalogue: &self.catalogue, chip: self.chip, mutant: self.mutant.as_ref() }
    }

    /// This host's address, as the device sees it.
    #[must_use]
    pub fn host(&self) -> Ipv4Addr {
        self.advertise.unwrap_or(VIRTUAL_HOST)
    }

    /// The address of this host that the device reaches under [`Self::host`]. QEMU's user-mode network leads its host's
    /// address to this host's loopback.
    #[must_use]
    pub fn reached(&self) -> Ipv4Addr {
        if matches!(self.board, BoardChoice::Qemu(_)) { Ipv4Addr::LOCALHOST } else { self.host() }
    }

    /// True when what is burnt into the board's fuses stays there. An emulated chip has a copy of a file for them.
    #[must_use]
    pub fn has_fuses(&self) -> bool {
        self.is_elsewhere() && !matches!(self.board, BoardChoice::Qemu(_))
    }

    /// True when the board is in a network of its own, not a virtual one whose network is the rig's: its OTA server is at
    /// the very port that it is told.
    #[must_use]
    pub fn is_elsewhere(&self) -> bool {
        !matches!(&self.board, BoardChoice::Virtual | BoardChoice::Serial { reset: ResetMethod::Virtual(_), .. })
    }

    /// True when time is warped.
    #[must_use]
    pub fn is_warped(&self) -> bool {
        self.board == BoardChoice::Virtual && !self.real_time
    }
}

/// Something to show while scenarios run.
#[derive(Clone, Debug)]
pub enum Progress {
    /// An event worth showing: scenario, run's clock, words.
    Now {
        /// Scenario.
        scenario: String,
        /// Run's clock in milliseconds.
        at_ms: u64,
        /// The last line.
        text: String,
    },
    /// A scenario has its verdict.
    Done(Box<ScenarioReport>),
}

/// Runs scenarios on a board and returns the report. `tell` is called on this thread.
///
/// # Errors
///
/// A recording cannot be written; found before any board is touched.
pub fn run(config: &RunConfig, scenarios: &[Selected], tell: impl FnMut(Progress)) -> std::io::Result<Report> {
    run_on_any(std::slice::from_ref(config), scenarios, tell)
}

/// Runs scenarios on equal boards, each on whichever is free, and returns the report. All else in `boards` is the same.
///
/// # Errors
///
/// As [`run`].
pub fn run_on_any(
    boards: &[RunConfig],
    scenarios: &[Selected],
    mut tell: impl FnMut(Progress),
) -> std::io::Result<Report> {
    let began = SystemTime::now();
    let begun = Instant::now();
    let first = boards.first().ok_or_else(|| std::io::Error::other("a run needs a board"))?;
    let jobs: Vec<(usize, u32)> = (1..=first.repeat).flat_map(|n| (0..scenarios.len()).map(move |i| (i, n))).collect();
    let workers = if boards.len() == 1 { first.jobs } else { boards.len() }.clamp(1, jobs.len().max(1));
    let dialect = crate::dialect::load(&first.firmware.dialect).map(Arc::new).map_err(|e| e.to_string());
    let (sender, receiver) = mpsc::channel();
    let queue = worker::Queue::new(boards, scenarios, &jobs, &dialect);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            let (sender, queue) = (sender.clone(), &queue);
            scope.spawn(move || queue.work(&sender));
        }
        drop(sender);
        for progress in receiver {
            tell(progress);
        }
    });
    let (scenarios, mut problems) = queue.into_results();
    problems.iter_mut().for_each(|problem| first.secrets.mask_in(problem));
    Ok(Report {
        format: model::FORMAT,
        made_by: made_by(),
        began: rfc3339(began),
        wall_ms: u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
        scenarios,
        problems,
        changes: None,
        past: None,
    })
}

/// Program and version.
#[must_use]
pub fn made_by() -> String {
    format!("brickproof {}", env!("CARGO_PKG_VERSION"))
}

/// Makes a run's folder below the report folder, exclusively: `runs/20261123-091500-4711`.
///
/// # Errors
///
/// The report folder cannot be made or written.
pub fn make_folder(report: &Path) -> std::io::Result<PathBuf> {
    let stamp = rfc3339(SystemTime::now()).replace([':', '-'], "").replace('T', "-").replace('Z', "");
    for n in 0..1000 {
        let id = format!("{stamp}-{}{}", std::process::id(), if n == 0 { String::new() } else { format!("-{n}") });
        let folder = report.join("runs").join(id);
        std::fs::create_dir_all(report.join("runs"))?;
        match std::fs::create_dir(&folder) {
            Ok(()) => return Ok(folder),
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(e) => return Err(e),
        }
    }
    Err(std::io::Error::other("no free name for the run's folder"))
}
