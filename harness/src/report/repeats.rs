//! Repeats: what many runs of the same scenario say together. A verdict that differs between them is flaky, with its
//! rate; no repeat hides another.

use super::model::{Report, ScenarioReport, Status};

/// All runs of one scenario on one board.
#[derive(Clone, Debug)]
pub struct Repeats<'r> {
    /// The first of them, for names.
    pub first: &'r ScenarioReport,
    /// How many there are.
    pub runs: usize,
    /// How many of them passed, were skipped, failed, could not be judged.
    pub counts: [(Status, usize); 4],
    /// Their time on the run's clock together, in milliseconds.
    pub run_ms: u64,
    /// Their wall time together, in milliseconds.
    pub wall_ms: u64,
}

impl Repeats<'_> {
    /// The worst verdict among them.
    #[must_use]
    pub fn worst(&self) -> Status {
        self.counts.iter().filter(|(_, n)| *n > 0).map(|(status, _)| *status).max().unwrap_or(Status::Pass)
    }

    /// True when the verdict differs between runs.
    #[must_use]
    pub fn is_flaky(&self) -> bool {
        self.counts.iter().filter(|(_, n)| *n > 0).count() > 1
    }
}

/// The runs of a report by scenario and board, in the report's order.
#[must_use]
pub fn of(report: &Report) -> Vec<Repeats<'_>> {
    let mut all: Vec<Repeats<'_>> = Vec::new();
    for s in &report.scenarios {
        let same = |r: &Repeats<'_>| (&r.first.name, &r.first.board, &r.first.chip) == (&s.name, &s.board, &s.chip);
        let index = all.iter().position(same).unwrap_or_else(|| {
            let counts = [Status::Pass, Status::Skip, Status::Fail, Status::Error].map(|status| (status, 0));
            all.push(Repeats { first: s, runs: 0, counts, run_ms: 0, wall_ms: 0 });
            all.len() - 1
        });
        let repeats = &mut all[index];
        repeats.runs += 1;
        repeats.run_ms += s.run_ms;
        repeats.wall_ms += s.wall_ms;
        for (status, n) in &mut repeats.counts {
            *n += usize::from(*status == s.status);
        }
    }
    all
}

/// Why scenarios were skipped: each reason in words, with how many runs and which scenarios. In the report's order.
#[must_use]
pub fn skips(report: &Report) -> Vec<String> {
    let mut reasons: Vec<(&str, usize, Vec<&str>)> = Vec::new();
    for s in report.scenarios.iter().filter(|s| s.status == Status::Skip) {
        let reason = s.reason.as_deref().unwrap_or("no reason is known");
        let index = reasons.iter().position(|(known, ..)| *known == reason).unwrap_or_else(|| {
            reasons.push((reason, 0, Vec::new()));
            reasons.len() - 1
        });
        let (_, runs, names) = &mut reasons[index];
        *runs += 1;
        // Cases of one scenario are one name.
        let name = s.name.split('[').next().unwrap_or(&s.name);
        if !names.contains(&name) {
            names.push(name);
        }
    }
    reasons
        .into_iter()
        .map(|(reason, runs, names)| format!("{runs} skipped: {reason} ({})", names.join(", ")))
        .collect()
}

/// The highest rate of events that is still plausible when none was seen in `n` independent runs: above it, seeing none
/// would have had a probability below 5 % (exact binomial; about 3 / n).
#[must_use]
pub fn bound_of_none(n: usize) -> f64 {
    let n = u32::try_from(n.max(1)).unwrap_or(u32::MAX);
    1.0 - 0.05_f64.powf(1.0 / f64::from(n))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn skipped_scenarios_are_told_together_where_the_reason_is_the_same() {
        let run = |name: &str, status, reason: Option<&str>| {
            let mut run = ScenarioReport::example(name, 1, status);
            run.reason = reason.map(str::to_owned);
            run
        };
        let (none, long) = (Some("the bootloader has no rollback"), Some("it takes an hour, 10 min are allowed"));
        let mut report = Report::example();
        report.scenarios = vec![
            run("two[a=1]", Status::Skip, none),
            run("fine", Status::Pass, None),
            run("long", Status::Skip, long),
            run("two[a=2]", Status::Skip, none),
            run("one", Status::Skip, none),
        ];
        assert_eq!(
            skips(&report),
            [
                "3 skipped: the bootloader has no rollback (two, one)",
                "1 skipped: it takes an hour, 10 min are allowed (long)"
            ]
        );
    }

    #[test]
    fn bound_of_none_is_the_exact_binomial_one() {
        assert!((bound_of_none(1) - 0.95).abs() < 1e-12);
        // (1 - p)^59 = 0.05 at p = 0.0495: the known sample size for 95 % confidence of 95 % reliability.
        assert!(bound_of_none(59) < 0.05 && bound_of_none(58) > 0.05);
        assert!((bound_of_none(20_000) * 20_000.0 - 2.9957).abs() < 1e-3);
    }
}
