//! Device time, from the system timer that runs since reset.

use core::future::poll_fn;
use core::task::Poll;

use embedded_hal_async::delay::DelayNs;
use esp_hal::time::Instant;

/// `SYSTIMER_CONF_REG` (ESP32-C3 Technical Reference Manual, chapter "System Timer").
#[cfg(feature = "openeth")]
const CONF: *mut u32 = 0x6002_3000 as *mut u32;

/// Microseconds since the chip was reset.
pub(crate) fn uptime_us() -> u64 {
    Instant::now().duration_since_epoch().as_micros()
}

/// Milliseconds since the chip was reset.
pub(crate) fn uptime_ms() -> u64 {
    uptime_us() / 1000
}

/// Lets the counter run, from 0. In the emulator `SYSTIMER_CONF_REG` is 0 after a reset and the counter stands still where
/// it stood before; a chip has these bits set: clock gate (31) and unit 0 at work (30), and its counter is cleared with
/// the rest of the digital core. To be called before anything asks for the time.
#[cfg_attr(feature = "openeth", expect(unsafe_code, reason = "registers that esp-hal does not set"))]
pub(crate) fn let_it_run() {
    #[cfg(feature = "openeth")]
    // SAFETY: registers of the system timer, before its driver exists; nothing else runs yet. What unit 0 is loaded with
    // (0x0c high, 0x10 low) it takes when told to (0x5c).
    unsafe {
        CONF.write_volatile(CONF.read_volatile() | 1 << 31 | 1 << 30);
        CONF.byte_add(0x0c).write_volatile(0);
        CONF.byte_add(0x10).write_volatile(0);
        CONF.byte_add(0x5c).write_volatile(1);
    }
}

/// While the firmware polls, the emulator's main loop sleeps, and frames arrive half a second late. A periodic alarm
/// every millisecond (16,000 ticks of 16 MHz), whose interrupt nobody takes, keeps it awake. Seen on the emulator.
#[cfg_attr(feature = "openeth", expect(unsafe_code, reason = "an alarm without an interrupt, which esp-hal has not"))]
pub(crate) fn keep_the_emulator_awake() {
    #[cfg(feature = "openeth")]
    // SAFETY: registers of comparator 0, which nothing here uses otherwise: SYSTIMER_TARGET0_CONF (0x34) periodic,
    // SYSTIMER_COMP0_LOAD (0x50), and bit 24 of SYSTIMER_CONF sets it to work.
    unsafe {
        CONF.byte_add(0x34).write_volatile(1 << 30 | 16_000);
        CONF.byte_add(0x50).write_volatile(1);
        CONF.write_volatile(CONF.read_volatile() | 1 << 24);
    }
}

/// Waits by being polled: there are no interrupts to wake anybody, in the emulator at least.
#[derive(Clone)]
pub(crate) struct Delay;

async fn until_passed(us: u64) {
    let end = uptime_us() + us;
    poll_fn(|_| if uptime_us() >= end { Poll::Ready(()) } else { Poll::Pending }).await;
}

impl DelayNs for Delay {
    async fn delay_ns(&mut self, ns: u32) {
        until_passed(u64::from(ns).div_ceil(1000)).await;
    }

    async fn delay_us(&mut self, us: u32) {
        until_passed(u64::from(us)).await;
    }

    async fn delay_ms(&mut self, ms: u32) {
        until_passed(u64::from(ms) * 1000).await;
    }
}
