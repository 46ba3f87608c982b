//! The thread between a server and a pty: one loop over both, so that a console that nobody reads holds nothing else up.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::OFlags;
use rustix::pty::OpenptFlags;
use rustix::termios::OptionalActions;
use virtual_esp32::rfc2217::frame::{
    BINARY, COM_PORT, DO, DONT, Frame, Framer, IAC, SERVER, SET_BAUDRATE, SET_CONTROL, SET_DATASIZE, SET_PARITY,
    SET_STOPSIZE, SUPPRESS_GO_AHEAD, WILL, WONT, com_port, escape,
};

use super::link::Link;

/// The pty's speed is looked at so often where nothing else happens. A tool that changes it waits some 50 ms before it
/// sends (espflash, esptool), and what it sends is held back until the server has confirmed.
const LOOK: Timespec = Timespec { tv_sec: 0, tv_nsec: 5_000_000 };
/// How long a server may take to agree to COM-PORT-OPTION, or to confirm a speed.
const AGREE: Duration = Duration::from_secs(5);
/// A server from which nothing came for so long is asked for something: a machine that vanished closes no connection.
const SILENCE: Duration = Duration::from_secs(2);
/// Bytes of the device kept while nobody reads: some 20 s at 115200 baud. A serial driver drops what is too much, too.
const KEPT: usize = 256 * 1024;
/// Answers kept for whoever waits for one.
const ANSWERS: usize = 16;

/// The pty and the thread behind it.
#[derive(Debug)]
pub(super) struct Bridge {
    link: Arc<Link>,
    path: PathBuf,
    thread: Option<JoinHandle<()>>,
}

impl Bridge {
    /// Agrees on the option with the server, makes a pty, and starts.
    pub(super) fn start(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        let mut wire = Wire { stream, framer: Framer::default(), out: Vec::new(), answered: Vec::new() };
        let early = wire.agree()?;
        let (master, keep, path) = pty()?;
        let (woken, wake) = io::pipe()?;
        let (woken, wake) = (OwnedFd::from(woken), OwnedFd::from(wake));
        rustix::fs::fcntl_setfl(&woken, OFlags::NONBLOCK)?;
        rustix::fs::fcntl_setfl(&wake, OFlags::NONBLOCK)?;
        let link = Arc::new(Link::new(wake));
        for (command, value) in [(SET_DATASIZE, 8), (SET_PARITY, 1), (SET_STOPSIZE, 1), (SET_CONTROL, 1)] {
            wire.out.extend(com_port(command, &[value]));
        }
        wire.stream.set_nonblocking(true)?;
        let relay = Relay {
            wire,
            master,
            woken,
            link: Arc::clone(&link),
            to_pty: early,
            asked: None,
            heard: Instant::now(),
            probed: None,
        };
        let thread = std::thread::Builder::new().name("rfc2217".to_owned()).spawn(move || {
            relay.run();
            // Held until here: a pty that nobody has open would read as hung up.
            drop(keep);
        })?;
        Ok(Self { link, path, thread: Some(thread) })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn link(&self) -> &Link {
        &self.link
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        self.link.close();
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has nothing left to close.
            let _ = thread.join();
        }
    }
}

/// A pty in raw mode: its master, non-blocking, an open slave, and the slave's path.
fn pty() -> io::Result<(OwnedFd, OwnedFd, PathBuf)> {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let master = rustix::pty::openpt(flags)?;
    rustix::pty::grantpt(&master)?;
    rustix::pty::unlockpt(&master)?;
    let name = rustix::pty::ptsname(&master, Vec::new())?;
    let path = PathBuf::from(name.to_string_lossy().into_owned());
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let slave = rustix::fs::open(&path, flags, rustix::fs::Mode::empty())?;
    let mut raw = rustix::termios::tcgetattr(&slave)?;
    raw.make_raw();
    rustix::termios::tcsetattr(&slave, OptionalActions::Now, &raw)?;
    rustix::fs::fcntl_setfl(&master, OFlags::RDWR | OFlags::NONBLOCK)?;
    Ok((master, slave, path))
}

/// The connection to the server.
struct Wire {
    stream: TcpStream,
    framer: Framer,
    /// Bytes not sent yet.
    out: Vec<u8>,
    answered: Vec<(u8, u8)>,
}

impl Wire {
    /// Offers the option and waits until the server agrees; what the device said meanwhile is returned.
    fn agree(&mut self) -> io::Result<Vec<u8>> {
        let offers =
            [(WILL, COM_PORT), (WILL, BINARY), (DO, BINARY), (WILL, SUPPRESS_GO_AHEAD), (DO, SUPPRESS_GO_AHEAD)];
        for (verb, option) in offers {
            self.out.extend([IAC, verb, option]);
            self.answered.push((verb, option));
        }
        let until = Instant::now() + AGREE;
        let mut data = Vec::new();
        let mut buffer = [0; 1024];
        loop {
            let out = std::mem::take(&mut self.out);
            self.stream.write_all(&out)?;
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(foreign("it does not answer the offer of COM-PORT-OPTION"));
            }
            self.stream.set_read_timeout(Some(left))?;
            let n = match self.stream.read(&mut buffer) {
                Ok(0) => {
                    return Err(io::Error::new(
                        io::ErrorKind::UnexpectedEof,
                        "the server closed the connection at once: does another client hold the port?",
                    ));
                }
                Ok(n) => n,
                Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => 0,
                Err(e) => return Err(e),
            };
            let mut agreed = false;
            for byte in &buffer[..n] {
                match self.framer.push(*byte) {
                    Some(Frame::Data(byte)) => data.push(byte),
                    Some(Frame::Negotiation(DO, COM_PORT)) => agreed = true,
                    Some(Frame::Negotiation(DONT, COM_PORT)) => {
                        return Err(foreign("it refuses COM-PORT-OPTION"));
                    }
                    Some(Frame::Negotiation(verb, option)) => self.negotiate(verb, option),
                    Some(Frame::Sub(_)) | None => {}
                }
            }
            if agreed {
                return Ok(data);
            }
        }
    }

    /// Agrees to what is known, refuses the rest, each once: two polite ends would talk for ever.
    fn negotiate(&mut self, verb: u8, option: u8) {
        let known = matches!(option, BINARY | SUPPRESS_GO_AHEAD | COM_PORT);
        let answer = match (verb, known) {
            (WILL, true) => DO,
            (WILL, false) => DONT,
            (DO, true) => WILL,
            (DO, false) => WONT,
            _ => return,
        };
        if !self.answered.contains(&(answer, option)) {
            self.answered.push((answer, option));
            self.out.extend([IAC, answer, option]);
        }
    }
}

fn foreign(what: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!(
            "{what}, so it cannot be told speeds and modem lines; with ser2net write `accepter: telnet(rfc2217),PORT`, and \
             see docs/remote-boards.md"
        ),
    )
}

/// The loop's state.
struct Relay {
    wire: Wire,
    master: OwnedFd,
    woken: OwnedFd,
    link: Arc<Link>,
    /// Bytes of the device that the pty did not take yet.
    to_pty: Vec<u8>,
    /// A speed that the server was asked for and did not confirm yet, and since when.
    asked: Option<(u32, Instant)>,
    /// When anything came from the server last.
    heard: Instant,
    /// Since when it owes an answer to a question that was asked for no other reason.
    probed: Option<Instant>,
}

impl Relay {
    fn run(mut self) {
        let why = match self.pass() {
            Ok(()) => "it was closed".to_owned(),
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => "the server dropped the connection".to_owned(),
            Err(e) => format!("the connection broke: {e}"),
        };
        self.link.state().lost = Some(why);
        self.link.tell();
    }

    /// Until the board's side closes it.
    fn pass(&mut self) -> io::Result<()> {
        let mut buffer = vec![0; 16 * 1024];
        loop {
            if !self.take_orders()? {
                return Ok(());
            }
            self.probe()?;
            self.send()?;
            self.give()?;
            let mut tcp = PollFlags::IN;
            if !self.wire.out.is_empty() {
                tcp |= PollFlags::OUT;
            }
            let mut pty = PollFlags::empty();
            // What was written after a change of speed waits for the change.
            if self.asked.is_none() && self.wire.out.is_empty() {
                pty |= PollFlags::IN;
            }
            if !self.to_pty.is_empty() {
                pty |= PollFlags::OUT;
            }
            let mut fds = [
                PollFd::new(&self.wire.stream, tcp),
                PollFd::new(&self.master, pty),
                PollFd::new(&self.woken, PollFlags::IN),
            ];
            match poll(&mut fds, Some(&LOOK)) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(e) => return Err(e.into()),
            }
            let (from_server, from_pty) = (!fds[0].revents().is_empty(), fds[1].revents().contains(PollFlags::IN));
            if !fds[2].revents().is_empty() {
                while rustix::io::read(&self.woken, &mut buffer[..64]).is_ok_and(|n| n > 0) {}
            }
            if from_server {
                self.receive(&mut buffer)?;
            }
            if from_pty {
                // The speed first: bytes that follow its change must not overtake it.
                self.follow_speed()?;
                if self.asked.is_none() {
                    self.collect(&mut buffer)?;
                }
            }
        }
    }

    /// Takes what the board's side wants. False when it is gone.
    fn take_orders(&mut self) -> io::Result<bool> {
        self.follow_speed()?;
        let link = Arc::clone(&self.link);
        let mut state = link.state();
        if state.closed {
            return Ok(false);
        }
        for order in state.orders.drain(..) {
            self.wire.out.extend(order);
        }
        if state.purge {
            self.to_pty.clear();
            state.purge = false;
        }
        state.looks += 1;
        drop(state);
        link.tell();
        Ok(true)
    }

    /// Asks the server for the speed that is set on the pty, where that is another.
    fn follow_speed(&mut self) -> io::Result<()> {
        // On Linux a master tells the settings of its slave.
        let wanted = rustix::termios::tcgetattr(&self.master)?.output_speed();
        let mut state = self.link.state();
        state.wanted = wanted;
        match self.asked {
            Some((_, since)) if since.elapsed() > AGREE => {
                return Err(io::Error::new(
                    io::ErrorKind::TimedOut,
                    format!("the server does not confirm a speed of {wanted} baud"),
                ));
            }
            None if wanted != state.speed && wanted > 0 => {
                self.asked = Some((wanted, Instant::now()));
                self.wire.out.extend(com_port(SET_BAUDRATE, &wanted.to_be_bytes()));
            }
            _ => {}
        }
        Ok(())
    }

    /// Asks a silent server for its data size, which changes nothing (RFC 2217: a value of 0 asks).
    fn probe(&mut self) -> io::Result<()> {
        match self.probed {
            Some(since) if since.elapsed() > AGREE => Err(io::Error::new(
                io::ErrorKind::TimedOut,
                format!("the server has not answered for {AGREE:?}: is its machine still there?"),
            )),
            None if self.heard.elapsed() > SILENCE => {
                self.probed = Some(Instant::now());
                self.wire.out.extend(com_port(SET_DATASIZE, &[0]));
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn send(&mut self) -> io::Result<()> {
        while !self.wire.out.is_empty() {
            match self.wire.stream.write(&self.wire.out) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(n) => drop(self.wire.out.drain(..n)),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => break,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    fn give(&mut self) -> io::Result<()> {
        while !self.to_pty.is_empty() {
            match rustix::io::write(&self.master, &self.to_pty) {
                Ok(n) => drop(self.to_pty.drain(..n)),
                Err(rustix::io::Errno::AGAIN) => break,
                Err(rustix::io::Errno::INTR) => {}
                Err(e) => return Err(e.into()),
            }
        }
        Ok(())
    }

    /// From the pty to the server.
    fn collect(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        match rustix::io::read(&self.master, &mut *buffer) {
            Ok(n) => self.wire.out.extend(escape(&buffer[..n])),
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => {}
            Err(e) => return Err(e.into()),
        }
        Ok(())
    }

    /// From the server: data, and its answers.
    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        let n = match self.wire.stream.read(buffer) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(n) => n,
            Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => return Ok(()),
            Err(e) => return Err(e),
        };
        (self.heard, self.probed) = (Instant::now(), None);
        for byte in &buffer[..n] {
            match self.wire.framer.push(*byte) {
                Some(Frame::Data(byte)) if self.to_pty.len() < KEPT => self.to_pty.push(byte),
                Some(Frame::Negotiation(verb, option)) => self.wire.negotiate(verb, option),
                Some(Frame::Sub(content)) => self.answer(&content)?,
                Some(Frame::Data(_)) | None => {}
            }
        }
        Ok(())
    }

    fn answer(&mut self, content: &[u8]) -> io::Result<()> {
        let [COM_PORT, command, value @ ..] = content else { return Ok(()) };
        let Some(command) = command.checked_sub(SERVER) else { return Ok(()) };
        let mut state = self.link.state();
        if command == SET_BAUDRATE {
            if let Some((wanted, _)) = self.asked.take() {
                let set = value.try_into().map_or(0, u32::from_be_bytes);
                // A UART's divider may miss the speed by a little; more than 3 % is not understood any more.
                if set.abs_diff(wanted) > wanted / 33 {
                    return Err(io::Error::new(
                        io::ErrorKind::InvalidData,
                        format!("the server sets {set} baud in place of {wanted}: its port cannot do that speed"),
                    ));
                }
                state.speed = wanted;
            }
        } else {
            state.answers.push((command, value.to_vec()));
            // Notifications that nobody waits for.
            if state.answers.len() > ANSWERS {
                state.answers.remove(0);
            }
        }
        drop(state);
        self.link.tell();
        Ok(())
    }
}
