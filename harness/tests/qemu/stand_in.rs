//! A stand-in for Espressif's QEMU, which is in no package registry: a program that takes the command line that the real
//! one documents and nothing else, speaks QMP, and has a virtual chip behind its console that boots the flash file. Guest
//! addresses of the host lead to loopback, as in QEMU's user-mode network.
//!
//! What it cannot show: that the real emulator's options, ROM and peripherals are as their documentation says.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use esp_image::chip::ChipId;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::pipe::{OpenOptions, Receiver, Sender};
use tokio::sync::Mutex;
use virtual_esp32::{BootMode, Config, Flash, FlashBoot, Handle, NetworkMap, VirtualEsp32};
use virtual_time::fd::AsyncDescriptor;
use virtual_time::{InFlight, Mode};

/// How it misbehaves, if so: no-machine, no-qmp, dies-at-start, dies, refuses-reset, tells, floods, echoes.
pub(crate) const VICE: &str = "STAND_IN_VICE";
/// The file to which it adds what it was told, a line of JSON each.
pub(crate) const LOG: &str = "STAND_IN_LOG";

/// Its last words when it dies in the middle of a run.
pub(crate) const LAST_WORDS: &str = "ERROR:../hw/ssi/esp32_spi.c:128: assertion failed";

/// What ends a flood of console output.
pub(crate) const FLOOD_ENDS: &[u8] = b"the noise is over\r\n";

/// What a command line asks for.
#[derive(Debug, Default)]
struct Machine {
    name: Option<String>,
    flash: Option<PathBuf>,
    efuse: Option<PathBuf>,
    efuse_driver: Option<String>,
    host: Option<Ipv4Addr>,
    chardevs: BTreeMap<String, PathBuf>,
    console: bool,
    monitor: bool,
    paused: bool,
}

/// An option's value: words and `key=value`, with two commas for one.
fn parts(text: &str) -> Vec<(String, Option<String>)> {
    let text = text.replace(",,", "\0");
    let part = |part: &str| {
        let part = part.replace('\0', ",");
        match part.split_once('=') {
            Some((key, value)) => (key.to_owned(), Some(value.to_owned())),
            None => (part, None),
        }
    };
    text.split(',').map(part).collect()
}

/// The values of exactly these keys, in any order; a key may be absent where it ends in `?`.
fn values(option: &str, text: &str, keys: &[&str]) -> Result<Vec<Option<String>>, String> {
    let mut given: Vec<_> = parts(text);
    let mut found = Vec::new();
    for key in keys {
        let (name, needed) = key.strip_suffix('?').map_or((*key, true), |name| (name, false));
        let at =
            given.iter().position(|(k, v)| k == name && (v.is_some() || ["user", "socket", "pipe"].contains(&name)));
        match at {
            Some(at) => found.push(given.remove(at).1),
            None if needed => return Err(format!("{option} {text}: {name} is missing")),
            None => found.push(None),
        }
    }
    match given.as_slice() {
        [] => Ok(found),
        [(key, _), ..] => Err(format!("{option} {text}: Invalid parameter '{key}'")),
    }
}

fn text(value: Option<String>) -> String {
    value.unwrap_or_default()
}

fn understand(arguments: &[String]) -> Result<Machine, String> {
    let mut machine = Machine::default();
    let mut rest = arguments.iter();
    while let Some(option) = rest.next() {
        if option == "-S" {
            machine.paused = true;
            continue;
        }
        let value = rest.next().ok_or_else(|| format!("{option}: requires an argument"))?;
        let only = |known: &str| {
            if value == known { Ok(()) } else { Err(format!("{option} {value}: only {known} is known")) }
        };
        match option.as_str() {
            "-M" => machine.name = Some(value.clone()),
            "-m" if ["2M", "4M", "8M", "16M", "32M"].contains(&value.as_str()) => {}
            "-drive" if value.contains("if=mtd") => {
                let found = values(option, value, &["file", "if", "format"])?;
                machine.flash = Some(text(found[0].clone()).into());
            }
            "-drive" => {
                let found = values(option, value, &["file", "if", "format", "id"])?;
                if found[1..] != [Some("none".to_owned()), Some("raw".to_owned()), Some("efuse".to_owned())] {
                    return Err(format!("{option} {value}"));
                }
                machine.efuse = Some(text(found[0].clone()).into());
            }
            "-global" => {
                let found = values(option, value, &["driver", "property", "value"])?.into_iter().map(text);
                let [driver, property, value]: [String; 3] = found.collect::<Vec<_>>().try_into().expect("three");
                match (property.as_str(), value.as_str()) {
                    ("drive", "efuse") => machine.efuse_driver = Some(driver),
                    ("wdt_disable", "true") if driver.starts_with("timer.") => {}
                    ("is_octal", "true") if driver == "ssi_psram" => {}
                    _ => return Err(format!("{option}: {driver} has no {property}={value}")),
                }
            }
            "-nic" => {
                let found = values(option, value, &["user", "model", "net?", "host?"])?;
                if found[1].as_deref() != Some("open_eth") {
                    return Err(format!("{option} {value}: no such model"));
                }
                machine.host = Some(found[3].as_ref().map_or(Ok(Ipv4Addr::new(10, 0, 2, 2)), |host| {
                    host.parse().map_err(|_| format!("{option} {value}: host"))
                })?);
            }
            "-display" | "-monitor" => only("none")?,
            "-chardev" => {
                let kind = if value.starts_with("pipe,") { "pipe" } else { "socket" };
                let found = values(option, value, &[kind, "id", "path"])?;
                machine.chardevs.insert(text(found[1].clone()), text(found[2].clone()).into());
            }
            "-serial" => machine.console = only("chardev:console").map(|()| true)?,
            "-mon" => machine.monitor = only("chardev=monitor,mode=control").map(|()| true)?,
            _ => return Err(format!("{option}: invalid option")),
        }
    }
    Ok(machine)
}

fn log(what: &Value) {
    let Some(path) = std::env::var_os(LOG) else { return };
    let line = format!("{what}\n");
    let file = std::fs::OpenOptions::new().append(true).create(true).open(path);
    file.and_then(|mut file| file.write_all(line.as_bytes())).expect("the log can be written");
}

#[expect(clippy::print_stderr, reason = "as a program of its own it tells there why it fails")]
fn fail(program: &str, why: &str) -> ExitCode {
    eprintln!("{program}: {why}");
    ExitCode::FAILURE
}

/// The stand-in's main function.
pub(crate) fn main(program: &str) -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    log(&json!({ "started": std::process::id(), "program": program, "arguments": arguments }));
    let vice = std::env::var(VICE).unwrap_or_default();
    let machine = match understand(&arguments) {
        Ok(machine) => machine,
        Err(why) => return fail(program, &why),
    };
    let machines: &[ChipId] =
        if program == "qemu-system-xtensa" { &[ChipId::Esp32, ChipId::Esp32S3] } else { &[ChipId::Esp32C3] };
    let wanted = machine.name.as_deref().and_then(ChipId::from_name);
    let Some(chip) = wanted.filter(|chip| machines.contains(chip) && vice != "no-machine") else {
        // As Debian's QEMU 7.2 says it.
        return fail(program, "unsupported machine type\nUse -machine help to list supported machines");
    };
    match virtual_time::run(Mode::Real, &InFlight::new(), run(machine, chip, &vice)) {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(why)) => fail(program, &why),
        Err(e) => fail(program, &e.to_string()),
    }
}

async fn run(machine: Machine, chip: ChipId, vice: &str) -> Result<(), String> {
    if !(machine.paused && machine.console && machine.monitor) {
        return Err("console, monitor or -S is missing".to_owned());
    }
    if machine.efuse_driver != Some(format!("nvram.{chip}.efuse")) {
        return Err(format!("{:?} is not this chip's efuse driver", machine.efuse_driver));
    }
    let length = |path: &Option<PathBuf>| {
        let path = path.as_ref().ok_or("a drive is missing")?;
        std::fs::metadata(path).map(|found| found.len()).map_err(|e| format!("{}: {e}", path.display()))
    };
    let efuse = if chip == ChipId::Esp32 { 124 } else { 1024 };
    if length(&machine.efuse)? != efuse {
        return Err(format!("the efuse file has not {efuse} bytes"));
    }
    let size = length(&machine.flash)?;
    if ![2, 4, 8, 16].contains(&(size >> 20)) || size % (1 << 20) != 0 {
        return Err("Drive size error: only 2, 4, 8, and 16MB images are supported".to_owned());
    }
    let chardev = |id: &str| machine.chardevs.get(id).ok_or(format!("chardev {id} is missing"));
    // As QEMU: pipes are opened for both directions, so that nobody need be at their other end.
    let mut pipe = OpenOptions::new();
    let pipe = pipe.read_write(true);
    let could_not = |end: &str, e: std::io::Error| format!("Could not open '{end}': {e}");
    let path = chardev("console")?.display();
    let mut typed = pipe.open_receiver(format!("{path}.in")).map_err(|e| could_not(".in", e))?;
    let console = Mutex::new(pipe.open_sender(format!("{path}.out")).map_err(|e| could_not(".out", e))?);
    let path = chardev("monitor")?;
    let monitor = UnixStream::connect(path).await;
    let monitor = monitor.map_err(|e| format!("Failed to connect to '{}': {e}", path.display()))?;
    if vice == "dies-at-start" {
        return Err("Unable to load the ROM".to_owned());
    }

    let flash = machine.flash.clone().unwrap_or_default();
    let flash = Flash::open_file(flash, u32::try_from(size).expect("16 MiB at most")).map_err(|e| e.to_string())?;
    let config = Config::new(chip, flash, Box::new(FlashBoot));
    let (board, handle) = VirtualEsp32::new(config).map_err(|e| e.to_string())?;
    handle.set_network(network(machine.host.ok_or("there is no network")?));
    let line = open(handle.port())?;

    let stream = BufReader::new(monitor);
    let mut monitor = Monitor { stream, handle, state: State::Paused, vice, console: &console };
    let ended = tokio::select! {
        never = board.run() => match never {},
        ended = monitor.serve() => ended,
        ended = wire(&line, &console, &mut typed, vice) => ended,
    };
    // What is still on its way to the console gets there: the chip is held, and prints no more.
    let mut buffer = [0; 4096];
    while let Ok(n) = line.try_read(&mut buffer) {
        console.lock().await.write_all(&buffer[..n]).await.map_err(|e| e.to_string())?;
    }
    ended
}

/// All ports of the guest's host are this host's loopback.
fn network(host: Ipv4Addr) -> NetworkMap {
    let mut map = NetworkMap::default();
    let loopback = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    for port in 1..=u16::MAX {
        map.listen(host, port, loopback(port), loopback(1));
    }
    map
}

fn open(port: &Path) -> Result<AsyncDescriptor, String> {
    let flags = rustix::fs::OFlags::NOCTTY | rustix::fs::OFlags::NONBLOCK;
    let flags = i32::try_from(flags.bits()).expect("flags of open");
    let file = std::fs::OpenOptions::new().read(true).write(true).custom_flags(flags).open(port);
    file.and_then(|file| AsyncDescriptor::new(file.into())).map_err(|e| format!("{}: {e}", port.display()))
}

/// The chip's serial line, as the console's pipes see it.
async fn wire(
    line: &AsyncDescriptor,
    console: &Mutex<Sender>,
    typing: &mut Receiver,
    vice: &str,
) -> Result<(), String> {
    let words = |e: std::io::Error| e.to_string();
    let (mut printed, mut typed) = ([0; 4096], [0; 256]);
    let mut seen = Vec::new();
    loop {
        tokio::select! {
            n = line.read(&mut printed) => {
                let n = n.map_err(words)?;
                console.lock().await.write_all(&printed[..n]).await.map_err(words)?;
                seen.extend_from_slice(&printed[..n]);
                if vice == "dies" && String::from_utf8_lossy(&seen).contains("Loaded app from partition") {
                    return Err(LAST_WORDS.to_owned());
                }
            }
            n = typing.read(&mut typed) => match n {
                Ok(n) if n > 0 && vice == "echoes" => console.lock().await.write_all(&typed[..n]).await.map_err(words)?,
                Ok(n) if n > 0 => line.write(&typed[..n]).await.map(drop).map_err(words)?,
                // A console that nobody reads stops no emulator.
                _ => std::future::pending().await,
            },
        }
    }
}

/// What QEMU calls its run state.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before the first instruction, after the start or after a reset.
    Paused,
    Running,
    /// In the middle of the guest's work: a virtual chip cannot go on from there.
    Stopped,
}

struct Monitor<'v> {
    stream: BufReader<UnixStream>,
    handle: Handle,
    state: State,
    vice: &'v str,
    console: &'v Mutex<Sender>,
}

impl Monitor<'_> {
    async fn say(&mut self, what: &Value) -> Result<(), String> {
        self.stream.write_all(format!("{what}\r\n").as_bytes()).await.map_err(|e| e.to_string())
    }

    async fn event(&mut self, name: &str, data: Option<Value>) -> Result<(), String> {
        let mut event = json!({ "timestamp": { "seconds": 1_795_470_122, "microseconds": 631_538 }, "event": name });
        if let Some(data) = data {
            event["data"] = data;
        }
        self.say(&event).await
    }

    /// Obeys until `quit`.
    async fn serve(&mut self) -> Result<(), String> {
        let version =
            json!({ "qemu": { "micro": 2, "minor": 2, "major": 9 }, "package": "esp-develop-9.2.2 (stand-in)" });
        match self.vice {
            "no-qmp" => self.stream.write_all(b"220 mail.example ESMTP\r\n").await.map_err(|e| e.to_string())?,
            _ => self.say(&json!({ "QMP": { "version": version, "capabilities": ["oob"] } })).await?,
        }
        let mut negotiated = false;
        loop {
            let mut line = String::new();
            if self.stream.read_line(&mut line).await.map_err(|e| e.to_string())? == 0 {
                // Without a monitor it goes on, as QEMU does.
                return std::future::pending().await;
            }
            let asked: Value = serde_json::from_str(&line).map_err(|e| format!("{line}: {e}"))?;
            let (order, id) = (asked["execute"].as_str().unwrap_or_default().to_owned(), asked["id"].clone());
            log(&json!({ "order": order, "pid": std::process::id() }));
            let refused = |why: &str| json!({ "id": id, "error": { "class": "GenericError", "desc": why } });
            let reply = if !negotiated && order != "qmp_capabilities" {
                Err("Expecting capabilities negotiation with 'qmp_capabilities'".to_owned())
            } else {
                negotiated = true;
                self.obey(&order).await?
            };
            match reply {
                Ok(result) => self.say(&json!({ "return": result, "id": id })).await?,
                Err(why) => self.say(&refused(&why)).await?,
            }
            if order == "quit" {
                return Ok(());
            }
        }
    }

    async fn obey(&mut self, order: &str) -> Result<Result<Value, String>, String> {
        let gone = |e: virtual_esp32::BoardGone| e.to_string();
        // Events come when they come: before a reply, too.
        match (order, self.state) {
            ("qmp_capabilities", _) => {}
            ("query-status", state) => return Ok(Ok(json!({ "running": state == State::Running }))),
            ("cont", State::Stopped) => return Ok(Err("this chip cannot go on where it was stopped".to_owned())),
            ("cont", State::Running) => {}
            ("cont", State::Paused) => {
                self.state = State::Running;
                self.handle.release(BootMode::Run).await.map_err(gone)?;
                self.event("RESUME", None).await?;
                if self.vice == "tells" {
                    self.event("WATCHDOG", Some(json!({ "action": "reset" }))).await?;
                }
            }
            ("stop", state) => {
                if self.vice == "floods" {
                    let noise = [b"noise on the line\r\n".repeat(1 << 16), FLOOD_ENDS.into()].concat();
                    self.console.lock().await.write_all(&noise).await.map_err(|e| e.to_string())?;
                }
                self.handle.hold_in_reset().await.map_err(gone)?;
                self.state = if state == State::Paused { State::Paused } else { State::Stopped };
                self.event("STOP", None).await?;
            }
            ("system_reset", _) if self.vice == "refuses-reset" => return Ok(Err("it is stuck".to_owned())),
            ("system_reset", state) => {
                let data = json!({ "guest": false, "reason": "host-qmp-system-reset" });
                self.event("RESET", Some(data)).await?;
                match state {
                    State::Running => self.handle.reset(BootMode::Run).await.map_err(gone)?,
                    State::Stopped | State::Paused => self.state = State::Paused,
                }
            }
            ("quit", _) => {
                self.handle.hold_in_reset().await.map_err(gone)?;
                self.event("SHUTDOWN", Some(json!({ "guest": false, "reason": "host-qmp-quit" }))).await?;
            }
            _ => return Ok(Err(format!("The command {order} has not been found"))),
        }
        Ok(Ok(json!({})))
    }
}
