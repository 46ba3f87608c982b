//! Where a halted core stood, in words of the firmware that ran.

use super::Elf;
use crate::board::board::CoreState;
use crate::timeline::{Frame, Halted};

/// A core's place, with the ELF files of the images that may run. A halted core does not say which of them it runs: the
/// one that has code wherever it stands and was called from is taken, and none where several have. Two builds of one
/// firmware have code in the same places, and the wrong one's names would look right.
#[must_use]
pub fn halted(core: &CoreState, elves: &[Elf]) -> Halted {
    let places = || [&core.counter].into_iter().chain(&core.callers);
    let known = |elf: &Elf| places().filter(|address| elf.has_code(**address)).count();
    let most = elves.iter().map(known).max().unwrap_or(0);
    let fitting: Vec<&Elf> = elves.iter().filter(|elf| most > 0 && known(elf) == most).collect();
    let elf = match fitting.as_slice() {
        [elf] => Some(*elf),
        _ => None,
    };
    let why_not = match fitting.len() {
        0 if elves.is_empty() => None,
        0 => Some("no known ELF file has code there: is it in the chip's ROM?".to_owned()),
        1 => None,
        several => Some(format!("{several} ELF files have code there, and a halted core does not say which it runs")),
    };
    let frames = |address: &u64| match elf {
        Some(elf) => elf.frames(*address),
        None => vec![Frame { address: *address, function: None, file: None, line: None }],
    };
    Halted {
        core: core.core,
        frames: places().flat_map(frames).collect(),
        stack: elf.map(|elf| elf.on_stack(&core.stack)).unwrap_or_default(),
        why_not,
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
        let open = || Elf::open(&std::env::current_exe().expect("a path")).expect("an ELF file");
        let own = open();
        let named = |address: &u64| own.frames(*address).iter().any(|frame| frame.function.is_some());
        let address = addresses_of(&own, "program_counters").into_iter().find(named).expect("code of this program");
        let core = CoreState { core: 0, counter: address, callers: vec![1], stack: vec![] };
        let told = halted(&core, &[own]);
        assert!(told.frames[0].function.is_some(), "{told}");
        assert_eq!(told.frames.last().map(|frame| (frame.address, frame.function.clone())), Some((1, None)));
        // Two builds that fit alike: which one runs is not known.
        let told = halted(&core, &[open(), open()]);
        assert!(told.frames.iter().all(|frame| frame.function.is_none()), "{told}");
        assert!(told.to_string().contains("2 ELF files have code there"), "{told}");
        let elsewhere = CoreState { counter: 2, ..core };
        assert!(halted(&elsewhere, &[open()]).to_string().contains("ROM"));
    }
}
