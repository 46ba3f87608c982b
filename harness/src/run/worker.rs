//! Workers: each holds a board and takes one scenario after the other, until none is left.

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
    /// Workers that may still do jobs.
    able: AtomicUsize,
    results: Mutex<Vec<Option<ScenarioReport>>>,
    problems: Mutex<Vec<String>>,
}

impl<'r> Queue<'r> {
    pub(super) fn new(
        boards: &'r [RunConfig],
        scenarios: &'r [Selected],
        jobs: &'r [(usize, u32)],
        dialect: &'r Result<Arc<Dialect>, String>,
        workers: usize,
    ) -> Self {
        Self {
            boards,
            scenarios,
            jobs,
            dialect,
            next: AtomicUsize::new(0),
            able: AtomicUsize::new(workers),
            results: Mutex::new(vec![None; jobs.len()]),
            problems: Mutex::default(),
        }
    }

    /// Holds a board, does jobs on it until none is left, and gives it back as it was.
    pub(super) fn work(&self, progress: &Sender<Progress>) {
        // Held until the settings of an attached board are written back.
        let (config, attached, _lease) = match self.hold() {
            Ok((board, lease)) => {
                let config = &self.boards[board];
                (config, attached::prepare(config), lease)
            }
            // The others did all there was to do before a board was free for this one.
            Err(LeaseError::Ended { .. }) if self.is_done() => return,
            Err(why) => (&self.boards[0], Attached::Broken(why.to_string()), None),
        };
        if let Attached::Broken(why) = &attached
            && self.can_be_spared()
        {
            let problem = format!("board {} was not used, others did its work: {why}", config.board_name());
            self.problems.lock().unwrap_or_else(PoisonError::into_inner).push(problem);
            return;
        }
        let shared = Shared { config, attached: &attached, dialect: self.dialect };
        loop {
            let index = self.next.fetch_add(1, Ordering::Relaxed);
            let Some((scenario, attempt)) = self.jobs.get(index) else { break };
            let report = one::run(&shared, &self.scenarios[*scenario], *attempt, progress);
            self.results.lock().unwrap_or_else(PoisonError::into_inner)[index] = Some(report.clone());
            // The receiver lives as long as the workers.
            let _ = progress.send(Progress::Done(Box::new(report)));
        }
        if let Err(problem) = attached::finish(config, &attached) {
            self.problems.lock().unwrap_or_else(PoisonError::into_inner).push(problem);
        }
    }

    fn hold(&self) -> Result<(usize, Option<Lease>), LeaseError> {
        let doing = match self.scenarios {
            [one] => format!("scenario {}", one.name),
            all => format!("{} scenarios", all.len()),
        };
        let first = &self.boards[0];
        if first.board == BoardChoice::Virtual {
            return Ok((0, None));
        }
        let ended = || match first.interrupt.reason() {
            Some(signal) => Some(signal.to_owned()),
            None => self.is_done().then(|| "the end of the run".to_owned()),
        };
        attached::lease(self.boards, &doing, &ended)
    }

    fn is_done(&self) -> bool {
        self.next.load(Ordering::Relaxed) >= self.jobs.len()
    }

    /// Whether this worker may leave its part to others. The last one may not: what nobody can do is told for each
    /// scenario.
    fn can_be_spared(&self) -> bool {
        let spare = |able: usize| (able > 1).then(|| able - 1);
        self.able.fetch_update(Ordering::Relaxed, Ordering::Relaxed, spare).is_ok()
    }

    /// The reports in the order of the jobs, and what else went wrong.
    pub(super) fn into_results(self) -> (Vec<ScenarioReport>, Vec<String>) {
        let results = self.results.into_inner().unwrap_or_else(PoisonError::into_inner);
        let problems = self.problems.into_inner().unwrap_or_else(PoisonError::into_inner);
        (results.into_iter().flatten().collect(), problems)
    }
}
