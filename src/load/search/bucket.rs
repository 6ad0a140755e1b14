//! A token bucket, read from which arrivals passed: the first `burst` at once, then so many per
//! second.
//!
//! Once the first arrival is refused the bucket is empty, and each one accepted from then on took a
//! token that had just come in: their rate is the refill, whatever the rate offered, as long as
//! that is higher. What was accepted before, less what came in meanwhile, is what the bucket held.

use super::{SeatAnswer, SeatFate};
use std::time::Duration;

/// What a step says of a token bucket.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Bucket {
    pub per_second: f64,
    pub burst: f64,
    /// Accepted arrivals the rate rests on.
    pub accepted: usize,
}

/// Fewer accepted arrivals say nothing about their rate.
const LEAST_ACCEPTED: usize = 8;

/// Reads a bucket from answers in the order planned; `None` without a refusal, or with too few
/// accepted after it.
pub fn read(answers: &[SeatAnswer]) -> Option<Bucket> {
    let refused = |answer: &SeatAnswer| matches!(answer.fate, SeatFate::Refused(_));
    let first = answers.iter().position(refused)?;
    let accepted = |answer: &&SeatAnswer| matches!(answer.fate, SeatFate::Accepted { .. });
    let passed: Vec<Duration> = answers[first..].iter().filter(accepted).map(|answer| answer.planned).collect();
    let span = passed.last()?.saturating_sub(*passed.first()?).as_secs_f64();
    if passed.len() < LEAST_ACCEPTED || span <= 0.0 {
        return None;
    }
    let per_second = (passed.len() - 1) as f64 / span;
    let before = answers[..first].iter().filter(accepted).count();
    let began = answers.first()?.planned;
    let filled = answers[first].planned.saturating_sub(began).as_secs_f64() * per_second;
    Some(Bucket { per_second, burst: (before as f64 - filled).max(0.0), accepted: passed.len() })
}

#[cfg(test)]
mod tests {
    use super::super::models::ModelRegistrar;
    use super::super::{SearchField, Seat, StepPace};
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Whatever is offered above the refill, the refill is what comes out.
        #[test]
        fn the_refill_is_read_whatever_is_offered(rate in 2.0..500.0f64, burst in 2u32..200, excess in 1.3..4.0f64) {
            let offered = rate * excess;
            let count = 200 + (f64::from(burst) * excess / (excess - 1.0)) as u32 + (120.0 * excess) as u32;
            let mut registrar = ModelRegistrar::default().with_rate(rate, burst);
            let seats: Vec<Seat> = (0..count).map(Seat).collect();
            let seen = registrar.register(&seats, StepPace::Steady(offered)).expect("a model");
            let bucket = read(&seen.answers).expect("refused some");
            prop_assert!((bucket.per_second / rate - 1.0).abs() < 0.03, "{bucket:?} {rate}");
            let error = (bucket.burst - f64::from(burst)).abs();
            prop_assert!(error < 2.0 + 0.05 * f64::from(burst) * excess / (excess - 1.0), "{bucket:?} {burst}");
        }
    }

    #[test]
    fn without_a_refusal_there_is_nothing_to_read() {
        let seats: Vec<Seat> = (0..50).map(Seat).collect();
        let seen = ModelRegistrar::default().register(&seats, StepPace::Steady(10.0)).expect("a model");
        assert_eq!(read(&seen.answers), None);
        assert_eq!(read(&[]), None);
    }
}
