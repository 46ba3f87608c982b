#![no_std]
//! The reference OTA firmware: all of its behaviour, behind traits.

pub mod platform;
