//! The OpenCores Ethernet that Espressif's QEMU gives its machines (`-nic user,model=open_eth`). No chip has it.
//!
//! Registers and descriptors: OpenCores "Ethernet IP Core Specification"; their base on the ESP32-C3's machine, and what
//! the emulator does otherwise than the specification says, were seen on the emulator.

use alloc::boxed::Box;
use core::convert::Infallible;
use core::sync::atomic::{Ordering, compiler_fence};

use ota_agent::platform::Console as _;
use smoltcp::phy::{self, DeviceCapabilities, Medium, TxToken};
use smoltcp::time::Instant;

use super::device::{Frame, Received};
use crate::console::Console;
use crate::nvs::FlashNvs;
use crate::system;

/// Where the machine has it.
const BASE: usize = 0x600c_d000;
const MODER: usize = 0x00;
const INT_SOURCE: usize = 0x04;
const INT_MASK: usize = 0x08;
const IPGT: usize = 0x0c;
const PACKETLEN: usize = 0x18;
const TX_BD_NUM: usize = 0x20;
const MAC_ADDR0: usize = 0x40;
const MAC_ADDR1: usize = 0x44;
const DESCRIPTORS: usize = 0x400;

/// Reset values by which the card is known to be there.
const IPGT_RESET: u32 = 0x12;
const PACKETLEN_RESET: u32 = 0x0040_0600;

/// Descriptor: the card has it (to send, or empty to receive).
const OWNED: u32 = 1 << 15;
/// Descriptor: the last of its ring.
const WRAP: u32 = 1 << 13;
/// Send descriptor: pad short frames, append the checksum.
const PAD_AND_CHECKSUM: u32 = 1 << 12 | 1 << 11;
/// Full duplex, pad, checksum, receive and send on. Not bit 3 (reject broadcast): DHCP would fail.
const MODE: u32 = 0xa003;

/// Receive descriptors; the one before them sends.
const RECEIVERS: usize = 16;
/// Bytes of a buffer: PACKETLEN's longest frame.
const BUFFER: usize = 1536;
/// Longest frame without its checksum.
const MTU: usize = 1514;

/// Reads a register of the card.
#[expect(unsafe_code, reason = "registers of a card that no crate knows")]
fn read(register: usize) -> u32 {
    // SAFETY: a word of the card's page, which no other driver uses.
    unsafe { ((BASE + register) as *const u32).read_volatile() }
}

/// Writes a register of the card.
#[expect(unsafe_code, reason = "registers of a card that no crate knows")]
fn write(register: usize, value: u32) {
    // What was put into a buffer is there before the card is told of it.
    compiler_fence(Ordering::SeqCst);
    // SAFETY: as in `read`.
    unsafe { ((BASE + register) as *mut u32).write_volatile(value) }
}

/// Flags and length of a descriptor; the buffer's address follows.
fn descriptor(index: usize) -> usize {
    DESCRIPTORS + index * 8
}

/// Memory for sockets and frames.
pub(crate) fn take_heap() {
    esp_alloc::heap_allocator!(size: 128 * 1024);
}

/// The card as found.
pub(crate) struct Card {
    present: bool,
}

impl Card {
    /// Looks for the card.
    pub(crate) fn open() -> Self {
        write(MODER, 0x800);
        write(MODER, 0);
        Self { present: read(IPGT) == IPGT_RESET && read(PACKETLEN) == PACKETLEN_RESET }
    }

    /// Starts it.
    pub(crate) fn device(&self) -> Device {
        let buffers = Box::leak(Box::new([[0; BUFFER]; RECEIVERS + 1]));
        if self.present {
            write(TX_BD_NUM, 1);
            for (index, buffer) in buffers.iter().enumerate() {
                // Addresses have 32 bits on this chip.
                write(descriptor(index) + 4, buffer.as_ptr() as u32);
                write(descriptor(index), if index == 0 { 0 } else { empty(index) });
            }
            let [a, b, c, d, e, f] = system::mac();
            write(MAC_ADDR0, u32::from_be_bytes([c, d, e, f]));
            write(MAC_ADDR1, u32::from_be_bytes([0, 0, a, b]));
            write(INT_MASK, 0);
            write(INT_SOURCE, 0x7f);
            write(MODER, MODE);
        }
        Device { present: self.present, buffers, next: 1 }
    }

    /// There is nothing to be told: whoever plugs the card in has set it up.
    pub(crate) async fn read_settings(&mut self, _: &mut FlashNvs) {}

    /// Says what is wrong with it.
    pub(crate) async fn run(self, mut console: Console) -> Infallible {
        if !self.present {
            console
                .write(b"E (0) openeth: no card: this build is for the emulator, with -nic user,model=open_eth\r\n")
                .await;
        }
        core::future::pending().await
    }
}

fn empty(index: usize) -> u32 {
    OWNED | if index == RECEIVERS { WRAP } else { 0 }
}

/// The card with its buffers.
pub(crate) struct Device {
    present: bool,
    buffers: &'static mut [[u8; BUFFER]; RECEIVERS + 1],
    next: usize,
}

/// A frame in its buffer.
pub(crate) struct Arrived<'a> {
    index: usize,
    frame: &'a [u8],
}

impl Frame for Arrived<'_> {
    fn show<R>(self, look: impl FnOnce(&[u8]) -> R) -> R {
        let result = look(self.frame);
        write(descriptor(self.index), empty(self.index));
        result
    }
}

/// The card's one send descriptor, free.
pub(crate) struct Sender<'a>(&'a mut [u8; BUFFER]);

impl TxToken for Sender<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, fill: F) -> R {
        let length = length.min(BUFFER);
        let result = fill(&mut self.0[..length]);
        write(descriptor(0), u32::try_from(length).unwrap_or(0) << 16 | OWNED | WRAP | PAD_AND_CHECKSUM);
        result
    }
}

impl phy::Device for Device {
    type RxToken<'a> = Received<Arrived<'a>>;
    type TxToken<'a> = Sender<'a>;

    fn receive(&mut self, _: Instant) -> Option<(Self::RxToken<'_>, Self::TxToken<'_>)> {
        if !self.present || read(descriptor(0)) & OWNED != 0 {
            return None;
        }
        let flags = read(descriptor(self.next));
        if flags & OWNED != 0 {
            return None;
        }
        compiler_fence(Ordering::SeqCst);
        let index = self.next;
        self.next = if index == RECEIVERS { 1 } else { index + 1 };
        // The length counts the checksum.
        let length = (flags >> 16).saturating_sub(4) as usize;
        let (sender, receivers) = self.buffers.split_at_mut(1);
        let frame = receivers[index - 1].get(..length).unwrap_or(&[]);
        Some((Received(Arrived { index, frame }), Sender(&mut sender[0])))
    }

    fn transmit(&mut self, _: Instant) -> Option<Self::TxToken<'_>> {
        let free = self.present && read(descriptor(0)) & OWNED == 0;
        free.then(|| Sender(&mut self.buffers[0]))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = MTU;
        capabilities
    }
}
