//! Debug probes: what JTAG tells of a chip that its console does not, by probe-rs.
//!
//! A board with a probe is a board on a serial port all the same: the port is its identity and lease. Its probe inspects
//! it, and on request flashes it and reads its console by RTT. Probe support is the cargo feature `probe`; without it
//! everything here that needs a probe says so, and settings are still understood.

mod attached;
mod board;
#[cfg(any(test, feature = "probe"))]
mod fuses;
#[cfg_attr(not(feature = "probe"), path = "absent.rs")]
mod handle;
mod settings;
#[cfg(any(test, feature = "probe"))]
mod stack;

#[cfg(feature = "probe")]
mod flash;
#[cfg(feature = "probe")]
mod inspect;
#[cfg(feature = "probe")]
mod rtt;
#[cfg(feature = "probe")]
mod wired;

#[cfg(all(test, feature = "probe"))]
mod fake_chip;
#[cfg(all(test, feature = "probe"))]
mod tests;

pub use attached::{AttachedProbe, attached};
pub use board::{ByProbe, ProbedBoard};
pub use handle::Probe;
pub use settings::{ProbeLayer, ProbeSelector, ProbeSettings};

/// What is said where this program was built without probe support.
pub const UNSUPPORTED: &str =
    "this brickproof was built without probe support; build it with `cargo install --path harness --features probe`";

/// What a console read by RTT gave.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(not(feature = "probe"), expect(dead_code, reason = "nothing is read without probe support"))]
enum RttRead {
    /// So many bytes of the buffer.
    Bytes(usize),
    /// Something that a reader must know.
    Note(String),
}
