//! The law that a row of delays follows.

use serde::{Deserialize, Serialize};

/// Relative tolerance, per mille; the larger of it and [`SLACK_MS`] holds. The same as the judge's default.
const TOLERANCE_PER_MILLE: u64 = 50;

/// Absolute tolerance in ms.
const SLACK_MS: u64 = 50;

/// How delays grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "law", rename_all = "kebab-case", rename_all_fields = "kebab-case")]
pub enum Law {
    /// Too few delays to tell.
    Unknown,
    /// Always the same.
    Constant {
        /// The delay.
        ms: u64,
    },
    /// Each twice the one before, up to a cap where one is seen.
    Doubling {
        /// The first delay.
        first_ms: u64,
        /// The delay that is not exceeded, where the last delays repeat.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cap_ms: Option<u64>,
    },
    /// Each longer than the one before by the same step.
    Linear {
        /// The first delay.
        first_ms: u64,
        /// The step.
        step_ms: u64,
    },
    /// None of these.
    Irregular,
}

/// The law that delays in ms follow, within 5 % or 50 ms, whichever is more. Two delays are the least to tell from.
#[must_use]
pub fn fit(delays: &[u64]) -> Law {
    let [first, second, ..] = *delays else { return Law::Unknown };
    if delays.iter().all(|delay| close(*delay, first)) {
        return Law::Constant { ms: first };
    }
    let doubled = |before: u64, after: u64| close(after, before.saturating_mul(2));
    let doubling = delays.windows(2).take_while(|pair| doubled(pair[0], pair[1])).count();
    if doubling + 1 == delays.len() && delays.len() >= 2 {
        return Law::Doubling { first_ms: first, cap_ms: None };
    }
    // What comes after the doubling stands still: a cap, which may lie below twice the last doubled delay.
    let cap = delays.get(doubling + 1).copied().unwrap_or(first);
    let below = cap > delays[doubling] && cap < delays[doubling].saturating_mul(2);
    let tail = if below { &delays[doubling + 1..] } else { &delays[doubling..] };
    if doubling >= 1 && tail.len() >= 2 && tail.iter().all(|delay| close(*delay, tail[0])) {
        return Law::Doubling { first_ms: first, cap_ms: Some(tail[0]) };
    }
    let step = second.saturating_sub(first);
    let linear =
        delays.len() >= 3 && step > 0 && delays.windows(2).all(|pair| close(pair[1], pair[0].saturating_add(step)));
    if linear { Law::Linear { first_ms: first, step_ms: step } } else { Law::Irregular }
}

fn close(found: u64, expected: u64) -> bool {
    found.abs_diff(expected) <= (expected / 1000 * TOLERANCE_PER_MILLE).max(SLACK_MS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_laws_of_both_firmwares() {
        assert_eq!(fit(&[60_000; 9]), Law::Constant { ms: 60_000 });
        let doubling: Vec<u64> = (0..9).map(|n| 10_000 << n).collect();
        assert_eq!(fit(&doubling), Law::Doubling { first_ms: 10_000, cap_ms: None });
    }

    #[test]
    fn caps_steps_and_disorder_are_told_apart() {
        let cap = |cap_ms| Law::Doubling { first_ms: 10_000, cap_ms: Some(cap_ms) };
        assert_eq!(fit(&[10_000, 20_000, 40_000, 40_000, 40_000]), cap(40_000));
        assert_eq!(fit(&[10_000, 20_000, 40_000, 60_000, 60_000]), cap(60_000));
        assert_eq!(fit(&[10_000, 15_000, 20_000]), Law::Linear { first_ms: 10_000, step_ms: 5000 });
        assert_eq!(fit(&[10_000, 3000, 90_000]), Law::Irregular);
        assert_eq!(fit(&[10_000]), Law::Unknown);
        assert_eq!(fit(&[]), Law::Unknown);
    }

    #[test]
    fn the_tolerance_is_five_per_cent_or_fifty_milliseconds() {
        assert_eq!(fit(&[60_000, 63_000]), Law::Constant { ms: 60_000 });
        assert_ne!(fit(&[60_000, 63_001]), Law::Constant { ms: 60_000 });
        assert_eq!(fit(&[100, 150]), Law::Constant { ms: 100 });
        assert_ne!(fit(&[100, 151]), Law::Constant { ms: 100 });
    }

    proptest::proptest! {
        #[test]
        fn any_delays_have_a_law(delays in proptest::collection::vec(proptest::prelude::any::<u64>(), 0..20)) {
            let law = fit(&delays);
            proptest::prop_assert_eq!(law == Law::Unknown, delays.len() < 2);
        }
    }
}
