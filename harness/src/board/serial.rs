//! A board on a serial port: the same code for a real one and for the virtual one on its pty.

use async_trait::async_trait;
use virtual_time::Pipe;

use super::BoardError;
use super::board::{Board, FlashWork, Heard};
use super::commands::Commands;
use super::console_port::ConsolePort;
use super::flasher::{FlashOptions, Session};
use super::identity::PortId;
use super::port::Port;
use super::reset::{BootMode, ResetLine, ResetMethod};

/// How often download mode is tried: the first bytes after a reset may be lost to a bridge that wakes up.
const CONNECT_ATTEMPTS: u32 = 3;

/// How a board on a serial port is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    /// Which port.
    pub id: PortId,
    /// How it is reset.
    pub reset: ResetMethod,
    /// Shell commands for what the reset method cannot.
    pub commands: Commands,
    /// Baud rate of the console.
    pub baud: u32,
    /// How flashing is done.
    pub flash: FlashOptions,
}

impl Connection {
    /// The board, its port open.
    ///
    /// # Errors
    ///
    /// See [`Port::open`] and [`ResetMethod::line`].
    pub fn open(&self) -> Result<SerialBoard, BoardError> {
        let port = Port::open(&self.id, self.baud)?;
        let line = self.reset.line(&port, &self.commands)?;
        Ok(SerialBoard::new(port, line, self.flash, None))
    }
}

/// A board on a serial port.
pub struct SerialBoard {
    port: Port,
    reset: Box<dyn ResetLine>,
    options: FlashOptions,
    /// Counts console bytes of a board that shares the run's clock.
    from_board: Option<Pipe>,
    console: Option<ConsolePort>,
}

impl SerialBoard {
    /// A board on an open port with its reset line.
    #[must_use]
    pub fn new(port: Port, reset: Box<dyn ResetLine>, options: FlashOptions, from_board: Option<Pipe>) -> Self {
        Self { port, reset, options, from_board, console: None }
    }
}

#[async_trait(?Send)]
impl Board for SerialBoard {
    fn place(&self) -> &str {
        self.port.path()
    }

    fn has_power(&self) -> bool {
        self.reset.has_power()
    }

    async fn with_flash(&mut self, mut work: FlashWork) -> Result<(), BoardError> {
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

    async fn start(&mut self) -> Result<(), BoardError> {
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

    async fn hold(&mut self) -> Result<(), BoardError> {
        self.reset.hold(&self.port).await
    }

    async fn power(&mut self, on: bool) -> Result<(), BoardError> {
        self.reset.power(&self.port, on).await
    }

    async fn read_console(&mut self, buffer: &mut [u8]) -> Result<Heard, BoardError> {
        let Some(console) = &self.console else { return std::future::pending().await };
        let gone = |why: &str| BoardError::Port {
            doing: "read",
            port: self.port.path().to_owned(),
            why: format!("{why}; was the board unplugged?"),
        };
        match console.read(buffer).await {
            Ok(0) => Err(gone("it is gone")),
            Ok(n) => Ok(Heard::Bytes(n)),
            Err(e) => Err(gone(&e.to_string())),
        }
    }

    async fn write_console(&mut self, bytes: &[u8]) -> Result<(), BoardError> {
        let failed = |why: String| BoardError::Port { doing: "write to", port: self.port.path().to_owned(), why };
        let console = self.console.as_ref().ok_or_else(|| failed("its console is not attached".to_owned()))?;
        console.write_all(bytes).await.map_err(|e| failed(e.to_string()))
    }

    async fn wifi(&mut self, in_reach: bool) -> Result<(), BoardError> {
        self.reset.wifi(&self.port, in_reach).await
    }

    async fn cut_power_at(&mut self, plan: virtual_esp32::CutPlan) -> Result<(), BoardError> {
        self.reset.cut_power_at(&self.port, plan).await
    }
}
