//! The reference catalogue tells the truth, and catalogues are looked up, layered and laid out as promised.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use brickproof::image::{
    BootloaderCapability, Catalogue, ImageError, Kind, Layout, RunOn, build_all, read_application, reference_files,
    store,
};
use esp_idf_part::PartitionTable as OtherTable;
use esp_image::chip::ChipId;
use esp_image::partition::{self, PartitionTable};
use esp_image::patch::PatchError;

fn committed() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../firmware-images")
}

#[test]
fn committed_images_are_what_the_build_makes_byte_for_byte() {
    for file in reference_files() {
        let there = fs::read(committed().join(&file.path)).unwrap_or_else(|e| panic!("{}: {e}", file.path));
        assert!(there == file.bytes, "{} differs: run `brickproof image build`", file.path);
    }
    let made: BTreeSet<String> = reference_files().into_iter().map(|f| f.path).collect();
    for entry in fs::read_dir(committed().join("images")).expect("folder") {
        let name = entry.expect("entry").file_name();
        let path = format!("images/{}", name.to_string_lossy());
        assert!(made.contains(&path), "{path} is made by nothing: remove it");
    }
}

#[test]
fn building_again_changes_nothing() {
    let folder = tempfile::tempdir().expect("folder");
    assert!(build_all(folder.path()).expect("builds").iter().all(|b| b.changed));
    assert!(build_all(folder.path()).expect("builds").iter().all(|b| !b.changed));
    fs::write(folder.path().join("images/ota-agent-esp32-1.5.9.bin"), b"broken").expect("write");
    let changed: Vec<_> = build_all(folder.path()).expect("builds").into_iter().filter(|b| b.changed).collect();
    assert_eq!(changed.len(), 1, "{changed:?}");
}

#[test]
fn embedded_and_committed_catalogues_tell_the_truth() {
    for catalogue in
        [Catalogue::embedded().expect("embedded"), Catalogue::load(&committed().join("catalogue.toml")).expect("loads")]
    {
        if let Err(errors) = catalogue.check() {
            panic!("{}", errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"));
        }
        for entry in catalogue.entries() {
            let Some(software) = entry.software() else { continue };
            let image = catalogue.application(&entry.name, software.chip).expect("resolves");
            let read = read_application(&image.bytes, &entry.name).expect("application");
            assert_eq!(&read.software(), software);
            let compiled = software.chip == ChipId::Esp32C3;
            let make = if compiled { "firmware-images/build" } else { "brickproof image build" };
            assert_eq!(entry.make.as_deref(), Some(make), "{}", entry.name);
        }
    }
}

#[test]
fn every_chip_has_the_versions_that_scenarios_name() {
    let catalogue = Catalogue::embedded().expect("embedded");
    for chip in ChipId::ALL {
        for (version, profile) in [("1.5.9", "xiaozhi-1.5.9"), ("1.6.0", "xiaozhi-1.6"), ("1.6.1", "xiaozhi-1.6")] {
            let image = catalogue.application(version, chip).expect("resolves");
            assert_eq!((image.chip, image.version()), (chip, version));
            assert_eq!(image.profile.as_ref().map(|p| p.profile()), Some(profile));
            assert!(image.runs_on(RunOn::Virtual) && !image.runs_on(RunOn::Serial));
            let name = match chip {
                ChipId::Esp32C3 => format!("ota-agent-{chip}-openeth-{version}"),
                _ => format!("ota-agent-{chip}-{version}"),
            };
            let by_name = catalogue.application(&name, chip).expect("by name");
            let by_project = catalogue.application(&format!("ota-agent-{version}"), chip).expect("by project");
            assert_eq!((&by_name.bytes, &by_project.bytes), (&image.bytes, &image.bytes));
        }
    }
}

#[test]
fn versions_of_filler_differ_in_most_of_their_bytes() {
    let catalogue = Catalogue::embedded().expect("embedded");
    let old = catalogue.application("1.5.9", ChipId::Esp32).expect("resolves");
    let new = catalogue.application("1.6.0", ChipId::Esp32).expect("resolves");
    let same = old.bytes.iter().zip(new.bytes.iter()).filter(|(a, b)| a == b).count();
    assert!(same < old.bytes.len() * 6 / 10, "{same} of {} bytes are the same", old.bytes.len());
}

#[test]
fn first_flash_writes_bootloader_table_blank_otadata_and_application() {
    let catalogue = Catalogue::embedded().expect("embedded");
    for chip in ChipId::ALL {
        let image = catalogue.application("1.5.9", chip).expect("resolves");
        let layout = catalogue.layout(&image).expect("fits");
        let regions: Vec<(&str, u32)> = layout.regions.iter().map(|r| (r.label.as_str(), r.offset)).collect();
        let bootloader = ("bootloader", chip.bootloader_offset());
        assert_eq!(regions, [bootloader, ("partition-table", 0x8000), ("otadata", 0xd000), ("ota_0", 0x1_0000)]);
        assert!(layout.regions[2].bytes == [0xff; 0x2000]);
        assert_eq!(layout.capabilities, BootloaderCapability::ALL.into());
        assert_eq!(layout.nvs().map(|p| (p.offset, p.size)), Some((0x9000, 0x4000)));
        assert_eq!(layout.flash_size(), 0x31_0000);
        assert_snapshot_holds(&layout, &image.bytes);
    }
}

fn assert_snapshot_holds(layout: &Layout, application: &[u8]) {
    let flash = layout.snapshot(4 << 20).expect("fits");
    assert_eq!(flash.len(), 4 << 20);
    assert!(flash[0x1_0000..].starts_with(application));
    let table = PartitionTable::parse(&flash[0x8000..0x8000 + partition::MAX_LEN]).expect("table");
    assert_eq!(table, layout.table);
    assert!(flash[0x9000..0x1_0000].iter().all(|b| *b == 0xff));
    let small = layout.snapshot(2 << 20).expect_err("too small").to_string();
    assert!(small.contains("needs 0x310000 bytes of flash, the board has 0x200000"), "{small}");
}

#[test]
fn partition_table_says_the_same_to_another_reader_as_binary_and_as_csv() {
    let from_csv =
        OtherTable::try_from_str(fs::read_to_string(committed().join("images/partition-table-4mb.csv")).expect("csv"))
            .expect("valid CSV");
    let from_binary =
        OtherTable::try_from_bytes(fs::read(committed().join("images/partition-table-4mb.bin")).expect("binary"))
            .expect("valid binary");
    assert_eq!(from_csv.partitions(), from_binary.partitions());
    assert_eq!(from_csv.partitions().len(), 5);
}

#[test]
fn unknown_version_says_what_there_is_and_what_to_do() {
    let message =
        Catalogue::embedded().expect("embedded").application("9.9.9", ChipId::Esp32S3).expect_err("none").to_string();
    assert!(message.contains("`9.9.9` for esp32s3"), "{message}");
    assert!(message.contains("ota-agent-esp32s3-1.5.9, ota-agent-esp32s3-1.6.0"), "{message}");
    assert!(message.contains("brickproof image bump"), "{message}");
}

#[test]
fn image_of_another_chip_is_refused_by_name() {
    let error = Catalogue::embedded()
        .expect("embedded")
        .application("ota-agent-esp32-1.5.9", ChipId::Esp32C3)
        .expect_err("other chip");
    assert!(matches!(error, ImageError::OtherChip { found: ChipId::Esp32, wanted: ChipId::Esp32C3, .. }), "{error}");
}

#[test]
fn bumped_image_lies_over_the_embedded_ones_and_is_flashed_with_their_bootloader() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("brickproof-images.toml");
    let embedded = Catalogue::embedded().expect("embedded");
    let old = embedded.application("1.5.9", ChipId::Esp32C3).expect("resolves");
    store(&old.with_version("1.5.10").expect("bumps"), &path).expect("stores");
    let catalogue = Catalogue::embedded().expect("embedded").with(&path).expect("loads");
    let new = catalogue.application("1.5.10", ChipId::Esp32C3).expect("resolves");
    assert_eq!((new.name(), new.version()), ("ota-agent-esp32c3-openeth-1.5.10", "1.5.10"));
    assert_eq!(new.profile, old.profile);
    assert_eq!(
        new.entry.make.as_deref(),
        Some(
            "brickproof image bump esp32c3/images/openeth/ota-agent-esp32c3-openeth-1.5.9.bin 1.5.10 -o \
             images/ota-agent-esp32c3-openeth-1.5.10.bin"
        )
    );
    assert_eq!(catalogue.layout(&new).expect("fits").regions.len(), 4);
    let differing = old.bytes.iter().zip(new.bytes.iter()).filter(|(a, b)| a != b).count();
    // Version field, checksum and SHA-256: no more.
    assert!(differing <= 31 + 1 + 32, "{differing} bytes differ");
    let again = store(&old.with_version("1.5.10").expect("bumps"), &path).expect_err("exists").to_string();
    assert!(again.contains("has an image `ota-agent-esp32c3-openeth-1.5.10` already"), "{again}");
}

#[test]
fn same_version_twice_in_a_project_must_be_named() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("catalogue.toml");
    let old = Catalogue::embedded().expect("embedded").application("1.5.9", ChipId::Esp32).expect("resolves");
    for profile in ["mutant-a", "mutant-b"] {
        store(&old.with_profile(profile, "").expect("patches"), &path).expect("stores");
    }
    let catalogue = Catalogue::embedded().expect("embedded").with(&path).expect("loads");
    let error = catalogue.application("1.5.9", ChipId::Esp32).expect_err("two");
    let ImageError::Ambiguous { names, .. } = &error else { panic!("{error}") };
    assert_eq!(names, &["ota-agent-esp32-1.5.9-mutant-a", "ota-agent-esp32-1.5.9-mutant-b"]);
    let mutant = catalogue.application(&names[1], ChipId::Esp32).expect("by name");
    assert_eq!(mutant.profile.as_ref().map(|p| p.profile()), Some("mutant-b"));
    // What the project does not have is still found below.
    assert!(catalogue.application("1.6.0", ChipId::Esp32).is_ok());
}

#[test]
fn too_long_version_or_profile_is_refused_not_cut() {
    let image = Catalogue::embedded().expect("embedded").application("1.5.9", ChipId::Esp32).expect("resolves");
    let long = "1".repeat(32);
    for error in [image.with_version(&long).expect_err("long"), image.with_profile(&long, "").expect_err("long")] {
        assert!(
            matches!(error, ImageError::NoApplication { why: PatchError::TooLong { length: 32, limit: 31, .. }, .. }),
            "{error}"
        );
    }
}

#[test]
fn changed_file_is_noticed_before_it_is_used() {
    let folder = tempfile::tempdir().expect("folder");
    build_all(folder.path()).expect("builds");
    let catalogue = Catalogue::load(&folder.path().join("catalogue.toml")).expect("loads");
    let file = folder.path().join("images/ota-agent-esp32-1.5.9.bin");
    let mut bytes = fs::read(&file).expect("image");
    bytes[90_000] ^= 1;
    fs::write(&file, &bytes).expect("write");
    let message = catalogue.application("1.5.9", ChipId::Esp32).expect_err("changed").to_string();
    assert!(message.contains("the SHA-256 of images/ota-agent-esp32-1.5.9.bin is another one"), "{message}");
    bytes.truncate(80_000);
    fs::write(&file, &bytes).expect("write");
    let message = catalogue.application("1.5.9", ChipId::Esp32).expect_err("truncated").to_string();
    assert!(message.contains("has 80000 bytes, not 163888"), "{message}");
    fs::remove_file(&file).expect("remove");
    let message = catalogue.application("1.5.9", ChipId::Esp32).expect_err("gone").to_string();
    assert!(message.starts_with("cannot read image"), "{message}");
    assert_eq!(catalogue.check().expect_err("one is wrong").len(), 1);
}

/// A catalogue whose entry claims what the file does not hold.
fn falsified(from: &str, to: &str) -> Result<(), String> {
    let folder = tempfile::tempdir().expect("folder");
    build_all(folder.path()).expect("builds");
    let path = folder.path().join("catalogue.toml");
    let text = fs::read_to_string(&path).expect("catalogue");
    assert!(text.contains(from), "{from} is not there to falsify");
    fs::write(&path, text.replacen(from, to, 1)).expect("write");
    let catalogue = Catalogue::load(&path).expect("loads");
    catalogue.check().map_err(|errors| errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
}

#[test]
fn entry_that_claims_another_version_chip_profile_or_capability_is_refused() {
    falsified("name", "name").expect("unchanged");
    for (from, to) in [
        ("version = \"1.5.9\"", "version = \"1.5.8\""),
        ("chip = \"esp32\"", "chip = \"esp32s3\""),
        ("profile = \"xiaozhi-1.5.9\"", "profile = \"xiaozhi-1.6\""),
        ("project = \"ota-agent\"", "project = \"other\""),
        ("capabilities = [\"bootloader-rollback\", \"anti-rollback\"]", "capabilities = []"),
    ] {
        let message = falsified(from, to).expect_err(to);
        assert!(message.contains("is not what its catalogue says"), "{message}");
    }
}

#[test]
fn missing_bootloader_is_named_with_the_next_step() {
    let message = falsified("flash-with = [\"bootloader-virtual-esp32\", ", "flash-with = [");
    // An application alone is good for serving, so the catalogue is not wrong.
    message.expect("serving needs no bootloader");
    let image = Catalogue::embedded().expect("embedded").application("1.5.9", ChipId::Esp32).expect("resolves");
    let mut alone = image;
    if let Kind::Application { flash_with, .. } = &mut alone.entry.kind {
        flash_with.clear();
    }
    let error = Catalogue::embedded().expect("embedded").layout(&alone).expect_err("no bootloader").to_string();
    assert!(error.contains("its entry names no bootloader") && error.contains("image add BUILD_FOLDER"), "{error}");
}

#[test]
fn catalogue_that_is_not_there_is_named() {
    let error = Catalogue::load(Path::new("no/such/catalogue.toml")).expect_err("absent").to_string();
    assert!(error.starts_with("cannot read image catalogue no/such/catalogue.toml"), "{error}");
}
