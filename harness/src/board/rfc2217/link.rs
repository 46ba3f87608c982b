//! What the board's side and the bridge's thread share: orders to the server, and its confirmations.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use virtual_esp32::rfc2217::frame::{PURGE_DATA, SET_CONTROL, SET_DATASIZE, com_port};

/// How long a server may take to confirm an order.
const CONFIRM: Duration = Duration::from_secs(5);
/// PURGE-DATA: what came from the device.
const RECEIVED: u8 = 1;

/// The shared part.
#[derive(Debug)]
pub(super) struct Link {
    state: Mutex<State>,
    changed: Condvar,
    /// Written to when the thread has something to send.
    wake: OwnedFd,
}

#[derive(Debug, Default)]
pub(super) struct State {
    /// Orders not yet sent, as bytes.
    pub(super) orders: VecDeque<Vec<u8>>,
    /// Answers that somebody may wait for: command and value.
    pub(super) answers: Vec<(u8, Vec<u8>)>,
    /// The speed that the server has confirmed.
    pub(super) speed: u32,
    /// The speed set on the pty, as last seen.
    pub(super) wanted: u32,
    /// How often the thread has looked at the pty's speed.
    pub(super) looks: u64,
    /// Bytes of the device that the pty did not take yet are thrown away.
    pub(super) purge: bool,
    /// Why the connection ended.
    pub(super) lost: Option<String>,
    /// The board's side is gone.
    pub(super) closed: bool,
}

impl Link {
    pub(super) fn new(wake: OwnedFd) -> Self {
        Self { state: Mutex::default(), changed: Condvar::new(), wake }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells those who wait that something changed.
    pub(super) fn tell(&self) {
        self.changed.notify_all();
    }

    pub(super) fn lost(&self) -> Option<String> {
        self.state().lost.clone()
    }

    pub(super) fn close(&self) {
        self.state().closed = true;
        self.wake();
    }

    fn wake(&self) {
        // A full pipe wakes it as well.
        let _ = rustix::io::write(self.wake.as_fd(), &[1]);
    }

    /// Sets a modem line, and waits until the server says that it is set, or only until it is told.
    pub(super) fn control(&self, value: u8, line: &str, unconfirmed: bool) -> io::Result<()> {
        if unconfirmed {
            self.state().orders.push_back(com_port(SET_CONTROL, &[value]));
            self.wake();
            return self.wait(|state| state.orders.is_empty(), "being told of a line");
        }
        self.order(SET_CONTROL, &[value], &format!("setting {line}"))
    }

    pub(super) fn purge(&self) -> io::Result<()> {
        self.order(PURGE_DATA, &[RECEIVED], "throwing received bytes away")?;
        let mut state = self.state();
        // What the server sent before its confirmation, the thread has by now.
        state.purge = true;
        drop(state);
        self.wake();
        self.wait(|state| !state.purge, "throwing received bytes away")
    }

    /// Proves that the server is still there.
    pub(super) fn alive(&self) -> io::Result<()> {
        let mut state = self.state();
        state.answers.clear();
        state.orders.push_back(com_port(SET_DATASIZE, &[0]));
        drop(state);
        self.wake();
        self.wait(|state| state.answers.iter().any(|(command, _)| *command == SET_DATASIZE), "that it is still there")
    }

    pub(super) fn settle(&self) -> io::Result<()> {
        let looks = self.state().looks;
        self.wake();
        self.wait(|state| state.looks > looks && state.speed == state.wanted, "changing the speed")
    }

    fn order(&self, command: u8, value: &[u8], doing: &str) -> io::Result<()> {
        let mut state = self.state();
        state.answers.clear();
        state.orders.push_back(com_port(command, value));
        drop(state);
        self.wake();
        self.wait(|state| state.answers.iter().any(|(c, v)| *c == command && v == value), doing)
    }

    fn wait(&self, done: impl Fn(&State) -> bool, doing: &str) -> io::Result<()> {
        let until = Instant::now() + CONFIRM;
        let mut state = self.state();
        loop {
            if done(&state) {
                return Ok(());
            }
            if let Some(why) = &state.lost {
                return Err(io::Error::new(io::ErrorKind::ConnectionAborted, why.clone()));
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(io::Error::new(
                    io::ErrorKind::TimedOut,
                    format!(
                        "the RFC 2217 server did not confirm {doing} within {CONFIRM:?}: a port without modem lines cannot, and for esp_rfc2217_server \
                         add ?ign_set_control to the address"
                    ),
                ));
            }
            let waited = self.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}
