//! Where the cores of a chip stand: halted, asked, let go.

use probe_rs::{Core, CoreRegister, CoreType, Error, MemoryInterface as _};

use super::stack::xtensa_callers;
use super::wired::Wired;
use crate::board::BoardError;
use crate::board::board::{CoreState, Inspection};

/// Words of a RISC-V stack that are read: as much as ESP-IDF prints of it when it panics (1 KiB).
const STACK_WORDS: u64 = 256;

impl Wired {
    /// Halts all cores, reads where each stands, and lets them go on. A core that was halted before stays so.
    ///
    /// # Errors
    ///
    /// The chip does not answer.
    pub(super) fn inspect(&mut self) -> Result<Inspection, BoardError> {
        let cores = self.session.halted_access(|session| {
            let mut states = Vec::new();
            for (index, kind) in session.list_cores() {
                let mut core = match session.core(index) {
                    // The second core of a chip whose firmware uses one.
                    Err(Error::CoreDisabled(_)) => continue,
                    core => core?,
                };
                states.push(state(&mut core, index, kind)?);
            }
            Ok(states)
        });
        cores.map(|cores| Inspection { cores }).map_err(|e| self.failed("inspect the chip on", &e))
    }
}

fn state(core: &mut Core<'_>, index: usize, kind: CoreType) -> Result<CoreState, Error> {
    let registers = [core.program_counter(), core.return_address(), core.stack_pointer()].map(CoreRegister::id);
    let [pc, returns_to, stack_pointer] = registers.map(|id| core.read_core_reg::<u64>(id));
    let (pc, returns_to, stack_pointer) = (pc?, returns_to?, stack_pointer?);
    if kind == CoreType::Xtensa {
        core.spill_registers()?;
        let callers = xtensa_callers(pc, returns_to, stack_pointer, |at| core.read_word_32(at).ok());
        return Ok(CoreState { core: index, counter: pc, callers, stack: Vec::new() });
    }
    // Beyond the end of the memory there is nothing to read; what was read before counts.
    let words = (0..STACK_WORDS).map(|n| stack_pointer + 4 * n);
    let stack = words.map_while(|at| core.read_word_32(at).ok()).collect();
    // The call itself is two or four bytes before where it returns to; two are enough to be inside it.
    let callers = if returns_to == 0 { Vec::new() } else { vec![returns_to.saturating_sub(2)] };
    Ok(CoreState { core: index, counter: pc, callers, stack })
}
