//! `brickproof boards`: which serial ports are attached, which boards are configured, and who holds them.

use std::fmt::Write as _;
use std::path::Path;

use miette::{Result, miette};
use serde::Serialize;

use super::args::BoardsArgs;
use super::out;
use crate::board::identity::PortId;
use crate::board::ports::{self, AttachedPort};
use crate::board::probe::{self, AttachedProbe};
use crate::lease::{self, Holder, LeaseError};
use crate::settings::{Backend, BoardLayer, Settings, Sources, clashes};

/// All there is to tell.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
struct Inventory {
    attached: Vec<Attached>,
    /// Debug probes; nothing where this program cannot know.
    probes: Option<Vec<AttachedProbe>>,
    configured: Vec<Configured>,
    problems: Vec<String>,
    /// The files that configure.
    files: Vec<String>,
}

/// An attached port.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
struct Attached {
    port: String,
    /// As `--board` takes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    usb: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    location: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    product: Option<String>,
    #[serde(flatten)]
    use_: Use,
}

/// A configured board.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
struct Configured {
    name: String,
    backend: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pool: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    chip: Option<String>,
    /// As configured.
    #[serde(skip_serializing_if = "Option::is_none")]
    port: Option<String>,
    /// Where it is now; nothing where it is not attached.
    #[serde(skip_serializing_if = "Option::is_none")]
    now: Option<String>,
    #[serde(flatten)]
    use_: Use,
}

/// Who uses a board.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
struct Use {
    held: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    holder: Option<Holder>,
}

impl Use {
    fn of(id: &PortId, attached: &[AttachedPort], leases: &Path) -> Result<Self, LeaseError> {
        let Some(board) = id.board(attached) else { return Ok(Self::default()) };
        let held = lease::holder(leases, &board)?;
        Ok(Self { held: held.is_some(), holder: held.flatten() })
    }

    fn words(&self) -> String {
        match (&self.holder, self.held) {
            (Some(holder), _) => holder.to_string(),
            (None, true) => "a process that does not say who it is".to_owned(),
            (None, false) => "nobody".to_owned(),
        }
    }
}

fn attached(port: &AttachedPort, use_: Use) -> Attached {
    Attached {
        port: port.path.clone(),
        usb: port.identity(),
        location: port.usb.as_ref().and_then(|usb| usb.location.clone()),
        product: port.usb.as_ref().and_then(|usb| usb.product.clone()),
        use_,
    }
}

fn configured(name: &str, board: &BoardLayer, attached: &[AttachedPort], use_: Use) -> Configured {
    let path = board.port.as_ref().and_then(|id| id.resolve(attached).ok());
    Configured {
        name: name.to_owned(),
        backend: match board.backend {
            Some(Backend::Virtual) => "virtual",
            Some(Backend::Qemu) => "qemu",
            Some(Backend::Serial) | None => "serial",
        },
        pool: board.pool.clone(),
        chip: board.chip.map(|chip| chip.to_string()),
        port: board.port.as_ref().map(ToString::to_string),
        now: path.filter(|path| Path::new(path).exists()),
        use_,
    }
}

pub(super) fn boards(args: &BoardsArgs, sources: &Sources) -> Result<u8> {
    let settings = super::settings(sources)?;
    let (ports, leases) = (ports::attached(), lease::default_folder());
    let inventory = inventory(&settings, &ports, probe::attached(), &leases).map_err(|e| miette!("{e}"))?;
    if args.json {
        out(&(serde_json::to_string_pretty(&inventory).map_err(|e| miette!("{e}"))? + "\n"))?;
    } else {
        out(&text(&inventory))?;
    }
    Ok(u8::from(!inventory.problems.is_empty()))
}

fn inventory(
    settings: &Settings,
    ports: &[AttachedPort],
    probes: Option<Vec<AttachedProbe>>,
    leases: &Path,
) -> Result<Inventory, LeaseError> {
    let mut all = Vec::new();
    for port in ports {
        all.push(attached(port, Use::of(&PortId::Path(port.path.clone()), ports, leases)?));
    }
    let mut boards = Vec::new();
    for (name, board) in &settings.merged.boards {
        let use_ = match &board.port {
            Some(id) => Use::of(id, ports, leases)?,
            None => Use::default(),
        };
        boards.push(configured(name, board, ports, use_));
    }
    let problems = clashes(settings, ports)
        .into_iter()
        .map(|(one, other, port)| format!("boards {one} and {other} are both on {port}: no run takes either"))
        .collect();
    let files = settings.files.iter().map(|file| file.display().to_string()).collect();
    Ok(Inventory { attached: all, probes, configured: boards, problems, files })
}

fn text(inventory: &Inventory) -> String {
    let mut text = String::new();
    if inventory.attached.is_empty() {
        text.push_str("no serial port is attached; a virtual board needs none: `brickproof run`\n");
    } else {
        let _ = writeln!(text, "{:<16} {:<34} {:<24} held by", "attached port", "--board", "product");
    }
    for port in &inventory.attached {
        let name = port.usb.as_deref().unwrap_or(&port.port);
        let product = port.product.as_deref().unwrap_or("");
        let _ = writeln!(text, "{:<16} {name:<34} {product:<24} {}", port.port, port.use_.words());
    }
    match inventory.probes.as_deref() {
        None => text.push_str("debug probes: this brickproof was built without probe support (feature `probe`)\n"),
        Some([]) => text.push_str("no debug probe is attached\n"),
        Some(probes) => {
            let _ = writeln!(text, "\n{:<16} {:<34} {:<24}", "attached probe", "--probe", "product");
            for probe in probes {
                let may = if probe.accessible { "" } else { " (permission denied: docs/probes.md)" };
                let _ = writeln!(text, "{:<16} {:<34} {}{may}", probe.kind, probe.select, probe.product);
            }
        }
    }
    let _ = writeln!(text, "\n{:<16} {:<34} {:<24} held by", "configured board", "port", "now");
    for board in &inventory.configured {
        let pool = board.pool.as_ref().map(|pool| format!(" (pool {pool})")).unwrap_or_default();
        let (port, now) = match (&board.port, &board.now) {
            (Some(port), Some(now)) => (port.as_str(), now.as_str()),
            (Some(port), None) => (port.as_str(), "not attached"),
            (None, _) if board.backend == "virtual" => ("made for each scenario", ""),
            (None, _) if board.backend == "qemu" => ("made for each scenario, in QEMU", ""),
            (None, _) => ("none is given", ""),
        };
        let _ = writeln!(text, "{:<16} {port:<34} {now:<24} {}", format!("{}{pool}", board.name), board.use_.words());
    }
    for problem in &inventory.problems {
        let _ = writeln!(text, "problem: {problem}");
    }
    if inventory.files.is_empty() {
        text.push_str("no brickproof.toml here or above: `brickproof init` writes one\n");
    } else {
        let _ = writeln!(text, "configured in {}", inventory.files.join(", "));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::board::ports::UsbDevice;
    use crate::settings::Layer;

    fn port(path: &str, serial: Option<&str>) -> AttachedPort {
        let usb = serial.map(|serial| UsbDevice {
            vid: 0x303a,
            pid: 0x1001,
            serial: Some(serial.to_owned()),
            product: Some("USB JTAG/serial".to_owned()),
            location: Some("1-3".to_owned()),
        });
        AttachedPort { path: path.to_owned(), usb }
    }

    #[test]
    fn ports_and_boards_are_shown_with_who_holds_them() {
        let leases = tempfile::tempdir().expect("folder");
        let config =
            "[boards.desk]\nport = \"usb:303a:1001:AA:BB\"\npool = \"c3\"\n[boards.attic]\nport = \"/dev/nowhere\"\n";
        let merged = Layer::parse("brickproof.toml", config).expect("a layer");
        let settings = Settings { merged, files: vec!["brickproof.toml".into()] };
        // A device that is surely there, and the same for every name: the lease is by identity.
        let ports = [port("/dev/null", Some("AA:BB")), port("/dev/zero", None)];
        let me = Holder { pid: 7, doing: "3 scenarios".to_owned(), since: "2026-11-23T17:00:00Z".to_owned() };
        let patience = lease::Patience { limit: std::time::Duration::ZERO, waiting: &mut |_| {}, ended: &|| None };
        let _held = lease::acquire(leases.path(), &["usb:303a:1001:AA:BB".to_owned()], &me, patience).expect("free");
        let probe = AttachedProbe {
            select: "303a:1001:AA:BB".to_owned(),
            kind: "EspJtag".to_owned(),
            product: "USB JTAG/serial".to_owned(),
            accessible: false,
        };
        let inventory = inventory(&settings, &ports, Some(vec![probe]), leases.path()).expect("leases");
        insta::assert_snapshot!(text(&inventory));
        let json = serde_json::to_value(&inventory).expect("JSON");
        assert_eq!(json["configured"][1]["holder"]["pid"], 7);
    }

    #[test]
    fn boards_on_one_port_are_a_problem() {
        let config = "[boards.one]\nport = \"/dev/null\"\n[boards.two]\nport = \"usb:303a:1001\"\n";
        let merged = Layer::parse("brickproof.toml", config).expect("a layer");
        let settings = Settings { merged, files: Vec::new() };
        let leases = tempfile::tempdir().expect("folder");
        let inventory = inventory(&settings, &[port("/dev/null", Some("AA"))], None, leases.path()).expect("leases");
        assert_eq!(inventory.problems, ["boards one and two are both on /dev/null: no run takes either"]);
    }
}
