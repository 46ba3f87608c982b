//! Catalogue text to checked entries, in two steps: the raw table as serde reads it, then what it must mean.

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::{Component, Path};

use esp_image::chip::ChipId;
use esp_image::partition;
use miette::NamedSource;
use serde::Deserialize;
use toml::Spanned;

use super::entry::{BootloaderCapability, Entry, Kind, RunOn, Software};
use super::error::CatalogueError;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCatalogue {
    #[serde(default)]
    image: Vec<Spanned<RawEntry>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct RawEntry {
    name: Spanned<String>,
    kind: Spanned<String>,
    chip: Option<Spanned<String>>,
    version: Option<Spanned<String>>,
    project: Option<Spanned<String>>,
    profile: Option<Spanned<String>>,
    flash_with: Option<Spanned<Vec<String>>>,
    offset: Option<Spanned<u32>>,
    capabilities: Option<Spanned<Vec<Spanned<String>>>>,
    run_on: Option<Spanned<Vec<Spanned<String>>>>,
    file: Spanned<String>,
    size: u64,
    sha256: Spanned<String>,
    elf: Option<Spanned<String>>,
    origin: String,
    make: Option<String>,
}

/// What is wrong, where, and what to do.
struct Problem {
    span: Range<usize>,
    message: String,
    help: Option<String>,
}

impl Problem {
    fn new(span: Range<usize>, message: impl Into<String>) -> Self {
        Self { span, message: message.into(), help: None }
    }

    fn help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }
}

/// Reads a catalogue's text; `file` is only named in messages.
///
/// # Errors
///
/// The first thing that is wrong, with its place.
pub(super) fn parse(file: &str, text: &str) -> Result<Vec<Entry>, Box<CatalogueError>> {
    let fail = |span: Option<Range<usize>>, message: String, help: Option<String>| {
        Box::new(CatalogueError {
            file: file.to_owned(),
            message,
            source_code: NamedSource::new(file, text.to_owned()),
            span: span.map(Into::into),
            help,
        })
    };
    let raw: RawCatalogue =
        toml::from_str(text).map_err(|e| fail(e.span(), e.message().to_owned(), crate::problem::meant(e.message())))?;
    check(raw).map_err(|problem| fail(Some(problem.span), problem.message, problem.help))
}

fn check(raw: RawCatalogue) -> Result<Vec<Entry>, Problem> {
    let mut names = BTreeSet::new();
    raw.image
        .into_iter()
        .map(|raw| {
            let span = raw.span();
            let raw = raw.into_inner();
            if !names.insert(raw.name.get_ref().clone()) {
                let message = format!("two images are named `{}`", raw.name.get_ref());
                return Err(Problem::new(raw.name.span(), message).help("names are unique in a catalogue"));
            }
            entry(raw, span)
        })
        .collect()
}

/// True for what can stand as an image name: it becomes a file name, too.
pub(super) fn is_name(name: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '+' | '-');
    !name.is_empty() && !name.starts_with('.') && name.chars().all(fits)
}

fn entry(mut raw: RawEntry, span: Range<usize>) -> Result<Entry, Problem> {
    if !is_name(raw.name.get_ref()) {
        return Err(Problem::new(raw.name.span(), format!("`{}` is no image name", raw.name.get_ref()))
            .help("use letters, digits, `.`, `_`, `+` and `-`, not beginning with `.`"));
    }
    for path in std::iter::once(&raw.file).chain(&raw.elf) {
        inside(path)?;
    }
    let mut sha256 = [0; 32];
    hex::decode_to_slice(raw.sha256.get_ref(), &mut sha256)
        .map_err(|e| Problem::new(raw.sha256.span(), format!("this is no SHA-256: {e}")).help("write 64 hex digits"))?;
    let kind = kind(&mut raw, &span)?;
    let run_on = match raw.run_on.take() {
        Some(list) => words(list.into_inner(), "board", RunOn::ALL, RunOn::name)?,
        None if matches!(kind, Kind::PartitionTable { .. } | Kind::Data { .. }) => RunOn::ALL.into(),
        None => return Err(missing(&span, kind.name(), "run-on", "for example run-on = [\"serial\"]")),
    };
    Ok(Entry {
        name: raw.name.into_inner(),
        kind,
        run_on,
        file: raw.file.into_inner(),
        size: raw.size,
        sha256,
        elf: raw.elf.map(Spanned::into_inner),
        origin: raw.origin,
        make: raw.make,
    })
}

fn kind(raw: &mut RawEntry, span: &Range<usize>) -> Result<Kind, Problem> {
    let capabilities = raw.capabilities.take();
    let offset = raw.offset.take();
    let kind = match raw.kind.get_ref().as_str() {
        "application" => {
            not_here(capabilities.map(|c| c.span()), "capabilities", "application")?;
            not_here(offset.map(|o| o.span()), "offset", "application")?;
            let flash_with = raw.flash_with.take().map(Spanned::into_inner).unwrap_or_default();
            Kind::Application { software: software(raw, span)?, flash_with }
        }
        "merged" => Kind::Merged {
            software: software(raw, span)?,
            offset: offset.map_or(0, Spanned::into_inner),
            capabilities: capabilities_of(capabilities)?,
        },
        "bootloader" => {
            not_here(offset.map(|o| o.span()), "offset", "bootloader")?;
            Kind::Bootloader {
                chip: chip(raw, span)?,
                version: raw.version.take().map(Spanned::into_inner),
                capabilities: capabilities_of(capabilities)?,
            }
        }
        "partition-table" => {
            not_here(capabilities.map(|c| c.span()), "capabilities", "partition-table")?;
            Kind::PartitionTable { offset: offset.map_or(partition::OFFSET, Spanned::into_inner) }
        }
        "data" => {
            not_here(capabilities.map(|c| c.span()), "capabilities", "data")?;
            let offset =
                offset.ok_or_else(|| missing(span, "data", "offset", "the flash offset, as offset = 0x310000"))?;
            Kind::Data { offset: offset.into_inner() }
        }
        other => {
            return Err(Problem::new(raw.kind.span(), format!("there is no kind of image `{other}`"))
                .help("kinds are application, merged, bootloader, partition-table and data"));
        }
    };
    // What the kind took is gone; what is left was given in vain.
    let name = kind.name();
    not_here(raw.chip.as_ref().map(Spanned::span), "chip", name)?;
    not_here(raw.version.as_ref().map(Spanned::span), "version", name)?;
    not_here(raw.project.as_ref().map(Spanned::span), "project", name)?;
    not_here(raw.profile.as_ref().map(Spanned::span), "profile", name)?;
    not_here(raw.flash_with.as_ref().map(Spanned::span), "flash-with", name)?;
    Ok(kind)
}

fn software(raw: &mut RawEntry, span: &Range<usize>) -> Result<Software, Problem> {
    let kind = raw.kind.get_ref().clone();
    let of_descriptor = "it stands in the application's descriptor; `brickproof image add` writes it";
    Ok(Software {
        chip: chip(raw, span)?,
        version: raw.version.take().ok_or_else(|| missing(span, &kind, "version", of_descriptor))?.into_inner(),
        project: raw.project.take().ok_or_else(|| missing(span, &kind, "project", of_descriptor))?.into_inner(),
        profile: raw.profile.take().map(Spanned::into_inner),
    })
}

fn chip(raw: &mut RawEntry, span: &Range<usize>) -> Result<ChipId, Problem> {
    let names = ChipId::ALL.map(ChipId::name).join(", ");
    let Some(chip) = raw.chip.take() else {
        return Err(missing(span, raw.kind.get_ref(), "chip", &format!("one of {names}")));
    };
    ChipId::from_name(chip.get_ref()).ok_or_else(|| {
        Problem::new(chip.span(), format!("chip `{}` is not known", chip.get_ref())).help(format!("one of {names}"))
    })
}

fn capabilities_of(list: Option<Spanned<Vec<Spanned<String>>>>) -> Result<BTreeSet<BootloaderCapability>, Problem> {
    let list = list.map(Spanned::into_inner).unwrap_or_default();
    words(list, "bootloader capability", BootloaderCapability::ALL, BootloaderCapability::name)
}

fn words<T: Copy + Ord, const N: usize>(
    list: Vec<Spanned<String>>,
    what: &str,
    all: [T; N],
    name: fn(T) -> &'static str,
) -> Result<BTreeSet<T>, Problem> {
    list.into_iter()
        .map(|word| {
            all.into_iter().find(|t| name(*t) == word.get_ref()).ok_or_else(|| {
                Problem::new(word.span(), format!("there is no {what} `{}`", word.get_ref()))
                    .help(format!("one of {}", all.map(name).join(", ")))
            })
        })
        .collect()
}

/// Files stand in the catalogue's folder or below: a catalogue can be moved or given away as a whole.
fn inside(path: &Spanned<String>) -> Result<(), Problem> {
    let plain = |c: Component<'_>| matches!(c, Component::Normal(_));
    let text = path.get_ref();
    if !text.is_empty() && Path::new(text).components().all(plain) {
        return Ok(());
    }
    Err(Problem::new(path.span(), format!("`{text}` is no path below the catalogue's folder"))
        .help("put the file beside the catalogue and write its path from there, with `/` and without `..`"))
}

fn missing(span: &Range<usize>, kind: &str, key: &str, help: &str) -> Problem {
    Problem::new(span.clone(), format!("an image of kind {kind} needs `{key}`")).help(help)
}

fn not_here(span: Option<Range<usize>>, key: &str, kind: &str) -> Result<(), Problem> {
    match span {
        Some(span) => Err(Problem::new(span, format!("`{key}` has no meaning for an image of kind {kind}"))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry_text(change: impl FnOnce(String) -> String) -> String {
        change(
            concat!(
                "[[image]]\nname = \"hello-esp32-1.0\"\nkind = \"application\"\nchip = \"esp32\"\nversion = \"1.0\"\n",
                "project = \"hello\"\nrun-on = [\"serial\"]\nfile = \"images/hello.bin\"\nsize = 5\n",
                "sha256 = \"0000000000000000000000000000000000000000000000000000000000000000\"\norigin = \"here\"\n",
            )
            .to_owned(),
        )
    }

    fn refused(text: &str) -> (String, String, Option<String>) {
        let error = parse("catalogue.toml", text).expect_err("refused");
        let span = error.span.expect("a place");
        let place = &text[span.offset()..span.offset() + span.len()];
        (error.message, place.to_owned(), error.help)
    }

    #[test]
    fn entry_reads_back_as_written() {
        let entries = parse("c", &entry_text(|t| t)).expect("valid");
        assert_eq!(parse("c", &entries[0].to_toml()).expect("valid"), entries);
        let odd = Entry {
            origin: "a \"quoted\" word\nand a second line \\".to_owned(),
            kind: Kind::Merged {
                software: entries[0].software().expect("application").clone(),
                offset: 0x1000,
                capabilities: BootloaderCapability::ALL.into(),
            },
            elf: Some("images/hello.elf".to_owned()),
            make: Some("idf.py build".to_owned()),
            ..entries[0].clone()
        };
        assert_eq!(parse("c", &odd.to_toml()).expect("valid"), [odd]);
    }

    #[test]
    fn misspelt_key_is_pointed_at_with_what_could_be_meant() {
        let (message, place, _) = refused(&entry_text(|t| t.replace("version", "verison")));
        assert!(message.contains("verison") && message.contains("`version`"), "{message}");
        assert_eq!(place, "verison");
    }

    #[test]
    fn wrong_values_are_pointed_at() {
        let (message, place, help) = refused(&entry_text(|t| t.replace("\"esp32\"", "\"esp8266\"")));
        assert_eq!((message.as_str(), place.as_str()), ("chip `esp8266` is not known", "\"esp8266\""));
        assert_eq!(help.as_deref(), Some("one of esp32, esp32s3, esp32c3"));
        let (message, place, _) = refused(&entry_text(|t| t.replace("\"serial\"", "\"seriel\"")));
        assert_eq!((message.as_str(), place.as_str()), ("there is no board `seriel`", "\"seriel\""));
        let (_, place, _) = refused(&entry_text(|t| t.replace("0000\"\n", "00\"\n")));
        assert!(place.starts_with("\"0000"), "{place}");
        let (message, ..) = refused(&entry_text(|t| t.replace("= \"application\"", "= \"app\"")));
        assert_eq!(message, "there is no kind of image `app`");
    }

    #[test]
    fn path_out_of_the_catalogues_folder_is_refused() {
        for path in ["../secret.bin", "/etc/passwd", "images/../../x.bin", ""] {
            let (message, ..) = refused(&entry_text(|t| t.replace("images/hello.bin", path)));
            assert!(message.contains("no path below"), "{message}");
        }
    }

    #[test]
    fn key_of_another_kind_is_refused_rather_than_ignored() {
        let (message, place, _) = refused(&entry_text(|t| t + "capabilities = [\"bootloader-rollback\"]\n"));
        assert_eq!(message, "`capabilities` has no meaning for an image of kind application");
        assert_eq!(place, "[\"bootloader-rollback\"]");
        let (message, ..) = refused(&entry_text(|t| t.replace("\"application\"", "\"bootloader\"")));
        assert_eq!(message, "`project` has no meaning for an image of kind bootloader");
    }

    #[test]
    fn missing_key_and_double_name_are_refused() {
        let (message, ..) = refused(&entry_text(|t| t.replace("version = \"1.0\"\n", "")));
        assert_eq!(message, "an image of kind application needs `version`");
        let (message, ..) = refused(&entry_text(|t| format!("{t}{t}")));
        assert_eq!(message, "two images are named `hello-esp32-1.0`");
    }
}
