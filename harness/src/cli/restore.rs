//! `brickproof restore`.

use miette::Result;

use super::args::{LineArgs, RestoreArgs};
use super::out;
use super::run::one_board;
use crate::run::{self, acquire};
use crate::safekeeping::{Store, default_folder};
use crate::settings::Sources;

/// The store that the arguments name.
pub(super) fn store(line: &LineArgs) -> Store {
    Store::new(line.state.clone().unwrap_or_else(default_folder))
}

pub(super) fn restore(args: &RestoreArgs, sources: &Sources) -> Result<u8> {
    let (connection, wait) = one_board(sources, &args.board, &args.line)?;
    let id = &connection.id;
    let store = store(&args.line);
    let _lease = match run::hold(id, "restore", wait, &|| None) {
        Ok(lease) => lease,
        Err(why) => {
            out(&format!("error: {why}\n"))?;
            return Ok(3);
        }
    };
    let (connection, _place) = match acquire(&connection, wait, &|| None) {
        Ok(acquired) => acquired,
        Err(why) => {
            out(&format!("error: {why}\n"))?;
            return Ok(3);
        }
    };
    match run::restore(&connection, &store) {
        Ok(done) => {
            let text = match done.labels {
                None => format!(
                    "nothing is kept of the board on {id} (MAC address {}): no run on it was broken off\n",
                    done.mac
                ),
                Some(labels) if labels.is_empty() => {
                    format!(
                        "the board on {id} ({}) had no partition table: there was nothing to write back\n",
                        done.mac
                    )
                }
                Some(labels) => format!(
                    "wrote {} of the board on {id} ({}) back: {} bytes written, {} found unchanged\n",
                    labels.join(", "),
                    done.mac,
                    done.written.written,
                    done.written.unchanged
                ),
            };
            out(&text)?;
            Ok(0)
        }
        Err(why) => {
            out(&format!("error: {why}\n"))?;
            Ok(3)
        }
    }
}
