//! The reference firmware's catalogue and images as part of the program. A test compares the list with the catalogue.

macro_rules! images {
    ($($file:literal),* $(,)?) => {
        &[$(($file, include_bytes!(concat!("../../../firmware-images/", $file)))),*]
    };
}

/// The catalogue's text.
pub(super) const CATALOGUE: &str = include_str!("../../../firmware-images/catalogue.toml");

const FILES: &[(&str, &[u8])] = images![
    "esp32c3/images/openeth/ota-agent-esp32c3-openeth-1.5.9.bin",
    "esp32c3/images/openeth/ota-agent-esp32c3-openeth-1.6.0.bin",
    "esp32c3/images/openeth/ota-agent-esp32c3-openeth-1.6.1.bin",
    "images/bootloader-virtual-esp32.bin",
    "images/bootloader-virtual-esp32c3.bin",
    "images/bootloader-virtual-esp32s3.bin",
    "images/ota-agent-esp32-1.5.9.bin",
    "images/ota-agent-esp32-1.6.0.bin",
    "images/ota-agent-esp32-1.6.1.bin",
    "images/ota-agent-esp32s3-1.5.9.bin",
    "images/ota-agent-esp32s3-1.6.0.bin",
    "images/ota-agent-esp32s3-1.6.1.bin",
    "images/partition-table-4mb.bin",
];

/// A file by its path in the catalogue.
pub(super) fn file(path: &str) -> Option<&'static [u8]> {
    FILES.iter().find(|(name, _)| *name == path).map(|(_, bytes)| *bytes)
}
