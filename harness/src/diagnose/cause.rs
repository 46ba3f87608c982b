//! A likely cause and its evidence.

use serde::{Deserialize, Serialize};

/// A likely cause.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Cause {
    /// Which one.
    pub kind: CauseKind,
    /// How sure it is.
    pub confidence: Confidence,
    /// What went wrong, in a sentence or two.
    pub sentence: String,
    /// What to do about it.
    pub remedy: String,
    /// The events that say so, in order.
    pub evidence: Vec<Evidence>,
    /// Where the device got over it later: the first sign of success after all of the evidence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolved: Option<Evidence>,
}

/// An event or line that a cause rests on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Evidence {
    /// `seq` on the timeline; in a captured log the line's number, from 1.
    pub seq: u64,
    /// The line as printed, or the server's event in words.
    pub text: String,
}

/// How sure a cause is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Confidence {
    /// The evidence leaves no other reading.
    Certain,
    /// The evidence fits, and what else would fit is rare.
    Likely,
    /// One of several readings.
    Possible,
}

impl std::fmt::Display for Confidence {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Certain => "certain",
            Self::Likely => "likely",
            Self::Possible => "possible",
        })
    }
}

/// Kinds of causes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CauseKind {
    /// The URL leads to a port where nothing listens.
    WrongPort,
    /// The URL leads to another host than the OTA server's.
    WrongHost,
    /// The server's own port refused: the server is down, or a firewall answers for it.
    ServerDown,
    /// The host does not answer at all.
    HostUnreachable,
    /// The host name cannot be resolved.
    DnsFailure,
    /// The TLS handshake failed.
    TlsFailure,
    /// Something answers that is no OTA server, or not at this path.
    WrongService,
    /// The server answered with an error of its own.
    ServerError,
    /// The server demands credentials.
    Unauthorised,
    /// Redirects without end.
    RedirectLoop,
    /// The URL's scheme is not one the firmware can use.
    BadScheme,
    /// The OTA URL is missing or too short.
    UrlNotSet,
    /// The connection was reset after it had been made.
    ConnectionReset,
    /// The server took the connection and sent no answer in time.
    NoAnswer,
    /// The download stopped moving.
    Stalled,
    /// The download ended before its announced length.
    Truncated,
    /// The server gave no length for the download.
    NoContentLength,
    /// A merged flash image was served in place of the application image.
    MergedImage,
    /// The image is for another chip.
    WrongChip,
    /// The image was damaged or is none.
    CorruptImage,
    /// The image needs a newer chip revision or has too low a security version.
    RefusedImage,
    /// The device went back to the firmware it had before.
    RolledBack,
    /// The device restarts again and again.
    BootLoop,
    /// Nothing on the flash can be booted.
    NothingBootable,
    /// The firmware crashed.
    Crash,
    /// The processor stays in one place.
    Hang,
    /// The supply voltage dropped.
    Brownout,
    /// The device never joined its network.
    NetworkNeverUp,
    /// The device is on its network and never asked the OTA server.
    NeverAsked,
    /// The firmware ran out of memory or sockets.
    OutOfResources,
    /// The harness's server misbehaved on purpose and the device did not come back.
    NotRecovered,
    /// A connection failed and the log does not say how.
    ConnectFailed,
}

impl CauseKind {
    /// Whether a successful check or update afterwards means that the cause is gone.
    pub(super) fn ends_with_success(self) -> bool {
        !matches!(self, Self::RolledBack | Self::Crash | Self::Brownout)
    }
}
