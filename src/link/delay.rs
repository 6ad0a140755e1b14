//! How long a packet takes: a distribution of delays, sampled from a named random stream.
//!
//! What is delayed, and in which order it comes out again, is decided by [`super::DueQueue`] and
//! [`super::Link`].

use crate::seed::unit;
pub use crate::vocab::Delay;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::Rng;
use rand_distr::{Distribution, LogNormal};
use std::time::Duration;

impl Delay {
    /// Draws one delay. A tail longer than [`LONGEST`] is cut there; a lognormal with an unusable
    /// sigma or a zero median is its median.
    pub fn sample(&self, rng: &mut ChaCha8Rng) -> Duration {
        match *self {
            Delay::Fixed(span) => span,
            Delay::Uniform(low, high) => low + high.saturating_sub(low).mul_f64(unit(rng.next_u64())),
            Delay::Lognormal { median, sigma } => {
                let Ok(distribution) = LogNormal::new(median.as_secs_f64().ln(), sigma) else { return median };
                Duration::try_from_secs_f64(distribution.sample(rng)).unwrap_or(LONGEST).min(LONGEST)
            }
        }
    }
}

/// The longest delay a lognormal may draw: far beyond Timer F, so nobody waits for such a packet
/// any more.
pub const LONGEST: Duration = Duration::from_secs(3_600);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::{Purpose, Seed};

    const MS: Duration = Duration::from_millis(1);

    fn sorted(delay: Delay, count: usize) -> Vec<Duration> {
        let mut rng = Seed(1).stream(Purpose::Link, 0, 0);
        let mut drawn: Vec<_> = (0..count).map(|_| delay.sample(&mut rng)).collect();
        drawn.sort_unstable();
        drawn
    }

    #[test]
    fn fixed_is_fixed() {
        assert!(sorted(Delay::Fixed(20 * MS), 10).iter().all(|&d| d == 20 * MS));
    }

    #[test]
    fn uniform_fills_its_range_evenly() {
        let drawn = sorted(Delay::Uniform(5 * MS, 50 * MS), 4_001);
        assert!(drawn[0] >= 5 * MS && drawn[0] < 6 * MS, "{:?}", drawn[0]);
        assert!(drawn[4_000] <= 50 * MS && drawn[4_000] > 49 * MS, "{:?}", drawn[4_000]);
        assert!(drawn[2_000].abs_diff(MS * 55 / 2) < 2 * MS, "{:?}", drawn[2_000]);
        assert!(sorted(Delay::Uniform(5 * MS, MS), 10).iter().all(|&d| d == 5 * MS), "an empty range is its low end");
    }

    #[test]
    fn lognormal_has_its_median_and_spread() {
        let drawn = sorted(Delay::Lognormal { median: 20 * MS, sigma: 0.5 }, 10_001);
        assert!(drawn[5_000].abs_diff(20 * MS) < MS, "median {:?}", drawn[5_000]);
        // One standard deviation up lies at 84.1 %: 20 ms · e^0.5.
        assert!(drawn[8_413].abs_diff(Duration::from_micros(32_974)) < 2 * MS, "p84 {:?}", drawn[8_413]);
    }

    #[test]
    fn unusable_parameters_do_not_panic() {
        for (median, sigma) in [(20 * MS, f64::NAN), (Duration::ZERO, 0.5), (Duration::MAX, 300.0)] {
            let worst = *sorted(Delay::Lognormal { median, sigma }, 100).last().expect("a hundred");
            assert!(worst <= LONGEST.max(20 * MS), "{median:?} {sigma}: {worst:?}");
        }
    }
}
