//! The open-loop schedule: the planned time of arrival *n* in closed form.
//!
//! Arrival *n* (from 0) is due when the integral of the rate over time exceeds *n*: a rate *r* for
//! *d* gives exactly *r·d* arrivals, the first at the stage's start and none at its end, and
//! fractions carry over from stage to stage. An avalanche is a step of that integral. A Poisson
//! process has the same count in every stage, at random times.

use super::poisson::Sample;
use super::replay::{Replay, ReplayStep};
use super::stage::{LoadConfig, LoadStage, Outage, Process, WhenExhausted};
use super::stripe::Share;
use super::timeline::Timeline;
use crate::seed::Seed;
use crate::vocab::{ReplayAct, floor_u32};
use std::sync::Arc;
use std::time::Duration;

/// Planned times as offsets from the start of the load.
#[derive(Clone, Debug)]
pub struct Schedule {
    pieces: Vec<Stretch>,
    arrivals: u32,
    lasts: Duration,
    peak: f64,
    outages: Vec<Outage>,
    /// What is replayed, and when that begins.
    replay: Option<(Arc<Replay>, Duration)>,
}

/// A stretch of time over which the rate changes linearly.
#[derive(Clone, Debug)]
struct Stretch {
    start: Duration,
    /// Integral of the rate before this piece.
    before: f64,
    /// What this piece adds to it.
    total: f64,
    /// Arrivals per second at its start and end.
    from: f64,
    to: f64,
    /// 0: an avalanche.
    lasts_s: f64,
    /// Where the arrivals lie in `total`; `None`: evenly.
    sample: Option<Sample>,
}

/// Sums of rates and seconds carry rounding errors of about 1e-12 of their size; an integral this
/// close to a whole number is meant to be that number.
const SNAP: f64 = 1e-6;

impl Schedule {
    /// Plans the arrivals; `seed` draws the times of a Poisson process and nothing else.
    pub fn new(config: &LoadConfig, seed: Seed) -> Self {
        let mut pieces = Vec::with_capacity(config.stages.len());
        let (mut start, mut before, mut rate, mut peak) = (Duration::ZERO, 0.0, 0.0, 0.0f64);
        let (mut outages, mut replay) = (Vec::new(), None);
        for stage in &config.stages {
            if let LoadStage::Outage { share, lasts } = *stage {
                outages.push(Outage { from: start, until: start + lasts, share });
            }
            if let (LoadStage::Replay { .. }, Some(steps)) = (stage, &config.replay) {
                peak = peak.max(steps.peak());
                replay = Some((steps.clone(), start));
            }
            let lasts_s = stage.lasts().as_secs_f64();
            let (from, to) = stage.rates(rate);
            let total = stage.arrivals(rate);
            // An avalanche asks for its agents at once; nobody can be faster than that within a
            // second.
            peak = peak.max(if lasts_s > 0.0 { from.max(to) } else { total });
            pieces.push(Stretch { start, before, total, from, to, lasts_s, sample: None });
            start += stage.lasts();
            before += total;
            rate = to;
        }
        let planned = first_at(before);
        let arrivals = match (&replay, config.when_exhausted) {
            // A record says itself who comes again.
            (Some((steps, _)), _) => steps.arrivals(),
            (None, WhenExhausted::Stop) => planned.min(config.agents),
            (None, WhenExhausted::Reregister) => planned,
        };
        if config.process == Process::Poisson && replay.is_none() {
            for (number, piece) in pieces.iter_mut().enumerate().filter(|(_, piece)| piece.lasts_s > 0.0) {
                let first = first_at(piece.before);
                let needed = arrivals.saturating_sub(first).min(piece.arrivals());
                piece.sample = (needed > 0).then(|| Sample::draw(seed, number as u64, piece.arrivals(), needed));
            }
        }
        Schedule { pieces, arrivals, lasts: start, peak, outages, replay }
    }

    /// Arrivals that happen: those the stages plan, and unless agents arrive again at most one for
    /// each of them.
    pub fn arrivals(&self) -> u32 {
        self.arrivals
    }

    /// Those of them that a share has, of so many agents.
    pub fn arrivals_of(&self, share: Share, agents: u32) -> u64 {
        if let Some(replay) = self.replay() {
            let arrives = |step: &&ReplayStep| step.act == ReplayAct::Arrive && share.owns(step.agent);
            return replay.steps().iter().filter(arrives).count() as u64;
        }
        // Arrivals go round the agents.
        let rounds = self.arrivals.checked_div(agents).unwrap_or(0);
        let rest = self.arrivals.checked_rem(agents).unwrap_or(0);
        u64::from(rounds) * u64::from(share.count(agents)) + u64::from(share.count(rest))
    }

    /// Length of all stages.
    pub fn lasts(&self) -> Duration {
        self.lasts
    }

    /// When agents are off, in order.
    pub fn outages(&self) -> &[Outage] {
        &self.outages
    }

    /// The highest planned rate, arrivals per second; an avalanche counts as its agents within one
    /// second.
    pub fn peak(&self) -> f64 {
        self.peak
    }

    /// What is replayed instead of arrivals by a rate; `None`: nothing.
    pub fn replay(&self) -> Option<&Replay> {
        self.replay.as_ref().map(|(replay, _)| &**replay)
    }

    /// A step of the replay, its time being since the start of the load.
    pub fn replayed(&self, step: u32) -> Option<ReplayStep> {
        let (replay, start) = self.replay.as_ref()?;
        let step = *replay.steps().get(step as usize)?;
        Some(ReplayStep { at: *start + step.at, ..step })
    }

    /// How many arrivals are due by a moment after the start, those of the moment itself included.
    pub fn due_by(&self, at: Duration) -> u32 {
        let (mut due, mut beyond) = (0, self.arrivals);
        while due < beyond {
            let middle = due + (beyond - due) / 2;
            if self.planned(middle).is_some_and(|planned| planned <= at) {
                due = middle + 1;
            } else {
                beyond = middle;
            }
        }
        due
    }

    /// Planned arrivals per second at a moment after the start, for agents that do not run out.
    pub fn rate_at(&self, at: Duration) -> f64 {
        let next = self.pieces.partition_point(|piece| piece.start <= at);
        let Some(piece) = self.pieces[..next].iter().rev().find(|piece| piece.lasts_s > 0.0) else { return 0.0 };
        if let Some((replay, start)) = self.replay.as_ref().filter(|(_, start)| *start == piece.start) {
            return replay.rate_at(at - *start);
        }
        let into = (at - piece.start).as_secs_f64() / piece.lasts_s;
        if into < 1.0 { piece.from + (piece.to - piece.from) * into } else { 0.0 }
    }

    /// The time of a run of this schedule, as planned so far.
    pub fn timeline(&self) -> Timeline {
        let quiet = self.pieces.iter().filter(|piece| piece.lasts_s > 0.0 && piece.total <= 0.0);
        Timeline::new(quiet.map(|piece| piece.start..piece.start + Duration::from_secs_f64(piece.lasts_s)).collect())
    }

    /// When arrival `n` is due after the start; `None` beyond the last one.
    pub fn planned(&self, n: u32) -> Option<Duration> {
        if n >= self.arrivals {
            return None;
        }
        if let Some((replay, start)) = &self.replay {
            return Some(*start + replay.arrival(n)?);
        }
        let integral = f64::from(n);
        // The last piece that begins with no more than n arrivals behind it and is not empty. On a
        // border this is the later piece: the first arrival of a stage is due at its start.
        let next = self.pieces.partition_point(|piece| piece.before <= integral + SNAP);
        let piece = self.pieces[..next].iter().rev().find(|piece| piece.total > SNAP)?;
        let within = match &piece.sample {
            Some(sample) => sample.position(n - first_at(piece.before)) * piece.total,
            None => (integral - piece.before).max(0.0),
        };
        Some(piece.start + Duration::from_secs_f64(piece.offset(within)))
    }
}

/// The first arrival that is not due before the integral reaches `integral`.
fn first_at(integral: f64) -> u32 {
    floor_u32((integral - SNAP).ceil().clamp(0.0, f64::from(u32::MAX)))
}

impl Stretch {
    /// Arrivals that come due within the piece.
    fn arrivals(&self) -> u32 {
        first_at(self.before + self.total) - first_at(self.before)
    }

    /// Seconds after which the integral within the piece reaches `arrivals`: the root of from·s +
    /// slope·s²/2 = arrivals, in the form that does not cancel for small slopes.
    fn offset(&self, arrivals: f64) -> f64 {
        if self.lasts_s == 0.0 {
            return 0.0;
        }
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

    fn schedule(stages: Vec<LoadStage>) -> Schedule {
        Schedule::new(&config(stages, u32::MAX), Seed(1))
    }

    fn config(stages: Vec<LoadStage>, agents: u32) -> LoadConfig {
        let (process, when_exhausted) = (Process::Uniform, WhenExhausted::Stop);
        LoadConfig {
            stages,
            replay: None,
            process,
            when_exhausted,
            agents,
            max_in_flight: 1,
            max_message_rate: 1,
            max_connect_rate: 1,
        }
    }

    fn poisson(stages: Vec<LoadStage>, seed: u64) -> Schedule {
        Schedule::new(&LoadConfig { process: Process::Poisson, ..config(stages, u32::MAX) }, Seed(seed))
    }

    fn times(s: &Schedule) -> Vec<f64> {
        (0..s.arrivals()).map(|n| s.planned(n).expect("within").as_secs_f64()).collect()
    }

    fn ramp(to: f64, secs: u64) -> LoadStage {
        LoadStage::Ramp { to, lasts: Duration::from_secs(secs) }
    }

    fn rate(per_second: f64, secs: u64) -> LoadStage {
        LoadStage::Rate { per_second, lasts: Duration::from_secs(secs) }
    }

    fn hold(secs: u64) -> LoadStage {
        LoadStage::Hold { lasts: Duration::from_secs(secs) }
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
    fn what_is_due_is_counted_and_the_rate_is_known() {
        let at = Duration::from_millis;
        let s = schedule(vec![rate(10.0, 1), hold(5), LoadStage::Avalanche { agents: 7 }, ramp(20.0, 10)]);
        assert_eq!((s.due_by(at(0)), s.due_by(at(899)), s.due_by(at(900)), s.due_by(at(5_999))), (1, 9, 10, 10));
        assert_eq!((s.due_by(at(6_000)), s.due_by(at(60_000))), (18, s.arrivals()));
        assert_eq!((s.rate_at(at(500)), s.rate_at(at(3_000)), s.rate_at(at(11_000))), (10.0, 0.0, 10.0));
        assert_eq!(s.rate_at(at(60_000)), 0.0);
        let mut timeline = s.timeline();
        timeline.bend(at(0), crate::vocab::Speed(200));
        assert_eq!((timeline.run_time(at(1_000)), timeline.run_time(at(6_000))), (Some(at(500)), Some(at(5_500))));
    }

    #[test]
    fn fractions_carry_over() {
        // 0.5 + 0.5 + 1: the second arrival falls where the integral reaches 1, at the start of the
        // third stage.
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
        let stop = config(vec![rate(10.0, 10)], 7);
        let s = Schedule::new(&stop, Seed(1));
        assert_eq!(s.arrivals(), 7);
        assert_eq!(s.planned(7), None);
        let again = Schedule::new(&LoadConfig { when_exhausted: WhenExhausted::Reregister, ..stop }, Seed(1));
        assert_eq!(again.arrivals(), 100);
        assert_eq!(again.planned(99), Some(Duration::from_millis(9900)));
    }

    #[test]
    fn an_avalanche_is_one_instant_between_two_stages() {
        let s = schedule(vec![rate(2.5, 3), LoadStage::Avalanche { agents: 10 }, rate(10.0, 1), hold(5)]);
        // 7.5 arrivals before it; the half carries over to the other side.
        assert_eq!(s.arrivals(), 28);
        assert_eq!(s.planned(7), Some(Duration::from_millis(2800)));
        assert!((8..18).all(|n| s.planned(n) == Some(Duration::from_secs(3))));
        assert_eq!(s.planned(18), Some(Duration::from_millis(3050)));
        assert_eq!((s.lasts(), s.peak()), (Duration::from_secs(9), 10.0));
        let alone = schedule(vec![LoadStage::Avalanche { agents: 500 }]);
        assert_eq!((alone.arrivals(), alone.lasts(), alone.peak()), (500, Duration::ZERO, 500.0));
        assert_eq!((alone.planned(0), alone.planned(499)), (Some(Duration::ZERO), Some(Duration::ZERO)));
    }

    #[test]
    fn an_avalanche_leaves_the_rate_as_it_was() {
        let s = schedule(vec![rate(100.0, 1), LoadStage::Avalanche { agents: 50 }, ramp(200.0, 2)]);
        assert_eq!(s.arrivals(), 100 + 50 + 300);
    }

    #[test]
    fn poisson_keeps_the_count_of_every_stage_and_the_seed_decides() {
        let stages =
            vec![ramp(100.0, 10), hold(5), rate(0.25, 10), LoadStage::Avalanche { agents: 20 }, rate(50.0, 10)];
        let (even, drawn) = (schedule(stages.clone()), poisson(stages.clone(), 7));
        assert_eq!(drawn.arrivals(), even.arrivals());
        let borders = [0.0, 10.0, 15.0, 25.0, 35.0];
        let per_stage = |s: &Schedule| -> Vec<usize> {
            let times = times(s);
            borders.windows(2).map(|w| times.iter().filter(|t| (w[0]..w[1]).contains(*t)).count()).collect()
        };
        assert_eq!(per_stage(&drawn), per_stage(&even));
        assert_eq!(times(&drawn).iter().filter(|t| **t == 25.0).count(), 20, "an avalanche stays one instant");
        assert!(times(&drawn).is_sorted());
        assert_eq!(times(&drawn), times(&poisson(stages.clone(), 7)));
        assert_ne!(times(&drawn), times(&poisson(stages, 8)));
    }

    #[test]
    fn agents_that_run_out_cut_a_poisson_stage_short_and_do_not_thin_it() {
        let whole = poisson(vec![rate(100.0, 100)], 3);
        let few = LoadConfig { process: Process::Poisson, ..config(vec![rate(100.0, 100)], 500) };
        let few = Schedule::new(&few, Seed(3));
        assert_eq!(few.arrivals(), 500);
        assert_eq!(times(&few), times(&whole)[..500]);
    }

    /// Largest distance between the samples' distribution and `cdf`, times √n.
    fn kolmogorov_smirnov(mut samples: Vec<f64>, cdf: impl Fn(f64) -> f64) -> f64 {
        samples.sort_unstable_by(f64::total_cmp);
        let n = samples.len() as f64;
        let distance = samples.iter().enumerate().map(|(i, &x)| {
            let (below, above) = (cdf(x) - i as f64 / n, (i + 1) as f64 / n - cdf(x));
            below.max(above)
        });
        distance.fold(0.0, f64::max) * n.sqrt()
    }

    /// The bound a sample from the right distribution exceeds once in a thousand times.
    const KS_BOUND: f64 = 1.95;

    #[test]
    fn poisson_gaps_are_exponential_and_independent() {
        for seed in 1..=20 {
            let times = times(&poisson(vec![rate(200.0, 50)], seed));
            let gaps: Vec<f64> = times.windows(2).map(|pair| (pair[1] - pair[0]) * 200.0).collect();
            let distance = kolmogorov_smirnov(gaps.clone(), |x| 1.0 - (-x).exp());
            assert!(distance < KS_BOUND, "seed {seed}: gaps {distance}");
            let distance = kolmogorov_smirnov(times, |t| t / 50.0);
            assert!(distance < KS_BOUND, "seed {seed}: times {distance}");
            let neighbours = gaps.windows(2).map(|pair| (pair[0] - 1.0) * (pair[1] - 1.0)).sum::<f64>();
            let correlation = neighbours / gaps.len() as f64;
            assert!(correlation.abs() < 4.0 / (gaps.len() as f64).sqrt(), "seed {seed}: {correlation}");
        }
    }

    #[test]
    fn evenly_spaced_arrivals_fail_that_test() {
        let times = times(&schedule(vec![rate(200.0, 50)]));
        let gaps = times.windows(2).map(|pair| (pair[1] - pair[0]) * 200.0).collect();
        assert!(kolmogorov_smirnov(gaps, |x| 1.0 - (-x).exp()) > 20.0);
    }

    #[test]
    fn a_poisson_ramp_follows_its_rate() {
        for seed in 1..=20 {
            let times = times(&poisson(vec![ramp(400.0, 50)], seed));
            assert_eq!(times.len(), 10_000);
            let distance = kolmogorov_smirnov(times, |t| t * t / 2500.0);
            assert!(distance < KS_BOUND, "seed {seed}: {distance}");
        }
    }

    fn any_stage() -> impl Strategy<Value = LoadStage> {
        prop_oneof![
            (0.0f64..2000.0, 1u64..100).prop_map(|(to, secs)| ramp(to, secs)),
            (0.001f64..2000.0, 1u64..100).prop_map(|(r, secs)| rate(r, secs)),
            (1u64..100).prop_map(hold),
            (0u32..5000).prop_map(|agents| LoadStage::Avalanche { agents }),
        ]
    }

    proptest! {
        /// Times rise, stay inside, and invert the integral.
        #[test]
        fn times_rise_and_match_the_integral(stages in proptest::collection::vec(any_stage(), 1..6)) {
            let s = schedule(stages.clone());
            let total: f64 = s.pieces.iter().map(|piece| piece.total).sum();
            prop_assert!((f64::from(s.arrivals()) - total).abs() <= 1.0);
            let mut last = Duration::ZERO;
            for n in (0..s.arrivals()).step_by((s.arrivals() as usize / 200).max(1)) {
                let at = s.planned(n).expect("within");
                prop_assert!(at >= last && at <= s.lasts());
                last = at;
                // At a step of the integral an arrival may stand anywhere in the step.
                let steps: f64 = s.pieces.iter().filter(|p| p.lasts_s == 0.0 && p.start == at).map(|p| p.total).sum();
                let integral: f64 = s.pieces.iter().map(|p| {
                    if p.lasts_s == 0.0 {
                        return if p.start < at { p.total } else { 0.0 };
                    }
                    let t = (at.as_secs_f64() - p.start.as_secs_f64()).clamp(0.0, p.lasts_s);
                    p.from * t + (p.to - p.from) / p.lasts_s * t * t / 2.0
                }).sum();
                let slack = 1e-3 * (1.0 + f64::from(n) * 1e-3);
                let range = integral - slack..=integral + steps + slack;
                prop_assert!(range.contains(&f64::from(n)), "{} {} {}", integral, steps, n);
            }
        }
    }
}
