//! A distribution in a few fixed buckets, as metrics systems keep it.
//!
//! A histogram of an interval has thousands of steps; one that is scraped from every trunk every
//! few seconds has to make do with thirty. The bounds never change, so that runs can be laid over
//! each other.

use hdrhistogram::{Counter, Histogram};

/// Upper bounds in microseconds: 1, 1.5, 2.5, 5 and 7.5 in each decade from 100 µs to 75 s. Targets
/// people write (100 ms, 250 ms, 500 ms, 1 s) are bounds; a value is known within a factor of two
/// at most; Timer F (32 s) has room on both sides.
pub const BOUNDS_US: [u64; 30] = [
    100, 150, 250, 500, 750, 1_000, 1_500, 2_500, 5_000, 7_500, 10_000, 15_000, 25_000, 50_000, 75_000, 100_000,
    150_000, 250_000, 500_000, 750_000, 1_000_000, 1_500_000, 2_500_000, 5_000_000, 7_500_000, 10_000_000, 15_000_000,
    25_000_000, 50_000_000, 75_000_000,
];

/// How many values lie in each bucket, and their sum.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Buckets {
    /// By position in [`BOUNDS_US`].
    counts: [u64; BOUNDS_US.len()],
    /// Above the last bound.
    above: u64,
    sum_us: u64,
}

impl Buckets {
    /// Adds every value of a histogram of microseconds. Its steps are finer than the buckets (0.1
    /// %, or 1 % with many trunks); a step that lies across a bound counts below it, and the sum is
    /// that of the steps' middles.
    pub fn add<T: Counter>(&mut self, histogram: &Histogram<T>) {
        for step in histogram.iter_recorded() {
            let (value, count) = (step.value_iterated_to(), step.count_at_value().as_u64());
            let bucket = BOUNDS_US.partition_point(|&bound| bound < histogram.lowest_equivalent(value));
            *self.counts.get_mut(bucket).unwrap_or(&mut self.above) += count;
            let sum = histogram.median_equivalent(value).saturating_mul(count);
            self.sum_us = self.sum_us.saturating_add(sum);
        }
    }

    /// Values in all buckets.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum::<u64>() + self.above
    }

    /// Sum of all values, seconds.
    pub fn sum_s(&self) -> f64 {
        self.sum_us as f64 / 1e6
    }

    /// Each bucket's upper bound in seconds, the last one infinite, and the values in it alone.
    pub fn by_bound_s(&self) -> Vec<(f64, u64)> {
        let bounds = BOUNDS_US.iter().map(|&us| us as f64 / 1e6).chain([f64::INFINITY]);
        bounds.zip(self.counts.iter().copied().chain([self.above])).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::latency;
    use proptest::prelude::*;

    #[test]
    fn the_bounds_ascend_by_no_more_than_a_factor_of_two() {
        assert!(BOUNDS_US.windows(2).all(|pair| pair[0] < pair[1] && pair[1] <= 2 * pair[0]));
    }

    #[test]
    fn a_value_on_a_bound_lies_below_it_and_the_largest_above_all() {
        let mut histogram = latency::empty::<u32>(3);
        for us in [100, 101, 250_000, 75_000_000, 120_000_000] {
            histogram.record(us).expect("within the bounds");
        }
        let mut buckets = Buckets::default();
        buckets.add(&histogram);
        let filled: Vec<_> = buckets.by_bound_s().into_iter().filter(|(_, count)| *count > 0).collect();
        assert_eq!(filled, [(0.0001, 1), (0.00015, 1), (0.25, 1), (75.0, 1), (f64::INFINITY, 1)]);
        assert_eq!(buckets.count(), 5);
    }

    proptest! {
        /// Nothing is lost, however coarse the histogram, and no value moves further than a step of
        /// it.
        #[test]
        fn every_value_is_in_one_bucket(values in prop::collection::vec(0..latency::HIGHEST_US, 0..200), digits in 2..4u8) {
            let mut histogram = latency::empty::<u32>(digits);
            let mut buckets = Buckets::default();
            for (number, &us) in values.iter().enumerate() {
                prop_assert!(histogram.record(us).is_ok());
                if number % 50 == 49 {
                    buckets.add(&histogram);
                    histogram.reset();
                }
            }
            buckets.add(&histogram);
            prop_assert_eq!(buckets.count(), values.len() as u64);
            let step = 10f64.powi(-i32::from(digits));
            for (at, bound) in BOUNDS_US.iter().enumerate() {
                let below = |limit: f64| values.iter().filter(|&&us| us as f64 <= limit).count() as u64;
                let counted: u64 = buckets.by_bound_s()[..=at].iter().map(|(_, count)| count).sum();
                prop_assert!(counted >= below(*bound as f64) && counted <= below(*bound as f64 * (1.0 + step)) );
            }
            let exact: f64 = values.iter().map(|&us| us as f64 / 1e6).sum();
            prop_assert!((buckets.sum_s() - exact).abs() <= exact * step + values.len() as f64 / 1e6);
        }
    }
}
