//! A PostgreSQL server of a test's own: in a temporary folder, on a socket there, ended with it.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

/// The user that a server runs as where the test is root, as which none runs: nobody.
const USER: u32 = 65534;

pub(crate) struct Postgres {
    folder: tempfile::TempDir,
    server: Option<Child>,
}

impl Postgres {
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().expect("folder");
        if rustix::process::geteuid().is_root() {
            chown(folder.path(), Some(USER), Some(USER)).expect("given away");
        }
        let mut postgres = Self { folder, server: None };
        let made = postgres
            .program("initdb")
            .args(["--no-sync", "--auth=trust", "--username=brickproof", "--encoding=UTF8", "--locale=C", "-D"])
            .arg(postgres.data())
            .output()
            .expect("initdb runs");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        postgres.start_again();
        postgres
    }

    /// Starts it, and returns when it takes connections.
    pub(crate) fn start_again(&mut self) {
        let mut server = self
            .program("postgres")
            .arg("-D")
            .arg(self.data())
            .arg("-k")
            .arg(self.folder.path())
            // No port at all: the socket is in the folder.
            .args(["-c", "listen_addresses=", "-c", "fsync=off", "-c", "max_connections=20"])
            .stderr(Stdio::piped())
            .spawn()
            .expect("postgres starts");
        let mut said = BufReader::new(server.stderr.take().expect("stderr"));
        self.server = Some(server);
        let mut line = String::new();
        while !line.contains("ready to accept connections") {
            line.clear();
            assert_ne!(said.read_line(&mut line).expect("what it says"), 0, "postgres ended before it was ready");
        }
        // What it says later is read to nowhere, lest it waits for a reader.
        std::thread::spawn(move || std::io::copy(&mut said, &mut std::io::sink()));
    }

    /// Ends it without a word to its clients, as a crash does.
    pub(crate) fn vanish(&mut self) {
        let Some(mut server) = self.server.take() else { return };
        if let Some(id) = i32::try_from(server.id()).ok().and_then(Pid::from_raw) {
            // Immediate shutdown (PostgreSQL documentation, "Shutting Down the Server").
            let _ = kill_process(id, Signal::QUIT);
        }
        server.wait().expect("it ends");
    }

    /// Its URL, with a password that no test may see again.
    pub(crate) fn url(&self) -> String {
        let host: String =
            url::form_urlencoded::byte_serialize(self.folder.path().to_str().expect("UTF-8").as_bytes()).collect();
        format!("postgres://brickproof:{PASSWORD}@localhost/postgres?host={host}")
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn program(&self, name: &str) -> Command {
        let program = outside_tools::program(name);
        // The kernel ends it with this thread, however suddenly a test is ended.
        let mut command = Command::new("setpriv");
        command.arg("--pdeathsig=QUIT");
        if rustix::process::geteuid().is_root() {
            command.args([format!("--reuid={USER}"), format!("--regid={USER}"), "--clear-groups".to_owned()]);
        }
        command.arg(real(&program)).current_dir(self.folder.path()).stdin(Stdio::null());
        command
    }
}

/// postgres looks for its other files beside where it is, whatever link it is called by.
fn real(program: &Path) -> PathBuf {
    std::fs::canonicalize(program).expect("a program")
}

/// Trust asks for none; it is in the URL to be looked for in what is said.
pub(crate) const PASSWORD: &str = "kept-to-itself";

impl Drop for Postgres {
    fn drop(&mut self) {
        self.vanish();
    }
}
