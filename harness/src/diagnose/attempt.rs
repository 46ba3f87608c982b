//! One attempt at a request, and how it failed.

use crate::esp_err::code_of;

use super::cause::Evidence;

/// Lines kept as the evidence of one attempt.
const MAX_EVIDENCE: usize = 10;

/// How an attempt failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Class {
    Refused,
    ConnectTimedOut,
    Unreachable,
    ConnectFailed,
    Dns,
    Tls,
    Reset,
    NoAnswer,
    Stalled,
    Truncated,
    Redirects,
    BadScheme,
    UrlNotSet,
    Status(u16),
    NotTheProtocol,
    NoContentLength,
    Resources,
    InvalidImage,
    Unknown,
}

/// An attempt under way.
#[derive(Clone, Debug, Default)]
pub(super) struct Attempt {
    /// As printed.
    pub(super) url: Option<String>,
    /// It downloads an image.
    pub(super) download: bool,
    /// The server took a connection meanwhile.
    pub(super) accepted: bool,
    /// The firmware called it failed.
    pub(super) failed: bool,
    pub(super) evidence: Vec<Evidence>,
    codes: Vec<i64>,
    errnos: Vec<i32>,
    status: Option<u16>,
    words: Vec<String>,
}

impl Attempt {
    pub(super) fn new(url: Option<String>, download: bool) -> Self {
        Self { url, download, ..Self::default() }
    }

    /// Keeps a line as evidence, once.
    pub(super) fn note(&mut self, evidence: &Evidence) {
        if self.evidence.len() < MAX_EVIDENCE && self.evidence.last().is_none_or(|last| last.seq != evidence.seq) {
            self.evidence.push(evidence.clone());
        }
    }

    pub(super) fn error(&mut self, name: Option<&str>, code: Option<i64>, errno: Option<i32>, status: Option<u16>) {
        // A device may print errors for ever without ending the attempt.
        if self.codes.len() < 32 {
            self.codes.extend(code.or_else(|| name.and_then(code_of)));
        }
        if self.errnos.len() < 32 {
            self.errnos.extend(errno);
        }
        self.status = self.status.or(status);
    }

    pub(super) fn words(&mut self, words: Option<&str>) {
        if let Some(words) = words
            && self.words.len() < 16
        {
            self.words.push(words.to_ascii_lowercase());
        }
    }

    /// An error was named in it, or the firmware called it failed.
    pub(super) fn has_failed(&self) -> bool {
        self.failed || !self.codes.is_empty() || !self.errnos.is_empty() || self.status.is_some_and(|s| s >= 400)
    }

    /// How it failed. The order is from the most to the least telling sign.
    pub(super) fn class(&self) -> Class {
        let code = |codes: &[i64]| self.codes.iter().any(|code| codes.contains(code));
        let errno = |errnos: &[i32]| self.errnos.iter().any(|errno| errnos.contains(errno));
        let says = |part: &str| self.words.iter().any(|words| words.contains(part));
        let connecting = code(&[0x7002, 0x8004, 0x8006]) || says("connect error");
        if says("url is not properly set") {
            Class::UrlNotSet
        } else if self.codes.iter().any(|code| (0x8010..=0x801d).contains(code) || (-0x8000..-0x0f).contains(code)) {
            Class::Tls
        } else if code(&[0x8001]) {
            Class::Dns
        } else if code(&[0x101, 0x8002]) || errno(&[12, 23, 24, 105]) {
            Class::Resources
        } else if errno(&[114, 115, 117, 118]) {
            Class::Unreachable
        } else if connecting && (code(&[0x8006]) || errno(&[116, 119])) {
            Class::ConnectTimedOut
        } else if connecting && errno(&[104, 111]) {
            if self.accepted { Class::Reset } else { Class::Refused }
        } else if let Some(status) = self.status.filter(|status| *status >= 300) {
            Class::Status(status)
        } else if code(&[0x7001]) {
            Class::Redirects
        } else if code(&[0x7005]) {
            Class::BadScheme
        } else if says("json") || says("html") || says("parser error") {
            Class::NotTheProtocol
        } else if says("content length") || says("content-length") {
            Class::NoContentLength
        } else if code(&[0x1501, 0x1502, 0x1503, 0x1504]) {
            Class::InvalidImage
        } else if errno(&[104, 113, 32]) || code(&[0x7003]) {
            Class::Reset
        } else if code(&[0x700c]) || (self.download && code(&[0x7008, 0x8008])) {
            Class::Truncated
        } else if code(&[0x7007, 0x700b]) || errno(&[11, 116]) || says("timeout") || says("timed out") {
            if self.download { Class::Stalled } else { Class::NoAnswer }
        } else if code(&[0x7004, 0x7008, 0x8008]) {
            Class::NoAnswer
        } else if connecting || code(&[0x7006]) {
            Class::ConnectFailed
        } else {
            Class::Unknown
        }
    }
}

/// All attempts that failed the same way at the same URL.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    pub(super) class: Class,
    /// As printed.
    pub(super) url: Option<String>,
    pub(super) download: bool,
    /// How many.
    pub(super) count: u64,
    /// The lines of the first one.
    pub(super) evidence: Vec<Evidence>,
    /// The last line of the last one.
    pub(super) last: Option<Evidence>,
}

impl Failure {
    /// The evidence for a cause: the first attempt, and where there were more, the end of the last one.
    pub(super) fn evidence(&self) -> Vec<Evidence> {
        let mut evidence = self.evidence.clone();
        if let Some(last) = &self.last
            && evidence.last().is_none_or(|known| known.seq < last.seq)
        {
            evidence.push(last.clone());
        }
        evidence
    }
}
