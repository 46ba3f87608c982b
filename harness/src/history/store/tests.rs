//! Stores in SQLite files. The same on PostgreSQL is in `tests/history.rs`, which brings a server.

use super::*;
use crate::metrics::Recovery;
use crate::verdict::Status;

fn place(folder: &tempfile::TempDir, name: &str) -> Place {
    Place::File(folder.path().join(name))
}

#[test]
fn what_is_added_is_read_again_whole_and_once_however_often_it_is_added() {
    let folder = tempfile::tempdir().expect("folder");
    // A name with everything that means something in a URL.
    let place = place(&folder, "a b?mode=ro#%41&ü.db");
    let mut one = Entry::example("wrong-port", "run-1", 2000, Status::Fail);
    one.label = Some("commit".to_owned());
    one.identity.seed = u64::MAX;
    one.recovery = Some(Recovery::Never);
    one.why = "said \u{0} 'quoted' <b>".to_owned();
    one.recording = Some("runs/1/wrong-port.jsonl".to_owned());
    let mut other = Entry::example("healthy", "run-1", 1000, Status::Pass);
    other.recovery = None;
    other.throughput = None;
    let mut store = Store::open(&place, Access::Write).expect("opened");
    assert_eq!(store.add(&[one.clone(), other.clone()]).expect("added"), 2);
    assert_eq!(store.add(&[one.clone(), other.clone()]).expect("added"), 0);
    drop(store);
    let mut again = Store::open(&place, Access::Read).expect("opened");
    one.why = one.why.replace('\0', "\u{fffd}");
    assert_eq!(again.entries(&Filter::default()).expect("read"), [other.clone(), one.clone()]);
    let only = |filter: Filter, store: &mut Store| store.entries(&filter).expect("read");
    let named = Filter { scenarios: vec!["healthy".to_owned(), "none".to_owned()], ..Filter::default() };
    assert_eq!(only(named, &mut again), [other.clone()]);
    let late = Filter { since_ms: Some(1500), board: Some("bench".to_owned()), ..Filter::default() };
    assert_eq!(only(late, &mut again), [one]);
    assert_eq!(only(Filter { board: Some("x".to_owned()), ..Filter::default() }, &mut again), []);
    assert!(folder.path().join("a b?mode=ro#%41&ü.db").is_file());
}

#[test]
fn two_runs_of_the_same_name_are_both_kept() {
    let folder = tempfile::tempdir().expect("folder");
    let mut store = Store::open(&place(&folder, "h.db"), Access::Write).expect("opened");
    let here = Entry::example("a", "20261123-091500-4711", 1000, Status::Pass);
    let there = Entry::example("a", "20261123-091500-4711", 1001, Status::Pass);
    assert_eq!(store.add(&[here, there]).expect("added"), 2);
}

#[test]
fn reading_makes_no_file_and_refuses_what_is_no_history() {
    let folder = tempfile::tempdir().expect("folder");
    let none = place(&folder, "none.db");
    let error = Store::open(&none, Access::Read).map(drop).expect_err("nothing there");
    assert!(matches!(error, HistoryError::None { .. }), "{error}");
    assert!(!folder.path().join("none.db").exists());
    std::fs::write(folder.path().join("text.db"), "no database at all, but longer than a header of one").expect("file");
    for access in [Access::Read, Access::Write] {
        let error = Store::open(&place(&folder, "text.db"), access).map(drop).expect_err("no database");
        assert!(error.to_string().contains("not a database"), "{error}");
        assert!(!error.is_passing());
    }
}

#[test]
fn history_of_a_newer_form_is_refused_and_left_as_it_is() {
    let folder = tempfile::tempdir().expect("folder");
    let place = place(&folder, "h.db");
    let mut store = Store::open(&place, Access::Write).expect("opened");
    let newer = "INSERT INTO brickproof_migrations (version, description, success, checksum, execution_time) \
                 VALUES (99, 'later', TRUE, x'00', 0)";
    store.runtime.block_on(store.connection.execute(newer)).expect("written");
    drop(store);
    let before = std::fs::read(folder.path().join("h.db")).expect("file");
    for access in [Access::Read, Access::Write] {
        let error = Store::open(&place, access).map(drop).expect_err("newer");
        assert!(matches!(error, HistoryError::Newer { found: 99, known: 1, .. }), "{error}");
    }
    assert_eq!(std::fs::read(folder.path().join("h.db")).expect("file"), before);
}

#[test]
fn file_that_another_writer_holds_for_long_may_be_free_later() {
    let folder = tempfile::tempdir().expect("folder");
    let place = place(&folder, "h.db");
    let mut holder = Store::open(&place, Access::Write).expect("opened");
    holder.runtime.block_on(holder.connection.execute("BEGIN IMMEDIATE")).expect("held");
    let error = Store::open(&place, Access::Write).map(drop).expect_err("held");
    assert!(error.is_passing() && error.to_string().contains("database is locked"), "{error}");
    assert_eq!(
        Store::open(&place, Access::Read).expect("reading goes on").entries(&Filter::default()).expect("read"),
        []
    );
}
