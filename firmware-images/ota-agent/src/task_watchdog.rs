//! ESP-IDF's task watchdog: what it prints when no task feeds it (`CONFIG_ESP_TASK_WDT_PANIC`, five seconds). The body
//! watches the time, prints this and restarts by software, as ESP-IDF's panic handler does.

use core::fmt;

use esp_image::chip::ChipId;

/// ESP-IDF's default of `CONFIG_ESP_TASK_WDT_TIMEOUT_S`, in milliseconds.
pub const TIMEOUT_MS: u32 = 5000;

/// The words, in the order ESP-IDF prints them. Its panic handler adds addresses; there are none to show here.
#[derive(Clone, Copy, Debug)]
pub struct Words<'a> {
    /// The chip, which decides how its cores and idle tasks are called.
    pub chip: ChipId,
    /// Milliseconds since boot.
    pub uptime_ms: u64,
    /// SHA-256 of the ELF file, of which ESP-IDF prints nine digits (`CONFIG_APP_RETRIEVE_LEN_ELF_SHA`).
    pub elf_sha256: &'a [u8],
}

impl fmt::Display for Words<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The ESP32-C3 has one core, and numbers neither it nor its idle task.
        let (idle, second) = match self.chip {
            ChipId::Esp32C3 => ("IDLE", ""),
            ChipId::Esp32 | ChipId::Esp32S3 => ("IDLE0", "CPU 1: IDLE1"),
        };
        let time = self.uptime_ms;
        write!(
            f,
            "E ({time}) task_wdt: Task watchdog got triggered. The following tasks/users did not reset the watchdog \
             in time:\r\n\
             E ({time}) task_wdt:  - {idle} (CPU 0)\r\n\
             E ({time}) task_wdt: Tasks currently running:\r\n\
             E ({time}) task_wdt: CPU 0: main\r\n"
        )?;
        if !second.is_empty() {
            write!(f, "E ({time}) task_wdt: {second}\r\n")?;
        }
        write!(
            f,
            "E ({time}) task_wdt: Aborting.\r\n\
             E ({time}) task_wdt: Print CPU 0 (current core) backtrace\r\n\r\nELF file SHA256: "
        )?;
        let mut digits = 0;
        for byte in self.elf_sha256 {
            for digit in [byte >> 4, byte & 15] {
                if digits < 9 {
                    write!(f, "{digit:x}")?;
                    digits += 1;
                }
            }
        }
        write!(f, "\r\n\r\nRebooting...\r\n")
    }
}
