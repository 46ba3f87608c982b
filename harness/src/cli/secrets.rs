//! What this process must not show: as settings and environment say, and as it is learned.

use std::borrow::Cow;
use std::env::VarError;
use std::io::{self, Write};
use std::sync::OnceLock;

use miette::{Result, miette};

use crate::secrets::Secrets;
use crate::settings::Sources;

static PROCESS: OnceLock<Secrets> = OnceLock::new();

/// Reads them. What goes to stderr is masked from here on.
///
/// # Errors
///
/// Settings that cannot be read, or a value that cannot be masked.
pub(super) fn read(sources: &Sources) -> Result<Secrets> {
    let settings = super::settings(sources)?;
    let unreadable = std::cell::RefCell::new(None);
    let variable = |name: &str| match std::env::var(name) {
        Ok(value) => Some(value),
        Err(VarError::NotPresent) => None,
        Err(VarError::NotUnicode(_)) => {
            unreadable.replace(Some(name.to_owned()));
            None
        }
    };
    let secrets = settings.merged.secrets(variable).map_err(|why| miette!("{why}"))?;
    if let Some(name) = unreadable.into_inner() {
        return Err(miette!(
            "the environment variable {name} is to be kept secret and is no UTF-8: it could not be masked"
        ));
    }
    // Told once; a second time can only come from a test in the same process.
    Ok(PROCESS.get_or_init(|| secrets).clone())
}

/// What is known by now.
pub(super) fn process() -> Secrets {
    PROCESS.get().cloned().unwrap_or_default()
}

/// A diagnostic as it is shown. One whose words hold a secret is shown plain: its picture breaks lines anywhere.
#[must_use]
pub fn told(report: &miette::Report) -> String {
    let secrets = process();
    let chain: Vec<String> = report.chain().map(ToString::to_string).collect();
    let help = report.help().map(|help| help.to_string());
    let is_secret = |text: &String| matches!(secrets.mask(text), Cow::Owned(_));
    if !chain.iter().chain(&help).any(is_secret) {
        return secrets.mask(&format!("{report:?}")).into_owned();
    }
    let help = help.map(|help| format!("\nhelp: {help}")).unwrap_or_default();
    secrets.mask(&format!("error: {}{help}", chain.join(": "))).into_owned()
}

/// Masks what a panic says, as all else on stderr.
pub fn on_panic() {
    std::panic::set_hook(Box::new(|panic| {
        let trace = std::backtrace::Backtrace::capture();
        let text = format!("{panic}\n{trace}\n");
        // Nothing is left to do if stderr is gone.
        let _ = io::stderr().write_all(&process().mask_bytes(text.as_bytes()));
    }));
}

/// Where logs go: stderr, without secrets. Each event comes in one piece.
pub(super) struct Log(io::Stderr);

impl Log {
    pub(super) fn new() -> Self {
        Self(io::stderr())
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write_all(&process().mask_bytes(bytes))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}
