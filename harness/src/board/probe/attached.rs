//! The debug probes that are attached.

use serde::Serialize;

/// An attached debug probe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct AttachedProbe {
    /// As `--probe` takes it: `303a:1001:F4:12:FA:00:11:22`.
    pub select: String,
    /// What it is: "EspJtag", "CMSIS-DAP", "J-Link".
    pub kind: String,
    /// Its product name.
    pub product: String,
    /// False where this user may not open it.
    pub accessible: bool,
}

/// What is attached now; `None` without probe support.
#[must_use]
pub fn attached() -> Option<Vec<AttachedProbe>> {
    #[cfg(feature = "probe")]
    {
        Some(super::wired::list(&super::wired::lister()))
    }
    #[cfg(not(feature = "probe"))]
    {
        None
    }
}
