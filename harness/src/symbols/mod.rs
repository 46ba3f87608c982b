//! Addresses of a crash as function, file and line, from the ELF file of the firmware that crashed.
//!
//! An ELF file of another build gives answers that look right and are wrong. ESP-IDF puts the ELF's SHA-256 into the
//! application descriptor and prints its first digits when it panics: where these differ, nothing is decoded.

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use addr2line::Loader;
use addr2line::fallible_iterator::FallibleIterator as _;
use object::{Architecture, Object as _, ObjectSection as _, SectionKind};
use sha2::{Digest, Sha256};

use crate::timeline::Frame;

/// Most return addresses of a stack that are told.
const MAX_ON_STACK: usize = 24;
/// Most functions inlined into one address that are told.
const MAX_INLINED: usize = 16;

/// An ELF file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ElfError {
    /// It cannot be read.
    #[error("cannot read ELF file {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is none, or its debug information is broken.
    #[error("{path} is no ELF file whose symbols can be read: {why}; give the .elf of the build folder, not the .bin")]
    Parse {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// It is of another build than the firmware that crashed.
    #[error(
        "{path} is of another build than the firmware that crashed: its SHA-256 begins with {found}, the crash says \
         {wanted}; give the ELF file of the build that was flashed"
    )]
    OtherBuild {
        /// The file.
        path: PathBuf,
        /// What the device printed.
        wanted: String,
        /// As many digits of the file's.
        found: String,
    },
}

/// A section of code.
struct Code {
    at: Range<u64>,
    bytes: Vec<u8>,
}

/// An ELF file with its symbols.
pub struct Elf {
    path: PathBuf,
    sha256: String,
    /// Where code is. Functions that the linker left out stay in the debug information, at address 0.
    code: Vec<Code>,
    is_riscv: bool,
    loader: Loader,
}

impl std::fmt::Debug for Elf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Elf").field("path", &self.path).field("sha256", &self.sha256).finish_non_exhaustive()
    }
}

impl Elf {
    /// Opens a file.
    ///
    /// # Errors
    ///
    /// [`ElfError::Read`] and [`ElfError::Parse`].
    pub fn open(path: &Path) -> Result<Self, ElfError> {
        let parse = |why: String| ElfError::Parse { path: path.to_owned(), why };
        let bytes = std::fs::read(path).map_err(|source| ElfError::Read { path: path.to_owned(), source })?;
        let file = object::File::parse(&*bytes).map_err(|e| parse(e.to_string()))?;
        let code = file
            .sections()
            .filter(|section| section.kind() == SectionKind::Text)
            .map(|section| Code {
                at: section.address()..section.address().saturating_add(section.size()),
                bytes: section.data().unwrap_or_default().to_vec(),
            })
            .collect();
        let is_riscv = matches!(file.architecture(), Architecture::Riscv32 | Architecture::Riscv64);
        let loader = Loader::new(path).map_err(|e| parse(e.to_string()))?;
        Ok(Self { path: path.to_owned(), sha256: hex::encode(Sha256::digest(&bytes)), code, is_riscv, loader })
    }

    /// Compares with the digits that a device printed.
    ///
    /// # Errors
    ///
    /// [`ElfError::OtherBuild`].
    pub fn is_of_build(&self, digits: &str) -> Result<(), ElfError> {
        let digits = digits.trim().trim_end_matches('.').to_ascii_lowercase();
        if self.sha256.starts_with(&digits) {
            return Ok(());
        }
        let found = self.sha256.chars().take(digits.len()).collect();
        Err(ElfError::OtherBuild { path: self.path.clone(), wanted: digits, found })
    }

    /// Whether there is code at an address.
    #[must_use]
    pub fn has_code(&self, address: u64) -> bool {
        self.code.iter().any(|code| code.at.contains(&address))
    }

    /// The functions at an address, the innermost first; one without a name where nothing is known of it.
    #[must_use]
    pub fn frames(&self, address: u64) -> Vec<Frame> {
        let mut frames: Vec<Frame> = Vec::new();
        if !self.has_code(address) {
            return vec![Frame { address, function: None, file: None, line: None }];
        }
        if let Ok(found) = self.loader.find_frames(address) {
            // A broken line table ends the list, and what was found before stands.
            let _ = found.take(MAX_INLINED).for_each(|frame| {
                let function = frame.function.and_then(|name| name.demangle().ok().map(|name| name.into_owned()));
                let place = frame.location;
                frames.push(Frame {
                    address,
                    function,
                    file: place.as_ref().and_then(|place| place.file.map(str::to_owned)),
                    line: place.as_ref().and_then(|place| place.line),
                });
                Ok(())
            });
        }
        if frames.iter().all(|frame| frame.function.is_none()) {
            // Code without debug information (the vendor's Wi-Fi libraries) still has symbols.
            let function = self.loader.find_symbol(address).map(str::to_owned);
            match frames.first_mut() {
                Some(first) => first.function = function,
                None => frames.push(Frame { address, function, file: None, line: None }),
            }
        }
        frames
    }
}

impl Elf {
    /// The functions that return addresses among the words of a stack lead to, innermost first. A word is taken for one
    /// where the instruction before it is a call. Only RISC-V chips print their stack.
    #[must_use]
    pub fn on_stack(&self, words: &[u32]) -> Vec<Frame> {
        if !self.is_riscv {
            return Vec::new();
        }
        let returns = words.iter().map(|word| u64::from(*word)).filter(|word| self.follows_call(*word));
        // Where a call returns to may belong to the next line, or even function: the call itself is what is told.
        returns.take(MAX_ON_STACK).flat_map(|word| self.frames(word - 2)).collect()
    }

    fn follows_call(&self, address: u64) -> bool {
        let Some(code) = self.code.iter().find(|code| code.at.contains(&address)) else { return false };
        let offset = usize::try_from(address - code.at.start).unwrap_or(usize::MAX);
        code.bytes.get(..offset).is_some_and(riscv::ends_with_call)
    }
}

/// The program counters of a printed backtrace: `0x400d525d:0x3ffb46b0 0x400d316e:0x3ffb46e0` (Xtensa: each with its stack
/// pointer), or addresses alone.
#[must_use]
pub fn program_counters(backtrace: &str) -> Vec<u64> {
    let hex = |text: &str| u64::from_str_radix(text.strip_prefix("0x")?, 16).ok();
    backtrace.split_whitespace().filter_map(|pair| hex(pair.split(':').next()?)).collect()
}

mod crash;
mod halted;
mod riscv;

pub use crash::{Crash, CrashWatch, STACK, add_stack, decode};
pub use halted::halted;

#[cfg(test)]
mod tests;
