//! What goes wrong with a history.

/// A history could not be opened, read or written. No message holds a password.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// The database refused.
    #[error("cannot {doing} the history {place}: {why}")]
    Database {
        /// What was tried.
        doing: &'static str,
        /// Which history, without password.
        place: String,
        /// Why.
        why: String,
        /// True where another try later may succeed: the server was not reached, or went away.
        passing: bool,
    },
    /// A later version of the program has changed its tables.
    #[error(
        "the history {place} is of a newer form ({found}) than this version knows ({known}): update brickproof, or name another history"
    )]
    Newer {
        /// Which history.
        place: String,
        /// Version of its form.
        found: i64,
        /// Newest that is known.
        known: i64,
    },
    /// There is no such file, and nothing would be written to it.
    #[error(
        "there is no history {place}: `brickproof run --history {place}` begins one, `brickproof history add` takes older runs into it"
    )]
    None {
        /// Which history.
        place: String,
    },
    /// A row holds what no version writes.
    #[error(
        "the history {place} has a row that cannot be read (id {id}): {why}; another program has written to its table"
    )]
    Row {
        /// Which history.
        place: String,
        /// Which row.
        id: String,
        /// Why.
        why: String,
    },
}

impl HistoryError {
    /// Whether another try later may succeed.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Database { passing: true, .. })
    }
}
