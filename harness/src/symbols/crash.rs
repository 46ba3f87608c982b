//! Crashes on a console, put together from what the device says one line after the other.

use super::{Elf, program_counters};
use crate::timeline::{DeviceEvent, Frame, RigEvent};

/// Name of the custom event that tells which build crashed.
const BUILD: &str = "elf-sha256";
/// Name of the custom event with a row of the stack.
pub const STACK: &str = "stack-memory";
/// Most program counters of a crash: a backtrace that is longer is corrupt.
const MAX_COUNTERS: usize = 100;
/// Most words of a stack; ESP-IDF prints 1 KiB.
const MAX_STACK: usize = 1024;

/// A crash.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Crash {
    /// Number of the console line that told of it first.
    pub line: u64,
    /// Program counters, innermost first.
    pub counters: Vec<u64>,
    /// Words of the stack, from its top.
    pub stack: Vec<u32>,
    /// First digits of the SHA-256 of the ELF file, where the device tells them.
    pub build: Option<String>,
}

/// Watches a console for crashes.
#[derive(Debug, Default)]
pub struct CrashWatch {
    open: Option<Crash>,
}

impl CrashWatch {
    /// Takes the next event of the device, with the number of its console line. A crash that is told in whole is returned:
    /// when the device says which build it was, or restarts.
    pub fn feed(&mut self, line: u64, event: &DeviceEvent) -> Option<Crash> {
        match event {
            DeviceEvent::Panic { .. } => return self.open.replace(Crash { line, ..Crash::default() }),
            DeviceEvent::Backtrace { addresses } => {
                if let Some(crash) = &mut self.open {
                    let room = MAX_COUNTERS - crash.counters.len();
                    crash.counters.extend(program_counters(addresses).into_iter().take(room));
                }
            }
            DeviceEvent::Custom { name, text: Some(row) } if name == STACK => {
                if let Some(crash) = &mut self.open {
                    add_stack(&mut crash.stack, row);
                }
            }
            DeviceEvent::Custom { name, text: Some(digits) } if name == BUILD => {
                let mut crash = self.open.take()?;
                crash.build = Some(digits.clone());
                return Some(crash);
            }
            DeviceEvent::Restarting | DeviceEvent::Reset { .. } => return self.open.take(),
            _ => {}
        }
        None
    }
}

/// Adds a printed row of a stack: `0x42005440 0x3fc8f9e0`. What is no number ends up nowhere.
pub fn add_stack(stack: &mut Vec<u32>, row: &str) {
    let room = MAX_STACK.saturating_sub(stack.len());
    let word = |text: &str| u32::from_str_radix(text.strip_prefix("0x")?, 16).ok();
    stack.extend(row.split_whitespace().filter_map(word).take(room));
}

/// What a crash was, with the ELF files of the images that may have run. `None` where there is no ELF file, or nothing to
/// decode.
#[must_use]
pub fn decode(crash: &Crash, elves: &[Elf]) -> Option<RigEvent> {
    if elves.is_empty() || crash.counters.is_empty() && crash.stack.is_empty() {
        return None;
    }
    let event = |frames: Vec<Frame>, stack: Vec<Frame>, why_not: Option<String>| {
        Some(RigEvent::Crash { line: crash.line, frames, stack, why_not })
    };
    let elf = match &crash.build {
        Some(digits) => elves.iter().find(|elf| elf.is_of_build(digits).is_ok()),
        // A build that does not tell itself can be the only one there is.
        None if elves.len() == 1 => elves.first(),
        None => {
            let why = "the device does not say which build crashed (ELF file SHA256), and several ELF files are known";
            return event(Vec::new(), Vec::new(), Some(why.to_owned()));
        }
    };
    let Some(elf) = elf else {
        let others: Vec<String> = elves
            .iter()
            .filter_map(|elf| elf.is_of_build(crash.build.as_deref().unwrap_or_default()).err())
            .map(|error| error.to_string())
            .collect();
        return event(Vec::new(), Vec::new(), Some(others.join("; ")));
    };
    let frames = crash.counters.iter().flat_map(|counter| elf.frames(*counter)).collect();
    event(frames, elf.on_stack(&crash.stack), None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn custom(name: &str, text: &str) -> DeviceEvent {
        DeviceEvent::Custom { name: name.to_owned(), text: Some(text.to_owned()) }
    }

    fn panic() -> DeviceEvent {
        DeviceEvent::Panic { reason: "Load access fault".to_owned() }
    }

    fn backtrace(addresses: &str) -> DeviceEvent {
        DeviceEvent::Backtrace { addresses: addresses.to_owned() }
    }

    #[test]
    fn crash_is_put_together_from_its_lines() {
        let mut watch = CrashWatch::default();
        assert_eq!(watch.feed(1, &backtrace("0x42000000")), None, "no crash yet");
        assert_eq!(watch.feed(2, &panic()), None);
        assert_eq!(watch.feed(3, &backtrace("0x42005440")), None);
        assert_eq!(watch.feed(4, &custom("stack-memory", "0x42005440 0x3fc8f9c0")), None);
        assert_eq!(watch.feed(5, &custom("stack-memory", "0x00000000 nonsense")), None);
        let crash = watch.feed(6, &custom("elf-sha256", "a511d501e")).expect("whole");
        assert_eq!(crash.line, 2);
        assert_eq!(crash.counters, [0x4200_5440]);
        assert_eq!(crash.stack, [0x4200_5440, 0x3fc8_f9c0, 0]);
        assert_eq!(watch.feed(7, &DeviceEvent::Restarting), None, "told already");
    }

    #[test]
    fn crash_that_does_not_tell_its_build_is_whole_when_the_device_restarts() {
        let mut watch = CrashWatch::default();
        watch.feed(1, &panic());
        assert_eq!(watch.feed(2, &DeviceEvent::Restarting).map(|crash| crash.line), Some(1));
        watch.feed(3, &panic());
        assert_eq!(watch.feed(4, &panic()).map(|crash| crash.line), Some(3), "a crash in the crash");
    }

    #[test]
    fn crash_of_another_build_is_not_decoded_and_says_why() {
        let own = || Elf::open(&std::env::current_exe().expect("a path")).expect("an ELF file");
        let crash = Crash { line: 7, counters: vec![1], build: Some("zzz".to_owned()), ..Crash::default() };
        let Some(RigEvent::Crash { why_not: Some(why), frames, .. }) = decode(&crash, &[own()]) else { panic!("why") };
        assert!(why.contains("of another build") && frames.is_empty(), "{why}");
        let unsaid = Crash { build: None, ..crash.clone() };
        let Some(RigEvent::Crash { why_not: Some(why), .. }) = decode(&unsaid, &[own(), own()]) else { panic!("why") };
        assert!(why.contains("several ELF files"), "{why}");
        assert_eq!(decode(&crash, &[]), None, "nothing to decode with");
        let Some(RigEvent::Crash { why_not: None, frames, .. }) = decode(&unsaid, &[own()]) else { panic!("frames") };
        assert_eq!(frames.len(), 1);
    }
}
