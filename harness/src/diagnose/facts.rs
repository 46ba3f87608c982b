//! The facts of a timeline that causes rest on, gathered in bounded memory.

use std::collections::{BTreeMap, VecDeque};

use ota_server::event::ServerEvent;
use url::Url;

use crate::timeline::{Action, ConsoleLine, DeviceEvent, DeviceTime, Frame, RefusedBecause, Standing, standing};

use super::attempt::{Attempt, Failure};
use super::cause::Evidence;

/// Functions in which aborts and failed assertions end.
const ABORTS: [&str; 6] =
    ["panic_abort", "esp_system_abort", "abort", "__assert_func", "_esp_error_check_failed", "rust_begin_unwind"];
/// Recent lines kept, so that an event finds the text of its line.
const RECENT: usize = 64;

/// Kinds of failures (way and URL) told apart; further ones only count.
const MAX_FAILURES: usize = 32;

/// Characters of a line kept as evidence.
const MAX_TEXT: usize = 300;

/// Something that happened once or more often.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) first: Evidence,
    pub(super) last: Evidence,
    pub(super) count: u64,
}

impl Seen {
    pub(super) fn evidence(&self) -> Vec<Evidence> {
        let mut evidence = vec![self.first.clone()];
        if self.last.seq != self.first.seq {
            evidence.push(self.last.clone());
        }
        evidence
    }
}

/// Everything that the rules look at.
#[derive(Debug, Default)]
pub(super) struct Facts {
    /// The OTA server's URL as the device should have it, where known.
    pub(super) server: Option<Url>,
    /// Ports on which the run's server listened, and whether it still does.
    pub(super) listening: BTreeMap<u16, bool>,
    pub(super) failures: Vec<Failure>,
    /// Failures and crashes beyond the kinds told apart.
    pub(super) left_out: u64,
    /// The last sign that a check or an update succeeded.
    pub(super) success: Option<Evidence>,
    pub(super) exhausted: Option<Evidence>,
    pub(super) panics: BTreeMap<String, Seen>,
    /// The function of the first crash that was decoded, with its place.
    pub(super) crashed_in: Option<String>,
    pub(super) brownout: Option<Seen>,
    pub(super) resets: Option<Seen>,
    /// Resets in a row without a sign of normal operation between; the longest such row.
    pub(super) longest_loop: Option<Seen>,
    /// Where the processor was found last, and the event that tells.
    pub(super) stands: Option<(Standing, u64)>,
    pub(super) refused: Vec<(RefusedBecause, Seen)>,
    pub(super) nothing_bootable: Option<Seen>,
    pub(super) image_invalid: Option<Seen>,
    pub(super) rolled_back: Option<Vec<Evidence>>,
    pub(super) network_up: Option<Seen>,
    pub(super) wifi_lost: Option<Seen>,
    /// What mbedTLS said of a certificate.
    pub(super) certificate_refused: Option<Seen>,
    pub(super) requests: u64,
    pub(super) download_url: Option<String>,
    /// Device time spent so far, ms, and since the network came up.
    pub(super) device_ms: u64,
    pub(super) network_up_ms: Option<u64>,
    /// Faults that the run's server made, by name.
    pub(super) faults: BTreeMap<String, Seen>,
    pub(super) last_fault: Option<Evidence>,
    pub(super) requests_after_fault: u64,
    /// Bytes that an answer announced and that were sent, where these differ.
    pub(super) short_answer: Option<(u64, u64, Evidence)>,
    recent: VecDeque<Evidence>,
    attempt: Option<Attempt>,
    downloading: bool,
    current_loop: Option<Seen>,
    boot: Boot,
}

/// What is known of slots, for seeing a rollback.
#[derive(Debug, Default)]
struct Boot {
    loaded: Option<u32>,
    /// The slot an update left, once another one was loaded after it, and the line that called the update done.
    before_update: Option<(u32, Evidence)>,
    updated: Option<Evidence>,
}

impl Facts {
    pub(super) fn new(server: Option<Url>) -> Self {
        Self { server, ..Self::default() }
    }

    pub(super) fn line(&mut self, seq: u64, line: &ConsoleLine, at: Option<DeviceTime>) {
        // Most lines are nobody's evidence: the room of one that is forgotten serves the next.
        let oldest = if self.recent.len() == RECENT { self.recent.pop_front() } else { None };
        let mut text = oldest.map_or_else(String::new, |oldest| oldest.text);
        text.clear();
        shorten_into(&mut text, &line.text);
        self.recent.push_back(Evidence { seq, text });
        if let Some(at) = at {
            self.device_ms = at.unwrapped_ms;
        }
    }

    fn evidence(&self, seq: u64) -> Evidence {
        let found = self.recent.iter().rev().find(|line| line.seq == seq);
        found.cloned().unwrap_or_else(|| Evidence { seq, text: String::new() })
    }

    pub(super) fn device(&mut self, seq: u64, event: &DeviceEvent) {
        let line = self.evidence(seq);
        match event {
            DeviceEvent::Reset { .. } => self.reset(line),
            DeviceEvent::SlotLoaded { offset } => self.loaded(*offset, line),
            DeviceEvent::ImageRefused { because, .. } => {
                match self.refused.iter_mut().find(|(known, _)| known == because) {
                    Some((_, seen)) => again(seen, line),
                    None => self.refused.push((*because, first(line))),
                }
            }
            DeviceEvent::NothingBootable => count(&mut self.nothing_bootable, line),
            DeviceEvent::NetworkUp { .. } => {
                self.network_up_ms.get_or_insert(self.device_ms);
                count(&mut self.network_up, line);
                self.current_loop = None;
            }
            DeviceEvent::RequestStarted { url } => self.request(url, line),
            DeviceEvent::Error { name, code, errno, status, message } => {
                let attempt = self.attempt.get_or_insert_default();
                attempt.note(&line);
                attempt.error(name.as_deref(), *code, *errno, *status);
                attempt.words(message.as_deref());
            }
            DeviceEvent::AttemptFailed { message } => self.failed(&line, message.as_deref(), false),
            DeviceEvent::RetryScheduled { .. } => self.failed(&line, None, true),
            DeviceEvent::RetriesExhausted => {
                self.failed(&line, None, true);
                self.exhausted = Some(line);
            }
            DeviceEvent::UpgradeFailed { message } => {
                self.failed(&line, message.as_deref(), true);
                self.downloading = false;
            }
            DeviceEvent::UpToDate { .. } | DeviceEvent::UpdateAvailable { .. } | DeviceEvent::MarkedValid => {
                self.attempt = None;
                self.success = Some(line);
                if matches!(event, DeviceEvent::MarkedValid) {
                    self.boot.before_update = None;
                    self.boot.updated = None;
                }
            }
            DeviceEvent::DownloadStarted { url, .. } => {
                if let Some(url) = url {
                    self.download_url = Some(url.clone());
                }
                self.downloading = true;
                self.open(url.clone(), line);
            }
            DeviceEvent::ImageInvalid => {
                count(&mut self.image_invalid, line.clone());
                let attempt = self.attempt.get_or_insert_default();
                attempt.note(&line);
                attempt.error(Some("ESP_ERR_OTA_VALIDATE_FAILED"), None, None, None);
            }
            DeviceEvent::UpgradeSuccessful => {
                self.attempt = None;
                self.downloading = false;
                self.boot.updated = Some(line.clone());
                self.success = Some(line);
            }
            DeviceEvent::RolledBack => {
                self.rolled_back.get_or_insert_with(|| vec![line]);
            }
            DeviceEvent::Idle => self.current_loop = None,
            DeviceEvent::Panic { reason } => {
                if let Some(seen) = self.panics.get_mut(reason) {
                    again(seen, line);
                } else if self.panics.len() < MAX_FAILURES {
                    self.panics.insert(reason.clone(), first(line));
                } else {
                    self.left_out += 1;
                }
            }
            DeviceEvent::Brownout => count(&mut self.brownout, line),
            DeviceEvent::Custom { name, .. } if name == "wifi-lost" => count(&mut self.wifi_lost, line),
            DeviceEvent::Custom { name, .. } if name == "certificate-refused" => {
                count(&mut self.certificate_refused, line);
            }
            DeviceEvent::AppStarted { .. }
            | DeviceEvent::Progress { .. }
            | DeviceEvent::Restarting
            | DeviceEvent::Backtrace { .. }
            | DeviceEvent::Resources { .. }
            | DeviceEvent::Custom { .. } => {}
        }
    }

    pub(super) fn server(&mut self, seq: u64, event: &ServerEvent) {
        match event {
            ServerEvent::Listening { port, .. } => {
                self.listening.insert(*port, true);
            }
            ServerEvent::NotListening { port } => {
                self.listening.insert(*port, false);
            }
            ServerEvent::Accepted { .. } => {
                if let Some(attempt) = &mut self.attempt {
                    attempt.accepted = true;
                }
                self.requests_after_fault += u64::from(self.last_fault.is_some());
            }
            ServerEvent::FaultFired { fault, detail, .. } => {
                let evidence = Evidence { seq, text: shortened(&format!("server: fault {fault}: {detail}")) };
                match self.faults.get_mut(fault) {
                    Some(seen) => again(seen, evidence.clone()),
                    None => {
                        self.faults.insert(fault.clone(), first(evidence.clone()));
                    }
                }
                self.last_fault = Some(evidence);
                self.requests_after_fault = 0;
            }
            ServerEvent::Response { announced: Some(announced), sent, status, .. } if sent < announced => {
                let text = format!("server: answered {status} with {sent} of {announced} bytes");
                self.short_answer = Some((*announced, *sent, Evidence { seq, text }));
            }
            ServerEvent::Request { .. }
            | ServerEvent::Response { .. }
            | ServerEvent::ConnectionClosed { .. }
            | ServerEvent::Swallowing { .. }
            | ServerEvent::TlsHandshake { .. }
            | ServerEvent::DnsListening { .. }
            | ServerEvent::DnsQuestion { .. }
            | ServerEvent::UpstreamFailed { .. }
            | ServerEvent::PlanChanged { .. } => {}
        }
    }

    /// A decoded crash.
    pub(super) fn crash(&mut self, frames: &[Frame]) {
        // What aborts and asserts stands in the library's own functions; where it was called from tells more.
        let own = frames.iter().find(|f| f.function.as_deref().is_some_and(|name| !ABORTS.contains(&name)));
        if self.crashed_in.is_none() {
            self.crashed_in = own.or(frames.first()).map(ToString::to_string);
        }
    }

    pub(super) fn action(&mut self, seq: u64, action: &Action) {
        if let Action::Inspected { looks } = action {
            self.stands = standing(looks).map(|standing| (standing, seq));
        }
        // What the operator does to the board's power or reset line is no boot loop.
        if matches!(action, Action::Reset | Action::PowerOn | Action::PowerOff | Action::Flashed { .. }) {
            self.current_loop = None;
        }
    }

    /// No more events: an attempt under way that has failed counts.
    pub(super) fn close(&mut self) {
        self.file();
    }

    fn request(&mut self, url: &str, line: Evidence) {
        self.requests += 1;
        self.current_loop = None;
        self.open(Some(url.to_owned()), line);
    }

    fn open(&mut self, url: Option<String>, line: Evidence) {
        self.file();
        let mut attempt = Attempt::new(url.map(|url| shortened(&url)), self.downloading);
        attempt.note(&line);
        self.attempt = Some(attempt);
    }

    fn failed(&mut self, line: &Evidence, words: Option<&str>, ends: bool) {
        if self.attempt.is_none() {
            // The announcement that follows a failure filed already adds to it.
            if ends && let Some(failure) = self.failures.last_mut() {
                failure.last = Some(line.clone());
            } else if !ends {
                self.attempt = Some(Attempt::new(None, self.downloading));
            }
        }
        if let Some(attempt) = &mut self.attempt {
            attempt.note(line);
            attempt.words(words);
            attempt.failed = true;
            if ends {
                self.file();
            }
        }
    }

    /// Files the attempt under way with the failures, if it is one.
    fn file(&mut self) {
        let Some(attempt) = self.attempt.take().filter(Attempt::has_failed) else { return };
        let class = attempt.class();
        let last = attempt.evidence.last().cloned();
        if let Some(known) = self.failures.iter_mut().find(|known| known.class == class && known.url == attempt.url) {
            known.count += 1;
            known.last = last;
        } else if self.failures.len() < MAX_FAILURES {
            self.failures.push(Failure {
                class,
                url: attempt.url,
                download: attempt.download,
                count: 1,
                evidence: attempt.evidence,
                last,
            });
        } else {
            self.left_out += 1;
        }
    }

    fn reset(&mut self, line: Evidence) {
        self.file();
        self.downloading = false;
        count(&mut self.resets, line.clone());
        count(&mut self.current_loop, line);
        let current = self.current_loop.as_ref().map_or(0, |seen| seen.count);
        if current > self.longest_loop.as_ref().map_or(0, |seen| seen.count) {
            self.longest_loop.clone_from(&self.current_loop);
        }
    }

    fn loaded(&mut self, offset: u32, line: Evidence) {
        if let Some(updated) = self.boot.updated.take() {
            match self.boot.loaded {
                // The bootloader stayed with the old slot though another one had been selected.
                Some(old) if old == offset => {
                    self.rolled_back.get_or_insert_with(|| vec![updated, line.clone()]);
                }
                old => self.boot.before_update = old.map(|old| (old, updated)),
            }
        } else if self.boot.loaded != Some(offset)
            && let Some((_, updated)) = self.boot.before_update.take_if(|(old, _)| *old == offset)
        {
            self.rolled_back.get_or_insert_with(|| vec![updated, line.clone()]);
        }
        self.boot.loaded = Some(offset);
    }
}

fn first(line: Evidence) -> Seen {
    Seen { first: line.clone(), last: line, count: 1 }
}

fn again(seen: &mut Seen, line: Evidence) {
    seen.count += 1;
    seen.last = line;
}

fn count(seen: &mut Option<Seen>, line: Evidence) {
    match seen {
        Some(seen) => again(seen, line),
        None => *seen = Some(first(line)),
    }
}

fn shortened(text: &str) -> String {
    let mut short = String::new();
    shorten_into(&mut short, text);
    short
}

fn shorten_into(short: &mut String, text: &str) {
    // A text of so few bytes has no more characters.
    let end = if text.len() > MAX_TEXT { text.char_indices().nth(MAX_TEXT) } else { None };
    match end {
        Some((end, _)) => {
            short.push_str(&text[..end]);
            short.push_str("...");
        }
        None => short.push_str(text),
    }
}
