//! `brickproof nvs`.

use std::fmt::Write as _;
use std::path::Path;

use miette::{Result, miette};
use virtual_esp32::nvs::{NvsPartition, Value};

use super::args::{LineArgs, NvsArgs, NvsCommand, NvsType};
use super::out;
use super::run::one_board;
use crate::board::flash::Region;
use crate::board::nvs::open;
use crate::run::{acquire, hold, with_nvs};
use crate::secrets::{MASK, is_secret_name};
use crate::settings::Sources;

/// What a command made of a partition: its words, and the bytes where they changed.
struct Done {
    text: String,
    bytes: Option<Vec<u8>>,
}

pub(super) fn nvs(args: &NvsArgs, sources: &Sources) -> Result<u8> {
    match (&args.file, &args.board) {
        (Some(file), _) => in_file(file, &args.command),
        (None, Some(board)) => on_board(args, board, sources),
        (None, None) => Err(miette!(
            help = "--board /dev/ttyUSB0 names a board, --file nvs.bin a file with a partition",
            "neither a board nor a file is named"
        )),
    }
}

fn in_file(file: &Path, command: &NvsCommand) -> Result<u8> {
    let bytes = std::fs::read(file).map_err(|e| miette!("cannot read {}: {e}", file.display()))?;
    let done = carry_out(command, &bytes).map_err(|why| miette!("{}: {why}", file.display()))?;
    if let Some(bytes) = done.bytes {
        std::fs::write(file, bytes).map_err(|e| miette!("cannot write {}: {e}", file.display()))?;
    }
    out(&done.text)?;
    Ok(0)
}

fn on_board(args: &NvsArgs, board: &str, sources: &Sources) -> Result<u8> {
    let line = LineArgs {
        reset: args.reset.clone(),
        flash_baud: args.flash_baud,
        probe: args.probe.clone(),
        wait_board: args.wait_board,
        state: None,
    };
    let (connection, wait) = one_board(sources, board, &line)?;
    let _lease = match hold(&connection.id, "nvs", wait, &|| None) {
        Ok(lease) => lease,
        Err(why) => {
            out(&format!("error: {why}\n"))?;
            return Ok(3);
        }
    };
    let (connection, _place) = match acquire(&connection, wait, &|| None) {
        Ok(acquired) => acquired,
        Err(why) => {
            out(&format!("error: {why}\n"))?;
            return Ok(3);
        }
    };
    let command = args.command.clone();
    let done = with_nvs(&connection, move |offset, old| {
        let done = carry_out(&command, &old)?;
        let region = done.bytes.map(|bytes| Region { label: "nvs".to_owned(), offset, bytes });
        Ok((region, done.text))
    });
    match done {
        Ok(Ok(text)) => {
            out(&text)?;
            Ok(0)
        }
        // The partition or the request is at fault, and nothing was written.
        Ok(Err(why)) => Err(miette!("{board}: {why}")),
        Err(rig) => {
            out(&format!("error: {rig}\n"))?;
            Ok(3)
        }
    }
}

fn carry_out(command: &NvsCommand, old: &[u8]) -> Result<Done, String> {
    if let NvsCommand::Erase { all: true, .. } = command {
        return Ok(Done { text: format!("erased {} bytes\n", old.len()), bytes: Some(vec![0xff; old.len()]) });
    }
    let mut partition = open(old).map_err(|e| e.to_string())?;
    let told = |text: String| Ok(Done { text, bytes: None });
    match command {
        NvsCommand::List { values, secrets } => told(list(&mut partition, *values, *secrets)?),
        NvsCommand::Get { name } => {
            let (namespace, key) = split(name)?;
            let value = partition.get(namespace, key).map_err(|e| e.to_string())?;
            told(
                shown(&value.ok_or_else(|| format!("there is no {name}; `brickproof nvs list` shows what there is"))?)
                    + "\n",
            )
        }
        NvsCommand::Set { name, value, kind } => {
            let (namespace, key) = split(name)?;
            let found = partition.get(namespace, key).map_err(|e| e.to_string())?;
            let value = parse(value, kind.or_else(|| found.as_ref().map(kind_of)).unwrap_or(NvsType::Text))?;
            if found.as_ref() == Some(&value) {
                return told(format!("{name} is {} already: nothing was written\n", words(&value)));
            }
            partition.set(namespace, key, &value).map_err(|e| e.to_string())?;
            Ok(Done { text: format!("{name} is {} now\n", words(&value)), bytes: Some(partition.to_bytes()) })
        }
        NvsCommand::Erase { name, .. } => {
            let name = name.as_deref().unwrap_or_default();
            let (namespace, key) = split(name)?;
            if partition.get(namespace, key).map_err(|e| e.to_string())?.is_none() {
                return told(format!("there is no {name}: nothing was written\n"));
            }
            partition.remove(namespace, key).map_err(|e| e.to_string())?;
            Ok(Done { text: format!("erased {name}\n"), bytes: Some(partition.to_bytes()) })
        }
    }
}

fn split(name: &str) -> Result<(&str, &str), String> {
    name.split_once('/').ok_or_else(|| format!("{name:?} is no NAMESPACE/KEY, as in wifi/ota_url"))
}

fn list(partition: &mut NvsPartition, values: bool, secrets: bool) -> Result<String, String> {
    let entries = partition.entries().map_err(|e| e.to_string())?;
    let mut text = String::new();
    for entry in entries {
        let value = if secrets { shown(&entry.value) } else { hidden(&entry.key, &entry.value, values) };
        let _ = writeln!(
            text,
            "{:<31} {:<9} {value}",
            format!("{}/{}", entry.namespace, entry.key),
            entry.value.type_name()
        );
    }
    Ok(if text.is_empty() { "there are no keys\n".to_owned() } else { text })
}

/// The value without what must not be shown: of a key with a secret's name, or in a URL.
fn hidden(key: &str, value: &Value, values: bool) -> String {
    let is_long = matches!(value, Value::Str(_) | Value::Blob(_));
    match (is_secret_name(key), values) {
        // A length is no secret.
        (_, false) if is_long => words(value),
        (true, _) => MASK.to_owned(),
        (false, _) => super::secrets::process().mask(&shown(value)).into_owned(),
    }
}

/// The value, texts and bytes by their length.
fn words(value: &Value) -> String {
    match value {
        Value::Str(text) => format!("a text of {} bytes", text.len()),
        Value::Blob(bytes) => format!("{} bytes", bytes.len()),
        other => shown(other),
    }
}

/// The value itself.
fn shown(value: &Value) -> String {
    match value {
        Value::Str(text) => text.chars().map(|c| if c.is_control() && c != '\n' { '?' } else { c }).collect(),
        Value::Blob(bytes) => hex::encode(bytes),
        Value::U8(n) => n.to_string(),
        Value::I8(n) => n.to_string(),
        Value::U16(n) => n.to_string(),
        Value::I16(n) => n.to_string(),
        Value::U32(n) => n.to_string(),
        Value::I32(n) => n.to_string(),
        Value::U64(n) => n.to_string(),
        Value::I64(n) => n.to_string(),
    }
}

fn kind_of(value: &Value) -> NvsType {
    match value {
        Value::Str(_) => NvsType::Text,
        Value::Blob(_) => NvsType::Blob,
        Value::U8(_) => NvsType::U8,
        Value::I8(_) => NvsType::I8,
        Value::U16(_) => NvsType::U16,
        Value::I16(_) => NvsType::I16,
        Value::U32(_) => NvsType::U32,
        Value::I32(_) => NvsType::I32,
        Value::U64(_) => NvsType::U64,
        Value::I64(_) => NvsType::I64,
    }
}

fn parse(text: &str, kind: NvsType) -> Result<Value, String> {
    fn number<T: std::str::FromStr>(text: &str, kind: NvsType) -> Result<T, String> {
        text.trim().parse().map_err(|_| format!("{text:?} is no {}", format!("{kind:?}").to_lowercase()))
    }
    Ok(match kind {
        NvsType::Text => Value::from(text),
        NvsType::Blob => {
            Value::Blob(hex::decode(text.trim()).map_err(|e| format!("{text:?} is not hexadecimal: {e}"))?)
        }
        NvsType::U8 => Value::U8(number(text, kind)?),
        NvsType::I8 => Value::I8(number(text, kind)?),
        NvsType::U16 => Value::U16(number(text, kind)?),
        NvsType::I16 => Value::I16(number(text, kind)?),
        NvsType::U32 => Value::U32(number(text, kind)?),
        NvsType::I32 => Value::I32(number(text, kind)?),
        NvsType::U64 => Value::U64(number(text, kind)?),
        NvsType::I64 => Value::I64(number(text, kind)?),
    })
}
