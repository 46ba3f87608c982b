//! A board that was there before the run and will be after it: examined before anything is written, its own settings
//! kept meanwhile and written back at the end.

use std::borrow::Cow;
use std::time::{Duration, SystemTime};

use esp_image::partition::{self, DATA, NVS, PartitionTable};
use virtual_time::{InFlight, Mode};

use super::{BoardChoice, RunConfig, rfc3339};
use crate::board::BoardError;
use crate::board::board::flash_session;
use crate::board::flash::{FlashAccess, Region, Written};
use crate::board::identity::PortId;
use crate::board::ports;
use crate::board::serial::Connection;
use crate::board::settings::Settings;
use crate::labgrid::{self, Acquired};
use crate::lease::{self, Holder, Lease, LeaseError, Patience};
use crate::safekeeping::Store;

/// How the board was found before the run.
pub(super) enum Attached {
    /// It may be used. Carries the MAC address under which its settings are kept, where they are.
    Ready(Option<String>),
    /// It must not be used: it is protected against what scenarios do to it.
    Unfit(String),
    /// It could not be reached, or is another board than the run is for.
    Broken(String),
}

/// Takes a board of those that would do, waiting where others hold all of them. `Ok(None)` for boards that nobody else
/// could use, and where there is no such port, which opening it will tell: the first is used then.
///
/// # Errors
///
/// See [`LeaseError`].
pub(super) fn lease(
    configs: &[&RunConfig],
    doing: &str,
    ended: &dyn Fn() -> Option<String>,
) -> Result<(usize, Option<Lease>), LeaseError> {
    let limit = configs.first().and_then(|config| config.wait_board);
    let attached = ports::attached();
    let named = configs.iter().enumerate().filter_map(|(index, config)| match &config.board {
        BoardChoice::Serial { id, .. } => Some((index, id.board(&attached)?)),
        // Emulated chips are made for each run; what runs must take turns for is the OTA server's port.
        BoardChoice::Qemu(_) => Some((index, format!("{}:{}", config.reached(), config.port))),
        BoardChoice::Virtual => None,
    });
    let (indices, boards): (Vec<usize>, Vec<String>) = named.unzip();
    let Some(limit) = limit.filter(|_| !boards.is_empty()) else { return Ok((0, None)) };
    take(&boards, doing, limit, ended).map(|(taken, lease)| (indices[taken], Some(lease)))
}

/// Acquires the place of a board that labgrid lends; the port is the place's then. All other boards are as they were.
///
/// # Errors
///
/// See [`crate::labgrid::PlaceError`], in words.
pub fn acquire(
    connection: &Connection,
    limit: Duration,
    ended: &dyn Fn() -> Option<String>,
) -> Result<(Connection, Option<Acquired>), String> {
    let PortId::Labgrid(place) = &connection.id else { return Ok((connection.clone(), None)) };
    let acquired = labgrid::acquire(place, limit, ended).map_err(|why| why.to_string())?;
    let id = PortId::Rfc2217(acquired.port.clone());
    Ok((Connection { id, ..connection.clone() }, Some(acquired)))
}

/// The same for a run.
pub(super) fn acquire_for<'c>(
    config: &'c RunConfig,
    ended: &dyn Fn() -> Option<String>,
) -> Result<(Cow<'c, RunConfig>, Option<Acquired>), String> {
    let Some(connection) = config.connection() else { return Ok((Cow::Borrowed(config), None)) };
    let limit = config.wait_board.unwrap_or_default();
    Ok(match acquire(&connection, limit, ended)? {
        (_, None) => (Cow::Borrowed(config), None),
        (Connection { id, reset, commands, probe, .. }, acquired) => {
            let name = Some(config.board_name());
            let board = BoardChoice::Serial { id, reset, commands, probe };
            (Cow::Owned(RunConfig { name, board, ..config.clone() }), acquired)
        }
    })
}

/// Takes the board on a port, waiting for whoever holds it; `None` where there is no such port, which opening it will tell.
///
/// # Errors
///
/// See [`LeaseError`].
pub fn hold(
    id: &PortId,
    doing: &str,
    limit: Duration,
    ended: &dyn Fn() -> Option<String>,
) -> Result<Option<Lease>, LeaseError> {
    let Some(board) = id.board(&ports::attached()) else { return Ok(None) };
    take(&[board], doing, limit, ended).map(|(_, lease)| Some(lease))
}

fn take(
    boards: &[String],
    doing: &str,
    limit: Duration,
    ended: &dyn Fn() -> Option<String>,
) -> Result<(usize, Lease), LeaseError> {
    let me = Holder { pid: std::process::id(), doing: doing.to_owned(), since: rfc3339(SystemTime::now()) };
    let mut waiting = |held: &[lease::Held]| {
        tracing::warn!("{}: waiting for it, {} s at most", lease::told(held), limit.as_secs());
    };
    let patience = Patience { limit, waiting: &mut waiting, ended };
    lease::acquire(&lease::default_folder(), boards, &me, patience)
}

/// Examines the board, and keeps its settings. Boards made for each scenario have none.
pub(super) fn prepare(config: &RunConfig) -> Attached {
    let Some(connection) = config.connection() else { return Attached::Ready(None) };
    let wanted = config.chip;
    let keep = config.safekeeping.is_some();
    let examined = in_session(&connection, move |session| {
        let facts = session.fitting(wanted)?;
        let settings = if keep { Some(Settings::read(session, &facts.chip, facts.mac.as_deref())?) } else { None };
        Ok(settings)
    });
    let settings = match examined {
        Ok(settings) => settings,
        Err(why @ BoardError::Secured { .. }) => return Attached::Unfit(why.to_string()),
        Err(why) => return Attached::Broken(why.to_string()),
    };
    let (Some(settings), Some(store)) = (settings, &config.safekeeping) else { return Attached::Ready(None) };
    match store.keep(&settings) {
        Ok(true) => {}
        Ok(false) => tracing::warn!(
            "{} holds settings of this board from a run that was broken off; they are kept, and written back after this \
             run",
            store.path(&settings.mac).display()
        ),
        Err(why) => return Attached::Broken(why.to_string()),
    }
    Attached::Ready(Some(settings.mac))
}

/// Writes the board's own settings back after the last scenario.
pub(super) fn finish(config: &RunConfig, attached: &Attached) -> Result<(), String> {
    let (Some(connection), Attached::Ready(Some(_)), Some(store)) =
        (config.connection(), attached, &config.safekeeping)
    else {
        return Ok(());
    };
    restore(&connection, store).map(drop).map_err(|why| {
        let how = match &config.name {
            Some(name) => format!("--board {name}"),
            None => format!("--board {} --reset {}", connection.id, connection.reset),
        };
        format!(
            "the own settings of board {} could not be written back: {why}. They are kept: `brickproof restore {how}` \
             writes them back",
            config.board_name()
        )
    })
}

/// What [`restore`] did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restored {
    /// The board's MAC address.
    pub mac: String,
    /// The partitions written back; `None` when nothing of this board was kept.
    pub labels: Option<Vec<String>>,
    /// Bytes sent, and bytes that were there already.
    pub written: Written,
}

/// Writes the kept settings of the board on a port back to it, lets it run, and forgets them.
///
/// # Errors
///
/// The board or the kept settings cannot be reached, in words.
pub fn restore(connection: &Connection, store: &Store) -> Result<Restored, String> {
    let looked_in = store.clone();
    // The store's error passes through the session as words.
    let done = in_session(connection, move |session| {
        let facts = session.facts()?;
        let mac = facts.mac.unwrap_or_default();
        let kept = match looked_in.find(&mac) {
            Ok(Some(kept)) => kept,
            Ok(None) => return Ok(Ok(Restored { mac, labels: None, written: Written::default() })),
            Err(why) => return Ok(Err(why.to_string())),
        };
        let written = kept.write_back(session)?;
        let labels = kept.regions.iter().map(|r| r.label.clone()).collect();
        Ok(Ok(Restored { mac, labels: Some(labels), written }))
    })
    .map_err(|e| e.to_string())??;
    if done.labels.is_some() {
        store.forget(&done.mac).map_err(|e| e.to_string())?;
    }
    Ok(done)
}

/// Reads a board's NVS partition, found by its own partition table, lets `work` look at it (its offset and its bytes), and
/// writes what that returns. The inner error is `work`'s: nothing was written then.
///
/// # Errors
///
/// The board does not answer, must not be written, or has no NVS partition.
pub fn with_nvs(
    connection: &Connection,
    mut work: impl FnMut(u32, Vec<u8>) -> Result<(Option<Region>, String), String> + Send + 'static,
) -> Result<Result<String, String>, String> {
    let name = connection.id.to_string();
    in_session(connection, move |session| {
        let facts = session.facts()?;
        if let Some(why) = facts.secured {
            return Err(BoardError::Secured { port: session.place().to_owned(), why });
        }
        let table = session.read(partition::OFFSET, TABLE)?;
        let found = PartitionTable::parse(&table)
            .map_err(|e| e.to_string())
            .and_then(|table| table.find(DATA, NVS).copied().ok_or_else(|| "it names no NVS partition".to_owned()));
        let nvs = match found {
            Ok(nvs) => nvs,
            Err(why) => {
                let doing = "find the NVS partition in the partition table at 0x8000".to_owned();
                return Err(BoardError::Flash { doing, port: name.clone(), why });
            }
        };
        let old = session.read(nvs.offset, nvs.size)?;
        match work(nvs.offset, old) {
            Ok((region, text)) => {
                if let Some(region) = region {
                    session.write(&[region])?;
                }
                Ok(Ok(text))
            }
            Err(why) => Ok(Err(why)),
        }
    })
    .map_err(|e| e.to_string())
}

/// Length of the partition table's sector.
const TABLE: u32 = 0x1000;

/// One flash session in a runtime of its own, after which the board runs.
fn in_session<T: Send + 'static>(
    connection: &Connection,
    work: impl FnMut(&mut dyn FlashAccess) -> Result<T, BoardError> + Send + 'static,
) -> Result<T, BoardError> {
    let failed =
        |e: std::io::Error| BoardError::Port { doing: "use", port: connection.id.to_string(), why: e.to_string() };
    virtual_time::run(Mode::Real, &InFlight::new(), async {
        let mut board = connection.open()?;
        let result = flash_session(&mut *board, work).await;
        let started = board.start().await;
        let result = result?;
        started.map(|()| result)
    })
    .map_err(failed)?
}
