//! Being on the network: an address by DHCP, whichever card it comes through.

use core::net::Ipv4Addr;

use embassy_futures::select::{Either, select};
use embedded_hal_async::delay::DelayNs as _;
use ota_agent::platform;

use super::Network;
use crate::clock::Delay;
use crate::watchdog::Feeds;

/// How often the task that waits feeds the watchdog, in milliseconds.
const FEED_MS: u32 = 1000;

/// The link.
pub(crate) struct Link {
    network: Network,
    feeds: &'static Feeds,
}

impl Link {
    pub(crate) fn new(network: Network, feeds: &'static Feeds) -> Self {
        Self { network, feeds }
    }
}

impl platform::Link for Link {
    async fn up(&mut self) -> Ipv4Addr {
        loop {
            self.feeds.feed();
            if let Either::First(address) = select(self.network.address(), Delay.delay_ms(FEED_MS)).await {
                return address;
            }
        }
    }
}
