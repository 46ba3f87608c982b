//! A chip on a debug probe. Calls block.

use std::sync::Once;
use std::time::Duration;

use esp_image::chip::ChipId;
use probe_rs::probe::list::{Accessibility, Lister, ProbeListItem};
use probe_rs::probe::{DebugProbeSelector, WireProtocol};
use probe_rs::{Permissions, Session};

use super::{AttachedProbe, ProbeSelector, ProbeSettings};
use crate::board::BoardError;

/// How long a core may take to halt: it halts between two instructions, and the slowest of those is a flash access.
pub(super) const HALT: Duration = Duration::from_millis(500);

/// What knows all probes of this machine.
pub(super) fn lister() -> Lister {
    static ESPRESSIF: Once = Once::new();
    ESPRESSIF.call_once(probe_rs_espressif::register_plugin);
    Lister::new()
}

/// The probes that a lister knows.
pub(super) fn list(lister: &Lister) -> Vec<AttachedProbe> {
    lister.list_all_with_access().into_iter().map(known).collect()
}

fn known(ProbeListItem { info, accessibility }: ProbeListItem) -> AttachedProbe {
    let select = ProbeSelector {
        vid: info.vendor_id,
        pid: info.product_id,
        interface: info.interface,
        serial: info.serial_number.clone().filter(|serial| !serial.is_empty()),
    };
    AttachedProbe {
        select: select.to_string(),
        kind: info.probe_type(),
        product: info.identifier,
        accessible: accessibility == Accessibility::Accessible,
    }
}

/// A chip that a probe is attached to. It runs on unless it was halted.
pub(super) struct Wired {
    pub(super) session: Session,
    pub(super) chip: ChipId,
    pub(super) probe: String,
}

impl Wired {
    /// Attaches to the chip behind a probe.
    ///
    /// # Errors
    ///
    /// There is no such probe, or several; it may not be opened; no such chip is behind it.
    pub(super) fn attach(lister: &Lister, settings: &ProbeSettings, chip: ChipId) -> Result<Self, BoardError> {
        let failed = |doing: &str, why: String| failed(&settings.select, doing, &why);
        let selector = DebugProbeSelector {
            vendor_id: settings.select.vid,
            product_id: settings.select.pid,
            interface: settings.select.interface,
            serial_number: settings.select.serial.clone(),
        };
        let found = lister.list_with_access(Some(&selector));
        let item = match found.as_slice() {
            [item] => item,
            [] => return Err(failed("find", missing(&list(lister)))),
            several => {
                let names: Vec<String> = several.iter().map(|item| known(item.clone()).select).collect();
                let why = format!("{} probes are that: name one of {}", several.len(), names.join(", "));
                return Err(failed("choose", why));
            }
        };
        if item.accessibility == Accessibility::PermissionDenied {
            let why = "permission denied: give it to your user by a udev rule, as docs/probes.md shows";
            return Err(failed("open", why.to_owned()));
        }
        let mut probe = item.info.open().map_err(|e| failed("open", told(&e)))?;
        probe.select_protocol(WireProtocol::Jtag).map_err(|e| failed("use JTAG on", told(&e)))?;
        if let Some(speed) = settings.speed_khz {
            probe.set_speed(speed).map_err(|e| failed(&format!("set a clock of {speed} kHz on"), told(&e)))?;
        }
        let session = probe.attach(chip.name(), Permissions::default()).map_err(|e| {
            let why = format!(
                "{}; is its chip an {chip}, powered, its JTAG wired and not switched off by fuses, and does no other \
                 program use the probe?",
                told(&e)
            );
            failed("attach to the chip on", why)
        })?;
        Ok(Self { session, chip, probe: settings.select.to_string() })
    }

    /// An error of what was done.
    pub(super) fn failed(&self, doing: &str, why: &(dyn std::error::Error + 'static)) -> BoardError {
        BoardError::Probe { doing: doing.to_owned(), probe: self.probe.clone(), why: told(why) }
    }

    /// Resets the chip and stops it before its first instruction.
    ///
    /// # Errors
    ///
    /// The chip does not answer.
    pub(super) fn reset_and_halt(&mut self) -> Result<(), BoardError> {
        let done = self.session.core(0).and_then(|mut core| core.reset_and_halt(HALT).map(drop));
        done.map_err(|e| self.failed("reset the chip on", &e))
    }

    /// Lets a halted chip run.
    ///
    /// # Errors
    ///
    /// The chip does not answer.
    pub(super) fn run(&mut self) -> Result<(), BoardError> {
        self.session.resume_all_cores().map_err(|e| self.failed("let run the chip on", &e))
    }
}

fn failed(select: &ProbeSelector, doing: &str, why: &str) -> BoardError {
    BoardError::Probe { doing: doing.to_owned(), probe: select.to_string(), why: why.to_owned() }
}

fn missing(attached: &[AttachedProbe]) -> String {
    if attached.is_empty() {
        return "no debug probe is attached; is it plugged in? (`lsusb` shows it)".to_owned();
    }
    let names: Vec<String> = attached.iter().map(|probe| format!("{} ({})", probe.select, probe.product)).collect();
    format!("it is not attached; attached are {}", names.join(", "))
}

/// An error with what caused it: probe-rs' own words are short.
fn told(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let words = cause.to_string();
        if !text.contains(&words) {
            text = format!("{text}: {words}");
        }
        source = cause.source();
    }
    text
}
