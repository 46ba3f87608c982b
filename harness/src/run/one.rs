//! One scenario on one board: set up, run, judged, recorded.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::mpsc::Sender;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use ota_agent::parameters::Parameters;
use ota_server::dns::DnsConfig;
use ota_server::server::{ListenerConfig, OtaServer, ServerConfig};
use ota_server::tls::Authority;
use tokio::sync::Notify;
use tokio::sync::mpsc::unbounded_channel;
use virtual_esp32::{Config, Flash, NetworkMap, VirtualEsp32, control};
use virtual_time::{InFlight, Mode, RunClock};

use super::attached::Attached;
use super::outcome::{Ran, scenario_report};
use super::{BoardChoice, Progress, RunConfig, Selected, made_by};
use crate::board::board::Board;
use crate::board::identity::PortId;
use crate::board::nvs::NvsItem;
use crate::board::port::Port;
use crate::board::qemu::{self, QemuBoard};
use crate::board::reset::ResetMethod;
use crate::board::serial::SerialBoard;
use crate::board::virtual_reset::InProcess;
use crate::console::ConsoleReader;
use crate::dialect::Dialect;
use crate::engine;
use crate::firmware_file::Provision;
use crate::image::{BootloaderCapability, ImageError, Layout};
use crate::judge::{self, Facts};
use crate::recording::{self, Footer, Form, Header};
use crate::report::model::ScenarioReport;
use crate::rig::{BoardRig, preflight};
use crate::scenario::{
    self,
    model::Capability,
    model::{Scenario, StepAction},
    values::{SERVER_NAME, TLS_PORT, Values},
};
use crate::secrets::{Secrets, environment, kept_out};
use crate::timeline::{Action, Event, EventKind, Timeline, describe};
use crate::verdict::Verdict;

/// A run of warped time is ended after this much wall time; the longest built-in one takes well under a second.
const GUARD: Duration = Duration::from_secs(120);

/// What all runs of an invocation share.
pub(super) struct Shared<'r> {
    /// How scenarios are run.
    pub(super) config: &'r RunConfig,
    /// The board that was there before.
    pub(super) attached: &'r Attached,
    /// The dialect of the firmware file, or why it cannot be read. Its rules take longer to compile than a short scenario
    /// to run.
    pub(super) dialect: &'r Result<Arc<Dialect>, String>,
}

/// Runs a scenario to its report. Whatever goes wrong is in the report; nothing in it is what must not be shown.
pub(super) fn run(
    shared: &Shared<'_>,
    selected: &Selected,
    attempt: u32,
    progress: &Sender<Progress>,
) -> ScenarioReport {
    let config = shared.config;
    let secrets = config.secrets.fork();
    config.credentials.iter().filter_map(NvsItem::secret).for_each(|secret| secrets.add_value(secret));
    let mut report = unmasked(shared, selected, attempt, progress, &secrets);
    // Events are masked. What comes of the scenario and the board is not, and a scenario may be refused for what it holds. The board's
    // name is masked as in the recording, which is to be the same run.
    std::iter::once(&mut report.board).chain(&mut report.reason).for_each(|text| secrets.mask_in(text));
    report.each_text(&mut |text| secrets.mask_known_in(text));
    report
}

fn unmasked(
    shared: &Shared<'_>,
    selected: &Selected,
    attempt: u32,
    progress: &Sender<Progress>,
    secrets: &Secrets,
) -> ScenarioReport {
    let Shared { config, attached, dialect } = shared;
    let begun = Instant::now();
    let board = config.board_name();
    let rig_error = |why: String| Verdict::rig_error(secrets.mask(&why).into_owned());
    let (values, authority) = match values(config, selected) {
        Ok(values) => values,
        Err(why) => {
            return scenario_report(&nothing_ran(config, selected, &board, attempt), &[], &rig_error(why));
        }
    };
    let parsed = scenario::parse(&selected.name, &selected.path, &selected.text, &values);
    let server_url = values.0.get("server.url").cloned();
    let mut ran = Ran { server_url, ..nothing_ran(config, selected, &board, attempt) };
    let scenario = match parsed {
        Ok(scenario) => scenario,
        Err(errors) => {
            let reason = format!("{errors}: run `brickproof check {}`", selected.path);
            return scenario_report(&ran, &[], &rig_error(reason));
        }
    };
    ran.scenario = Some(&scenario);
    if let Some(reason) = cannot_run(config, &scenario) {
        return scenario_report(&ran, &[], &Verdict::skipped(reason));
    }
    match attached {
        Attached::Ready(_) => {}
        Attached::Unfit(why) => return scenario_report(&ran, &[], &Verdict::skipped(why.clone())),
        Attached::Broken(why) => return scenario_report(&ran, &[], &rig_error(why.clone())),
    }
    if let Some(signal) = config.interrupt.reason() {
        let reason = format!("{signal} ended the run before this scenario began");
        return scenario_report(&ran, &[], &rig_error(reason));
    }
    let taken = environment::of_scenario(&scenario, secrets, config.variable);
    let taken = taken.and_then(|taken| kept_out::check(&scenario, &values.0, secrets).map(|()| taken));
    let executed = match (dialect, taken) {
        (Ok(dialect), Ok(environment)) => {
            let secrets = secrets.clone();
            let scenario = &scenario;
            let job = Job { config, selected, scenario, values: &values, authority, attempt, environment, secrets };
            execute(&job, dialect, progress)
        }
        (Err(why), _) => Err(why.clone()),
        (_, Err(why)) => Err(why),
    };
    let (events, verdict, file) = match executed {
        Ok((events, verdict, file)) => (events, verdict, Some(file)),
        Err(reason) => (vec![], rig_error(reason), None),
    };
    ran.wall_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    ran.recording = file;
    scenario_report(&ran, &events, &verdict)
}

/// What is known of a run before it begins.
fn nothing_ran<'a>(config: &'a RunConfig, selected: &'a Selected, board: &'a str, attempt: u32) -> Ran<'a> {
    Ran {
        name: &selected.name,
        path: &selected.path,
        text: &selected.text,
        scenario: None,
        board,
        chip: config.chip.name(),
        attempt,
        warped: config.is_warped(),
        wall_ms: 0,
        recording: None,
        server_url: None,
    }
}

/// The values that fill a scenario's templates, and the authority that its device is to trust.
fn values(config: &RunConfig, selected: &Selected) -> Result<(Values, Option<Arc<Authority>>), String> {
    let network = Values::of_network(&config.host().to_string(), config.port);
    // Which version is flashed decides the delay law; it stands in the file itself, so it is read once without the law.
    let preliminary = config.firmware.values("0", network.clone());
    let scenario = scenario::parse(&selected.name, &selected.path, &selected.text, &preliminary).ok();
    let authority = match &scenario {
        Some(scenario) if scenario.requires.contains(&Capability::TestCa) => {
            let hosts = [config.host().to_string(), SERVER_NAME.to_owned()];
            Some(Arc::new(Authority::new(&hosts).map_err(|e| e.to_string())?))
        }
        _ => None,
    };
    let version = scenario
        .and_then(|s| config.catalogue.application(&s.image.flash, config.chip).ok())
        .map_or_else(|| "0".to_owned(), |image| image.version().to_owned());
    let values = config.firmware.values(&version, network);
    Ok(match authority {
        Some(authority) => (values.with("server.ca", &authority.root_pem()), Some(authority)),
        None => (values, None),
    })
}

/// Why this board cannot run this scenario.
fn cannot_run(config: &RunConfig, scenario: &Scenario) -> Option<String> {
    if let Some(limit) = config.max_device_time
        && scenario.device_time > limit
    {
        let time = |d: Duration| ota_server::units::HumanDuration::from(d).to_string();
        return Some(format!(
            "it takes about {} of device time, more than {} (--max-device-time)",
            time(scenario.device_time),
            time(limit)
        ));
    }
    let has_power = match &config.board {
        BoardChoice::Virtual | BoardChoice::Serial { reset: ResetMethod::Virtual(_), .. } => true,
        BoardChoice::Serial { commands, .. } => commands.switch_power(),
        BoardChoice::Qemu(_) => true,
    };
    let has_wifi = match &config.board {
        BoardChoice::Serial { commands, .. } => !config.is_elsewhere() || commands.switch_wifi(),
        BoardChoice::Virtual => true,
        BoardChoice::Qemu(_) => false,
    };
    if scenario.requires.contains(&Capability::Power) && !has_power {
        return Some(format!("board {} has no power switch", config.board_name()));
    }
    let has_probe = matches!(&config.board, BoardChoice::Serial { probe: Some(_), .. });
    let inspects = |step: &scenario::model::Step| step.actions.iter().any(|a| matches!(a, StepAction::Inspect));
    if !has_probe && (scenario.requires.contains(&Capability::Inspect) || scenario.steps.iter().any(inspects)) {
        return Some(format!(
            "board {} has no debug probe to halt its processor with (--probe, or `probe` in brickproof.toml)",
            config.board_name()
        ));
    }
    let cuts_inside = |step: &scenario::model::Step| step.actions.iter().any(|a| matches!(a, StepAction::CutPower(_)));
    if config.is_elsewhere() && scenario.steps.iter().any(cuts_inside) {
        return Some(
            "it cuts power at a flash operation, and only a virtual board knows its own operations".to_owned(),
        );
    }
    if scenario.image.flash_security.is_some() && config.has_fuses() {
        // Anti-rollback burns it into the chip: nothing gives that back.
        return Some(
            "the security version that it flashes would be burnt into a real chip's fuses for ever".to_owned(),
        );
    }
    if !scenario.image.flash_with.is_empty() && !flashes_reference(config, scenario) {
        return Some(format!(
            "it needs firmware built with {}, which only the reference firmware can be told by its image",
            scenario.image.flash_with.join(", ")
        ));
    }
    let provisions = scenario.steps.iter().flat_map(|s| &s.actions).any(|a| matches!(a, StepAction::Provision(_)));
    if config.firmware.provision == Provision::None && (provisions || !scenario.provision.is_empty()) {
        return Some(format!("firmware {} cannot be told its configuration (how = \"none\")", config.firmware.name));
    }
    if matches!((&config.firmware.provision, &config.board), (Provision::Form { .. }, BoardChoice::Qemu(_))) {
        return Some(
            "it is told by a page on the device's own access point, and an emulated board has no Wi-Fi".to_owned(),
        );
    }
    if scenario.requires.contains(&Capability::Dns) && config.is_elsewhere() {
        return Some(format!("board {} does not ask the rig's name server for names", config.board_name()));
    }
    if scenario.requires.contains(&Capability::Wifi) && !has_wifi {
        return Some(format!(
            "the access point of board {} is not the rig's, and no commands (wifi-off, wifi-on) switch it",
            config.board_name()
        ));
    }
    if scenario.requires.contains(&Capability::TestCa)
        && let Some(why) = cannot_trust(config, scenario)
    {
        return Some(why);
    }
    // An image that cannot be laid out is the rig's failure, told when it is to be flashed.
    let layout = layout(config, scenario).ok()?;
    if scenario.requires.contains(&Capability::OwnRollback) {
        if layout.capabilities.contains(&BootloaderCapability::Rollback) {
            return Some("the flashed bootloader rolls back by itself, and the firmware leaves it to it".to_owned());
        }
        if !goes_back_by_itself(config, scenario) {
            return Some("its firmware does not count its boots (own-rollback)".to_owned());
        }
    }
    [
        (Capability::BootloaderRollback, BootloaderCapability::Rollback),
        (Capability::AntiRollback, BootloaderCapability::AntiRollback),
    ]
    .into_iter()
    .find(|(needed, has)| scenario.requires.contains(needed) && !layout.capabilities.contains(has))
    .map(|(_, has)| format!("the flashed bootloader has no {}", has.name()))
}

/// Why the device cannot be told to trust the test authority.
fn cannot_trust(config: &RunConfig, scenario: &Scenario) -> Option<String> {
    if config.firmware.nvs_key("ota-ca").is_none() {
        return Some(format!(
            "firmware {} cannot be told to trust the test authority: its file names no NVS key ota-ca",
            config.firmware.name
        ));
    }
    if config.is_elsewhere() && parameters(config, &scenario.image.flash).is_some_and(|parameters| parameters.no_tls) {
        // The virtual board's body has TLS, whichever image it boots.
        return Some("its firmware was built without TLS (no-tls)".to_owned());
    }
    (!flashes_reference(config, scenario)).then(|| {
        "the test authority's certificate is read from NVS by the reference firmware alone, and another one is flashed"
            .to_owned()
    })
}

/// Whether the image that is offered counts its own boots: the reference firmware's, built so.
fn goes_back_by_itself(config: &RunConfig, scenario: &Scenario) -> bool {
    let offered = scenario.image.offer.as_ref().unwrap_or(&scenario.image.flash);
    parameters(config, offered).is_some_and(|parameters| parameters.own_rollback.is_some())
}

/// How an image of the reference firmware is built; `None` of any other, and of one that is not there.
fn parameters(config: &RunConfig, image: &str) -> Option<Parameters> {
    let record = config.catalogue.application(image, config.chip).ok()?.profile?;
    Parameters::parse(record.parameters()).ok()
}

/// Whether the image that is flashed is the reference firmware's. One that is not there is told when it is to be flashed.
fn flashes_reference(config: &RunConfig, scenario: &Scenario) -> bool {
    let image = config.catalogue.application(&scenario.image.flash, config.chip);
    image.map_or(true, |image| image.profile.is_some())
}

/// What stands where on flash when the scenario begins.
fn layout(config: &RunConfig, scenario: &Scenario) -> Result<Layout, ImageError> {
    config.catalogue.layout(&config.images().flashed(&scenario.image)?)
}

/// What a run leaves: its events, its verdict, its recording.
type Executed = (Vec<Event>, Verdict, String);

/// One scenario, ready to run.
struct Job<'a> {
    config: &'a RunConfig,
    selected: &'a Selected,
    scenario: &'a Scenario,
    values: &'a Values,
    authority: Option<Arc<Authority>>,
    attempt: u32,
    /// What the scenario takes from the environment.
    environment: BTreeMap<String, String>,
    /// What must not be shown of this run.
    secrets: Secrets,
}

impl Job<'_> {
    /// File name of the recording.
    fn recording(&self, form: Form) -> String {
        let stem = file_stem(&self.scenario.name);
        let attempt = if self.config.repeat > 1 { format!("-{}", self.attempt) } else { String::new() };
        form.file_name(&format!("{stem}{attempt}"))
    }
}

fn execute(job: &Job<'_>, dialect: &Arc<Dialect>, progress: &Sender<Progress>) -> Result<Executed, String> {
    let Job { config, selected, scenario, values, attempt, .. } = *job;
    let table = layout(config, scenario).map_err(|e| e.to_string())?.table;
    let facts = Facts {
        slots: table
            .partitions()
            .iter()
            .filter(|p| p.kind == esp_image::partition::APP)
            .map(|p| (p.offset, p.label().to_owned()))
            .collect(),
        prints_attempts: config.firmware.prints_attempts,
        skew: config.firmware.skew(),
    };
    let header = Header {
        format: recording::FORMAT,
        made_by: made_by(),
        scenario_path: selected.path.clone(),
        case: selected.case().map(str::to_owned),
        scenario: selected.text.clone(),
        values: values.0.clone(),
        board: job.secrets.mask(&config.board_name()).into_owned(),
        chip: config.chip.to_string(),
        facts: facts.clone(),
        attempt,
        seed: config.seed,
        began_wall_ms: wall_ms(),
        warped: config.is_warped(),
    };
    let name = job.recording(config.form);
    let path = config.folder.join(&name);
    let writer = recording::Writer::create(&path, config.form, &header).map_err(|e| e.to_string())?;
    let file = relative(&config.folder, &name);

    // The guard: it ends a run that yields. One that never does cannot be ended from outside; nothing in the virtual
    // chip is free of device time, so that a device can only be such a run by making events without end.
    let limit = if config.is_warped() { GUARD } else { scenario.device_time * 3 + GUARD };
    let begun = Instant::now();
    let (done, finished) = mpsc::channel();
    let guard = Notify::new();
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name(scenario.name.clone());
        let work = || {
            let reader = ConsoleReader::new(Arc::clone(dialect)).masking(job.secrets.clone());
            let result = timeline(job, &facts, reader, writer, progress, &guard);
            // The other end may have given up on this run.
            let _ = done.send(result);
        };
        thread.spawn_scoped(scope, work).map_err(|e| format!("cannot start a thread for the run: {e}"))?;
        let ended = finished.recv_timeout(limit).or_else(|_| {
            guard.notify_one();
            finished.recv_timeout(GUARD)
        });
        let (events, writer) = ended
            .map_err(|_| format!("the run did not end within {limit:?} of wall time, and could not be ended"))??;
        let verdict = judge::judge(scenario, &events, &facts);
        let wall_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        writer.finish(Footer { verdict: verdict.clone(), wall_ms }).map_err(|e| e.to_string())?;
        Ok((events, verdict, file))
    })
}

/// A scenario's name as a file's: a case may hold what no file name can.
fn file_stem(name: &str) -> String {
    name.chars().map(|c| if c.is_alphanumeric() || "-_.=,[]%".contains(c) { c } else { '_' }).collect()
}

/// Path of a recording, relative to the report folder two levels above the run's.
fn relative(folder: &Path, name: &str) -> String {
    let id = folder.file_name().unwrap_or_default().to_string_lossy();
    format!("runs/{id}/{name}")
}

fn wall_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX))
}

/// Makes board and server in a runtime of their own, and runs the engine over them.
fn timeline(
    job: &Job<'_>,
    facts: &Facts,
    reader: ConsoleReader,
    writer: recording::Writer,
    progress: &Sender<Progress>,
    guard: &Notify,
) -> Result<(Vec<Event>, recording::Writer), String> {
    let Job { config, scenario, .. } = *job;
    let mode = if config.is_warped() { Mode::Warped } else { Mode::Real };
    let in_flight = InFlight::new();
    let writer = RefCell::new(writer);
    let broken: RefCell<Option<String>> = RefCell::new(None);
    let sink = |event: &Event| {
        if let Err(e) = writer.borrow_mut().event(event) {
            broken.borrow_mut().get_or_insert(e.to_string());
        }
        if let Some((_, text)) = describe(event) {
            let now = Progress::Now { scenario: scenario.name.clone(), at_ms: event.at_ns / 1_000_000, text };
            // Nobody watches any more.
            let _ = progress.send(now);
        }
    };
    let mut line = Timeline::new(wall_ms, sink).masking(job.secrets.clone());
    let ran = virtual_time::run(mode, &in_flight, async {
        let clock = RunClock::start(mode);
        tokio::select! {
            biased;
            () = guard.notified() => {}
            ended = on_board(job, facts, reader, &mut line, clock.clone(), &in_flight) => return ended,
        }
        let event = engine::runaway(line.events(), "the run did not end in time: it was ended".to_owned());
        line.record(clock.now(), None, EventKind::Rig(event));
        line.record(clock.now(), None, EventKind::Action(Action::RunEnded));
        Ok(())
    });
    ran.map_err(|e| format!("cannot make the run's runtime: {e}"))??;
    let events = line.into_events();
    match broken.into_inner() {
        Some(why) => Err(why),
        None => Ok((events, writer.into_inner())),
    }
}

/// Checks the network between this host and a board elsewhere, before the server takes its port.
fn preflight(config: &RunConfig, scenario: &Scenario, bind: SocketAddr) -> Result<(), String> {
    let reached = config.reached();
    preflight::closed(SocketAddr::from((reached, config.port)))?;
    for port in scenario.ports_of(&config.host().to_string()) {
        if port != config.port {
            preflight::closed(SocketAddr::from((reached, port)))?;
        }
    }
    preflight::open(bind, SocketAddr::from((reached, config.port)))
}

async fn on_board(
    job: &Job<'_>,
    facts: &Facts,
    reader: ConsoleReader,
    line: &mut Timeline<'_>,
    clock: RunClock,
    in_flight: &InFlight,
) -> Result<(), String> {
    let Job { config, scenario, .. } = *job;
    let (events, server_events) = unbounded_channel();
    let bind = if config.is_elsewhere() {
        let bind = SocketAddr::new(config.bind, config.port);
        preflight(config, scenario, bind)?;
        bind
    } else {
        SocketAddr::from(([127, 0, 0, 1], 0))
    };
    let mut listeners = vec![ListenerConfig { port: config.port, bind, tls: false }];
    if job.authority.is_some() {
        let port = if config.is_elsewhere() { TLS_PORT } else { 0 };
        listeners.push(ListenerConfig { port: TLS_PORT, bind: SocketAddr::new(bind.ip(), port), tls: true });
    }
    let dns = (!config.is_elsewhere()).then(|| DnsConfig {
        bind: SocketAddr::from(([127, 0, 0, 1], 0)),
        names: vec![(SERVER_NAME.to_owned(), config.host())],
    });
    let server = OtaServer::start(ServerConfig {
        listeners,
        ota_path: ota_server::serve::OTA_PATH.to_owned(),
        advertised: Some(format!("http://{}:{}", config.host(), config.port)),
        authority: job.authority.clone(),
        dns,
        upstream: None,
        in_flight: in_flight.clone(),
        clock: clock.clone(),
        seed: config.seed,
        secrets: job.secrets.clone(),
        events,
    })
    .map_err(|e| e.to_string())?;
    let mut network = NetworkMap { name_server: server.dns_address(), ..NetworkMap::default() };
    for (port, real) in server.addresses() {
        network.listen(config.host(), port, real, server.closed_address());
    }
    let rig = |board: Box<dyn Board>| BoardRig {
        clock: clock.clone(),
        in_flight: in_flight.clone(),
        board,
        chip: config.chip,
        server: Some(server),
        server_events,
        images: config.images(),
        scenario,
        firmware: &config.firmware,
        environment: job.environment.clone(),
        secrets: job.secrets.clone(),
        credentials: config.credentials.clone(),
        interrupt: config.interrupt.clone(),
        seed: config.seed,
        core_dump: None,
        // Files beside the recording take its plain name with an end of their own.
        evidence: config.folder.join(job.recording(Form::Plain)),
        snapshot: None,
    };
    let started = Action::RunStarted {
        scenario: scenario.name.clone(),
        board: config.board_name(),
        chip: config.chip.to_string(),
        warped: config.is_warped(),
    };
    match &config.board {
        BoardChoice::Virtual => {
            let flash = Flash::in_memory(virtual_esp32::standalone::DEFAULT_FLASH_SIZE);
            let software = Box::new(virtual_esp32::FlashBoot);
            let snapshot = config.snapshot.then(|| flash.clone());
            let chip_config = Config { in_flight: in_flight.clone(), ..Config::new(config.chip, flash, software) };
            let (chip, handle) = VirtualEsp32::new(chip_config).map_err(|e| format!("cannot make a pty: {e}"))?;
            handle.set_network(network);
            let port = config.line_through.map_or_else(|| handle.port().to_owned(), |line| line(handle.port()));
            let id = PortId::Path(port.display().to_string());
            let port = Port::open(&id, config.baud).map_err(|e| e.to_string())?;
            let pipe = handle.uart_pipes().0;
            let board = SerialBoard::new(port, Box::new(InProcess(handle)), config.flash, Some(pipe));
            let mut rig = BoardRig { snapshot, ..rig(Box::new(board)) };
            tokio::select! {
                biased;
                () = engine::run(scenario, facts, &mut rig, reader, line, started) => {}
                never = chip.run() => match never {},
            }
        }
        BoardChoice::Serial { reset, .. } => {
            if let ResetMethod::Virtual(socket) = reset {
                let mut client = control::Client::connect(socket).map_err(|e| e.to_string())?;
                client.send(&control::Command::Network { map: network }).map_err(|e| e.to_string())?;
            }
            let connection = config.connection().ok_or("a board on a serial port has no connection")?;
            let mut rig = rig(connection.open().map_err(|e| e.to_string())?);
            engine::run(scenario, facts, &mut rig, reader, line, started).await;
        }
        BoardChoice::Qemu(settings) => {
            let layout = layout(config, scenario).map_err(|e| e.to_string())?;
            let needed = layout.flash_size();
            let size = qemu::flash_size::choose(settings.flash_size, needed, &layout.regions, config.chip);
            let board = size.and_then(|size| QemuBoard::new(config.chip, settings.clone(), size));
            let mut rig = rig(Box::new(board.map_err(|e| e.to_string())?));
            engine::run(scenario, facts, &mut rig, reader, line, started).await;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::board::commands::Commands;
    use crate::board::qemu::QemuSettings;
    use crate::firmware_file;
    use crate::image::Catalogue;

    /// Why a built-in scenario is not run on a board of silicon.
    fn skipped(name: &str) -> Option<String> {
        let id = PortId::Path("/dev/ttyUSB0".to_owned());
        skipped_on(
            BoardChoice::Serial { id, reset: ResetMethod::DtrRts, commands: Commands::default(), probe: None },
            name,
        )
    }

    fn skipped_on(board: BoardChoice, name: &str) -> Option<String> {
        let firmware = firmware_file::load(None).expect("firmware file");
        let catalogue = Catalogue::embedded().expect("catalogue");
        let virtual_boards = RunConfig::on_virtual_boards(firmware, catalogue, std::path::PathBuf::new());
        let config = RunConfig { board, ..virtual_boards };
        let (_, text) = scenario::embedded::SCENARIOS.iter().find(|(known, _)| *known == name).expect(name);
        let values = config.firmware.values("1.5.9", Values::of_network("192.168.1.10", 8002));
        let scenario = scenario::parse(name, name, text, &values).expect("a scenario without a matrix");
        cannot_run(&config, &scenario)
    }

    #[test]
    fn fuses_of_a_real_chip_are_never_burnt() {
        let why = skipped("lower-security-version").expect("skipped");
        assert!(why.contains("fuses for ever"), "{why}");
    }

    #[test]
    fn what_only_the_rigs_own_network_can_do_is_skipped_elsewhere() {
        assert!(skipped("name-changes").expect("skipped").contains("name server"));
        assert!(skipped("wifi-drops-in-check").expect("skipped").contains("access point"));
        assert_eq!(skipped("healthy-update"), None);
    }

    #[test]
    fn firmware_that_goes_back_by_itself_is_tried_where_the_bootloader_does_not() {
        assert!(skipped("own-rollback").expect("skipped").contains("the flashed bootloader rolls back by itself"));
    }

    #[test]
    fn emulated_fuses_may_be_burnt_and_an_emulated_network_is_not_the_rigs() {
        let skipped = |name| skipped_on(BoardChoice::Qemu(QemuSettings::default()), name);
        assert_eq!(skipped("lower-security-version"), None);
        assert!(skipped("name-changes").expect("skipped").contains("name server"));
        assert!(skipped("wifi-drops-in-check").expect("skipped").contains("access point"));
    }
}
