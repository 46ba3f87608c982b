//! A board's debug probe: attached to while it is used, and no longer. probe-rs switches the chip's watchdogs off when it
//! attaches (probe-rs-espressif, `disable_wdts`), so a probe that is not needed must not be attached.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use esp_image::chip::ChipId;
use probe_rs::probe::list::Lister;
use tokio::sync::mpsc::UnboundedReceiver;

use super::flash::ProbeFlash;
use super::rtt;
use super::wired::{Wired, lister};
use super::{ProbeSettings, RttRead};
use crate::board::BoardError;
use crate::board::board::{FlashWork, Inspection};

/// A board's debug probe.
pub struct Probe {
    shared: Arc<Shared>,
    console: Option<Console>,
}

/// What threads share.
pub(super) struct Shared {
    /// A lister is bound to its thread.
    lister: Box<dyn Fn() -> Lister + Send + Sync>,
    settings: ProbeSettings,
    chip: ChipId,
    /// The chip, while the probe is attached.
    wired: Mutex<Option<Wired>>,
}

/// A console read by RTT.
struct Console {
    reads: UnboundedReceiver<Result<rtt::Read, BoardError>>,
    /// Bytes that did not fit into the buffer of a read.
    left: Vec<u8>,
}

impl Shared {
    /// Does something with the chip, attaching to it where the probe is not.
    pub(super) fn with<T>(&self, work: impl FnOnce(&mut Wired) -> Result<T, BoardError>) -> Result<T, BoardError> {
        self.attached(&mut self.lock(), work)
    }

    /// The same while somebody wants it; `None` when nobody does any more. Whoever gives up wanting it, and detaches after that,
    /// finds it detached for good.
    pub(super) fn while_wanted<T>(
        &self,
        wanted: impl FnOnce() -> bool,
        work: impl FnOnce(&mut Wired) -> Result<T, BoardError>,
    ) -> Option<Result<T, BoardError>> {
        let mut place = self.lock();
        wanted().then(|| self.attached(&mut place, work))
    }

    fn lock(&self) -> MutexGuard<'_, Option<Wired>> {
        self.wired.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn attached<T>(
        &self,
        place: &mut Option<Wired>,
        work: impl FnOnce(&mut Wired) -> Result<T, BoardError>,
    ) -> Result<T, BoardError> {
        let wired = match place.take() {
            Some(wired) => wired,
            None => Wired::attach(&(self.lister)(), &self.settings, self.chip)?,
        };
        work(place.insert(wired))
    }

    pub(super) fn detach(&self) {
        *self.lock() = None;
    }
}

impl Probe {
    /// A probe of this machine. It is not looked for before it is used.
    ///
    /// # Errors
    ///
    /// Never with probe support.
    pub fn new(settings: &ProbeSettings, chip: ChipId) -> Result<Self, BoardError> {
        Ok(Self::known_to(lister, settings, chip))
    }

    /// A probe that a lister knows.
    pub(super) fn known_to(
        lister: impl Fn() -> Lister + Send + Sync + 'static,
        settings: &ProbeSettings,
        chip: ChipId,
    ) -> Self {
        let shared = Shared { lister: Box::new(lister), settings: settings.clone(), chip, wired: Mutex::default() };
        Self { shared: Arc::new(shared), console: None }
    }

    /// The same probe for another user.
    #[must_use]
    pub fn share(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), console: None }
    }

    pub(super) async fn inspect(&self) -> Result<Inspection, BoardError> {
        let stays = self.console.is_some();
        self.blocking(move |shared| {
            let inspected = shared.with(Wired::inspect);
            if !stays {
                shared.detach();
            }
            inspected
        })
        .await
    }

    pub(super) async fn hold(&self) -> Result<(), BoardError> {
        self.blocking(|shared| shared.with(Wired::reset_and_halt)).await
    }

    pub(super) async fn run(&self) -> Result<(), BoardError> {
        self.blocking(|shared| {
            let running = shared.with(Wired::run);
            shared.detach();
            running
        })
        .await
    }

    pub(super) async fn with_flash(&self, mut work: FlashWork) -> Result<(), BoardError> {
        self.blocking(move |shared| {
            let done = shared.with(|wired| {
                wired.reset_and_halt()?;
                work(&mut ProbeFlash::of(wired))
            });
            shared.detach();
            done
        })
        .await
    }

    /// Begins to read the console.
    pub(super) fn listen(&mut self) {
        let reads = rtt::listen(&self.shared);
        self.console = Some(Console { reads, left: Vec::new() });
    }

    /// What the console says next; never while none is read.
    pub(super) async fn heard(&mut self, buffer: &mut [u8]) -> Result<RttRead, BoardError> {
        let Some(console) = &mut self.console else { return std::future::pending().await };
        if console.left.is_empty() {
            match console.reads.recv().await {
                Some(Ok(rtt::Read::Bytes(bytes))) => console.left = bytes,
                Some(Ok(rtt::Read::Note(note))) => return Ok(RttRead::Note(note)),
                Some(Err(error)) => return Err(error),
                // Its last word was an error, and that was passed on.
                None => return std::future::pending().await,
            }
        }
        let n = console.left.len().min(buffer.len());
        for (place, byte) in buffer.iter_mut().zip(console.left.drain(..n)) {
            *place = byte;
        }
        Ok(RttRead::Bytes(n))
    }

    /// Takes what firmware left of its console out of the chip's memory, which outlives a reset, and leaves the chip halted: it is
    /// about to be reset. A chip that is held in reset does not answer, and was made to forget before.
    pub(super) async fn forget_console(&mut self) {
        self.console = None;
        let forgotten = self.blocking(|shared| shared.with(rtt::forget)).await;
        if let Err(why) = forgotten {
            tracing::debug!("what is left of an RTT console is not taken away: {why}");
        }
        self.let_go();
    }

    /// Ends what goes on with the chip, and detaches from it.
    pub(super) fn let_go(&mut self) {
        self.console = None;
        self.shared.detach();
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Shared) -> Result<T, BoardError> + Send + 'static,
    ) -> Result<T, BoardError> {
        let shared = Arc::clone(&self.shared);
        let probe = shared.settings.select.to_string();
        let done = tokio::task::spawn_blocking(move || work(&shared)).await;
        done.unwrap_or_else(|panicked| {
            Err(BoardError::Probe { doing: "work with".to_owned(), probe, why: panicked.to_string() })
        })
    }
}
