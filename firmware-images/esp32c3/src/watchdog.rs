//! Two watchdogs, as ESP-IDF has them: one in software for tasks that feed nothing any more, whose words the agent has,
//! and timer group 0's for software that does not run at all.

use alloc::string::ToString as _;
use core::cell::Cell;
use core::convert::Infallible;
use core::future::poll_fn;
use core::task::Poll;

use esp_hal::peripherals::TIMG0;
use esp_hal::time::Duration;
use esp_hal::timer::timg::{MwdtStage, Wdt};
use esp_image::chip::ChipId;
use esp_image::descriptor::AppDescriptor;
use ota_agent::task_watchdog::{TIMEOUT_MS, Words};

use crate::clock;
use crate::console::Console;

/// Longer than the task watchdog, which has something to say.
const HARDWARE: Duration = Duration::from_secs(8);

/// Timer group 0's watchdog, which resets the chip.
pub(crate) struct Hardware(Wdt<TIMG0<'static>>);

impl Hardware {
    pub(crate) fn start(mut watchdog: Wdt<TIMG0<'static>>) -> Self {
        watchdog.set_timeout(MwdtStage::Stage0, HARDWARE);
        watchdog.enable();
        Self(watchdog)
    }

    /// Feeds it for as long as the executor turns.
    pub(crate) async fn feed_for_ever(mut self) -> Infallible {
        poll_fn(|_| {
            self.0.feed();
            Poll::Pending
        })
        .await
    }
}

/// When the agent last fed the task watchdog.
pub(crate) struct Feeds {
    at_ms: Cell<u64>,
    starving: Cell<bool>,
}

impl Feeds {
    pub(crate) fn new() -> Self {
        Self { at_ms: Cell::new(clock::uptime_ms()), starving: Cell::new(false) }
    }

    pub(crate) fn feed(&self) {
        if !self.starving.get() {
            self.at_ms.set(clock::uptime_ms());
        }
    }

    /// While a task polls in place of waiting, the idle task does not run, and it is what feeds.
    pub(crate) fn starve(&self, starve: bool) {
        self.starving.set(starve);
    }
}

/// Restarts the chip once nothing has fed the watchdog for five seconds.
pub(crate) async fn guard(feeds: &Feeds, console: Console, descriptor: &AppDescriptor) -> Infallible {
    poll_fn(|_| {
        let now = clock::uptime_ms();
        if now.saturating_sub(feeds.at_ms.get()) < u64::from(TIMEOUT_MS) {
            return Poll::Pending;
        }
        let words = Words { chip: ChipId::Esp32C3, uptime_ms: now, elf_sha256: descriptor.elf_sha256() };
        console.write_blocking(words.to_string().as_bytes());
        esp_hal::system::software_reset()
    })
    .await
}
