//! What this process must not show: as settings and environment say, and as it is learned.

use std::borrow::Cow;
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
    let secrets = settings.merged.secrets(|name| std::env::var(name).ok()).map_err(|why| miette!("{why}"))?;
    // Told once; a second time can only come from a test in the same process.
    Ok(PROCESS.get_or_init(|| secrets).clone())
}

fn process() -> Secrets {
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
