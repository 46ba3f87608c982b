//! Places of labgrid, a distributed lab engine: a board that a coordinator lends, on a serial port that an exporter serves.
//!
//! labgrid's own client program does the talking (docs/decisions/0011-labgrid.md). What is known of its words and files was
//! seen with labgrid 26.0.1.

mod client;
mod words;

use std::fmt;
use std::time::{Duration, Instant};

use crate::board::BoardError;
use crate::board::rfc2217::Address;
use client::Client;
use words::Refusal;

/// What such a board is called: `labgrid:PLACE`.
pub const SCHEME: &str = "labgrid:";
/// How often a place that somebody else has is asked for.
const LOOK: Duration = Duration::from_secs(1);

/// A place, and its coordinator where that is not the client's own default (`LG_COORDINATOR`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its name.
    pub name: String,
    /// `HOST:PORT`.
    pub coordinator: Option<String>,
}

impl Place {
    /// Reads `labgrid:PLACE` or `labgrid:PLACE@HOST:PORT`.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, BoardError> {
        let malformed = |why: &str| BoardError::Malformed {
            given: text.to_owned(),
            what: "labgrid place",
            why: format!("{why}; write labgrid:PLACE, or labgrid:PLACE@HOST:PORT with the coordinator's address"),
        };
        let rest = text.strip_prefix(SCHEME).ok_or_else(|| malformed("it begins otherwise"))?;
        let (name, coordinator) = rest.split_once('@').map_or((rest, None), |(name, at)| (name, Some(at)));
        if name.is_empty() || name.contains(char::is_whitespace) || name.starts_with('-') {
            return Err(malformed("the place has no name"));
        }
        let is_address =
            |at: &str| at.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok());
        if !coordinator.is_none_or(is_address) {
            return Err(malformed("the coordinator is no HOST:PORT"));
        }
        Ok(Self { name: name.to_owned(), coordinator: coordinator.map(str::to_owned) })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}{}", self.name)?;
        self.coordinator.as_ref().map_or(Ok(()), |at| write!(f, "@{at}"))
    }
}

/// A place cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum PlaceError {
    /// The client program cannot be run.
    #[error(
        "cannot run {program}: {why}; labgrid's client is needed for {place}: `pip install labgrid`, or name it in \
         BRICKPROOF_LABGRID_CLIENT"
    )]
    NoClient {
        /// The program.
        program: String,
        /// The place.
        place: String,
        /// Why.
        why: String,
    },
    /// Somebody else has it.
    #[error("{place} is acquired by {by}; waited {waited:?}, wait longer with --wait-board")]
    Held {
        /// The place.
        place: String,
        /// User and host.
        by: String,
        /// How long was waited.
        waited: Duration,
    },
    /// The wait was ended.
    #[error("{why} ended the wait for {place}")]
    Ended {
        /// The place.
        place: String,
        /// What ended it.
        why: String,
    },
    /// The client says no.
    #[error("cannot {doing} {place}: {why}")]
    Refused {
        /// What was tried.
        doing: &'static str,
        /// The place.
        place: String,
        /// The client's words, and what to do.
        why: String,
    },
}

/// A place that this process has acquired. Dropping it releases it; death of the process does not, since labgrid lends
/// to users, not to processes.
#[derive(Debug)]
pub struct Acquired {
    client: Client,
    /// Its serial port.
    pub port: Address,
}

/// Acquires a place, waiting for whoever has it.
///
/// # Errors
///
/// [`PlaceError`].
pub fn acquire(place: &Place, limit: Duration, ended: &dyn Fn() -> Option<String>) -> Result<Acquired, PlaceError> {
    let client = Client::new(place);
    let begun = Instant::now();
    let mut told = false;
    while let Some(by) = try_acquire(&client, place)? {
        if begun.elapsed() >= limit {
            return Err(PlaceError::Held { place: place.to_string(), by, waited: limit });
        }
        if let Some(why) = ended() {
            return Err(PlaceError::Ended { place: place.to_string(), why });
        }
        if !told {
            tracing::warn!("{place} is acquired by {by}: waiting for it, {} s at most", limit.as_secs());
            told = true;
        }
        std::thread::sleep(LOOK.min(limit.saturating_sub(begun.elapsed())));
    }
    match client.serial_port() {
        Ok(port) => Ok(Acquired { client, port }),
        Err(why) => {
            client.release();
            Err(why)
        }
    }
}

/// Tries once: `None` when it is acquired, else who has it.
fn try_acquire(client: &Client, place: &Place) -> Result<Option<String>, PlaceError> {
    let answer = client.run(&["acquire"])?;
    if answer.done {
        return Ok(None);
    }
    match words::refusal(&answer.words) {
        Refusal::Held(by) => Ok(Some(by)),
        Refusal::Other(why) => Err(PlaceError::Refused { doing: "acquire", place: place.to_string(), why }),
    }
}

impl Drop for Acquired {
    fn drop(&mut self) {
        self.client.release();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_read_back_as_written_and_malformed_ones_are_told() {
        for text in ["labgrid:desk", "labgrid:desk@lab.example:20408", "labgrid:desk@[::1]:20408"] {
            assert_eq!(Place::parse(text).expect(text).to_string(), text);
        }
        for (text, words) in [
            ("labgrid:", "no name"),
            ("labgrid:-x", "no name"),
            ("labgrid:desk@lab", "no HOST:PORT"),
            ("labgrid:desk@:20408", "no HOST:PORT"),
        ] {
            let error = Place::parse(text).expect_err(text).to_string();
            assert!(error.contains(words) && error.contains("write labgrid:PLACE"), "{error}");
        }
    }
}
