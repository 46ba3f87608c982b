//! A serial port on another machine, behind an RFC 2217 server, as a pseudo-terminal here.
//!
//! espflash and the console take a terminal. So the bytes of the connection pass through a pty whose speed the server is
//! told, and DTR and RTS, which a pty has not, go to the server out of band.

mod bridge;
mod link;

use std::fmt;
use std::io;
use std::net::{TcpStream, ToSocketAddrs};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use virtual_esp32::rfc2217::ControlLine;

use super::BoardError;
use super::lines::ModemLines;
use bridge::Bridge;

/// How long a server may take to accept a connection.
const CONNECT: Duration = Duration::from_secs(10);

/// Where a server is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// Name or address of the host, without brackets.
    pub host: String,
    /// Port.
    pub port: u16,
    /// The server does not confirm modem lines: Espressif's esp_rfc2217_server plays reset sequences of its own in their
    /// place, at their first line, and answers nothing (its esp_port_manager.py).
    pub unconfirmed: bool,
}

/// How such a server is told in its address; pyserial's word for the same.
const UNCONFIRMED: &str = "ign_set_control";

/// What the scheme of such a port is called.
pub const SCHEME: &str = "rfc2217://";

impl Address {
    /// Reads `rfc2217://HOST:PORT`, and `?ign_set_control` after it; IPv6 addresses stand in brackets.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, BoardError> {
        let malformed = |why: &str| BoardError::Malformed {
            given: text.to_owned(),
            what: "RFC 2217 port",
            why: format!("{why}; write rfc2217://HOST:PORT"),
        };
        let rest = text.strip_prefix(SCHEME).ok_or_else(|| malformed("it has another scheme"))?;
        let (rest, query) = rest.split_once('?').map_or((rest, None), |(rest, query)| (rest, Some(query)));
        if query.is_some_and(|query| query != UNCONFIRMED) {
            return Err(malformed(
                "after the ? only ign_set_control may stand, for servers that confirm no modem lines",
            ));
        }
        let (host, port) = rest.rsplit_once(':').ok_or_else(|| malformed("the port is missing"))?;
        let port = port.parse().ok().filter(|port| *port > 0).ok_or_else(|| malformed("its port is no number"))?;
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        if bare.is_none() && host.contains(':') {
            return Err(malformed("an IPv6 address stands in brackets"));
        }
        let host = bare.unwrap_or(host);
        if host.is_empty() || host.contains(['/', '?', '@']) || host.contains(char::is_whitespace) {
            return Err(malformed("the host is missing or no name"));
        }
        Ok(Self { host: host.to_owned(), port, unconfirmed: query.is_some() })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "{SCHEME}[{}]:{}", self.host, self.port)?;
        } else {
            write!(f, "{SCHEME}{}:{}", self.host, self.port)?;
        }
        if self.unconfirmed { write!(f, "?{UNCONFIRMED}") } else { Ok(()) }
    }
}

/// An open port on another machine. Closed when the last one is dropped.
#[derive(Clone, Debug)]
pub struct RemotePort {
    address: Address,
    bridge: Arc<Bridge>,
}

impl RemotePort {
    /// Connects to a server that speaks RFC 2217.
    ///
    /// # Errors
    ///
    /// It is not there, refuses, or speaks something else.
    pub fn connect(address: &Address) -> Result<Self, BoardError> {
        let failed = |why: String| BoardError::Remote { address: address.to_string(), why };
        let stream = connect(address).map_err(|e| {
            failed(format!("{e}; is the server running there (ser2net, esp_rfc2217_server), and is that its port?"))
        })?;
        let bridge = Bridge::start(stream).map_err(|e| failed(e.to_string()))?;
        Ok(Self { address: address.clone(), bridge: Arc::new(bridge) })
    }

    /// The pty's end to open.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.bridge.path()
    }

    /// Why the connection ended, once it has.
    #[must_use]
    pub fn lost(&self) -> Option<BoardError> {
        let why = self.bridge.link().lost()?;
        Some(BoardError::Remote { address: self.address.to_string(), why })
    }

    /// Brings the server to the speed that is set on the pty, before anything that depends on it.
    ///
    /// # Errors
    ///
    /// The server does not confirm.
    pub fn settle(&self) -> io::Result<()> {
        self.bridge.link().settle()
    }

    /// Proves that the server is still there.
    ///
    /// # Errors
    ///
    /// It does not answer.
    pub fn alive(&self) -> Result<(), BoardError> {
        let why = |e: io::Error| BoardError::Remote { address: self.address.to_string(), why: e.to_string() };
        self.bridge.link().alive().map_err(why)
    }

    /// Throws away what the device said so far.
    ///
    /// # Errors
    ///
    /// The server does not confirm.
    pub fn purge(&self) -> io::Result<()> {
        self.bridge.link().purge()
    }
}

impl ModemLines for RemotePort {
    fn set_dtr(&mut self, asserted: bool) -> io::Result<()> {
        self.settle()?;
        self.bridge.link().control(ControlLine::Dtr.value(asserted), "DTR", self.address.unconfirmed)
    }

    fn set_rts(&mut self, asserted: bool) -> io::Result<()> {
        self.settle()?;
        self.bridge.link().control(ControlLine::Rts.value(asserted), "RTS", self.address.unconfirmed)
    }
}

fn connect(address: &Address) -> io::Result<TcpStream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
    for address in (address.host.as_str(), address.port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, CONNECT) {
            Ok(stream) => return Ok(stream),
            Err(e) => last = e,
        }
    }
    Err(last)
}

#[cfg(test)]
mod tests;
