//! Where a history is kept.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use url::Url;

/// A file for SQLite, or a PostgreSQL server.
#[derive(Clone, PartialEq, Eq)]
pub enum Place {
    /// An SQLite file.
    File(PathBuf),
    /// A PostgreSQL database. The URL may hold a password, and is shown without.
    Postgres(Url),
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let scheme = text.split_once("://").map(|(scheme, _)| scheme);
        match scheme {
            None if text.is_empty() => Err("the history's name is empty: give a file, or postgres://…".to_owned()),
            None => Ok(Self::File(PathBuf::from(text))),
            Some("postgres" | "postgresql") => match Url::parse(text) {
                Ok(url) => Ok(Self::Postgres(url)),
                // The parser's words do not hold the text, which may hold a password.
                Err(why) => {
                    Err(format!("the history's URL is none: {why}; such as postgres://user@host:5432/database"))
                }
            },
            Some("sqlite") => Err("an SQLite history is named by its file alone, without sqlite://".to_owned()),
            Some(other) => {
                Err(format!("a history is a file (SQLite) or a postgres:// URL; {other}:// is of neither kind"))
            }
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Postgres(url) => {
                let mut shown = url.clone();
                // Neither fails for a scheme with a host; where one did, nothing at all of the URL's secrets may be shown.
                let masked = url.password().is_none() || shown.set_password(Some("***")).is_ok();
                let names: Vec<String> = url.query_pairs().map(|(name, _)| format!("{name}=***")).collect();
                shown.set_query((!names.is_empty()).then(|| names.join("&")).as_deref());
                if masked { write!(f, "{shown}") } else { f.write_str("postgres://***") }
            }
        }
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_and_server_are_told_apart_and_a_password_is_never_shown() {
        assert_eq!("runs.db".parse(), Ok(Place::File(PathBuf::from("runs.db"))));
        let server: Place =
            "postgres://ci:s3cret@db.example:5433/runs?password=s3cret&sslmode=require".parse().expect("URL");
        let shown = format!("{server} {server:?}");
        assert!(!shown.contains("s3cret") && shown.contains("db.example:5433/runs"), "{shown}");
        for wrong in ["", "sqlite://a.db", "mysql://root:s3cret@host/db", "postgres://ci:s3cret@ho st/db"] {
            let told = wrong.parse::<Place>().expect_err(wrong);
            assert!(!told.contains("s3cret"), "{told}");
        }
    }
}
