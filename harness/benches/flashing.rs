//! Flashing 1 MiB that does not compress onto the same virtual board, by brickproof (the espflash library) and by
//! esptool, as often as is asked for: `cargo bench -p brickproof --bench flashing`.

#![allow(clippy::print_stdout, reason = "a benchmark tells its figures")]

use std::process::Command;
use std::time::{Duration, Instant};

use brickproof::board::board::flash_session;
use brickproof::board::flash::Region;
use brickproof::board::flasher::FlashOptions;
use brickproof::board::identity::PortId;
use brickproof::board::port::{DEFAULT_BAUD, Port};
use brickproof::board::serial::SerialBoard;
use brickproof::board::virtual_reset::InProcess;
use esp_image::chip::ChipId;
use virtual_esp32::{Config, Flash, Handle, PowerState, VirtualEsp32};
use virtual_time::{InFlight, Mode};

const MIB: usize = 1 << 20;
const OFFSET: u32 = 0x1_0000;

/// xorshift64: bytes that no compression shortens, other ones for each seed.
fn noise(mut seed: u64) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(MIB);
    while bytes.len() < MIB {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        bytes.extend(seed.to_le_bytes());
    }
    bytes
}

/// A board of its own on a thread, in download mode.
fn board() -> Handle {
    let (publish, published) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        virtual_time::run(Mode::Real, &InFlight::new(), async move {
            let flash = Flash::in_memory(virtual_esp32::standalone::DEFAULT_FLASH_SIZE);
            let config = Config::new(ChipId::Esp32C3, flash, Box::new(virtual_esp32::FlashBoot));
            let config = Config { initial: PowerState::Download, ..config };
            let (chip, handle) = VirtualEsp32::new(config).expect("a pty");
            publish.send(handle).expect("somebody waits");
            match chip.run().await {}
        })
        .expect("runtime")
    });
    published.recv().expect("a board")
}

fn by_brickproof(handle: &Handle, bytes: &[u8]) -> (Duration, u64, u64) {
    let region = Region { label: "noise".to_owned(), offset: OFFSET, bytes: bytes.to_vec() };
    let begun = Instant::now();
    let written = virtual_time::run(Mode::Real, &InFlight::new(), async {
        let port = Port::open(&PortId::Path(handle.port().display().to_string()), DEFAULT_BAUD).expect("the port");
        let options = FlashOptions { baud: Some(921_600), ..FlashOptions::default() };
        let mut board = SerialBoard::new(port, Box::new(InProcess(handle.clone())), options, None);
        flash_session(&mut board, move |flash| flash.write(std::slice::from_ref(&region))).await.expect("written")
    })
    .expect("runtime");
    (begun.elapsed(), written.written, written.unchanged)
}

fn by_esptool(handle: &Handle, file: &std::path::Path) -> Option<Duration> {
    let esptool = outside_tools::program("esptool");
    if !esptool.is_file() {
        return None;
    }
    // esptool cannot reset a pty: the reset line is pulsed for it.
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("runtime");
    runtime.block_on(handle.hold_in_reset()).expect("the board");
    runtime.block_on(handle.release(virtual_esp32::BootMode::Download)).expect("the board");
    let begun = Instant::now();
    let output = Command::new(esptool)
        .args(["--chip", "esp32c3", "--before", "no-reset", "--after", "no-reset", "--baud", "921600", "--port"])
        .arg(handle.port())
        .args(["write-flash", &format!("{OFFSET:#x}")])
        .arg(file)
        .output()
        .expect("esptool");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    Some(begun.elapsed())
}

fn main() {
    let handle = board();
    for round in 1..=3u64 {
        let bytes = noise(2 * round);
        let (took, written, unchanged) = by_brickproof(&handle, &bytes);
        println!("brickproof, new image:       {took:>8.3?}  {written} bytes written, {unchanged} unchanged");
        let (took, written, unchanged) = by_brickproof(&handle, &bytes);
        println!("brickproof, the same again:  {took:>8.3?}  {written} bytes written, {unchanged} unchanged");
        let file = tempfile::NamedTempFile::new().expect("file");
        std::fs::write(file.path(), noise(2 * round + 1)).expect("file");
        match by_esptool(&handle, file.path()) {
            Some(took) => println!("esptool, new image:          {took:>8.3?}"),
            None => println!("esptool is not installed: ./test.sh does it"),
        }
    }
}
