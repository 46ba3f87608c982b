//! Defects: one wrong decision each, switched on by the image's profile record (`defect=NAME`). The code around it is the
//! healthy one: a scenario suite that does not notice is not good enough.
//!
//! Each is taken from how OTA firmware fails in the field, in the words of its line.

/// One wrong decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Defect {
    /// The version check is given up after its first failure: a start-up check without a retry.
    GivesUpAfterOne,
    /// The next attempt follows at once: servers saw such devices as a flood.
    NoDelay,
    /// Seconds are taken for milliseconds: the console announces a minute, and 60 ms pass.
    DelayInMilliseconds,
    /// The back-off is announced and kept at its first step.
    DelayNeverDoubles,
    /// The limit of attempts is not looked at.
    NeverStops,
    /// Off by one: the last attempt is never made.
    StopsOneEarly,
    /// The counter of failures is a local one, made anew each time: (1/10) for ever.
    CounterStuck,
    /// A retry says nothing: its owner sees a device that does nothing.
    SilentRetries,
    /// A failed check restarts the device: it never gets to its work.
    RestartsOnFailure,
    /// Whatever a TLS server presents is taken: no verification option is set.
    AcceptsAnyCertificate,
    /// The first address of a name is kept for ever: its server moves, and the device does not follow.
    KeepsOldDnsAnswer,
    /// What a failed attempt allocated is never freed.
    LeaksHeap,
    /// The back-off of an earlier series of failures is kept after a success.
    DelayNotReset,
    /// A download is taken up again one block further on than it was written.
    ResumesAtWrongOffset,
    /// Whether the server resumes is not looked at: the whole image is written behind its first part.
    IgnoresResumeStatus,
    /// How far a download got is remembered although the server no longer has that image: it is asked for the rest for ever.
    KeepsResumeRecord,
    /// An image of a lower security version is taken.
    IgnoresSecurityVersion,
    /// The client of a failed begin is not cleaned up: every later attempt fails at once.
    SecondAttemptFails,
    /// The socket of a failed attempt is never closed: lwIP has ten.
    LeaksSocket,
    /// A failed check erases the OTA URL, meant to be written anew.
    ForgetsSettings,
    /// The port of the OTA URL is dropped: the case that the project began with, in code.
    DropsPort,
    /// A redirect is followed to its host's port 80, whatever port it names.
    DropsPortOnRedirect,
    /// Redirects are not counted.
    RedirectsForEver,
    /// A read that times out before the answer's head is taken up again, for ever (EAGAIN).
    WaitsForEverForHead,
    /// No read time-out while a body is read.
    WaitsForEverForBody,
    /// The read time-out is a hundredth of what was meant.
    ShortReadTimeout,
    /// A body that ends early is taken for a whole one.
    EarlyEndIsTheEnd,
    /// A crawling download does not feed the watchdog.
    StarvesWatchdog,
    /// What was written is selected unverified.
    SkipsVerification,
    /// An image for another chip is taken.
    IgnoresChip,
    /// An image for other revisions of the chip is taken.
    IgnoresRevision,
    /// An image larger than its slot is written over what lies behind it.
    IgnoresSize,
    /// An image without an application descriptor (a merged one) is taken.
    AcceptsMergedImage,
    /// The new slot is selected before its last byte is written.
    SelectsTooEarly,
    /// The update is written over the version that runs.
    WritesRunningSlot,
    /// A version that runs already is installed again and again.
    ReinstallsSameVersion,
    /// Any other version is installed, older ones too.
    InstallsOlder,
    /// An answer that is no JSON is read all the same: a null pointer.
    CrashesOnHtml,
    /// A failed upgrade is not tried again until somebody restarts the device.
    GoesOnAfterFailedUpgrade,
    /// The request does not say which device it is from.
    NoDeviceId,
    /// The new version is confirmed before it has proved that it reaches its server.
    ConfirmsTooEarly,
    /// The new version is never confirmed: the next reset brings the old one back.
    NeverConfirms,
    /// The new version crashes when it starts.
    CrashesAtStart,
    /// The new version hangs when it starts.
    HangsAtStart,
    /// The new version does not join its network.
    LosesNetwork,
}

/// All defects, with their names in profile records.
pub const ALL: &[(&str, Defect)] = &[
    ("gives-up-after-one", Defect::GivesUpAfterOne),
    ("no-delay", Defect::NoDelay),
    ("delay-in-milliseconds", Defect::DelayInMilliseconds),
    ("delay-never-doubles", Defect::DelayNeverDoubles),
    ("never-stops", Defect::NeverStops),
    ("stops-one-early", Defect::StopsOneEarly),
    ("counter-stuck", Defect::CounterStuck),
    ("silent-retries", Defect::SilentRetries),
    ("restarts-on-failure", Defect::RestartsOnFailure),
    ("accepts-any-certificate", Defect::AcceptsAnyCertificate),
    ("keeps-old-dns-answer", Defect::KeepsOldDnsAnswer),
    ("leaks-heap", Defect::LeaksHeap),
    ("delay-not-reset", Defect::DelayNotReset),
    ("resumes-at-wrong-offset", Defect::ResumesAtWrongOffset),
    ("ignores-resume-status", Defect::IgnoresResumeStatus),
    ("keeps-resume-record", Defect::KeepsResumeRecord),
    ("ignores-security-version", Defect::IgnoresSecurityVersion),
    ("second-attempt-fails", Defect::SecondAttemptFails),
    ("leaks-socket", Defect::LeaksSocket),
    ("forgets-settings", Defect::ForgetsSettings),
    ("drops-port", Defect::DropsPort),
    ("drops-port-on-redirect", Defect::DropsPortOnRedirect),
    ("redirects-for-ever", Defect::RedirectsForEver),
    ("waits-for-ever-for-head", Defect::WaitsForEverForHead),
    ("waits-for-ever-for-body", Defect::WaitsForEverForBody),
    ("short-read-timeout", Defect::ShortReadTimeout),
    ("early-end-is-the-end", Defect::EarlyEndIsTheEnd),
    ("starves-watchdog", Defect::StarvesWatchdog),
    ("skips-verification", Defect::SkipsVerification),
    ("ignores-chip", Defect::IgnoresChip),
    ("ignores-revision", Defect::IgnoresRevision),
    ("ignores-size", Defect::IgnoresSize),
    ("accepts-merged-image", Defect::AcceptsMergedImage),
    ("selects-too-early", Defect::SelectsTooEarly),
    ("writes-running-slot", Defect::WritesRunningSlot),
    ("reinstalls-same-version", Defect::ReinstallsSameVersion),
    ("installs-older", Defect::InstallsOlder),
    ("crashes-on-html", Defect::CrashesOnHtml),
    ("goes-on-after-failed-upgrade", Defect::GoesOnAfterFailedUpgrade),
    ("no-device-id", Defect::NoDeviceId),
    ("confirms-too-early", Defect::ConfirmsTooEarly),
    ("never-confirms", Defect::NeverConfirms),
    ("crashes-at-start", Defect::CrashesAtStart),
    ("hangs-at-start", Defect::HangsAtStart),
    ("loses-network", Defect::LosesNetwork),
];

impl Defect {
    /// The defect of a name.
    #[must_use]
    pub fn find(name: &str) -> Option<Self> {
        ALL.iter().find(|(known, _)| *known == name).map(|(_, defect)| *defect)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_fit_the_record() {
        for (n, (name, defect)) in ALL.iter().enumerate() {
            assert_eq!(Defect::find(name), Some(*defect));
            assert!("defect=".len() + name.len() < 64, "{name}");
            assert!(ALL[..n].iter().all(|(other, _)| other != name), "{name}");
        }
    }
}
