//! A panic is told on the console (by esp-backtrace: place, message, addresses) and ends in a restart, as with ESP-IDF.

use esp_backtrace as _;

/// What esp-backtrace calls when it has printed all (its feature `custom-halt`).
#[expect(unsafe_code, reason = "esp-backtrace looks for this name")]
#[unsafe(no_mangle)]
extern "Rust" fn custom_halt() -> ! {
    esp_println::println!("\r\nRebooting...");
    esp_hal::system::software_reset()
}
