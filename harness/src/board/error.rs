//! What can go wrong with a board. All of it is the rig's failure, never the firmware's.

/// A board could not do what was asked of it.
#[derive(Debug, thiserror::Error)]
pub enum BoardError {
    /// No such serial port.
    #[error("cannot open serial port {port}: there is no such port; {hint}")]
    NoSuchPort {
        /// Path or identity as given.
        port: String,
        /// What there is.
        hint: String,
    },
    /// Another program holds the port.
    #[error(
        "cannot open serial port {port}: another program holds it (a serial monitor, another run?); close it, or see \
         `fuser {port}`"
    )]
    InUse {
        /// Path.
        port: String,
    },
    /// No permission to open the port.
    #[error("cannot open serial port {port}: permission denied; {}", permission(group.as_deref()))]
    Permission {
        /// Path.
        port: String,
        /// The group that may open it, where there is one but root's.
        group: Option<String>,
    },
    /// A port on another machine cannot be used.
    #[error("cannot use the serial port {address}: {why}")]
    Remote {
        /// Its address.
        address: String,
        /// Why.
        why: String,
    },
    /// A port went away and did not come back.
    #[error(
        "serial port {port} is gone ({why}), and did not come back within {waited:?}: was the board unplugged, or its \
         power cut? `brickproof boards` shows what is attached"
    )]
    Away {
        /// Path or identity.
        port: String,
        /// How it went.
        why: String,
        /// How long it was waited for.
        waited: std::time::Duration,
    },
    /// The port is no serial port or failed otherwise.
    #[error("cannot {doing} serial port {port}: {why}")]
    Port {
        /// What was tried: "open", "read".
        doing: &'static str,
        /// Path.
        port: String,
        /// The operating system's words.
        why: String,
    },
    /// Nothing that speaks the ESP download protocol answered.
    #[error(
        "no ESP answered in download mode on {port}: {why}; check that the port is the board's, that the cable carries \
         data, and the reset method (hold BOOT, press EN and try again if the board has no auto-reset circuit)"
    )]
    NoAnswer {
        /// Path.
        port: String,
        /// espflash's words.
        why: String,
    },
    /// The chip is another one than the images are for.
    #[error(
        "the board on {port} is an {found}, but {what} is for {wanted}; say `--chip {found}`, or attach the other board"
    )]
    WrongChip {
        /// Path.
        port: String,
        /// Chip found.
        found: String,
        /// Chip wanted.
        wanted: String,
        /// What is for the other chip.
        what: String,
    },
    /// Flash encryption or secure boot is on.
    #[error("the board on {port} must not be written: {why}")]
    Secured {
        /// Path.
        port: String,
        /// Which protection.
        why: String,
    },
    /// A flash operation failed.
    #[error("cannot {doing} on {port}: {why}; check cable and power, try a lower `--flash-baud`")]
    Flash {
        /// What was tried.
        doing: String,
        /// Path.
        port: String,
        /// espflash's words.
        why: String,
    },
    /// A flash that is a file could not be used.
    #[error("cannot {doing} in the flash file {path}: {why}")]
    FlashFile {
        /// What was tried.
        doing: String,
        /// The file.
        path: String,
        /// Why.
        why: String,
    },
    /// The emulator failed.
    #[error(transparent)]
    Emulator(#[from] super::qemu::QemuError),
    /// A debug probe failed.
    #[error("cannot {doing} debug probe {probe}: {why}")]
    Probe {
        /// What was tried: "open", "attach to the chip on".
        doing: String,
        /// Which probe, as given.
        probe: String,
        /// Why, and what to do.
        why: String,
    },
    /// The reset line failed.
    #[error("cannot {doing} the board on {port} by {method}: {why}")]
    Reset {
        /// What was tried: "reset".
        doing: &'static str,
        /// Path.
        port: String,
        /// Reset method.
        method: String,
        /// Why.
        why: String,
    },
    /// The board cannot do this at all.
    #[error("the board on {port} cannot {what}: {why}")]
    Unable {
        /// Path.
        port: String,
        /// What was asked.
        what: &'static str,
        /// Why.
        why: String,
    },
    /// A text that names a port or reset method is malformed.
    #[error("{given:?} is no {what}: {why}")]
    Malformed {
        /// What was given.
        given: String,
        /// What it should be.
        what: &'static str,
        /// What is wrong and what was meant.
        why: String,
    },
}

fn permission(group: Option<&str>) -> String {
    match group {
        Some(group) => format!(
            "it may be opened by the group {group}: add your user to it (`sudo usermod -aG {group} $USER`) and log in again"
        ),
        None => {
            "only root may open it: give it to a group by a udev rule, as docs/bench.md shows (SUBSYSTEM==\"tty\", \
                 GROUP=\"dialout\", MODE=\"0660\")"
                .to_owned()
        }
    }
}
