//! The command line: parsed arguments to library calls, results to output and exit codes.

pub mod args;
mod boards;
mod ci;
mod compare;
mod dashboard;
mod files;
mod history;
mod image;
mod init;
mod judge;
mod matrix;
mod nvs;
mod progress;
mod restore;
mod run;
mod secrets;
mod sweep;
mod tools;

use std::io::{IsTerminal, Write};

use args::{Cli, Command, LogFormat, When};
use miette::Result;
pub use secrets::{on_panic, told};

use crate::settings::{Settings, Sources};

/// Carries a command out and returns the process's exit code: 0 pass, 1 the firmware failed (or a problem was found),
/// 2 usage or scenario invalid, 3 the rig failed.
///
/// # Errors
///
/// What makes the command impossible: exit code 2.
pub fn run(cli: &Cli) -> Result<u8> {
    log(cli);
    match cli.color {
        When::Auto => {}
        When::Always => anstream::ColorChoice::Always.write_global(),
        When::Never => anstream::ColorChoice::Never.write_global(),
    }
    let sources = Sources { project: cli.config.clone(), bench: cli.bench.clone() };
    let secrets = secrets::read(&sources);
    match &cli.command {
        Command::Run(args) => run::run(args, &sources, &secrets?),
        Command::Matrix(args) => matrix::matrix(args, &secrets?),
        Command::PowerSweep(args) => sweep::sweep(args, &secrets?),
        Command::List(args) => files::list(args),
        Command::Check(args) => files::check(args),
        Command::Judge(args) => judge::judge(args),
        Command::Report(args) => judge::report(args),
        Command::Compare(args) => compare::compare(args),
        Command::Dashboard(args) => dashboard::dashboard(args, &sources),
        Command::History(args) => history::history(args, &sources),
        Command::Analyze(args) => tools::analyze(args, &secrets?),
        Command::Restore(args) => restore::restore(args, &sources),
        Command::Boards(args) => boards::boards(args, &sources),
        Command::Init(args) => init::init(args),
        Command::Nvs(args) => nvs::nvs(args, &sources),
        Command::Doctor(args) => tools::doctor(args, &secrets?),
        Command::Serve(args) => tools::serve(args, &secrets?),
        Command::Virtual(args) => tools::virtual_board(args),
        Command::Image(command) => image::run(command),
        Command::Schema(args) => files::schema(args),
    }
}

/// Settings of files, seen from the working folder.
fn settings(sources: &Sources) -> Result<Settings> {
    let folder = std::env::current_dir().map_err(|e| miette::miette!("cannot find out the working folder: {e}"))?;
    Ok(Settings::load(sources, &folder)?)
}

/// Logs go to stderr alone; stdout holds data.
fn log(cli: &Cli) {
    let level = match cli.verbose {
        0 => "warn,espflash=error",
        1 => "info",
        _ => "debug",
    };
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        // probe-rs tells of every kind of probe that it does not find.
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(format!("{level},probe_rs=off,probe_rs_espressif=off")));
    let colours = match cli.color {
        When::Auto => std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty()),
        When::Always => true,
        When::Never => false,
    };
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(colours).with_writer(secrets::Log::new);
    // A second initialisation can only come from a test in the same process.
    let _ = match cli.log_format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().try_init(),
    };
}

/// Writes to stdout; a reader that left is no failure.
fn out(text: &str) -> Result<()> {
    match anstream::stdout().write_all(text.as_bytes()) {
        Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        Err(e) => Err(miette::miette!("cannot write to stdout: {e}")),
        Ok(()) => Ok(()),
    }
}
