//! Every image is one that the unmodified esptool accepts.

use std::path::Path;
use std::process::{Command, ExitCode};

use brickproof::image::Catalogue;
use esp_image::chip::ChipId;
use outside_tools::Need;

fn main() -> ExitCode {
    outside_tools::main(
        &[Need::Program("esptool")],
        outside_tools::tests![
            esptool_accepts_every_application_image,
            esptool_accepts_every_bootloader,
            esptool_accepts_patched_images
        ],
    )
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

fn esptool_accepts_every_application_image() {
    let tool = outside_tools::program("esptool");
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

fn esptool_accepts_every_bootloader() {
    let tool = outside_tools::program("esptool");
    let catalogue = Catalogue::embedded().expect("embedded");
    for chip in ChipId::ALL {
        let image = catalogue.application("1.5.9", chip).expect("resolves");
        let layout = catalogue.layout(&image).expect("fits");
        assert_sound(&image_info(&tool, &layout.regions[0].bytes), chip);
    }
}

fn esptool_accepts_patched_images() {
    let tool = outside_tools::program("esptool");
    let image = Catalogue::embedded().expect("embedded").application("1.5.9", ChipId::Esp32C3).expect("resolves");
    let bumped = image.with_version("1.5.10").expect("bumps");
    let info = image_info(&tool, &bumped.bytes);
    assert_sound(&info, ChipId::Esp32C3);
    assert!(info.contains("App version: 1.5.10"), "{info}");
    let mutant = bumped.with_profile("mutant", "key=value").expect("patches");
    assert_sound(&image_info(&tool, &mutant.bytes), ChipId::Esp32C3);
}
