//! An emulated chip as a board.

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use esp_image::chip::ChipId;
use tempfile::TempDir;

use super::command_line::{self, Files};
use super::process::{Emulator, Given, Launch};
use super::qmp::QmpEvent;
use super::settings::{self, QemuSettings};
use super::{QemuError, efuse};
use crate::board::BoardError;
use crate::board::board::{Board, FlashWork, Heard};
use crate::board::file_flash::FileFlash;

/// An emulated chip. Its flash, its fuses, its pipes and its socket are files of a private folder, which goes with it.
#[derive(Debug)]
pub struct QemuBoard {
    place: String,
    chip: ChipId,
    settings: QemuSettings,
    program: PathBuf,
    folder: TempDir,
    /// The running machine; none while there is no power, or while its flash is worked on.
    emulator: Option<Emulator>,
    powered: bool,
    held: bool,
    /// The console is wanted.
    attached: bool,
    /// What the guest printed before its machine was switched off, and nobody has read yet.
    rest: Vec<u8>,
}

impl QemuBoard {
    /// A chip with an erased flash of `flash_size` bytes and fuses as the settings say, held in reset. Nothing is started.
    ///
    /// # Errors
    ///
    /// The emulator is not there, the settings contradict themselves, or the files cannot be made.
    pub fn new(chip: ChipId, settings: QemuSettings, flash_size: u32) -> Result<Self, QemuError> {
        settings.check(chip)?;
        let path = std::env::var_os("PATH");
        let program = settings::find(&settings.program(chip), path.as_deref(), chip)?;
        let failed = |doing, path: &Path, e: std::io::Error| QemuError::File {
            doing,
            path: path.to_owned(),
            why: e.to_string(),
        };
        let made = tempfile::Builder::new().prefix("brickproof-qemu-").tempdir();
        let folder = made.map_err(|e| failed("make a folder in", &std::env::temp_dir(), e))?;
        let fuses = match &settings.efuse {
            Some(file) => std::fs::read(file).map_err(|e| failed("read the efuse file", file, e))?,
            None => efuse::unfused(chip),
        };
        if fuses.len() < efuse::length(chip) {
            let why = format!("the efuse file has {} bytes, the chip has {}", fuses.len(), efuse::length(chip));
            return Err(QemuError::Settings { chip: chip.to_string(), why });
        }
        let board = Self {
            place: format!("the emulated {chip} ({})", program.display()),
            chip,
            settings,
            program,
            folder,
            emulator: None,
            powered: true,
            held: true,
            attached: false,
            rest: Vec::new(),
        };
        let (flash, efuse) = (board.flash(), board.efuse());
        FileFlash::create_erased(&flash, flash_size).map_err(|e| failed("make the flash file", &flash, e))?;
        std::fs::write(&efuse, fuses).map_err(|e| failed("make the efuse file", &efuse, e))?;
        Ok(board)
    }

    fn flash(&self) -> PathBuf {
        self.folder.path().join("flash.bin")
    }

    fn efuse(&self) -> PathBuf {
        self.folder.path().join("efuse.bin")
    }

    /// Starts a machine that boots from flash.
    async fn switch_on(&mut self) -> Result<(), BoardError> {
        let folder = self.folder.path();
        let (flash, efuse) = (self.flash(), self.efuse());
        let (console, monitor) = (folder.join("console"), folder.join("monitor"));
        let files = Files { flash: &flash, efuse: &efuse, console: &console, monitor: &monitor };
        let arguments = command_line::arguments(self.chip, &self.settings, files);
        let launch = Launch {
            program: &self.program,
            arguments: &arguments,
            console: &console,
            monitor: &monitor,
            machine: self.chip.name(),
            package: settings::package(self.chip),
        };
        let mut emulator = Emulator::start(launch).await?;
        emulator.order("cont", "it was started").await?;
        self.emulator = Some(emulator);
        Ok(())
    }

    /// Ends the machine: RTC memory is gone, what the guest wrote to flash is in the file.
    async fn switch_off(&mut self) -> Result<(), BoardError> {
        if let Some(emulator) = self.emulator.take() {
            self.rest.extend(emulator.end().await?);
        }
        Ok(())
    }
}

/// What a reader of the timeline must know of an emulator's events. Those that follow from orders, and the guest's own
/// resets, which the console tells, are not among them.
fn worth_telling(event: &QmpEvent) -> Option<String> {
    let known =
        matches!(&*event.name, "STOP" | "RESUME" | "RESET" | "POWERDOWN" | "RTC_CHANGE" | "NIC_RX_FILTER_CHANGED");
    if known || (event.name == "SHUTDOWN" && !event.guest) {
        return None;
    }
    let reason = event.reason.as_ref().map(|reason| format!(" ({reason})")).unwrap_or_default();
    Some(format!("the emulator tells {}{reason}", event.name))
}

#[async_trait(?Send)]
impl Board for QemuBoard {
    fn place(&self) -> &str {
        &self.place
    }

    fn has_power(&self) -> bool {
        true
    }

    /// The machine is off meanwhile.
    async fn with_flash(&mut self, mut work: FlashWork) -> Result<(), BoardError> {
        self.switch_off().await?;
        self.held = true;
        // The console is let go: nothing of an earlier boot is taken for one with the new flash.
        self.rest.clear();
        let (flash, efuse, chip) = (self.flash(), self.efuse(), self.chip);
        let working = tokio::task::spawn_blocking(move || {
            let fuses = std::fs::read(&efuse);
            let fuses = fuses.map_err(|e| QemuError::File { doing: "read", path: efuse, why: e.to_string() })?;
            let mut flash = FileFlash::open(&flash, chip, efuse::protection(chip, &fuses))?;
            work(&mut flash)
        });
        working.await.map_err(|panicked| BoardError::FlashFile {
            doing: "work on it".to_owned(),
            path: self.flash().display().to_string(),
            why: panicked.to_string(),
        })?
    }

    async fn start(&mut self) -> Result<(), BoardError> {
        let was_held = std::mem::replace(&mut self.held, false);
        self.attached = true;
        if !self.powered {
            return Ok(());
        }
        let Some(emulator) = &mut self.emulator else { return self.switch_on().await };
        emulator.order("system_reset", "it was reset").await?;
        if was_held {
            emulator.order("cont", "it was reset").await?;
        }
        Ok(())
    }

    /// The machine is paused; whatever lets it go resets it first.
    async fn hold(&mut self) -> Result<(), BoardError> {
        if !std::mem::replace(&mut self.held, true)
            && let Some(emulator) = &mut self.emulator
        {
            emulator.order("stop", "it was held in reset").await?;
        }
        Ok(())
    }

    async fn power(&mut self, on: bool) -> Result<(), BoardError> {
        if !on {
            self.powered = false;
            return self.switch_off().await;
        }
        if !std::mem::replace(&mut self.powered, true) && !self.held {
            self.switch_on().await?;
        }
        Ok(())
    }

    async fn read_console(&mut self, buffer: &mut [u8]) -> Result<Heard, BoardError> {
        if !self.attached {
            return std::future::pending().await;
        }
        if !self.rest.is_empty() {
            let n = self.rest.len().min(buffer.len());
            for (place, byte) in buffer.iter_mut().zip(self.rest.drain(..n)) {
                *place = byte;
            }
            return Ok(Heard::Bytes(n));
        }
        let Some(emulator) = &mut self.emulator else { return std::future::pending().await };
        loop {
            match emulator.next(buffer).await? {
                Given::Console(n) => return Ok(Heard::Bytes(n)),
                Given::Event(event) => {
                    if let Some(words) = worth_telling(&event) {
                        return Ok(Heard::Note(words));
                    }
                }
                Given::End => return Err(emulator.died("a scenario ran").await.into()),
            }
        }
    }

    async fn write_console(&mut self, bytes: &[u8]) -> Result<(), BoardError> {
        let place = self.place.clone();
        let failed = |why: String| BoardError::Port { doing: "write to the console of", port: place, why };
        match &mut self.emulator {
            Some(emulator) => emulator.write(bytes).await.map_err(|e| failed(e.to_string())),
            None => Err(failed("its machine is off".to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(name: &str, reason: Option<&str>, guest: bool) -> QmpEvent {
        QmpEvent { name: name.to_owned(), reason: reason.map(str::to_owned), guest }
    }

    #[test]
    fn what_follows_from_orders_is_not_told_and_what_the_emulator_does_by_itself_is() {
        for silent in [event("STOP", None, false), event("SHUTDOWN", Some("host-qmp-quit"), false)] {
            assert_eq!(worth_telling(&silent), None);
        }
        assert_eq!(worth_telling(&event("RESET", Some("guest-reset"), true)), None, "the console tells it");
        let told = worth_telling(&event("SHUTDOWN", Some("guest-panic"), true));
        assert_eq!(told.as_deref(), Some("the emulator tells SHUTDOWN (guest-panic)"));
        let told = worth_telling(&event("WATCHDOG", Some("reset"), false));
        assert_eq!(told.as_deref(), Some("the emulator tells WATCHDOG (reset)"));
    }

    #[test]
    fn efuse_file_that_is_too_short_is_refused() {
        let folder = tempfile::tempdir().expect("folder");
        let efuse = folder.path().join("fuses.bin");
        std::fs::write(&efuse, [0; 100]).expect("file");
        // Any program will do: nothing is started.
        let program = Some(std::env::current_exe().expect("this one"));
        let settings = QemuSettings { program, efuse: Some(efuse), ..QemuSettings::default() };
        let error = QemuBoard::new(ChipId::Esp32, settings, 2 << 20).expect_err("short").to_string();
        assert!(error.contains("has 100 bytes, the chip has 124"), "{error}");
    }

    #[test]
    fn folder_of_the_board_goes_with_it() {
        let program = Some(std::env::current_exe().expect("this one"));
        let settings = QemuSettings { program, ..QemuSettings::default() };
        let board = QemuBoard::new(ChipId::Esp32C3, settings, 2 << 20).expect("made");
        let folder = board.folder.path().to_owned();
        assert_eq!(std::fs::metadata(folder.join("flash.bin")).expect("flash").len(), 2 << 20);
        assert_eq!(std::fs::read(folder.join("efuse.bin")).expect("fuses"), efuse::unfused(ChipId::Esp32C3));
        drop(board);
        assert!(!folder.exists());
    }
}
