//! The scenarios that come with the program.

macro_rules! files {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!("../../../scenarios/scenarios/", $name, ".toml")))),*]
    };
}

/// Name and text of each, in the order in which they run.
pub const SCENARIOS: &[(&str, &str)] = files![
    "healthy-update",
    "already-up-to-date",
    "wrong-port",
    "wrong-port-for-ever",
    "backoff-doubles",
    "connection-reset",
    "reset-mid-download",
    "slow-response",
    "stalled-download",
    "truncated-image",
    "server-error-then-recovers",
    "server-flaps",
    "bad-answers",
    "harmless-answers",
    "meaningless-answers",
    "redirect-loop",
    "bad-connections",
    "port-goes-and-comes",
    "bad-downloads",
    "odd-downloads",
    "bad-firmware-url",
    "retry-counts",
    "power-cut-in-download",
    "bad-new-version",
    "new-version-loses-its-server",
    "new-version-loses-its-network",
    "older-version-offered",
    "redirect-once",
    "image-too-large",
    "gives-up-clean",
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
