//! What a scenario may ask of a board, however it is reached.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;

use super::BoardError;
use super::flash::FlashAccess;

/// What is done with a board's flash on a blocking thread. It may be called again after a failure to connect.
pub type FlashWork = Box<dyn FnMut(&mut dyn FlashAccess) -> Result<(), BoardError> + Send>;

/// What a console gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// So many bytes of the buffer.
    Bytes(usize),
    /// Nothing of the device: the line to it went away, or came back. What comes next does not continue what came before.
    Gap(String),
    /// Nothing of the device, but something of what it runs in that a reader must know. The console goes on as before.
    Note(String),
}

/// Where the cores of a halted processor stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inspection {
    /// Each core that runs.
    pub cores: Vec<CoreState>,
}

/// Where a core stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CoreState {
    /// Which core: 0 is the first.
    pub core: usize,
    /// Its program counter.
    pub counter: u64,
    /// The calls that led there, innermost first, each as an address inside the call instruction. Of a RISC-V core only
    /// the one in its return address register.
    pub callers: Vec<u64>,
    /// Words of a RISC-V core's stack, from its top: the other callers are among them.
    pub stack: Vec<u32>,
}

/// A board: what has a flash, a console and a reset line.
#[async_trait(?Send)]
pub trait Board {
    /// Where it is, for messages.
    fn place(&self) -> &str;

    /// True when power can be cut.
    fn has_power(&self) -> bool;

    /// Stops the chip, does something with its flash on a blocking thread, and holds the chip in reset afterwards. A
    /// run's clock stands still meanwhile. The console is let go.
    ///
    /// # Errors
    ///
    /// The reset line, the connection, or what was done fails.
    async fn with_flash(&mut self, work: FlashWork) -> Result<(), BoardError>;

    /// Attaches the console while the chip is held in reset, then lets it run.
    ///
    /// # Errors
    ///
    /// The console or the reset line fails.
    async fn start(&mut self) -> Result<(), BoardError>;

    /// Holds the chip in reset.
    ///
    /// # Errors
    ///
    /// The reset line fails.
    async fn hold(&mut self) -> Result<(), BoardError>;

    /// Cuts or gives power.
    ///
    /// # Errors
    ///
    /// There is no switch, or it fails.
    async fn power(&mut self, on: bool) -> Result<(), BoardError>;

    /// Waits for the console. Never returns while none is attached. Safe to drop: nothing is lost.
    ///
    /// # Errors
    ///
    /// The console is gone and does not come back.
    async fn read_console(&mut self, buffer: &mut [u8]) -> Result<Heard, BoardError>;

    /// Proves that the console is still attached to the device: silence of a line that is dead is not the device's. Waits
    /// for a port that is away.
    ///
    /// # Errors
    ///
    /// It is not, and does not come back.
    async fn alive(&mut self) -> Result<(), BoardError> {
        Ok(())
    }

    /// Writes to the device's console input.
    ///
    /// # Errors
    ///
    /// The console is gone, or none is attached.
    async fn write_console(&mut self, bytes: &[u8]) -> Result<(), BoardError>;

    /// Takes the access point of the device's network away, or brings it back. Only a virtual board can.
    ///
    /// # Errors
    ///
    /// This is no such board, or it does not answer.
    async fn wifi(&mut self, in_reach: bool) -> Result<(), BoardError> {
        let _ = in_reach;
        Err(self.unable("take its access point away", "only a virtual board's network is the rig's own"))
    }

    /// Plans a power cut at a flash operation of the chip. Only a virtual board can.
    ///
    /// # Errors
    ///
    /// This is no such board, or it does not answer.
    async fn cut_power_at(&mut self, plan: virtual_esp32::CutPlan) -> Result<(), BoardError> {
        let _ = plan;
        Err(self.unable("cut its power at a flash operation", "only a virtual board knows its own operations"))
    }

    /// Whether [`Self::inspect`] may be asked for.
    fn can_inspect(&self) -> bool {
        false
    }

    /// Halts the processor, says where it stands, and lets it go on. Its watchdogs may be off from then on.
    ///
    /// # Errors
    ///
    /// No debug probe is attached to it, or the probe fails.
    async fn inspect(&mut self) -> Result<Inspection, BoardError> {
        Err(self.unable("be halted", "no debug probe is configured for it"))
    }

    /// The error of a board that cannot do something at all.
    fn unable(&self, what: &'static str, why: &str) -> BoardError {
        BoardError::Unable { port: self.place().to_owned(), what, why: why.to_owned() }
    }
}

/// [`Board::with_flash`] with a result.
///
/// # Errors
///
/// As there.
pub async fn flash_session<T: Send + 'static>(
    board: &mut dyn Board,
    mut work: impl FnMut(&mut dyn FlashAccess) -> Result<T, BoardError> + Send + 'static,
) -> Result<T, BoardError> {
    let place: Arc<Mutex<Option<T>>> = Arc::default();
    let result = Arc::clone(&place);
    let work = Box::new(move |flash: &mut dyn FlashAccess| {
        *result.lock().unwrap_or_else(PoisonError::into_inner) = Some(work(flash)?);
        Ok(())
    });
    board.with_flash(work).await?;
    let done = place.lock().unwrap_or_else(PoisonError::into_inner).take();
    done.ok_or_else(|| board.unable("be flashed", "the flash session ended without doing its work"))
}
