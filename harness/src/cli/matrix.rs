//! `brickproof matrix`.

use miette::{Result, miette};

use super::args::MatrixArgs;
use super::{out, run::chip, run::selected};
use crate::firmware_file;
use crate::image::Catalogue;
use crate::matrix::{self, Matrix};
use crate::mutant::{self, Mutant};
use crate::problem::suggestion;
use crate::report::model::ScenarioReport;
use crate::run::{self, RunConfig, Selected};
use crate::secrets::Secrets;

pub(super) fn matrix(args: &MatrixArgs, secrets: &Secrets) -> Result<u8> {
    let firmware = firmware_file::load(None)?;
    let scenarios = selected(&args.select, &firmware)?;
    let mutants = mutants(&args.mutant)?;
    let folder = run::make_folder(&args.report)
        .map_err(|e| miette!("cannot write the report folder {}: {e}", args.report.display()))?;
    let jobs = args.jobs.map_or_else(
        || std::thread::available_parallelism().map_or(1, usize::from),
        |jobs| usize::try_from(jobs).unwrap_or(1),
    );
    let chip = chip(args.chip.as_deref())?;
    let catalogue = Catalogue::embedded().map_err(miette::Report::new)?;
    let run_all = |mutant: Option<&Mutant>, scenarios: &[Selected]| -> Result<Vec<ScenarioReport>> {
        let folder = folder.join(mutant.map_or("sound", |m| m.name.as_str()));
        std::fs::create_dir(&folder).map_err(|e| miette!("cannot make {}: {e}", folder.display()))?;
        let config = RunConfig {
            chip,
            jobs,
            mutant: mutant.cloned(),
            secrets: secrets.clone(),
            ..RunConfig::on_virtual_boards(firmware.clone(), catalogue.clone(), folder)
        };
        Ok(run::run(&config, scenarios, |_| {}).map_err(|e| miette!("{e}"))?.scenarios)
    };
    let begun = std::time::Instant::now();
    let healthy = run_all(None, &scenarios)?;
    let mut tried = Vec::new();
    for mutant in mutants {
        if !args.quiet {
            let line = format!("{:>8.1} s  {}\n", begun.elapsed().as_secs_f64(), mutant.name);
            let _ = std::io::Write::write_all(&mut anstream::stderr(), line.as_bytes());
        }
        let named = |s: &&Selected| mutant.caught_by.iter().any(|c| c.scenario == s.name);
        let chosen: Vec<Selected> = scenarios.iter().filter(|s| !args.named_only || named(s)).cloned().collect();
        let reports = run_all(Some(&mutant), &chosen)?;
        tried.push((mutant, reports));
    }
    let runs: usize = healthy.len() + tried.iter().map(|(_, reports)| reports.len()).sum::<usize>();
    let matrix = Matrix::new(&healthy, tried);
    let file = args.report.join("matrix.json");
    let json = serde_json::to_string_pretty(&matrix).map_err(|e| miette!("{e}"))?;
    std::fs::write(&file, json).map_err(|e| miette!("cannot write {}: {e}", file.display()))?;
    let page = args.report.join("matrix.html");
    let html = matrix::html(&matrix).map_err(|e| miette!("{e}"))?;
    std::fs::write(&page, html).map_err(|e| miette!("cannot write {}: {e}", page.display()))?;
    out(&matrix::terminal(&matrix))?;
    let took = begun.elapsed().as_secs_f64();
    out(&format!("{runs} runs in {took:.1} s; {} and {}\n", page.display(), file.display()))?;
    Ok(u8::from(!matrix.complaints().is_empty()))
}

/// The mutants asked for; all when none is named.
fn mutants(named: &[String]) -> Result<Vec<Mutant>> {
    let all = mutant::all()?;
    if named.is_empty() {
        return Ok(all);
    }
    let find = |name: &String| {
        all.iter().find(|m| m.name == *name).cloned().ok_or_else(|| {
            let known: Vec<&str> = all.iter().map(|m| m.name.as_str()).collect();
            miette!(help = suggestion(name, &known).unwrap_or_default(), "there is no mutant {name:?}")
        })
    };
    named.iter().map(find).collect()
}
