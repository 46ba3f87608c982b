//! A board on a serial port: the same code for a real one and for the virtual one on its pty.

use std::time::Duration;

use async_trait::async_trait;
use esp_image::chip::ChipId;
use tokio::time::Instant;
use virtual_time::Pipe;

use super::BoardError;
use super::board::{Board, FlashWork, Heard};
use super::commands::Commands;
use super::console_port::ConsolePort;
use super::flasher::{FlashOptions, Session};
use super::identity::PortId;
use super::port::Port;
use super::probe::{Probe, ProbeSettings, ProbedBoard};
use super::reset::{BootMode, ResetLine, ResetMethod};

/// How often download mode is tried: the first bytes after a reset may be lost to a bridge that wakes up.
const CONNECT_ATTEMPTS: u32 = 3;

/// How long a port that went away is waited for. A USB device is there again within 2 s of its reset or of power; a hub
/// that was switched with it takes longer.
const AWAY: Duration = Duration::from_secs(15);
/// How often it is looked for.
const LOOK: Duration = Duration::from_millis(20);

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
    /// Its debug probe, where it has one.
    pub probe: Option<ProbeSettings>,
    /// The chip that the probe is told to expect.
    pub chip: ChipId,
}

impl Connection {
    /// The board, its port open.
    ///
    /// # Errors
    ///
    /// See [`Port::open`], [`ResetMethod::line`] and [`Probe::new`].
    pub fn open(&self) -> Result<Box<dyn Board>, BoardError> {
        // Without probe support nothing is to be opened.
        let probe = self.probe.as_ref().map(|settings| Probe::new(settings, self.chip)).transpose()?;
        let port = Port::open(&self.id, self.baud)?;
        let line = self.reset.line(&port, &self.commands, probe.as_ref())?;
        let board = SerialBoard::new(port, line, self.flash, None);
        Ok(match (probe, &self.probe) {
            (Some(probe), Some(settings)) => Box::new(ProbedBoard::new(board, probe, settings.clone())),
            _ => Box::new(board),
        })
    }
}

/// A board on a serial port.
pub struct SerialBoard {
    port: Port,
    reset: Box<dyn ResetLine>,
    options: FlashOptions,
    /// Counts console bytes of a board that shares the run's clock.
    from_board: Option<Pipe>,
    console: Console,
    /// False while power is cut: a port that goes away with it is not missed.
    powered: bool,
}

/// The console of a board.
enum Console {
    /// Not attached.
    Silent,
    /// Attached.
    Attached(ConsolePort),
    /// Its port went away.
    Away { since: Instant, why: String },
}

impl SerialBoard {
    /// A board on an open port with its reset line.
    #[must_use]
    pub fn new(port: Port, reset: Box<dyn ResetLine>, options: FlashOptions, from_board: Option<Pipe>) -> Self {
        Self { port, reset, options, from_board, console: Console::Silent, powered: true }
    }

    fn attach(&self) -> Result<ConsolePort, BoardError> {
        let fd = self.port.lend_console()?;
        ConsolePort::attach(fd, self.from_board.clone()).map_err(|e| BoardError::Port {
            doing: "read",
            port: self.port.path().to_owned(),
            why: e.to_string(),
        })
    }

    /// Lets the chip run with its console not attached: what it says then is nobody's.
    pub(super) async fn run_unheard(&mut self) -> Result<(), BoardError> {
        self.console = Console::Silent;
        self.back().await?;
        self.reset.hold(&self.port).await?;
        self.reset.release(&self.port, BootMode::Run).await
    }

    pub(super) async fn hold_after_flash(&mut self) -> Result<(), BoardError> {
        self.back().await?;
        self.reset.hold(&self.port).await
    }

    /// Waits until the port is there, where it is not. True when it had to be opened again.
    async fn back(&mut self) -> Result<bool, BoardError> {
        if self.port.is_there() {
            return Ok(false);
        }
        let since = Instant::now();
        loop {
            match self.port.reopen() {
                Ok(()) => return Ok(true),
                Err(why) => self.still_away(since, &why)?,
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Waits until a port that went away is there again, and attaches the console. Safe to drop.
    async fn look_for_port(&mut self, since: Instant) -> Result<Heard, BoardError> {
        loop {
            let away = since.elapsed();
            match self.port.reopen() {
                Ok(()) => {
                    self.console = Console::Attached(self.attach()?);
                    return Ok(Heard::Gap(format!(
                        "the console is back on {} after {:.3} s; what the device said meanwhile is lost",
                        self.port.path(),
                        away.as_secs_f64()
                    )));
                }
                Err(why) => self.still_away(since, &why)?,
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// An error once the port has been away for too long. udev may take a moment to give a new port to its group, so no
    /// reason is final before.
    fn still_away(&self, since: Instant, why: &BoardError) -> Result<(), BoardError> {
        if !self.powered || since.elapsed() < AWAY {
            return Ok(());
        }
        let why = match &self.console {
            Console::Away { why: how, .. } => format!("{how}; {why}"),
            _ => why.to_string(),
        };
        Err(BoardError::Away { port: self.port.id().to_string(), why, waited: AWAY })
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
        self.console = Console::Silent;
        let mut attempt = 1;
        loop {
            self.back().await?;
            self.reset.hold(&self.port).await?;
            self.reset.release(&self.port, BootMode::Download).await?;
            // A chip that is its own USB device may come back as another one in download mode.
            self.back().await?;
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
                // The tool's own words would tell of a port that does not answer.
                Ok(Err(_)) | Err(_) if self.port.lost().is_some() => {
                    return Err(self.port.lost().unwrap_or_else(|| self.unable("be flashed", "its port is gone")));
                }
                Ok(result) => {
                    // What was done matters more than a port that went away after it; that is told by the next use.
                    let held = self.hold_after_flash().await;
                    return result.and(held);
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
        if self.back().await? {
            self.console = Console::Silent;
        }
        self.reset.hold(&self.port).await?;
        if !matches!(self.console, Console::Attached(_)) {
            self.console = Console::Attached(self.attach()?);
        }
        self.reset.release(&self.port, BootMode::Run).await
    }

    async fn hold(&mut self) -> Result<(), BoardError> {
        self.reset.hold(&self.port).await
    }

    async fn power(&mut self, on: bool) -> Result<(), BoardError> {
        self.reset.power(&self.port, on).await?;
        self.powered = on;
        if let (true, Console::Away { since, .. }) = (on, &mut self.console) {
            *since = Instant::now();
        }
        Ok(())
    }

    async fn read_console(&mut self, buffer: &mut [u8]) -> Result<Heard, BoardError> {
        let why = match &self.console {
            Console::Silent => return std::future::pending().await,
            Console::Away { since, .. } => {
                let since = *since;
                return self.look_for_port(since).await;
            }
            Console::Attached(console) => match console.read(buffer).await {
                Ok(0) => "end of file".to_owned(),
                Ok(n) => return Ok(Heard::Bytes(n)),
                Err(e) => e.to_string(),
            },
        };
        let why = self.port.lost().map_or(why, |lost| lost.to_string());
        let note = format!("serial port {} is gone ({why}): looking for {}", self.port.path(), self.port.id());
        self.console = Console::Away { since: Instant::now(), why };
        self.port.close();
        Ok(Heard::Gap(note))
    }

    async fn alive(&mut self) -> Result<(), BoardError> {
        // With the power cut, a port is away by right.
        if !self.powered {
            return Ok(());
        }
        if let Console::Away { since, .. } = &self.console {
            let since = *since;
            self.look_for_port(since).await?;
        }
        self.port.alive()
    }

    async fn write_console(&mut self, bytes: &[u8]) -> Result<(), BoardError> {
        let failed = |why: String| BoardError::Port { doing: "write to", port: self.port.path().to_owned(), why };
        let Console::Attached(console) = &self.console else {
            return Err(failed("its console is not attached".to_owned()));
        };
        console.write_all(bytes).await.map_err(|e| failed(e.to_string()))
    }

    async fn wifi(&mut self, in_reach: bool) -> Result<(), BoardError> {
        self.reset.wifi(&self.port, in_reach).await
    }

    async fn cut_power_at(&mut self, plan: virtual_esp32::CutPlan) -> Result<(), BoardError> {
        self.reset.cut_power_at(&self.port, plan).await
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Write;
    use std::path::Path;

    use super::super::identity::PortId;
    use super::*;

    /// A reset line that does nothing: the device is the test.
    struct NoReset;

    #[async_trait(?Send)]
    impl ResetLine for NoReset {
        async fn hold(&mut self, _: &Port) -> Result<(), BoardError> {
            Ok(())
        }
        async fn release(&mut self, _: &Port, _: BootMode) -> Result<(), BoardError> {
            Ok(())
        }
        fn has_power(&self) -> bool {
            true
        }
        async fn power(&mut self, _: &Port, _: bool) -> Result<(), BoardError> {
            Ok(())
        }
    }

    /// A device's end of a port, with a link to the port: what udev does for a USB device.
    fn plug_in(link: &Path) -> File {
        use rustix::pty::OpenptFlags;
        let master = rustix::pty::openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).expect("pty");
        rustix::pty::grantpt(&master).expect("granted");
        rustix::pty::unlockpt(&master).expect("unlocked");
        let mut raw = rustix::termios::tcgetattr(&master).expect("settings");
        raw.make_raw();
        rustix::termios::tcsetattr(&master, rustix::termios::OptionalActions::Now, &raw).expect("raw");
        let name = rustix::pty::ptsname(&master, Vec::new()).expect("name");
        // A link is never missing where another one takes its place.
        let new = link.with_extension("new");
        std::os::unix::fs::symlink(name.to_str().expect("text"), &new).expect("link");
        std::fs::rename(&new, link).expect("moved");
        master.into()
    }

    /// The link goes first: the kernel gives the name that it points to away at once.
    fn unplug(device: File, link: &Path) {
        std::fs::remove_file(link).expect("link");
        drop(device);
    }

    async fn heard(board: &mut SerialBoard) -> Result<String, BoardError> {
        let mut buffer = [0; 64];
        Ok(match board.read_console(&mut buffer).await? {
            Heard::Bytes(n) => String::from_utf8_lossy(&buffer[..n]).into_owned(),
            Heard::Gap(note) | Heard::Note(note) => note,
        })
    }

    fn board(link: &Path) -> SerialBoard {
        let port = Port::open(&PortId::Path(link.display().to_string()), 115_200).expect("open");
        SerialBoard::new(port, Box::new(NoReset), FlashOptions::default(), None)
    }

    #[tokio::test]
    async fn console_goes_on_when_its_port_comes_back_under_another_name() {
        let folder = tempfile::tempdir().expect("folder");
        let link = folder.path().join("board");
        let mut device = plug_in(&link);
        let mut board = board(&link);
        board.start().await.expect("started");
        device.write_all(b"before ").expect("written");
        assert_eq!(heard(&mut board).await.expect("bytes"), "before ");
        // The new port is there before the old one is gone: its name is surely another.
        let mut again = plug_in(&link);
        drop(device);
        let gone = heard(&mut board).await.expect("a note");
        assert!(gone.contains("is gone"), "{gone}");
        let back = heard(&mut board).await.expect("a note");
        assert!(back.contains("the console is back on"), "{back}");
        again.write_all(b"after").expect("written");
        assert_eq!(heard(&mut board).await.expect("bytes"), "after");
    }

    #[tokio::test]
    async fn board_is_started_again_on_a_port_that_came_back_meanwhile() {
        let folder = tempfile::tempdir().expect("folder");
        let link = folder.path().join("board");
        let device = plug_in(&link);
        let mut board = board(&link);
        let mut again = plug_in(&link);
        drop(device);
        board.start().await.expect("started");
        again.write_all(b"boot").expect("written");
        assert_eq!(heard(&mut board).await.expect("bytes"), "boot");
    }

    #[tokio::test(start_paused = true)]
    async fn port_that_stays_away_is_an_error_that_says_so() {
        let folder = tempfile::tempdir().expect("folder");
        let link = folder.path().join("board");
        let device = plug_in(&link);
        let mut board = board(&link);
        board.start().await.expect("started");
        unplug(device, &link);
        assert!(heard(&mut board).await.expect("a note").contains("is gone"));
        let error = heard(&mut board).await.expect_err("away for too long").to_string();
        assert!(error.contains("did not come back within 15s"), "{error}");
    }

    #[tokio::test(start_paused = true)]
    async fn port_that_goes_with_its_power_is_not_missed() {
        let folder = tempfile::tempdir().expect("folder");
        let link = folder.path().join("board");
        let device = plug_in(&link);
        let mut board = board(&link);
        board.start().await.expect("started");
        board.power(false).await.expect("off");
        unplug(device, &link);
        assert!(heard(&mut board).await.expect("a note").contains("is gone"));
        tokio::time::timeout(AWAY * 10, heard(&mut board)).await.expect_err("nothing is told while power is off");
        let mut again = plug_in(&link);
        board.power(true).await.expect("on");
        assert!(heard(&mut board).await.expect("a note").contains("is back"));
        again.write_all(b"boot").expect("written");
        assert_eq!(heard(&mut board).await.expect("bytes"), "boot");
    }

    #[tokio::test(start_paused = true)]
    async fn line_that_is_away_at_the_end_is_told_where_it_stays_away() {
        let folder = tempfile::tempdir().expect("folder");
        let link = folder.path().join("board");
        let device = plug_in(&link);
        let mut board = board(&link);
        board.start().await.expect("started");
        board.alive().await.expect("there");
        unplug(device, &link);
        assert!(heard(&mut board).await.expect("a note").contains("is gone"));
        let again = plug_in(&link);
        board.alive().await.expect("back in time");
        unplug(again, &link);
        assert!(heard(&mut board).await.expect("a note").contains("is gone"));
        board.alive().await.expect_err("it stays away");
    }
}
