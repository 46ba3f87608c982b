//! Arguments of `history`, and of commands that keep one.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Subcommand};

/// Which history.
#[derive(Clone, Debug, Args)]
pub struct HistoryPlace {
    /// History of runs: a file (SQLite), or postgres://USER@HOST/DATABASE.
    // Text, since clap tells a value that it cannot take whole, and a URL may hold a password.
    #[arg(
        long = "history",
        value_name = "FILE|URL",
        env = "BRICKPROOF_HISTORY",
        hide_env_values = true,
        global = true
    )]
    pub place: Option<String>,
}

/// Arguments of `history`.
#[derive(Clone, Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct HistoryArgs {
    /// What else to do with it.
    #[command(subcommand)]
    pub command: Option<HistoryCommand>,
    /// Which history.
    #[command(flatten)]
    pub history: HistoryPlace,
    /// Shows the runs of these scenarios, newest last.
    #[arg(value_name = "SCENARIO")]
    pub scenarios: Vec<String>,
    /// Only runs on this board.
    #[arg(long, value_name = "BOARD")]
    pub board: Option<String>,
    /// How many runs of each scenario are listed.
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub last: usize,
    /// Prints all of it as JSON.
    #[arg(long)]
    pub json: bool,
}

/// What else to do with a history.
#[derive(Clone, Debug, Subcommand)]
pub enum HistoryCommand {
    /// Takes recordings of older runs in. What is there already is left as it is.
    Add(HistoryAddArgs),
}

/// Arguments of `history add`.
#[derive(Clone, Debug, Args)]
pub struct HistoryAddArgs {
    /// Which history.
    #[command(flatten)]
    pub history: HistoryPlace,
    /// Recordings, run folders or report folders.
    #[arg(value_name = "RUNS", required = true)]
    pub runs: Vec<PathBuf>,
    /// What was tested.
    #[arg(long, value_name = "TEXT", env = "BRICKPROOF_LABEL")]
    pub label: Option<String>,
}

/// Arguments of `dashboard`.
#[derive(Clone, Debug, Args)]
pub struct DashboardArgs {
    /// Which history.
    #[command(flatten)]
    pub history: HistoryPlace,
    /// Report folder whose runs can be opened (may be given several times); the one of the settings when not given.
    #[arg(long, value_name = "DIR")]
    pub reports: Vec<PathBuf>,
    /// Where it listens. Elsewhere than on loopback everyone who reaches the address can read all of it.
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:8470")]
    pub listen: SocketAddr,
}
