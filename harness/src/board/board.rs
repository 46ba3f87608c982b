//! A board on a serial port: the same code for a real one and for the virtual one on its pty.

use virtual_time::Pipe;

use super::BoardError;
use super::console_port::ConsolePort;
use super::flasher::{ChipFacts, FlashOptions, Region, Session, Written};
use super::port::Port;
use super::reset::{BootMode, ResetLine};

/// How often download mode is tried: the first bytes after a reset may be lost to a bridge that wakes up.
const CONNECT_ATTEMPTS: u32 = 3;

/// A board.
pub struct Board {
    port: Port,
    reset: Box<dyn ResetLine>,
    options: FlashOptions,
    /// Counts console bytes of a board that shares the run's clock.
    from_board: Option<Pipe>,
    console: Option<ConsolePort>,
}

impl Board {
    /// A board on an open port with its reset line.
    #[must_use]
    pub fn new(port: Port, reset: Box<dyn ResetLine>, options: FlashOptions, from_board: Option<Pipe>) -> Self {
        Self { port, reset, options, from_board, console: None }
    }

    /// The port's path.
    #[must_use]
    pub fn path(&self) -> &str {
        self.port.path()
    }

    /// True when power can be cut.
    #[must_use]
    pub fn has_power(&self) -> bool {
        self.reset.has_power()
    }

    /// The console, where it is attached.
    #[must_use]
    pub fn console(&self) -> Option<&ConsolePort> {
        self.console.as_ref()
    }

    /// Puts the chip in download mode, does something with the flash tool on a blocking thread, and holds the chip in
    /// reset afterwards. A run's clock stands still meanwhile.
    ///
    /// # Errors
    ///
    /// The reset line, the connection, or what was done fails.
    pub async fn flash_session<T: Send + 'static>(
        &mut self,
        mut work: impl FnMut(&mut Session) -> Result<T, BoardError> + Send + 'static,
    ) -> Result<T, BoardError> {
        self.console = None;
        let mut attempt = 1;
        loop {
            self.reset.hold(&self.port).await?;
            self.reset.release(&self.port, BootMode::Download).await?;
            let tty = self.port.lend_blocking()?;
            let (path, options) = (self.port.path().to_owned(), self.options);
            let working = tokio::task::spawn_blocking(move || {
                let connected = Session::connect(tty, &path, options);
                let result = connected.map(|mut session| work(&mut session));
                (result, work)
            });
            let joined = working.await.map_err(|panicked| BoardError::Flash {
                doing: "flash".to_owned(),
                port: self.port.path().to_owned(),
                why: panicked.to_string(),
            })?;
            work = joined.1;
            match joined.0 {
                Ok(result) => {
                    self.reset.hold(&self.port).await?;
                    return result;
                }
                Err(error) if attempt == CONNECT_ATTEMPTS => return Err(error),
                Err(error) => {
                    tracing::debug!("attempt {attempt} to reach download mode: {error}");
                    attempt += 1;
                }
            }
        }
    }

    /// What the chip is.
    ///
    /// # Errors
    ///
    /// See [`Self::flash_session`].
    pub async fn facts(&mut self) -> Result<ChipFacts, BoardError> {
        self.flash_session(Session::facts).await
    }

    /// Writes regions; what is there already is left out.
    ///
    /// # Errors
    ///
    /// See [`Self::flash_session`].
    pub async fn write(&mut self, regions: Vec<Region>) -> Result<Written, BoardError> {
        self.flash_session(move |session| session.write(&regions)).await
    }

    /// Attaches the console while the chip is held in reset, then lets it run.
    ///
    /// # Errors
    ///
    /// The port or the reset line fails.
    pub async fn start(&mut self) -> Result<(), BoardError> {
        self.reset.hold(&self.port).await?;
        if self.console.is_none() {
            let fd = self.port.lend_console()?;
            let console = ConsolePort::attach(fd, self.from_board.clone()).map_err(|e| BoardError::Port {
                doing: "read",
                port: self.port.path().to_owned(),
                why: e.to_string(),
            })?;
            self.console = Some(console);
        }
        self.reset.release(&self.port, BootMode::Run).await
    }

    /// Holds the chip in reset.
    ///
    /// # Errors
    ///
    /// The reset line fails.
    pub async fn hold(&mut self) -> Result<(), BoardError> {
        self.reset.hold(&self.port).await
    }

    /// Takes the access point of the device's network away, or brings it back.
    ///
    /// # Errors
    ///
    /// See [`ResetLine::wifi`].
    pub async fn wifi(&mut self, in_reach: bool) -> Result<(), BoardError> {
        self.reset.wifi(&self.port, in_reach).await
    }

    /// Plans a power cut at a flash operation of the chip.
    ///
    /// # Errors
    ///
    /// See [`ResetLine::cut_power_at`].
    pub async fn cut_power_at(&mut self, plan: virtual_esp32::CutPlan) -> Result<(), BoardError> {
        self.reset.cut_power_at(&self.port, plan).await
    }

    /// Cuts or gives power.
    ///
    /// # Errors
    ///
    /// There is no switch, or it fails.
    pub async fn power(&mut self, on: bool) -> Result<(), BoardError> {
        self.reset.power(&self.port, on).await
    }
}
