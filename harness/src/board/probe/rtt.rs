//! The console by RTT: the first up-channel of a control block in the chip's memory, read while the firmware runs.

use std::sync::Arc;
use std::time::Duration;

use probe_rs::Core;
use probe_rs::rtt::{Error, Rtt, ScanRegion};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::handle::Shared;
use super::wired::{HALT, Wired};
use crate::board::BoardError;

/// How often the channel is looked at. SEGGER's default buffer of 1 KiB fills in 10 ms at some 100 kB/s.
const LOOK: Duration = Duration::from_millis(5);
/// How often a control block is looked for: firmware makes it some time after it has started.
const SEARCH: Duration = Duration::from_millis(100);

/// Where the instruction bus begins in an ESP32, S3 and C3 (their technical reference manuals, "System and Memory").
const INSTRUCTION_BUS: u64 = 0x4000_0000;

/// What the channel gave.
pub(super) enum Read {
    /// Bytes.
    Bytes(Vec<u8>),
    /// Something that a reader must know.
    Note(String),
}

type Reads = UnboundedSender<Result<Read, BoardError>>;

/// Reads the console on a thread of its own, until nobody wants to know, or it fails.
pub(super) fn listen(shared: &Arc<Shared>) -> UnboundedReceiver<Result<Read, BoardError>> {
    let (reads, received) = unbounded_channel();
    let shared = Arc::clone(shared);
    // Not a task of the run: it blocks, and ends with the run's last receiver.
    std::thread::spawn(move || {
        if let Err(error) = follow(&shared, &reads) {
            // Nobody may want to know.
            let _ = reads.send(Err(error));
        }
    });
    received
}

fn follow(shared: &Shared, reads: &Reads) -> Result<(), BoardError> {
    let mut found: Option<Rtt> = None;
    let mut silent = false;
    loop {
        let Some(read) = shared.while_wanted(|| !reads.is_closed(), |wired| look(wired, &mut found)) else {
            return Ok(());
        };
        match read {
            Ok(Some(bytes)) if bytes.is_empty() => std::thread::sleep(LOOK),
            Ok(Some(bytes)) => drop(reads.send(Ok(Read::Bytes(bytes)))),
            Ok(None) => std::thread::sleep(SEARCH),
            // A reset of the chip looks like this too: it is attached to anew, once.
            Err(error) if silent => return Err(error),
            Err(error) => {
                silent = true;
                found = None;
                shared.detach();
                let note = format!(
                    "RTT was lost, and is looked for again; what the device said meanwhile may be lost: {error}"
                );
                drop(reads.send(Ok(Read::Note(note))));
                continue;
            }
        }
        silent = false;
    }
}

/// Takes control blocks out of the memory of a chip that is about to be reset, and leaves it halted: found after the reset, one would
/// give what was said before it.
pub(super) fn forget(wired: &mut Wired) -> Result<(), BoardError> {
    let forget = |core: &mut Core<'_>| -> Result<(), Error> {
        core.halt(HALT)?;
        let memory = data_memory(core);
        Rtt::clear_control_block(core, &memory)
    };
    let forgotten = wired.session.core(0).map_err(Error::from).and_then(|mut core| forget(&mut core));
    forgotten.map_err(|e| wired.failed("clear what is left of an RTT console through", &e))
}

/// What the first up-channel holds; `None` where there is no control block yet.
fn look(wired: &mut Wired, found: &mut Option<Rtt>) -> Result<Option<Vec<u8>>, BoardError> {
    let probe = wired.probe.clone();
    let failed = |e: &dyn std::fmt::Display| BoardError::Probe {
        doing: "read the console by RTT through".to_owned(),
        probe: probe.clone(),
        why: e.to_string(),
    };
    let mut core = wired.session.core(0).map_err(|e| failed(&e))?;
    let memory = data_memory(&core);
    let rtt = match found {
        Some(rtt) => rtt,
        None => match Rtt::attach_region(&mut core, &memory) {
            Ok(rtt) => found.insert(rtt),
            Err(Error::ControlBlockNotFound | Error::ControlBlockCorrupted(_)) => return Ok(None),
            Err(e) => return Err(failed(&e)),
        },
    };
    let channel = rtt.up_channel(0).ok_or_else(|| failed(&"the firmware's RTT has no up-channel"))?;
    let mut buffer = [0; 4096];
    match channel.read(&mut core, &mut buffer) {
        Ok(n) => Ok(Some(buffer[..n].to_vec())),
        // The chip was reset: its memory is another's now.
        Err(Error::ControlBlockCorrupted(_) | Error::ReadPointerChanged) => {
            *found = None;
            Ok(None)
        }
        Err(e) => Err(failed(&e)),
    }
}

/// The chip's memory as its data bus sees it. Its instruction bus shows most of it again, and a control block found twice
/// is none to probe-rs.
fn data_memory(core: &Core<'_>) -> ScanRegion {
    let memory = core.memory_regions().filter_map(|region| region.as_ram_region());
    ScanRegion::Ranges(
        memory.map(|region| region.range.clone()).filter(|range| range.start < INSTRUCTION_BUS).collect(),
    )
}
