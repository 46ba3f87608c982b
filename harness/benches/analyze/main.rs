//! `brickproof analyze` over a day of console, as text and compressed, beside `rg` with the same patterns on the same file
//! where rg is on PATH: `cargo bench -p brickproof --bench analyze`.
//!
//! `BRICKPROOF_BENCH_MIB` is the size (64; a day at 115200 baud is 950), `BRICKPROOF_BENCH_ROUNDS` how often (3),
//! `BRICKPROOF_BENCH_KEEP` a path where the console is left.

#![allow(clippy::print_stdout, reason = "a benchmark tells its figures")]

mod day;

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use brickproof::analyze::analyze;
use brickproof::dialect;
use day::Day;

fn number(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

fn main() {
    let (mib, rounds) = (number("BRICKPROOF_BENCH_MIB", 64), number("BRICKPROOF_BENCH_ROUNDS", 3));
    let bytes = mib << 20;
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("folder");
    let kept = std::env::var_os("BRICKPROOF_BENCH_KEEP");
    let console = kept.map_or_else(|| folder.path().join("day.log"), Into::into);
    std::io::copy(&mut Day::new(7).take(bytes), &mut File::create(&console).expect("console")).expect("written");
    let compressed = folder.path().join("day.log.zst");
    let packed = File::create(&compressed).expect("file");
    zstd::stream::copy_encode(File::open(&console).expect("console"), packed, 3).expect("compressed");
    let size = std::fs::metadata(&compressed).expect("file").len();
    println!("{mib} MiB of console, {} MiB compressed", size >> 20);

    let dialect = Arc::new(dialect::embedded("xiaozhi").expect("dialect"));
    let patterns = folder.path().join("patterns");
    // rg makes one expression of them all, in which a name may stand once. A rule that looks at tag and level alone has the
    // pattern `.`: with it rg would be done with each line at its first byte. Word boundaries become those of ASCII:
    // else text that is not ASCII takes rg some three hundred times as long.
    let names = regex::Regex::new(r"\(\?<[a-z_]+>").expect("pattern");
    let all: Vec<_> = dialect
        .patterns()
        .filter(|pattern| *pattern != ".")
        .map(|pattern| names.replace_all(pattern, "(?:").replace(r"\b", r"(?-u:\b)"))
        .collect();
    std::fs::write(&patterns, all.join("\n")).expect("patterns");
    for _ in 0..rounds {
        for (what, file) in [("analyze", &console), ("analyze, compressed", &compressed)] {
            let begun = Instant::now();
            let file = File::open(file).expect("console");
            let analysis = analyze(file, Arc::clone(&dialect), None).expect("read");
            let peak = peak_memory();
            told(what, bytes, begun.elapsed(), &format!("{} lines, peak memory {peak}", analysis.summary.lines));
        }
        if let Some((spent, lines)) = rg(&patterns, &console) {
            told("rg -c -f patterns", bytes, spent, &format!("{lines} lines match"));
        }
    }
}

fn told(what: &str, bytes: u64, spent: Duration, more: &str) {
    let micros = u64::try_from(spent.as_micros()).unwrap_or(u64::MAX).max(1);
    println!("{what:<20} {:>6} MB/s  {more}", bytes / micros);
}

/// One thread, as analyze has: a file that is given by name is searched by one.
fn rg(patterns: &Path, console: &Path) -> Option<(Duration, String)> {
    let begun = Instant::now();
    let mut rg = Command::new("rg");
    rg.args(["--no-config", "--text", "--count", "--file"]).arg(patterns).arg(console).stderr(Stdio::inherit());
    // None on PATH is no failure; one that does not search is.
    let ran = rg.output().ok()?;
    assert!(ran.status.success(), "rg: {}", ran.status);
    Some((begun.elapsed(), String::from_utf8_lossy(&ran.stdout).trim().to_owned()))
}

/// The most memory that this process has had in use (VmHWM), as Linux tells it.
fn peak_memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.map_or_else(|| "not known".to_owned(), |value| value.trim().to_owned())
}
