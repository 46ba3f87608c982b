//! What the agent asks of the chip it runs on. The ecosystem's traits stand where they fit (`embedded-nal-async` for
//! TCP and DNS, `embedded-storage-async` for flash, `embedded-hal-async` for delays); these are what is left.

use core::convert::Infallible;
use core::net::Ipv4Addr;

use embedded_hal_async::delay::DelayNs;
use embedded_nal_async::{Dns, TcpConnect};
use embedded_storage_async::nor_flash::NorFlash;

/// An error that carries lwIP's errno number, as ESP-IDF's sockets report it (104 ECONNRESET, 116 ETIMEDOUT,
/// 118 EHOSTUNREACH).
pub trait Errno {
    /// The number.
    fn errno(&self) -> i32;
}

/// Whom a TLS client trusts.
#[derive(Clone, Copy, Debug)]
pub struct Trust<'a> {
    /// Root certificates as PEM.
    pub roots: &'a str,
    /// Verify what the server presents. Only a defect does not.
    pub verify: bool,
}

/// A TLS handshake failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TlsFailure {
    /// mbedTLS's error number, negative.
    pub code: i32,
    /// What `mbedtls_x509_crt_verify_info` says of a certificate that was refused.
    pub verification: Option<&'static str>,
    /// The socket's errno, where the connection broke.
    pub errno: Option<i32>,
}

/// TLS on top of a TCP connection: mbedTLS on a chip.
#[allow(async_fn_in_trait, reason = "one executor, no Send bound wanted")]
pub trait Secure: TcpConnect {
    /// Shakes hands with the server of a name or address. After an error the connection can only be dropped.
    ///
    /// # Errors
    ///
    /// See [`TlsFailure`].
    async fn secure<'n>(
        &'n self,
        connection: &mut Self::Connection<'n>,
        server: &str,
        trust: &Trust<'_>,
    ) -> Result<(), TlsFailure>;
}

/// What the agent needs of a network: TCP, TLS and names.
pub trait Internet: TcpConnect<Error: Errno> + Dns + Secure {}

impl<N: TcpConnect<Error: Errno> + Dns + Secure> Internet for N {}

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
    /// Chip name: "esp32c3".
    fn chip(&self) -> esp_image::chip::ChipId;
    /// Chip revision as major * 100 + minor.
    fn revision(&self) -> u16;
    /// Free heap in bytes.
    fn free_heap(&self) -> u32;
    /// Open sockets.
    fn open_sockets(&self) -> u32;
    /// The security version burnt into the chip's fuses: anti-rollback takes nothing lower.
    fn secure_version(&self) -> u32;
    /// So many bytes of the heap are never freed again. Only a defect loses any.
    fn lose_heap(&mut self, bytes: u32);
    /// Flash offset of the partition that the bootloader booted.
    fn running_offset(&self) -> u32;
    /// Feeds the watchdog; a hang is what never calls it.
    fn feed_watchdog(&mut self);
    /// From here on the task polls in place of waiting (or waits again): while it polls, the idle task does not run, and
    /// nothing feeds the task watchdog. Only a defect polls.
    fn poll_busily(&mut self, polls: bool);
}

/// Restarting: the future never completes.
#[allow(async_fn_in_trait, reason = "one executor, no Send bound wanted")]
pub trait Restart {
    /// Restarts the chip by software.
    async fn restart(&mut self) -> Infallible;
}

/// Joining the network: what Wi-Fi does before an address is there.
#[allow(async_fn_in_trait, reason = "one executor, no Send bound wanted")]
pub trait Link {
    /// Waits until the device has an address and returns it.
    async fn up(&mut self) -> Ipv4Addr;
}

/// The types of a platform's parts.
pub trait Parts {
    /// Whole flash, addressed from 0.
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
    /// TCP, TLS and DNS.
    type Network: Internet;
    /// Delay: device time.
    type Delay: DelayNs + Clone;
}

/// All parts, which the agent borrows separately.
pub struct Platform<P: Parts> {
    /// Whole flash.
    pub flash: P::Flash,
    /// NVS.
    pub nvs: P::Nvs,
    /// Console and clock.
    pub console: P::Console,
    /// Chip facts.
    pub system: P::System,
    /// Restart.
    pub restart: P::Restart,
    /// Link.
    pub link: P::Link,
    /// TCP and DNS.
    pub network: P::Network,
    /// Delay.
    pub delay: P::Delay,
}
