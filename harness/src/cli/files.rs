//! `brickproof list`, `check` and `schema`.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use miette::{Result, miette};
use ota_server::units::HumanDuration;

use super::args::{CheckArgs, SchemaArgs, SchemaOf, SelectArgs};
use super::{out, run::selected};
use crate::firmware_file;
use crate::run::VIRTUAL_HOST;
use crate::scenario::{self, values::Values};

pub(super) fn list(args: &SelectArgs) -> Result<u8> {
    let firmware = firmware_file::load(None)?;
    let values = values(&firmware);
    let mut text = String::new();
    let (mut total, mut quick) = (Duration::ZERO, Duration::ZERO);
    let scenarios = selected(args, &firmware)?;
    for s in &scenarios {
        let scenario = scenario::parse(&s.name, &s.path, &s.text, &values)?;
        let tags: Vec<&str> = scenario.tags.iter().map(String::as_str).collect();
        total += scenario.device_time;
        if scenario.tags.contains("quick") {
            quick += scenario.device_time;
        }
        let _ = writeln!(
            text,
            "{:<44} {:>8}  {:<8} {}",
            scenario.name,
            HumanDuration::from(scenario.device_time).to_string(),
            tags.join(","),
            scenario.summary
        );
    }
    let _ = writeln!(
        text,
        "\n{} scenarios, about {} of device time in all, {} of it tagged quick",
        scenarios.len(),
        HumanDuration::from(total),
        HumanDuration::from(quick)
    );
    out(&text)?;
    Ok(0)
}

fn values(firmware: &firmware_file::FirmwareFile) -> Values {
    firmware.values("0", Values::of_network(&VIRTUAL_HOST.to_string(), 8002))
}

pub(super) fn check(args: &CheckArgs) -> Result<u8> {
    let firmware = firmware_file::load(None)?;
    let values = values(&firmware);
    let mut checked = 0;
    let mut wrong = 0;
    let mut tell = |result: Result<()>| {
        checked += 1;
        if let Err(report) = result {
            wrong += 1;
            // The place of each problem goes to stderr, as every diagnostic does.
            let _ = std::io::Write::write_all(&mut anstream::stderr(), format!("{report:?}\n").as_bytes());
        }
    };
    if args.files.is_empty() {
        for s in crate::run::select(&[])? {
            tell(scenario::parse(&s.name, &s.path, &s.text, &values).map(drop).map_err(Into::into));
        }
        for name in crate::dialect::embedded_names() {
            tell(crate::dialect::embedded(name).map(drop).map_err(Into::into));
        }
    }
    for file in &args.files {
        tell(check_file(file, &values));
    }
    out(&format!(
        "{checked} files checked, {} invalid\n",
        if wrong == 0 { "none".to_owned() } else { wrong.to_string() }
    ))?;
    Ok(if wrong == 0 { 0 } else { 2 })
}

fn check_file(path: &Path, values: &Values) -> Result<()> {
    let text = std::fs::read_to_string(path).map_err(|e| miette!("cannot read {}: {e}", path.display()))?;
    let shown = path.display().to_string();
    // What a file is shows in its top-level keys; one without any of them is taken for a scenario.
    let table: Option<toml::Table> = toml::from_str(&text).ok();
    let has = |key: &str| table.as_ref().is_some_and(|t| t.contains_key(key));
    if has("rule") || has("extends") {
        crate::dialect::parse(&shown, &text).map(drop).map_err(Into::into)
    } else if has("defect") && has("carrier") {
        crate::mutant::parse(&scenario::name_of(path), &shown, &text).map(drop).map_err(Into::into)
    } else if has("run") || has("boards") {
        crate::settings::Layer::parse(&shown, &text).map(drop).map_err(Into::into)
    } else if has("nvs") && has("dialect") {
        firmware_file::parse(&shown, &text).map(drop).map_err(Into::into)
    } else {
        for case in scenario::matrix::cases(&shown, &text)? {
            scenario::parse(&scenario::name_of(path), &shown, &case.text, values)?;
        }
        Ok(())
    }
}

pub(super) fn schema(args: &SchemaArgs) -> Result<u8> {
    out(&match args.of {
        SchemaOf::Scenario => scenario::schema(),
        SchemaOf::Firmware => firmware_file::schema(),
        SchemaOf::Mutant => crate::mutant::schema(),
        SchemaOf::Dialect => crate::dialect::schema(),
        SchemaOf::Report => crate::report::json::schema(),
        SchemaOf::Config => crate::settings::schema(),
    })?;
    Ok(0)
}
