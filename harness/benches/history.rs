//! How long a history takes: runs added night by night, then read, at 100,000 runs.
//!
//! `cargo bench -p brickproof --bench history`; `BRICKPROOF_BENCH_RUNS` is another number of runs, `BRICKPROOF_BENCH_HISTORY`
//! another history (a file that is not there yet, or an empty database) than a temporary file.

#![allow(clippy::print_stdout, reason = "a benchmark tells its figures")]

use std::time::Instant;

use brickproof::history::{Access, Entry, Filter, Identity, Place, Store, trends};
use brickproof::metrics::Recovery;
use brickproof::verdict::Status;

/// Scenarios of a night: as many as the suite has cases.
const SCENARIOS: u64 = 213;

fn entry(n: u64) -> Entry {
    let (night, scenario) = (n / SCENARIOS, n % SCENARIOS);
    // Some scenario fails in one night of seven; which does not matter here.
    let status =
        if (night * 31 + scenario * 17) % (7 * SCENARIOS) < SCENARIOS / 7 { Status::Fail } else { Status::Pass };
    Entry {
        identity: Identity {
            run: format!("202611{:02}-040000-{night}", night % 28 + 1),
            scenario: format!("scenario-{scenario}[case={scenario}]"),
            board: "bench-1".to_owned(),
            chip: "esp32c3".to_owned(),
            attempt: 1,
            began_ms: 1_700_000_000_000 + night * 86_400_000 + scenario * 60_000,
            seed: 1,
            text_digest: Identity::digest(&scenario.to_string()),
        },
        label: Some(format!("{night:040x}")),
        status,
        wall_ms: 60_000,
        run_ms: 60_000,
        warped: false,
        made_by: "brickproof 0.1.0".to_owned(),
        recovery: Some(Recovery::After(12_000 + n % 700)),
        notice_ms: Some(100),
        retries: 3,
        connections: 4,
        throughput: Some(100_000),
        free_heap: Some(150_000),
        why: if status == Status::Fail {
            "version 1.6.0 runs from slot other: it never did".to_owned()
        } else {
            String::new()
        },
        recording: Some(format!("runs/x/scenario-{scenario}.jsonl")),
    }
}

fn main() {
    let runs: u64 = std::env::var("BRICKPROOF_BENCH_RUNS").ok().and_then(|n| n.parse().ok()).unwrap_or(100_000);
    let folder = tempfile::tempdir().expect("folder");
    let place: Place = match std::env::var("BRICKPROOF_BENCH_HISTORY") {
        Ok(history) => history.parse().expect("a history"),
        Err(_) => Place::File(folder.path().join("history.db")),
    };
    let mut store = Store::open(&place, Access::Write).expect("opened");
    let mut added = Vec::new();
    let begun = Instant::now();
    for night in 0..runs.div_ceil(SCENARIOS) {
        let entries: Vec<Entry> = (night * SCENARIOS..((night + 1) * SCENARIOS).min(runs)).map(entry).collect();
        let one = Instant::now();
        store.add(&entries).expect("added");
        added.push(one.elapsed());
    }
    let all = begun.elapsed();
    added.sort_unstable();
    println!("{runs} runs in {} nights, in {place}", added.len());
    println!(
        "  added in {:.2} s; a night of {SCENARIOS}: median {:.1} ms, slowest {:.1} ms",
        all.as_secs_f64(),
        added[added.len() / 2].as_secs_f64() * 1e3,
        added[added.len() - 1].as_secs_f64() * 1e3
    );
    if let Place::File(path) = &place {
        println!("  file: {:.1} MB", std::fs::metadata(path).expect("file").len() as f64 / 1e6);
    }
    for (what, filter) in [
        ("one scenario", Filter { scenarios: vec!["scenario-7[case=7]".to_owned()], ..Filter::default() }),
        ("all", Filter::default()),
    ] {
        let mut store = Store::open(&place, Access::Read).expect("opened");
        let begun = Instant::now();
        let entries = store.entries(&filter).expect("read");
        let read = begun.elapsed();
        let told = trends(&entries);
        println!(
            "  {what}: {} runs read in {:.1} ms, {} trends after {:.1} ms",
            entries.len(),
            read.as_secs_f64() * 1e3,
            told.len(),
            begun.elapsed().as_secs_f64() * 1e3
        );
    }
}
