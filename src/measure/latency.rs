//! The bounds of every latency histogram, and how a value enters one.
//!
//! What a value means (which phase, from when to when) is decided in `tally`; nothing here knows
//! attempts.
//!
//! Memory: 1 µs to 130 s (challenge and credentials may each take Timer F, 32 s, and more with a
//! larger T1) at three significant digits is 18 432 counters of four bytes, 74 KB; at two digits
//! 2 688 counters, 11 KB. One worker holds at most 9 phases × 16 trunks × 74 KB = 10.6 MB, or with
//! 1 000 trunks at two digits 97 MB, and as much again while an interval is handed over. In
//! practice three or four phases of a trunk see values, and an empty one takes nothing.

use hdrhistogram::{Counter, Histogram};

/// The smallest latency kept; shorter ones count as this.
pub const LOWEST_US: u64 = 1;
/// The largest latency kept; longer ones are counted as out of range.
pub const HIGHEST_US: u64 = 130_000_000;
/// Significant decimal digits with up to [`FINE_TRUNKS`] trunks, and of the schedule lag.
pub const FINE_DIGITS: u8 = 3;
/// Significant decimal digits with more trunks.
pub const COARSE_DIGITS: u8 = 2;
/// Trunks up to which histograms have [`FINE_DIGITS`].
pub const FINE_TRUNKS: usize = 16;

/// The digits of a run's latency histograms. All workers of a run agree, so that their histograms
/// add without loss.
pub const fn digits(trunks: usize) -> u8 {
    if trunks <= FINE_TRUNKS { FINE_DIGITS } else { COARSE_DIGITS }
}

/// A histogram with the bounds of this room and `digits` (1 to 5) significant digits.
pub fn empty<T: Counter>(digits: u8) -> Histogram<T> {
    Histogram::new_with_bounds(LOWEST_US, HIGHEST_US, digits.clamp(1, 5)).expect("constant bounds, digits in 1..=5")
}

/// Records `micros`, creating the histogram on its first value. `false`: the value is above
/// [`HIGHEST_US`] and was not recorded; a clamped one would read as a measurement.
#[must_use]
pub fn observe(slot: &mut Option<Histogram<u32>>, digits: u8, micros: u64) -> bool {
    micros <= HIGHEST_US && slot.get_or_insert_with(|| empty(digits)).record(micros).is_ok()
}

/// Adds `from` to `into`. The number returned is of the values that found no place: 0 unless the
/// bounds differ.
pub fn add<T: Counter>(into: &mut Option<Histogram<T>>, from: &Option<Histogram<T>>) -> u64 {
    match (into.as_mut(), from) {
        (_, None) => 0,
        (None, Some(from)) => {
            *into = Some(from.clone());
            0
        }
        (Some(into), Some(from)) => into.add(from).map_or(from.len(), |()| 0),
    }
}

/// A distribution in a few numbers, microseconds.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Spread {
    pub count: u64,
    pub p50: u64,
    pub p90: u64,
    pub p99: u64,
    pub max: u64,
}

impl Spread {
    /// Of histograms with the same bounds, as those of one interval have; `None` when there is
    /// none.
    pub fn of_all<'a>(histograms: impl IntoIterator<Item = &'a Option<Histogram<u32>>>) -> Option<Spread> {
        let mut sum: Option<Histogram<u32>> = None;
        for histogram in histograms {
            add(&mut sum, histogram);
        }
        let sum = sum?;
        let at = |quantile| sum.value_at_quantile(quantile);
        Some(Spread { count: sum.len(), p50: at(0.5), p90: at(0.9), p99: at(0.99), max: sum.max() })
    }
}

/// Nanoseconds as whole microseconds, rounded to the nearest.
pub const fn micros(nanos: u64) -> u64 {
    nanos.saturating_add(500) / 1_000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_as_stated() {
        assert_eq!(empty::<u32>(digits(16)).distinct_values(), 18_432);
        assert_eq!(empty::<u32>(digits(17)).distinct_values(), 2_688);
    }

    #[test]
    fn a_histogram_appears_with_its_first_value_and_refuses_what_is_too_large() {
        let mut slot = None;
        assert!(!observe(&mut slot, 3, HIGHEST_US + 1));
        assert!(slot.is_none());
        assert!(observe(&mut slot, 3, HIGHEST_US));
        assert_eq!(slot.map(|h| h.len()), Some(1));
    }

    #[test]
    fn values_that_do_not_fit_are_told() {
        let mut narrow = Some(Histogram::<u32>::new_with_bounds(1, 1_000, 2).unwrap());
        let mut wide = None;
        assert!(observe(&mut wide, 3, 5_000_000));
        assert_eq!(add(&mut narrow, &wide), 1);
        assert_eq!(add(&mut wide, &None), 0);
        assert_eq!(add(&mut None, &wide), 0);
    }

    #[test]
    fn a_spread_is_of_all_there_is() {
        let (mut one, mut other) = (None, None);
        assert!((1..=90).all(|us| observe(&mut one, 3, us)) && (91..=100).all(|us| observe(&mut other, 3, us)));
        let spread = Spread { count: 100, p50: 50, p90: 90, p99: 99, max: 100 };
        assert_eq!(Spread::of_all([&one, &None, &other]), Some(spread));
        assert_eq!(Spread::of_all([&None]), None);
    }

    #[test]
    fn half_a_microsecond_rounds_up() {
        assert_eq!((micros(499), micros(500), micros(1_499)), (0, 1, 1));
    }
}
