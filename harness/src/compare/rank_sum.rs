//! Whether two samples differ beyond their spread: the Wilcoxon-Mann-Whitney rank-sum test, two-sided. It asks nothing of the
//! distribution, so that an outlier or a run that never recovered (infinite) is a rank like any other.
//!
//! Up to [`EXACT`] values the distribution is the exact one for these very values, ties included: every way to give the ranks to
//! the two sides is equally likely where nothing changed. Beyond, it is the normal approximation with corrections for ties and
//! continuity.

/// Values of both samples together up to which the exact distribution is computed.
const EXACT: usize = 60;

/// The probability that two samples of the same thing differ at least as much as these do, by chance. 1 where a sample is
/// empty.
#[must_use]
pub fn p_value(one: &[f64], other: &[f64]) -> f64 {
    let all_are = |value: &f64| one.iter().chain(other).all(|other| other.total_cmp(value).is_eq());
    if one.is_empty() || other.is_empty() || one.first().is_some_and(all_are) {
        return 1.0;
    }
    let ranks = doubled_ranks(one, other);
    let observed: u64 = ranks.iter().take(one.len()).sum();
    if ranks.len() <= EXACT { exact(&ranks, one.len(), observed) } else { approximate(&ranks, one.len(), observed) }
}

/// The smallest p-value that samples of these sizes can have where no values are equal: that of samples which do not overlap.
#[must_use]
pub fn smallest_p_value(one: usize, other: usize) -> f64 {
    let (all, few) = (one + other, one.min(other));
    let ways = (1..=few).fold(1.0, |ways, n| ways * float(all - few + n) / float(n));
    if few == 0 { 1.0 } else { (2.0 / ways).min(1.0) }
}

/// The median of all differences between a value of `other` and one of `one` (Hodges and Lehmann): by how much the second
/// sample lies above the first. `None` where a sample is empty, or the median difference is not finite.
#[must_use]
pub fn shift(one: &[f64], other: &[f64]) -> Option<f64> {
    let differences = other.iter().flat_map(|b| one.iter().map(move |a| if a == b { 0.0 } else { b - a }));
    median(differences.collect()).filter(|shift| shift.is_finite())
}

/// The middle value; the mean of the two middle ones of an even number.
#[must_use]
pub fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    let upper = *values.get(middle)?;
    if values.len() % 2 == 1 {
        return Some(upper);
    }
    let lower = values[middle - 1];
    // Two infinite ones have no mean.
    Some(if lower == upper { upper } else { (lower + upper) / 2.0 })
}

/// Twice the rank of each value among all, `one`'s first; equal values share the mean of their ranks.
fn doubled_ranks(one: &[f64], other: &[f64]) -> Vec<u64> {
    let all: Vec<f64> = one.iter().chain(other).copied().collect();
    all.iter()
        .map(|value| {
            let below = all.iter().filter(|v| v.total_cmp(value).is_lt()).count();
            let equal = all.iter().filter(|v| v.total_cmp(value).is_eq()).count();
            (2 * below + equal + 1) as u64
        })
        .collect()
}

fn exact(ranks: &[u64], chosen: usize, observed: u64) -> f64 {
    let total: u64 = ranks.iter().sum();
    let size = usize::try_from(total).unwrap_or(0) + 1;
    // ways[n][sum]: in how many ways n of the ranks so far add up to sum.
    let mut ways = vec![vec![0.0_f64; size]; chosen + 1];
    ways[0][0] = 1.0;
    for rank in ranks {
        let rank = usize::try_from(*rank).unwrap_or(0);
        for n in (1..=chosen).rev() {
            let (fewer, more) = ways.split_at_mut(n);
            for (place, before) in more[0][rank..].iter_mut().zip(&fewer[n - 1]) {
                *place += before;
            }
        }
    }
    let all: f64 = ways[chosen].iter().sum();
    // Compared without fractions: the mean sum is chosen * total / count.
    let (count, chosen_sum) = (ranks.len() as u64, chosen as u64 * total);
    let distance = |sum: u64| (sum * count).abs_diff(chosen_sum);
    let extreme: f64 =
        ways[chosen].iter().zip(0..).filter(|(_, sum)| distance(*sum) >= distance(observed)).map(|(n, _)| n).sum();
    (extreme / all).min(1.0)
}

fn approximate(ranks: &[u64], chosen: usize, observed: u64) -> f64 {
    let (n, m) = (float(chosen), float(ranks.len() - chosen));
    let total = n + m;
    let mean = n * (total + 1.0) / 2.0;
    let mut sorted = ranks.to_vec();
    sorted.sort_unstable();
    let ties: f64 = sorted.chunk_by(|a, b| a == b).map(|tie| float(tie.len()).powi(3) - float(tie.len())).sum();
    let variance = n * m / 12.0 * (total + 1.0 - ties / (total * (total - 1.0)));
    if variance <= 0.0 {
        return 1.0;
    }
    #[expect(clippy::cast_precision_loss, reason = "sums of ranks are far below 2^52")]
    let distance = ((observed as f64 / 2.0 - mean).abs() - 0.5).max(0.0);
    (2.0 * upper_tail(distance / variance.sqrt())).min(1.0)
}

/// The standard normal distribution's tail above `z`, for `z` from 0 on: Abramowitz and Stegun 26.2.17, off by less than
/// 7.5e-8.
fn upper_tail(z: f64) -> f64 {
    let t = 1.0 / (1.0 + 0.231_641_9 * z);
    let sum = [0.319_381_530, -0.356_563_782, 1.781_477_937, -1.821_255_978, 1.330_274_429];
    let polynomial = sum.iter().rev().fold(0.0, |sum, factor| (sum + factor) * t);
    (-z * z / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt() * polynomial
}

#[expect(clippy::cast_precision_loss, reason = "numbers of runs are far below 2^52")]
fn float(n: usize) -> f64 {
    n as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn close(found: f64, wanted: f64) {
        assert!((found - wanted).abs() < 1e-9, "{found} where {wanted} was due");
    }

    #[test]
    fn p_values_are_those_of_the_exact_distribution() {
        // Two of the binomial coefficient's ways are as extreme: C(6, 3) = 20, C(10, 5) = 252, C(20, 10) = 184756.
        close(p_value(&[1.0, 2.0, 3.0], &[4.0, 5.0, 6.0]), 2.0 / 20.0);
        close(smallest_p_value(5, 5), 2.0 / 252.0);
        close(smallest_p_value(10, 10), 2.0 / 184_756.0);
        // By hand: of 20 ways, sums 6 and 15 (one each), 7 and 14 (one each) are at least as far from 10.5 as 7 is.
        close(p_value(&[1.0, 2.0, 4.0], &[3.0, 5.0, 6.0]), 4.0 / 20.0);
        close(p_value(&[1.0; 4], &[1.0; 4]), 1.0);
        close(p_value(&[], &[1.0]), 1.0);
    }

    /// scipy 1.16.3: `mannwhitneyu(a, b, method="exact")` where no values are equal; where some are, `permutation_test` over
    /// all ways to split the mid-ranks, of the rank sum's distance from its mean. The one of zeros and ones is
    /// `fisher_exact([[1, 9], [8, 2]])` as well.
    #[test]
    fn p_values_are_those_of_scipy() {
        let cases: [(&[f64], &[f64], f64); 6] = [
            (&[31.2, 29.8, 30.5, 33.1, 30.0], &[36.4, 35.1, 33.0, 37.7, 34.9, 36.0], 0.008_658_008_658_008_658),
            (
                &[1.1, 2.3, 3.7, 4.2, 5.9, 6.4, 7.7],
                &[2.9, 3.1, 5.0, 6.6, 8.3, 9.5, 10.2, 4.4],
                0.231_857_031_857_031_88,
            ),
            (
                &[12.0, 15.0, 11.0, 18.0, 14.0, 13.0, 17.0, 16.0, 19.0, 10.0],
                &[22.0, 15.5, 21.0, 23.0, 14.5, 25.0, 24.0, 20.0, 26.0, 18.5],
                0.001_504_687_263_201_195_2,
            ),
            (&[1.0, 2.0, 2.0, 3.0, 3.0, 3.0], &[2.0, 3.0, 4.0, 4.0, 5.0], 0.108_225_108_225_108_22),
            (
                &[0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0],
                &[1.0, 1.0, 0.0, 1.0, 1.0, 1.0, 0.0, 1.0, 1.0, 1.0],
                0.005_477_494_641_581_329,
            ),
            (&[10.0, 10.0, 20.0, 20.0], &[20.0, 20.0, 20.0, 30.0, 30.0], 0.158_730_158_730_158_72),
        ];
        for (one, other, wanted) in cases {
            close(p_value(one, other), wanted);
        }
    }

    #[test]
    fn run_that_never_recovered_is_the_largest_of_all() {
        let never = f64::INFINITY;
        close(p_value(&[1.0, 2.0, 3.0], &[never, never, never]), 2.0 / 20.0);
        assert_eq!(shift(&[1.0, 2.0], &[never, never]), None);
        assert_eq!(shift(&[never], &[never]), Some(0.0));
        assert_eq!(median(vec![1.0, never, never]), Some(never));
    }

    #[test]
    fn shift_is_not_moved_by_an_outlier() {
        let one = [10.0, 11.0, 12.0, 13.0, 14.0];
        let other = [20.0, 21.0, 22.0, 23.0, 900.0];
        assert_eq!(shift(&one, &other), Some(10.0));
    }

    #[test]
    fn approximation_continues_the_exact_distribution() {
        let one: Vec<f64> = (0..30).map(f64::from).collect();
        let other: Vec<f64> = (0..30).map(|n| f64::from(n) + 6.5).collect();
        let ranks = doubled_ranks(&one, &other);
        let observed = ranks.iter().take(30).sum();
        let (exact, approximate) = (exact(&ranks, 30, observed), approximate(&ranks, 30, observed));
        assert!((exact - approximate).abs() < 0.002, "{exact} {approximate}");
        assert!((upper_tail(1.959_964) - 0.025).abs() < 1e-6);
    }

    proptest! {
        #[test]
        fn which_side_is_first_does_not_matter(
            one in proptest::collection::vec(0..20_i32, 1..9),
            other in proptest::collection::vec(0..20_i32, 1..9),
        ) {
            let [one, other] = [one, other].map(|v| v.into_iter().map(f64::from).collect::<Vec<_>>());
            let p = p_value(&one, &other);
            prop_assert!((p - p_value(&other, &one)).abs() < 1e-9);
            let moved = |v: &[f64]| v.iter().map(|x| x * 8.0 + 1000.0).collect::<Vec<_>>();
            prop_assert!((p - p_value(&moved(&one), &moved(&other))).abs() < 1e-9, "ranks alone count");
            let (there, back) = (shift(&one, &other).expect("finite"), shift(&other, &one).expect("finite"));
            prop_assert!((there + back).abs() < 1e-9);
            let later: Vec<f64> = other.iter().map(|x| x + 5.0).collect();
            prop_assert!((shift(&one, &later).expect("finite") - there - 5.0).abs() < 1e-9);
            // Ties can leave one side alone as extreme.
            prop_assert!(p <= 1.0 && p >= smallest_p_value(one.len(), other.len()) / 2.0 - 1e-12);
        }
    }
}
