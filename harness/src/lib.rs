//! brickproof: hardware-in-the-loop tests of ESP32 over-the-air updates.
pub mod board;
pub mod report;
pub mod scenario;
pub mod timeline;
