//! The serial port: opened once for a run, and lent to the flash tool and to the console in turn.

use std::io;
use std::os::fd::{AsFd, FromRawFd, IntoRawFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags};
use rustix::fs::OFlags;
use rustix::termios::ControlModes;
use serialport::{ErrorKind, TTYPort};

use super::BoardError;
use super::identity::PortId;
use super::lines::ModemLines;
use super::ports::{self, AttachedPort};
use super::rfc2217::RemotePort;

/// Baud rate of the ROM and of ESP-IDF's console unless configured otherwise.
pub const DEFAULT_BAUD: u32 = 115_200;

/// A serial port, held exclusively while it is open. It can be opened again where a USB device came back under another
/// name.
#[derive(Debug)]
pub struct Port {
    id: PortId,
    path: String,
    /// The USB device behind it, where there is one: what comes back under another name is known by it, and what takes
    /// its name meanwhile is not mistaken for it.
    device: Option<String>,
    /// Nothing while the port is gone.
    fd: Option<OwnedFd>,
    /// The connection behind the pty, where the port is on another machine.
    remote: Option<RemotePort>,
    baud: u32,
}

impl Port {
    /// Opens a port at a baud rate, exclusively.
    ///
    /// A running board keeps running. Linux asserts DTR and RTS together when a port is opened (`tty_port_raise_dtr_rts`),
    /// which the auto-reset circuit and USB-Serial-JTAG both read as "neither": EN and IO0 stay high. When a port is closed
    /// Linux drops both, one after the other with some drivers, and RTS alone would be a reset; so HUPCL is taken away as
    /// soon as it is open, and closing it leaves the lines as they are.
    ///
    /// # Errors
    ///
    /// No such port, in use, no permission, or no serial port at all.
    pub fn open(id: &PortId, baud: u32) -> Result<Self, BoardError> {
        if let PortId::Rfc2217(address) = id {
            let remote = RemotePort::connect(address)?;
            let pty = remote.path().display().to_string();
            let port = Self::open_path(id, pty, None, baud, &[])?;
            return Ok(Self { path: id.to_string(), remote: Some(remote), ..port });
        }
        if let PortId::Labgrid(place) = id {
            let why = "its place was not acquired before".to_owned();
            return Err(BoardError::Port { doing: "open", port: place.to_string(), why });
        }
        let attached = ports::attached();
        let path = id.resolve(&attached)?;
        let device = id.board(&attached).filter(|board| *board != path && board.starts_with("usb:"));
        Self::open_path(id, path, device, baud, &attached)
    }

    fn open_path(
        id: &PortId,
        path: String,
        device: Option<String>,
        baud: u32,
        attached: &[AttachedPort],
    ) -> Result<Self, BoardError> {
        if !Path::new(&path).exists() {
            return Err(BoardError::NoSuchPort { port: path, hint: ports::told(attached) });
        }
        let builder = serialport::new(path.clone(), baud).timeout(Duration::from_secs(3));
        let tty = TTYPort::open(&builder).map_err(|error| open_error(&path, &error))?;
        let fd = into_owned(tty);
        keep_lines_at_close(&fd).map_err(|e| BoardError::Port {
            doing: "prepare",
            port: path.clone(),
            why: e.to_string(),
        })?;
        Ok(Self { id: id.clone(), path, device, fd: Some(fd), remote: None, baud })
    }

    /// Lets go of a port that is gone: Linux gives its name to another device only then.
    pub fn close(&mut self) {
        self.fd = None;
        self.remote = None;
    }

    /// Opens it again, under whatever name its identity has now.
    ///
    /// # Errors
    ///
    /// As [`Self::open`]; the port stays closed then.
    pub fn reopen(&mut self) -> Result<(), BoardError> {
        self.close();
        if matches!(self.id, PortId::Rfc2217(_)) {
            *self = Self::open(&self.id, self.baud)?;
            return Ok(());
        }
        let attached = ports::attached();
        let path = match &self.device {
            None => self.id.resolve(&attached)?,
            Some(device) => {
                let same = attached.iter().find(|port| port.identity().as_ref() == Some(device));
                let away = || BoardError::NoSuchPort { port: device.clone(), hint: ports::told(&attached) };
                same.ok_or_else(away)?.path.clone()
            }
        };
        *self = Self::open_path(&self.id, path, self.device.clone(), self.baud, &attached)?;
        Ok(())
    }

    /// True while it is open and its device is there.
    #[must_use]
    pub fn is_there(&self) -> bool {
        let Some(fd) = &self.fd else { return false };
        let mut polled = [PollFd::new(fd, PollFlags::IN)];
        let now = rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 };
        match rustix::event::poll(&mut polled, Some(&now)) {
            Ok(_) => !polled[0].revents().intersects(PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL),
            // An interrupted look tells nothing: the next use will.
            Err(_) => true,
        }
    }

    /// The modem lines, to be driven on a blocking thread.
    ///
    /// # Errors
    ///
    /// The operating system's error.
    pub fn lines(&self) -> Result<Box<dyn ModemLines + Send>, BoardError> {
        Ok(match &self.remote {
            Some(remote) => Box::new(remote.clone()),
            None => Box::new(self.lend_blocking()?),
        })
    }

    /// Proves that the way to a port on another machine is still there; a local one is watched by the kernel.
    ///
    /// # Errors
    ///
    /// Its server does not answer.
    pub fn alive(&self) -> Result<(), BoardError> {
        self.remote.as_ref().map_or(Ok(()), RemotePort::alive)
    }

    /// Why the connection to a port on another machine ended, where it did.
    #[must_use]
    pub fn lost(&self) -> Option<BoardError> {
        self.remote.as_ref().and_then(RemotePort::lost)
    }

    fn open_fd(&self) -> io::Result<&OwnedFd> {
        self.fd.as_ref().ok_or_else(|| io::Error::new(io::ErrorKind::NotConnected, "it is gone"))
    }

    /// As it was named.
    #[must_use]
    pub fn id(&self) -> &PortId {
        &self.id
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
            let fd = rustix::io::fcntl_dupfd_cloexec(self.open_fd()?, 3)?;
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
            let fd = rustix::io::fcntl_dupfd_cloexec(self.open_fd()?, 3)?;
            rustix::fs::fcntl_setfl(&fd, OFlags::NONBLOCK)?;
            let mut settings = rustix::termios::tcgetattr(&fd)?;
            settings.set_speed(self.baud)?;
            rustix::termios::tcsetattr(&fd, rustix::termios::OptionalActions::Now, &settings)?;
            if let Some(remote) = &self.remote {
                remote.settle()?;
                remote.purge()?;
            }
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

/// Which group the port belongs to, so that the right one is told: dialout on Debian, uucp on Arch, plugdev by some udev
/// rules.
fn permission(port: String) -> BoardError {
    let group = std::fs::metadata(&port).ok().map(|file| std::os::unix::fs::MetadataExt::gid(&file));
    let groups = std::fs::read_to_string("/etc/group").unwrap_or_default();
    let group = group.filter(|gid| *gid != 0).and_then(|gid| group_name(&groups, gid));
    BoardError::Permission { port, group }
}

/// The name of a group, of the text of /etc/group (`man 5 group`: name, password, number, members).
fn group_name(groups: &str, gid: u32) -> Option<String> {
    groups.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(gid)).then(|| name.to_owned())
    })
}

fn keep_lines_at_close(fd: &OwnedFd) -> io::Result<()> {
    let mut settings = rustix::termios::tcgetattr(fd)?;
    settings.control_modes.remove(ControlModes::HUPCL);
    rustix::termios::tcsetattr(fd, rustix::termios::OptionalActions::Now, &settings)?;
    Ok(())
}

fn open_error(path: &str, error: &serialport::Error) -> BoardError {
    let port = path.to_owned();
    let words = error.to_string();
    match error.kind() {
        ErrorKind::Io(io::ErrorKind::PermissionDenied) => permission(port),
        ErrorKind::Io(io::ErrorKind::ResourceBusy) => BoardError::InUse { port },
        ErrorKind::NoDevice if words.contains("lock") || words.contains("busy") => BoardError::InUse { port },
        _ if words.contains("exclusive lock") || words.contains("busy") => BoardError::InUse { port },
        _ if words.contains("Permission denied") => permission(port),
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

#[cfg(test)]
mod tests {
    use super::*;

    fn pty() -> (OwnedFd, PortId) {
        use rustix::pty::OpenptFlags;
        let master = rustix::pty::openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a pty");
        rustix::pty::grantpt(&master).expect("granted");
        rustix::pty::unlockpt(&master).expect("unlocked");
        let name = rustix::pty::ptsname(&master, Vec::new()).expect("a name");
        let id = PortId::Path(name.to_str().expect("text").to_owned());
        (master, id)
    }

    #[test]
    fn closing_leaves_the_lines_alone() {
        let (_master, id) = pty();
        let port = Port::open(&id, DEFAULT_BAUD).expect("open");
        let settings = rustix::termios::tcgetattr(port.fd.as_ref().expect("open")).expect("settings");
        assert!(!settings.control_modes.contains(ControlModes::HUPCL));
    }

    #[test]
    fn port_whose_device_is_gone_is_not_there() {
        let (master, id) = pty();
        let mut port = Port::open(&id, DEFAULT_BAUD).expect("open");
        assert!(port.is_there());
        drop(master);
        assert!(!port.is_there());
        port.close();
        assert!(port.lend_console().expect_err("closed").to_string().contains("it is gone"));
    }

    #[test]
    fn group_is_found_by_its_number() {
        let groups = "root:x:0:\ndialout:x:20:anna,bert\nuucp:x:986:\n";
        assert_eq!(group_name(groups, 20).as_deref(), Some("dialout"));
        assert_eq!(group_name(groups, 986).as_deref(), Some("uucp"));
        assert_eq!(group_name(groups, 5), None);
        let told = BoardError::Permission { port: "/dev/ttyACM0".to_owned(), group: Some("uucp".to_owned()) };
        assert!(told.to_string().contains("sudo usermod -aG uucp $USER"), "{told}");
        let told = BoardError::Permission { port: "/dev/ttyACM0".to_owned(), group: None };
        assert!(told.to_string().contains("udev rule"), "{told}");
    }
}
