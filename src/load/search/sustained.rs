//! Whether a registrar sustains what it was offered, read from the answers of one probe: it answers
//! as fast as it is asked, and its response time does not grow.
//!
//! A registrar with a queue accepts everything, later and later. Offered λ a second where it
//! carries C, its response time grows by λ/C - 1 seconds each second, so "answered as fast as
//! offered" and "response time does not grow" are the same line seen twice. Its slope is the median
//! of the slopes between any two stretches of the probe (Theil and Sen), which one stall or a lost
//! packet does not move, and it counts only when the stretches agree (Kendall).
//!
//! The rate carried is read while the queue is never empty: all registrations divided by the time
//! from the first request to the last answer. The server is busy throughout, so the order of its
//! answers does not matter. Where packets were lost, where answers take long even at leisure, or
//! where one of several servers finishes last, the ends of that time are uncertain; the slope of
//! the answers over time is used instead.

use super::{SeatAnswer, SeatFate, StepResult};
use crate::vocab::{floor_usize, median};
use std::time::Duration;

/// What the answers of a probe say of its rate.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct ProbeReading {
    /// Registrations accepted per second.
    pub answered_per_s: f64,
    /// Seconds by which the response time grew each second; of the half that grew more.
    pub slope: f64,
    /// Whether that is growth, and no accident.
    pub is_growing: bool,
    pub p50: Duration,
    pub p99: Duration,
}

/// What a registrar under more than it can bear answers.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct CarriedRate {
    pub per_second: f64,
    /// How many registrations that rests on.
    pub registrations: usize,
}

/// How the answers lie that are later than usual.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lateness {
    /// Nothing is as swift any more as it was at leisure: everybody waits for those before.
    Queue,
    /// Swift, or late by whole multiples of T1: repeated requests get through, first ones were
    /// dropped.
    Repeats,
    /// Some are swift, some wait: one of several servers has a queue.
    Mixed,
}

/// Reads a probe; `None` with too few accepted.
pub fn read(seen: &StepResult) -> Option<ProbeReading> {
    let accepted = accepted(seen);
    let (first, last) = (accepted.first()?, accepted.last()?);
    let planned = last.planned.saturating_sub(first.planned).as_secs_f64();
    if accepted.len() < LEAST || planned <= 0.0 {
        return None;
    }
    let blocks = (accepted.len() / BLOCK).clamp(LEAST_BLOCKS, MOST_BLOCKS);
    let size = accepted.len().div_ceil(blocks);
    let middles: Vec<(f64, f64)> = accepted.chunks(size).map(|part| level(part, median)).collect();
    let means: Vec<(f64, f64)> = accepted.chunks(size).map(|part| level(part, mean)).collect();
    let (typical, all) = (ProbeTrend::of(&middles), ProbeTrend::of(&means));
    // A mean of few follows each packet that was lost.
    let is_telling = blocks == MOST_BLOCKS;
    let is_growing = typical.is_growth(planned, GROWTH, LEAST_RISE_S)
        || (is_telling && all.is_growth(planned, MEAN_GROWTH, MEAN_RISE_S));
    let slope = if typical.slope.abs() >= GROWTH { typical.slope } else { all.slope };
    let offered = (accepted.len() - 1) as f64 / planned;
    Some(ProbeReading {
        answered_per_s: offered / (1.0 + typical.slope.max(0.0)),
        slope,
        is_growing,
        p50: seen.latency(0.5).unwrap_or_default(),
        p99: seen.latency(0.99).unwrap_or_default(),
    })
}

/// What the registrar carries, of a probe in which its queue was never empty; `leisure` is what an
/// answer takes without one.
pub fn carried(seen: &StepResult, leisure: Duration) -> Option<CarriedRate> {
    let accepted = accepted(seen);
    let (first, last) = (accepted.first()?, accepted.last()?);
    let mut ends: Vec<f64> = accepted.iter().map(|answer| answer.at.as_secs_f64()).collect();
    ends.sort_unstable_by(f64::total_cmp);
    let all = over_all(&ends, first)?;
    let lasts = all.registrations as f64 / all.per_second;
    let is_sharp = seen.retransmitted == 0
        && leisure.as_secs_f64() <= SHARP * lasts
        && swiftest(&late_half(&accepted)).is_some_and(|swiftest| is_late(swiftest, leisure));
    if is_sharp {
        return Some(all);
    }
    // Requests and their repetition with credentials take turns in the queue: the answers come in
    // waves as long as a registration takes.
    let wave = seen.latency(0.5)?.as_secs_f64();
    let (from, to) = (first.planned.as_secs_f64() + LEAD_IN_WAVES * wave, last.planned.as_secs_f64());
    let inside: Vec<f64> = ends.iter().copied().filter(|at| (from..=to).contains(at)).collect();
    if inside.len() >= LEAST_SLOPE && to - from >= LEAST_WAVES * wave {
        return Some(CarriedRate { per_second: least_squares(&inside)?, registrations: inside.len() });
    }
    Some(all)
}

/// All that were answered, over the time from the first request to the last answer.
fn over_all(ends: &[f64], first: &SeatAnswer) -> Option<CarriedRate> {
    let ends = without_stragglers(ends);
    let span = ends.last()? - first.planned.as_secs_f64();
    let carried = CarriedRate { per_second: ends.len() as f64 / span, registrations: ends.len() };
    (ends.len() >= LEAST && span > 0.0).then_some(carried)
}

/// How late answers lie beside the time an answer takes at leisure; `t1` is when a request is
/// first repeated.
pub fn lateness(seen: &StepResult, leisure: Duration, t1: Duration) -> Lateness {
    let accepted = accepted(seen);
    let spans = late_half(&accepted);
    let Some(swiftest) = swiftest(&spans) else { return Lateness::Mixed };
    if is_late(swiftest, leisure) {
        return Lateness::Queue;
    }
    let late: Vec<f64> = spans.into_iter().filter(|span| is_late(*span, leisure)).collect();
    let t1 = t1.as_secs_f64().max(f64::MIN_POSITIVE);
    let beside = 2.0 * leisure.as_secs_f64() + BESIDE_T1_S;
    let repeated = late.iter().filter(|span| **span >= 0.9 * t1 && **span % t1 <= beside).count();
    if !late.is_empty() && repeated * 10 >= late.len() * 7 { Lateness::Repeats } else { Lateness::Mixed }
}

/// Response times of the second half, for a queue fills up first; the shortest first.
fn late_half(accepted: &[&SeatAnswer]) -> Vec<f64> {
    let mut spans: Vec<f64> = accepted[accepted.len() / 2..].iter().map(|answer| response_time(answer)).collect();
    spans.sort_unstable_by(f64::total_cmp);
    spans
}

/// One in ten is swifter.
fn swiftest(spans: &[f64]) -> Option<f64> {
    spans.get(spans.len() / 10).copied()
}

fn is_late(span: f64, leisure: Duration) -> bool {
    span > 2.0 * leisure.as_secs_f64() + CLEARLY_S
}

fn accepted(seen: &StepResult) -> Vec<&SeatAnswer> {
    seen.answers.iter().filter(|answer| matches!(answer.fate, SeatFate::Accepted { .. })).collect()
}

fn response_time(answer: &SeatAnswer) -> f64 {
    answer.at.saturating_sub(answer.planned).as_secs_f64()
}

/// The middle of a stretch, and its response time by `summary`.
fn level(part: &[&SeatAnswer], summary: fn(&[f64]) -> f64) -> (f64, f64) {
    let spans: Vec<f64> = part.iter().map(|answer| response_time(answer)).collect();
    let middle: Vec<f64> = part.iter().map(|answer| answer.planned.as_secs_f64()).collect();
    (mean(&middle), summary(&spans))
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

/// How a value goes with time.
#[derive(Clone, Copy, Debug)]
struct ProbeTrend {
    /// The median of the slopes between any two points.
    slope: f64,
    /// Pairs that rise less pairs that fall, as a share of all.
    agreement: f64,
    /// The lowest value.
    floor: f64,
}

impl ProbeTrend {
    fn of(points: &[(f64, f64)]) -> ProbeTrend {
        let mut slopes = Vec::new();
        let (mut rising, mut falling) = (0u32, 0u32);
        for (n, later) in points.iter().enumerate() {
            for earlier in &points[..n] {
                let rise = later.1 - earlier.1;
                rising += u32::from(rise > 0.0);
                falling += u32::from(rise < 0.0);
                slopes.push(rise / (later.0 - earlier.0).max(f64::MIN_POSITIVE));
            }
        }
        let agreement = (f64::from(rising) - f64::from(falling)) / slopes.len().max(1) as f64;
        let floor = points.iter().map(|point| point.1).fold(f64::INFINITY, f64::min);
        ProbeTrend { slope: median(&slopes), agreement, floor }
    }

    fn is_growth(&self, span: f64, slope: f64, least_rise: f64) -> bool {
        self.slope > slope && self.agreement >= AGREED && self.slope * span > least_rise.max(self.floor * 0.25)
    }
}

/// Answers per second, as the slope of their count over their times.
fn least_squares(ends: &[f64]) -> Option<f64> {
    let many = ends.len() as f64;
    let (at, count) = (ends.iter().sum::<f64>() / many, (many - 1.0) / 2.0);
    let (mut across, mut square) = (0.0, 0.0);
    for (n, end) in ends.iter().enumerate() {
        across += (end - at) * (n as f64 - count);
        square += (end - at) * (end - at);
    }
    (square > 0.0).then(|| across / square)
}

/// Without the last few that came long after all others: their packets were lost.
fn without_stragglers(ends: &[f64]) -> &[f64] {
    let few = floor_usize(ends.len() as f64 * 0.02).max(1);
    let tail = ends.len().saturating_sub(few).max(1);
    let gap = (tail..ends.len()).find(|&n| ends[n] - ends[n - 1] > STRAGGLES_S);
    &ends[..gap.unwrap_or(ends.len())]
}

/// Fewer accepted say nothing.
const LEAST: usize = 8;
/// Answers in a stretch, and how many stretches a probe is cut into.
const BLOCK: usize = 8;
const LEAST_BLOCKS: usize = 4;
const MOST_BLOCKS: usize = 16;
/// Growth of the typical response time in seconds each second that is more than chance: a fiftieth
/// more is offered than is carried.
const GROWTH: f64 = 0.02;
/// The same of its mean, which a few late answers move.
const MEAN_GROWTH: f64 = 0.03;
/// A rise that is less is none.
const LEAST_RISE_S: f64 = 0.005;
const MEAN_RISE_S: f64 = 0.05;
/// Of the pairs of stretches, three rise for each that falls.
const AGREED: f64 = 0.5;
/// The part of the time that an answer at leisure may take, for both ends to be sharp.
const SHARP: f64 = 0.01;
/// Waves that are left out until the queue is one, and fewer than which have no slope.
const LEAD_IN_WAVES: f64 = 2.0;
const LEAST_WAVES: f64 = 8.0;
const LEAST_SLOPE: usize = 100;
/// Longer than at leisure by this much is late.
const CLEARLY_S: f64 = 0.004;
/// How far from a multiple of T1 the answer to a repeated request may lie.
const BESIDE_T1_S: f64 = 0.03;
/// Half of T1.
const STRAGGLES_S: f64 = 0.25;

#[cfg(test)]
mod tests {
    use super::super::Seat;
    use super::*;

    /// `many` phones, the n-th planned at `planned(n)` and answered `took(n)` later, in seconds.
    fn probe(many: u32, planned: impl Fn(f64) -> f64, took: impl Fn(f64) -> f64) -> StepResult {
        let answer = |n: u32| {
            let (planned, took) = (planned(f64::from(n)), took(f64::from(n)));
            let (planned, at) = (Duration::from_secs_f64(planned), Duration::from_secs_f64(planned + took));
            SeatAnswer { seat: Seat(n), planned, at, fate: SeatFate::Accepted { listed: 1 }, steady: true }
        };
        StepResult { answers: (0..many).map(answer).collect(), ..StepResult::default() }
    }

    #[test]
    fn a_queue_grows_by_what_is_offered_too_much() {
        for (excess, grows) in [(1.0, false), (1.01, false), (1.04, true), (1.5, true), (4.0, true)] {
            // Carries 100/s.
            let rate = 100.0 * excess;
            let reading = read(&probe(400, |n| n / rate, |n| 0.01 + n * (0.01 - 1.0 / rate))).expect("enough");
            assert_eq!(reading.is_growing, grows, "{excess}: {reading:?}");
            assert!((reading.answered_per_s - 100.0).abs() < 1.0, "{excess}: {reading:?}");
        }
    }

    #[test]
    fn slow_jittery_stalled_or_lossy_is_no_growth() {
        let wobble = |n: f64| (n * 12.9898).sin().abs();
        let spans: [&dyn Fn(f64) -> f64; 5] = [
            &|_| 0.9,
            &|n| 0.05 + 0.4 * wobble(n),
            // Stands still for half a second once.
            &|n| 0.003 + if (120.0..170.0).contains(&n) { (170.0 - n) / 100.0 } else { 0.0 },
            // One in thirty is repeated.
            &|n| 0.003 + if n % 30.0 == 7.0 { 0.5 } else { 0.0 },
            &|n| 0.200 - 0.0002 * n,
        ];
        for (number, took) in spans.into_iter().enumerate() {
            let reading = read(&probe(300, |n| n / 100.0, took)).expect("enough");
            assert!(!reading.is_growing, "{number}: {reading:?}");
        }
    }

    #[test]
    fn one_server_of_four_that_falls_behind_is_growth() {
        let reading = read(&probe(800, |n| n / 200.0, |n| if n % 4.0 == 1.0 { n / 400.0 } else { 0.003 }));
        assert!(reading.expect("enough").is_growing);
    }

    #[test]
    fn what_is_carried_is_read_from_waves_and_from_short_probes() {
        // Twenty in a wave, ten waves a second, each within the first half of its tenth.
        let waves = |n: f64| (n / 20.0).floor() * 0.1 + (n % 20.0) * 0.0025 + 0.1;
        let long = probe(2_000, |n| n / 200.0, |n| waves(n) - n / 200.0 + 0.1);
        let lossy = StepResult { retransmitted: 3, ..long.clone() };
        let short = probe(60, |n| n / 400.0, |n| (n + 1.0) / 100.0 - n / 400.0);
        for (number, (seen, rate)) in [(long, 200.0), (lossy, 200.0), (short, 100.0)].into_iter().enumerate() {
            let found = carried(&seen, Duration::from_millis(5)).expect("enough");
            assert!((found.per_second / rate - 1.0).abs() < 0.03, "{number}: {found:?}");
        }
    }

    #[test]
    fn a_queue_holds_everybody_up_and_drops_only_some() {
        let (leisure, t1) = (Duration::from_millis(3), Duration::from_millis(500));
        let of = |took: &dyn Fn(f64) -> f64| lateness(&probe(200, |n| n / 100.0, took), leisure, t1);
        assert_eq!(of(&|n| 0.003 + n * 0.002), Lateness::Queue);
        assert_eq!(of(&|n| 0.003 + 0.5 * (n % 3.0)), Lateness::Repeats);
        assert_eq!(of(&|n| if n % 4.0 == 1.0 { n * 0.0017 } else { 0.003 }), Lateness::Mixed);
    }
}
