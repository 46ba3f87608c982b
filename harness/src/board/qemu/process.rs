//! The emulator's process, with its console and its monitor connected.
//!
//! The console's pipe and the monitor's socket are there before the emulator is: whoever listens first loses nothing. The
//! process ends with this one, however that ends.

use std::collections::VecDeque;
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;

use super::QemuError;
use super::console::{Console, Heard};
use super::qmp::{Qmp, QmpError, QmpEvent};

/// How long an emulator may take to start, to obey or to end. It takes milliseconds; a loaded machine gets more.
const PATIENCE: Duration = Duration::from_secs(60);
/// Lines of its last words that are kept.
const LINES: usize = 12;
/// Longest such line.
const LINE: u64 = 400;

/// What QEMU says of a machine that it does not have.
const NO_MACHINE: &str = "unsupported machine type";

/// What to start.
#[derive(Clone, Debug)]
pub struct Launch<'a> {
    /// The program.
    pub program: &'a Path,
    /// Its arguments.
    pub arguments: &'a [String],
    /// What the console's pipes are called, without `.in` and `.out`.
    pub console: &'a Path,
    /// The monitor's socket.
    pub monitor: &'a Path,
    /// The machine, for messages.
    pub machine: &'a str,
    /// The package that has it, for messages.
    pub package: &'static str,
}

/// What the console or the emulator itself gave.
#[derive(Debug)]
pub enum Given {
    /// So many bytes of the buffer.
    Console(usize),
    /// Something happened in the emulator.
    Event(QmpEvent),
    /// The console is closed: the emulator is at its end.
    End,
}

/// A running emulator. Dropping it kills it.
#[derive(Debug)]
pub struct Emulator {
    process: Process,
    console: Console,
    /// What the console gave while an order was under way.
    printed: Vec<u8>,
    monitor: Qmp<UnixStream>,
    /// The monitor has nothing more to tell.
    monitor_gone: bool,
}

impl Emulator {
    /// Starts it, and waits until console and monitor are connected. Its machine is paused before its first instruction.
    /// Must be called on a thread that lives as long as the emulator: the kernel kills it with that thread.
    ///
    /// # Errors
    ///
    /// It cannot be started, ends, has no such machine, or is no QEMU.
    pub async fn start(launch: Launch<'_>) -> Result<Self, QemuError> {
        let file = |doing, path: &Path, why: String| QemuError::File { doing, path: path.to_owned(), why };
        // Left by the emulator before this one.
        let _ = std::fs::remove_file(launch.monitor);
        let monitor = UnixListener::bind(launch.monitor).map_err(|e| {
            let why = format!("{e} (a socket's path has 107 bytes at most: set TMPDIR to a shorter one)");
            file("listen on", launch.monitor, why)
        })?;
        let pipes = |e: io::Error| file("make the console's pipes", launch.console, e.to_string());
        let mut console = Console::make(launch.console).map_err(pipes)?;
        let mut process = Process::spawn(&launch)?;
        let connected = tokio::select! {
            biased;
            connected = connect(&monitor) => connected,
            () = process.ended() => Err(None),
            () = tokio::time::sleep(PATIENCE) => {
                return Err(process.silent("connect its monitor and greet"));
            }
        };
        match connected {
            Ok(monitor) => {
                // It opens the console before it connects the monitor: both are made in the order of its arguments.
                if let Err(why) = console.open_input() {
                    tracing::debug!("the console's input: {why}");
                    // Only its end closes its side.
                    return Err(process.died("it was started", Some(&launch)).await);
                }
                tracing::debug!("{} is QEMU {}", process.program, monitor.version());
                Ok(Self { process, console, printed: Vec::new(), monitor, monitor_gone: false })
            }
            Err(Some(QmpError::Malformed(why))) => Err(QemuError::NoQmp { program: process.program.clone(), why }),
            Err(Some(QmpError::Refused { order, why })) => {
                Err(QemuError::Refused { program: process.program.clone(), order, why })
            }
            // Whatever broke the connection: it is at its end, and its last words tell why.
            Err(_) => Err(process.died("it was started", Some(&launch)).await),
        }
    }

    /// Gives an order.
    ///
    /// # Errors
    ///
    /// It refuses, does not answer, or has ended.
    pub async fn order(&mut self, order: &str, during: &'static str) -> Result<(), QemuError> {
        // A console that nobody reads would stop the emulator before it can obey.
        let obeyed = tokio::select! {
            biased;
            obeyed = tokio::time::timeout(PATIENCE, self.monitor.execute(order)) => obeyed,
            never = collect(&mut self.console, &mut self.printed) => match never {},
        };
        match obeyed {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(QmpError::Refused { order, why })) => {
                Err(QemuError::Refused { program: self.process.program.clone(), order, why })
            }
            Ok(Err(QmpError::Malformed(why))) => Err(QemuError::NoQmp { program: self.process.program.clone(), why }),
            Ok(Err(QmpError::Closed | QmpError::Io(_))) => Err(self.process.died(during, None).await),
            Err(_) => Err(self.process.silent(&format!("obey `{order}`"))),
        }
    }

    /// Waits for the console or an event. Safe to drop: nothing is lost.
    ///
    /// # Errors
    ///
    /// The console's pipe is full: an emulator that does not wait for room may have lost what came next.
    pub async fn next(&mut self, buffer: &mut [u8]) -> Result<Given, QemuError> {
        if !self.printed.is_empty() {
            let n = self.printed.len().min(buffer.len());
            buffer[..n].copy_from_slice(&self.printed[..n]);
            self.printed.drain(..n);
            return Ok(Given::Console(n));
        }
        loop {
            tokio::select! {
                biased;
                heard = self.console.next(buffer) => return match heard {
                    Ok(Heard::Bytes(0)) | Err(_) => Ok(Given::End),
                    Ok(Heard::Bytes(n)) => Ok(Given::Console(n)),
                    Ok(Heard::Full(waiting)) => {
                        Err(QemuError::ConsoleFull { program: self.process.program.clone(), waiting })
                    }
                },
                event = self.monitor.event(), if !self.monitor_gone => match event {
                    Ok(event) => return Ok(Given::Event(event)),
                    // The console may still hold what was printed last.
                    Err(_) => self.monitor_gone = true,
                },
            }
        }
    }

    /// Writes to the device's console input.
    ///
    /// # Errors
    ///
    /// The pipe's.
    pub async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.console.write(bytes).await
    }

    /// Stops the machine between two instructions, with all that the guest wrote in its files, and ends the process.
    /// Returns what the guest printed and nobody has read yet.
    ///
    /// # Errors
    ///
    /// It does not obey, or ended by itself before.
    pub async fn end(mut self) -> Result<Vec<u8>, QemuError> {
        const DURING: &str = "its machine was switched off";
        // QEMU completes all writes under way, and flushes them, when a machine stops.
        self.order("stop", DURING).await?;
        match self.order("quit", DURING).await {
            // It may be gone before its reply is out.
            Ok(()) | Err(QemuError::Died { .. }) => {}
            Err(why) => return Err(why),
        }
        let mut rest = std::mem::take(&mut self.printed);
        let read = async {
            // Whatever ends it: it has nothing more to give.
            while self.console.read(&mut rest).await.is_ok_and(|n| n > 0) {}
            self.process.ended().await;
        };
        if tokio::time::timeout(PATIENCE, read).await.is_err() {
            return Err(self.process.silent("end"));
        }
        let status = self.process.reap();
        if status.success() {
            return Ok(rest);
        }
        let Process { program, .. } = &self.process;
        let said = self.process.said();
        Err(QemuError::Died { program: program.clone(), during: DURING, status: status.words(), said })
    }

    /// Why it ended, which it did by itself.
    pub async fn died(&mut self, during: &'static str) -> QemuError {
        self.process.died(during, None).await
    }
}

/// Reads a console for as long as it is polled. Safe to drop: nothing is lost.
async fn collect(console: &mut Console, printed: &mut Vec<u8>) -> std::convert::Infallible {
    while console.read(printed).await.is_ok_and(|n| n > 0) {}
    // At its end, which the next reader meets, too.
    std::future::pending().await
}

/// Waits for the monitor's connection and greeting.
async fn connect(monitor: &UnixListener) -> Result<Qmp<UnixStream>, Option<QmpError>> {
    let (stream, _) = monitor.accept().await.map_err(QmpError::Io)?;
    Ok(Qmp::greeted(stream).await?)
}

/// How a process ended.
#[derive(Clone, Copy, Debug)]
struct Ended(Option<std::process::ExitStatus>);

impl Ended {
    fn success(self) -> bool {
        self.0.is_some_and(|status| status.success())
    }

    fn words(self) -> String {
        self.0.map_or_else(|| "its exit status is not known".to_owned(), |status| status.to_string())
    }
}

/// The bare process, with its last words.
#[derive(Debug)]
struct Process {
    program: String,
    child: Child,
    words: Arc<Mutex<VecDeque<String>>>,
    /// True once it has closed its stderr: it does so only by ending.
    ended: watch::Receiver<bool>,
}

impl Process {
    fn spawn(launch: &Launch<'_>) -> Result<Self, QemuError> {
        let program = launch.program.display().to_string();
        let failed = |why: String| QemuError::Start { program: program.clone(), why };
        let mut command = Command::new(launch.program);
        command.args(launch.arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        // Ctrl-C on a terminal is for this process, which ends its emulators in order.
        command.process_group(0);
        die_with_parent(&mut command);
        tracing::debug!("starting {program} {}", launch.arguments.join(" "));
        let mut child = command.spawn().map_err(|e| failed(e.to_string()))?;
        let (tell, ended) = watch::channel(false);
        let words: Arc<Mutex<VecDeque<String>>> = Arc::default();
        if let Some(stderr) = child.stderr.take() {
            let words = Arc::clone(&words);
            let thread = std::thread::Builder::new().name("emulator's stderr".to_owned());
            let listening = thread.spawn(move || {
                listen(stderr, &words);
                // Nobody may be left to hear of it.
                let _ = tell.send(true);
            });
            if let Err(e) = listening {
                // It never ran: nobody else knows of it.
                let _ = child.kill();
                let _ = child.wait();
                return Err(failed(format!("cannot make a thread for its stderr: {e}")));
            }
        }
        Ok(Self { program, child, words, ended })
    }

    /// Waits until it has ended. Safe to drop.
    async fn ended(&mut self) {
        // The sender goes only after it has told.
        let _ = self.ended.wait_for(|ended| *ended).await;
    }

    /// Its exit status, after it has ended.
    fn reap(&mut self) -> Ended {
        // Of a process that has ended this changes nothing; one that only closed its stderr must not be waited for.
        let _ = self.child.kill();
        Ended(self.child.wait().ok())
    }

    /// Its last words with what leads up to them; nothing where it said nothing.
    fn said(&self) -> String {
        let words = self.words.lock().unwrap_or_else(PoisonError::into_inner);
        let lines: Vec<&str> = words.iter().map(String::as_str).collect();
        if lines.is_empty() { String::new() } else { format!("; its last words: {}", lines.join(" | ")) }
    }

    fn silent(&self, what: &str) -> QemuError {
        let (program, what) = (self.program.clone(), what.to_owned());
        QemuError::Silent { program, what, within: PATIENCE, said: self.said() }
    }

    /// Why it ended, which it does just now.
    async fn died(&mut self, during: &'static str, launch: Option<&Launch<'_>>) -> QemuError {
        if tokio::time::timeout(PATIENCE, self.ended()).await.is_err() {
            return self.silent("end, though it closed its console");
        }
        let status = self.reap().words();
        let program = self.program.clone();
        let no_machine = {
            let words = self.words.lock().unwrap_or_else(PoisonError::into_inner);
            words.iter().find(|line| line.contains(NO_MACHINE)).cloned()
        };
        match (no_machine, launch) {
            (Some(said), Some(launch)) => {
                let (machine, package) = (launch.machine.to_owned(), launch.package);
                QemuError::NotEspressif { program, machine, said, package }
            }
            _ => QemuError::Died { program, during, status, said: self.said() },
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended before; then it is only taken off the kernel's list.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Keeps the last lines, until the end.
fn listen(stderr: ChildStderr, words: &Mutex<VecDeque<String>>) {
    let mut stderr = BufReader::new(stderr);
    loop {
        let mut line = Vec::new();
        match (&mut stderr).take(LINE).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        let line: String =
            String::from_utf8_lossy(&line).trim_end().chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        if line.is_empty() {
            continue;
        }
        tracing::debug!("emulator: {line}");
        let mut words = words.lock().unwrap_or_else(PoisonError::into_inner);
        if words.len() == LINES {
            words.pop_front();
        }
        words.push_back(line);
    }
}

/// Lets the kernel kill the process when the thread that starts it ends: also where this process is killed and can do
/// nothing more.
#[expect(unsafe_code, reason = "only between fork and exec can a process ask for this of itself")]
fn die_with_parent(command: &mut Command) {
    use rustix::process::{Signal, getpid, getppid, set_parent_process_death_signal};
    let parent = getpid();
    // SAFETY: the closure makes two system calls and touches no memory but its own copy of a number: it neither
    // allocates nor takes a lock, as is asked of what runs between fork and exec.
    unsafe {
        command.pre_exec(move || {
            set_parent_process_death_signal(Some(Signal::KILL))?;
            // The parent may have died before it was asked for.
            if getppid() == Some(parent) { Ok(()) } else { Err(io::ErrorKind::NotConnected.into()) }
        });
    }
}
