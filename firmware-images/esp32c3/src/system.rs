//! Facts of the chip, and its restart.

use alloc::vec::Vec;
use core::convert::Infallible;

use esp_hal::efuse;
use esp_image::chip::ChipId;
use ota_agent::platform;

use crate::console::Console;
use crate::net::Network;
use crate::watchdog::Feeds;

/// The station's MAC address. A chip that leaves the factory has one burnt in; the emulator's fuses are blank, and all
/// devices would be the same one to a server: it gets a locally administered address.
pub(crate) fn mac() -> [u8; 6] {
    let mut mac = [0; 6];
    let fused = efuse::base_mac_address();
    mac.copy_from_slice(&fused.as_bytes()[..6]);
    if mac == [0; 6] { [0x02, 0x00, 0x00, 0xc3, 0x00, 0x01] } else { mac }
}

/// Facts of the chip.
pub(crate) struct System {
    network: Network,
    feeds: &'static Feeds,
    running: u32,
}

impl System {
    pub(crate) fn new(network: Network, feeds: &'static Feeds, running: u32) -> Self {
        Self { network, feeds, running }
    }
}

impl platform::System for System {
    fn mac(&self) -> [u8; 6] {
        mac()
    }

    fn chip(&self) -> ChipId {
        ChipId::Esp32C3
    }

    fn revision(&self) -> u16 {
        efuse::chip_revision().combined()
    }

    fn free_heap(&self) -> u32 {
        u32::try_from(esp_alloc::HEAP.free()).unwrap_or(u32::MAX)
    }

    fn open_sockets(&self) -> u32 {
        self.network.open_sockets()
    }

    fn secure_version(&self) -> u32 {
        // ESP-IDF counts the bits that are burnt.
        efuse::read_field_le::<u16>(efuse::SECURE_VERSION).count_ones()
    }

    fn lose_heap(&mut self, bytes: u32) {
        let mut lost: Vec<u8> = Vec::new();
        // What is not there cannot be lost.
        if lost.try_reserve_exact(bytes as usize).is_ok() {
            core::hint::black_box(lost.leak());
        }
    }

    fn running_offset(&self) -> u32 {
        self.running
    }

    fn feed_watchdog(&mut self) {
        self.feeds.feed();
    }

    fn poll_busily(&mut self, polls: bool) {
        self.feeds.starve(polls);
    }
}

/// `esp_restart()`.
pub(crate) struct Restart(Console);

impl Restart {
    pub(crate) fn new(console: Console) -> Self {
        Self(console)
    }
}

impl platform::Restart for Restart {
    async fn restart(&mut self) -> Infallible {
        // What was printed is to leave the UART first.
        self.0.write_blocking(b"");
        esp_hal::system::software_reset()
    }
}
