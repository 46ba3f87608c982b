//! Boards: what has a flash, a console and a reset line.
//!
//! A real board and the virtual one go through the same code: a serial port (a pty for the virtual one), the espflash
//! library on it, and a reset line. Only the reset line differs, since a pty has no modem lines.
//!
//! What this module must never know: scenarios, expectations, verdicts.

#[expect(clippy::module_inception, reason = "the trait itself, among what implements it")]
pub mod board;
pub mod commands;
pub mod console_port;
pub mod core_dump;
pub mod file_flash;
pub mod flash;
pub mod flasher;
pub mod identity;
pub mod lines;
pub mod nvs;
pub mod port;
pub mod ports;
pub mod probe;
pub mod qemu;
pub mod reset;
pub mod rfc2217;
pub mod serial;
pub mod settings;
pub mod virtual_reset;

mod error;

pub use error::BoardError;
