//! What the history keeps of one run of one scenario.

use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::metrics::{Metrics, Recovery};
use crate::verdict::Status;

/// What tells one attempt from all others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Identity {
    /// Name of the run's folder, such as `20261123-091500-4711`. Two machines may give the same one.
    pub run: String,
    /// Scenario name, with its case.
    pub scenario: String,
    /// Board name.
    pub board: String,
    /// Chip name.
    pub chip: String,
    /// Which repeat, from 1.
    pub attempt: u32,
    /// When it began: milliseconds since 1970.
    pub began_ms: u64,
    /// Seed of everything random.
    pub seed: u64,
    /// SHA-256 of the scenario's text, in hexadecimal.
    pub text_digest: String,
}

impl Identity {
    /// The digest of a scenario's text.
    #[must_use]
    pub fn digest(text: &str) -> String {
        hex::encode(Sha256::digest(text))
    }

    /// SHA-256 over all of it, in hexadecimal: the row's key, so that the same attempt is kept once however often it is added.
    #[must_use]
    pub fn key(&self) -> String {
        let mut hash = Sha256::new();
        for part in [&self.run, &self.scenario, &self.board, &self.chip, &self.text_digest] {
            // With its length before it no part can run into the next.
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        for number in [u64::from(self.attempt), self.began_ms, self.seed] {
            hash.update(number.to_le_bytes());
        }
        hex::encode(hash.finalize())
    }
}

/// A run of a scenario on a board, as the history keeps it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Entry {
    /// Which it is.
    #[serde(flatten)]
    pub identity: Identity,
    /// What was tested, where it was told: a commit, a build number.
    pub label: Option<String>,
    /// Its verdict.
    pub status: Status,
    /// Wall time in milliseconds.
    pub wall_ms: u64,
    /// Time on the run's clock in milliseconds.
    pub run_ms: u64,
    /// True when time was warped.
    pub warped: bool,
    /// Program and version.
    pub made_by: String,
    /// How long it took to recover, where that was measured.
    pub recovery: Option<Recovery>,
    /// Time to notice a fault, milliseconds.
    pub notice_ms: Option<u64>,
    /// Retries that were announced.
    pub retries: u64,
    /// Connections that the server took.
    pub connections: u64,
    /// Bytes per second of the fastest whole download.
    pub throughput: Option<u64>,
    /// Lowest free heap, bytes.
    pub free_heap: Option<u64>,
    /// What failed, in a line; empty for a pass. Untrusted.
    pub why: String,
    /// The recording as the run named it, relative to its report.
    pub recording: Option<String>,
}

impl Entry {
    /// Takes over what a run measured.
    pub fn measured(&mut self, metrics: &Metrics) {
        self.recovery = Some(metrics.recovery);
        self.notice_ms = metrics.notice_ms;
        self.retries = metrics.retries;
        self.connections = metrics.connections;
        self.throughput = metrics.throughput;
        self.free_heap = metrics.free_heap;
    }
}

#[cfg(test)]
impl Entry {
    /// A run that passed: what the tests of the history begin with.
    pub(crate) fn example(scenario: &str, run: &str, began_ms: u64, status: Status) -> Self {
        Self {
            identity: Identity {
                run: run.to_owned(),
                scenario: scenario.to_owned(),
                board: "bench".to_owned(),
                chip: "esp32c3".to_owned(),
                attempt: 1,
                began_ms,
                seed: 1,
                text_digest: Identity::digest("text"),
            },
            label: None,
            status,
            wall_ms: 60_000,
            run_ms: 60_000,
            warped: false,
            made_by: "brickproof 0.1.0".to_owned(),
            recovery: Some(Recovery::After(12_000)),
            notice_ms: Some(100),
            retries: 3,
            connections: 4,
            throughput: Some(100_000),
            free_heap: None,
            why: String::new(),
            recording: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_of_an_identity_counts() {
        let one = Entry::example("a", "r", 5, Status::Pass).identity;
        let others = [
            Identity { run: "s".to_owned(), ..one.clone() },
            Identity { scenario: "b".to_owned(), ..one.clone() },
            Identity { scenario: "ar".to_owned(), run: String::new(), ..one.clone() },
            Identity { board: "c".to_owned(), ..one.clone() },
            Identity { chip: "d".to_owned(), ..one.clone() },
            Identity { attempt: 2, ..one.clone() },
            Identity { began_ms: 6, ..one.clone() },
            Identity { seed: 2, ..one.clone() },
            Identity { text_digest: String::new(), ..one.clone() },
        ];
        let mut keys: Vec<String> = others.iter().map(Identity::key).collect();
        keys.push(one.key());
        keys.sort();
        keys.dedup();
        assert_eq!(keys.len(), 10);
        assert_eq!(one.key(), one.clone().key());
    }
}
