//! Leases: a board is held by one run at a time, across processes and users of a machine.
//!
//! A lease is a kernel lock (flock) on a file named after the board's port: death of its holder, however sudden, frees it.
//! What stands in the file tells a waiting run for whom it waits; it is believed only while the lock is held.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

/// How often a waiting run looks.
const LOOK: Duration = Duration::from_millis(25);
/// Longest note about a holder that is read.
const LONGEST: u64 = 4096;

/// Who holds a board.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Holder {
    /// Process id.
    pub pid: u32,
    /// What it does with the board, in words.
    pub doing: String,
    /// Since when, RFC 3339.
    pub since: String,
}

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "process {} ({}) since {}", self.pid, self.doing, self.since)
    }
}

/// A board, and who holds it, where that is said.
pub type Held = (String, Option<Holder>);

/// A board could not be had.
#[derive(Debug, thiserror::Error)]
pub enum LeaseError {
    /// Others hold it, or all that would do.
    #[error("{}; waited {waited:?}, wait longer with --wait-board", told(held))]
    Held {
        /// Each board that would do, with who holds it, where that is said.
        held: Vec<Held>,
        /// How long was waited.
        waited: Duration,
    },
    /// The wait was ended.
    #[error("{why} ended the wait for board {board}")]
    Ended {
        /// The boards.
        board: String,
        /// What ended it.
        why: String,
    },
    /// The file of the lease cannot be used.
    #[error("cannot {doing} {}: {source}; choose another folder with BRICKPROOF_LEASES", path.display())]
    Io {
        /// What was tried.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Who holds which board, in words.
#[must_use]
pub fn told(held: &[Held]) -> String {
    let by = |holder: &Option<Holder>| {
        holder.as_ref().map_or_else(|| "a process that does not say who it is".to_owned(), ToString::to_string)
    };
    held.iter().map(|(board, holder)| format!("board {board} is held by {}", by(holder))).collect::<Vec<_>>().join(", ")
}

/// Where leases are: one folder for all users of a machine.
#[must_use]
pub fn default_folder() -> PathBuf {
    std::env::var_os("BRICKPROOF_LEASES").map_or_else(|| std::env::temp_dir().join("brickproof-leases"), PathBuf::from)
}

/// A board that is held. Dropping it, or dying, frees it.
#[derive(Debug)]
pub struct Lease {
    file: File,
}

impl Drop for Lease {
    fn drop(&mut self) {
        // An empty file names nobody; that it is free, the kernel knows.
        let _ = self.file.set_len(0);
    }
}

fn path_of(folder: &Path, port: &str) -> PathBuf {
    // However it is named, the same device has one lease.
    let real = fs::canonicalize(port).unwrap_or_else(|_| PathBuf::from(port));
    let name: String = real.to_string_lossy().trim_start_matches('/').chars().map(plain).collect();
    folder.join(format!("{name}.lock"))
}

fn plain(c: char) -> char {
    if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '-' }
}

fn open(folder: &Path, path: &Path) -> Result<File, LeaseError> {
    let failed = |doing, path: &Path, source| LeaseError::Io { doing, path: path.to_owned(), source };
    if !folder.exists() {
        fs::create_dir_all(folder).map_err(|e| failed("make the folder", folder, e))?;
        // For all users, as /tmp is: everybody may add a lease, nobody take away another's.
        let _ = fs::set_permissions(folder, fs::Permissions::from_mode(0o1777));
    }
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    // Linux refuses O_CREAT on files of others in such folders (fs.protected_regular), so it is asked for only where needed.
    match options.open(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            let file = options.create(true).truncate(false).mode(0o666).open(path);
            let file = file.map_err(|e| failed("make the lease", path, e))?;
            // The umask may have taken away what other users need.
            let _ = file.set_permissions(fs::Permissions::from_mode(0o666));
            Ok(file)
        }
        opened => opened.map_err(|e| failed("open the lease", path, e)),
    }
}

fn read(file: &mut File) -> Option<Holder> {
    let mut text = String::new();
    file.seek(SeekFrom::Start(0)).ok()?;
    file.take(LONGEST).read_to_string(&mut text).ok()?;
    serde_json::from_str(&text).ok()
}

/// Who holds the board on a port, if anybody does.
///
/// # Errors
///
/// [`LeaseError::Io`].
pub fn holder(folder: &Path, port: &str) -> Result<Option<Option<Holder>>, LeaseError> {
    let path = path_of(folder, port);
    let mut file = match OpenOptions::new().read(true).open(&path) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(LeaseError::Io { doing: "open the lease", path, source }),
    };
    match flock(&file, FlockOperation::NonBlockingLockShared) {
        Ok(()) => Ok(None),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(Some(read(&mut file))),
        Err(e) => Err(LeaseError::Io { doing: "look at the lease", path, source: e.into() }),
    }
}

/// How a board is waited for.
pub struct Patience<'a> {
    /// For how long at most.
    pub limit: Duration,
    /// Told once, when the wait begins: each board with who holds it, where that is said.
    pub waiting: &'a mut dyn FnMut(&[Held]),
    /// Why the wait is to end, once it is.
    pub ended: &'a dyn Fn() -> Option<String>,
}

/// Takes one of several equal boards, waiting for the first that is free where others hold all of them. A board is named
/// by what tells it from all others: its USB identity, else its port. The earlier ones are taken rather.
///
/// # Errors
///
/// See [`LeaseError`].
pub fn acquire(
    folder: &Path,
    boards: &[String],
    holder: &Holder,
    patience: Patience<'_>,
) -> Result<(usize, Lease), LeaseError> {
    let paths: Vec<PathBuf> = boards.iter().map(|board| path_of(folder, board)).collect();
    let mut files = paths.iter().map(|path| open(folder, path)).collect::<Result<Vec<File>, _>>()?;
    let begun = Instant::now();
    let mut told = false;
    let index = loop {
        if let Some(index) = free(&files, &paths)? {
            break index;
        }
        let waited = begun.elapsed();
        let mut held = || boards.iter().cloned().zip(files.iter_mut().map(read)).collect::<Vec<_>>();
        if waited >= patience.limit {
            return Err(LeaseError::Held { held: held(), waited: patience.limit });
        }
        if let Some(why) = (patience.ended)() {
            return Err(LeaseError::Ended { board: boards.join(", "), why });
        }
        if !told {
            (patience.waiting)(&held());
            told = true;
        }
        std::thread::sleep(LOOK.min(patience.limit - waited));
    };
    let note = serde_json::to_vec(holder).unwrap_or_default();
    let mut file = files.swap_remove(index);
    let written = file.set_len(0).and_then(|()| file.seek(SeekFrom::Start(0))).and_then(|_| file.write_all(&note));
    written.map_err(|source| LeaseError::Io { doing: "write", path: paths[index].clone(), source })?;
    Ok((index, Lease { file }))
}

/// Locks the first that nobody holds.
fn free(files: &[File], paths: &[PathBuf]) -> Result<Option<usize>, LeaseError> {
    for (index, file) in files.iter().enumerate() {
        match flock(file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(Some(index)),
            Err(rustix::io::Errno::WOULDBLOCK) => {}
            Err(e) => {
                return Err(LeaseError::Io { doing: "lock", path: paths[index].clone(), source: e.into() });
            }
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn me(doing: &str) -> Holder {
        Holder { pid: std::process::id(), doing: doing.to_owned(), since: "2026-11-23T17:00:00Z".to_owned() }
    }

    fn at_once(folder: &Path, port: &str, doing: &str) -> Result<Lease, LeaseError> {
        let patience = Patience { limit: Duration::ZERO, waiting: &mut |_| {}, ended: &|| None };
        acquire(folder, &[port.to_owned()], &me(doing), patience).map(|(_, lease)| lease)
    }

    #[test]
    fn of_equal_boards_the_first_free_one_is_taken() {
        let folder = tempfile::tempdir().expect("folder");
        let boards = ["/dev/ttyUSB0", "/dev/ttyUSB1"].map(str::to_owned);
        let take = || {
            let patience = Patience { limit: Duration::ZERO, waiting: &mut |_| {}, ended: &|| None };
            acquire(folder.path(), &boards, &me("a test"), patience)
        };
        let (first, held) = take().expect("free");
        let (second, _also_held) = take().expect("the other");
        assert_eq!((first, second), (0, 1));
        let error = take().expect_err("none is left").to_string();
        assert!(error.contains("board /dev/ttyUSB0 is held by") && error.contains("board /dev/ttyUSB1"), "{error}");
        drop(held);
        assert_eq!(take().expect("free again").0, 0);
    }

    #[test]
    fn board_is_held_by_one_and_the_other_is_told_by_whom() {
        let folder = tempfile::tempdir().expect("folder");
        let lease = at_once(folder.path(), "/dev/ttyUSB0", "wrong-port").expect("free");
        assert_eq!(holder(folder.path(), "/dev/ttyUSB0").expect("readable"), Some(Some(me("wrong-port"))));
        let error = at_once(folder.path(), "/dev/ttyUSB0", "other").expect_err("held");
        assert!(error.to_string().contains(&format!("process {} (wrong-port)", std::process::id())), "{error}");
        at_once(folder.path(), "/dev/ttyUSB1", "other").expect("another board");
        drop(lease);
        assert_eq!(holder(folder.path(), "/dev/ttyUSB0").expect("readable"), None);
        at_once(folder.path(), "/dev/ttyUSB0", "other").expect("free again");
    }

    #[test]
    fn links_to_a_port_are_the_same_board() {
        let folder = tempfile::tempdir().expect("folder");
        let (port, link) = (folder.path().join("port"), folder.path().join("by-id"));
        fs::write(&port, "").expect("port");
        std::os::unix::fs::symlink(&port, &link).expect("link");
        let _lease = at_once(folder.path(), &port.display().to_string(), "one").expect("free");
        at_once(folder.path(), &link.display().to_string(), "two").expect_err("the same");
    }

    #[test]
    fn waiting_run_says_for_whom_and_gets_the_board_when_it_is_free() {
        let folder = tempfile::tempdir().expect("folder");
        let lease = std::sync::Mutex::new(Some(at_once(folder.path(), "/dev/ttyUSB0", "first").expect("free")));
        let mut waited_for = Vec::new();
        // The board is freed by what the wait itself tells: no clock decides.
        let mut waiting = |held: &[Held]| {
            waited_for.extend(held.iter().filter_map(|(_, holder)| holder.clone()));
            lease.lock().expect("lease").take();
        };
        let patience = Patience { limit: Duration::from_secs(600), waiting: &mut waiting, ended: &|| None };
        acquire(folder.path(), &["/dev/ttyUSB0".to_owned()], &me("second"), patience).expect("free in the end");
        assert_eq!(waited_for, [me("first")]);
    }

    #[test]
    fn wait_ends_when_the_run_is_ended() {
        let folder = tempfile::tempdir().expect("folder");
        let _lease = at_once(folder.path(), "/dev/ttyUSB0", "first").expect("free");
        let ended = || Some("SIGTERM".to_owned());
        let patience = Patience { limit: Duration::from_secs(600), waiting: &mut |_| {}, ended: &ended };
        let error = acquire(folder.path(), &["/dev/ttyUSB0".to_owned()], &me("second"), patience).expect_err("ended");
        assert_eq!(error.to_string(), "SIGTERM ended the wait for board /dev/ttyUSB0");
    }

    #[test]
    fn file_that_a_dead_process_left_holds_nothing() {
        let folder = tempfile::tempdir().expect("folder");
        let note = serde_json::to_string(&Holder { pid: 1, ..me("dead") }).expect("note");
        fs::write(path_of(folder.path(), "/dev/ttyUSB0"), note).expect("left");
        assert_eq!(holder(folder.path(), "/dev/ttyUSB0").expect("readable"), None);
        at_once(folder.path(), "/dev/ttyUSB0", "next").expect("nobody holds it");
        fs::write(path_of(folder.path(), "/dev/ttyUSB2"), "no JSON").expect("left");
        at_once(folder.path(), "/dev/ttyUSB2", "next").expect("what it says does not matter");
    }

    #[test]
    fn folder_that_cannot_be_made_is_told_with_what_to_do() {
        let file = tempfile::NamedTempFile::new().expect("file");
        let error = at_once(&file.path().join("below"), "/dev/ttyUSB0", "one").expect_err("no folder").to_string();
        assert!(error.contains("cannot make the folder") && error.contains("BRICKPROOF_LEASES"), "{error}");
    }
}
