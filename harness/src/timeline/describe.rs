//! Events in words, for terminals and reports. Untrusted text (the console) is passed on as it is: whoever shows it
//! escapes it for its medium.

use std::fmt::Write as _;

use ota_server::event::{Closed, ServerEvent};

use super::{Action, Event, EventKind, Frame, RigEvent, WaitOutcome, standing};

/// Whose event it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Side {
    /// The device's console.
    Device,
    /// The OTA server.
    Server,
    /// The harness.
    Harness,
    /// The rig.
    Rig,
}

impl Side {
    /// The word for tables: at most seven letters.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Device => "device",
            Self::Server => "server",
            Self::Harness => "harness",
            Self::Rig => "rig",
        }
    }
}

/// An event's side and words. `None` for typed device events: their console line tells the same.
#[must_use]
pub fn describe(event: &Event) -> Option<(Side, String)> {
    match &event.kind {
        EventKind::Console(line) => Some((Side::Device, line.text.clone())),
        EventKind::Device { .. } => None,
        EventKind::Server(event) => Some((Side::Server, server(event))),
        EventKind::Action(action) => Some((Side::Harness, harness(action))),
        EventKind::Wait { step, outcome } => Some((
            Side::Harness,
            match outcome {
                WaitOutcome::Met => format!("step {}: what it waited for happened", step + 1),
                WaitOutcome::TimedOut => format!("step {}: the wait timed out", step + 1),
            },
        )),
        EventKind::Rig(event) => Some((Side::Rig, rig(event))),
    }
}

fn server(event: &ServerEvent) -> String {
    match event {
        ServerEvent::Listening { port, address } if *port == address.port() => format!("listens on {address}"),
        ServerEvent::Listening { port, address } => format!("listens on port {port} ({address})"),
        ServerEvent::NotListening { port } => format!("port {port} is closed: connections get RST"),
        ServerEvent::Swallowing { port } => format!("port {port} swallows connections: no SYN is answered"),
        ServerEvent::Accepted { connection, port, .. } => format!("connection {connection} on port {port}"),
        ServerEvent::TlsHandshake { connection, done: true, detail } => {
            format!("connection {connection}: secured, {detail}")
        }
        ServerEvent::TlsHandshake { connection, done: false, detail } => {
            format!("connection {connection}: the TLS handshake failed: {detail}")
        }
        ServerEvent::DnsListening { address } => format!("answers DNS questions on {address}"),
        ServerEvent::DnsQuestion { name, answer } => format!("asked for {name}, answered {answer}"),
        ServerEvent::Request { connection, method, path, body_bytes, .. } => {
            let body = if *body_bytes > 0 { format!(", {body_bytes} bytes of body") } else { String::new() };
            format!("connection {connection}: {method} {path}{body}")
        }
        ServerEvent::Response { connection, status, announced, sent, .. } => match announced {
            Some(all) if all != sent => format!("connection {connection}: {status}, {sent} of {all} bytes sent"),
            _ => format!("connection {connection}: {status}, {sent} bytes sent"),
        },
        ServerEvent::FaultFired { connection, fault, detail, .. } => match connection {
            Some(connection) => format!("connection {connection}: fault {fault}: {detail}"),
            None => format!("fault {fault}: {detail}"),
        },
        ServerEvent::UpstreamFailed { connection, upstream, reason, .. } => {
            format!("connection {connection}: the server behind ({upstream}) failed, which is no fault: {reason}")
        }
        ServerEvent::ConnectionClosed { connection, how, bytes_in, bytes_out } => {
            let how = match how {
                Closed::Fin => "closed by the server",
                Closed::Reset => "reset by the server",
                Closed::ByPeer => "closed by the device",
                Closed::ResetByPeer => "reset by the device",
                Closed::ServerStopped => "open until the server stopped",
            };
            format!("connection {connection}: {how} ({bytes_in} bytes in, {bytes_out} out)")
        }
        ServerEvent::PlanChanged { faults } if faults.is_empty() => "behaves from here on".to_owned(),
        ServerEvent::PlanChanged { faults } => format!("faults now: {}", faults.join(", ")),
    }
}

fn harness(action: &Action) -> String {
    match action {
        Action::RunStarted { scenario, board, chip, warped } => {
            let time = if *warped { "warped time" } else { "real time" };
            format!("scenario {scenario} on board {board} ({chip}, {time})")
        }
        Action::RunEnded => "observation ended".to_owned(),
        Action::StepStarted { step, name } => format!("step {}: {name}", step + 1),
        Action::Flashed { what, written, unchanged, how } => {
            format!("flashed {what} by {how}: {written} bytes sent, {unchanged} unchanged")
        }
        Action::Provisioned { keys } => {
            let mut text = "provisioned".to_owned();
            for (key, value) in keys {
                let _ = write!(text, " {key} = {value}");
            }
            text
        }
        Action::Reset => "reset the board".to_owned(),
        Action::PowerCutPlanned { operation, when } => {
            format!("planned a power cut {when} flash operation {operation}")
        }
        Action::PowerOff => "cut the power".to_owned(),
        Action::WifiOff => "took the access point away".to_owned(),
        Action::WifiOn => "brought the access point back".to_owned(),
        Action::PowerOn => "gave power".to_owned(),
        Action::FaultsSet { faults } if faults.is_empty() => "told the server to behave".to_owned(),
        Action::FaultsSet { faults } => format!("set faults: {}", faults.join(", ")),
        Action::Offered { version: Some(version) } => format!("offers version {version}"),
        Action::Offered { version: None } => "offers no update".to_owned(),
        Action::FormSent { url, fields } => format!("sent {fields} to the device's page at {url}"),
        Action::Inspected { looks } => match standing(looks) {
            Some(standing) => format!("halted the processor for a moment to see where it stands: {standing}"),
            None => "halted the processor for a moment to see where it stands: no core runs".to_owned(),
        },
        Action::ConsoleInput { text } => format!("typed {text:?} on the console"),
    }
}

fn rig(event: &RigEvent) -> String {
    match event {
        RigEvent::Error { message } => format!("the rig failed: {message}"),
        RigEvent::Runaway { device: true, message } => format!("the device ran away: {message}"),
        RigEvent::Runaway { device: false, message } => format!("the run ran away: {message}"),
        RigEvent::ClockDrift { per_mille } => {
            format!("device clock and host clock drift apart by {}.{} %", per_mille / 10, (per_mille % 10).abs())
        }
        RigEvent::Crash { frames, stack, why_not, .. } => crash(frames, stack, why_not.as_deref()),
        RigEvent::Note { message } => message.clone(),
    }
}

/// Frames told of a crash.
const TOLD: usize = 8;

fn crash(frames: &[Frame], stack: &[Frame], why_not: Option<&str>) -> String {
    if let Some(why) = why_not {
        return format!("the crash is not decoded: {why}");
    }
    let chain = |frames: &[Frame], between: &str| {
        let told: Vec<String> = frames.iter().take(TOLD).map(ToString::to_string).collect();
        let more = frames.len().saturating_sub(TOLD);
        told.join(between) + &if more > 0 { format!(" and {more} more") } else { String::new() }
    };
    let mut text = match frames {
        [] => "the device crashed".to_owned(),
        frames => format!("the device crashed in {}", chain(frames, ", called by ")),
    };
    if !stack.is_empty() {
        let _ = write!(text, "; on its stack: {}", chain(stack, ", "));
    }
    text
}

/// A run's time in words: `6.953 s`, `9 min 0 s`, `1 h 25 min`.
#[must_use]
pub fn time_words(ms: u64) -> String {
    match ms {
        0..60_000 => format!("{}.{:03} s", ms / 1000, ms % 1000),
        60_000..3_600_000 => format!("{} min {} s", ms / 60_000, ms % 60_000 / 1000),
        _ => format!("{} h {} min", ms / 3_600_000, ms % 3_600_000 / 60_000),
    }
}
