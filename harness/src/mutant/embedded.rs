//! The mutants that come with the program.

macro_rules! files {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!("../../../scenarios/mutants/", $name, ".toml")))),*]
    };
}

/// Name and text of each.
pub const MUTANTS: &[(&str, &str)] = files![
    "accepts-any-certificate",
    "accepts-merged-image",
    "confirms-too-early",
    "counter-stuck",
    "crashes-at-start",
    "crashes-on-html",
    "delay-in-milliseconds",
    "delay-never-doubles",
    "delay-not-reset",
    "drops-port",
    "drops-port-on-redirect",
    "early-end-is-the-end",
    "forgets-settings",
    "gives-up-after-one",
    "goes-on-after-failed-upgrade",
    "hangs-at-start",
    "ignores-chip",
    "ignores-resume-status",
    "ignores-revision",
    "ignores-security-version",
    "ignores-size",
    "installs-older",
    "keeps-old-dns-answer",
    "keeps-resume-record",
    "leaks-heap",
    "leaks-socket",
    "loses-network",
    "never-confirms",
    "never-stops",
    "no-delay",
    "no-device-id",
    "redirects-for-ever",
    "reinstalls-same-version",
    "restarts-on-failure",
    "resumes-at-wrong-offset",
    "second-attempt-fails",
    "selects-too-early",
    "short-read-timeout",
    "silent-retries",
    "skips-verification",
    "starves-watchdog",
    "stops-one-early",
    "waits-for-ever-for-body",
    "waits-for-ever-for-head",
    "writes-running-slot",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mutant_file_is_embedded() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../scenarios/mutants");
        let mut files: Vec<String> = std::fs::read_dir(folder)
            .expect("mutants")
            .map(|f| f.expect("file").path().file_stem().expect("stem").to_string_lossy().into_owned())
            .collect();
        files.sort();
        let embedded: Vec<_> = MUTANTS.iter().map(|(name, _)| (*name).to_owned()).collect();
        assert_eq!(files, embedded);
    }
}
