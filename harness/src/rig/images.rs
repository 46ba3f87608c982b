//! Which images a run uses: those of the catalogue, with a defect in them where the run is about one.

use esp_image::chip::ChipId;

use crate::image::{Catalogue, Image, ImageError};
use crate::mutant::{self, Carrier, Mutant};
use crate::scenario::model::Scenario;

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
    /// What is flashed.
    ///
    /// # Errors
    ///
    /// The catalogue has no such image, or it cannot carry the defect.
    pub fn flashed(&self, wanted: &str) -> Result<Image, ImageError> {
        let image = self.catalogue.application(wanted, self.chip)?;
        match self.mutant {
            Some(mutant) if mutant.carrier != Carrier::Update => with_defect(&image, &mutant.defect),
            _ => Ok(image),
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
            (Some(defect), _) => with_defect(&image, defect),
            (None, Some(mutant)) if mutant.carrier != Carrier::Base => with_defect(&image, &mutant.defect),
            _ => Ok(image),
        }
    }
}

fn with_defect(image: &Image, defect: &str) -> Result<Image, ImageError> {
    let profile = image.profile.as_ref().map_or_else(String::new, |record| record.profile().to_owned());
    image.with_profile(&profile, &mutant::parameters(defect))
}
