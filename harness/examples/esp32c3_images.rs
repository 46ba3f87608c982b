//! Lays out the ESP32-C3's firmware (firmware-images/esp32c3) as images and writes their catalogue; called by
//! `firmware-images/build`, which compiles it first.
//!
//! An example and no command: who has brickproof has the images, and who has the sources has this.

use std::collections::BTreeSet;
use std::error::Error;
use std::fs;
use std::path::Path;

use brickproof::image::{Entry, Kind, RunOn, Software, read_application};
use esp_image::partition;
use espflash::flasher::{FlashData, FlashFrequency, FlashMode, FlashSettings, FlashSize};
use espflash::image_format::idf::IdfBootloaderFormat;
use espflash::target::{Chip, XtalFrequency};
use sha2::{Digest, Sha256};

const HEADER: &str = "\
# Catalogue of the ESP32-C3's firmware. ../../README.md says what it is, docs/real-board.md how to use it.
#
# Written by `firmware-images/build`; a test compares it with every image.
";
const MAKE: &str = "firmware-images/build";
const BOOTLOADER: &str = "bootloader-esp-idf-esp32c3";
const TABLE: &str = "partition-table-4mb";

/// Writes files and their entries.
struct Shelf<'a> {
    folder: &'a Path,
    catalogue: String,
}

impl Shelf<'_> {
    fn put(
        &mut self,
        name: String,
        kind: Kind,
        run_on: &BTreeSet<RunOn>,
        origin: &str,
        bytes: &[u8],
    ) -> Result<(), Box<dyn Error>> {
        let file = format!("{name}.bin");
        fs::write(self.folder.join(&file), bytes)?;
        let entry = Entry {
            name,
            kind,
            run_on: run_on.clone(),
            file,
            size: u64::try_from(bytes.len())?,
            sha256: Sha256::digest(bytes).into(),
            elf: None,
            origin: origin.to_owned(),
            make: Some(MAKE.to_owned()),
        };
        self.catalogue.push('\n');
        self.catalogue.push_str(&entry.to_toml());
        Ok(())
    }
}

/// Flash offset and content.
type Part = (u32, Vec<u8>);

/// Bootloader, partition table and application of an ELF file.
fn laid_out(elf: &[u8], table: &Path) -> Result<Vec<Part>, Box<dyn Error>> {
    let settings = FlashSettings::new(Some(FlashMode::Dio), Some(FlashSize::_4Mb), Some(FlashFrequency::_40Mhz));
    let data = FlashData::new(settings, 0, None, Chip::Esp32c3, XtalFrequency::_40Mhz);
    let format = IdfBootloaderFormat::new(elf, &data, Some(table), None, Some(partition::OFFSET), None)?;
    Ok(format.flash_segments().map(|segment| (segment.addr, segment.data().to_vec())).collect())
}

fn part(parts: &[Part], offset: u32) -> Result<&[u8], Box<dyn Error>> {
    let found = parts.iter().find(|(at, _)| *at == offset);
    Ok(&found.ok_or_else(|| format!("espflash laid out nothing at {offset:#x}"))?.1)
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, network, toolchain, elves @ ..] = &arguments[..] else {
        return Err("arguments: FOLDER NETWORK TOOLCHAIN ELF..., the ELF that a first flash writes first".into());
    };
    let folder = Path::new(folder);
    fs::create_dir_all(folder)?;
    let run_on: BTreeSet<RunOn> = match network.as_str() {
        "openeth" => [RunOn::Virtual, RunOn::Qemu].into(),
        "wifi" => [RunOn::Virtual, RunOn::Serial, RunOn::Probe].into(),
        other => return Err(format!("`{other}` is no network: openeth or wifi").into()),
    };
    let mut shelf = Shelf { folder, catalogue: HEADER.to_owned() };
    let table = partition::reference();
    let slot = table.iter().find(|p| p.ota_slot() == Some(0)).ok_or("the table has no first slot")?.offset;
    let table_file = folder.join(format!("{TABLE}.bin"));
    shelf.put(
        TABLE.to_owned(),
        Kind::PartitionTable { offset: partition::OFFSET },
        &RunOn::ALL.into(),
        "4 MiB of flash: NVS, otadata, two OTA slots, no factory application; the reference catalogue's",
        &partition::encode(&table),
    )?;
    for (index, elf) in elves.iter().enumerate() {
        let elf = fs::read(elf)?;
        let parts = laid_out(&elf, &table_file)?;
        let (bootloader, application) = (part(&parts, 0)?, part(&parts, slot)?);
        let software: Software = read_application(application, "the application")?.software();
        let chip = software.chip;
        let version = software.version.clone();
        let made = format!(
            "firmware-images/esp32c3 with --features {network}, {toolchain}, its own Cargo.lock, laid out by espflash's library"
        );
        if index == 0 {
            shelf.put(
                BOOTLOADER.to_owned(),
                Kind::Bootloader { chip, version: None, capabilities: BTreeSet::new() },
                &RunOn::ALL.into(),
                "ESP-IDF's second stage as espflash's library brings it, built without rollback; its header says 4 MiB, \
                 DIO, 40 MHz",
                bootloader,
            )?;
            // What lies between the parts is erased flash: NVS and otadata are blank on a first boot.
            let mut merged = vec![0xff; usize::try_from(slot)? + application.len()];
            for (offset, bytes) in &parts {
                let at = usize::try_from(*offset)?;
                merged[at..at + bytes.len()].copy_from_slice(bytes);
            }
            shelf.put(
                format!("ota-agent-{chip}-{network}-{version}-merged"),
                Kind::Merged { software: software.clone(), offset: 0, capabilities: BTreeSet::new() },
                &run_on,
                &format!("bootloader, partition table and application in one file; {made}"),
                &merged,
            )?;
        }
        shelf.put(
            format!("ota-agent-{chip}-{network}-{version}"),
            Kind::Application { software, flash_with: vec![BOOTLOADER.to_owned(), TABLE.to_owned()] },
            &run_on,
            &made,
            application,
        )?;
    }
    fs::write(folder.join("catalogue.toml"), shelf.catalogue)?;
    Ok(())
}
