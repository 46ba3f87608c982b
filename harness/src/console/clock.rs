//! The device's clock, unwrapped over reboots.

use crate::timeline::DeviceTime;

use super::header::Stamp;

/// How far a stamp may go back within one boot: two tasks that print at once take their stamps before they get the UART.
const MARGIN_MS: u64 = 1000;

/// ESP-IDF's 32-bit millisecond stamp wraps after 49.7 days.
const WRAP_MS: u64 = 1 << 32;

/// Wall time without a date wraps at midnight.
const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// How near to the wrap, on both sides, two stamps must be to count as a wrap and not as a reboot.
const WRAP_WINDOW_MS: u64 = 10 * 60 * 1000;

/// Turns the stamps of console lines into [`DeviceTime`].
///
/// A boot begins with the ROM's banner, or, where that is missing from the capture, with a stamp that goes back by more
/// than a second. The time a device is off or in its ROM is not seen: the unwrapped clock goes on from the last stamp.
/// Wall-time stamps count from where the boot's last other stamp stood, since a clock set by SNTP jumps.
#[derive(Clone, Debug, Default)]
pub struct DeviceClock {
    boot: u32,
    /// Unwrapped time of stamp 0, which may lie before the capture.
    base: i128,
    last: Option<Stamp>,
    unwrapped: u64,
    /// The first line of a ROM banner was seen and its `rst:` line was not.
    in_banner: bool,
}

impl DeviceClock {
    /// A clock before the first line.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes a line's text and stamp, in order, and returns the line's device time if it carries a stamp.
    pub fn see(&mut self, text: &str, stamp: Option<Stamp>) -> Option<DeviceTime> {
        let Some(stamp) = stamp else {
            self.banner(text);
            return None;
        };
        self.in_banner = false;
        let ms = millis(stamp);
        match self.last {
            None => self.base = self.base_of_boot(stamp),
            Some(last) if std::mem::discriminant(&last) != std::mem::discriminant(&stamp) => {
                self.base = i128::from(self.unwrapped) - i128::from(ms);
            }
            Some(last) if ms.saturating_add(MARGIN_MS) < millis(last) => self.went_back(millis(last), stamp),
            Some(_) => {}
        }
        let now = self.base + i128::from(ms);
        // Within the margin a stamp may be older than the last; the unwrapped clock never goes back.
        self.unwrapped = u64::try_from(now).unwrap_or(0).max(self.unwrapped);
        // Remember the newest stamp of this boot, so that small steps back do not add up to a large one.
        let newest = match self.last {
            Some(Stamp::Boot(last)) if matches!(stamp, Stamp::Boot(_)) => Stamp::Boot(last.max(ms)),
            Some(Stamp::Wall(last)) if matches!(stamp, Stamp::Wall(_)) => Stamp::Wall(last.max(ms)),
            _ => stamp,
        };
        self.last = Some(newest);
        Some(DeviceTime { boot: self.boot, ms, unwrapped_ms: self.unwrapped })
    }

    /// Which boot the console is in: 0 before the first reset seen.
    #[must_use]
    pub fn boot(&self) -> u32 {
        self.boot
    }

    fn banner(&mut self, text: &str) {
        let text = text.trim_start();
        if is_first_banner_line(text) {
            self.reset();
            self.in_banner = true;
        } else if text.starts_with("rst:0x") && !std::mem::take(&mut self.in_banner) {
            self.reset();
        }
    }

    fn reset(&mut self) {
        self.boot = self.boot.saturating_add(1);
        self.last = None;
    }

    fn went_back(&mut self, last: u64, stamp: Stamp) {
        let wrap = match stamp {
            Stamp::Boot(_) => WRAP_MS,
            Stamp::Wall(_) => DAY_MS,
        };
        if (wrap - WRAP_WINDOW_MS..wrap).contains(&last) && millis(stamp) < WRAP_WINDOW_MS {
            self.base += i128::from(wrap);
        } else {
            self.reset();
            self.base = self.base_of_boot(stamp);
        }
        self.last = None;
    }

    /// Unwrapped time of stamp 0 for a boot whose first stamp this is. Milliseconds count from the reset; wall time says
    /// nothing about when the boot began.
    fn base_of_boot(&self, stamp: Stamp) -> i128 {
        match stamp {
            Stamp::Boot(_) => i128::from(self.unwrapped),
            Stamp::Wall(ms) => i128::from(self.unwrapped) - i128::from(ms),
        }
    }
}

/// True for the line with which a chip's ROM begins after a reset.
pub(super) fn is_first_banner_line(text: &str) -> bool {
    text.starts_with("ESP-ROM:")
        || (text.starts_with("ets ") && text.split_whitespace().nth(4).is_some_and(|time| time.contains(':')))
}

fn millis(stamp: Stamp) -> u64 {
    match stamp {
        Stamp::Boot(ms) | Stamp::Wall(ms) => ms,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn boot_ms(clock: &mut DeviceClock, ms: u64) -> (u32, u64) {
        let at = clock.see("I (n) a: b", Some(Stamp::Boot(ms))).expect("stamped");
        assert_eq!(at.ms, ms);
        (at.boot, at.unwrapped_ms)
    }

    #[test]
    fn a_banner_counts_one_boot_and_the_clock_goes_on() {
        let mut clock = DeviceClock::new();
        assert_eq!(boot_ms(&mut clock, 5000), (0, 5000));
        assert_eq!(clock.see("ESP-ROM:esp32c3-api1-20210207", None), None);
        assert_eq!(clock.see("Build:Feb  7 2021", None), None);
        assert_eq!(clock.see("rst:0xc (RTC_SW_CPU_RST),boot:0x8 (SPI_FAST_FLASH_BOOT)", None), None);
        assert_eq!(boot_ms(&mut clock, 25), (1, 5025));
        assert_eq!(boot_ms(&mut clock, 6953), (1, 11_953));
    }

    #[test]
    fn two_banners_in_a_row_are_two_resets() {
        let mut clock = DeviceClock::new();
        for line in
            ["ets Jul 29 2019 12:21:46", "", "rst:0x8 (TG1WDT_SYS_RESET)", "ets Jul 29 2019 12:21:46", "rst:0x1 (P)"]
        {
            clock.see(line, None);
        }
        assert_eq!(clock.boot(), 2);
        clock.see("rst:0x1 (POWERON)", None);
        assert_eq!(clock.boot(), 3);
    }

    #[test]
    fn a_stamp_going_back_is_a_boot_and_a_little_back_is_not() {
        let mut clock = DeviceClock::new();
        boot_ms(&mut clock, 9000);
        assert_eq!(boot_ms(&mut clock, 8990), (0, 9000));
        assert_eq!(boot_ms(&mut clock, 300), (1, 9300));
    }

    #[test]
    fn the_32_bit_stamp_wraps_without_a_boot() {
        let mut clock = DeviceClock::new();
        boot_ms(&mut clock, WRAP_MS - 1000);
        assert_eq!(boot_ms(&mut clock, 500), (0, WRAP_MS + 500));
    }

    #[test]
    fn midnight_is_no_boot() {
        let mut clock = DeviceClock::new();
        clock.see("", Some(Stamp::Wall(DAY_MS - 500)));
        let at = clock.see("", Some(Stamp::Wall(500))).expect("stamped");
        assert_eq!((at.boot, at.unwrapped_ms), (0, 1000));
    }

    #[test]
    fn wall_time_set_by_sntp_makes_no_jump() {
        let mut clock = DeviceClock::new();
        boot_ms(&mut clock, 700);
        let at = clock.see("", Some(Stamp::Wall(45_296_789))).expect("stamped");
        assert_eq!((at.boot, at.unwrapped_ms), (0, 700));
        let at = clock.see("", Some(Stamp::Wall(45_356_789))).expect("stamped");
        assert_eq!(at.unwrapped_ms, 60_700);
    }

    proptest! {
        #[test]
        fn the_unwrapped_clock_never_goes_back(stamps in proptest::collection::vec((any::<bool>(), any::<u64>(), any::<bool>()), 0..200)) {
            let mut clock = DeviceClock::new();
            let mut last = (0, 0);
            for (wall, ms, banner) in stamps {
                if banner {
                    clock.see("rst:0x1 (POWERON)", None);
                }
                let ms = ms % 10_000_000_000_000;
                let stamp = if wall { Stamp::Wall(ms) } else { Stamp::Boot(ms) };
                let at = clock.see("", Some(stamp)).expect("stamped");
                prop_assert!((at.boot, at.unwrapped_ms) >= last);
                prop_assert!(at.unwrapped_ms >= last.1);
                last = (at.boot, at.unwrapped_ms);
            }
        }
    }
}
