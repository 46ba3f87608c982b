//! What stands on an ESP32's flash: application images, their descriptors, the partition table, otadata.
//!
//! `no_std` and without allocation, since the reference firmware reads the same structures on a chip; building and
//! patching images needs the feature `std`.
//!
//! Sources: Espressif's ESP-IDF documentation ("App Image Format", "Partition Tables", "Over The Air Updates") and the
//! structures of esp-idf's `esp_app_format.h`, `esp_app_desc.h` and `esp_flash_partitions.h`, by their field layout.

#![cfg_attr(not(feature = "std"), no_std)]

pub mod chip;
pub mod descriptor;
pub mod header;
pub mod otadata;
pub mod partition;
pub mod record;
pub mod verify;

#[cfg(feature = "std")]
pub mod build;
#[cfg(feature = "std")]
pub mod patch;

mod bytes;

/// A flash sector: the smallest unit of erasure.
pub const SECTOR: u32 = 4096;
