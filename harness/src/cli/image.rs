//! `brickproof image`.

use std::fmt::Write as _;

use miette::{Report, Result};

use super::args::ImageCommand;
use super::out;
use crate::image::{self, Catalogue, ImageError};

pub(super) fn run(command: &ImageCommand) -> Result<u8> {
    carry_out(command).map_err(Report::new).and_then(|text| out(&text))?;
    Ok(0)
}

fn carry_out(command: &ImageCommand) -> Result<String, ImageError> {
    match command {
        ImageCommand::List { catalogue } => {
            let mut all = Catalogue::embedded()?;
            if let Some(path) = catalogue {
                all = all.with(path)?;
            }
            let mut text = String::new();
            for e in all.entries() {
                let chip = e.chip().map_or("any chip", esp_image::chip::ChipId::name);
                let version = e.version().unwrap_or("-");
                let profile = e.software().and_then(|s| s.profile.as_deref()).unwrap_or("-");
                let _ = writeln!(
                    text,
                    "{:<31} {:<15} {chip:<8} {version:<8} {profile:<14} {:>7} bytes  runs on {}",
                    e.name,
                    e.kind.name(),
                    e.size,
                    e.runs_on_words()
                );
            }
            Ok(text)
        }
        ImageCommand::Add { path, catalogue, elf, name } => {
            let added = image::add(path, catalogue, elf.as_deref(), name.as_deref())?;
            let mut text = String::new();
            for e in std::iter::once(&added.entry).chain(&added.parts) {
                let _ = writeln!(text, "added {} ({}) to {}", e.name, e.kind.name(), catalogue.display());
            }
            Ok(text)
        }
        ImageCommand::Bump { file, version, output } => {
            image::bump(file, version, output)?;
            Ok(format!("wrote {} with version {version}\n", output.display()))
        }
        ImageCommand::SetProfile { file, profile, output } => {
            image::set_profile(file, profile, "", output)?;
            Ok(format!("wrote {} with profile {profile}\n", output.display()))
        }
        ImageCommand::Build { output } => {
            let files = image::build_all(output)?;
            Ok(files.iter().map(|f| format!("{f}\n")).collect())
        }
        ImageCommand::Info { file } => image::info(file),
    }
}
