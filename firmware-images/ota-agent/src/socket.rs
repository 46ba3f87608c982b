//! What goes wrong with a socket, as lwIP tells it. The one place where its errno numbers stand: bodies on the host and
//! on a chip turn what their own network says into one of these.

use embedded_io::ErrorKind;

use crate::platform::Errno;

/// Most sockets at a time (ESP-IDF's default of `CONFIG_LWIP_MAX_SOCKETS`).
pub const MAX_SOCKETS: u32 = 10;
/// lwIP gives up on an address that does not answer ARP after five requests, one a second (`ARP_MAXPENDING`).
pub const ARP_GIVES_UP_MS: u32 = 5000;
/// lwIP's receive window of a socket in bytes (ESP-IDF's default of `CONFIG_LWIP_TCP_WND_DEFAULT`).
pub const WINDOW: u32 = 5760;
/// mbedTLS's number where TLS is asked of a body that has none: `MBEDTLS_ERR_SSL_FEATURE_UNAVAILABLE` of its ssl.h.
pub const TLS_UNAVAILABLE: i32 = -0x7080;

/// Why a network operation failed on the device. The numbers are newlib's, which lwIP uses on these chips.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SocketError {
    /// RST came: to the SYN or later. That a refused connection shows as this was measured on a device in the emulator:
    /// lwIP turns the RST that answers a SYN into `ERR_RST`, and that into 104.
    #[error("connection reset by peer")]
    ConnectionReset,
    /// TCP gave up waiting.
    #[error("connection timed out")]
    TimedOut,
    /// The address does not answer ARP, or there is no route.
    #[error("host is unreachable")]
    HostUnreachable,
    /// The connection is closed.
    #[error("socket is not connected")]
    NotConnected,
    /// All sockets are in use.
    #[error("too many open sockets")]
    TooManySockets,
    /// The heap is used up.
    #[error("not enough space")]
    OutOfMemory,
    /// The name does not exist.
    #[error("the name does not exist")]
    NameUnknown,
    /// Anything else that the body's own network says, with its number.
    #[error("input/output error (the host says errno {host})")]
    Other {
        /// The host's errno, 0 where it gave none.
        host: i32,
    },
}

impl Errno for SocketError {
    fn errno(&self) -> i32 {
        match self {
            // EIO.
            Self::Other { .. } => 5,
            // ENOMEM.
            Self::OutOfMemory => 12,
            // ENFILE.
            Self::TooManySockets => 23,
            // ECONNRESET.
            Self::ConnectionReset => 104,
            // ETIMEDOUT.
            Self::TimedOut => 116,
            // EHOSTUNREACH.
            Self::HostUnreachable => 118,
            // ENOTCONN.
            Self::NotConnected => 128,
            // EAI_FAIL: getaddrinfo has numbers of its own.
            Self::NameUnknown => 202,
        }
    }
}

impl embedded_io::Error for SocketError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::ConnectionReset => ErrorKind::ConnectionReset,
            Self::TimedOut => ErrorKind::TimedOut,
            Self::HostUnreachable | Self::NameUnknown => ErrorKind::AddrNotAvailable,
            Self::NotConnected => ErrorKind::NotConnected,
            Self::TooManySockets | Self::OutOfMemory => ErrorKind::OutOfMemory,
            Self::Other { .. } => ErrorKind::Other,
        }
    }
}
