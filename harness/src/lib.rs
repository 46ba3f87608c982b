//! brickproof: hardware-in-the-loop tests of ESP32 over-the-air updates.
pub mod analyze;
pub mod board;
pub mod console;
pub mod diagnose;
pub mod dialect;
pub mod doctor;
pub mod esp_err;
pub mod report;
pub mod scenario;
pub mod timeline;
