//! The chip: one hart, its memory, and the debug module that reaches both.

use std::collections::HashMap;

use super::loader::Loader;

/// Registers of the debug module.
const DATA0: u64 = 0x04;
const DMCONTROL: u64 = 0x10;
const DMSTATUS: u64 = 0x11;
const ABSTRACTCS: u64 = 0x16;
const COMMAND: u64 = 0x17;
const SBCS: u64 = 0x38;
const SBADDRESS0: u64 = 0x39;
const SBDATA0: u64 = 0x3c;

/// Registers of the hart, by their numbers in abstract commands.
const DCSR: u32 = 0x7b0;
pub(super) const DPC: u32 = 0x7b1;
const MISA: u32 = 0x301;
/// Chooses one of the triggers that breakpoints are made of; an ESP32-C3 has eight, all of them for addresses (type 2).
const TSELECT: u32 = 0x7a0;
const TDATA1: u32 = 0x7a1;
const TINFO: u32 = 0x7a4;
const TRIGGERS: u32 = 8;
/// The first general-purpose register: x0.
const X0: u32 = 0x1000;
pub(super) const RA: u32 = X0 + 1;
pub(super) const SP: u32 = X0 + 2;
pub(super) const A0: u32 = X0 + 10;

/// Why a hart has halted, in `dcsr`.
const EBREAK: u32 = 1;
const HALT_REQUEST: u32 = 3;
const STEP: u32 = 4;

/// Writing this resets the chip: RTC_CNTL_OPTIONS0, with the bit of a system reset.
const SYSTEM_RESET: (u32, u32) = (0x6000_8000, 1 << 31);
/// Where the ROM begins.
const RESET_VECTOR: u32 = 0x4000_0000;

/// An ESP32-C3, as far as its debug module shows it.
#[derive(Debug)]
pub(in super::super) struct Chip {
    registers: HashMap<u32, u32>,
    words: HashMap<u32, u32>,
    halted: bool,
    has_reset: bool,
    resumed: bool,
    data: u32,
    command_error: u32,
    control: u32,
    sbcs: u32,
    address: u32,
    bus_data: u32,
    loader: Loader,
    /// JTAG clock, as it was last set.
    pub(in super::super) speed_khz: u32,
    /// How often a probe attached.
    pub(in super::super) attached: u32,
    /// How often the chip was reset.
    pub(in super::super) resets: u32,
    /// How often the hart was halted.
    pub(in super::super) halts: u32,
}

impl Chip {
    pub(super) fn running(counter: u32) -> Self {
        let mut chip = Self {
            registers: HashMap::new(),
            words: HashMap::new(),
            halted: false,
            has_reset: false,
            resumed: false,
            data: 0,
            command_error: 0,
            control: 0,
            sbcs: 0,
            address: 0,
            bus_data: 0,
            loader: Loader::new(),
            speed_khz: 0,
            attached: 0,
            resets: 0,
            halts: 0,
        };
        // RV32 with the extensions I, M and C.
        chip.registers.insert(MISA, 1 << 30 | 1 << 12 | 1 << 8 | 1 << 2);
        chip.registers.insert(DPC, counter);
        chip.registers.insert(TINFO, 1 << 2);
        chip.registers.insert(TDATA1, 2 << 28);
        chip
    }

    pub(in super::super) fn is_running(&self) -> bool {
        !self.halted
    }

    /// Puts the hart where a call from `returns_to` led, with words on its stack.
    pub(in super::super) fn stand(&mut self, returns_to: u32, stack_pointer: u32, stack: &[u32]) {
        self.registers.insert(RA, returns_to);
        self.registers.insert(SP, stack_pointer);
        for (at, word) in (stack_pointer..).step_by(4).zip(stack) {
            self.words.insert(at, *word);
        }
    }

    pub(in super::super) fn word(&self, at: u32) -> u32 {
        self.words.get(&(at & !3)).copied().unwrap_or(0)
    }

    pub(in super::super) fn set_word(&mut self, at: u32, word: u32) {
        self.words.insert(at & !3, word);
    }

    pub(in super::super) fn bytes(&self, at: u32, size: u32) -> Vec<u8> {
        (at..at + size).map(|at| self.word(at).to_le_bytes()[(at & 3) as usize]).collect()
    }

    pub(in super::super) fn set_bytes(&mut self, at: u32, bytes: &[u8]) {
        for (at, byte) in (at..).zip(bytes) {
            let mut word = self.word(at).to_le_bytes();
            word[(at & 3) as usize] = *byte;
            self.set_word(at, u32::from_le_bytes(word));
        }
    }

    pub(super) fn register(&self, number: u32) -> u32 {
        self.registers.get(&number).copied().unwrap_or(0)
    }

    /// The chip's flash.
    pub(in super::super) fn flash(&mut self) -> &mut Vec<u8> {
        &mut self.loader.flash
    }

    pub(super) fn read_register(&mut self, register: u64) -> u32 {
        match register {
            DATA0 => self.data,
            DMCONTROL => self.control & 1,
            DMSTATUS => {
                // Implicit ebreak, authenticated, version 0.13.
                let mut status = 1 << 22 | 1 << 7 | 2;
                for (bits, on) in [(18, self.has_reset), (16, self.resumed), (10, !self.halted), (8, self.halted)] {
                    status |= if on { 0b11 << bits } else { 0 };
                }
                status
            }
            // A program buffer of two words, one data word.
            ABSTRACTCS => 2 << 24 | self.command_error << 8 | 1,
            // Version 1, 32 address bits, accesses of 8, 16 and 32 bits.
            SBCS => self.sbcs | 1 << 29 | 32 << 5 | 0b111,
            SBADDRESS0 => self.address,
            SBDATA0 => {
                let word = self.bus_data;
                if self.sbcs >> 15 & 1 == 1 {
                    self.read_bus();
                }
                word
            }
            _ => 0,
        }
    }

    pub(super) fn write_register(&mut self, register: u64, value: u32) {
        match register {
            DATA0 => self.data = value,
            DMCONTROL => self.control(value),
            ABSTRACTCS => self.command_error &= !(value >> 8 & 7),
            COMMAND => self.command(value),
            SBCS => self.sbcs = value & 0x001f_8000,
            SBADDRESS0 => {
                self.address = value;
                if self.sbcs >> 20 & 1 == 1 {
                    self.read_bus();
                }
            }
            SBDATA0 => {
                let size = self.bus_bytes();
                self.set_bytes(self.address, &value.to_le_bytes()[..size as usize]);
                if (self.address, value & SYSTEM_RESET.1) == SYSTEM_RESET {
                    self.reset();
                }
                self.step_address();
            }
            _ => {}
        }
    }

    fn bus_bytes(&self) -> u32 {
        1 << (self.sbcs >> 17 & 7).min(2)
    }

    /// Reads the bus into the register that `sbdata0` shows.
    fn read_bus(&mut self) {
        let bytes = self.bytes(self.address, self.bus_bytes());
        self.bus_data = bytes.iter().rev().fold(0, |word, byte| word << 8 | u32::from(*byte));
        self.step_address();
    }

    fn step_address(&mut self) {
        if self.sbcs >> 16 & 1 == 1 {
            self.address = self.address.wrapping_add(self.bus_bytes());
        }
    }

    fn control(&mut self, value: u32) {
        let bit = |n: u32| value >> n & 1 == 1;
        if bit(28) {
            self.has_reset = false;
        }
        // It has reset once the line is let go.
        if !bit(1) && self.control >> 1 & 1 == 1 {
            self.reset();
            self.halted = false;
        }
        if bit(31) && !self.halted {
            self.halts += 1;
            self.halt_because(HALT_REQUEST);
        }
        if bit(30) && self.halted {
            self.resumed = true;
            self.run();
        }
        self.control = value;
    }

    fn reset(&mut self) {
        self.resets += 1;
        self.has_reset = true;
        self.registers.insert(DPC, RESET_VECTOR);
    }

    fn halt_because(&mut self, cause: u32) {
        let kept = self.register(DCSR) & !(7 << 6);
        self.registers.insert(DCSR, kept | 0x4000_0003 | cause << 6);
        self.halted = true;
    }

    /// The hart runs: through the flash loader where it stands at one of its entry points, and back to its `ebreak`.
    fn run(&mut self) {
        // probe-rs steps over a breakpoint before it lets a hart run. What runs here is no machine code: a step leads nowhere.
        if self.register(DCSR) >> 2 & 1 == 1 {
            self.halt_because(STEP);
            return;
        }
        self.halted = false;
        let mut loader = std::mem::take(&mut self.loader);
        if let Some(result) = loader.enter(self) {
            self.registers.insert(A0, result);
            self.registers.insert(DPC, self.register(RA));
            self.halt_because(EBREAK);
        }
        self.loader = loader;
    }

    /// An abstract command: access to a register. What runs in the program buffer (a fence) changes nothing here.
    fn command(&mut self, command: u32) {
        if command >> 24 != 0 || command >> 20 & 7 > 2 {
            self.command_error = 2;
            return;
        }
        if !self.halted {
            self.command_error = 4;
            return;
        }
        if command >> 17 & 1 == 0 {
            return;
        }
        let number = command & 0xffff;
        if command >> 16 & 1 == 1 {
            // What names no trigger is not taken.
            if number == TSELECT && self.data >= TRIGGERS {
                return;
            }
            self.registers.insert(number, self.data);
        } else {
            self.data = self.register(number);
        }
    }
}
