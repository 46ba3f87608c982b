//! Waiting: with a limit, and without starving the watchdog.

use core::future::Future;
use core::pin::pin;

use embassy_futures::select::{Either, select};
use embedded_hal_async::delay::DelayNs;

use crate::platform::System;

/// How often a waiting task feeds the watchdog. ESP-IDF's task watchdog bites after 5 s unless configured otherwise.
const FEED_MS: u32 = 1000;

/// Lets device time pass.
pub(crate) async fn pause(system: &mut impl System, delay: &mut impl DelayNs, mut ms: u32) {
    while ms > 0 {
        let step = ms.min(FEED_MS);
        delay.delay_ms(step).await;
        system.feed_watchdog();
        ms -= step;
    }
}

/// The time was up.
pub(crate) struct TimedOut;

/// Waits for a future at most so long.
pub(crate) async fn at_most<F: Future>(
    system: &mut impl System,
    delay: &mut impl DelayNs,
    ms: u32,
    future: F,
) -> Result<F::Output, TimedOut> {
    let mut future = pin!(future);
    let mut left = ms;
    loop {
        let step = left.min(FEED_MS);
        match select(future.as_mut(), delay.delay_ms(step)).await {
            Either::First(output) => return Ok(output),
            Either::Second(()) => {
                system.feed_watchdog();
                left -= step;
                if left == 0 {
                    return Err(TimedOut);
                }
            }
        }
    }
}
