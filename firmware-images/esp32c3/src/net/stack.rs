//! smoltcp's interface and sockets, turned by whoever polls.

use alloc::vec::Vec;
use core::cell::RefCell;
use core::net::Ipv4Addr;

use esp_hal::rng::Rng;
use ota_agent::socket::{ARP_GIVES_UP_MS, MAX_SOCKETS, SocketError, WINDOW};
use smoltcp::iface::{Config, Interface, PollIngressSingleResult, SocketHandle, SocketSet};
use smoltcp::phy::Device;
use smoltcp::socket::{dhcpv4, dns, tcp};
use smoltcp::time::Instant;
use smoltcp::wire::{EthernetAddress, HardwareAddress, IpAddress, IpCidr};

use super::device::{Sent, Watched};
use crate::clock;
use crate::system;

/// A connection that was closed and whose peer never closes is given up after so long (lwIP's `TCP_FIN_WAIT_TIMEOUT`).
const LINGER_US: u64 = 20_000_000;
/// Ports from which connections are made (RFC 6335, 6).
const EPHEMERAL: core::ops::Range<u16> = 49_152..u16::MAX;
/// Frames taken in one turn: the agent is to have its own.
const FRAMES: usize = 8;

/// One interface and its sockets.
pub(crate) struct Stack<D>(RefCell<Turn<D>>);

/// What a turn of the stack works on.
pub(super) struct Turn<D> {
    card: Watched<D>,
    interface: Interface,
    pub(super) sockets: SocketSet<'static>,
    dhcp: SocketHandle,
    dns: SocketHandle,
    address: Option<Ipv4Addr>,
    /// Sockets that the agent holds.
    open: u32,
    /// Closed by the agent, not by TCP yet, and when they are given up.
    closing: Vec<(SocketHandle, u64)>,
    next_port: u16,
}

fn now() -> Instant {
    Instant::from_micros(i64::try_from(clock::uptime_us()).unwrap_or(i64::MAX))
}

impl<D: Device> Stack<D> {
    pub(crate) fn new(device: D) -> Self {
        let mut card = Watched { device, sent: Sent::default() };
        let random = Rng::new();
        let mut config = Config::new(HardwareAddress::Ethernet(EthernetAddress(system::mac())));
        config.random_seed = u64::from(random.random()) << 32 | u64::from(random.random());
        let interface = Interface::new(config, &mut card, now());
        let mut sockets = SocketSet::new(Vec::new());
        let dhcp = sockets.add(dhcpv4::Socket::new());
        let dns = sockets.add(dns::Socket::new(&[], Vec::new()));
        // Not the same port after each restart: the server may still know it.
        let span = u32::from(EPHEMERAL.end - EPHEMERAL.start);
        let next_port = EPHEMERAL.start + u16::try_from(random.random() % span).unwrap_or(0);
        let closing = Vec::new();
        Self(RefCell::new(Turn { card, interface, sockets, dhcp, dns, address: None, open: 0, closing, next_port }))
    }

    /// Lets the stack work, and looks at it.
    pub(super) fn turn<R>(&self, look: impl FnOnce(&mut Turn<D>) -> R) -> R {
        let mut turn = self.0.borrow_mut();
        turn.poll();
        look(&mut turn)
    }
}

impl<D: Device> Turn<D> {
    fn poll(&mut self) {
        let Self { card, interface, sockets, .. } = self;
        let _ = interface.poll_egress(now(), card, sockets);
        for _ in 0..FRAMES {
            if interface.poll_ingress_single(now(), card, sockets) == PollIngressSingleResult::None {
                break;
            }
            let _ = interface.poll_egress(now(), card, sockets);
        }
        interface.poll_maintenance(now());
        self.lease();
        self.sweep();
    }

    /// Takes what DHCP says.
    fn lease(&mut self) {
        let event = self.sockets.get_mut::<dhcpv4::Socket<'_>>(self.dhcp).poll();
        let (cidr, router, servers) = match event {
            None => return,
            Some(dhcpv4::Event::Deconfigured) => (None, None, Vec::new()),
            Some(dhcpv4::Event::Configured(lease)) => {
                let servers = lease.dns_servers.iter().map(|address| IpAddress::Ipv4(*address)).collect();
                (Some(lease.address), lease.router, servers)
            }
        };
        self.address = cidr.map(|cidr| cidr.address());
        self.interface.update_ip_addrs(|addresses| {
            addresses.clear();
            // There is room for one at least.
            let _ = cidr.map(|cidr| addresses.push(IpCidr::Ipv4(cidr)));
        });
        let routes = self.interface.routes_mut();
        match router {
            Some(router) => drop(routes.add_default_ipv4_route(router)),
            None => drop(routes.remove_default_ipv4_route()),
        }
        self.sockets.get_mut::<dns::Socket<'_>>(self.dns).update_servers(servers.get(..1).unwrap_or(&[]));
    }

    /// Frees the sockets that TCP is done with.
    fn sweep(&mut self) {
        let Self { sockets, closing, .. } = self;
        let now = clock::uptime_us();
        closing.retain(|(handle, until)| {
            let socket = sockets.get_mut::<tcp::Socket<'_>>(*handle);
            // TIME-WAIT protects the peer's port from our next segments; ours come from another port each time.
            let done = matches!(socket.state(), tcp::State::Closed | tcp::State::TimeWait);
            if !done && now < *until {
                return true;
            }
            if !done {
                // The RST is not waited for.
                socket.abort();
            }
            drop(sockets.remove(*handle));
            false
        });
    }

    /// The address that DHCP gave.
    pub(super) fn address(&self) -> Option<Ipv4Addr> {
        self.address
    }

    /// Sockets that the agent holds.
    pub(super) fn open(&self) -> u32 {
        self.open
    }

    /// Begins a connection: socket and local port.
    pub(super) fn begin(&mut self, host: Ipv4Addr, port: u16) -> Result<(SocketHandle, u16), SocketError> {
        if self.open >= MAX_SOCKETS {
            return Err(SocketError::TooManySockets);
        }
        // A u32 fits usize on this chip.
        let (receive, send) = (buffer(WINDOW as usize)?, buffer(WINDOW as usize)?);
        let mut socket = tcp::Socket::new(tcp::SocketBuffer::new(receive), tcp::SocketBuffer::new(send));
        // Requests are written in pieces; ESP-IDF's HTTP client sends each at once.
        socket.set_nagle_enabled(false);
        let local = self.next_port;
        self.next_port = if local + 1 < EPHEMERAL.end { local + 1 } else { EPHEMERAL.start };
        // No address yet, or none to be reached: lwIP has no route.
        let connected = socket.connect(self.interface.context(), (host, port), local);
        connected.map_err(|_| SocketError::HostUnreachable)?;
        self.card.sent.watch(local);
        self.open += 1;
        Ok((self.sockets.add(socket), local))
    }

    /// What became of it: `None` while that is open.
    pub(super) fn connected(
        &mut self,
        handle: SocketHandle,
        local: u16,
        begun_us: u64,
    ) -> Option<Result<(), SocketError>> {
        match self.sockets.get::<tcp::Socket<'_>>(handle).state() {
            tcp::State::SynSent | tcp::State::SynReceived => {
                let waited = clock::uptime_us() - begun_us;
                let unreachable = waited >= u64::from(ARP_GIVES_UP_MS) * 1000 && self.card.sent.held_back(local);
                unreachable.then_some(Err(SocketError::HostUnreachable))
            }
            // A RST answered the SYN.
            tcp::State::Closed => Some(Err(SocketError::ConnectionReset)),
            _ => Some(Ok(())),
        }
    }

    /// Closes a connection as lwIP does: with a RST where something was not read, else with a FIN.
    pub(super) fn end(&mut self, handle: SocketHandle) {
        self.open = self.open.saturating_sub(1);
        let socket = self.sockets.get_mut::<tcp::Socket<'_>>(handle);
        if socket.recv_queue() > 0 || socket.state() == tcp::State::SynSent {
            socket.abort();
            // The RST leaves with the socket's next turn, before the socket goes.
            let Self { card, interface, sockets, .. } = self;
            let _ = interface.poll_egress(now(), card, sockets);
        } else {
            socket.close();
        }
        self.closing.push((handle, clock::uptime_us() + LINGER_US));
    }

    /// Asks the name server.
    pub(super) fn ask(&mut self, name: &str) -> Option<dns::QueryHandle> {
        let Self { interface, sockets, dns, .. } = self;
        let socket = sockets.get_mut::<dns::Socket<'_>>(*dns);
        socket.start_query(interface.context(), name, smoltcp::wire::DnsQueryType::A).ok()
    }

    /// What the name server said: `None` while it has not.
    pub(super) fn answered(&mut self, query: dns::QueryHandle) -> Option<Result<Ipv4Addr, SocketError>> {
        let socket = self.sockets.get_mut::<dns::Socket<'_>>(self.dns);
        match socket.get_query_result(query) {
            Err(dns::GetQueryResultError::Pending) => None,
            Err(dns::GetQueryResultError::Failed) => Some(Err(SocketError::NameUnknown)),
            Ok(addresses) => {
                let address = addresses.iter().map(|IpAddress::Ipv4(address)| *address).next();
                Some(address.ok_or(SocketError::NameUnknown))
            }
        }
    }

    /// Nobody waits for the answer any more.
    pub(super) fn forget(&mut self, query: dns::QueryHandle) {
        self.sockets.get_mut::<dns::Socket<'_>>(self.dns).cancel_query(query);
    }
}

/// A buffer on the heap, where there is room.
fn buffer(length: usize) -> Result<Vec<u8>, SocketError> {
    let mut buffer = Vec::new();
    buffer.try_reserve_exact(length).map_err(|_| SocketError::OutOfMemory)?;
    buffer.resize(length, 0);
    Ok(buffer)
}
