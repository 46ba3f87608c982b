//! Timelines compared: what a device and a server did, in which order, and when.
//!
//! How many bytes one read of a TCP socket gives is the kernel's choice (its buffers grow by real time), and each read
//! costs device time in steps of the timer: in a download stamps may differ by some milliseconds, and with them what
//! progress lines say. So these lines are left out, as are bytes that a connection's end leaves in buffers.

use brickproof::timeline::{DeviceEvent, Event, EventKind};
use ota_server::event::ServerEvent;

/// Stamps may be so far apart; a retry waits twenty times as long at the least.
const APART_NS: u64 = 500_000_000;

/// Stamp and words of each event.
type Told = Vec<(u64, String)>;

/// What the device and the server did.
pub(crate) fn told(events: &[Event]) -> (Told, Told) {
    let device = events.iter().filter_map(|e| match &e.kind {
        EventKind::Device { event: DeviceEvent::Progress { .. } | DeviceEvent::Resources { .. }, .. } => None,
        EventKind::Device { event, .. } => Some((e.at_ns, format!("{event:?}"))),
        _ => None,
    });
    let server = events.iter().filter_map(|e| match &e.kind {
        EventKind::Server(ServerEvent::Accepted { connection, port, .. }) => {
            Some((e.at_ns, format!("connection {connection} on {port}")))
        }
        EventKind::Server(ServerEvent::Request { connection, method, path, purpose, .. }) => {
            Some((e.at_ns, format!("connection {connection}: {method} {path} {purpose:?}")))
        }
        EventKind::Server(event @ (ServerEvent::FaultFired { .. } | ServerEvent::PlanChanged { .. })) => {
            Some((e.at_ns, format!("{event:?}")))
        }
        _ => None,
    });
    (device.collect(), server.collect())
}

/// Whether two timelines tell the same.
pub(crate) fn difference(one: &[Event], other: &[Event]) -> Option<String> {
    let ((device_a, server_a), (device_b, server_b)) = (told(one), told(other));
    for (a, b) in [(device_a, device_b), (server_a, server_b)] {
        if a.len() != b.len() {
            return Some(format!("{} events and {}: {:?} {:?}", a.len(), b.len(), a.last(), b.last()));
        }
        for (a, b) in a.iter().zip(&b) {
            if a.1 != b.1 || a.0.abs_diff(b.0) > APART_NS {
                return Some(format!("{a:?} is not {b:?}"));
            }
        }
    }
    None
}
