//! labgrid's client program.

use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::words::{exported, last_line};
use super::{Place, PlaceError};
use crate::board::rfc2217::Address;

/// How long the client may take: it talks to the coordinator, and the exporter starts a server.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often it is looked at.
const LOOK: Duration = Duration::from_millis(10);

/// The client, for one place.
#[derive(Debug)]
pub(super) struct Client {
    program: String,
    place: Place,
}

/// What an order came to.
pub(super) struct Answer {
    pub(super) done: bool,
    pub(super) words: String,
}

impl Client {
    pub(super) fn new(place: &Place) -> Self {
        let named = std::env::var("BRICKPROOF_LABGRID_CLIENT").ok().filter(|name| !name.is_empty());
        Self { program: named.unwrap_or_else(|| "labgrid-client".to_owned()), place: place.clone() }
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        if let Some(coordinator) = &self.place.coordinator {
            command.args(["-x", coordinator]);
        }
        // A project of its own here would choose places and drivers of its own.
        command.env_remove("LG_ENV").env_remove("LG_PLACE").stdin(Stdio::null());
        command
    }

    fn no_client(&self, why: &std::io::Error) -> PlaceError {
        PlaceError::NoClient { program: self.program.clone(), place: self.place.to_string(), why: why.to_string() }
    }

    fn refused(&self, doing: &'static str, why: impl ToString) -> PlaceError {
        PlaceError::Refused { doing, place: self.place.to_string(), why: why.to_string() }
    }

    /// Carries an order out on the place.
    pub(super) fn run(&self, order: &[&str]) -> Result<Answer, PlaceError> {
        let mut said = tempfile::tempfile().map_err(|e| self.refused("reach", e))?;
        let errors = said.try_clone().map_err(|e| self.refused("reach", e))?;
        let mut command = self.command();
        command.args(["-p", &self.place.name]).args(order).stdout(Stdio::null()).stderr(errors);
        let mut child = command.spawn().map_err(|e| self.no_client(&e))?;
        let begun = Instant::now();
        let status = loop {
            match child.try_wait().map_err(|e| self.refused("reach", e))? {
                Some(status) => break status,
                None if begun.elapsed() > PATIENCE => {
                    end(&mut child);
                    return Err(self.refused("reach", format!("{} did not end within {PATIENCE:?}", self.program)));
                }
                None => std::thread::sleep(LOOK),
            }
        };
        let mut words = String::new();
        // What cannot be read says nothing.
        let _ = said.seek(SeekFrom::Start(0)).and_then(|_| said.read_to_string(&mut words));
        Ok(Answer { done: status.success(), words })
    }

    /// The serial port of an acquired place.
    pub(super) fn serial_port(&self) -> Result<Address, PlaceError> {
        let folder = tempfile::tempdir().map_err(|e| self.refused("find the serial port of", e))?;
        let (environment, export) = (folder.path().join("env.yaml"), folder.path().join("export.json"));
        // A text in JSON is one in YAML.
        let name = serde_json::Value::from(self.place.name.as_str());
        let text = format!(
            "targets:\n  main:\n    resources:\n      RemotePlace:\n        name: {name}\n    drivers:\n      SerialDriver: {{}}\n"
        );
        std::fs::write(&environment, text).map_err(|e| self.refused("find the serial port of", e))?;
        let mut command = self.command();
        command.arg("-c").arg(&environment).args(["export", "--format", "json"]).arg(&export);
        let errors = tempfile::NamedTempFile::new_in(&folder).and_then(|file| Ok((file.reopen()?, file)));
        let (errors, said) = errors.map_err(|e| self.refused("find the serial port of", e))?;
        let child = command.stdout(Stdio::null()).stderr(errors).spawn();
        let mut child = child.map_err(|e| self.no_client(&e))?;
        let told = exported_to(&mut child, &export, said.path());
        end(&mut child);
        let json = told.map_err(|why| self.refused("find the serial port of", why))?;
        exported(&json).map_err(|why| self.refused("use", why))
    }

    /// Gives the place back. What goes wrong is logged: there is nothing else to be done.
    pub(super) fn release(&self) {
        let why = match self.run(&["release"]) {
            Ok(answer) if answer.done => return,
            Ok(answer) => last_line(&answer.words),
            Err(why) => why.to_string(),
        };
        let Place { name, .. } = &self.place;
        tracing::warn!("{} was not released: {why}; `labgrid-client -p {name} release` does it", self.place);
    }
}

/// Waits until the client has written the file whole; it goes on running then, until it is ended.
fn exported_to(child: &mut Child, file: &Path, said: &Path) -> Result<String, String> {
    let begun = Instant::now();
    loop {
        // A part of an object is none.
        let text = std::fs::read_to_string(file).unwrap_or_default();
        if serde_json::from_str::<serde_json::Value>(&text).is_ok() {
            return Ok(text);
        }
        let ended = child.try_wait().map_err(|e| e.to_string())?.is_some();
        if ended || begun.elapsed() > PATIENCE {
            // What cannot be read says nothing.
            return Err(last_line(&std::fs::read_to_string(said).unwrap_or_default()));
        }
        std::thread::sleep(LOOK);
    }
}

fn end(child: &mut Child) {
    // It may have ended by itself.
    let _ = child.kill();
    let _ = child.wait();
}
