//! Workers: each holds a board and takes one scenario after the other, until none is left.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};

use super::attached::{self, Attached};
use super::one::{self, Shared};
use super::{BoardChoice, Progress, RunConfig, Selected};
use crate::dialect::Dialect;
use crate::lease::{Lease, LeaseError};
use crate::report::model::ScenarioReport;

/// What there is to do, and what came of it.
pub(super) struct Queue<'r> {
    boards: &'r [RunConfig],
    scenarios: &'r [Selected],
    /// Scenario and attempt.
    jobs: &'r [(usize, u32)],
    dialect: &'r Result<Arc<Dialect>, String>,
    /// The first job that nobody took.
    next: AtomicUsize,
    /// Workers that do jobs.
    holding: AtomicUsize,
    /// Boards that turned out to be of no use.
    spoiled: Mutex<BTreeSet<usize>>,
    results: Mutex<Vec<Option<ScenarioReport>>>,
    problems: Mutex<Vec<String>>,
}

impl<'r> Queue<'r> {
    pub(super) fn new(
        boards: &'r [RunConfig],
        scenarios: &'r [Selected],
        jobs: &'r [(usize, u32)],
        dialect: &'r Result<Arc<Dialect>, String>,
    ) -> Self {
        Self {
            boards,
            scenarios,
            jobs,
            dialect,
            next: AtomicUsize::new(0),
            holding: AtomicUsize::new(0),
            spoiled: Mutex::default(),
            results: Mutex::new(vec![None; jobs.len()]),
            problems: Mutex::default(),
        }
    }

    /// Holds a board, does jobs on it until none is left, and gives it back as it was.
    pub(super) fn work(&self, progress: &Sender<Progress>) {
        let mut last = None;
        loop {
            let candidates = self.candidates();
            if candidates.is_empty() {
                // What no board can do is told for each scenario.
                let (config, attached) =
                    last.unwrap_or((&self.boards[0], Attached::Broken("there is no board".to_owned())));
                return self.take_jobs(config, &attached, progress);
            }
            let (config, attached, held) = match self.hold(&candidates) {
                Ok((board, lease)) => {
                    let base = &self.boards[board];
                    let (config, place) = match attached::acquire_for(base, &|| self.ended()) {
                        Ok(acquired) => acquired,
                        // The others did all there was to do before the place was free.
                        Err(_) if self.is_done() => return,
                        Err(why) => {
                            self.spoil(board, &why);
                            last = Some((base, Attached::Broken(why)));
                            continue;
                        }
                    };
                    let attached = attached::prepare(&config);
                    if let Attached::Broken(why) = &attached {
                        self.spoil(board, why);
                        last = Some((base, attached));
                        continue;
                    }
                    (config, attached, (place, lease))
                }
                // The others did all there was to do before a board was free for this one.
                Err(LeaseError::Ended { .. }) if self.is_done() => return,
                Err(_) if self.holding.load(Ordering::Relaxed) > 0 => return,
                Err(why) => (Cow::Borrowed(&self.boards[0]), Attached::Broken(why.to_string()), (None, None)),
            };
            self.holding.fetch_add(1, Ordering::Relaxed);
            self.take_jobs(&config, &attached, progress);
            if let Err(problem) = attached::finish(&config, &attached) {
                self.problems.lock().unwrap_or_else(PoisonError::into_inner).push(problem);
            }
            self.holding.fetch_sub(1, Ordering::Relaxed);
            // Held until the settings of an attached board are written back.
            drop(held);
            return;
        }
    }

    fn take_jobs(&self, config: &RunConfig, attached: &Attached, progress: &Sender<Progress>) {
        let shared = Shared { config, attached, dialect: self.dialect };
        loop {
            let index = self.next.fetch_add(1, Ordering::Relaxed);
            let Some((scenario, attempt)) = self.jobs.get(index) else { return };
            let report = one::run(&shared, &self.scenarios[*scenario], *attempt, progress);
            self.results.lock().unwrap_or_else(PoisonError::into_inner)[index] = Some(report.clone());
            // The receiver lives as long as the workers.
            let _ = progress.send(Progress::Done(Box::new(report)));
        }
    }

    /// The boards that may still be of use.
    fn candidates(&self) -> Vec<usize> {
        let spoiled = self.spoiled.lock().unwrap_or_else(PoisonError::into_inner);
        (0..self.boards.len()).filter(|index| !spoiled.contains(index)).collect()
    }

    /// Takes a board out of this run. With others left that is a problem of its own; the last one is told with every
    /// scenario.
    fn spoil(&self, board: usize, why: &str) {
        let mut spoiled = self.spoiled.lock().unwrap_or_else(PoisonError::into_inner);
        spoiled.insert(board);
        if spoiled.len() < self.boards.len() {
            let problem = format!("board {} was not used, others did its work: {why}", self.boards[board].board_name());
            self.problems.lock().unwrap_or_else(PoisonError::into_inner).push(problem);
        }
    }

    fn hold(&self, candidates: &[usize]) -> Result<(usize, Option<Lease>), LeaseError> {
        let doing = match self.scenarios {
            [one] => format!("scenario {}", one.name),
            all => format!("{} scenarios", all.len()),
        };
        let first = &self.boards[0];
        if first.board == BoardChoice::Virtual {
            return Ok((0, None));
        }
        let boards: Vec<&RunConfig> = candidates.iter().map(|index| &self.boards[*index]).collect();
        attached::lease(&boards, &doing, &|| self.ended()).map(|(taken, lease)| (candidates[taken], lease))
    }

    /// Why a wait for a board is to end.
    fn ended(&self) -> Option<String> {
        match self.boards[0].interrupt.reason() {
            Some(signal) => Some(signal.to_owned()),
            None => self.is_done().then(|| "the end of the run".to_owned()),
        }
    }

    fn is_done(&self) -> bool {
        self.next.load(Ordering::Relaxed) >= self.jobs.len()
    }

    /// The reports in the order of the jobs, and what else went wrong.
    pub(super) fn into_results(self) -> (Vec<ScenarioReport>, Vec<String>) {
        let results = self.results.into_inner().unwrap_or_else(PoisonError::into_inner);
        let problems = self.problems.into_inner().unwrap_or_else(PoisonError::into_inner);
        (results.into_iter().flatten().collect(), problems)
    }
}
