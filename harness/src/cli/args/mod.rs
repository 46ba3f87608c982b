//! The command line, as clap sees it.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

mod history;
mod recordings;

pub use history::{DashboardArgs, HistoryAddArgs, HistoryArgs, HistoryCommand, HistoryPlace};
pub use recordings::{AnalyzeArgs, CompareArgs, JudgeArgs, ReportArgs};

use crate::compare::FailOn;

/// Hardware-in-the-loop tests of ESP32 over-the-air updates.
///
/// Flashes a board (or the virtual one that comes with it), serves updates and misbehaves on purpose, reads the serial
/// console, and decides per scenario whether the device recovered.
#[derive(Debug, Parser)]
#[command(name = "brickproof", version, arg_required_else_help = true)]
pub struct Cli {
    /// Says more on stderr: -v what is done, -vv every detail. `RUST_LOG` wins over it.
    #[arg(short, long, action = clap::ArgAction::Count, global = true)]
    pub verbose: u8,
    /// Form of the log on stderr.
    #[arg(long, value_enum, default_value_t = LogFormat::Text, global = true)]
    pub log_format: LogFormat,
    /// When to use colours.
    #[arg(long, value_enum, default_value_t = When::Auto, global = true)]
    pub color: When,
    /// Project file with boards and defaults; `brickproof.toml` here or above when not given.
    #[arg(long, value_name = "FILE", env = "BRICKPROOF_CONFIG", global = true)]
    pub config: Option<PathBuf>,
    /// Bench file with what is true of this machine alone; `brickproof.bench.toml` beside the project file when not given.
    #[arg(long, value_name = "FILE", env = "BRICKPROOF_BENCH", global = true)]
    pub bench: Option<PathBuf>,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Form of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// A JSON object a line.
    Json,
}

/// When to use colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum When {
    /// On a terminal.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Runs scenarios on a board and reports.
    Run(Box<RunArgs>),
    /// Runs scenarios on mutants of the reference firmware: does the suite notice each defect?
    Matrix(MatrixArgs),
    /// Cuts power at every flash operation of an update: does the device always come back?
    PowerSweep(SweepArgs),
    /// Lists scenarios with their tags and device time.
    List(SelectArgs),
    /// Checks scenario, firmware and dialect files, and does nothing else.
    Check(CheckArgs),
    /// Judges a recording again: the same verdicts from the recording alone.
    Judge(JudgeArgs),
    /// Writes the reports again from the recordings of a run folder.
    Report(ReportArgs),
    /// Says what changed between two sets of runs, from their recordings alone; exits with 1 on a regression.
    Compare(CompareArgs),
    /// Shows what a history of runs tells of each scenario: since when it fails, how often its verdict wavers, how recovery went.
    History(HistoryArgs),
    /// Shows a history and its runs in a browser, on this machine alone unless told otherwise; writes nothing.
    Dashboard(DashboardArgs),
    /// Says what happened in a captured console log, and the likely cause.
    Analyze(AnalyzeArgs),
    /// Writes a board's own settings back that an interrupted run kept.
    Restore(RestoreArgs),
    /// Lists the serial ports that are attached, the boards that are configured, and who holds them.
    Boards(BoardsArgs),
    /// Writes a commented brickproof.toml from what is attached.
    Init(InitArgs),
    /// Reads and changes the settings in a board's NVS partition, or in a partition's image.
    Nvs(NvsArgs),
    /// Looks at an OTA URL as a device would.
    Doctor(DoctorArgs),
    /// Runs the OTA server alone.
    Serve(ServeArgs),
    /// Runs a virtual ESP32 on a pseudo-terminal.
    Virtual(VirtualArgs),
    /// Lists, adds and makes firmware images.
    #[command(subcommand)]
    Image(ImageCommand),
    /// Prints the JSON Schema of the files that brickproof reads, and of report.json.
    Schema(SchemaArgs),
}

/// Which scenarios.
#[derive(Clone, Debug, Default, Args)]
pub struct SelectArgs {
    /// Names of built-in scenarios or paths of scenario files; all built-in ones when none is given.
    #[arg(value_name = "SCENARIO")]
    pub scenarios: Vec<String>,
    /// Only scenarios with this tag (may be given several times: any of them).
    #[arg(long, value_name = "TAG")]
    pub tag: Vec<String>,
}

/// Arguments of `run`.
#[derive(Clone, Debug, Args)]
pub struct RunArgs {
    /// Which scenarios.
    #[command(flatten)]
    pub select: SelectArgs,
    /// The board: a name or a pool of brickproof.toml, `virtual` (the default), `qemu`, a serial port (`/dev/ttyUSB0`), or a USB
    /// identity (`usb:303a:1001:SERIAL`).
    #[arg(long, env = "BRICKPROOF_BOARD")]
    pub board: Option<String>,
    /// Chip of the virtual board, or the chip that a real one must be.
    #[arg(long, value_name = "CHIP")]
    pub chip: Option<String>,
    /// The emulator of an emulated board (`--board qemu`): a path, or a name on PATH.
    #[arg(long, value_name = "PROGRAM", env = "BRICKPROOF_QEMU")]
    pub qemu: Option<PathBuf>,
    /// How a board on a serial port is reached.
    #[command(flatten)]
    pub line: LineArgs,
    /// Baud rate of the console; 115200 unless configured.
    #[arg(long, value_name = "BAUD", value_parser = clap::value_parser!(u32).range(1..))]
    pub baud: Option<u32>,
    /// Leaves the settings of a board on a serial port (NVS, otadata) overwritten; otherwise they are kept before the
    /// first write, and written back at the end.
    #[arg(long)]
    pub no_restore: bool,
    /// Firmware file; the one for the reference firmware when none is given.
    #[arg(long, value_name = "FILE", env = "BRICKPROOF_FIRMWARE")]
    pub firmware: Option<PathBuf>,
    /// Image catalogue to use beside the built-in one.
    #[arg(long, value_name = "FILE")]
    pub catalogue: Option<PathBuf>,
    /// Folder for recordings and reports; brickproof-report unless configured.
    #[arg(long, value_name = "DIR")]
    pub report: Option<PathBuf>,
    /// Compresses recordings as they are written (`*.jsonl.zst`); `--compress=false` where the project file says otherwise.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub compress: Option<bool>,
    /// Runs each scenario so many times.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub repeat: u32,
    /// Runs so many scenarios at once (virtual board only); the number of processors when not given.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub jobs: Option<u32>,
    /// Restores the virtual board's flash from a snapshot, in place of flashing it through its port by espflash.
    #[arg(long)]
    pub snapshot: bool,
    /// Lets the virtual board's time pass as the machine's does, in place of warping it.
    #[arg(long)]
    pub real_time: bool,
    /// Skips scenarios of a longer expected device time (on real boards and in real time 10min unless given).
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    pub max_device_time: Option<Duration>,
    /// Address that the OTA server binds (real boards); 0.0.0.0 unless configured.
    #[arg(long, value_name = "IP", env = "BRICKPROOF_BIND")]
    pub bind: Option<std::net::IpAddr>,
    /// Address under which a real board reaches this host.
    #[arg(long, value_name = "IP", env = "BRICKPROOF_ADVERTISE")]
    pub advertise: Option<std::net::Ipv4Addr>,
    /// Port of the OTA server, as the device sees it; 8002 unless configured.
    #[arg(long, value_name = "PORT")]
    pub port: Option<u16>,
    /// Seed of everything random in the run; 1 unless configured.
    #[arg(long)]
    pub seed: Option<u64>,
    /// Runs the scenarios in another order, made from the seed.
    #[arg(long)]
    pub shuffle: bool,
    /// Prints no progress.
    #[arg(short, long)]
    pub quiet: bool,
    /// Compares with the recordings below this folder afterwards; a regression exits with 1.
    #[arg(long, value_name = "RUNS")]
    pub baseline: Vec<PathBuf>,
    /// What is a regression.
    #[arg(long, value_name = "WHAT", value_delimiter = ',', default_value = "newly-failing,newly-flaky,figures")]
    pub fail_on: Vec<FailOn>,
    /// Keeps a summary of the run.
    #[command(flatten)]
    pub history: HistoryPlace,
    /// What is tested, for the history: a commit, a build number. Runs with the same label are of the same firmware.
    #[arg(long, value_name = "TEXT", env = "BRICKPROOF_LABEL")]
    pub label: Option<String>,
    /// For CI: no animation; annotations and a job summary where the job's system takes them (GitHub Actions).
    #[arg(long)]
    pub ci: bool,
}

/// Arguments of `matrix`.
#[derive(Clone, Debug, Args)]
pub struct MatrixArgs {
    /// Which scenarios.
    #[command(flatten)]
    pub select: SelectArgs,
    /// Only this mutant (may be given several times).
    #[arg(long, value_name = "NAME")]
    pub mutant: Vec<String>,
    /// Runs each mutant only on the scenarios that its file names.
    #[arg(long)]
    pub named_only: bool,
    /// Chip of the virtual board.
    #[arg(long, value_name = "CHIP")]
    pub chip: Option<String>,
    /// Folder for recordings and the matrix.
    #[arg(long, value_name = "DIR", default_value = "brickproof-matrix")]
    pub report: PathBuf,
    /// Runs so many scenarios at once; the number of processors when not given.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub jobs: Option<u32>,
    /// Prints no progress.
    #[arg(short, long)]
    pub quiet: bool,
}

/// Arguments of `power-sweep`.
#[derive(Clone, Debug, Args)]
pub struct SweepArgs {
    /// Chip of the virtual board.
    #[arg(long, value_name = "CHIP")]
    pub chip: Option<String>,
    /// Tries every Nth operation only.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    pub every: u64,
    /// Sweeps a mutant in place of the sound firmware.
    #[arg(long, value_name = "NAME")]
    pub mutant: Option<String>,
    /// Folder for recordings of what is not sound, and for the result.
    #[arg(long, value_name = "DIR", default_value = "brickproof-sweep")]
    pub report: PathBuf,
    /// Runs so many at once; the number of processors when not given.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub jobs: Option<u32>,
    /// Seed of torn erases and programs.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Prints no progress.
    #[arg(short, long)]
    pub quiet: bool,
}

/// How a board on a serial port is reached.
#[derive(Clone, Debug, Args)]
pub struct LineArgs {
    /// How a board on a serial port is reset: dtr-rts (the default), usb-serial-jtag, commands, probe, virtual:SOCKET.
    #[arg(long, value_name = "METHOD", env = "BRICKPROOF_RESET")]
    pub reset: Option<String>,
    /// Baud rate while flashing.
    #[arg(long, value_name = "BAUD", value_parser = clap::value_parser!(u32).range(1..))]
    pub flash_baud: Option<u32>,
    /// Its debug probe: VID:PID or VID:PID:SERIAL, as `brickproof boards` shows them.
    #[arg(long, value_name = "PROBE", env = "BRICKPROOF_PROBE")]
    pub probe: Option<String>,
    /// How long a board that another process holds is waited for; 10min unless configured.
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    pub wait_board: Option<Duration>,
    /// Folder that keeps a board's own settings while it is used ($XDG_STATE_HOME/brickproof when not given).
    #[arg(long, value_name = "DIR", env = "BRICKPROOF_STATE")]
    pub state: Option<PathBuf>,
}

/// Arguments of `restore`.
#[derive(Clone, Debug, Args)]
pub struct RestoreArgs {
    /// The board: a name of brickproof.toml, a serial port (`/dev/ttyUSB0`) or a USB identity (`usb:303a:1001:SERIAL`).
    #[arg(long, env = "BRICKPROOF_BOARD")]
    pub board: String,
    /// How it is reached.
    #[command(flatten)]
    pub line: LineArgs,
}

/// Arguments of `boards`.
#[derive(Clone, Debug, Args)]
pub struct BoardsArgs {
    /// Prints JSON.
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `init`.
#[derive(Clone, Debug, Args)]
pub struct InitArgs {
    /// Where to write; a file that is there is never overwritten.
    #[arg(long, short, value_name = "FILE", default_value = crate::settings::PROJECT_FILE)]
    pub output: PathBuf,
}

/// Arguments of `nvs`.
#[derive(Clone, Debug, Args)]
pub struct NvsArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: NvsCommand,
    /// The board: a name of brickproof.toml, a serial port (`/dev/ttyUSB0`) or a USB identity (`usb:303a:1001:SERIAL`).
    #[arg(long, env = "BRICKPROOF_BOARD", global = true)]
    pub board: Option<String>,
    /// A file that holds an NVS partition, in place of a board.
    #[arg(long, value_name = "FILE", global = true, conflicts_with = "board")]
    pub file: Option<PathBuf>,
    /// How a board is reset: dtr-rts (the default), usb-serial-jtag, commands, probe, virtual:SOCKET.
    #[arg(long, value_name = "METHOD", env = "BRICKPROOF_RESET", global = true)]
    pub reset: Option<String>,
    /// Its debug probe: VID:PID or VID:PID:SERIAL, as `brickproof boards` shows them.
    #[arg(long, value_name = "PROBE", env = "BRICKPROOF_PROBE", global = true)]
    pub probe: Option<String>,
    /// How long a board that another process holds is waited for; 10min unless configured.
    #[arg(long, value_name = "TIME", value_parser = parse_time, global = true)]
    pub wait_board: Option<Duration>,
    /// Baud rate while flashing.
    #[arg(long, value_name = "BAUD", global = true)]
    pub flash_baud: Option<u32>,
}

/// What to do with an NVS partition.
#[derive(Clone, Debug, Subcommand)]
pub enum NvsCommand {
    /// Lists all keys. Texts and bytes are shown by their length: they may be credentials.
    List {
        /// Shows texts and bytes too, but not those of passwords, tokens and keys.
        #[arg(long)]
        values: bool,
        /// Shows everything, passwords too.
        #[arg(long)]
        secrets: bool,
    },
    /// Prints a value.
    Get {
        /// NAMESPACE/KEY, as in `wifi/ota_url`.
        name: String,
    },
    /// Sets a value; all others stay.
    Set {
        /// NAMESPACE/KEY, as in `wifi/ota_url`.
        name: String,
        /// The value; blobs in hexadecimal.
        value: String,
        /// Its type; the one that stands there, else text, unless given.
        #[arg(long = "type", value_enum)]
        kind: Option<NvsType>,
    },
    /// Erases a key, or everything.
    Erase {
        /// NAMESPACE/KEY.
        #[arg(required_unless_present = "all")]
        name: Option<String>,
        /// Erases the whole partition, whatever it holds.
        #[arg(long, conflicts_with = "name")]
        all: bool,
    },
}

/// Types of NVS values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum NvsType {
    /// Text.
    Text,
    /// Bytes.
    Blob,
    /// Unsigned, 8 bits.
    U8,
    /// Signed, 8 bits.
    I8,
    /// Unsigned, 16 bits.
    U16,
    /// Signed, 16 bits.
    I16,
    /// Unsigned, 32 bits.
    U32,
    /// Signed, 32 bits.
    I32,
    /// Unsigned, 64 bits.
    U64,
    /// Signed, 64 bits.
    I64,
}

/// Arguments of `check`.
#[derive(Clone, Debug, Args)]
pub struct CheckArgs {
    /// Scenario, firmware (`firmware.toml` form), dialect, project and bench files; all built-in ones when none is given.
    #[arg(value_name = "FILE")]
    pub files: Vec<PathBuf>,
}

/// Arguments of `doctor`.
#[derive(Clone, Debug, Args)]
pub struct DoctorArgs {
    /// The OTA URL as configured in the device.
    pub url: String,
    /// Prints JSON.
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `serve`.
#[derive(Clone, Debug, Args)]
pub struct ServeArgs {
    /// Addresses to listen on.
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:8002")]
    pub listen: Vec<std::net::SocketAddr>,
    /// Addresses to listen on with TLS, with certificates of a test authority made for this run.
    #[arg(long, value_name = "IP:PORT", requires = "ca")]
    pub tls_listen: Vec<std::net::SocketAddr>,
    /// Host names and addresses that the TLS certificate is for; the addresses listened on unless given.
    #[arg(long, value_name = "NAME", requires = "tls_listen")]
    pub tls_name: Vec<String>,
    /// File to write the test authority's root certificate to (PEM): what the device is to trust.
    #[arg(long, value_name = "FILE", requires = "tls_listen")]
    pub ca: Option<PathBuf>,
    /// Answers DNS questions here, for the names given: the `dns` fault acts on them.
    #[arg(long, value_name = "IP:PORT", requires = "dns_name")]
    pub dns_listen: Option<std::net::SocketAddr>,
    /// A name and its address, several times for several: `ota.example=192.168.1.10`.
    #[arg(long, value_name = "NAME=IP", value_parser = parse_name, requires = "dns_listen")]
    pub dns_name: Vec<(String, std::net::Ipv4Addr)>,
    /// Base of the firmware URL in answers, as the device sees this host (http://192.168.88.200:8002).
    #[arg(long, value_name = "URL")]
    pub advertise: Option<String>,
    /// Application image to offer; its version is read from it.
    #[arg(long, value_name = "FILE")]
    pub image: Option<PathBuf>,
    /// Another OTA server to stand in front of, `http://HOST:PORT`: it answers, and the faults act on its answers.
    #[arg(long, value_name = "URL", conflicts_with_all = ["image", "advertise"])]
    pub upstream: Option<ota_server::proxy::Upstream>,
    /// Path of the version check, where it is not the xiaozhi protocol's.
    #[arg(long, value_name = "PATH", default_value = ota_server::serve::OTA_PATH, value_parser = parse_path)]
    pub ota_path: String,
    /// Serves an HTTP API here that lists, adds and removes faults while the server runs (see docs/fault-api.md).
    #[arg(long, value_name = "IP:PORT")]
    pub api: Option<std::net::SocketAddr>,
    /// A fault, several times for several: `reset-at:at=50%,count=3` (see docs/faults.md).
    #[arg(long, value_name = "FAULT")]
    pub fault: Vec<String>,
    /// Seed of everything that is left to chance.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
}

/// Arguments of `virtual`.
#[derive(Clone, Debug, Args)]
pub struct VirtualArgs {
    /// Chip: esp32, esp32s3 or esp32c3.
    #[arg(long, default_value = "esp32c3")]
    pub chip: String,
    /// File that holds the flash and survives restarts; in memory when not given.
    #[arg(long, value_name = "FILE")]
    pub flash: Option<PathBuf>,
    /// MAC address, as 24:0A:C4:00:00:01: boards that are used side by side are told apart by it.
    #[arg(long, value_name = "MAC", value_parser = parse_mac)]
    pub mac: Option<[u8; 6]>,
    /// Starts in download mode.
    #[arg(long)]
    pub download: bool,
    /// Path of the control socket; made in the temporary folder when not given.
    #[arg(long, value_name = "PATH")]
    pub control: Option<PathBuf>,
    /// Also speaks RFC 2217 on this port of 127.0.0.1 (0: a free one).
    #[arg(long, value_name = "PORT")]
    pub rfc2217: Option<u16>,
    /// Makes a symbolic link to the serial port.
    #[arg(long, value_name = "PATH")]
    pub link: Option<PathBuf>,
    /// Sends bytes as fast as a UART would at the speed set on the port, in place of at once.
    #[arg(long)]
    pub pace: bool,
}

/// What to do with images.
#[derive(Clone, Debug, Subcommand)]
pub enum ImageCommand {
    /// Lists the catalogue.
    List {
        /// Catalogue to use beside the built-in one.
        #[arg(long, value_name = "FILE")]
        catalogue: Option<PathBuf>,
    },
    /// Adds an ESP-IDF build folder, an application .bin or a merged .bin to a catalogue.
    Add {
        /// Build folder (with flasher_args.json) or .bin file.
        path: PathBuf,
        /// Catalogue to add to.
        #[arg(long, value_name = "FILE", default_value = "catalogue.toml")]
        catalogue: PathBuf,
        /// ELF of the image, for decoding of addresses.
        #[arg(long, value_name = "FILE")]
        elf: Option<PathBuf>,
        /// Name in the catalogue.
        #[arg(long)]
        name: Option<String>,
    },
    /// Writes an image with another version in its descriptor: the second version that an update test needs.
    Bump {
        /// Application image.
        file: PathBuf,
        /// The new version.
        version: String,
        /// Where to write.
        #[arg(long, short, value_name = "FILE")]
        output: PathBuf,
    },
    /// Writes an image with another profile in its profile record.
    SetProfile {
        /// Application image.
        file: PathBuf,
        /// The profile.
        profile: String,
        /// Where to write.
        #[arg(long, short, value_name = "FILE")]
        output: PathBuf,
    },
    /// Makes the reference firmware's images again, byte for byte.
    Build {
        /// Folder that gets them.
        #[arg(long, value_name = "DIR", default_value = "firmware-images")]
        output: PathBuf,
    },
    /// Prints what an image is.
    Info {
        /// Image.
        file: PathBuf,
    },
}

/// Arguments of `schema`.
#[derive(Clone, Copy, Debug, Args)]
pub struct SchemaArgs {
    /// Of which file.
    #[arg(value_enum)]
    pub of: SchemaOf,
}

/// Files with a schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SchemaOf {
    /// Scenario files.
    Scenario,
    /// Firmware files.
    Firmware,
    /// Mutant files.
    Mutant,
    /// Dialect files.
    Dialect,
    /// `brickproof.toml` and bench files.
    Config,
    /// `report.json`, which brickproof writes.
    Report,
}

fn parse_name(text: &str) -> Result<(String, std::net::Ipv4Addr), String> {
    let (name, address) = text.split_once('=').ok_or("it is no NAME=ADDRESS")?;
    let address = address.parse().map_err(|_| format!("{address:?} is no IPv4 address"))?;
    Ok((name.to_owned(), address))
}

fn parse_mac(text: &str) -> Result<[u8; 6], String> {
    let bytes = hex::decode(text.replace(':', "")).ok().filter(|_| text.matches(':').count() == 5);
    let address: Option<[u8; 6]> = bytes.and_then(|bytes| bytes.try_into().ok());
    address.ok_or_else(|| "this is no MAC address: write it as 24:0A:C4:00:00:01".to_owned())
}

fn parse_time(text: &str) -> Result<Duration, String> {
    text.parse::<ota_server::units::HumanDuration>().map(|d| d.get()).map_err(|e| e.to_string())
}

fn parse_path(text: &str) -> Result<String, String> {
    let good = text.starts_with('/') && !text.contains(['?', '#', '{', '}']) && !text.contains(char::is_whitespace);
    if !good {
        return Err("this is no path: it begins with a slash, and has neither query nor spaces".to_owned());
    }
    Ok(if text.ends_with('/') { text.to_owned() } else { format!("{text}/") })
}
