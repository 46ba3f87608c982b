//! What happened, counted and kept in bounded memory.

use serde::{Deserialize, Serialize};

use crate::symbols::{Elf, STACK, add_stack, program_counters};
use crate::timeline::{ConsoleLine, DeviceEvent, DeviceTime, Frame};

use super::law::{Law, fit};

/// Entries kept of each list; what is beyond is only counted.
const KEEP: usize = 100;

/// Ladders of retries kept, and retries kept of each.
const KEEP_RETRIES: usize = 64;

/// What happened on a console. Line numbers count from 1.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Summary {
    /// Bytes read.
    pub bytes: u64,
    /// Lines read.
    pub lines: u64,
    /// Lines cut by a reset, another task's line, their length or the end.
    pub cut_lines: u64,
    /// Lines with bytes that are no text.
    pub binary_lines: u64,
    /// Lines in which the dialect found an event.
    pub understood_lines: u64,
    /// Device time from the first stamp to the last, ms.
    pub device_ms: u64,
    /// Resets and what each boot ran, the first ones.
    pub boots: Vec<Boot>,
    /// Resets in all.
    pub resets: u64,
    /// Versions that the firmware named, in order of appearance.
    pub versions: Vec<String>,
    /// Addresses that the device got.
    pub addresses: Vec<String>,
    /// URLs asked, with counts.
    pub requests: Vec<Request>,
    /// Errors told apart by name, number, errno and status, with counts.
    pub errors: Vec<ErrorSeen>,
    /// Rows of retries.
    pub ladders: Vec<Ladder>,
    /// Retries announced in all.
    pub retries: u64,
    /// Line where the device gave up, if it did.
    pub exhausted_line: Option<u64>,
    /// Crashes, the first ones.
    pub crashes: Vec<Crash>,
    /// Crashes in all.
    pub crash_count: u64,
    /// Other turning points: line number and what it was, the first ones.
    pub milestones: Vec<(u64, String)>,
    /// What the lists had no room for.
    #[serde(default, skip_serializing_if = "LeftOut::is_nothing")]
    pub left_out: LeftOut,
}

/// What lists of bounded length had no room for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct LeftOut {
    /// Lines that name versions beyond those kept.
    pub versions: u64,
    /// Lines that name addresses beyond those kept.
    pub addresses: u64,
    /// Requests for URLs beyond those kept.
    pub requests: u64,
    /// Errors of further kinds than those kept.
    pub errors: u64,
    /// Rows of retries beyond those kept.
    pub ladders: u64,
    /// Turning points beyond those kept.
    pub milestones: u64,
}

impl LeftOut {
    fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

/// One boot.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Boot {
    /// Line of the reset banner.
    pub line: u64,
    /// The ROM's word for the reset reason.
    pub reason: String,
    /// True in download mode.
    pub download: bool,
    /// Flash offset that the bootloader loaded from.
    pub slot_offset: Option<u32>,
    /// Version that started.
    pub version: Option<String>,
}

/// A URL that was asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Request {
    /// As printed.
    pub url: String,
    /// How often.
    pub count: u64,
    /// Line of the first time.
    pub first_line: u64,
}

/// An error that was named.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct ErrorSeen {
    /// ESP_ERR_* name.
    pub name: Option<String>,
    /// Its number.
    pub code: Option<i64>,
    /// lwIP errno.
    pub errno: Option<i32>,
    /// HTTP status.
    pub status: Option<u16>,
    /// The firmware's words, the first time.
    pub message: Option<String>,
    /// How often.
    pub count: u64,
    /// Line of the first time.
    pub first_line: u64,
}

/// A row of retries: from the first to success, giving up, or the next row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Ladder {
    /// The retries, the first ones.
    pub retries: Vec<Retry>,
    /// How many there were.
    pub count: u64,
    /// The law of the announced delays.
    pub announced: Law,
    /// The law of the delays that were kept, in device time.
    pub measured: Law,
}

/// One retry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Retry {
    /// Line that announced it.
    pub line: u64,
    /// Number of the failure, from 1.
    pub attempt: u32,
    /// The cap, where announced.
    pub max: Option<u32>,
    /// Announced delay in ms.
    pub announced_ms: Option<u64>,
    /// Device time from the announcement to the next request, ms; none where no request followed in the same boot.
    pub measured_ms: Option<u64>,
}

/// A crash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Crash {
    /// Its line.
    pub line: u64,
    /// Why.
    pub reason: String,
    /// Program counters, where printed.
    pub backtrace: Option<String>,
    /// The first digits of the firmware's ELF file's SHA-256, where printed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub elf_sha256: Option<String>,
    /// The functions at these, where the firmware's ELF file is given.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub frames: Vec<Frame>,
    /// The functions that return addresses on its stack lead to, where the chip prints its stack.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub on_stack: Vec<Frame>,
    /// Words of its stack.
    #[serde(skip)]
    pub(super) stack: Vec<u32>,
    /// Why they are not decoded although an ELF file is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_decoded: Option<String>,
}

impl Crash {
    fn new(line: u64, reason: String) -> Self {
        Self {
            line,
            reason,
            backtrace: None,
            elf_sha256: None,
            frames: Vec::new(),
            on_stack: Vec::new(),
            stack: Vec::new(),
            not_decoded: None,
        }
    }

    /// Finds the functions at its program counters.
    pub(super) fn decode(&mut self, elf: &Elf) {
        if let Some(digits) = &self.elf_sha256
            && let Err(other) = elf.is_of_build(digits)
        {
            self.not_decoded = Some(other.to_string());
            return;
        }
        let counters = self.backtrace.as_deref().map(program_counters).unwrap_or_default();
        self.frames = counters.into_iter().flat_map(|address| elf.frames(address)).collect();
        self.on_stack = elf.on_stack(&self.stack);
    }
}

/// Gathers a [`Summary`].
#[derive(Debug, Default)]
pub(super) struct Summariser {
    summary: Summary,
    first_stamp: Option<u64>,
    understood: u64,
    /// The retry announced last, if it waits for its request.
    pending: Option<DeviceTime>,
    ladder_open: bool,
    /// The number of the retry announced last.
    last_attempt: u32,
}

impl Summariser {
    pub(super) fn bytes(&mut self, n: usize) {
        self.summary.bytes += n as u64;
    }

    pub(super) fn line(&mut self, number: u64, line: &ConsoleLine, at: Option<DeviceTime>) {
        self.summary.lines = number;
        self.summary.cut_lines += u64::from(line.cut);
        self.summary.binary_lines += u64::from(line.raw.is_some());
        if let Some(at) = at {
            let first = *self.first_stamp.get_or_insert(at.unwrapped_ms);
            self.summary.device_ms = at.unwrapped_ms - first;
        }
    }

    pub(super) fn event(&mut self, line: u64, event: &DeviceEvent, at: Option<DeviceTime>) {
        if self.understood != line {
            self.understood = line;
            self.summary.understood_lines += 1;
        }
        let summary = &mut self.summary;
        match event {
            DeviceEvent::Reset { reason, download, .. } => {
                summary.resets += 1;
                self.pending = None;
                self.ladder_open = false;
                let boot = Boot { line, reason: reason.clone(), download: *download, ..Boot::default() };
                keep(&mut summary.boots, boot);
            }
            DeviceEvent::SlotLoaded { offset } => {
                if let Some(boot) = current(summary) {
                    boot.slot_offset = Some(*offset);
                }
            }
            DeviceEvent::AppStarted { version } => {
                if let Some(boot) = current(summary) {
                    boot.version = Some(version.clone());
                }
                keep_new(&mut summary.versions, version, &mut summary.left_out.versions);
            }
            DeviceEvent::Custom { name, text: Some(version) } if name == "current-version" => {
                keep_new(&mut summary.versions, version, &mut summary.left_out.versions);
            }
            DeviceEvent::NetworkUp { ip } => keep_new(&mut summary.addresses, ip, &mut summary.left_out.addresses),
            DeviceEvent::RequestStarted { url } => self.request(line, url, at),
            DeviceEvent::Error { .. } => self.error(line, event),
            DeviceEvent::RetryScheduled { attempt, max, delay_ms } => {
                let retry = Retry { line, attempt: *attempt, max: *max, announced_ms: *delay_ms, measured_ms: None };
                self.retry(retry, at);
            }
            DeviceEvent::RetriesExhausted => {
                summary.exhausted_line = Some(line);
                self.ladder_open = false;
                self.milestone(line, "gave up trying");
            }
            DeviceEvent::Panic { reason } => {
                summary.crash_count += 1;
                keep(&mut summary.crashes, Crash::new(line, reason.clone()));
            }
            DeviceEvent::Backtrace { addresses } => {
                if let Some(crash) = current_crash(summary) {
                    let known = crash.backtrace.get_or_insert_default();
                    if known.len() < 400 {
                        known.push_str(if known.is_empty() { "" } else { " " });
                        known.push_str(addresses);
                    }
                }
            }
            DeviceEvent::Custom { name, text: Some(digits) } if name == "elf-sha256" => {
                if let Some(crash) = current_crash(summary) {
                    crash.elf_sha256.get_or_insert_with(|| digits.clone());
                }
            }
            DeviceEvent::Custom { name, text: Some(row) } if name == STACK => {
                if let Some(crash) = current_crash(summary) {
                    add_stack(&mut crash.stack, row);
                }
            }
            DeviceEvent::UpToDate { .. } => self.success(line, "checked: nothing newer"),
            DeviceEvent::UpdateAvailable { version } => {
                let what = version.as_ref().map_or("an update is offered".to_owned(), |v| format!("{v} is offered"));
                self.success(line, &what);
            }
            DeviceEvent::DownloadStarted { url, .. } => {
                let from = url.as_ref().map_or(String::new(), |url| format!(" from {url}"));
                self.milestone(line, &format!("download began{from}"));
            }
            DeviceEvent::UpgradeFailed { .. } => self.milestone(line, "upgrade failed"),
            DeviceEvent::ImageInvalid => self.milestone(line, "the new image did not verify"),
            DeviceEvent::UpgradeSuccessful => self.milestone(line, "upgrade written and selected"),
            DeviceEvent::MarkedValid => self.success(line, "the running image was confirmed"),
            DeviceEvent::RolledBack => self.milestone(line, "went back to the old image"),
            DeviceEvent::NothingBootable => self.milestone(line, "nothing to boot"),
            DeviceEvent::ImageRefused { because, .. } => {
                let because = serde_json::to_value(because).ok();
                let word = because.as_ref().and_then(|value| value.as_str()).unwrap_or("other");
                self.milestone(line, &format!("image refused ({word})"));
            }
            DeviceEvent::Brownout => self.milestone(line, "brownout"),
            DeviceEvent::AttemptFailed { .. }
            | DeviceEvent::Progress { .. }
            | DeviceEvent::Restarting
            | DeviceEvent::Idle
            | DeviceEvent::Resources { .. }
            | DeviceEvent::Custom { .. } => {}
        }
    }

    pub(super) fn finish(mut self) -> Summary {
        for ladder in &mut self.summary.ladders {
            let of = |pick: fn(&Retry) -> Option<u64>| ladder.retries.iter().filter_map(pick).collect::<Vec<u64>>();
            ladder.announced = fit(&of(|retry| retry.announced_ms));
            ladder.measured = fit(&of(|retry| retry.measured_ms));
        }
        self.summary
    }

    fn request(&mut self, line: u64, url: &str, at: Option<DeviceTime>) {
        if let Some(announced) = self.pending.take()
            && let Some(at) = at.filter(|at| at.boot == announced.boot)
            && let Some(ladder) = self.summary.ladders.last_mut()
            && ladder.count == ladder.retries.len() as u64
            && let Some(retry) = ladder.retries.last_mut()
        {
            retry.measured_ms = Some(at.unwrapped_ms.saturating_sub(announced.unwrapped_ms));
        }
        match self.summary.requests.iter_mut().find(|known| known.url == url) {
            Some(known) => known.count += 1,
            None => {
                let request = Request { url: url.to_owned(), count: 1, first_line: line };
                self.summary.left_out.requests += u64::from(!keep(&mut self.summary.requests, request));
            }
        }
    }

    fn retry(&mut self, retry: Retry, at: Option<DeviceTime>) {
        self.summary.retries += 1;
        self.pending = at;
        // A number that does not grow begins a row of its own, as after a restart whose banner was lost.
        let continues = self.ladder_open && retry.attempt > self.last_attempt;
        self.ladder_open = true;
        self.last_attempt = retry.attempt;
        let is_kept = self.summary.left_out.ladders == 0;
        if let Some(ladder) = self.summary.ladders.last_mut().filter(|_| continues && is_kept) {
            ladder.count += 1;
            if ladder.retries.len() < KEEP_RETRIES {
                ladder.retries.push(retry);
            }
        } else if self.summary.ladders.len() < KEEP_RETRIES {
            let ladder = Ladder { retries: vec![retry], count: 1, announced: Law::Unknown, measured: Law::Unknown };
            self.summary.ladders.push(ladder);
        } else {
            // The delay that is kept next belongs to no row that is kept.
            self.pending = None;
            self.summary.left_out.ladders += u64::from(!continues);
        }
    }

    fn error(&mut self, line: u64, event: &DeviceEvent) {
        let DeviceEvent::Error { name, code, errno, status, message } = event else { return };
        let same = |known: &ErrorSeen| {
            (&known.name, known.code, known.errno, known.status) == (name, *code, *errno, *status)
                && (name.is_some()
                    || code.is_some()
                    || errno.is_some()
                    || status.is_some()
                    || known.message == *message)
        };
        match self.summary.errors.iter_mut().find(|known| same(known)) {
            Some(known) => known.count += 1,
            None => {
                let error = ErrorSeen {
                    name: name.clone(),
                    code: *code,
                    errno: *errno,
                    status: *status,
                    message: message.clone(),
                    count: 1,
                    first_line: line,
                };
                self.summary.left_out.errors += u64::from(!keep(&mut self.summary.errors, error));
            }
        }
    }

    fn success(&mut self, line: u64, what: &str) {
        self.ladder_open = false;
        self.milestone(line, what);
    }

    fn milestone(&mut self, line: u64, what: &str) {
        self.summary.left_out.milestones += u64::from(!keep(&mut self.summary.milestones, (line, what.to_owned())));
    }
}

/// The boot under way, unless its entry was left out for want of room.
fn current(summary: &mut Summary) -> Option<&mut Boot> {
    if summary.resets == summary.boots.len() as u64 { summary.boots.last_mut() } else { None }
}

/// The crash under way, unless its entry was left out for want of room: what is told of it belongs to no other.
fn current_crash(summary: &mut Summary) -> Option<&mut Crash> {
    if summary.crash_count == summary.crashes.len() as u64 { summary.crashes.last_mut() } else { None }
}

/// Whether there was room.
fn keep<T>(list: &mut Vec<T>, entry: T) -> bool {
    let has_room = list.len() < KEEP;
    if has_room {
        list.push(entry);
    }
    has_room
}

fn keep_new(list: &mut Vec<String>, entry: &str, left_out: &mut u64) {
    if !list.iter().any(|known| known == entry) {
        *left_out += u64::from(!keep(list, entry.to_owned()));
    }
}
