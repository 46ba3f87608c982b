//! The serial port: opened once for a run, and lent to the flash tool and to the console in turn.

use std::io;
use std::os::fd::{AsFd, FromRawFd, IntoRawFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use rustix::fs::OFlags;
use serialport::{ErrorKind, TTYPort};

use super::BoardError;
use super::identity::PortId;
use super::ports;

/// Baud rate of the ROM and of ESP-IDF's console unless configured otherwise.
pub const DEFAULT_BAUD: u32 = 115_200;

/// An open serial port, held exclusively.
#[derive(Debug)]
pub struct Port {
    path: String,
    fd: OwnedFd,
    baud: u32,
}

impl Port {
    /// Opens a port at a baud rate, exclusively. Opening asserts DTR and RTS together on Linux, which the auto-reset
    /// circuit reads as "neither": a running board keeps running.
    ///
    /// # Errors
    ///
    /// No such port, in use, no permission, or no serial port at all.
    pub fn open(id: &PortId, baud: u32) -> Result<Self, BoardError> {
        let path = match id {
            PortId::Path(path) => path.clone(),
            PortId::Usb { .. } => id.resolve(&ports::attached())?,
        };
        if !Path::new(&path).exists() {
            return Err(BoardError::NoSuchPort { port: path, hint: ports::told(&ports::attached()) });
        }
        let builder = serialport::new(path.clone(), baud).timeout(Duration::from_secs(3));
        let tty = TTYPort::open(&builder).map_err(|error| open_error(&path, &error))?;
        Ok(Self { path, fd: into_owned(tty), baud })
    }

    /// The path.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The console's baud rate.
    #[must_use]
    pub fn baud(&self) -> u32 {
        self.baud
    }

    /// The port for blocking use by espflash, at the ROM's baud rate. It shares the open port: close it before the
    /// console reads again.
    ///
    /// # Errors
    ///
    /// The operating system's error.
    pub fn lend_blocking(&self) -> Result<TTYPort, BoardError> {
        let lend = || -> io::Result<TTYPort> {
            let fd = rustix::io::fcntl_dupfd_cloexec(&self.fd, 3)?;
            rustix::fs::fcntl_setfl(&fd, OFlags::empty())?;
            let mut tty = from_owned(fd);
            serialport::SerialPort::set_baud_rate(&mut tty, DEFAULT_BAUD)?;
            Ok(tty)
        };
        lend().map_err(|e| self.error("prepare", &e))
    }

    /// The port for the console: non-blocking, at the console's baud rate, with what was left in it thrown away.
    ///
    /// # Errors
    ///
    /// The operating system's error.
    pub fn lend_console(&self) -> Result<OwnedFd, BoardError> {
        let lend = || -> io::Result<OwnedFd> {
            let fd = rustix::io::fcntl_dupfd_cloexec(&self.fd, 3)?;
            rustix::fs::fcntl_setfl(&fd, OFlags::NONBLOCK)?;
            let mut settings = rustix::termios::tcgetattr(&fd)?;
            settings.set_speed(self.baud)?;
            rustix::termios::tcsetattr(&fd, rustix::termios::OptionalActions::Now, &settings)?;
            rustix::termios::tcflush(&fd, rustix::termios::QueueSelector::IFlush)?;
            drain(&fd)?;
            Ok(fd)
        };
        lend().map_err(|e| self.error("read", &e))
    }

    fn error(&self, doing: &'static str, error: &io::Error) -> BoardError {
        BoardError::Port { doing, port: self.path.clone(), why: error.to_string() }
    }
}

/// Reads until nothing is left. On Linux a read of an empty tty first waits for the kernel's delivery worker, so bytes
/// that were written before are seen.
fn drain(fd: &impl AsFd) -> io::Result<()> {
    let mut waste = [0; 1024];
    loop {
        match rustix::io::read(fd, &mut waste) {
            Ok(0) | Err(rustix::io::Errno::AGAIN) => return Ok(()),
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(e) => return Err(e.into()),
        }
    }
}

fn open_error(path: &str, error: &serialport::Error) -> BoardError {
    let port = path.to_owned();
    let words = error.to_string();
    match error.kind() {
        ErrorKind::Io(io::ErrorKind::PermissionDenied) => BoardError::Permission { port },
        ErrorKind::Io(io::ErrorKind::ResourceBusy) => BoardError::InUse { port },
        ErrorKind::NoDevice if words.contains("lock") || words.contains("busy") => BoardError::InUse { port },
        _ if words.contains("exclusive lock") || words.contains("busy") => BoardError::InUse { port },
        _ if words.contains("Permission denied") => BoardError::Permission { port },
        _ => BoardError::Port {
            doing: "open",
            port,
            why: format!("{words}; is it a serial port? A board shows as /dev/ttyUSB* or /dev/ttyACM*"),
        },
    }
}

#[expect(unsafe_code, reason = "serialport's port gives its descriptor only as a raw number")]
fn into_owned(tty: TTYPort) -> OwnedFd {
    // SAFETY: `into_raw_fd` gives up ownership of an open descriptor, which this takes over.
    unsafe { OwnedFd::from_raw_fd(tty.into_raw_fd()) }
}

#[expect(unsafe_code, reason = "serialport's port takes a descriptor only as a raw number")]
fn from_owned(fd: OwnedFd) -> TTYPort {
    // SAFETY: `into_raw_fd` gives up ownership of an open descriptor, which the port takes over.
    unsafe { TTYPort::from_raw_fd(fd.into_raw_fd()) }
}
