//! The scenarios that come with the program.

macro_rules! files {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!("../../../scenarios/scenarios/", $name, ".toml")))),*]
    };
}

/// Name and text of each, in the order in which they run.
pub const SCENARIOS: &[(&str, &str)] = files![
    "already-up-to-date",
    "backoff-doubles",
    "backoff-starts-anew",
    "bad-answers",
    "bad-certificate-for-ever",
    "bad-connections",
    "bad-downloads",
    "bad-firmware-url",
    "bad-handshakes",
    "bad-names",
    "bad-new-version",
    "connection-reset",
    "download-in-pieces",
    "fifty-failures",
    "gives-up-clean",
    "harmless-answers",
    "healthy-update",
    "https-update",
    "image-too-large",
    "lower-security-version",
    "meaningless-answers",
    "name-changes",
    "new-version-loses-its-network",
    "new-version-loses-its-server",
    "odd-downloads",
    "older-version-offered",
    "own-rollback",
    "port-goes-and-comes",
    "power-cut-at-random",
    "power-cut-in-download",
    "redirect-loop",
    "redirect-once",
    "reset-mid-download",
    "resume-after-power-cut",
    "resume-after-reset",
    "resume-refused",
    "resume-saves-bytes",
    "retry-counts",
    "retry-pairs",
    "server-error-then-recovers",
    "server-flaps",
    "slow-response",
    "stalled-download",
    "truncated-image",
    "two-bad-versions",
    "wifi-drops-in-check",
    "wifi-drops-in-download",
    "wrong-port",
    "wrong-port-for-ever",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scenario_file_is_embedded() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../scenarios/scenarios");
        let mut files: Vec<String> = std::fs::read_dir(folder)
            .expect("scenarios")
            .map(|f| f.expect("file").path().file_stem().expect("stem").to_string_lossy().into_owned())
            .collect();
        files.sort();
        let mut embedded: Vec<_> = SCENARIOS.iter().map(|(name, _)| (*name).to_owned()).collect();
        embedded.sort();
        assert_eq!(files, embedded);
    }
}
