//! A sorted sample of uniform numbers as a function of the index: the arrival times of a Poisson
//! process whose count is known.
//!
//! Given their number, the points of a Poisson process are independent and uniform in the rate's
//! integral. Sorted, they are the partial sums of n + 1 exponential gaps divided by the whole sum.
//! Gaps are drawn in blocks, each from a stream of its own, and only the sum before each block is
//! kept: any worker finds any arrival on its own, by drawing at most one block again, and all
//! workers share one eighth of a byte per arrival (ten million arrivals: 1.25 MB).

use crate::seed::{Purpose, Seed, unit};
use rand_chacha::rand_core::Rng;

/// `n` sorted points in `(0, 1)`.
#[derive(Clone, Debug)]
pub struct Sample {
    seed: Seed,
    id: u64,
    /// Sum of all gaps before each block.
    before: Vec<f64>,
    sum: f64,
}

/// Gaps per block: about a microsecond to draw again.
const BLOCK: u32 = 64;

impl Sample {
    /// Draws `count` points, of which only the first `needed` will be asked for; `id` sets samples
    /// of one seed apart.
    pub fn draw(seed: Seed, id: u64, count: u32, needed: u32) -> Self {
        let gaps = u64::from(count) + 1;
        let mut before = Vec::with_capacity(needed.div_ceil(BLOCK) as usize);
        let mut sum = 0.0;
        for block in 0..gaps.div_ceil(BLOCK.into()) {
            if block * u64::from(BLOCK) < u64::from(needed) {
                before.push(sum);
            }
            let length = (gaps - block * u64::from(BLOCK)).min(BLOCK.into());
            sum = sum_of(seed, id, block, length.try_into().unwrap_or(BLOCK), sum);
        }
        Sample { seed, id, before, sum }
    }

    /// The point with `index` points before it; panics beyond those needed.
    pub fn position(&self, index: u32) -> f64 {
        let block = index / BLOCK;
        let before = self.before[block as usize];
        sum_of(self.seed, self.id, block.into(), index % BLOCK + 1, before) / self.sum
    }
}

/// `sum` and the first `length` gaps of a block, added in order, so that a sum never depends on who
/// forms it.
fn sum_of(seed: Seed, id: u64, block: u64, length: u32, sum: f64) -> f64 {
    let mut stream = seed.stream(Purpose::Arrivals, id, block);
    // One minus a number in [0, 1) is never 0, so its logarithm is finite.
    (0..length).fold(sum, |sum, _| sum - (1.0 - unit(stream.next_u64())).ln())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_are_sorted_inside_and_the_same_for_every_reader() {
        let sample = Sample::draw(Seed(7), 0, 1000, 1000);
        let points: Vec<f64> = (0..1000).map(|n| sample.position(n)).collect();
        assert!(points.is_sorted() && points[0] > 0.0 && points[999] < 1.0);
        let backwards: Vec<f64> = (0..1000).rev().map(|n| sample.position(n)).collect();
        assert!(points.iter().eq(backwards.iter().rev()));
        let few = Sample::draw(Seed(7), 0, 1000, 65);
        assert_eq!(few.before.len(), 2);
        assert_eq!(few.position(64), points[64]);
        assert_ne!(Sample::draw(Seed(7), 1, 1000, 1).position(0), points[0]);
    }
}
