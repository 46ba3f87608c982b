//! What a CI job is told beside the report.

use std::fs::OpenOptions;
use std::hash::{BuildHasher, RandomState};
use std::io::Write;
use std::path::PathBuf;

use crate::report::model::Report;
use crate::report::{github, markdown};

/// The CI job that this run is part of.
pub(super) struct Job {
    /// It is one of GitHub Actions: a word that nobody can guess, while commands in the output are not obeyed.
    github: Option<String>,
    /// File that takes a job summary.
    summary: Option<PathBuf>,
}

impl Job {
    /// As its system's variables say.
    pub(super) fn of_environment() -> Self {
        let is_github = std::env::var("GITHUB_ACTIONS").is_ok_and(|value| value == "true");
        let random = || RandomState::new().hash_one(std::process::id());
        Self {
            github: is_github.then(|| format!("brickproof-{:016x}{:016x}", random(), random())),
            summary: std::env::var_os("GITHUB_STEP_SUMMARY").filter(|path| !path.is_empty()).map(PathBuf::from),
        }
    }

    /// What is printed before anything of a device: a console line that reads like a workflow command must not be one.
    pub(super) fn begin(&self) -> String {
        self.github.as_ref().map(|word| format!("::stop-commands::{word}\n")).unwrap_or_default()
    }

    /// What is printed at the end.
    pub(super) fn end(&self, report: &Report) -> String {
        self.github.as_ref().map(|word| format!("::{word}::\n{}", github::annotations(report))).unwrap_or_default()
    }

    /// Adds to the job's summary. One that cannot be written takes nothing from the verdicts.
    pub(super) fn summarise(&self, report: &Report) {
        let Some(path) = &self.summary else { return };
        let file = OpenOptions::new().append(true).create(true).open(path);
        if let Err(e) = file.and_then(|mut file| file.write_all(markdown::render(report).as_bytes())) {
            tracing::warn!("cannot write the job summary {}: {e}", path.display());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::model::ScenarioReport;
    use crate::verdict::Status;

    #[test]
    fn commands_of_a_device_are_not_obeyed_and_annotations_are() {
        let word = Some("brickproof-word".to_owned());
        let job = Job { github: word, summary: None };
        let scenarios = vec![ScenarioReport::example("a", 1, Status::Fail)];
        let report = Report { scenarios, ..Report::example() };
        assert_eq!(job.begin(), "::stop-commands::brickproof-word\n");
        let end = job.end(&report);
        assert!(end.starts_with("::brickproof-word::\n::error "), "{end}");
        let elsewhere = Job { github: None, summary: None };
        assert_eq!((elsewhere.begin(), elsewhere.end(&report)), (String::new(), String::new()));
    }

    #[test]
    fn summary_is_added_to_what_other_steps_wrote() {
        let file = tempfile::NamedTempFile::new().expect("file");
        std::fs::write(file.path(), "before\n").expect("written");
        Job { github: None, summary: Some(file.path().to_owned()) }.summarise(&Report::example());
        let text = std::fs::read_to_string(file.path()).expect("text");
        assert!(text.starts_with("before\n## brickproof"), "{text}");
    }
}
