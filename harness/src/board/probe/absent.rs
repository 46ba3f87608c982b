//! A debug probe where this program was built without probe support: there is none.

use std::convert::Infallible;

use esp_image::chip::ChipId;

use super::{ProbeSettings, RttRead, UNSUPPORTED};
use crate::board::BoardError;
use crate::board::board::{FlashWork, Inspection};

/// A debug probe that cannot be made.
#[derive(Debug)]
pub struct Probe(Infallible);

impl Probe {
    /// Refuses.
    ///
    /// # Errors
    ///
    /// Always: there is no probe support.
    pub fn new(settings: &ProbeSettings, _: ChipId) -> Result<Self, BoardError> {
        let (doing, probe) = ("use".to_owned(), settings.select.to_string());
        Err(BoardError::Probe { doing, probe, why: UNSUPPORTED.to_owned() })
    }

    /// The same probe for another user.
    #[must_use]
    pub fn share(&self) -> Self {
        match self.0 {}
    }

    pub(super) async fn inspect(&self) -> Result<Inspection, BoardError> {
        match self.0 {}
    }

    pub(super) async fn hold(&self) -> Result<(), BoardError> {
        match self.0 {}
    }

    pub(super) async fn run(&self) -> Result<(), BoardError> {
        match self.0 {}
    }

    pub(super) async fn with_flash(&self, _: FlashWork) -> Result<(), BoardError> {
        match self.0 {}
    }

    pub(super) fn listen(&mut self) {
        match self.0 {}
    }

    pub(super) async fn heard(&mut self, _: &mut [u8]) -> Result<RttRead, BoardError> {
        match self.0 {}
    }

    pub(super) async fn forget_console(&mut self) {
        match self.0 {}
    }

    pub(super) fn let_go(&mut self) {
        match self.0 {}
    }
}
