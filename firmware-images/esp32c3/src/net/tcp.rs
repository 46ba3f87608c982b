//! The agent's network traits on the stack: TCP, names, and TLS's absence.

use core::convert::Infallible;
use core::future::poll_fn;
use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use core::task::Poll;

use embedded_io_async::{ErrorType, Read, Write};
use embedded_nal_async::{AddrType, Dns, TcpConnect};
use ota_agent::platform::{Secure, TlsFailure, Trust};
use ota_agent::socket::{SocketError, TLS_UNAVAILABLE};
use smoltcp::iface::SocketHandle;
use smoltcp::socket::{dns, tcp};

use super::Device;
use super::stack::Stack;
use crate::clock;

/// The network of this boot. Copies are the same network.
#[derive(Clone, Copy)]
pub(crate) struct Network(&'static Stack<Device>);

impl Network {
    pub(crate) fn new(stack: &'static Stack<Device>) -> Self {
        Self(stack)
    }

    /// Open sockets.
    pub(crate) fn open_sockets(self) -> u32 {
        self.0.turn(|turn| turn.open())
    }

    /// Waits for an address.
    pub(crate) async fn address(self) -> Ipv4Addr {
        poll_fn(|_| self.0.turn(|turn| turn.address().map_or(Poll::Pending, Poll::Ready))).await
    }

    /// Lets the stack work while the agent waits for something else.
    pub(crate) async fn run(self) -> Infallible {
        poll_fn(|_| {
            self.0.turn(|_| ());
            Poll::Pending
        })
        .await
    }
}

/// A TCP connection. Dropping it closes it.
pub(crate) struct Connection {
    network: Network,
    handle: SocketHandle,
    /// A write met the peer's RST; the next read tells.
    reset: bool,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.network.0.turn(|turn| turn.end(self.handle));
    }
}

impl TcpConnect for Network {
    type Error = SocketError;
    type Connection<'a> = Connection;

    async fn connect(&self, remote: SocketAddr) -> Result<Connection, SocketError> {
        let IpAddr::V4(host) = remote.ip() else { return Err(SocketError::HostUnreachable) };
        let begun = clock::uptime_us();
        let (handle, local) = self.0.turn(|turn| turn.begin(host, remote.port()))?;
        // From here on a caller that gives up closes it.
        let connection = Connection { network: *self, handle, reset: false };
        poll_fn(|_| self.0.turn(|turn| turn.connected(handle, local, begun).map_or(Poll::Pending, Poll::Ready)))
            .await?;
        Ok(connection)
    }
}

impl ErrorType for Connection {
    type Error = SocketError;
}

impl Connection {
    fn socket<R>(&self, look: impl FnOnce(&mut tcp::Socket<'static>) -> R) -> R {
        self.network.0.turn(|turn| look(turn.sockets.get_mut(self.handle)))
    }
}

impl Read for Connection {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, SocketError> {
        if buffer.is_empty() {
            return Ok(0);
        }
        if self.reset {
            return Err(SocketError::ConnectionReset);
        }
        poll_fn(|_| {
            self.socket(|socket| match socket.recv_slice(buffer) {
                Ok(0) => Poll::Pending,
                Ok(n) => Poll::Ready(Ok(n)),
                Err(tcp::RecvError::Finished) => Poll::Ready(Ok(0)),
                // The connection is gone without a FIN.
                Err(tcp::RecvError::InvalidState) => Poll::Ready(Err(SocketError::ConnectionReset)),
            })
        })
        .await
    }
}

impl Write for Connection {
    async fn write(&mut self, buffer: &[u8]) -> Result<usize, SocketError> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let written = poll_fn(|_| {
            self.socket(|socket| match socket.send_slice(buffer) {
                Ok(0) => Poll::Pending,
                other => Poll::Ready(other.ok()),
            })
        })
        .await;
        // lwIP takes the bytes before it hears of the peer's RST: measured with it on an emulated chip, a reset after the
        // accept shows in connect or in the first read, never in the write between.
        self.reset |= written.is_none();
        Ok(written.unwrap_or(buffer.len()))
    }

    async fn flush(&mut self) -> Result<(), SocketError> {
        // What was written is on its way; lwIP waits for no acknowledgement either.
        self.socket(|_| ());
        Ok(())
    }
}

/// A question that is taken back when nobody waits for its answer.
struct Question {
    network: Network,
    query: Option<dns::QueryHandle>,
}

impl Drop for Question {
    fn drop(&mut self) {
        if let Some(query) = self.query.take() {
            self.network.0.turn(|turn| turn.forget(query));
        }
    }
}

impl Dns for Network {
    type Error = SocketError;

    async fn get_host_by_name(&self, host: &str, addr_type: AddrType) -> Result<IpAddr, SocketError> {
        if addr_type == AddrType::IPv6 {
            return Err(SocketError::NameUnknown);
        }
        let query = self.0.turn(|turn| turn.ask(host)).ok_or(SocketError::NameUnknown)?;
        let mut question = Question { network: *self, query: Some(query) };
        let address = poll_fn(|_| self.0.turn(|turn| turn.answered(query).map_or(Poll::Pending, Poll::Ready))).await;
        // The socket has forgotten what it answered.
        question.query = None;
        address.map(IpAddr::V4)
    }

    async fn get_host_by_address(&self, _: IpAddr, _: &mut [u8]) -> Result<usize, SocketError> {
        Err(SocketError::NameUnknown)
    }
}

impl Secure for Network {
    /// There is no TLS in this body: it fails as mbedTLS does where a feature was not built in.
    async fn secure(&self, _: &mut Connection, _: &str, _: &Trust<'_>) -> Result<(), TlsFailure> {
        Err(TlsFailure { code: TLS_UNAVAILABLE, verification: None, errno: None })
    }
}
