//! Which images a run uses: those of the catalogue, with a defect in them where the run is about one.

use std::collections::BTreeSet;
use std::path::PathBuf;

use esp_image::chip::ChipId;

use crate::image::{Catalogue, Image, ImageError};
use crate::mutant::{self, Carrier, Mutant};
use crate::scenario::model::{Images, Scenario, StepAction};

/// The images of a run.
#[derive(Clone, Copy, Debug)]
pub struct RunImages<'r> {
    /// Where they come from.
    pub catalogue: &'r Catalogue,
    /// The board's chip.
    pub chip: ChipId,
    /// The mutant that is tried.
    pub mutant: Option<&'r Mutant>,
}

impl RunImages<'_> {
    /// ELF files of the images that may run in a scenario, where the catalogue has them: of one version, where it is known which
    /// runs.
    #[must_use]
    pub fn elves(&self, scenario: &Scenario, version: Option<&str>) -> Vec<PathBuf> {
        let offers = scenario.steps.iter().flat_map(|step| &step.actions).filter_map(|action| match action {
            StepAction::Offer(version) => version.as_deref(),
            _ => None,
        });
        let names = [Some(scenario.image.flash.as_str()), scenario.image.offer.as_deref()];
        let names: BTreeSet<&str> = names.into_iter().flatten().chain(offers).collect();
        let images = names.into_iter().filter_map(|name| self.catalogue.application(name, self.chip).ok());
        let running = images.filter(|image| version.is_none_or(|version| image.version() == version));
        running.filter_map(|image| self.catalogue.elf(&image)).collect()
    }

    /// What is flashed.
    ///
    /// # Errors
    ///
    /// The catalogue has no such image, or it cannot carry the defect.
    pub fn flashed(&self, wanted: &Images) -> Result<Image, ImageError> {
        let image = self.catalogue.application(&wanted.flash, self.chip)?;
        let mutant = self.mutant.filter(|mutant| mutant.carrier != Carrier::Update);
        let defect = mutant.map(|mutant| mutant::parameters(&mutant.defect));
        let words: Vec<&str> = wanted.flash_with.iter().map(String::as_str).chain(defect.as_deref()).collect();
        let image = if words.is_empty() { image } else { with_parameters(&image, &words.join(" "))? };
        match wanted.flash_security {
            Some(version) => image.with_secure_version(version),
            None => Ok(image),
        }
    }

    /// What is served.
    ///
    /// # Errors
    ///
    /// As [`Self::flashed`].
    pub fn served(&self, wanted: &str, scenario: &Scenario) -> Result<Image, ImageError> {
        let image = self.catalogue.application(wanted, self.chip)?;
        match (&scenario.image.offer_defect, self.mutant) {
            (Some(defect), _) => with_parameters(&image, &mutant::parameters(defect)),
            (None, Some(mutant)) if mutant.carrier != Carrier::Base => with_parameters(&image, &mutant.parameters()),
            _ => Ok(image),
        }
    }
}

/// The image with more parameters than it has of its own: how it was built stays as it is.
fn with_parameters(image: &Image, parameters: &str) -> Result<Image, ImageError> {
    let (profile, own) = image.profile.as_ref().map_or(("", ""), |record| (record.profile(), record.parameters()));
    let all = if own.is_empty() { parameters.to_owned() } else { format!("{own} {parameters}") };
    image.with_profile(profile, &all)
}
