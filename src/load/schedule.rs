//! The open-loop schedule: the planned time of arrival *n* in closed form.
//!
//! Arrival *n* (from 0) is due when the integral of the rate over time exceeds *n*: a rate *r* for *d* gives exactly
//! *r·d* arrivals, the first at the stage's start and none at its end, and fractions carry over from stage to stage.

use super::stage::{LoadConfig, Stage};
use std::time::Duration;

/// Planned times as offsets from the start of the load.
#[derive(Clone, Debug)]
pub struct Schedule {
    pieces: Vec<Piece>,
    arrivals: u32,
    lasts: Duration,
    peak: f64,
}

/// A stretch of time over which the rate changes linearly.
#[derive(Clone, Copy, Debug)]
struct Piece {
    start: Duration,
    /// Integral of the rate before this piece.
    before: f64,
    /// Arrivals per second at its start and end.
    from: f64,
    to: f64,
    lasts_s: f64,
}

/// Sums of rates and seconds carry rounding errors of about 1e-12 of their size; an integral this close to a whole
/// number is meant to be that number.
const SNAP: f64 = 1e-6;

impl Schedule {
    pub fn new(config: &LoadConfig) -> Self {
        let mut pieces = Vec::with_capacity(config.stages.len());
        let (mut start, mut before, mut rate, mut peak) = (Duration::ZERO, 0.0, 0.0, 0.0f64);
        for stage in &config.stages {
            let (from, to) = match *stage {
                Stage::Ramp { to, .. } => (rate, to),
                Stage::Rate { per_second, .. } => (per_second, per_second),
                Stage::Hold { .. } => (0.0, 0.0),
            };
            let lasts_s = stage.lasts().as_secs_f64();
            pieces.push(Piece { start, before, from, to, lasts_s });
            start += stage.lasts();
            before += (from + to) / 2.0 * lasts_s;
            peak = peak.max(from).max(to);
            rate = to;
        }
        let planned = (before - SNAP).ceil().clamp(0.0, f64::from(u32::MAX)) as u32;
        Schedule { pieces, arrivals: planned.min(config.agents), lasts: start, peak }
    }

    /// Arrivals that happen: those the stages plan, at most one for each agent.
    pub fn arrivals(&self) -> u32 {
        self.arrivals
    }

    /// Length of all stages.
    pub fn lasts(&self) -> Duration {
        self.lasts
    }

    /// The highest planned rate, arrivals per second.
    pub fn peak(&self) -> f64 {
        self.peak
    }

    /// When arrival `n` is due after the start; `None` beyond the last one.
    pub fn planned(&self, n: u32) -> Option<Duration> {
        if n >= self.arrivals {
            return None;
        }
        let n = f64::from(n);
        // The last piece that begins with no more than n arrivals behind it and is not empty. On a border this is the
        // later piece: the first arrival of a stage is due at its start.
        let next = self.pieces.partition_point(|piece| piece.before <= n + SNAP);
        let piece = self.pieces[..next].iter().rev().find(|piece| piece.total() > SNAP)?;
        Some(piece.start + Duration::from_secs_f64(piece.offset((n - piece.before).max(0.0))))
    }
}

impl Piece {
    fn total(&self) -> f64 {
        (self.from + self.to) / 2.0 * self.lasts_s
    }

    /// Seconds after which the integral within the piece reaches `arrivals`: the root of from·s + slope·s²/2 = arrivals,
    /// in the form that does not cancel for small slopes.
    fn offset(&self, arrivals: f64) -> f64 {
        let slope = (self.to - self.from) / self.lasts_s;
        let root = (self.from * self.from + 2.0 * slope * arrivals).max(0.0).sqrt();
        let seconds = if self.from + root > 0.0 { 2.0 * arrivals / (self.from + root) } else { 0.0 };
        seconds.min(self.lasts_s)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn schedule(stages: Vec<Stage>) -> Schedule {
        Schedule::new(&LoadConfig { stages, agents: u32::MAX, max_in_flight: 1, max_message_rate: 1 })
    }

    fn ramp(to: f64, secs: u64) -> Stage {
        Stage::Ramp { to, lasts: Duration::from_secs(secs) }
    }

    fn rate(per_second: f64, secs: u64) -> Stage {
        Stage::Rate { per_second, lasts: Duration::from_secs(secs) }
    }

    fn hold(secs: u64) -> Stage {
        Stage::Hold { lasts: Duration::from_secs(secs) }
    }

    #[test]
    fn a_constant_rate_is_evenly_spaced() {
        let s = schedule(vec![rate(1000.0, 60)]);
        assert_eq!(s.arrivals(), 60_000);
        for n in [0u32, 1, 7, 999, 59_999] {
            let ideal = Duration::from_micros(u64::from(n) * 1000);
            let planned = s.planned(n).expect("within");
            assert!(planned.abs_diff(ideal) < Duration::from_nanos(50), "{n}: {planned:?}");
        }
        assert_eq!(s.planned(60_000), None);
    }

    #[test]
    fn a_ramp_from_nothing_gives_half_its_final_rate_on_average() {
        let s = schedule(vec![ramp(500.0, 30)]);
        assert_eq!(s.arrivals(), 7500);
        assert_eq!(s.planned(0), Some(Duration::ZERO));
        // n = 500/30/2 · t², so arrival 1875 (a quarter) is due at half time.
        let half = s.planned(1875).expect("within");
        assert!(half.abs_diff(Duration::from_secs(15)) < Duration::from_micros(1), "{half:?}");
    }

    #[test]
    fn a_stage_begins_with_an_arrival_and_ends_without() {
        let s = schedule(vec![rate(10.0, 1), hold(5), rate(2.0, 1)]);
        assert_eq!(s.arrivals(), 12);
        assert_eq!(s.planned(9), Some(Duration::from_millis(900)));
        assert_eq!(s.planned(10), Some(Duration::from_secs(6)));
        assert_eq!(s.planned(11), Some(Duration::from_millis(6500)));
    }

    #[test]
    fn fractions_carry_over() {
        // 0.5 + 0.5 + 1: the second arrival falls where the integral reaches 1, at the start of the third stage.
        let s = schedule(vec![rate(0.5, 1), rate(0.5, 1), rate(1.0, 1)]);
        assert_eq!(s.arrivals(), 2);
        assert_eq!(s.planned(0), Some(Duration::ZERO));
        assert_eq!(s.planned(1), Some(Duration::from_secs(2)));
    }

    #[test]
    fn a_ramp_goes_down_from_the_stage_before() {
        let s = schedule(vec![rate(100.0, 10), ramp(0.0, 10)]);
        assert_eq!(s.arrivals(), 1500);
        let last = s.planned(1499).expect("within");
        assert!(last > Duration::from_secs(18) && last < Duration::from_secs(20), "{last:?}");
        assert_eq!(s.planned(1000), Some(Duration::from_secs(10)));
    }

    #[test]
    fn agents_run_out() {
        let config = LoadConfig { stages: vec![rate(10.0, 10)], agents: 7, max_in_flight: 1, max_message_rate: 1 };
        let s = Schedule::new(&config);
        assert_eq!(s.arrivals(), 7);
        assert_eq!(s.planned(7), None);
    }

    fn any_stage() -> impl Strategy<Value = Stage> {
        prop_oneof![
            (0.0f64..2000.0, 1u64..100).prop_map(|(to, secs)| ramp(to, secs)),
            (0.001f64..2000.0, 1u64..100).prop_map(|(r, secs)| rate(r, secs)),
            (1u64..100).prop_map(hold),
        ]
    }

    proptest! {
        /// Times rise, stay inside, and invert the integral.
        #[test]
        fn times_rise_and_match_the_integral(stages in proptest::collection::vec(any_stage(), 1..6)) {
            let s = schedule(stages.clone());
            let total: f64 = s.pieces.iter().map(Piece::total).sum();
            prop_assert!((f64::from(s.arrivals()) - total).abs() <= 1.0);
            let mut last = Duration::ZERO;
            for n in (0..s.arrivals()).step_by((s.arrivals() as usize / 200).max(1)) {
                let at = s.planned(n).expect("within");
                prop_assert!(at >= last && at <= s.lasts());
                last = at;
                let integral: f64 = s.pieces.iter().map(|p| {
                    let t = (at.as_secs_f64() - p.start.as_secs_f64()).clamp(0.0, p.lasts_s);
                    p.from * t + (p.to - p.from) / p.lasts_s * t * t / 2.0
                }).sum();
                prop_assert!((integral - f64::from(n)).abs() < 1e-3 * (1.0 + f64::from(n) * 1e-3), "{} {}", integral, n);
            }
        }
    }
}
