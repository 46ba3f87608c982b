//! The command line of brickproof.

use std::process::ExitCode;

use brickproof::cli;
use clap::Parser;

fn main() -> ExitCode {
    cli::on_panic();
    let arguments = cli::args::Cli::parse();
    match cli::run(&arguments) {
        Ok(code) => ExitCode::from(code),
        Err(report) => {
            // Diagnostics go to stderr; nothing is left to do if that is gone too.
            let _ = std::io::Write::write_all(&mut anstream::stderr(), format!("{}\n", cli::told(&report)).as_bytes());
            ExitCode::from(2)
        }
    }
}
