//! Examines an OTA URL: reads it as a device would, then does with it what a device does.
//!
//! Runs in real time on this machine's network, with blocking sockets and time-outs. What this module must never know:
//! boards, scenarios, runs.

mod answer;
mod check;
mod lint;
mod probe;

use std::io::{self, Write};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::secrets::Secrets;

pub use lint::lint;

/// What to examine, and how.
#[derive(Clone, Debug)]
pub struct Options {
    /// The URL as it would be given to a device.
    pub url: String,
    /// Ports tried on the same host when the URL's own does not answer as an OTA server.
    pub candidate_ports: Vec<u16>,
    /// Longest wait for a connection, and for an answer.
    pub timeout: Duration,
    /// Takes `localhost` and loopback addresses for good, though a device could not reach them.
    pub allow_loopback: bool,
}

impl Options {
    /// The usual options: ports 80, 8002 and 8003, and 5 s, which is what an impatient device allows.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            candidate_ports: vec![80, 8002, 8003],
            timeout: Duration::from_secs(5),
            allow_loopback: false,
        }
    }
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Report {
    /// The URL examined.
    pub url: String,
    /// How it ends.
    pub outcome: Outcome,
    /// What was found, in the order of the checks.
    pub findings: Vec<Finding>,
    /// The URL that does answer as an OTA server, where another than the given one was found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suggestion: Option<String>,
}

impl Report {
    /// Without what must not be shown: the URL may hold a password or a token.
    #[must_use]
    pub fn masked(mut self, secrets: &Secrets) -> Self {
        let findings = self.findings.iter_mut().flat_map(|f| std::iter::once(&mut f.message).chain(&mut f.remedy));
        findings.chain([&mut self.url]).chain(&mut self.suggestion).for_each(|text| secrets.mask_in(text));
        self
    }
}

/// How an examination ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// A device would get its answer.
    Fine,
    /// A device would fail.
    Problem,
    /// The text is no URL.
    NotAUrl,
}

impl Outcome {
    /// The exit status that says so.
    #[must_use]
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Fine => 0,
            Self::Problem => 1,
            Self::NotAUrl => 2,
        }
    }
}

/// One thing found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// Which check found it: url, resolve, connect, get, post, firmware, ports.
    pub check: String,
    /// What was found.
    pub message: String,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// A check that went well.
    Ok,
    /// Worth knowing.
    Note,
    /// May fail on some device or network.
    Warning,
    /// A device fails here.
    Problem,
}

impl Finding {
    fn new(severity: Severity, check: &str, message: impl Into<String>) -> Self {
        Self { severity, check: check.to_owned(), message: message.into(), remedy: None }
    }

    fn ok(check: &str, message: impl Into<String>) -> Self {
        Self::new(Severity::Ok, check, message)
    }

    fn note(check: &str, message: impl Into<String>) -> Self {
        Self::new(Severity::Note, check, message)
    }

    fn warning(check: &str, message: impl Into<String>) -> Self {
        Self::new(Severity::Warning, check, message)
    }

    fn problem(check: &str, message: impl Into<String>) -> Self {
        Self::new(Severity::Problem, check, message)
    }

    fn with_remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }
}

/// Examines a URL. Blocks for some time-outs at most.
#[must_use]
pub fn examine(options: &Options) -> Report {
    let (url, mut findings) = lint(&options.url, options.allow_loopback);
    let mut suggestion = None;
    let outcome = match url {
        None => Outcome::NotAUrl,
        Some(url) => {
            suggestion = check::check(&url, options, &mut findings);
            let problem = findings.iter().any(|finding| finding.severity == Severity::Problem);
            if problem { Outcome::Problem } else { Outcome::Fine }
        }
    };
    Report { url: options.url.clone(), outcome, findings, suggestion }
}

/// Entry point of `brickproof doctor`: examines the URL, writes the findings. The exit status is the outcome's
/// [`exit_code`](Outcome::exit_code).
///
/// # Errors
/// When the output cannot be written.
pub fn run(options: &Options, out: &mut dyn Write) -> io::Result<Report> {
    let report = examine(options);
    write(&report, out)?;
    Ok(report)
}

/// Writes a report for people.
///
/// # Errors
/// When the output cannot be written.
pub fn write(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    for finding in &report.findings {
        let mark = match finding.severity {
            Severity::Ok => "ok",
            Severity::Note => "note",
            Severity::Warning => "warning",
            Severity::Problem => "problem",
        };
        writeln!(out, "{mark:<8} {:<9} {}", finding.check, finding.message)?;
        if let Some(remedy) = &finding.remedy {
            writeln!(out, "{:<18} -> {remedy}", "")?;
        }
    }
    let verdict = match report.outcome {
        Outcome::Fine => "A device with this URL gets its answer.",
        Outcome::Problem => "A device with this URL fails.",
        Outcome::NotAUrl => "This is no URL that a device could use.",
    };
    writeln!(out, "\n{verdict}")?;
    if let Some(suggestion) = &report.suggestion {
        writeln!(out, "Set the OTA URL to {suggestion}")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
