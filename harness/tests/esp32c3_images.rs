//! The ESP32-C3's images: their catalogues tell the truth, and the virtual board boots them and updates with them.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use brickproof::image::{Catalogue, Kind, RunOn};
use esp_image::chip::ChipId;
use esp_image::partition::{self, PartitionTable};
use esp_image::verify::{Demands, Verifier};
use ota_agent::parameters::Parameters;

const NETWORKS: [&str; 2] = ["openeth", "wifi"];
const VERSIONS: [(&str, &str); 3] = [("1.5.9", "xiaozhi-1.5.9"), ("1.6.0", "xiaozhi-1.6"), ("1.6.1", "xiaozhi-1.6")];

fn folder(network: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../firmware-images/esp32c3/images").join(network)
}

fn catalogue(network: &str) -> Catalogue {
    Catalogue::load(&folder(network).join("catalogue.toml")).expect("loads")
}

#[test]
fn catalogues_tell_the_truth_and_name_every_file() {
    for network in NETWORKS {
        let catalogue = catalogue(network);
        if let Err(errors) = catalogue.check() {
            panic!("{network}: {}", errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"));
        }
        let mut named: BTreeSet<String> = catalogue.entries().map(|entry| entry.file.clone()).collect();
        named.insert("catalogue.toml".to_owned());
        let files = fs::read_dir(folder(network)).expect("folder").map(|e| e.expect("entry").file_name());
        let there: BTreeSet<String> = files.map(|name| name.to_string_lossy().into_owned()).collect();
        assert_eq!(there, named, "{network}");
        for entry in catalogue.entries() {
            assert_eq!(entry.make.as_deref(), Some("firmware-images/build"), "{}", entry.name);
            if entry.software().is_some() {
                let told =
                    ["rustc 1.", "Cargo.lock", "espflash", network].iter().all(|word| entry.origin.contains(word));
                assert!(told, "how it was made: {}", entry.origin);
            }
        }
    }
}

#[test]
fn each_network_has_the_versions_of_the_scenarios_that_a_bootloader_takes_and_a_slot_holds() {
    for network in NETWORKS {
        let catalogue = catalogue(network);
        let slot = partition::reference().iter().find(|p| p.ota_slot() == Some(1)).expect("slot").size;
        for (version, profile) in VERSIONS {
            let image = catalogue.application(version, ChipId::Esp32C3).expect("resolves by its version");
            assert_eq!(image.name(), format!("ota-agent-esp32c3-{network}-{version}"));
            assert_eq!(
                (image.chip, image.version(), image.descriptor.project()),
                (ChipId::Esp32C3, version, "ota-agent")
            );
            assert_ne!(image.descriptor.elf_sha256(), [0; 32], "a crash can be told by its ELF");
            let record = image.profile.as_ref().expect("a profile record behind the descriptor");
            assert_eq!(record.profile(), profile);
            // Its bootloader has no rollback, its body no TLS.
            let built = Parameters::parse(record.parameters()).expect("known");
            assert_eq!((built.own_rollback, built.no_tls), (Some(3), true));
            let mut verifier = Verifier::new(Demands { chip: Some(ChipId::Esp32C3), revision: Some(3), limit: slot });
            verifier.feed(&image.bytes, |_| {}).expect("checksum and hash are right");
            let length = verifier.finish().expect("whole").length;
            assert_eq!(usize::try_from(length).expect("length"), image.bytes.len(), "nothing behind it");
            assert!(image.runs_on(RunOn::Virtual));
            assert_eq!(image.runs_on(RunOn::Serial), network == "wifi");
            assert_eq!(image.runs_on(RunOn::Qemu), network == "openeth");
        }
    }
}

#[test]
fn merged_image_is_what_a_first_flash_writes() {
    for network in NETWORKS {
        let catalogue = catalogue(network);
        let name = format!("ota-agent-esp32c3-{network}-1.5.9");
        let alone = catalogue.application(&name, ChipId::Esp32C3).expect("resolves");
        let merged = catalogue.application(&format!("{name}-merged"), ChipId::Esp32C3).expect("resolves");
        assert_eq!(merged.bytes, alone.bytes);
        assert!(matches!(merged.entry.kind, Kind::Merged { offset: 0, .. }));
        let file = fs::read(folder(network).join(&merged.entry.file)).expect("file");
        let size = 4 << 20;
        let written = catalogue.layout(&alone).expect("lays out").snapshot(size).expect("fits");
        assert_eq!(file[..], written[..file.len()], "{network}");
        assert!(written[file.len()..].iter().all(|byte| *byte == 0xff));
        let table = PartitionTable::parse(&file[0x8000..0x8000 + partition::MAX_LEN]).expect("table");
        assert_eq!(table.partitions(), partition::reference());
        // 4 MiB, and not the 2 MiB that the bootloader comes with: the table would not fit (image header, byte 3).
        assert_eq!(file[3] >> 4, 2);
    }
}

#[test]
fn another_version_and_profile_can_be_patched_in() {
    let image = catalogue("openeth").application("1.5.9", ChipId::Esp32C3).expect("resolves");
    let bumped = image.with_version("1.5.10").expect("bumps");
    assert_eq!(bumped.version(), "1.5.10");
    let told = bumped.with_profile("xiaozhi-1.6", "defect=no-delay").expect("patches");
    assert_eq!(told.profile.as_ref().map(|record| record.profile()), Some("xiaozhi-1.6"));
}

/// Runs a scenario on the virtual board with one network's images: exit code, and what was said, also to JUnit.
fn run(network: &str, scenario: &str) -> (Option<i32>, String) {
    let reports = tempfile::tempdir().expect("folder");
    let output = Command::new(env!("CARGO_BIN_EXE_brickproof"))
        .args(["run", scenario, "--board", "virtual", "--chip", "esp32c3", "--catalogue"])
        .arg(folder(network).join("catalogue.toml"))
        .arg("--report")
        .arg(reports.path())
        .output()
        .expect("runs");
    let junit = fs::read(reports.path().join("junit.xml")).unwrap_or_default();
    let said = [output.stdout, output.stderr, junit].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    (output.status.code(), said)
}

#[test]
fn virtual_board_boots_the_chips_images_and_updates() {
    for network in NETWORKS {
        let (code, said) = run(network, "healthy-update");
        assert_eq!(code, Some(0), "{network}: {said}");
        assert!(said.contains("1 passed"), "{network}: {said}");
    }
}

#[test]
fn firmware_goes_back_by_itself_where_the_bootloader_does_not() {
    let (code, said) = run("openeth", "own-rollback");
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("1 passed"), "{said}");
    let (_, said) = run("openeth", "bad-new-version");
    assert!(said.contains("the flashed bootloader has no bootloader-rollback"), "{said}");
}
