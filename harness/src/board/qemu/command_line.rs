//! The emulator's command line.
//!
//! Sources: Espressif's esp-toolchain-docs (`qemu/esp32`, `qemu/esp32c3`, `qemu/esp32s3`), ESP-IDF's
//! `tools/idf_py_actions/qemu_ext.py`, and QEMU's documentation of `-chardev`, `-mon` and `-netdev user`.

use std::path::Path;

use esp_image::chip::ChipId;

use super::settings::{DEFAULT_HOST, DEFAULT_NETWORK, QemuSettings};

/// The files of one machine.
#[derive(Clone, Copy, Debug)]
pub struct Files<'a> {
    /// The flash.
    pub flash: &'a Path,
    /// The fuses.
    pub efuse: &'a Path,
    /// The console's pipes, without their `.in` and `.out`.
    pub console: &'a Path,
    /// The socket that the monitor connects to.
    pub monitor: &'a Path,
}

/// A file's name as part of an option: a comma would begin the next key, two are one.
fn file(path: &Path) -> String {
    path.display().to_string().replace(',', ",,")
}

/// All arguments. The machine is made paused (`-S`) and opens its console and its monitor itself, so that somebody listens
/// before the first byte is printed.
#[must_use]
pub fn arguments(chip: ChipId, settings: &QemuSettings, files: Files<'_>) -> Vec<String> {
    let mut arguments = Vec::new();
    let mut put = |option: &str, value: String| arguments.extend([option.to_owned(), value]);
    put("-M", chip.name().to_owned());
    if let Some(size) = settings.psram {
        put("-m", format!("{}M", size.0 >> 20));
    }
    put("-drive", format!("file={},if=mtd,format=raw", file(files.flash)));
    put("-drive", format!("file={},if=none,format=raw,id=efuse", file(files.efuse)));
    put("-global", format!("driver=nvram.{chip}.efuse,property=drive,value=efuse"));
    if settings.watchdogs == Some(false) {
        put("-global", format!("driver=timer.{chip}.timg,property=wdt_disable,value=true"));
    }
    if settings.octal_psram == Some(true) {
        put("-global", "driver=ssi_psram,property=is_octal,value=true".to_owned());
    }
    let model = settings.network.as_deref().unwrap_or(DEFAULT_NETWORK);
    let mut network = format!("user,model={model}");
    let host = settings.host();
    if host != DEFAULT_HOST {
        let [a, b, c, _] = host.octets();
        network += &format!(",net={a}.{b}.{c}.0/24,host={host}");
    }
    put("-nic", network);
    put("-display", "none".to_owned());
    put("-monitor", "none".to_owned());
    put("-chardev", format!("pipe,id=console,path={}", file(files.console)));
    put("-serial", "chardev:console".to_owned());
    put("-chardev", format!("socket,id=monitor,path={}", file(files.monitor)));
    put("-mon", "chardev=monitor,mode=control".to_owned());
    arguments.push("-S".to_owned());
    arguments.extend(settings.arguments.iter().flatten().cloned());
    arguments
}

#[cfg(test)]
mod tests {
    use super::*;
    use ota_server::units::ByteSize;

    fn line(chip: ChipId, settings: &QemuSettings) -> String {
        let files = Files {
            flash: Path::new("/t/flash.bin"),
            efuse: Path::new("/t/efuse.bin"),
            console: Path::new("/t/console"),
            monitor: Path::new("/t/monitor"),
        };
        arguments(chip, settings, files).join(" ")
    }

    #[test]
    fn each_chip_has_its_machine_and_the_drivers_of_its_name() {
        for chip in [ChipId::Esp32, ChipId::Esp32S3, ChipId::Esp32C3] {
            let expected = format!(
                "-M {chip} -drive file=/t/flash.bin,if=mtd,format=raw -drive file=/t/efuse.bin,if=none,format=raw,id=efuse \
                 -global driver=nvram.{chip}.efuse,property=drive,value=efuse -nic user,model=open_eth -display none -monitor \
                 none -chardev pipe,id=console,path=/t/console -serial chardev:console -chardev \
                 socket,id=monitor,path=/t/monitor -mon chardev=monitor,mode=control -S"
            );
            assert_eq!(line(chip, &QemuSettings::default()), expected);
        }
    }

    #[test]
    fn watchdogs_are_disabled_only_where_asked_for() {
        let with = |watchdogs| line(ChipId::Esp32C3, &QemuSettings { watchdogs, ..QemuSettings::default() });
        assert!(with(Some(false)).contains("-global driver=timer.esp32c3.timg,property=wdt_disable,value=true"));
        assert_eq!(with(Some(true)), with(None));
        assert!(!with(None).contains("wdt_disable"));
    }

    #[test]
    fn another_host_address_brings_its_network_along() {
        let settings = QemuSettings { host: Some([192, 168, 88, 200].into()), ..QemuSettings::default() };
        let line = line(ChipId::Esp32, &settings);
        assert!(line.contains("-nic user,model=open_eth,net=192.168.88.0/24,host=192.168.88.200 "), "{line}");
    }

    #[test]
    fn psram_is_memory_and_more_arguments_come_last() {
        let settings = QemuSettings {
            psram: Some(ByteSize(8 << 20)),
            octal_psram: Some(true),
            arguments: Some(vec!["-icount".to_owned(), "3".to_owned()]),
            ..QemuSettings::default()
        };
        let line = line(ChipId::Esp32S3, &settings);
        assert!(line.starts_with("-M esp32s3 -m 8M "), "{line}");
        assert!(line.contains("-global driver=ssi_psram,property=is_octal,value=true"), "{line}");
        assert!(line.ends_with(" -S -icount 3"), "{line}");
    }

    #[test]
    fn comma_in_a_folder_begins_no_new_key() {
        assert_eq!(file(Path::new("/a,b/flash.bin")), "/a,,b/flash.bin");
    }
}
