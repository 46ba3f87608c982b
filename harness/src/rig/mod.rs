//! The rig: a board and an OTA server behind the engine's trait.

mod images;
mod interrupt;
pub mod preflight;
mod talk;

pub use images::RunImages;
pub use interrupt::Interrupt;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use esp_image::chip::ChipId;
use esp_image::partition::{self, Partition, PartitionTable};
use ota_server::plan::FaultRule;
use ota_server::server::{Offer, OtaServer, Stamped};
use tokio::sync::mpsc::UnboundedReceiver;
use virtual_time::{InFlight, RunClock};

use crate::board::board::{Board, Heard, flash_session};
use crate::board::core_dump::{self, Fingerprint};
use crate::board::flash::{FlashAccess, Region};
use crate::board::nvs::{self, NvsItem, NvsValue};
use crate::engine::{Incoming, Order, Rig, RigError, Talk};
use crate::firmware_file::{FirmwareFile, Provision};
use crate::scenario::model::{CutWhen, Scenario, StepAction, Template};
use crate::secrets::{MASK, Secrets, environment, is_secret_name};
use crate::symbols::{self, Crash, Elf};
use crate::timeline::{Action, Halted, RigEvent};
use talk::Told;

/// Where the device's network is and what it is called there.
#[derive(Clone, Debug)]
pub struct Network {
    /// This host's address, as the device sees it.
    pub host: Ipv4Addr,
    /// The OTA server's port, as the device sees it.
    pub port: u16,
}

/// A board and a server.
pub struct BoardRig<'r> {
    /// The run's clock.
    pub clock: RunClock,
    /// The run's registry: what got stuck there is the rig's failure.
    pub in_flight: InFlight,
    /// The board.
    pub board: Box<dyn Board>,
    /// Its chip.
    pub chip: ChipId,
    /// The server, until the run stops.
    pub server: Option<OtaServer>,
    /// What the server tells.
    pub server_events: UnboundedReceiver<Stamped>,
    /// Images.
    pub images: RunImages<'r>,
    /// The scenario: what it serves may carry a defect.
    pub scenario: &'r Scenario,
    /// The firmware file: NVS keys.
    pub firmware: &'r FirmwareFile,
    /// What the scenario takes from the environment.
    pub environment: BTreeMap<String, String>,
    /// What must not be shown.
    pub secrets: Secrets,
    /// Values that must not be shown: Wi-Fi credentials of a real board.
    pub credentials: Vec<NvsItem>,
    /// Ends the run early.
    pub interrupt: Interrupt,
    /// Seed of everything random.
    pub seed: u64,
    /// The core dump partition, and what stood there before the run.
    pub core_dump: Option<(Partition, Fingerprint)>,
    /// Where files that belong to the recording are written: its path without the ending.
    pub evidence: PathBuf,
    /// The flash of a virtual board, where it is restored from a snapshot in place of flashing it through its port.
    pub snapshot: Option<virtual_esp32::Flash>,
}

impl BoardRig<'_> {
    fn error(error: impl std::fmt::Display) -> RigError {
        RigError(error.to_string())
    }

    /// The ELF files of the images of this run, where they can be read: of one version, where it is known which runs.
    fn elves(&self, version: Option<&str>) -> Vec<Elf> {
        let open = |path: PathBuf| Elf::open(&path).map_err(|why| tracing::warn!("no symbols from it: {why}")).ok();
        self.images.elves(self.scenario, version).into_iter().filter_map(open).collect()
    }

    fn items(&self, keys: &BTreeMap<String, Template>) -> Result<Vec<NvsItem>, RigError> {
        keys.iter()
            .map(|(name, value)| {
                let key = self.firmware.nvs_key(name).ok_or_else(|| {
                    RigError(format!("the firmware file names no NVS key for {name:?}; add it under [nvs]"))
                })?;
                Ok(NvsItem {
                    namespace: key.namespace.clone(),
                    key: key.key.clone(),
                    value: NvsValue::Text(environment::filled(&value.0, &self.environment)),
                    secret: is_secret(name, value),
                })
            })
            .collect()
    }

    async fn offer(&mut self, version: Option<&str>) -> Result<Action, RigError> {
        let offer = match version {
            None => None,
            Some(version) => {
                let image = self.images.served(version, self.scenario).map_err(Self::error)?;
                let version = image.version().to_owned();
                Some(Offer {
                    file_name: format!("{}.bin", image.entry.name),
                    version,
                    bytes: image.bytes.into(),
                    force: false,
                })
            }
        };
        let told = offer.as_ref().map(|o| o.version.clone());
        if let Some(server) = &self.server {
            server.offer(offer);
        }
        Ok(Action::Offered { version: told })
    }

    async fn set_faults(&mut self, faults: &[FaultRule]) -> Result<Action, RigError> {
        if let Some(server) = &mut self.server {
            server.set_plan(faults.to_vec()).await?;
        }
        let faults = faults.iter().map(ToString::to_string).collect();
        Ok(Action::FaultsSet { faults })
    }

    /// Writes keys into the NVS partition of a board whose flash holds a partition table.
    async fn provision(&mut self, items: Vec<NvsItem>) -> Result<Action, RigError> {
        let keys = told_keys(&items);
        flash_session(&mut *self.board, move |session| {
            let table = session.read(partition::OFFSET, 0x1000)?;
            let (offset, size) = nvs_partition(session, &table)?;
            let old = session.read(offset, size)?;
            let region = nvs_region(session, offset, old, &items)?;
            session.write(&[region]).map(drop)
        })
        .await?;
        Ok(Action::Provisioned { keys })
    }
}

/// Whether a provisioned value is a secret as a whole.
fn is_secret(name: &str, value: &Template) -> bool {
    is_secret_name(name) || environment::is_only_variables(&value.0)
}

/// A random number of a seed and a draw: the same for the same two.
fn drawn(seed: u64, draw: u64) -> u64 {
    use sha2::Digest as _;
    let digest = sha2::Sha256::digest([seed.to_le_bytes(), draw.to_le_bytes()].concat());
    digest.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
}

fn told_keys(items: &[NvsItem]) -> Vec<(String, String)> {
    items
        .iter()
        .map(|item| {
            let value = match &item.value {
                _ if item.secret => MASK.to_owned(),
                // A certificate is another one each time, and tells nobody anything.
                NvsValue::Text(text) if text.starts_with("-----BEGIN ") => "(a certificate)".to_owned(),
                NvsValue::Text(text) => text.clone(),
                NvsValue::I32(n) => n.to_string(),
                NvsValue::U8(n) => n.to_string(),
            };
            (format!("{}/{}", item.namespace, item.key), value)
        })
        .collect()
}

fn nvs_failed(session: &dyn FlashAccess, why: &dyn std::fmt::Display) -> crate::board::BoardError {
    crate::board::BoardError::Flash {
        doing: "provision the NVS partition".to_owned(),
        port: session.place().to_owned(),
        why: why.to_string(),
    }
}

fn nvs_partition(session: &dyn FlashAccess, table: &[u8]) -> Result<(u32, u32), crate::board::BoardError> {
    let table = PartitionTable::parse(table).map_err(|e| nvs_failed(session, &e))?;
    let found = table
        .find(partition::DATA, partition::NVS)
        .ok_or_else(|| nvs_failed(session, &"the partition table has no NVS partition"))?;
    Ok((found.offset, found.size))
}

fn nvs_region(
    session: &dyn FlashAccess,
    offset: u32,
    old: Vec<u8>,
    items: &[NvsItem],
) -> Result<Region, crate::board::BoardError> {
    let bytes = nvs::with_items(old, items).map_err(|e| nvs_failed(session, &e))?;
    Ok(Region { label: "nvs".to_owned(), offset, bytes })
}

#[async_trait(?Send)]
impl Rig for BoardRig<'_> {
    fn now(&self) -> Duration {
        self.clock.now()
    }

    async fn start(&mut self, scenario: &Scenario) -> Result<Vec<Action>, RigError> {
        let mut actions = vec![self.offer(scenario.image.offer.as_deref()).await?];
        actions.push(self.set_faults(&scenario.faults).await?);
        let app = self.images.flashed(&scenario.image).map_err(Self::error)?;
        let layout = self.images.catalogue.layout(&app).map_err(Self::error)?;
        let nvs = *layout
            .nvs()
            .ok_or_else(|| RigError(format!("the partition table of image `{}` has no NVS partition", app.name())))?;
        let regions = layout.regions;
        self.core_dump = core_dump::partition(&layout.table).map(|partition| (partition, None));
        let dump_partition = self.core_dump.map(|(partition, _)| partition);
        let mut items = Vec::new();
        if self.firmware.provision == Provision::Nvs {
            items.extend(self.credentials.iter().cloned());
            items.extend(self.items(&scenario.provision)?);
        }
        let keys = told_keys(&items);
        let what: Vec<_> = regions.iter().map(|r| r.label.clone()).collect();
        let chip = self.chip;
        if let Some(flash) = &self.snapshot {
            let mut content = vec![0xff; usize::try_from(flash.size()).unwrap_or(0)];
            let blank = vec![0xff; usize::try_from(nvs.size).unwrap_or(0)];
            let settings = nvs::with_items(blank, &items).map_err(Self::error)?;
            let settings = Region { label: "nvs".to_owned(), offset: nvs.offset, bytes: settings };
            let mut written = 0;
            for region in regions.iter().chain([&settings]) {
                let from = usize::try_from(region.offset).unwrap_or(usize::MAX);
                let place = content.get_mut(from..from.saturating_add(region.bytes.len()));
                place.ok_or_else(|| Self::error("the image does not fit the flash"))?.copy_from_slice(&region.bytes);
                written += region.bytes.len() as u64;
            }
            self.board.hold().await?;
            flash.restore(&content).map_err(Self::error)?;
            actions.push(Action::Flashed { what: what.join(", "), written, unchanged: 0, how: "snapshot".to_owned() });
            actions.push(Action::Provisioned { keys });
            self.board.start().await?;
            actions.push(Action::Reset);
            return Ok(actions);
        }
        let (written, means, dump) = flash_session(&mut *self.board, move |session| {
            session.fitting(chip)?;
            let dump =
                dump_partition.map(|partition| core_dump::fingerprint(session, &partition)).transpose()?.flatten();
            let mut regions = regions.clone();
            // A first flash: no configuration but the scenario's, whatever an earlier run left there.
            let erased = vec![0xff; usize::try_from(nvs.size).unwrap_or(0)];
            regions.push(nvs_region(session, nvs.offset, erased, &items)?);
            Ok((session.write(&regions)?, session.means(), dump))
        })
        .await?;
        if let Some((_, before)) = &mut self.core_dump {
            *before = dump;
        }
        actions.push(Action::Flashed {
            what: what.join(", "),
            written: written.written,
            unchanged: written.unchanged,
            how: means.to_owned(),
        });
        actions.push(Action::Provisioned { keys });
        self.board.start().await?;
        actions.push(Action::Reset);
        Ok(actions)
    }

    async fn act(&mut self, action: &StepAction) -> Result<Vec<Action>, RigError> {
        Ok(match action {
            StepAction::Faults(faults) => vec![self.set_faults(faults).await?],
            StepAction::Provision(keys) => {
                let items = self.items(keys)?;
                vec![self.provision(items).await?]
            }
            StepAction::Reset => {
                self.board.start().await?;
                vec![Action::Reset]
            }
            StepAction::CutPower(cut) => {
                let offered = match &self.scenario.image.offer {
                    Some(offer) => self.images.served(offer, self.scenario).map_err(Self::error)?.bytes.len(),
                    // A percentage is refused then.
                    None => 0,
                };
                let below = cut.below(u64::try_from(offered).unwrap_or(u64::MAX));
                let operation = match cut.draw {
                    Some(draw) => drawn(self.seed, draw) % below.max(1),
                    None => below,
                };
                let when = match cut.when {
                    CutWhen::Before => virtual_esp32::CutWhen::Before,
                    CutWhen::Inside => virtual_esp32::CutWhen::Inside { seed: self.seed ^ operation },
                    CutWhen::After => virtual_esp32::CutWhen::After,
                };
                self.board.cut_power_at(virtual_esp32::CutPlan { operation, when }).await?;
                let when = format!("{:?}", cut.when).to_lowercase();
                vec![Action::PowerCutPlanned { operation, when }]
            }
            StepAction::PowerOff => {
                self.board.power(false).await?;
                vec![Action::PowerOff]
            }
            StepAction::Wifi { in_reach } => {
                self.board.wifi(*in_reach).await?;
                vec![if *in_reach { Action::WifiOn } else { Action::WifiOff }]
            }
            StepAction::PowerOn => {
                self.board.power(true).await?;
                vec![Action::PowerOn]
            }
            StepAction::Offer(version) => vec![self.offer(version.as_deref()).await?],
            StepAction::Wait(_) | StepAction::Inspect => vec![],
        })
    }

    async fn next(&mut self) -> Result<Incoming, RigError> {
        if let Some(stuck) = self.in_flight.take_stuck().into_iter().next() {
            return Err(RigError(stuck.to_string()));
        }
        let clock = self.clock.clone();
        let mut buffer = [0; 1024];
        tokio::select! {
            biased;
            signal = self.interrupt.wait() => Err(RigError(format!("{signal} ended the run before this scenario was done"))),
            Some(Stamped { at, event }) = self.server_events.recv() => Ok(Incoming::Server { at, event }),
            heard = self.board.read_console(&mut buffer) => Ok(match heard? {
                Heard::Bytes(n) => Incoming::Console { at: clock.now(), bytes: buffer[..n].to_vec() },
                Heard::Gap(message) => Incoming::Gap { at: clock.now(), message },
                Heard::Note(message) => Incoming::Rig { at: clock.now(), event: RigEvent::Note { message } },
            }),
        }
    }

    fn talk(&self, keys: &BTreeMap<String, Template>, first: bool) -> Result<Option<Talk>, RigError> {
        let filled = |(name, value): (&String, &Template)| {
            let secret = is_secret(name, value);
            (name.clone(), Told { value: environment::filled(&value.0, &self.environment), secret })
        };
        let mut told: BTreeMap<String, Told> = keys.iter().map(filled).collect();
        if first {
            for (name, item) in ["wifi-ssid", "wifi-password"].into_iter().zip(&self.credentials) {
                if let NvsValue::Text(value) = &item.value {
                    told.insert(name.to_owned(), Told { value: value.clone(), secret: item.secret });
                }
            }
        }
        talk::talk(self.firmware, &told)
    }

    async fn order(&mut self, order: &Order) -> Result<Action, RigError> {
        match order {
            Order::Type { text, shown } => {
                self.board.write_console(format!("{text}\r\n").as_bytes()).await?;
                Ok(Action::ConsoleInput { text: shown.clone() })
            }
            Order::Post { url, content_type, body, shown } => {
                let (to, kind, body) = (url.clone(), *content_type, body.clone());
                let posting = tokio::task::spawn_blocking(move || talk::post(&to, kind, &body));
                posting.await.map_err(Self::error)??;
                Ok(Action::FormSent { url: url.clone(), fields: shown.clone() })
            }
        }
    }

    fn decode(&self, crash: &Crash) -> Option<RigEvent> {
        symbols::decode(crash, &self.elves(None))
    }

    async fn alive(&mut self) -> Result<(), RigError> {
        Ok(self.board.alive().await?)
    }

    fn can_inspect(&self) -> bool {
        self.board.can_inspect()
    }

    async fn inspect(&mut self, version: Option<&str>) -> Result<Vec<Halted>, RigError> {
        let inspection = self.board.inspect().await?;
        let elves = self.elves(version);
        Ok(inspection.cores.iter().map(|core| symbols::halted(core, &elves)).collect())
    }

    async fn after_crash(&mut self) -> Result<Option<String>, RigError> {
        let Some((partition, before)) = self.core_dump else { return Ok(None) };
        let fetched = flash_session(&mut *self.board, move |flash| core_dump::fetch(flash, &partition, before)).await?;
        let Some(mut dump) = fetched else { return Ok(None) };
        let masked = core_dump::without(&mut dump, |bytes| self.secrets.blot(bytes));
        let path = self.evidence.with_extension("coredump.bin");
        std::fs::write(&path, &dump)
            .map_err(|e| RigError(format!("cannot keep the core dump as {}: {e}", path.display())))?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        Ok(Some(format!(
            "the device's core dump is kept beside the recording: {name} ({} bytes, {masked} secrets that are known by value \
             blotted out; it holds what else the device had in RAM, so keep it as you would the device); `esp-coredump info_corefile \
             --core-format raw --core {name} firmware.elf` reads it",
            dump.len()
        )))
    }

    async fn stop(&mut self) -> Vec<Incoming> {
        let mut rest = Vec::new();
        if let Err(e) = self.board.hold().await {
            let message = format!("the board could not be held in reset after the run: {e}");
            rest.push(Incoming::Rig { at: self.clock.now(), event: RigEvent::Note { message } });
        }
        if let Some(server) = self.server.take() {
            server.stop().await;
        }
        while let Ok(Stamped { at, event }) = self.server_events.try_recv() {
            rest.push(Incoming::Server { at, event });
        }
        rest
    }
}
