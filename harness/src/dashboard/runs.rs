//! Kept runs on disk: the folder of a run by its name, and its page.

use std::io;
use std::path::{Component, Path, PathBuf};

use crate::run::recorded::{is_recording, page as write_page, report_of};

/// Report folders.
pub(super) struct Runs {
    folders: Vec<PathBuf>,
}

impl Runs {
    pub(super) fn below(folders: Vec<PathBuf>) -> Self {
        Self { folders }
    }

    /// The folders of runs of this name. Two machines may have given it to different runs.
    pub(super) fn find(&self, run: &str) -> Vec<PathBuf> {
        if !is_one_name(run) {
            return Vec::new();
        }
        let places = self.folders.iter().flat_map(|folder| [folder.join("runs").join(run), folder.join(run)]);
        // A folder that holds no recording itself is no run: of all runs together no page is made.
        places.filter(|folder| recordings(folder).is_ok_and(|mut files| files.next().is_some())).collect()
    }
}

/// Makes the page of a run, or of one of its recordings, in memory.
///
/// # Errors
///
/// Words: there is no such recording, or one cannot be read.
pub(super) fn page(folder: &Path, recording: Option<&str>) -> Result<Vec<u8>, String> {
    let mut files = Vec::new();
    match recording {
        Some(name) if is_one_name(name) && folder.join(name).is_file() => files.push(folder.join(name)),
        Some(_) => return Err("the run has no such recording".to_owned()),
        None => files.extend(recordings(folder).map_err(|e| format!("the run's folder cannot be read: {e}"))?),
    }
    files.sort();
    if files.is_empty() {
        return Err("the run's folder has no recording (*.jsonl, *.jsonl.zst)".to_owned());
    }
    let report = report_of(&files, folder)?;
    let mut html = Vec::new();
    write_page(&report, folder, &std::env::temp_dir(), &mut html)?;
    Ok(html)
}

/// The recordings in a folder itself; links and what is no file are none.
fn recordings(folder: &Path) -> io::Result<impl Iterator<Item = PathBuf>> {
    let files = std::fs::read_dir(folder)?.filter_map(Result::ok).filter(|e| e.file_type().is_ok_and(|t| t.is_file()));
    Ok(files.map(|entry| entry.path()).filter(|path| is_recording(path)))
}

/// A name that leads to no other folder.
fn is_one_name(name: &str) -> bool {
    let mut parts = Path::new(name).components();
    matches!((parts.next(), parts.next()), (Some(Component::Normal(part)), None) if part == name)
        && !name.contains('\0')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_that_leads_elsewhere_finds_nothing() {
        let folder = tempfile::tempdir().expect("folder");
        std::fs::create_dir_all(folder.path().join("reports/runs/one")).expect("run");
        std::fs::write(folder.path().join("reports/runs/one/a.jsonl"), "").expect("recording");
        std::fs::create_dir_all(folder.path().join("secret")).expect("other");
        let runs = Runs::below(vec![folder.path().join("reports")]);
        assert_eq!(runs.find("one"), [folder.path().join("reports/runs/one")]);
        for name in
            ["", ".", "..", "../../secret", "one/../../../secret", "/etc", "runs", "runs/one", "one/", "a\0b", "none"]
        {
            assert_eq!(runs.find(name), Vec::<PathBuf>::new(), "{name:?}");
        }
        let told = page(&folder.path().join("reports/runs/one"), Some("../../../secret")).expect_err("elsewhere");
        assert_eq!(told, "the run has no such recording");
    }

    #[test]
    fn run_of_one_name_in_two_folders_is_found_in_both() {
        let folder = tempfile::tempdir().expect("folder");
        let folders = ["a", "b"].map(|name| folder.path().join(name));
        for run in folders.iter().map(|f| f.join("runs/one")) {
            std::fs::create_dir_all(&run).expect("run");
            std::fs::write(run.join("a.jsonl.zst"), "").expect("recording");
        }
        assert_eq!(Runs::below(folders.to_vec()).find("one").len(), 2);
    }
}
