//! RISC-V calls, as far as it takes to tell a return address on a stack from any other number.
//!
//! Source: The RISC-V Instruction Set Manual, volume I, "Unconditional Jumps" and the "C" extension: JAL has opcode 0x6f,
//! JALR 0x67, and both are calls where the destination is x1 (ra); C.JAL (RV32) is 001 in bits 15 to 13 of quadrant 1, C.JALR is
//! 1001 in bits 15 to 12 of quadrant 2 with a register in bits 11 to 7 and none in bits 6 to 2.

/// Whether code ends with a call.
pub(super) fn ends_with_call(code: &[u8]) -> bool {
    let whole = code.last_chunk::<4>().is_some_and(|bytes| is_call(u32::from_le_bytes(*bytes)));
    whole || code.last_chunk::<2>().is_some_and(|bytes| is_short_call(u16::from_le_bytes(*bytes)))
}

fn is_call(instruction: u32) -> bool {
    let into_ra = instruction >> 7 & 0x1f == 1;
    into_ra && matches!(instruction & 0x7f, 0x6f | 0x67)
}

fn is_short_call(instruction: u16) -> bool {
    let jal = instruction & 0xe003 == 0x2001;
    let jalr = instruction & 0xf07f == 0x9002 && instruction >> 7 & 0x1f != 0;
    jal || jalr
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_told_from_jumps_and_other_instructions() {
        // jal ra, 0x100; jalr ra, 0(a5); c.jal 4; c.jalr a5
        for call in [&[0xef, 0x00, 0x00, 0x10][..], &[0xe7, 0x80, 0x07, 0x00], &[0x11, 0x20], &[0x82, 0x97]] {
            assert!(ends_with_call(call), "{call:02x?}");
        }
        // jal zero (a jump); jalr zero, 0(ra) (ret); c.jr ra; c.ebreak; addi; nothing
        for other in [
            &[0x6f, 0x00, 0x00, 0x10][..],
            &[0x67, 0x80, 0x00, 0x00],
            &[0x82, 0x80],
            &[0x02, 0x90],
            &[0x13, 0x01, 0x01, 0xff],
            &[],
        ] {
            assert!(!ends_with_call(other), "{other:02x?}");
        }
    }
}
