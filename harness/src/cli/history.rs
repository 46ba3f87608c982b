//! `brickproof history`, and what `run` keeps in one.

use std::collections::BTreeSet;
use std::path::Path;

use miette::{Report, Result, miette};

use super::args::{HistoryAddArgs, HistoryArgs, HistoryCommand, HistoryPlace};
use super::compare::recordings;
use super::out;
use crate::history::{Access, Entry, Filter, HistoryError, Identity, Place, Store, Trend, text, trends};
use crate::metrics::Metrics;
use crate::recording::{Header, Recording};
use crate::report::junit::headline;
use crate::report::model::{self, Past, ScenarioReport};
use crate::run::report_recording;
use crate::settings::Sources;
use crate::verdict::Status;

pub(super) fn history(args: &HistoryArgs, sources: &Sources) -> Result<u8> {
    match &args.command {
        Some(HistoryCommand::Add(add)) => self::add(add, sources),
        None => show(args, sources),
    }
}

fn show(args: &HistoryArgs, sources: &Sources) -> Result<u8> {
    let place = needed(&args.history, sources)?;
    let filter = Filter { scenarios: args.scenarios.clone(), board: args.board.clone(), since_ms: None };
    let mut store = Store::open(&place, Access::Read).map_err(Report::msg)?;
    let trends = trends(&store.entries(&filter).map_err(Report::msg)?);
    if args.json {
        out(&(serde_json::to_string_pretty(&trends).map_err(|e| miette!("{e}"))? + "\n"))?;
        return Ok(0);
    }
    let unknown: Vec<&str> = args
        .scenarios
        .iter()
        .filter(|name| !trends.iter().any(|trend| trend.scenario == **name))
        .map(String::as_str)
        .collect();
    if !unknown.is_empty() {
        return Err(miette!(
            help = "`brickproof history` without a name lists all that is in it",
            "the history {place} has no run of {}{}",
            unknown.join(", "),
            args.board.as_ref().map_or_else(String::new, |board| format!(" on {board}"))
        ));
    }
    if args.scenarios.is_empty() {
        out(&text::table(&trends))?;
    } else {
        let told: Vec<String> = trends.iter().map(|trend| text::detail(trend, args.last)).collect();
        out(&told.join("\n"))?;
    }
    Ok(0)
}

fn add(args: &HistoryAddArgs, sources: &Sources) -> Result<u8> {
    let place = needed(&args.history, sources)?;
    let label = args.label.as_deref().map(|label| super::secrets::process().mask(label).into_owned());
    let mut store = Store::open(&place, Access::Write).map_err(Report::msg)?;
    let mut entries = Vec::new();
    for file in recordings(&args.runs)? {
        let recording = Recording::read(&file).map_err(|e| miette!("{e}"))?;
        let shown = file.display().to_string();
        let (_, scenario) = report_recording(&recording, &shown).map_err(|e| miette!("{shown}: {e}"))?;
        // A run's recordings are in its folder, whose name is the run's.
        let folder = std::path::absolute(&file).ok().and_then(|f| Some(f.parent()?.file_name()?.to_owned()));
        let run = folder.map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        entries.push(entry(&scenario, Some(&recording), &run, 0, label.as_deref()));
    }
    let all = entries.len();
    let added = store.add(&entries).map_err(Report::msg)?;
    out(&format!("{added} of {all} runs are new in the history {place}\n"))?;
    Ok(0)
}

/// The history that is meant: of the command line or the environment, else of the project file.
pub(super) fn place(given: &HistoryPlace, defaults: Option<&str>) -> Result<Option<Place>> {
    let (text, whence) = match (&given.place, defaults) {
        (Some(text), _) => (text.as_str(), "--history"),
        (None, Some(text)) => (text, "history in the project file"),
        (None, None) => return Ok(None),
    };
    text.parse().map(Some).map_err(|e| miette!("{whence}: {e}"))
}

/// The history that a command is about.
pub(super) fn needed(given: &HistoryPlace, sources: &Sources) -> Result<Place> {
    let settings = super::settings(sources)?;
    place(given, settings.merged.run.history.as_deref())?.ok_or_else(|| {
        miette!(
            help = "name one with --history FILE, in BRICKPROOF_HISTORY, or as `history` under [run] in brickproof.toml; \
                    `brickproof run --history FILE` begins one",
            "no history is named"
        )
    })
}

/// A history that a run is kept in. Nothing about it changes a verdict: whatever fails is a warning.
pub(super) struct Keeper {
    place: Place,
    label: Option<String>,
}

impl Keeper {
    /// Looks, before any board is touched, that the history can be written.
    ///
    /// A file that cannot be, or a history of a newer form, is a mistake to be told at once. A server that is not reached now
    /// may be back when the run ends.
    pub(super) fn begin(place: Place, label: Option<String>) -> Result<Self> {
        match Store::open(&place, Access::Write) {
            Ok(_) => {}
            Err(why) if why.is_passing() => warn(&format!("{why}; it is tried again when the run has ended"))?,
            Err(why) => return Err(Report::msg(why)),
        }
        let label = label.map(|label| super::secrets::process().mask(&label).into_owned());
        Ok(Self { place, label })
    }

    /// Keeps a run, whose recordings are relative to `reports`, and returns what the history tells of its scenarios.
    pub(super) fn keep(
        &self,
        report: &model::Report,
        reports: &Path,
        folder: &Path,
        began_ms: u64,
    ) -> Result<Option<Past>> {
        let run = folder.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        let entries: Vec<Entry> = report
            .scenarios
            .iter()
            .map(|scenario| {
                let recording = scenario.recording.as_ref().and_then(|name| Recording::read(&reports.join(name)).ok());
                entry(scenario, recording.as_ref(), &run, began_ms, self.label.as_deref())
            })
            .collect();
        match self.written(&entries) {
            Ok(trends) => Ok(Some(Past::of(&trends, &report.scenarios, self.place.to_string()))),
            Err(why) => {
                let label = self.label.as_ref().map_or_else(String::new, |label| format!(" --label '{label}'"));
                warn(&format!(
                    "{why}; the run's verdicts, reports and recordings are whole: `brickproof history add {}{label} --history …` takes \
                     it in later",
                    folder.display()
                ))?;
                Ok(None)
            }
        }
    }

    fn written(&self, entries: &[Entry]) -> std::result::Result<Vec<Trend>, HistoryError> {
        let mut store = Store::open(&self.place, Access::Write)?;
        store.add(entries)?;
        trends_of(&mut store, entries.iter().map(|entry| entry.identity.scenario.as_str()))
    }
}

/// The trends of some scenarios.
fn trends_of<'n>(
    store: &mut Store,
    names: impl Iterator<Item = &'n str>,
) -> std::result::Result<Vec<Trend>, HistoryError> {
    let names: BTreeSet<&str> = names.collect();
    // A statement takes some thousands of parameters; of more scenarios than that all are read.
    let scenarios = if names.len() > 1000 { Vec::new() } else { names.iter().map(|n| (*n).to_owned()).collect() };
    let mut trends = trends(&store.entries(&Filter { scenarios, ..Filter::default() })?);
    trends.retain(|trend| names.contains(trend.scenario.as_str()));
    Ok(trends)
}

/// What a history tells of the scenarios of a report. The report stands without one that cannot be read.
pub(super) fn past(given: &HistoryPlace, report: &model::Report) -> Result<Option<Past>> {
    let Some(place) = place(given, None)? else { return Ok(None) };
    let read = || trends_of(&mut Store::open(&place, Access::Read)?, report.scenarios.iter().map(|s| s.name.as_str()));
    match read() {
        Ok(trends) => Ok(Some(Past::of(&trends, &report.scenarios, place.to_string()))),
        Err(why) => {
            warn(&format!("{why}; the report tells nothing of earlier runs"))?;
            Ok(None)
        }
    }
}

pub(super) fn warn(words: &str) -> Result<()> {
    out(&format!("warning: {words}\n"))
}

/// What the history keeps of a run. One without a recording never began: it has the moment of the whole run.
fn entry(
    scenario: &ScenarioReport,
    recording: Option<&Recording>,
    run: &str,
    began_ms: u64,
    label: Option<&str>,
) -> Entry {
    let header: Option<&Header> = recording.map(|recording| &recording.header);
    let mut entry = Entry {
        identity: Identity {
            run: run.to_owned(),
            scenario: scenario.name.clone(),
            board: scenario.board.clone(),
            chip: scenario.chip.clone(),
            attempt: scenario.attempt,
            began_ms: header.map_or(began_ms, |header| header.began_wall_ms),
            seed: header.map_or(0, |header| header.seed),
            text_digest: Identity::digest(header.map_or("", |header| &header.scenario)),
        },
        label: label.map(str::to_owned),
        status: scenario.status,
        wall_ms: scenario.wall_ms,
        run_ms: scenario.run_ms,
        warped: scenario.warped,
        made_by: header.map_or_else(crate::run::made_by, |header| header.made_by.clone()),
        recovery: None,
        notice_ms: None,
        retries: 0,
        connections: 0,
        throughput: None,
        free_heap: None,
        why: why(scenario),
        recording: scenario.recording.clone(),
    };
    if let Some(recording) = recording {
        entry.measured(&Metrics::of(&recording.events));
    }
    entry
}

fn why(scenario: &ScenarioReport) -> String {
    match (&scenario.reason, scenario.status) {
        (_, Status::Pass) => String::new(),
        (Some(reason), Status::Error | Status::Skip) => reason.clone(),
        _ => headline(scenario),
    }
}
