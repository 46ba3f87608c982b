//! What compression of recordings saves and costs: `cargo bench -p brickproof --bench recording`.
//!
//! Writes recordings again in both forms, a line at a time as a run does. `BRICKPROOF_BENCH_RECORDINGS` is the folder that they
//! are in; the kept ones unless given.

#![allow(clippy::print_stdout, reason = "a benchmark tells its figures")]

use std::path::{Path, PathBuf};
use std::time::Instant;

use brickproof::recording::{Form, Recording, Writer};

fn below(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("folder") {
        let path = entry.expect("entry").path();
        if path.is_dir() {
            below(&path, files);
        } else if Form::of_name(&path).is_some() {
            files.push(path);
        }
    }
}

fn main() {
    let kept = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/recordings");
    let mut files = Vec::new();
    below(&std::env::var_os("BRICKPROOF_BENCH_RECORDINGS").map_or_else(kept, PathBuf::from), &mut files);
    let recordings: Vec<Recording> = files.iter().map(|file| Recording::read(file).expect("recording")).collect();
    let lines: usize = recordings.iter().map(|recording| recording.events.len() + 2).sum();
    println!("{} recordings, {lines} lines", recordings.len());
    for form in [Form::Plain, Form::Compressed, Form::Plain, Form::Compressed] {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("folder");
        let path = |n: usize| folder.path().join(form.file_name(&n.to_string()));
        let begun = Instant::now();
        for (n, recording) in recordings.iter().enumerate() {
            let mut writer = Writer::create(&path(n), form, &recording.header).expect("created");
            recording.events.iter().for_each(|event| writer.event(event).expect("written"));
            if let Some(footer) = recording.footer.clone() {
                writer.finish(footer).expect("finished");
            }
        }
        let spent = begun.elapsed();
        let size: u64 = (0..recordings.len()).map(|n| std::fs::metadata(path(n)).expect("file").len()).sum();
        let per_line = spent.as_nanos() / lines.max(1) as u128;
        println!("{form:?}: {} kB, {per_line} ns a line", size / 1000);
    }
}
