//! What a user may say of an emulated board, and what holds where nothing is said.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use esp_image::chip::ChipId;
use ota_server::units::ByteSize;
use schemars::JsonSchema;
use serde::Deserialize;

use super::QemuError;

/// This host's address in QEMU's user-mode network, where nothing else is said.
pub const DEFAULT_HOST: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 2);
/// The network card that Espressif's machines have and ESP-IDF has a driver for (`CONFIG_ETH_USE_OPENETH`).
pub const DEFAULT_NETWORK: &str = "open_eth";

/// An emulated board.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct QemuSettings {
    /// The emulator: a path, or a name that is looked for on PATH; `qemu-system-xtensa` or `qemu-system-riscv32` unless
    /// given, as the chip asks for.
    pub program: Option<PathBuf>,
    /// Size of the flash: 2MiB, 4MiB, 8MiB or 16MiB; the smallest that fits the image unless given.
    pub flash_size: Option<ByteSize>,
    /// A file with the chip's fuses. It is copied for each scenario, and what is burnt is gone with the copy. Unless given
    /// the chip is unfused, of the revision that `idf.py qemu` makes.
    pub efuse: Option<PathBuf>,
    /// Whether the timer groups' watchdogs bite; they do unless this is false.
    pub watchdogs: Option<bool>,
    /// This host's address, as the device sees it; 10.0.2.2 unless given. Its network is the /24 around it.
    pub host: Option<Ipv4Addr>,
    /// Model of the network card; open_eth unless given.
    pub network: Option<String>,
    /// Size of the PSRAM: 2MiB or 4MiB on the ESP32, 2MiB to 32MiB on the ESP32-S3; there is none unless given.
    pub psram: Option<ByteSize>,
    /// Whether the PSRAM is octal (ESP32-S3); it is not unless this is true.
    pub octal_psram: Option<bool>,
    /// More arguments for the emulator, after all others.
    pub arguments: Option<Vec<String>>,
}

impl QemuSettings {
    /// These, and what `lower` says where these say nothing.
    #[must_use]
    pub fn over(self, lower: Self) -> Self {
        Self {
            program: self.program.or(lower.program),
            flash_size: self.flash_size.or(lower.flash_size),
            efuse: self.efuse.or(lower.efuse),
            watchdogs: self.watchdogs.or(lower.watchdogs),
            host: self.host.or(lower.host),
            network: self.network.or(lower.network),
            psram: self.psram.or(lower.psram),
            octal_psram: self.octal_psram.or(lower.octal_psram),
            arguments: self.arguments.or(lower.arguments),
        }
    }

    /// Paths made relative to the folder of the file that holds them. A program's bare name stays one: it is on PATH.
    #[must_use]
    pub fn in_folder(mut self, folder: &Path) -> Self {
        self.efuse = self.efuse.map(|path| folder.join(path));
        self.program = self.program.map(|path| if is_bare(&path) { path } else { folder.join(path) });
        self
    }

    /// The emulator's name or path.
    #[must_use]
    pub fn program(&self, chip: ChipId) -> PathBuf {
        self.program.clone().unwrap_or_else(|| default_program(chip).into())
    }

    /// This host's address, as the device sees it.
    #[must_use]
    pub fn host(&self) -> Ipv4Addr {
        self.host.unwrap_or(DEFAULT_HOST)
    }

    /// Checks what can be checked without starting anything.
    ///
    /// # Errors
    ///
    /// What cannot be, and what there is.
    pub fn check(&self, chip: ChipId) -> Result<(), QemuError> {
        let refused = |why: String| QemuError::Settings { chip: chip.to_string(), why };
        if let Some(size) = self.flash_size
            && !super::flash_size::SIZES.contains(&size.0)
        {
            return Err(refused(format!("flash-size is {size}; its machine takes 2MiB, 4MiB, 8MiB or 16MiB")));
        }
        if let Some(size) = self.psram
            && !psram_sizes(chip).contains(&(size.0 >> 20))
        {
            let there = match psram_sizes(chip) {
                [] => "its machine has none".to_owned(),
                sizes => {
                    let sizes: Vec<_> = sizes.iter().map(|n| format!("{n}MiB")).collect();
                    format!("its machine takes {}", sizes.join(", "))
                }
            };
            return Err(refused(format!("psram is {size}; {there}")));
        }
        if self.octal_psram == Some(true) && (chip != ChipId::Esp32S3 || self.psram.is_none()) {
            return Err(refused("octal-psram is for an ESP32-S3 with psram".to_owned()));
        }
        let host = self.host();
        // The network is its /24. QEMU's own name server is .3 of it, its DHCP server gives out 16 addresses from .15 on
        // (QEMU's documentation of `-netdev user`).
        if let [.., last @ (0 | 3 | 15..=30 | 255)] = host.octets() {
            return Err(refused(format!("host is {host}; .{last} is another's in QEMU's network, take .2")));
        }
        Ok(())
    }
}

fn is_bare(program: &Path) -> bool {
    program.components().count() == 1 && !program.to_string_lossy().contains('/')
}

/// PSRAM sizes that a machine takes, in MiB (Espressif's esp-toolchain-docs, qemu/esp32 and qemu/esp32s3, "Adding PSRAM").
fn psram_sizes(chip: ChipId) -> &'static [u64] {
    match chip {
        ChipId::Esp32 => &[2, 4],
        ChipId::Esp32S3 => &[2, 4, 8, 16, 32],
        _ => &[],
    }
}

/// Name of the emulator's program.
#[must_use]
pub fn default_program(chip: ChipId) -> &'static str {
    if chip.is_riscv() { "qemu-system-riscv32" } else { "qemu-system-xtensa" }
}

/// Name of the emulator's package among ESP-IDF's tools.
#[must_use]
pub fn package(chip: ChipId) -> &'static str {
    if chip.is_riscv() { "qemu-riscv32" } else { "qemu-xtensa" }
}

/// Finds the emulator: a path is taken as it is, a name is looked for in the folders of `path` (as the variable PATH
/// holds them).
///
/// # Errors
///
/// [`QemuError::NotFound`].
pub fn find(program: &Path, path: Option<&std::ffi::OsStr>, chip: ChipId) -> Result<PathBuf, QemuError> {
    let missing =
        |looked: String| QemuError::NotFound { program: program.display().to_string(), looked, package: package(chip) };
    if !is_bare(program) {
        return if program.is_file() {
            Ok(program.to_owned())
        } else {
            Err(missing("there is no such file".to_owned()))
        };
    }
    let folders: Vec<PathBuf> = path.map(|path| std::env::split_paths(path).collect()).unwrap_or_default();
    let found = folders.iter().map(|folder| folder.join(program)).find(|file| is_executable(file));
    found.ok_or_else(|| match folders.len() {
        0 => missing("PATH is empty".to_owned()),
        n => missing(format!("no executable file of this name is in the {n} folders of PATH")),
    })
}

fn is_executable(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    file.metadata().is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(text: &str) -> QemuSettings {
        toml::from_str(text).unwrap_or_else(|e| panic!("{e}"))
    }

    fn refused(text: &str, chip: ChipId) -> String {
        settings(text).check(chip).expect_err(text).to_string()
    }

    #[test]
    fn all_keys_are_read_and_a_misspelt_one_is_refused() {
        let text = "program = \"qemu-system-xtensa\"\nflash-size = \"8MiB\"\nefuse = \"fuses.bin\"\nwatchdogs = false\nhost = \
                    \"192.168.88.200\"\nnetwork = \"open_eth\"\npsram = \"2MiB\"\noctal-psram = true\narguments = [\"-d\"]\n";
        let all = settings(text);
        assert_eq!((all.flash_size, all.host()), (Some(ByteSize(8 << 20)), Ipv4Addr::new(192, 168, 88, 200)));
        all.check(ChipId::Esp32S3).expect("they go together");
        let error = toml::from_str::<QemuSettings>("watchdog = false").expect_err("misspelt").to_string();
        assert!(error.contains("watchdog"), "{error}");
    }

    #[test]
    fn upper_settings_win_key_by_key() {
        let merged = settings("watchdogs = false").over(settings("watchdogs = true\npsram = \"2MiB\""));
        assert_eq!((merged.watchdogs, merged.psram), (Some(false), Some(ByteSize(2 << 20))));
    }

    #[test]
    fn what_a_machine_does_not_take_is_refused_with_what_it_takes() {
        assert!(refused("flash-size = \"3MiB\"", ChipId::Esp32).contains("2MiB, 4MiB, 8MiB or 16MiB"));
        assert!(refused("psram = \"8MiB\"", ChipId::Esp32).contains("2MiB, 4MiB"));
        assert!(refused("psram = \"2MiB\"", ChipId::Esp32C3).contains("has none"));
        assert!(refused("octal-psram = true", ChipId::Esp32S3).contains("with psram"));
        assert!(refused("host = \"10.0.2.3\"", ChipId::Esp32).contains(".3 is another's"));
        settings("psram = \"32MiB\"\noctal-psram = true").check(ChipId::Esp32S3).expect("taken");
    }

    #[test]
    fn paths_are_relative_to_their_file_and_a_bare_name_stays_one() {
        let here = Path::new("/project");
        let read = settings("program = \"bin/qemu\"\nefuse = \"fuses.bin\"").in_folder(here);
        assert_eq!(read.program, Some("/project/bin/qemu".into()));
        assert_eq!(read.efuse, Some("/project/fuses.bin".into()));
        assert_eq!(settings("program = \"qemu\"").in_folder(here).program, Some("qemu".into()));
    }

    #[test]
    fn program_is_looked_for_on_path_and_its_absence_names_the_package() {
        let folder = tempfile::tempdir().expect("folder");
        let program = folder.path().join("qemu-system-xtensa");
        let path = std::env::join_paths(["/nowhere", folder.path().to_str().expect("text")]).expect("PATH");
        let find_it = || find(Path::new("qemu-system-xtensa"), Some(&path), ChipId::Esp32);
        std::fs::write(&program, "").expect("file");
        let error = find_it().expect_err("not executable").to_string();
        assert!(error.contains("2 folders of PATH") && error.contains("install qemu-xtensa"), "{error}");
        std::fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("executable");
        assert_eq!(find_it().expect("found"), program);
        let error = find(Path::new("./no-such"), None, ChipId::Esp32C3).expect_err("absent").to_string();
        assert!(error.contains("no such file") && error.contains("install qemu-riscv32"), "{error}");
    }
}
