//! Adding a user's own firmware to a catalogue: an ESP-IDF build folder, an application image, or a merged image.

use std::path::{Path, PathBuf};

use esp_image::chip::{ChipId, name_of_id};
use esp_image::patch;
use serde::Deserialize;

use super::catalogue::{self, Entry, Kind, sha256};
use super::{ImageError, error};

/// What ESP-IDF's build leaves for flashing tools.
#[derive(Deserialize)]
struct FlasherArgs {
    app: Option<AppFile>,
}

#[derive(Deserialize)]
struct AppFile {
    file: PathBuf,
}

/// What was added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Added {
    /// The entry.
    pub entry: Entry,
}

/// Adds firmware to a catalogue. The application is copied beside the catalogue.
///
/// # Errors
///
/// Nothing usable is at `path`, the image is truncated or for a chip not known here, or the catalogue cannot be written.
pub fn add(path: &Path, catalogue: &Path, elf: Option<&Path>, name: Option<&str>) -> Result<Added, ImageError> {
    let (file, made_by) = application_file(path)?;
    let bytes = error::read(&file)?;
    let unusable = |why: String| ImageError::Unusable { path: file.clone(), why };
    // A merged image holds the application behind its partition table.
    let application = match patch::merged_application(&bytes) {
        Some(start) => bytes[start.min(bytes.len())..].to_vec(),
        None => bytes,
    };
    let facts = patch::facts(&application).map_err(|e| unusable(e.to_string()))?;
    let chip = ChipId::from_image_id(facts.header.chip_id).ok_or_else(|| {
        let found = name_of_id(facts.header.chip_id);
        unusable(format!("it is for the {found}; supported are ESP32, ESP32-S3 and ESP32-C3"))
    })?;
    // A signature block belongs to the image; what else follows (erased flash of a merged image) does not.
    let application = if facts.signed { application } else { application[..facts.length].to_vec() };
    let version = facts.descriptor.version().to_owned();
    let project = facts.descriptor.project().to_owned();
    let name = name.map_or_else(|| format!("{project}-{chip}-{version}"), str::to_owned);
    let folder = catalogue.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let target = PathBuf::from("images").join(format!("{name}.bin"));
    let run_on = match facts.profile {
        Some(_) => vec!["virtual".to_owned()],
        None => vec!["serial".to_owned(), "qemu".to_owned()],
    };
    let entry = Entry {
        kind: Kind::Application,
        chip: chip.name().to_owned(),
        version: Some(version),
        project: Some(project),
        profile: facts.profile.map(|p| p.profile().to_owned()),
        run_on,
        file: target.display().to_string(),
        size: application.len() as u64,
        sha256: sha256(&application),
        origin: format!("added from {}", file.file_name().unwrap_or_default().to_string_lossy()),
        make: made_by,
        capabilities: Vec::new(),
        elf: elf.map(|p| p.display().to_string()),
        name,
    };
    let images = folder.join("images");
    std::fs::create_dir_all(&images).map_err(|source| ImageError::Io {
        doing: "create",
        path: images.clone(),
        source,
    })?;
    error::write(&folder.join(&target), &application)?;
    catalogue::append(catalogue, &entry)?;
    Ok(Added { entry })
}

/// The application's file, and how it is made again.
fn application_file(path: &Path) -> Result<(PathBuf, String), ImageError> {
    if !path.is_dir() {
        return Ok((path.to_owned(), "unknown: added from a file".to_owned()));
    }
    let unusable = |why: String| ImageError::Unusable { path: path.to_owned(), why };
    let args = path.join("flasher_args.json");
    if !args.exists() {
        return Err(unusable(
            "the folder has no flasher_args.json: give ESP-IDF's build folder (after `idf.py build`), or a .bin file"
                .to_owned(),
        ));
    }
    let args: FlasherArgs = serde_json::from_slice(&error::read(&args)?)
        .map_err(|e| unusable(format!("its flasher_args.json cannot be read: {e}")))?;
    let app = args.app.ok_or_else(|| unusable("its flasher_args.json names no application".to_owned()))?;
    Ok((path.join(app.file), "idf.py build".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use esp_image::build::AppImage;

    fn image() -> Vec<u8> {
        AppImage::reference(ChipId::Esp32C3, "1.5.9", "xiaozhi-1.5.9").bytes()
    }

    #[test]
    fn build_folder_and_merged_image_give_the_same_application() {
        let folder = tempfile::tempdir().expect("folder");
        let build = folder.path().join("build");
        std::fs::create_dir(&build).expect("build");
        std::fs::write(build.join("app.bin"), image()).expect("app");
        std::fs::write(build.join("flasher_args.json"), r#"{"app":{"offset":"0x10000","file":"app.bin"}}"#)
            .expect("args");
        let from_build = add(&build, &folder.path().join("a.toml"), None, None).expect("build folder").entry;

        let mut merged = vec![0xff; 0x1_0000];
        let table = esp_image::partition::encode(&esp_image::partition::reference());
        merged[0x8000..0x8000 + table.len()].copy_from_slice(&table);
        merged.extend(image());
        merged.extend([0xff; 4096]);
        let file = folder.path().join("merged-binary.bin");
        std::fs::write(&file, merged).expect("merged");
        let from_merged = add(&file, &folder.path().join("b.toml"), None, None).expect("merged image").entry;
        assert_eq!(from_build.sha256, from_merged.sha256);
        assert_eq!(from_build.name, "ota-agent-esp32c3-1.5.9");
    }

    #[test]
    fn truncated_image_is_refused_with_its_length() {
        let folder = tempfile::tempdir().expect("folder");
        let file = folder.path().join("app.bin");
        std::fs::write(&file, &image()[..1000]).expect("file");
        let error = add(&file, &folder.path().join("c.toml"), None, None).expect_err("truncated").to_string();
        assert!(error.contains("truncated: 1000 bytes are there"), "{error}");
    }

    #[test]
    fn added_image_is_found_and_a_changed_file_is_noticed() {
        let folder = tempfile::tempdir().expect("folder");
        let file = folder.path().join("app.bin");
        std::fs::write(&file, image()).expect("file");
        let path = folder.path().join("catalogue.toml");
        add(&file, &path, None, Some("mine")).expect("added");
        let load = || super::super::Catalogue::embedded().expect("embedded").with(&path).expect("catalogue");
        assert_eq!(load().application("mine", ChipId::Esp32C3).expect("found").bytes, image());
        std::fs::write(folder.path().join("images/mine.bin"), b"other").expect("changed");
        let error = load().application("mine", ChipId::Esp32C3).expect_err("changed").to_string();
        assert!(error.contains("the catalogue says"), "{error}");
        assert!(add(&file, &path, None, Some("mine")).is_err(), "names are unique");
    }
}
