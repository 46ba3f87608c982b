//! Reset reasons as the ROMs print them, in words.
//!
//! Source: ESP-IDF, components/esp_rom `rom/rtc.h` (`RESET_REASON` of each chip) and soc `reset_reasons.h`. Which timer group
//! backs which watchdog: esp_system's `Kconfig` ("Task Watchdog" on timer group 0, "Interrupt watchdog" on timer group 1).

/// What a reset reason means; `None` of one that is not known.
#[must_use]
pub fn meaning(reason: &str) -> Option<&'static str> {
    Some(match reason {
        "POWERON_RESET" | "POWERON" => "power-on or the reset pin",
        "SW_RESET" | "RTC_SW_SYS_RST" => "restarted by software, the whole chip",
        "SW_CPU_RESET" | "RTC_SW_CPU_RST" => "restarted by software: esp_restart or the panic handler",
        "OWDT_RESET" => "legacy watchdog",
        "DEEPSLEEP_RESET" | "DSLEEP" => "woke from deep sleep",
        "SDIO_RESET" => "SDIO module",
        "TG0WDT_SYS_RESET" | "TG0WDT_SYS_RST" | "TGWDT_CPU_RESET" | "TG0WDT_CPU_RST" => {
            "task watchdog: a task did not yield"
        }
        "TG1WDT_SYS_RESET" | "TG1WDT_SYS_RST" | "TG1WDT_CPU_RST" => {
            "interrupt watchdog: interrupts were off for too long, or the panic handler hung"
        }
        "RTCWDT_SYS_RESET" | "RTCWDT_SYS_RST" | "RTCWDT_CPU_RESET" | "RTCWDT_CPU_RST" | "RTCWDT_RTC_RESET"
        | "RTCWDT_RTC_RST" => "RTC watchdog: the bootloader or the panic handler hung",
        "SUPER_WDT_RST" | "SUPER_WATCHDOG_RESET" => "super watchdog",
        "INTRUSION_RESET" => "intrusion test",
        "EXT_CPU_RESET" => "the other core",
        "RTCWDT_BROWN_OUT_RESET" | "BROWN_OUT_RST" => "brownout: the supply voltage dropped",
        "GLITCH_RTC_RESET" | "POWER_GLITCH_RESET" => "a glitch of clock or power",
        "EFUSE_RESET" | "EFUSE_CRC_ERR" => "eFuse error",
        "USB_UART_CHIP_RESET" | "USB_JTAG_CHIP_RESET" => "reset by USB",
        "JTAG_RESET" => "reset by JTAG",
        _ => return None,
    })
}

/// A reset reason with what it means: `TG0WDT_SYS_RESET (task watchdog: a task did not yield)`.
#[must_use]
pub fn in_words(reason: &str) -> String {
    meaning(reason).map_or_else(|| reason.to_owned(), |meaning| format!("{reason} ({meaning})"))
}

#[cfg(test)]
mod tests {
    use esp_image::chip::ChipId;
    use virtual_esp32::ResetCause;

    use super::*;

    #[test]
    fn every_reason_that_a_virtual_chip_prints_has_words() {
        let causes = [
            ResetCause::PowerOn,
            ResetCause::Software,
            ResetCause::SoftwareSystem,
            ResetCause::TaskWatchdog,
            ResetCause::InterruptWatchdog,
            ResetCause::RtcWatchdog,
            ResetCause::Brownout,
            ResetCause::DeepSleep,
        ];
        for chip in [ChipId::Esp32, ChipId::Esp32S3, ChipId::Esp32C3] {
            for cause in causes {
                let (_, name) = cause.rom_words(chip);
                assert!(meaning(name).is_some(), "{name}");
            }
        }
        assert_eq!(in_words("DSLEEP"), "DSLEEP (woke from deep sleep)");
        assert_eq!(in_words("NEW_RST"), "NEW_RST");
    }
}
