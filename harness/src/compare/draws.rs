//! Which values of a figure say something independently of each other, and which belong together.
//!
//! A test takes every value for a draw of its own. On a real board each run is one. On warped (virtual) time it is not: the same
//! seed gives the same run again (`tests/determinism.rs`), so that ten repeats are one run, ten times over. There a draw is a
//! seed, and two runs with the same seed that differ by more than [`JITTER`] allows have changed: no chance is in it, and no test
//! is needed.

use std::collections::BTreeMap;

use super::Run;
use super::figure::WORTH_TELLING;
use super::rank_sum::median;

/// By how much values of one seed may differ and still be the same, relative to their median. Of 913 figures of the built-in suite,
/// run twice with one seed, 907 were equal and six download rates were 0.5 to 0.6 % apart: a pace's tick falls before or after the
/// last byte.
const JITTER: f64 = 0.01;

/// Whether a value changed too little to be worth telling, a twentieth of what it was.
pub(super) fn is_small(before: f64, now: f64) -> bool {
    before == now || (now - before).abs() < before.abs() * WORTH_TELLING
}

/// A value of a figure that owes nothing to the others.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Draw {
    /// The value; of several runs with one seed, their median.
    pub(super) value: f64,
    /// The seed that gave it, where every run with this seed gave the same value on warped time.
    pub(super) seed: Option<u64>,
}

/// The draws among some runs; runs without a value are left out.
pub(super) fn draws(runs: &[Run], of: impl Fn(&Run) -> Option<f64>) -> Vec<Draw> {
    let mut seeds: BTreeMap<u64, Vec<f64>> = BTreeMap::new();
    let mut draws = Vec::new();
    for run in runs {
        let Some(value) = of(run) else { continue };
        if run.origin.warped {
            seeds.entry(run.origin.seed).or_default().push(value);
        } else {
            draws.push(Draw { value, seed: None });
        }
    }
    for (seed, values) in seeds {
        let Some(value) = median(values.clone()) else { continue };
        let agreed = values.iter().all(|v| *v == value || (v - value).abs() <= value.abs() * JITTER);
        draws.push(Draw { value, seed: agreed.then_some(seed) });
    }
    draws
}

/// Values before and now of the seeds that both sides have. `None` where some draw is left to chance, or no seed is shared, or
/// some seeds went up and others down: what differs from seed to seed is chance again, and a matter for the test.
pub(super) fn pairs(before: &[Draw], now: &[Draw]) -> Option<Vec<(f64, f64)>> {
    let of_seeds = |draws: &[Draw]| -> Option<BTreeMap<u64, f64>> {
        draws.iter().map(|draw| draw.seed.map(|seed| (seed, draw.value))).collect()
    };
    let (before, now) = (of_seeds(before)?, of_seeds(now)?);
    let pairs: Vec<(f64, f64)> = before.iter().filter_map(|(seed, before)| Some((*before, *now.get(seed)?))).collect();
    let mut worth_telling = pairs.iter().filter(|(before, now)| !is_small(*before, *now));
    let up = worth_telling.clone().any(|(before, now)| now > before);
    let down = worth_telling.any(|(before, now)| now < before);
    if pairs.is_empty() || (up && down) { None } else { Some(pairs) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seeded(values: &[(u64, f64)]) -> Vec<Draw> {
        values.iter().map(|(seed, value)| Draw { value: *value, seed: Some(*seed) }).collect()
    }

    #[test]
    fn seeds_of_both_sides_are_paired_and_others_left_out() {
        let paired = pairs(&seeded(&[(1, 5.0), (2, 6.0), (3, 7.0)]), &seeded(&[(2, 8.0), (3, 7.0), (4, 1.0)]));
        assert_eq!(paired, Some(vec![(6.0, 8.0), (7.0, 7.0)]));
    }

    #[test]
    fn what_is_left_to_chance_is_not_paired() {
        assert_eq!(pairs(&seeded(&[(1, 5.0)]), &seeded(&[(2, 5.0)])), None, "no seed in common");
        assert_eq!(pairs(&[], &[]), None);
        let real = [Draw { value: 5.0, seed: None }];
        assert_eq!(pairs(&real, &seeded(&[(1, 5.0)])), None, "a real board");
        let (before, now) = (seeded(&[(1, 5.0), (2, 5.0)]), seeded(&[(1, 4.0), (2, 6.0)]));
        assert_eq!(pairs(&before, &now), None, "one seed is faster, the other slower");
        assert!(pairs(&before, &seeded(&[(1, 4.99), (2, 6.0)])).is_some(), "by too little to speak of");
    }

    #[test]
    fn change_of_a_twentieth_is_worth_telling_and_less_is_not() {
        assert!(is_small(100.0, 104.9) && is_small(0.0, 0.0) && is_small(f64::INFINITY, f64::INFINITY));
        assert!(!is_small(100.0, 105.0) && !is_small(0.0, 1.0));
        assert!(!is_small(100.0, f64::INFINITY) && !is_small(f64::INFINITY, 100.0));
    }
}
