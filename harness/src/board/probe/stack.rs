//! The call chain of a halted Xtensa core, from what its registers and stack hold.
//!
//! Xtensa's windowed calls keep the caller's first four registers in the 16 bytes below the callee's stack pointer, once
//! they have left the register file; the two top bits of a return address tell how far the window moved, and are those
//! of the caller's own address otherwise (Xtensa ISA Reference Manual, windowed register option; `esp_backtrace_get_next_frame`
//! in ESP-IDF reads them the same way).

/// Most callers that are followed: a chain that is longer is corrupt.
const MAX_CALLERS: usize = 64;

/// The callers of a function, innermost first, each as the address of its call instruction. `word` reads a word of the
/// device's memory; where it cannot, the chain ends.
pub(super) fn xtensa_callers(pc: u64, a0: u64, a1: u64, mut word: impl FnMut(u64) -> Option<u32>) -> Vec<u64> {
    let mut callers = Vec::new();
    let (mut returns_to, mut stack) = (a0, a1);
    while returns_to != 0 && callers.len() < MAX_CALLERS {
        // A call instruction has three bytes.
        callers.push(((returns_to & 0x3fff_ffff) | (pc & 0xc000_0000)).saturating_sub(3));
        let Some(save_area) = stack.checked_sub(16) else { break };
        let (Some(next), Some(below)) = (word(save_area), word(save_area + 4)) else { break };
        let below = u64::from(below);
        // A stack grows down: what does not lie above is no caller's.
        if below <= stack {
            break;
        }
        (returns_to, stack) = (u64::from(next), below);
    }
    callers
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn callers_are_followed_through_their_save_areas() {
        // Three frames: the innermost has its stack at 0x3ffb0100, its caller at 0x3ffb0140, that one's at 0x3ffb0180.
        let memory = BTreeMap::from([
            (0x3ffb_00f0, 0x800d_2003_u32),
            (0x3ffb_00f4, 0x3ffb_0140),
            (0x3ffb_0130, 0),
            (0x3ffb_0134, 0x3ffb_0180),
        ]);
        let read = |at| memory.get(&at).copied();
        let callers = xtensa_callers(0x400d_0010, 0x800d_1003, 0x3ffb_0100, read);
        assert_eq!(callers, [0x400d_1000, 0x400d_2000]);
    }

    #[test]
    fn stack_that_leads_nowhere_ends_the_chain() {
        assert_eq!(xtensa_callers(0x400d_0010, 0x800d_1003, 0x3ffb_0100, |_| None), [0x400d_1000]);
        assert_eq!(xtensa_callers(0x400d_0010, 0x800d_1003, 8, |_| Some(1)), [0x400d_1000]);
        let to_itself = |at| if at % 8 == 0 { Some(0x800d_1003) } else { Some(0x3ffb_0100) };
        assert_eq!(xtensa_callers(0x400d_0010, 0x800d_1003, 0x3ffb_0100, to_itself), [0x400d_1000]);
        assert!(xtensa_callers(0x400d_0010, 0, 0x3ffb_0100, |_| None).is_empty());
    }
}
