//! Every image is one that the unmodified esptool accepts.

use std::path::{Path, PathBuf};
use std::process::Command;

use brickproof::image::Catalogue;
use esp_image::chip::ChipId;

/// esptool among the outside tools: in `BRICKPROOF_TOOLS`, or where the test script installs it.
fn esptool() -> Option<PathBuf> {
    let folder = std::env::var_os("BRICKPROOF_TOOLS")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/tools/bin"), PathBuf::from);
    let tool = folder.join("esptool");
    if tool.is_file() {
        return Some(tool);
    }
    let required = std::env::var_os("BRICKPROOF_REQUIRE_TOOLS").is_some_and(|v| v == "1");
    assert!(!required, "{} is missing and BRICKPROOF_REQUIRE_TOOLS=1", tool.display());
    #[expect(clippy::print_stderr, reason = "a test that proves nothing must say so")]
    {
        eprintln!("skipped: {} is missing; ./test.sh installs it, BRICKPROOF_TOOLS names its folder", tool.display());
    }
    None
}

fn image_info(tool: &Path, bytes: &[u8]) -> String {
    let file = tempfile::Builder::new().suffix(".bin").tempfile().expect("file");
    std::fs::write(file.path(), bytes).expect("write");
    let output = Command::new(tool).args(["--chip", "auto", "image-info"]).arg(file.path()).output().expect("runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    text
}

fn assert_sound(info: &str, chip: ChipId) {
    let chip = match chip {
        ChipId::Esp32 => "Detected image type: ESP32\n",
        ChipId::Esp32S3 => "Detected image type: ESP32-S3\n",
        ChipId::Esp32C3 => "Detected image type: ESP32-C3\n",
    };
    assert!(info.replace("\r\n", "\n").contains(chip), "{info}");
    let valid = info.lines().filter(|l| l.ends_with("(valid)")).count();
    assert_eq!(valid, 2, "checksum and hash: {info}");
    assert!(!info.to_lowercase().contains("warning"), "{info}");
}

#[test]
fn esptool_accepts_every_application_image() {
    let Some(tool) = esptool() else { return };
    let catalogue = Catalogue::embedded().expect("embedded");
    let mut seen = 0;
    for entry in catalogue.entries() {
        let Some(software) = entry.software() else { continue };
        let image = catalogue.application(&entry.name, software.chip).expect("resolves");
        let info = image_info(&tool, &image.bytes);
        assert_sound(&info, image.chip);
        assert!(info.contains("Project name: ota-agent"), "{info}");
        assert!(info.contains(&format!("App version: {}", software.version)), "{info}");
        seen += 1;
    }
    assert_eq!(seen, 9);
}

#[test]
fn esptool_accepts_every_bootloader() {
    let Some(tool) = esptool() else { return };
    let catalogue = Catalogue::embedded().expect("embedded");
    for chip in ChipId::ALL {
        let image = catalogue.application("1.5.9", chip).expect("resolves");
        let layout = catalogue.layout(&image).expect("fits");
        assert_sound(&image_info(&tool, &layout.regions[0].bytes), chip);
    }
}

#[test]
fn esptool_accepts_patched_images() {
    let Some(tool) = esptool() else { return };
    let image = Catalogue::embedded().expect("embedded").application("1.5.9", ChipId::Esp32C3).expect("resolves");
    let bumped = image.with_version("1.5.10").expect("bumps");
    let info = image_info(&tool, &bumped.bytes);
    assert_sound(&info, ChipId::Esp32C3);
    assert!(info.contains("App version: 1.5.10"), "{info}");
    let mutant = bumped.with_profile("mutant", "key=value").expect("patches");
    assert_sound(&image_info(&tool, &mutant.bytes), ChipId::Esp32C3);
}
