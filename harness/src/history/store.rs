//! A history in its database: opened, brought to the newest form, added to and read. SQLite and PostgreSQL share every statement.

use std::borrow::Cow;
use std::path::Path;
use std::time::Duration;

use sqlx::any::AnyRow;
use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::{AnyConnection, AssertSqlSafe, Connection, Executor, SqlSafeStr, query, query_as};
use tokio::runtime::Runtime;

use super::entry::Entry;
use super::error::HistoryError;
use super::place::Place;
use super::row;

/// The forms of the tables, oldest first; never changed once released, since a database keeps their digests.
const FORMS: [(i64, &str, &str); 1] = [(1, "attempts", include_str!("../../migrations/0001_attempts.sql"))];
/// A server that does not answer within this is taken for gone: the run's verdict must not wait for it.
const PATIENCE: Duration = Duration::from_secs(20);
/// Other writers of an SQLite file are waited for so long; each holds it for some milliseconds. Less before a run, which may be tried again
/// after it.
const BUSY_AT_FIRST: &str = "PRAGMA busy_timeout = 15000";
const BUSY: &str = "PRAGMA busy_timeout = 60000";

/// What a history is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// To read: a file is never written, nor made.
    Read,
    /// To add runs: a file that is not there is made, and tables of an older form are brought to the newest.
    Write,
}

/// Which entries are read.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Of these scenarios; of all when empty.
    pub scenarios: Vec<String>,
    /// On this board; on all when `None`.
    pub board: Option<String>,
    /// That began at this moment or later: milliseconds since 1970.
    pub since_ms: Option<u64>,
}

/// What a history had at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    runs: i64,
    newest: Option<i64>,
}

/// An open history.
pub struct Store {
    place: Place,
    runtime: Runtime,
    connection: AnyConnection,
}

impl Store {
    /// Opens a history. With [`Access::Write`] it is certain afterwards that its file can be written.
    ///
    /// # Errors
    ///
    /// It cannot be reached, read or (for [`Access::Write`]) written, is no history, or one of a newer form.
    pub fn open(place: &Place, access: Access) -> Result<Self, HistoryError> {
        sqlx::any::install_default_drivers();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|e| failed("open", place, &e.to_string(), false))?;
        if let (Place::File(path), Access::Read) = (place, access)
            && !path.exists()
        {
            return Err(HistoryError::None { place: place.to_string() });
        }
        let url = url(place, access).map_err(|why| failed("open", place, &why, false))?;
        let connection = runtime.block_on(async {
            let mut connection = in_time("open", place, AnyConnection::connect(&url)).await?;
            if let Place::File(_) = place {
                in_time("open", place, connection.execute(BUSY_AT_FIRST)).await?;
            }
            bring_up(&mut connection, place, access).await?;
            Ok(connection)
        })?;
        Ok(Self { place: place.clone(), runtime, connection })
    }

    /// Adds entries, all or none; those that are there already are left as they are. Returns how many were new.
    ///
    /// # Errors
    ///
    /// The database cannot be written: it is read-only, full, or went away. Nothing was added then.
    pub fn add(&mut self, entries: &[Entry]) -> Result<u64, HistoryError> {
        let (place, connection) = (&self.place, &mut self.connection);
        self.runtime.block_on(async {
            if let Place::File(_) = place {
                in_time("write to", place, connection.execute(BUSY)).await?;
            }
            in_time("write to", place, async {
                // SQLite's plain BEGIN would take the lock for writing at the first INSERT, and fail at once where another
                // transaction took it in between.
                let mut transaction = connection.begin_with(begin(place)).await?;
                let mut added = 0;
                for entry in entries {
                    added += row::insert(entry).execute(&mut *transaction).await?.rows_affected();
                }
                transaction.commit().await?;
                Ok(added)
            })
            .await
        })
    }

    /// Reads entries, oldest first.
    ///
    /// # Errors
    ///
    /// The database cannot be read, or a row holds what no version writes.
    pub fn entries(&mut self, filter: &Filter) -> Result<Vec<Entry>, HistoryError> {
        let (place, connection) = (&self.place, &mut self.connection);
        let (sql, texts) = select(filter);
        let rows: Vec<AnyRow> = self.runtime.block_on(async {
            let mut wanted = query(AssertSqlSafe(sql).into_sql_str());
            for text in texts {
                wanted = wanted.bind(text);
            }
            if let Some(since) = filter.since_ms {
                wanted = wanted.bind(i64::try_from(since).unwrap_or(i64::MAX));
            }
            in_time("read", place, wanted.fetch_all(connection)).await
        })?;
        let of = |row| row::entry(row).map_err(|(id, why)| HistoryError::Row { place: place.to_string(), id, why });
        rows.iter().map(of).collect()
    }

    /// What changes when runs are added: rows are never changed, so that equal stamps mean equal entries.
    ///
    /// # Errors
    ///
    /// The database cannot be read.
    pub fn stamp(&mut self) -> Result<Stamp, HistoryError> {
        let (place, connection) = (&self.place, &mut self.connection);
        let wanted = query_as::<_, (i64, Option<i64>)>(STAMP).fetch_one(connection);
        let (runs, newest) = self.runtime.block_on(in_time("read", place, wanted))?;
        Ok(Stamp { runs, newest })
    }

    /// Where it is.
    #[must_use]
    pub fn place(&self) -> &Place {
        &self.place
    }
}

/// The statement that reads what a filter lets through, and the texts it is given. Only the number of parameters varies.
fn select(filter: &Filter) -> (String, Vec<String>) {
    let mut texts = filter.scenarios.clone();
    let mut conditions = Vec::new();
    if !texts.is_empty() {
        let places: Vec<String> = (1..=texts.len()).map(|n| format!("${n}")).collect();
        conditions.push(format!("scenario IN ({})", places.join(", ")));
    }
    if let Some(board) = &filter.board {
        texts.push(board.clone());
        conditions.push(format!("board = ${}", texts.len()));
    }
    if filter.since_ms.is_some() {
        conditions.push(format!("began_ms >= ${}", texts.len() + 1));
    }
    let conditions = if conditions.is_empty() { String::new() } else { format!(" WHERE {}", conditions.join(" AND ")) };
    (format!("SELECT {} FROM brickproof_attempt{conditions} ORDER BY began_ms, id", row::COLUMNS), texts)
}

/// Brings the tables to the newest form, or looks that they are of one that is known.
async fn bring_up(connection: &mut AnyConnection, place: &Place, access: Access) -> Result<(), HistoryError> {
    let migrations = FORMS
        .iter()
        .map(|(version, name, sql)| {
            let sql = sql.into_sql_str();
            Migration::new(*version, Cow::Borrowed(*name), MigrationType::Simple, sql, false)
        })
        .collect();
    let mut migrator = Migrator::with_migrations(migrations);
    // A database may be shared with other programs that use the same library.
    migrator.dangerous_set_table_name("brickproof_migrations");
    let known = FORMS[FORMS.len() - 1].0;
    let newer = |found| HistoryError::Newer { place: place.to_string(), found, known };
    if access == Access::Read {
        let found = in_time("read", place, query_as::<_, (Option<i64>,)>(NEWEST).fetch_one(connection)).await?.0;
        return match found {
            Some(found) if found > known => Err(newer(found)),
            Some(found) if found < known => Err(failed(
                "read",
                place,
                "its tables are of an older form; the next run that is added brings them up",
                false,
            )),
            Some(_) => Ok(()),
            None => Err(HistoryError::None { place: place.to_string() }),
        };
    }
    let done = async {
        match place {
            // SQLite has no lock of its own for this: processes that begin a file together take turns by the lock for writing.
            Place::File(_) => {
                let mut transaction = connection.begin_with(begin(place)).await?;
                migrator.run_direct(None, &mut *transaction, false).await?;
                // A file that is read-only is opened without a word, and so is BEGIN IMMEDIATE: a statement that would write,
                // and changes nothing, tells.
                transaction.execute("DELETE FROM brickproof_attempt WHERE id = ''").await?;
                transaction.commit().await?;
                Ok(())
            }
            Place::Postgres(_) => migrator.run_direct(None, connection, false).await,
        }
    };
    match tokio::time::timeout(patience(place), done).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(MigrateError::VersionMissing(found))) => Err(newer(found)),
        Ok(Err(MigrateError::Execute(why) | MigrateError::ExecuteMigration(why, _))) => {
            Err(failed("open", place, &words(&why), is_passing(&why)))
        }
        Ok(Err(why)) => Err(failed("open", place, &why.to_string(), false)),
        Err(_) => Err(failed("open", place, "it does not answer, or another writer holds it", true)),
    }
}

/// How many rows there are, and when the newest began.
const STAMP: &str = "SELECT COUNT(*), MAX(began_ms) FROM brickproof_attempt";

/// The newest form that was applied.
const NEWEST: &str = "SELECT MAX(version) FROM brickproof_migrations";

fn begin(place: &Place) -> &'static str {
    match place {
        Place::File(_) => "BEGIN IMMEDIATE",
        Place::Postgres(_) => "BEGIN",
    }
}

/// The place as the database library wants it.
fn url(place: &Place, access: Access) -> Result<String, String> {
    match place {
        Place::Postgres(url) => Ok(url.to_string()),
        Place::File(path) => {
            let mode = if access == Access::Read { "ro" } else { "rwc" };
            // An absolute path takes characters that mean something in a URL as they are, escaped.
            let path = std::path::absolute(path).map_err(|e| e.to_string())?;
            Ok(format!("sqlite://{}?mode={mode}", escaped(&path)?))
        }
    }
}

fn escaped(path: &Path) -> Result<String, String> {
    let text = path.to_str().ok_or("its path is not UTF-8, which SQLite asks for")?;
    let keep = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'-' | b'_' | b'.' | b'~');
    Ok(text.bytes().map(|b| if keep(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect())
}

/// Does something with the database, and gives up on one that does not answer.
async fn in_time<T>(
    doing: &'static str,
    place: &Place,
    work: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, HistoryError> {
    let patience = patience(place);
    match tokio::time::timeout(patience, work).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(why)) => Err(failed(doing, place, &words(&why), is_passing(&why))),
        Err(_) => Err(failed(doing, place, &format!("no answer within {} s", patience.as_secs()), true)),
    }
}

fn patience(place: &Place) -> Duration {
    // An SQLite file has its own patience with other writers.
    if let Place::File(_) = place { Duration::from_secs(90) } else { PATIENCE }
}

fn is_passing(why: &sqlx::Error) -> bool {
    // SQLite: 5 busy, 6 locked, with what is told more exactly in higher bits (SQLite documentation, "Result and Error Codes").
    if let sqlx::Error::Database(e) = why
        && let Some(code) = e.code().and_then(|code| code.parse::<u32>().ok().filter(|_| code.len() < 5))
    {
        return matches!(code & 0xff, 5 | 6);
    }
    matches!(why, sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed)
        // PostgreSQL: class 08 connection exception, 53 insufficient resources, 57 operator intervention (shutdown, start).
        || matches!(why, sqlx::Error::Database(e) if e.code().is_some_and(|c| ["08", "53", "57"].iter().any(|class| c.starts_with(class)) && c.len() == 5))
}

/// The database's words. It puts a URL into none of them.
fn words(why: &sqlx::Error) -> String {
    match why {
        sqlx::Error::Database(e) => e.message().to_owned(),
        sqlx::Error::Io(e) => e.to_string(),
        other => other.to_string(),
    }
}

fn failed(doing: &'static str, place: &Place, why: &str, passing: bool) -> HistoryError {
    HistoryError::Database { doing, place: place.to_string(), why: why.to_owned(), passing }
}

#[cfg(test)]
mod tests;
