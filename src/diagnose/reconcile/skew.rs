//! How far a platform's clock is from ours: the shift that makes the refusals of both sides agree
//! best, and what the `Date` of its answers says.
//!
//! A shift is stated only when it stands out: three standard deviations above those of all other
//! shifts, above the highest of them too, and in one sharp peak. A load without features, or one
//! that repeats itself, gives none.

use super::MINUTE_S;
use super::ours::OurSeries;
use super::theirs::Theirs;
use crate::record::platform::PlatformRecord;
use std::collections::BTreeMap;

/// A shift that was found.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct SkewFound {
    /// The platform's clock minus ours.
    pub seconds: i64,
    pub basis: SkewBasis,
    /// Of the refusals at this shift, and how many standard deviations that is above the others.
    pub correlation: f64,
    pub sigmas: f64,
    /// What `Date` says, and how far from it the truth may be.
    pub by_date: Option<(f64, f64)>,
}

/// What a shift rests on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SkewBasis {
    Seconds,
    Minutes,
}

/// The largest shift that is looked for.
const MOST_S: i64 = 300;
const SIGMAS: f64 = 3.0;
/// The least correlation that is any.
const LEAST: f64 = 0.5;
/// Values that must be there for a correlation.
const LEAST_VALUES: usize = 20;
/// What is no more than an answer takes, or a stamp is rounded by.
const NEAR_S: i64 = 2;

/// The shift, if one stands out and is none of nothing.
pub(super) fn find(ours: &[OurSeries], theirs: &Theirs, platform: &PlatformRecord) -> Option<SkewFound> {
    let by_date = platform.facts.clock_off_s;
    let mut best: Option<SkewFound> = None;
    for with_challenges in [false, true] {
        let (first, seconds) = summed(ours, with_challenges)?;
        let refusals = if with_challenges { &theirs.refusals_and_challenges } else { &theirs.refusals };
        let curves = [
            (SkewBasis::Seconds, by_second(first, &seconds, refusals)),
            (SkewBasis::Minutes, by_minute(first, &seconds, &theirs.failures_by_minute())),
        ];
        for (basis, curve) in curves {
            let Some((seconds, correlation, sigmas)) = standing_out(&curve) else { continue };
            let found = SkewFound { seconds, basis, correlation, sigmas, by_date };
            // Seconds tell more exactly than minutes.
            let finer = |than: &SkewFound| than.basis == SkewBasis::Minutes && basis == SkewBasis::Seconds;
            let better = best
                .as_ref()
                .is_none_or(|known| finer(known) || (known.basis == basis && correlation > known.correlation));
            if better {
                best = Some(found);
            }
        }
    }
    best.filter(|found| found.seconds.abs() > NEAR_S)
}

/// The failures of all trunks by second.
fn summed(ours: &[OurSeries], with_challenges: bool) -> Option<(i64, Vec<f64>)> {
    let mut all = ours.iter().map(|series| series.failures_by_second(with_challenges));
    let (first, mut seconds) = all.next()?;
    for (_, more) in all {
        seconds.iter_mut().zip(more).for_each(|(sum, one)| *sum += one);
    }
    Some((first, seconds))
}

/// The correlation at each shift from -300 s on.
type ShiftCurve = Vec<f64>;

/// Events by second. A second without any counts as none, unless its whole minute is without.
fn by_second(first: i64, ours: &[f64], theirs: &BTreeMap<i64, f64>) -> ShiftCurve {
    if theirs.len() < LEAST_VALUES {
        return Vec::new();
    }
    let known: std::collections::BTreeSet<i64> = theirs.keys().map(|at| at.div_euclid(MINUTE_S)).collect();
    let last = first + i64::try_from(ours.len()).unwrap_or(0);
    let from = first - MOST_S;
    let laid: Vec<Option<f64>> = (from..last + MOST_S)
        .map(|at| known.contains(&at.div_euclid(MINUTE_S)).then(|| theirs.get(&at).copied().unwrap_or(0.0)))
        .collect();
    let at_shift = |shift: usize| {
        let pairs = ours.iter().zip(&laid[shift..]).filter_map(|(ours, theirs)| Some((*ours, (*theirs)?)));
        correlation(pairs)
    };
    (0..=2 * usize::try_from(MOST_S).unwrap_or(0)).map(at_shift).collect()
}

/// Counts by minute, against ours put together anew for each shift.
fn by_minute(first: i64, ours: &[f64], theirs: &BTreeMap<i64, f64>) -> ShiftCurve {
    if theirs.len() < LEAST_VALUES {
        return Vec::new();
    }
    let mut sum = 0.0;
    let sums: Vec<f64> = std::iter::once(0.0)
        .chain(ours.iter().map(|one| {
            sum += one;
            sum
        }))
        .collect();
    let last = first + i64::try_from(ours.len()).unwrap_or(0);
    let upto = |at: i64| {
        let at = usize::try_from((at - first).max(0)).unwrap_or(0);
        sums[at.min(sums.len() - 1)]
    };
    let at_shift = |shift: i64| {
        // The run's first and last minute are parts of one, and would outweigh all others.
        let pairs = theirs.iter().filter_map(|(start, count)| {
            let from = start - shift;
            let whole = from >= first && from + MINUTE_S <= last;
            whole.then(|| (upto(from + MINUTE_S) - upto(from), *count))
        });
        correlation(pairs)
    };
    (-MOST_S..=MOST_S).map(at_shift).collect()
}

/// Pearson's; 0 where one side does not vary, or there is next to nothing.
fn correlation(pairs: impl Iterator<Item = (f64, f64)>) -> f64 {
    let (mut n, mut x, mut y, mut xx, mut yy, mut xy) = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0);
    for (a, b) in pairs {
        (n, x, y, xx, yy, xy) = (n + 1.0, x + a, y + b, xx + a * a, yy + b * b, xy + a * b);
    }
    let (vx, vy) = (n * xx - x * x, n * yy - y * y);
    if n < LEAST_VALUES as f64 || vx <= 1e-9 * n * xx || vy <= 1e-9 * n * yy {
        return 0.0;
    }
    (n * xy - x * y) / (vx * vy).sqrt()
}

/// The shift of a peak that stands out, its height, and by how many standard deviations.
fn standing_out(curve: &[f64]) -> Option<(i64, f64, f64)> {
    let (at, peak) = curve.iter().copied().enumerate().max_by(|a, b| a.1.total_cmp(&b.1))?;
    if peak < LEAST {
        return None;
    }
    // The peak is all that is higher than half of it around it.
    let down = |range: &mut dyn Iterator<Item = usize>| range.take_while(|&n| curve[n] > peak / 2.0).count();
    let (left, right) = (down(&mut (0..at).rev()), down(&mut (at + 1..curve.len())));
    if left.max(right) > usize::try_from(MINUTE_S + MINUTE_S / 2).unwrap_or(0) {
        return None;
    }
    let rest: Vec<f64> = curve[..at - left].iter().chain(&curve[at + right + 1..]).copied().collect();
    let count = rest.len() as f64;
    let mean = rest.iter().sum::<f64>() / count.max(1.0);
    let deviation = (rest.iter().map(|one| (one - mean).powi(2)).sum::<f64>() / count.max(1.0)).sqrt().max(1e-6);
    let highest = rest.iter().copied().fold(f64::MIN, f64::max);
    let sigmas = (peak - mean) / deviation;
    let alone = peak - highest > deviation;
    let shift = i64::try_from(at).ok()? - MOST_S;
    (sigmas >= SIGMAS && alone && !rest.is_empty()).then_some((shift, peak, sigmas))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::{Purpose, Seed};

    /// Refusals with a shape that does not repeat itself.
    fn shape(seconds: usize) -> Vec<f64> {
        (0..seconds as u64).map(|n| (Seed(7).unit(Purpose::Arrivals, n, 0) * 10.0).floor()).collect()
    }

    fn events(first: i64, ours: &[f64], shift: i64) -> BTreeMap<i64, f64> {
        (first..).zip(ours).filter(|(_, count)| **count > 0.0).map(|(at, count)| (at + shift, *count)).collect()
    }

    #[test]
    fn a_shift_of_seconds_is_found_from_events_and_from_minutes() {
        let ours = shape(3_600);
        let first = 1_790_000_000;
        for shift in [37, -120, 0] {
            let seconds = standing_out(&by_second(first, &ours, &events(first, &ours, shift)));
            assert_eq!(seconds.map(|found| found.0), Some(shift));
            let mut minutes: BTreeMap<i64, f64> = BTreeMap::new();
            for (at, count) in events(first, &ours, shift) {
                *minutes.entry(at - at.rem_euclid(60)).or_default() += count;
            }
            let found = standing_out(&by_minute(first, &ours, &minutes)).map(|found| found.0);
            assert_eq!(found, Some(shift));
        }
    }

    #[test]
    fn what_is_even_or_repeats_itself_gives_no_shift() {
        let first = 1_790_000_000;
        let even = vec![5.0; 3_600];
        assert_eq!(standing_out(&by_second(first, &even, &events(first, &even, 37))), None);
        let bursts: Vec<f64> = (0..3_600).map(|n| if n % 60 == 0 { 40.0 } else { 0.0 }).collect();
        assert_eq!(standing_out(&by_second(first, &bursts, &events(first, &bursts, 37))), None);
        let ramp: Vec<f64> = (0..3_600).map(|n| f64::from(n) / 100.0).collect();
        assert_eq!(standing_out(&by_second(first, &ramp, &events(first, &ramp, 37))), None);
        // Two that have nothing to do with each other.
        let other: Vec<f64> = (0..3_600u64).map(|n| (Seed(8).unit(Purpose::Arrivals, n, 0) * 10.0).floor()).collect();
        assert_eq!(standing_out(&by_second(first, &shape(3_600), &events(first, &other, 37))), None);
    }
}
