//! What the agent asks of the chip it runs on. The ecosystem's traits stand where they fit (`embedded-nal-async` for
//! TCP and DNS, `embedded-storage-async` for flash, `embedded-hal-async` for delays); these are what is left.

use embedded_hal_async::delay::DelayNs;
use embedded_nal_async::{Dns, TcpConnect};
use embedded_storage_async::nor_flash::NorFlash;

/// An error that carries lwIP's errno number, as ESP-IDF's sockets report it (104 ECONNRESET, 116 ETIMEDOUT,
/// 118 EHOSTUNREACH).
pub trait Errno {
    /// The number.
    fn errno(&self) -> i32;
}

/// Configuration in the NVS partition.
#[allow(async_fn_in_trait, reason = "one executor, no Send bound wanted")]
pub trait Nvs {
    /// The storage's error.
    type Error: core::fmt::Debug;
    /// Reads a string into `buffer`; `None` where the key does not exist.
    async fn get_str<'b>(
        &mut self,
        namespace: &str,
        key: &str,
        buffer: &'b mut [u8],
    ) -> Result<Option<&'b str>, Self::Error>;
    /// Writes a string.
    async fn set_str(&mut self, namespace: &str, key: &str, value: &str) -> Result<(), Self::Error>;
    /// Writes a number.
    async fn set_i32(&mut self, namespace: &str, key: &str, value: i32) -> Result<(), Self::Error>;
}

/// Console output (UART0) and the millisecond clock that stamps it.
#[allow(async_fn_in_trait, reason = "one executor, no Send bound wanted")]
pub trait Console {
    /// Milliseconds since boot.
    fn uptime_ms(&self) -> u64;
    /// Writes bytes and returns when the UART has taken them: on a chip this takes time at the baud rate.
    async fn write(&mut self, bytes: &[u8]);
}

/// Facts of this chip and its state.
pub trait System {
    /// Station MAC address.
    fn mac(&self) -> [u8; 6];
    /// Free heap in bytes.
    fn free_heap(&self) -> u32;
    /// Open sockets.
    fn open_sockets(&self) -> u32;
    /// Offset of the partition that the bootloader booted.
    fn running_offset(&self) -> u32;
    /// Feeds the watchdog; a hang is what never calls it.
    fn feed_watchdog(&mut self);
}

/// Restarting: the future never completes.
#[allow(async_fn_in_trait, reason = "one executor, no Send bound wanted")]
pub trait Restart {
    /// Restarts the chip by software.
    async fn restart(&mut self) -> core::convert::Infallible;
}

/// Joining the network: what Wi-Fi does before an address is there.
#[allow(async_fn_in_trait, reason = "one executor, no Send bound wanted")]
pub trait Link {
    /// Waits until the device has an address and returns it.
    async fn up(&mut self) -> core::net::Ipv4Addr;
}

/// All of it, as one bundle of parts that the agent borrows separately. `flash` is the whole flash chip, addressed from 0.
pub struct Platform<F, N, C, S, R, L, T, D> {
    /// Whole flash.
    pub flash: F,
    /// NVS.
    pub nvs: N,
    /// Console and clock.
    pub console: C,
    /// Chip facts.
    pub system: S,
    /// Restart.
    pub restart: R,
    /// Link.
    pub link: L,
    /// TCP and DNS.
    pub network: T,
    /// Delay: device time.
    pub delay: D,
}

/// The bounds on a [`Platform`]'s parts in one place.
pub trait Parts {
    /// Whole flash.
    type Flash: NorFlash;
    /// NVS.
    type Nvs: Nvs;
    /// Console.
    type Console: Console;
    /// Chip facts.
    type System: System;
    /// Restart.
    type Restart: Restart;
    /// Link.
    type Link: Link;
    /// TCP and DNS.
    type Network: TcpConnect<Error: Errno> + Dns;
    /// Delay.
    type Delay: DelayNs + Clone;
}
