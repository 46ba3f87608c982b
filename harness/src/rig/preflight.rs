//! Preflight of a real board's run: the network between board and host must not lie about closed and open ports.
//!
//! A scenario about a closed port means one that answers RST. A packet filter that swallows the request, or another
//! server on that port, would let a sound firmware fail, or a broken one pass. Checked from this host, at the address
//! that the board is told; a filter that treats the board's packets in another way than this host's own is not seen.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

/// How long a connect may take. An address of this host answers in microseconds.
const PATIENCE: Duration = Duration::from_secs(3);

/// Checks that a port of this host answers RST while nothing listens there.
///
/// # Errors
///
/// What answers instead, and what to do.
pub fn closed(address: SocketAddr) -> Result<(), String> {
    match TcpStream::connect_timeout(&address, PATIENCE) {
        Err(e) if e.kind() == ErrorKind::ConnectionRefused => Ok(()),
        Ok(_) => Err(format!(
            "preflight: port {} of {} must be closed for this scenario, but something listens there; stop it (see `ss \
             -ltnp`), or give this host another address with --advertise (which an emulated board does not ask for)",
            address.port(),
            address.ip()
        )),
        Err(e) if e.kind() == ErrorKind::TimedOut => Err(format!(
            "preflight: a closed port ({address}) does not answer with RST within {PATIENCE:?}: a packet filter \
             swallows it, so the board would see a time-out in place of a refused connection; let the filter reject \
             (`reject with tcp reset`) in place of dropping"
        )),
        Err(e) => Err(format!("preflight: cannot reach {address}: {e}; is --advertise an address of this host?")),
    }
}

/// Checks that a port of this host, once bound, is what is reached at the advertised address.
///
/// # Errors
///
/// It cannot be bound, or is not reached, and what to do.
pub fn open(bind: SocketAddr, advertised: SocketAddr) -> Result<(), String> {
    let listener = TcpListener::bind(bind)
        .map_err(|e| format!("preflight: cannot listen on {bind}: {e}; choose another --port or --bind"))?;
    let bound = listener.local_addr().map_err(|e| format!("preflight: {bind}: {e}"))?;
    let advertised = SocketAddr::new(advertised.ip(), bound.port());
    let not = |why: String| {
        format!(
            "preflight: {why}; --advertise must be an address of this host under which the board reaches the server \
             bound to {bound}"
        )
    };
    let stream = TcpStream::connect_timeout(&advertised, PATIENCE)
        .map_err(|e| not(format!("cannot reach {advertised}: {e}")))?;
    let own = stream.local_addr().map_err(|e| not(e.to_string()))?;
    listener.set_nonblocking(true).map_err(|e| not(e.to_string()))?;
    // Loopback and own addresses deliver at once: a connect that is done is in the accept queue.
    match listener.accept() {
        Ok((_, peer)) if peer == own => Ok(()),
        Ok((_, peer)) => Err(not(format!("the connection to {advertised} arrives as one of {peer}"))),
        Err(e) => Err(not(format!("something else answers at {advertised} ({e})"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn any(ip: [u8; 4]) -> SocketAddr {
        SocketAddr::from((ip, 0))
    }

    #[test]
    fn closed_port_answers_reset_and_a_port_with_a_listener_is_told() {
        let listener = TcpListener::bind(any([127, 0, 0, 1])).expect("listener");
        let address = listener.local_addr().expect("address");
        assert!(closed(address).expect_err("open").contains("something listens there"));
        // Bound but not listening: the kernel answers RST, and nobody else can take the port.
        let reserved = rustix::net::socket(rustix::net::AddressFamily::INET, rustix::net::SocketType::STREAM, None);
        let reserved = reserved.expect("socket");
        rustix::net::bind(&reserved, &any([127, 0, 0, 1])).expect("bound");
        let address = rustix::net::getsockname(&reserved).expect("name");
        closed(SocketAddr::try_from(address).expect("address")).expect("closed");
    }

    #[test]
    fn advertised_address_must_lead_to_the_bound_one() {
        open(any([127, 0, 0, 1]), any([127, 0, 0, 1])).expect("itself");
        open(any([0, 0, 0, 0]), any([127, 0, 0, 7])).expect("any address of this host");
        let error = open(any([127, 0, 0, 1]), any([127, 0, 0, 9])).expect_err("bound elsewhere");
        assert!(error.contains("--advertise"), "{error}");
    }

    #[test]
    fn another_server_behind_the_advertised_address_is_told() {
        let other = TcpListener::bind(any([127, 0, 0, 11])).expect("listener");
        let port = other.local_addr().expect("address").port();
        let bind = SocketAddr::from(([127, 0, 0, 12], port));
        let error = open(bind, SocketAddr::from(([127, 0, 0, 11], port))).expect_err("elsewhere");
        assert!(error.contains("something else answers"), "{error}");
    }
}
