//! Adding images: ESP-IDF build folders, application and merged files, and everything that is refused.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use brickproof::image::{Added, BootloaderCapability, Catalogue, ImageError, Kind, RunOn, add, bump};
use esp_image::build::{AppImage, Segment};
use esp_image::chip::ChipId;
use esp_image::descriptor::AppDescriptor;
use esp_image::partition::{self, APP, DATA, FACTORY, NVS, OTA_0, OTADATA, Partition};
use sha2::{Digest, Sha256};

/// A firmware of someone's: no profile record, made by ESP-IDF.
fn firmware(chip: ChipId, elf: &[u8]) -> Vec<u8> {
    let mut descriptor = AppDescriptor::new("hello world", "2.1.0-dirty");
    descriptor.set_idf_version("v5.3.1");
    descriptor.set_built("12:00:00", "Mar  3 2026");
    descriptor.set_elf_sha256(&Sha256::digest(elf).into());
    let mut data = descriptor.encode().to_vec();
    data.extend((0u8..=255).cycle().take(20_000));
    AppImage { chip, entry: 0x4038_0000, segments: vec![Segment { address: 0x3c00_0020, data }], hash: true }.bytes()
}

fn bootloader(chip: ChipId) -> Vec<u8> {
    let segment = Segment { address: 0x3fcd_0000, data: vec![7; 3000] };
    AppImage { chip, entry: 0x403c_0000, segments: vec![segment], hash: true }.bytes()
}

fn table() -> Vec<u8> {
    partition::encode(&[
        Partition::new("nvs", DATA, NVS, 0x9000, 0x6000),
        Partition::new("otadata", DATA, OTADATA, 0xf000, 0x2000),
        Partition::new("factory", APP, FACTORY, 0x2_0000, 0x10_0000),
        Partition::new("ota_0", APP, OTA_0, 0x12_0000, 0x10_0000),
        Partition::new("storage", DATA, 0x82, 0x22_0000, 0x1_0000),
    ])
    .to_vec()
}

const ELF: &[u8] = b"\x7fELF and its code";

struct Project {
    folder: tempfile::TempDir,
}

impl Project {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("folder") }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("folder")).expect("folder");
        fs::write(&path, bytes).expect("write");
        path
    }

    fn catalogue(&self) -> PathBuf {
        self.path("project/catalogue.toml")
    }

    fn add(&self, source: &Path) -> Result<Added, ImageError> {
        add(source, &self.catalogue(), None, None)
    }

    /// A build folder as `idf.py build` leaves it.
    fn build(&self, chip: ChipId) -> PathBuf {
        self.file("build/bootloader/bootloader.bin", &bootloader(chip));
        self.file("build/partition_table/partition-table.bin", &table());
        self.file("build/hello.bin", &firmware(chip, ELF));
        self.file("build/hello.elf", ELF);
        self.file("build/ota_data_initial.bin", &[0xff; 0x2000]);
        self.file("build/storage.bin", &[0x5a; 5000]);
        self.file(
            "build/config/sdkconfig.json",
            br#"{"BOOTLOADER_APP_ROLLBACK_ENABLE": true, "BOOTLOADER_APP_ANTI_ROLLBACK": false}"#,
        );
        let at = chip.bootloader_offset();
        self.file(
            "build/flasher_args.json",
            format!(
                r#"{{
                "write_flash_args": ["--flash_mode", "dio", "--flash_size", "4MB", "--flash_freq", "80m"],
                "flash_settings": {{"flash_mode": "dio", "flash_size": "4MB", "flash_freq": "80m"}},
                "flash_files": {{
                    "{at:#x}": "bootloader/bootloader.bin", "0x20000": "hello.bin",
                    "0x8000": "partition_table/partition-table.bin", "0xf000": "ota_data_initial.bin",
                    "0x220000": "storage.bin"
                }},
                "bootloader": {{"offset": "{at:#x}", "file": "bootloader/bootloader.bin", "encrypted": "false"}},
                "app": {{"offset": "0x20000", "file": "hello.bin", "encrypted": "false"}},
                "partition-table":
                    {{"offset": "0x8000", "file": "partition_table/partition-table.bin", "encrypted": "false"}},
                "otadata": {{"offset": "0xf000", "file": "ota_data_initial.bin", "encrypted": "false"}},
                "storage": {{"offset": "0x220000", "file": "storage.bin", "encrypted": "false"}},
                "extra_esptool_args": {{"after": "hard_reset", "before": "default_reset", "stub": true,
                    "chip": "{chip}"}}
            }}"#
            )
            .as_bytes(),
        );
        self.path("build")
    }

    fn edit(&self, name: &str, from: &str, to: &str) {
        let text = fs::read_to_string(self.path(name)).expect("file");
        assert!(text.contains(from), "{from} is not in {name}");
        fs::write(self.path(name), text.replace(from, to)).expect("write");
    }
}

#[test]
fn build_folder_brings_all_that_a_first_flash_needs() {
    let project = Project::new();
    let Added { entry, parts } = project.add(&project.build(ChipId::Esp32C3)).expect("adds");
    let names: Vec<&str> = std::iter::once(&entry).chain(&parts).map(|e| e.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "hello-world-esp32c3-2.1.0-dirty",
            "hello-world-esp32c3-2.1.0-dirty-bootloader",
            "hello-world-esp32c3-2.1.0-dirty-partition-table",
            "hello-world-esp32c3-2.1.0-dirty-storage-220000",
        ]
    );
    assert!(entry.elf.is_some() && entry.run_on == RunOn::real());
    assert!(entry.origin.contains("v5.3.1") && entry.make.as_deref() == Some("idf.py build"));
    let catalogue = Catalogue::load(&project.catalogue()).expect("loads");
    catalogue.check().expect("tells the truth");
    let image = catalogue.application("2.1.0-dirty", ChipId::Esp32C3).expect("resolves");
    assert!(image.profile.is_none() && !image.runs_on(RunOn::Virtual));
    let layout = catalogue.layout(&image).expect("fits");
    let regions: Vec<(&str, u32)> = layout.regions.iter().map(|r| (r.label.as_str(), r.offset)).collect();
    assert_eq!(
        regions,
        [
            ("bootloader", 0),
            ("partition-table", 0x8000),
            ("otadata", 0xf000),
            ("factory", 0x2_0000),
            ("hello-world-esp32c3-2.1.0-dirty-storage-220000", 0x22_0000),
        ]
    );
    assert_eq!(layout.capabilities, BTreeSet::from([BootloaderCapability::Rollback]));
    assert_eq!(layout.application.label(), "factory");
    // An update needs a second version: it is made from the added one, and flashed with the same parts.
    assert_eq!(image.with_version("2.2.0").expect("bumps").name(), "hello-world-esp32c3-2.2.0");
    let bumped = project.path("bumped.bin");
    bump(&project.path("build/hello.bin"), "2.2.0", &bumped).expect("bumps");
    project.add(&bumped).expect("adds");
    let catalogue = Catalogue::load(&project.catalogue()).expect("loads");
    let image = catalogue.application("2.2.0", ChipId::Esp32C3).expect("found");
    assert_eq!(catalogue.layout(&image).expect("fits").regions.len(), 5);
}

#[test]
fn adding_again_needs_another_name_and_what_was_written_by_hand_is_kept() {
    let project = Project::new();
    let file = project.file("hello.bin", &firmware(ChipId::Esp32S3, ELF));
    project.file("project/catalogue.toml", b"# by hand");
    project.add(&file).expect("adds");
    let message = project.add(&file).expect_err("exists").to_string();
    assert!(message.contains("already; choose another name with --name"), "{message}");
    let named = |name| add(&file, &project.catalogue(), None, Some(name));
    assert_eq!(named("second").expect("adds").entry.name, "second");
    assert!(matches!(named("../second").expect_err("bad name"), ImageError::BadName { .. }));
    assert!(fs::read_to_string(project.catalogue()).expect("catalogue").starts_with("# by hand\n\n[[image]]"));
    let catalogue = Catalogue::load(&project.catalogue()).expect("loads");
    assert_eq!(catalogue.entries().count(), 2);
    let message = catalogue.application("2.1.0-dirty", ChipId::Esp32S3).expect_err("two").to_string();
    assert!(message.contains("say which one by its name"), "{message}");
}

fn merged(chip: ChipId, from: u32) -> Vec<u8> {
    let mut flash = vec![0xff; 0x22_0000 + 5000];
    let mut put = |at: u32, bytes: &[u8]| {
        let at = usize::try_from(at).expect("small");
        flash[at..at + bytes.len()].copy_from_slice(bytes);
    };
    put(chip.bootloader_offset(), &bootloader(chip));
    put(0x8000, &table());
    put(0xf000, &[0; 0x2000]);
    put(0x2_0000, &firmware(chip, ELF));
    flash.drain(..usize::try_from(from).expect("small"));
    flash
}

#[test]
fn merged_image_is_flashed_whole_and_served_as_its_application() {
    for (chip, from) in [(ChipId::Esp32S3, 0), (ChipId::Esp32, 0), (ChipId::Esp32, 0x1000)] {
        let project = Project::new();
        let file = project.file("merged-binary.bin", &merged(chip, from));
        let added = project.add(&file).expect("adds");
        assert!(matches!(added.entry.kind, Kind::Merged { offset, .. } if offset == from), "{added:?}");
        let catalogue = Catalogue::load(&project.catalogue()).expect("loads");
        catalogue.check().expect("tells the truth");
        let image = catalogue.application("2.1.0-dirty", chip).expect("resolves");
        assert!(image.bytes[..] == firmware(chip, ELF)[..], "the application alone is served");
        let layout = catalogue.layout(&image).expect("fits");
        let flash = layout.snapshot(4 << 20).expect("fits");
        assert!(flash[0x2_0000..].starts_with(&firmware(chip, ELF)));
        assert!(flash[0xf000..0x1_1000].iter().all(|b| *b == 0xff), "otadata is blanked");
        let bootloader_at = usize::try_from(chip.bootloader_offset()).expect("small");
        assert!(flash[bootloader_at..].starts_with(&bootloader(chip)));
    }
}

#[test]
fn merged_file_that_ends_early_still_blanks_otadata_behind_its_end() {
    let project = Project::new();
    let mut table = partition::reference().to_vec();
    // The application first, otadata behind the file's end.
    table.retain(|p| p.label() != "otadata");
    table.push(Partition::new("otadata", DATA, OTADATA, 0x31_0000, 0x2000));
    let mut flash = vec![0xff; 0x1_0000];
    flash[..bootloader(ChipId::Esp32C3).len()].copy_from_slice(&bootloader(ChipId::Esp32C3));
    flash[0x8000..0x8000 + partition::MAX_LEN].copy_from_slice(&partition::encode(&table));
    flash.extend(firmware(ChipId::Esp32C3, ELF));
    project.add(&project.file("merged.bin", &flash)).expect("adds");
    let catalogue = Catalogue::load(&project.catalogue()).expect("loads");
    let layout =
        catalogue.layout(&catalogue.application("2.1.0-dirty", ChipId::Esp32C3).expect("resolves")).expect("fits");
    let merged = &layout.regions[0].bytes;
    assert_eq!(merged.len(), 0x31_2000);
    assert!(merged.starts_with(&flash));
    assert_eq!(layout.application.label(), "ota_0");
}

#[test]
fn patched_reference_image_added_from_its_file_boots_on_the_virtual_board_alone() {
    let project = Project::new();
    let reference = Catalogue::embedded().expect("embedded").application("1.5.9", ChipId::Esp32).expect("there");
    let mutant = reference.with_profile("mutant", "").expect("patches");
    let added = project.add(&project.file("mutant.bin", &mutant.bytes)).expect("adds");
    assert_eq!(added.entry.run_on, BTreeSet::from([RunOn::Virtual]));
    let catalogue = Catalogue::embedded().expect("embedded").with(&project.catalogue()).expect("loads");
    let image = catalogue.application("1.5.9", ChipId::Esp32).expect("the project's comes first");
    assert_eq!(image.profile.as_ref().map(|p| p.profile()), Some("mutant"));
    assert_eq!(catalogue.layout(&image).expect("fits").regions.len(), 4);
}

#[test]
fn bumped_version_of_the_compiled_reference_firmware_runs_where_its_kin_does() {
    let project = Project::new();
    let reference = Catalogue::embedded().expect("embedded").application("1.5.9", ChipId::Esp32C3).expect("there");
    let bumped = reference.with_version("1.5.10").expect("bumps");
    let added = project.add(&project.file("bumped.bin", &bumped.bytes)).expect("adds");
    assert_eq!(added.entry.run_on, BTreeSet::from([RunOn::Virtual]), "with the bootloader that is known, here alone");
    let catalogue = Catalogue::embedded().expect("embedded").with(&project.catalogue()).expect("loads");
    let image = catalogue.application("1.5.10", ChipId::Esp32C3).expect("there");
    assert_eq!(catalogue.layout(&image).expect("fits").regions.len(), 4);

    // In the emulator's own catalogue it is one for the emulator, with ESP-IDF's bootloader.
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("../firmware-images/esp32c3/images/openeth/catalogue.toml");
    fs::copy(own, project.catalogue()).expect("copies");
    let added = project.add(&project.file("again.bin", &bumped.bytes)).expect("adds");
    assert_eq!(added.entry.run_on, BTreeSet::from([RunOn::Virtual, RunOn::Qemu]));
    let Kind::Application { flash_with, .. } = &added.entry.kind else { panic!("an application") };
    assert!(flash_with.contains(&"bootloader-esp-idf-esp32c3".to_owned()), "{flash_with:?}");
}

#[test]
fn elf_of_another_build_is_refused() {
    let project = Project::new();
    let file = project.file("hello.bin", &firmware(ChipId::Esp32, ELF));
    let other = project.file("other.elf", b"\x7fELF of yesterday");
    let catalogue = project.catalogue();
    let message = add(&file, &catalogue, Some(&other), None).expect_err("other build").to_string();
    assert!(message.contains("is not the ELF file of"), "{message}");
    assert!(!catalogue.exists(), "a refused image leaves no catalogue behind");
    let right = project.file("right.elf", ELF);
    let entry = add(&file, &catalogue, Some(&right), None).expect("adds").entry;
    let stored = catalogue.parent().expect("folder").join(entry.elf.as_ref().expect("elf"));
    assert_eq!(fs::read(stored).expect("stored"), ELF);
}

#[test]
fn signed_image_is_added_and_served_but_not_bumped() {
    let project = Project::new();
    let mut signed = firmware(ChipId::Esp32S3, ELF);
    signed.resize(signed.len().next_multiple_of(4096), 0xff);
    signed.extend([0xe7; 4096]);
    project.add(&project.file("signed.bin", &signed)).expect("adds");
    let catalogue = Catalogue::load(&project.catalogue()).expect("loads");
    let image = catalogue.application("2.1.0-dirty", ChipId::Esp32S3).expect("resolves");
    assert!(image.bytes[..] == signed[..], "the signature is served, too");
    let message = image.with_version("2.2.0").expect_err("signed").to_string();
    assert!(message.contains("the image is signed") && message.contains("signing key"), "{message}");
}

#[test]
fn what_is_no_image_is_refused_in_words() {
    let project = Project::new();
    let image = firmware(ChipId::Esp32, ELF);
    let mut damaged = image.clone();
    damaged[9000] ^= 1;
    let mut foreign = image.clone();
    foreign[12] = 16;
    for (bytes, words) in [
        (&image[..10_000], "the image is truncated: 10000 bytes are there"),
        (&damaged[..], "is damaged: checksum is 0x"),
        (&foreign[..], "is for chip id 16 (ESP32-H2)"),
        (&bootloader(ChipId::Esp32)[..], "no application descriptor"),
        (b"PK\x03\x04", "this is no ESP image"),
        (b"", "truncated: 0 bytes are there"),
    ] {
        let message = project.add(&project.file("file.bin", bytes)).expect_err(words).to_string();
        assert!(message.contains(words) && message.contains("file.bin"), "{message}");
    }
    let message = project.add(&project.path("absent.bin")).expect_err("absent").to_string();
    assert!(message.starts_with("cannot read image"), "{message}");
    assert!(!project.catalogue().exists());
}

#[test]
fn build_folders_that_cannot_be_used_say_why() {
    let project = Project::new();
    let folder = project.build(ChipId::Esp32C3);
    let args = "build/flasher_args.json";
    let good = fs::read(project.path(args)).expect("file");
    for (from, to, words) in [
        ("\"app\"", "\"application\"", "names no application; run `idf.py build`"),
        ("\"0x8000\", \"file\"", "\"0x9000\", \"file\"", "only 0x8000 is supported"),
        ("\"0x20000\", \"file\"", "\"0x30000\", \"file\"", "no application partition begins at 0x30000"),
        ("\"0x20000\", \"file\"", "\"later\", \"file\"", "`later` is no flash offset"),
        ("hello.bin\", \"encrypted\": \"false\"", "hello.bin\", \"encrypted\": \"true\"", "flash encryption"),
        ("{", "", "cannot understand flasher_args.json"),
    ] {
        project.edit(args, from, to);
        let message = project.add(&folder).expect_err(words).to_string();
        assert!(message.contains(words), "{message}");
        fs::write(project.path(args), &good).expect("write");
    }
    let message = project.add(project.folder.path()).expect_err("no build").to_string();
    assert!(message.contains("is it the folder that `idf.py build` makes?"), "{message}");
    project.add(&folder).expect("good again");
}

#[test]
fn parts_that_run_into_each_other_are_not_flashed() {
    let project = Project::new();
    let folder = project.build(ChipId::Esp32C3);
    project.edit("build/flasher_args.json", "\"0x220000\"", "\"0x22000\"");
    project.add(&folder).expect("adds");
    let catalogue = Catalogue::load(&project.catalogue()).expect("loads");
    let image = catalogue.application("2.1.0-dirty", ChipId::Esp32C3).expect("resolves");
    let message = catalogue.layout(&image).expect_err("overlap").to_string();
    assert!(message.contains("factory (0x20000 to") && message.contains("runs into"), "{message}");
}

#[test]
fn application_larger_than_its_partition_is_not_flashed() {
    let project = Project::new();
    let folder = project.build(ChipId::Esp32C3);
    let small =
        [Partition::new("nvs", DATA, NVS, 0x9000, 0x6000), Partition::new("ota_0", APP, OTA_0, 0x2_0000, 0x4000)];
    project.file("build/partition_table/partition-table.bin", &partition::encode(&small));
    project.add(&folder).expect("adds");
    let catalogue = Catalogue::load(&project.catalogue()).expect("loads");
    let image = catalogue.application("2.1.0-dirty", ChipId::Esp32C3).expect("resolves");
    let message = catalogue.layout(&image).expect_err("too large").to_string();
    assert!(message.contains("do not fit partition ota_0 of 0x4000 bytes"), "{message}");
}
