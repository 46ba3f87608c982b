//! Where a halted core stood, in words of the firmware that ran.

use super::Elf;
use crate::board::board::CoreState;
use crate::timeline::{Frame, Halted};

/// A core's place, with the ELF files of the images that may run. A halted core does not say which of them it runs: the
/// one that has code where it stands, and where the calls came from, is taken.
#[must_use]
pub fn halted(core: &CoreState, elves: &[Elf]) -> Halted {
    let places = || core.callers.iter().chain([&core.counter]);
    let known = |elf: &&Elf| places().filter(|address| elf.has_code(**address)).count();
    let elf = elves.iter().max_by_key(known).filter(|elf| known(elf) > 0);
    let frames = |address: &u64| match elf {
        Some(elf) => elf.frames(*address),
        None => vec![Frame { address: *address, function: None, file: None, line: None }],
    };
    Halted {
        core: core.core,
        frames: [&core.counter].into_iter().chain(&core.callers).flat_map(frames).collect(),
        stack: elf.map(|elf| elf.on_stack(&core.stack)).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::addresses_of;
    use super::*;

    #[test]
    fn without_symbols_the_addresses_themselves_are_told() {
        let core = CoreState { core: 1, counter: 0x4200_0010, callers: vec![0x4200_1000], stack: vec![0x4200_2000] };
        assert_eq!(halted(&core, &[]).to_string(), "0x42000010, called by 0x42001000");
    }

    #[test]
    fn place_that_an_image_has_code_for_is_told_by_its_name() {
        let own = Elf::open(&std::env::current_exe().expect("a path")).expect("an ELF file");
        let named = |address: &u64| own.frames(*address).iter().any(|frame| frame.function.is_some());
        let address = addresses_of(&own, "program_counters").into_iter().find(named).expect("code of this program");
        let core = CoreState { core: 0, counter: address, callers: vec![1], stack: vec![] };
        let told = halted(&core, &[own]);
        assert!(told.frames[0].function.is_some(), "{told}");
        assert_eq!(told.frames.last().map(|frame| (frame.address, frame.function.clone())), Some((1, None)));
    }
}
