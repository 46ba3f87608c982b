//! `brickproof init`.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};

use miette::{Result, miette};

use super::args::InitArgs;
use super::out;
use crate::board::ports;
use crate::settings::init::start_file;

pub(super) fn init(args: &InitArgs) -> Result<u8> {
    let path = &args.output;
    let text = start_file(&ports::attached());
    let file = OpenOptions::new().write(true).create_new(true).open(path);
    match file.and_then(|mut file| file.write_all(text.as_bytes())) {
        Ok(()) => {
            out(&format!("wrote {}; `brickproof boards` shows what it says\n", path.display()))?;
            Ok(0)
        }
        Err(e) if e.kind() == ErrorKind::AlreadyExists => Err(miette!(
            help = "write elsewhere with --output, or move it away",
            "{} is there already, and is left as it is",
            path.display()
        )),
        Err(e) => Err(miette!("cannot write {}: {e}", path.display())),
    }
}
