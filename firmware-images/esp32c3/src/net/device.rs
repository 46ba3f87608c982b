//! A card that remembers whether a connection's first segment has left: smoltcp holds it back for as long as the address
//! does not answer ARP, and lwIP tells that case from silence.

use core::cell::Cell;

use smoltcp::phy::{Device, DeviceCapabilities, RxToken, TxToken};
use smoltcp::time::Instant;
use smoltcp::wire::{EthernetFrame, EthernetProtocol, IpProtocol, Ipv4Packet, TcpPacket};

/// The source port whose segments are looked for, and whether one has left.
#[derive(Default)]
pub(super) struct Sent {
    port: Cell<u16>,
    left: Cell<bool>,
}

impl Sent {
    /// From now on this port's segments are looked for.
    pub(super) fn watch(&self, port: u16) {
        self.port.set(port);
        self.left.set(false);
    }

    /// True where that is known of this port: another connection that begins takes the place.
    pub(super) fn held_back(&self, port: u16) -> bool {
        self.port.get() == port && !self.left.get()
    }

    fn see(&self, frame: &[u8]) {
        let port = EthernetFrame::new_checked(frame)
            .ok()
            .filter(|frame| frame.ethertype() == EthernetProtocol::Ipv4)
            .and_then(|frame| Ipv4Packet::new_checked(frame.payload()).ok())
            .filter(|packet| packet.next_header() == IpProtocol::Tcp)
            .and_then(|packet| TcpPacket::new_checked(packet.payload()).ok())
            .map(|segment| segment.src_port());
        if port == Some(self.port.get()) {
            self.left.set(true);
        }
    }
}

/// A card and what is known of what it sent.
pub(super) struct Watched<D> {
    pub(super) device: D,
    pub(super) sent: Sent,
}

impl<D: Device> Device for Watched<D> {
    type RxToken<'a>
        = D::RxToken<'a>
    where
        D: 'a;
    type TxToken<'a>
        = WatchedToken<'a, D::TxToken<'a>>
    where
        D: 'a;

    fn receive(&mut self, timestamp: Instant) -> Option<(Self::RxToken<'_>, Self::TxToken<'_>)> {
        let sent = &self.sent;
        self.device.receive(timestamp).map(|(received, token)| (received, WatchedToken { token, sent }))
    }

    fn transmit(&mut self, timestamp: Instant) -> Option<Self::TxToken<'_>> {
        let sent = &self.sent;
        self.device.transmit(timestamp).map(|token| WatchedToken { token, sent })
    }

    fn capabilities(&self) -> DeviceCapabilities {
        self.device.capabilities()
    }
}

pub(super) struct WatchedToken<'a, T> {
    token: T,
    sent: &'a Sent,
}

impl<T: TxToken> TxToken for WatchedToken<'_, T> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, fill: F) -> R {
        self.token.consume(length, |frame| {
            let result = fill(frame);
            self.sent.see(frame);
            result
        })
    }
}

/// What is received in place and given back when it has been looked at.
pub(crate) trait Frame {
    /// Shows the frame's bytes.
    fn show<R>(self, look: impl FnOnce(&[u8]) -> R) -> R;
}

/// A frame as smoltcp takes it.
pub(crate) struct Received<F>(pub(super) F);

impl<F: Frame> RxToken for Received<F> {
    fn consume<R, L: FnOnce(&[u8]) -> R>(self, look: L) -> R {
        self.0.show(look)
    }
}
