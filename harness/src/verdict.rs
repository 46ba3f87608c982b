//! Verdicts: what the judge says of a scenario and of each expectation.

use std::ops::Range;

use serde::{Deserialize, Serialize};

/// A run's outcome for one scenario or expectation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// The firmware is sound as far as this scenario goes.
    Pass,
    /// The board cannot do what the scenario requires, or configuration left it out.
    Skip,
    /// The firmware misbehaved.
    Fail,
    /// The rig misbehaved: nothing can be said of the firmware.
    Error,
}

impl Status {
    /// The word for tables.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Skip => "skip",
            Self::Fail => "fail",
            Self::Error => "error",
        }
    }

    /// A sign that stands for the word where colour must not be the only one.
    #[must_use]
    pub fn sign(self) -> &'static str {
        match self {
            Self::Pass => "✓",
            Self::Skip => "–",
            Self::Fail => "✗",
            Self::Error => "!",
        }
    }
}

/// The verdict on one expectation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct ExpectationVerdict {
    /// What was expected, in words.
    pub label: String,
    /// Where it stands in the scenario file (bytes).
    pub span: Range<usize>,
    /// Pass, fail, or error (not observed long enough).
    pub status: Status,
    /// What was found, in words, with its numbers.
    pub found: String,
    /// `seq` of the events that decided it.
    pub evidence: Vec<u64>,
}

/// The verdict on a scenario.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Verdict {
    /// All in all.
    pub status: Status,
    /// Why, where no expectation carries it: the rig's failure, the reason of a skip.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// One for each step that waits and each expectation, in the file's order of steps, then expectations.
    pub expectations: Vec<ExpectationVerdict>,
}

impl Verdict {
    /// Nothing was tried.
    #[must_use]
    pub fn skipped(reason: String) -> Self {
        Self { status: Status::Skip, reason: Some(reason), expectations: Vec::new() }
    }

    /// The rig failed before anything could be observed.
    #[must_use]
    pub fn rig_error(reason: String) -> Self {
        Self { status: Status::Error, reason: Some(reason), expectations: Vec::new() }
    }
}

/// The process's exit code for a run: 0 pass, 1 the firmware failed, 3 the rig failed. An error outweighs a fail: a run
/// whose rig is broken proves nothing.
#[must_use]
pub fn exit_code(statuses: impl IntoIterator<Item = Status>) -> u8 {
    match statuses.into_iter().max() {
        Some(Status::Error) => 3,
        Some(Status::Fail) => 1,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broken_rig_is_never_reported_as_a_failing_firmware() {
        assert_eq!(exit_code([]), 0);
        assert_eq!(exit_code([Status::Pass, Status::Skip]), 0);
        assert_eq!(exit_code([Status::Pass, Status::Fail]), 1);
        assert_eq!(exit_code([Status::Error, Status::Fail]), 3);
    }
}
