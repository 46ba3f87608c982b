//! Arguments of what reads recordings and logs: `judge`, `compare`, `report`, `analyze`.

use std::path::PathBuf;

use clap::Args;

use super::HistoryPlace;
use crate::compare::FailOn;

/// Arguments of `judge`.
#[derive(Clone, Debug, Args)]
pub struct JudgeArgs {
    /// Recordings (`*.jsonl`, `*.jsonl.zst`).
    #[arg(value_name = "RECORDING", required = true)]
    pub recordings: Vec<PathBuf>,
    /// Prints the verdicts as JSON.
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `compare`.
#[derive(Clone, Debug, Args)]
pub struct CompareArgs {
    /// Recordings, run folders or report folders: the baseline and the runs now, or with --baseline the runs now.
    #[arg(value_name = "RUNS", required = true)]
    pub runs: Vec<PathBuf>,
    /// A recording, run folder or report folder of the baseline.
    #[arg(long, value_name = "RUNS")]
    pub baseline: Vec<PathBuf>,
    /// What is a regression.
    #[arg(long, value_name = "WHAT", value_delimiter = ',', default_value = "newly-failing,newly-flaky,figures")]
    pub fail_on: Vec<FailOn>,
    /// Prints the comparison as JSON.
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `report`.
#[derive(Clone, Debug, Args)]
pub struct ReportArgs {
    /// Run folders; their recordings are merged into one report.
    #[arg(value_name = "DIR", required = true)]
    pub folders: Vec<PathBuf>,
    /// Where to write the report; the first folder when not given.
    #[arg(long, value_name = "DIR")]
    pub output: Option<PathBuf>,
    /// Compares with the recordings below this folder, in the report too; a regression exits with 1.
    #[arg(long, value_name = "RUNS")]
    pub baseline: Vec<PathBuf>,
    /// What is a regression.
    #[arg(long, value_name = "WHAT", value_delimiter = ',', default_value = "newly-failing,newly-flaky,figures")]
    pub fail_on: Vec<FailOn>,
    /// Tells what a history knows of the scenarios.
    #[command(flatten)]
    pub history: HistoryPlace,
}

/// Arguments of `analyze`.
#[derive(Clone, Debug, Args)]
pub struct AnalyzeArgs {
    /// Captured console log, also compressed by zstd; `-` is stdin.
    #[arg(value_name = "CONSOLE.log")]
    pub file: PathBuf,
    /// Dialect: a built-in name (esp-idf, xiaozhi) or a file.
    #[arg(long, default_value = "xiaozhi")]
    pub dialect: String,
    /// ELF file of the firmware: addresses of crashes become functions, files and lines.
    #[arg(long, value_name = "FILE")]
    pub elf: Option<PathBuf>,
    /// Where the OTA server really is, so that a wrong address can be told.
    #[arg(long, value_name = "URL")]
    pub server: Option<url::Url>,
    /// Prints JSON.
    #[arg(long)]
    pub json: bool,
}
