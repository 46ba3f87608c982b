//! `brickproof power-sweep`.

use std::fmt::Write as _;

use miette::{Result, miette};

use super::args::SweepArgs;
use super::{out, run::chip};
use crate::firmware_file;
use crate::image::Catalogue;
use crate::mutant;
use crate::run::{self, RunConfig};
use crate::secrets::Secrets;
use crate::sweep::{self, Outcome};

/// Cuts that are shown with what is wrong.
const SHOWN: usize = 10;

pub(super) fn sweep(args: &SweepArgs, secrets: &Secrets) -> Result<u8> {
    let folder = run::make_folder(&args.report)
        .map_err(|e| miette!("cannot write the report folder {}: {e}", args.report.display()))?;
    let mutant = match &args.mutant {
        None => None,
        Some(name) => {
            let found = mutant::all()?.into_iter().find(|m| m.name == *name);
            Some(found.ok_or_else(|| miette!(help = "docs/mutants.md lists them", "there is no mutant {name:?}"))?)
        }
    };
    let catalogue = Catalogue::embedded().map_err(miette::Report::new)?;
    let config = RunConfig {
        chip: chip(args.chip.as_deref())?,
        jobs: args.jobs.map_or_else(
            || std::thread::available_parallelism().map_or(1, usize::from),
            |jobs| usize::try_from(jobs).unwrap_or(1),
        ),
        seed: args.seed,
        snapshot: true,
        mutant,
        secrets: secrets.clone(),
        ..RunConfig::on_virtual_boards(firmware_file::load(None)?, catalogue, folder)
    };
    let begun = std::time::Instant::now();
    let swept = sweep::sweep(&config, args.every, |done| {
        if !args.quiet {
            let line = format!("{:>8.1} s  {done} operations tried\n", begun.elapsed().as_secs_f64());
            let _ = std::io::Write::write_all(&mut anstream::stderr(), line.as_bytes());
        }
    })
    .map_err(|e| miette!("{e}"))?;
    let file = args.report.join("power-sweep.json");
    let json = serde_json::to_string_pretty(&swept).map_err(|e| miette!("{e}"))?;
    std::fs::write(&file, json).map_err(|e| miette!("cannot write {}: {e}", file.display()))?;

    let mut text = String::new();
    let wrong: Vec<_> = swept.cuts.iter().filter(|c| c.outcome != Outcome::Sound).collect();
    for cut in wrong.iter().take(SHOWN) {
        let kind = match cut.outcome {
            Outcome::Brick => "BRICK",
            Outcome::Error => "error",
            _ => "finding",
        };
        let _ =
            writeln!(text, "{kind:<8} power cut {} operation {}: {}", cut.when, cut.operation, cut.wrong.join("; "));
    }
    if wrong.len() > SHOWN {
        let _ = writeln!(text, "... and {} more in {}", wrong.len() - SHOWN, file.display());
    }
    let which = if swept.every == 1 { "all".to_owned() } else { format!("every {}th", swept.every) };
    // With steps, where the last one lies is known to a step only.
    let about = if swept.every == 1 { "" } else { "about " };
    let _ = writeln!(
        text,
        "{which} of {about}{} flash operations (a sector of 4 KiB erased, a page of 256 bytes programmed), each cut before, \
         inside and after: {} cuts in {:.1} s; {} bricks, {} findings, {} not judged (rig error); seed {}",
        swept.operations,
        swept.cuts.len(),
        begun.elapsed().as_secs_f64(),
        swept.count(Outcome::Brick),
        swept.count(Outcome::Finding),
        swept.count(Outcome::Error),
        args.seed,
    );
    let _ = writeln!(text, "{}", file.display());
    out(&text)?;
    Ok(match (swept.count(Outcome::Error), swept.count(Outcome::Brick) + swept.count(Outcome::Finding)) {
        (0, 0) => 0,
        (0, _) => 1,
        _ => 3,
    })
}
