//! What can go wrong with an emulator. All of it is the rig's failure, never the firmware's.

use std::path::PathBuf;

/// An emulator could not do what was asked of it.
#[derive(Debug, thiserror::Error)]
pub enum QemuError {
    /// There is no such program.
    #[error(
        "cannot find the emulator `{program}`: {looked}; Espressif's QEMU is installed by `python \
         $IDF_PATH/tools/idf_tools.py install {package}` and put on PATH by `. $IDF_PATH/export.sh`, or give its path with \
         --qemu"
    )]
    NotFound {
        /// As configured.
        program: String,
        /// Where it was looked for.
        looked: String,
        /// Name of the package among ESP-IDF's tools.
        package: &'static str,
    },
    /// It is a QEMU without the chip's machine.
    #[error(
        "`{program}` is not Espressif's QEMU: it has no machine `{machine}` (it said: {said}); distributions' packages lack \
         it, `python $IDF_PATH/tools/idf_tools.py install {package}` installs one that has it; give its path with --qemu \
         where both are on PATH"
    )]
    NotEspressif {
        /// The program.
        program: String,
        /// The machine wanted.
        machine: String,
        /// Its words.
        said: String,
        /// Name of the package among ESP-IDF's tools.
        package: &'static str,
    },
    /// It could not be started.
    #[error("cannot start the emulator `{program}`: {why}; give the path of another one with --qemu")]
    Start {
        /// The program.
        program: String,
        /// The operating system's words.
        why: String,
    },
    /// It ended by itself.
    #[error("the emulator `{program}` ended by itself while {during} ({status}){said}")]
    Died {
        /// The program.
        program: String,
        /// What went on.
        during: &'static str,
        /// How it ended.
        status: String,
        /// Its last words on stderr, with what leads up to them.
        said: String,
    },
    /// It neither answers nor ends.
    #[error("the emulator `{program}` did not {what} within {} s{said}; is the machine overloaded?", within.as_secs())]
    Silent {
        /// The program.
        program: String,
        /// What it should have done.
        what: String,
        /// How long it was waited for.
        within: std::time::Duration,
        /// Its last words on stderr, with what leads up to them.
        said: String,
    },
    /// More of its console waited than it may have had room for.
    #[error(
        "{waiting} bytes of the console of the emulator `{program}` waited to be read, and there was hardly room for more: \
         what the device said next may be lost, and the run cannot be judged; is the machine overloaded?"
    )]
    ConsoleFull {
        /// The program.
        program: String,
        /// Bytes.
        waiting: u64,
    },
    /// What it said on its control socket is not QMP.
    #[error("the emulator `{program}` does not speak QMP on its control socket: {why}; is it QEMU?")]
    NoQmp {
        /// The program.
        program: String,
        /// What came.
        why: String,
    },
    /// It refused an order.
    #[error("the emulator `{program}` refused `{order}`: {why}")]
    Refused {
        /// The program.
        program: String,
        /// The QMP command.
        order: String,
        /// Its words.
        why: String,
    },
    /// Settings that no emulator could be started with.
    #[error("the settings of the emulated {chip} cannot be: {why}")]
    Settings {
        /// The chip.
        chip: String,
        /// What is wrong, and what there is.
        why: String,
    },
    /// The image and the machine's flash do not go together.
    #[error("an emulated {chip} cannot hold this image: {why}")]
    FlashSize {
        /// The chip.
        chip: String,
        /// Why.
        why: String,
    },
    /// A file of the emulated chip.
    #[error("cannot {doing} {}: {why}", path.display())]
    File {
        /// What was tried.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// The operating system's words.
        why: String,
    },
}
