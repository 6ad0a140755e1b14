//! Whether a series of figures gets steadily worse: Mann-Kendall's test with Sen's slope.
//!
//! Both look at pairs of values only, so that single outliers and the shape of the distribution do
//! not matter. Ties are taken into account; values are assumed independent, which is only roughly
//! true of neighbouring intervals, so a finding needs more than statistical significance.

use crate::diagnose::course::{ChangeKind, course};
use crate::vocab::median;

/// A rise over a series, as Sen's line has it: its slope is the median of the slopes between all
/// pairs.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Rise {
    /// Values of Sen's line at the first and last step.
    pub from: f64,
    pub to: f64,
    /// How far it rises at the least and at the most, with a probability of 95 %.
    pub between: (f64, f64),
    /// One-sided probability of such an order by chance.
    pub p: f64,
}

/// The rise of a series; `None` when it does not rise, or has too few values to say.
pub(super) fn rise(values: &[f64]) -> Option<Rise> {
    if values.len() < LEAST {
        return None;
    }
    let values = &condensed(values)[..];
    let mut slopes = Vec::with_capacity(values.len() * (values.len() - 1) / 2);
    let mut score = 0i64;
    for (i, one) in values.iter().enumerate() {
        for (j, other) in values.iter().enumerate().skip(i + 1) {
            score += i64::from(other > one) - i64::from(other < one);
            slopes.push((other - one) / (j - i) as f64);
        }
    }
    let slope = median(&slopes);
    let middle = median(values);
    let steps = (values.len() - 1) as f64;
    let half = slope * steps / 2.0;
    let variance = variance(values);
    (score > 0 && slope > 0.0).then(|| {
        let (least, most) = slope_between(&mut slopes, variance);
        let between = (least * steps, most * steps);
        Rise { from: middle - half, to: middle + half, between, p: chance(variance, score) }
    })
}

/// Between which slopes Sen's lies with a probability of 95 % (Gilbert, Statistical Methods for
/// Environmental Pollution Monitoring, §16.4.2).
fn slope_between(slopes: &mut [f64], variance: f64) -> (f64, f64) {
    slopes.sort_by(f64::total_cmp);
    let last = slopes.len() - 1;
    let reach = 1.96 * variance.max(0.0).sqrt();
    let half = slopes.len() as f64 / 2.0;
    let at = |place: f64| slopes[saturating_index(place.round(), last)];
    (at(half - reach / 2.0 - 1.0), at(half + reach / 2.0))
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped before")]
fn saturating_index(place: f64, last: usize) -> usize {
    place.clamp(0.0, last as f64) as usize
}

/// Where among the values a rise began: behind a level stretch, or at the first of them.
pub(super) fn began(values: &[f64], least: f64) -> usize {
    let together = values.len().div_ceil(MOST).max(1);
    let course = course(&condensed(values), least, false);
    let drift = course.changes.iter().find(|change| change.kind == ChangeKind::Drift && change.after > change.before);
    drift.map_or(0, |change| change.from * together)
}

/// At most [`MOST`] values, each the mean of as many neighbours: a long run has more intervals than
/// pairs are worth.
fn condensed(values: &[f64]) -> Vec<f64> {
    let together = values.len().div_ceil(MOST);
    values.chunks(together.max(1)).map(|part| part.iter().sum::<f64>() / part.len() as f64).collect()
}

/// Whether the rise is spread over the series: each third lies above the one before by a fifth of
/// the whole at least. A step is no drift.
pub(super) fn is_gradual(values: &[f64]) -> bool {
    let third = values.len() / 3;
    if third == 0 {
        return false;
    }
    let [first, last] = [&values[..third], &values[values.len() - third..]].map(median);
    let second = median(&values[third..values.len() - third]);
    let whole = last - first;
    whole > 0.0 && second - first >= SPREAD * whole && last - second >= SPREAD * whole
}

/// The normal approximation of Kendall's score, corrected for ties and for its being a whole
/// number.
fn chance(variance: f64, score: i64) -> f64 {
    if variance <= 0.0 {
        return 1.0;
    }
    upper_tail((score - 1) as f64 / variance.sqrt())
}

/// The variance of Kendall's score where there is no trend.
fn variance(values: &[f64]) -> f64 {
    let n = values.len() as f64;
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let ties: f64 = sorted
        .chunk_by(|one, other| one == other)
        .map(|tied| tied.len() as f64)
        .map(|t| t * (t - 1.0) * (2.0 * t + 5.0))
        .sum();
    (n * (n - 1.0) * (2.0 * n + 5.0) - ties) / 18.0
}

/// The normal distribution above `z` ≥ 0, to seven digits (Abramowitz and Stegun 26.2.17).
fn upper_tail(z: f64) -> f64 {
    let t = 1.0 / (1.0 + 0.231_641_9 * z);
    let terms = [0.319_381_530, -0.356_563_782, 1.781_477_937, -1.821_255_978, 1.330_274_429];
    let sum = terms.iter().rev().fold(0.0, |sum, term| (sum + term) * t);
    (-z * z / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt() * sum
}

/// Values without which nothing is said.
pub(super) const LEAST: usize = 6;
/// Values whose pairs are looked at; 80 000 pairs of them.
const MOST: usize = 400;
/// Share of the whole rise that each of two steps between thirds must have.
const SPREAD: f64 = 0.2;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_normal_tail_is_that_of_the_tables() {
        for (z, p) in [(0.0, 0.5), (1.0, 0.158_655), (1.959_964, 0.025), (2.326_348, 0.01), (3.0, 0.001_35)] {
            assert!((upper_tail(z) - p).abs() < 1e-5, "{z}: {}", upper_tail(z));
        }
    }

    #[test]
    fn a_line_rises_by_its_slope() {
        let line: Vec<f64> = (0..20).map(|n| 5.0 + 2.0 * f64::from(n)).collect();
        let rise = rise(&line).expect("it rises");
        assert_eq!((rise.from, rise.to), (5.0, 43.0));
        assert!(rise.p < 1e-6 && is_gradual(&line));
        assert_eq!((rise.between, began(&line, 1.0)), ((38.0, 38.0), 0));
    }

    #[test]
    fn a_step_is_not_gradual_and_a_fall_is_no_rise() {
        let step: Vec<f64> = (0..20).map(|n| if n < 8 { 1.0 } else { 9.0 }).collect();
        assert!(!is_gradual(&step));
        let fall: Vec<f64> = (0..20).map(|n| -f64::from(n)).collect();
        assert_eq!(rise(&fall), None);
        assert_eq!(rise(&[3.0; 20]), None);
    }

    #[test]
    fn a_rise_is_known_to_within_its_scatter_and_from_where_it_began() {
        let noise = |n: u32| f64::from(n * 7 % 5) - 2.0;
        let late: Vec<f64> = (0..60).map(|n| 100.0 + noise(n) + 2.0 * f64::from(n.saturating_sub(20))).collect();
        let rise = rise(&late).expect("it rises");
        assert!(rise.between.0 > 40.0 && rise.between.0 < rise.to - rise.from, "{rise:?}");
        assert!(rise.between.1 > rise.to - rise.from && rise.between.1 < 160.0, "{rise:?}");
        let began = began(&late, 5.0);
        assert!((15..=28).contains(&began), "{began}");
    }

    proptest! {
        #[test]
        fn whatever_comes_p_is_a_probability(values in proptest::collection::vec(-1e9..1e9f64, 0..40)) {
            if let Some(rise) = rise(&values) {
                prop_assert!((0.0..=0.5).contains(&rise.p), "{rise:?}");
                prop_assert!(rise.to > rise.from && rise.between.0 <= rise.between.1);
            }
            is_gradual(&values);
        }
    }
}
