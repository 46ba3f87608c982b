//! Boards in Espressif's QEMU: `qemu-system-xtensa` for ESP32 and ESP32-S3, `qemu-system-riscv32` for ESP32-C3.
//!
//! The machine's flash is a file that is written while the machine is off. Its console is a pair of pipes, its monitor
//! (QMP) a socket; it opens both before its first instruction, so that no byte is lost. Reset is QMP's `system_reset`; a power cut
//! ends the process, power makes a new one. Time is the machine's.
//!
//! What is pure stands apart: settings, the size of the flash, fuses, the command line, QMP's messages. What only an
//! emulator can show was measured on real ones; see docs/qemu.md for what was and what was not.

pub mod board;
pub mod command_line;
pub mod console;
pub mod efuse;
pub mod flash_size;
pub mod process;
pub mod qmp;
pub mod settings;

mod error;

pub use board::QemuBoard;
pub use error::QemuError;
pub use settings::QemuSettings;
