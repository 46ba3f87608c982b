//! An ESP32-C3 as a JTAG probe sees it, so that probe-rs itself can be run without one: the probe is ours, everything
//! above its bits is probe-rs.
//!
//! `tap` is the JTAG state machine, `module` the RISC-V debug module behind it (RISC-V External Debug Support 0.13), and
//! `loader` does what Espressif's flash loader would, when it is entered. No machine code runs.

mod loader;
mod module;
mod tap;

use std::sync::{Arc, Mutex, PoisonError};

use probe_rs::probe::list::{Accessibility, Lister, ProbeListItem, ProbeLister};
use probe_rs::probe::{
    DebugProbe, DebugProbeError, DebugProbeInfo, DebugProbeSelector, Probe, ProbeCreationError, ProbeFactory,
};

pub(super) use module::Chip;
use tap::JtagProbe;

/// A chip that a test and its probe share.
pub(super) type SharedChip = Arc<Mutex<Chip>>;

/// A chip that runs at an address.
pub(super) fn chip(counter: u32) -> SharedChip {
    Arc::new(Mutex::new(Chip::running(counter)))
}

/// Does something with a chip.
pub(super) fn with<T>(chip: &SharedChip, work: impl FnOnce(&mut Chip) -> T) -> T {
    work(&mut chip.lock().unwrap_or_else(PoisonError::into_inner))
}

/// A probe that is attached to this machine, as far as probe-rs knows.
#[derive(Clone, Debug)]
struct Attached {
    serial: &'static str,
    accessible: bool,
}

/// Probes that a test attaches, all of them with the same chip.
#[derive(Clone, Debug)]
pub(super) struct Bench {
    chip: SharedChip,
    probes: Vec<Attached>,
}

impl Bench {
    /// A machine with one probe, its serial number "A".
    pub(super) fn of(chip: &SharedChip) -> Self {
        Self { chip: Arc::clone(chip), probes: vec![Attached { serial: "A", accessible: true }] }
    }

    /// With another probe of the same kind.
    pub(super) fn and(mut self, serial: &'static str) -> Self {
        self.probes.push(Attached { serial, accessible: true });
        self
    }

    /// With no permission to open any.
    pub(super) fn forbidden(mut self) -> Self {
        self.probes.iter_mut().for_each(|probe| probe.accessible = false);
        self
    }

    /// With nothing attached.
    pub(super) fn empty(mut self) -> Self {
        self.probes.clear();
        self
    }

    /// What probe-rs asks.
    pub(super) fn lister(&self) -> Lister {
        // Targets are those of Espressif's plugin.
        drop(super::wired::lister());
        Lister::with_lister(Box::new(self.clone()))
    }
}

impl ProbeLister for Bench {
    fn open(&self, selector: &DebugProbeSelector) -> Result<Probe, DebugProbeError> {
        let found = self.list(Some(selector));
        let Some(_) = found.first() else {
            return Err(DebugProbeError::ProbeCouldNotBeCreated(ProbeCreationError::NotFound));
        };
        Ok(Probe::new(JtagProbe::wired_to(&self.chip)))
    }

    fn list_with_access(&self, selector: Option<&DebugProbeSelector>) -> Vec<ProbeListItem> {
        // A factory is a static thing: each bench leaves its own, as long as its test.
        let factory: &'static Factory = Box::leak(Box::new(Factory(Arc::clone(&self.chip))));
        self.probes
            .iter()
            .map(|probe| ProbeListItem {
                info: DebugProbeInfo::new(
                    "fake JTAG",
                    0x303a,
                    0x1001,
                    Some(probe.serial.to_owned()),
                    factory,
                    None,
                    false,
                ),
                accessibility: if probe.accessible {
                    Accessibility::Accessible
                } else {
                    Accessibility::PermissionDenied
                },
            })
            .filter(|item| selector.is_none_or(|selector| selector.matches_probe(&item.info)))
            .collect()
    }
}

/// Opens probes of a chip.
#[derive(Debug)]
struct Factory(SharedChip);

impl std::fmt::Display for Factory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Fake")
    }
}

impl ProbeFactory for Factory {
    fn open(&self, _: &DebugProbeSelector) -> Result<Box<dyn DebugProbe>, DebugProbeError> {
        Ok(Box::new(JtagProbe::wired_to(&self.0)))
    }

    fn list_probes(&self) -> Vec<ProbeListItem> {
        Vec::new()
    }
}
