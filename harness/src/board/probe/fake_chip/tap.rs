//! The probe's bits, and the chip's JTAG test access port (IEEE 1149.1) with its registers of 5 instruction bits.

use bitvec::vec::BitVec;
use probe_rs::architecture::riscv::communication_interface::{RiscvError, RiscvInterfaceBuilder};
use probe_rs::architecture::riscv::dtm::jtag_dtm::JtagDtmBuilder;
use probe_rs::probe::{
    AutoImplementJtagAccess, DebugProbe, DebugProbeError, JtagAccess, JtagDriverState, RawJtagIo, WireProtocol,
};

use super::{SharedChip, with};

/// An ESP32-C3's IDCODE.
const IDCODE: u64 = 0x5c25;
/// Instructions of the RISC-V debug transport module.
const IR_IDCODE: u64 = 0x01;
const IR_DTMCS: u64 = 0x10;
const IR_DMI: u64 = 0x11;
/// Bits of an instruction.
const IR_BITS: u32 = 5;
/// Bits of a debug module's addresses.
const ABITS: u32 = 7;

/// States of the test access port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Reset,
    Idle,
    Select { ir: bool },
    Capture { ir: bool },
    Shift { ir: bool },
    Exit1 { ir: bool },
    Pause { ir: bool },
    Exit2 { ir: bool },
    Update { ir: bool },
}

impl State {
    fn next(self, tms: bool) -> Self {
        match (self, tms) {
            (Self::Reset, true) | (Self::Select { ir: true }, true) => Self::Reset,
            (Self::Reset | Self::Idle | Self::Update { .. }, false) => Self::Idle,
            (Self::Idle | Self::Update { .. }, true) => Self::Select { ir: false },
            (Self::Select { ir: false }, true) => Self::Select { ir: true },
            (Self::Select { ir }, false) => Self::Capture { ir },
            (Self::Capture { ir } | Self::Shift { ir } | Self::Exit2 { ir }, false) => Self::Shift { ir },
            (Self::Capture { ir } | Self::Shift { ir }, true) => Self::Exit1 { ir },
            (Self::Exit1 { ir } | Self::Pause { ir }, false) => Self::Pause { ir },
            (Self::Pause { ir }, true) => Self::Exit2 { ir },
            (Self::Exit1 { ir } | Self::Exit2 { ir }, true) => Self::Update { ir },
        }
    }
}

/// A probe wired to a chip.
#[derive(Debug)]
pub(super) struct JtagProbe {
    chip: SharedChip,
    driver: JtagDriverState,
    captured: BitVec,
    state: State,
    instruction: u64,
    /// What is shifted, and how many bits it has.
    shift: (u64, u32),
    /// What the last access to the debug module gave.
    answer: u32,
}

impl JtagProbe {
    pub(super) fn wired_to(chip: &SharedChip) -> Self {
        Self {
            chip: SharedChip::clone(chip),
            driver: JtagDriverState::default(),
            captured: BitVec::new(),
            state: State::Reset,
            instruction: IR_IDCODE,
            shift: (0, 1),
            answer: 0,
        }
    }

    /// One clock of the port; what it puts out.
    fn clock(&mut self, tms: bool, tdi: bool) -> bool {
        let out = self.shift.0 & 1 == 1;
        match self.state {
            State::Capture { ir: true } => self.shift = (1, IR_BITS),
            State::Capture { ir: false } => self.shift = self.capture(),
            State::Shift { .. } => {
                let (bits, size) = self.shift;
                self.shift = (bits >> 1 | u64::from(tdi) << (size - 1), size);
            }
            _ => {}
        }
        self.state = self.state.next(tms);
        match self.state {
            State::Reset => self.instruction = IR_IDCODE,
            State::Update { ir: true } => self.instruction = self.shift.0,
            State::Update { ir: false } if self.instruction == IR_DMI => self.access(),
            _ => {}
        }
        out
    }

    fn capture(&self) -> (u64, u32) {
        match self.instruction {
            IR_IDCODE => (IDCODE, 32),
            // Version 0.13, so many address bits, one idle cycle.
            IR_DTMCS => (1 | u64::from(ABITS) << 4 | 1 << 12, 32),
            IR_DMI => (u64::from(self.answer) << 2, ABITS + 34),
            _ => (0, 1),
        }
    }

    fn access(&mut self) {
        let bits = self.shift.0;
        let data = u32::try_from(bits >> 2 & 0xffff_ffff).unwrap_or(0);
        let address = bits >> 34;
        match bits & 3 {
            1 => self.answer = with(&self.chip, |chip| chip.read_register(address)),
            2 => with(&self.chip, |chip| chip.write_register(address, data)),
            _ => {}
        }
    }
}

impl RawJtagIo for JtagProbe {
    fn state_mut(&mut self) -> &mut JtagDriverState {
        &mut self.driver
    }

    fn state(&self) -> &JtagDriverState {
        &self.driver
    }

    fn shift_bit(&mut self, tms: bool, tdi: bool, capture: bool) -> Result<(), DebugProbeError> {
        self.driver.state.update(tms);
        let out = self.clock(tms, tdi);
        if capture {
            self.captured.push(out);
        }
        Ok(())
    }

    fn read_captured_bits(&mut self) -> Result<BitVec, DebugProbeError> {
        Ok(std::mem::take(&mut self.captured))
    }
}

impl AutoImplementJtagAccess for JtagProbe {}

impl DebugProbe for JtagProbe {
    fn get_name(&self) -> &'static str {
        "fake JTAG"
    }

    fn speed_khz(&self) -> u32 {
        with(&self.chip, |chip| chip.speed_khz)
    }

    fn set_speed(&mut self, speed_khz: u32) -> Result<u32, DebugProbeError> {
        with(&self.chip, |chip| chip.speed_khz = speed_khz);
        Ok(speed_khz)
    }

    fn attach(&mut self) -> Result<(), DebugProbeError> {
        with(&self.chip, |chip| chip.attached += 1);
        self.select_target(0)
    }

    fn detach(&mut self) -> Result<(), probe_rs::Error> {
        Ok(())
    }

    fn target_reset(&mut self) -> Result<(), DebugProbeError> {
        Err(DebugProbeError::NotImplemented { function_name: "target_reset" })
    }

    fn target_reset_assert(&mut self) -> Result<(), DebugProbeError> {
        Ok(())
    }

    fn target_reset_deassert(&mut self) -> Result<(), DebugProbeError> {
        Ok(())
    }

    fn select_protocol(&mut self, protocol: WireProtocol) -> Result<(), DebugProbeError> {
        match protocol {
            WireProtocol::Jtag => Ok(()),
            WireProtocol::Swd => Err(DebugProbeError::UnsupportedProtocol(protocol)),
        }
    }

    fn active_protocol(&self) -> Option<WireProtocol> {
        Some(WireProtocol::Jtag)
    }

    fn try_as_jtag_probe(&mut self) -> Option<&mut dyn JtagAccess> {
        Some(self)
    }

    fn try_get_riscv_interface_builder<'probe>(
        &'probe mut self,
    ) -> Result<Box<dyn RiscvInterfaceBuilder<'probe> + 'probe>, RiscvError> {
        Ok(Box::new(JtagDtmBuilder::new(self)))
    }

    fn has_riscv_interface(&self) -> bool {
        true
    }

    fn into_probe(self: Box<Self>) -> Box<dyn DebugProbe> {
        self
    }
}
