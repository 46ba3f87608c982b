//! An entry as a row of the table, and back. Columns are BIGINT and TEXT alone, the kinds that both databases give back as they were
//! given.

use sqlx::any::{Any, AnyArguments, AnyRow};
use sqlx::query::Query;
use sqlx::{Row, query};

use super::entry::{Entry, Identity};
use crate::metrics::Recovery;
use crate::verdict::Status;

/// Adds a row, unless it is there.
const INSERT: &str = "INSERT INTO brickproof_attempt (id, run, label, scenario, board, chip, attempt, status, began_ms, wall_ms, \
                      run_ms, seed, warped, text_digest, made_by, recovery, recovery_ms, notice_ms, retries, connections, \
                      throughput, free_heap, why, recording) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, \
                      $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24) ON CONFLICT (id) DO NOTHING";

/// The columns that [`entry`] reads.
pub(super) const COLUMNS: &str = "id, run, label, scenario, board, chip, attempt, status, began_ms, wall_ms, run_ms, seed, \
                                  warped, text_digest, made_by, recovery, recovery_ms, notice_ms, retries, connections, \
                                  throughput, free_heap, why, recording";

/// The statement that adds an entry.
pub(super) fn insert(entry: &Entry) -> Query<'static, Any, AnyArguments> {
    let Identity { run, scenario, board, chip, attempt, began_ms, seed, text_digest } = entry.identity.clone();
    let (recovery, recovery_ms) = match entry.recovery {
        None => ("", None),
        Some(Recovery::NotNeeded) => ("not-needed", None),
        Some(Recovery::After(ms)) => ("after", Some(number(ms))),
        Some(Recovery::Never) => ("never", None),
    };
    query(INSERT)
        .bind(entry.identity.key())
        .bind(text(&run))
        .bind(entry.label.as_deref().map(text))
        .bind(text(&scenario))
        .bind(text(&board))
        .bind(text(&chip))
        .bind(i64::from(attempt))
        .bind(entry.status.word())
        .bind(number(began_ms))
        .bind(number(entry.wall_ms))
        .bind(number(entry.run_ms))
        .bind(seed.to_string())
        .bind(i64::from(entry.warped))
        .bind(text_digest)
        .bind(text(&entry.made_by))
        .bind(recovery)
        .bind(recovery_ms)
        .bind(entry.notice_ms.map(number))
        .bind(number(entry.retries))
        .bind(number(entry.connections))
        .bind(entry.throughput.map(number))
        .bind(entry.free_heap.map(number))
        .bind(text(&entry.why))
        .bind(entry.recording.as_deref().map(text))
}

/// PostgreSQL's TEXT holds no NUL, and a console may have put one into what failed.
fn text(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

/// Counts and milliseconds are far below 2^63.
fn number(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

/// Reads a row; else its id and why it cannot be read.
pub(super) fn entry(row: &AnyRow) -> Result<Entry, (String, String)> {
    let id: String = row.try_get("id").unwrap_or_default();
    read(row).map_err(|why| (id, why))
}

fn read(row: &AnyRow) -> Result<Entry, String> {
    let words = |column: &str| row.try_get::<String, _>(column).map_err(|e| e.to_string());
    let maybe_words = |column: &str| row.try_get::<Option<String>, _>(column).map_err(|e| e.to_string());
    let count = |column: &str| {
        let n = row.try_get::<i64, _>(column).map_err(|e| e.to_string())?;
        u64::try_from(n).map_err(|_| format!("{column} is {n}"))
    };
    let maybe_count = |column: &str| {
        let n = row.try_get::<Option<i64>, _>(column).map_err(|e| e.to_string())?;
        n.map(|n| u64::try_from(n).map_err(|_| format!("{column} is {n}"))).transpose()
    };
    let status = words("status")?;
    let all = [Status::Pass, Status::Fail, Status::Error, Status::Skip];
    let status = all.into_iter().find(|s| s.word() == status).ok_or(format!("{status:?} is no verdict"))?;
    let recovery = match (words("recovery")?.as_str(), maybe_count("recovery_ms")?) {
        ("", _) => None,
        ("not-needed", _) => Some(Recovery::NotNeeded),
        ("never", _) => Some(Recovery::Never),
        ("after", Some(ms)) => Some(Recovery::After(ms)),
        (other, ms) => return Err(format!("recovery {other:?} with {ms:?} ms is none")),
    };
    let seed = words("seed")?;
    Ok(Entry {
        identity: Identity {
            run: words("run")?,
            scenario: words("scenario")?,
            board: words("board")?,
            chip: words("chip")?,
            attempt: u32::try_from(count("attempt")?).map_err(|e| format!("attempt: {e}"))?,
            began_ms: count("began_ms")?,
            seed: seed.parse().map_err(|_| format!("seed {seed:?} is no number"))?,
            text_digest: words("text_digest")?,
        },
        label: maybe_words("label")?,
        status,
        wall_ms: count("wall_ms")?,
        run_ms: count("run_ms")?,
        warped: count("warped")? != 0,
        made_by: words("made_by")?,
        recovery,
        notice_ms: maybe_count("notice_ms")?,
        retries: count("retries")?,
        connections: count("connections")?,
        throughput: maybe_count("throughput")?,
        free_heap: maybe_count("free_heap")?,
        why: words("why")?,
        recording: maybe_words("recording")?,
    })
}
