//! What our agents met on a trunk in any stretch of time: from the intervals where they end at its
//! edges, else from the pulse, which is finer.

use super::SideCounts;
use crate::measure::evidence::{self, Beat};
use crate::record::{IntervalResult, Results};
use crate::vocab::{Class, Kind, Status, rounded};
use std::time::Duration;

/// What is counted of a tick.
const FAILED: usize = 0;
const REGISTERED: usize = 1;
const CHALLENGED: usize = 2;
const RETRANSMITTED: usize = 3;
const KINDS: usize = 4;

/// A trunk's counts over time.
#[derive(Clone, Debug)]
pub(super) struct OurSeries {
    /// Of the run, seconds since 1970.
    start_s: f64,
    end_s: f64,
    tick_s: f64,
    /// Sums up to each tick.
    sums: Vec<[f64; KINDS]>,
    /// Ends of intervals with the sums up to them.
    edges: Vec<(f64, [f64; KINDS])>,
}

/// How far times of ours and a platform's may be apart that mean the same: an answer is stamped
/// where it is sent, and stamps are whole seconds.
const STAMP_S: f64 = 1.0;

impl OurSeries {
    /// Of every trunk.
    pub(super) fn of(results: &Results) -> Vec<OurSeries> {
        let trunks = results.header.trunks.len();
        let tick = evidence::tick(Duration::from_nanos(results.header.interval_ns));
        (0..trunks).map(|trunk| OurSeries::of_trunk(results, trunk, tick.as_secs_f64())).collect()
    }

    fn of_trunk(results: &Results, trunk: usize, tick_s: f64) -> OurSeries {
        let start_s = results.header.started_unix_ns as f64 / 1e9;
        let end_ns = results.intervals.last().map_or(0, |interval| interval.end_ns);
        let run_s = end_ns as f64 / 1e9;
        let ticks = crate::vocab::floor_usize((run_s / tick_s).ceil()) + 1;
        let mut counts = vec![[0.0; KINDS]; ticks];
        let mut started = vec![0.0; ticks];
        for cell in results.evidence.pulse.iter().filter(|cell| usize::from(cell.trunk) == trunk) {
            let at = (cell.tick as usize).min(ticks - 1);
            let count = f64::from(cell.count);
            match Beat::from_index(cell.beat) {
                Some(Beat::Ended { class: Class::Registered, .. }) => counts[at][REGISTERED] += count,
                Some(Beat::Ended { class, .. }) if is_failed(class) => counts[at][FAILED] += count,
                Some(Beat::Retransmitted) => counts[at][RETRANSMITTED] += count,
                Some(Beat::Started) => started[at] += count,
                _ => {}
            }
        }
        let mut edges = vec![(start_s, [0.0; KINDS])];
        let mut sum = [0.0; KINDS];
        for interval in &results.intervals {
            let own = of_interval(interval, trunk);
            spread(&mut counts, &started, interval, tick_s, own[CHALLENGED]);
            sum = std::array::from_fn(|kind| sum[kind] + own[kind]);
            edges.push((start_s + interval.end_ns as f64 / 1e9, sum));
        }
        let mut total = [0.0; KINDS];
        let mut sums = vec![total];
        for tick in counts {
            total = std::array::from_fn(|kind| total[kind] + tick[kind]);
            sums.push(total);
        }
        OurSeries { start_s, end_s: start_s + run_s, tick_s, sums, edges }
    }

    /// Beginning and end, seconds since 1970.
    pub(super) fn span_s(&self) -> (f64, f64) {
        (self.start_s, self.end_s)
    }

    /// The counts from one time to another, seconds since 1970.
    pub(super) fn between(&self, from_s: f64, to_s: f64) -> SideCounts {
        let exact = self.edge(from_s).zip(self.edge(to_s));
        let at = exact.unwrap_or_else(|| (self.up_to(from_s), self.up_to(to_s)));
        let of = |kind: usize| rounded(at.1[kind] - at.0[kind]);
        let fuzz = self.tick_s.max(STAMP_S);
        let loose = |kind: usize| {
            let near = |edge: f64| self.up_to(edge + fuzz)[kind] - self.up_to(edge - fuzz)[kind];
            rounded(near(from_s) + near(to_s))
        };
        SideCounts {
            registered: of(REGISTERED),
            failed: of(FAILED),
            challenged: of(CHALLENGED),
            retransmitted: of(RETRANSMITTED),
            loose_registered: loose(REGISTERED),
            loose_failed: loose(FAILED),
        }
    }

    /// Failures in each second from the first whole one on, alone and with challenges.
    pub(super) fn failures_by_second(&self, with_challenges: bool) -> (i64, Vec<f64>) {
        let first = self.start_s.floor();
        let seconds = crate::vocab::floor_usize((self.end_s - first).ceil().max(0.0));
        let of = |sums: [f64; KINDS]| sums[FAILED] + if with_challenges { sums[CHALLENGED] } else { 0.0 };
        let upto: Vec<f64> = (0..=seconds).map(|second| of(self.up_to(first + second as f64))).collect();
        #[expect(clippy::cast_possible_truncation, reason = "seconds since 1970 fit")]
        let first = first as i64;
        (first, upto.windows(2).map(|pair| pair[1] - pair[0]).collect())
    }

    /// Sums up to an interval's edge, and before and behind the run.
    fn edge(&self, at_s: f64) -> Option<[f64; KINDS]> {
        if at_s <= self.start_s {
            return Some([0.0; KINDS]);
        }
        if at_s >= self.end_s {
            return self.edges.last().map(|(_, sums)| *sums);
        }
        let from = self.edges.partition_point(|(edge, _)| *edge < at_s - SAME_S);
        self.edges.get(from).filter(|(edge, _)| (edge - at_s).abs() <= SAME_S).map(|(_, sums)| *sums)
    }

    /// Sums up to any time, a part of a tick as that part of what it holds.
    fn up_to(&self, at_s: f64) -> [f64; KINDS] {
        let ticks = ((at_s - self.start_s) / self.tick_s).clamp(0.0, (self.sums.len() - 1) as f64);
        let whole = crate::vocab::floor_usize(ticks);
        let part = ticks - whole as f64;
        let (low, high) = (self.sums[whole], self.sums[(whole + 1).min(self.sums.len() - 1)]);
        std::array::from_fn(|kind| low[kind] + part * (high[kind] - low[kind]))
    }
}

/// Times that are the same but for rounding.
const SAME_S: f64 = 0.001;

/// Refused as a platform calls it: the statuses `authentication_failed` and
/// `registration_rejected`.
fn is_failed(class: Class) -> bool {
    use Class as C;
    matches!(
        class,
        C::Forbidden | C::ForbiddenAfterAuth | C::Unauthorized | C::Stale | C::NotFound | C::TooBrief | C::Refused
    )
}

fn of_interval(interval: &IntervalResult, trunk: usize) -> [f64; KINDS] {
    let Some(own) = interval.trunks.get(trunk) else { return [0.0; KINDS] };
    let status = |status: Status| own.status[status.index()];
    let attempts: u64 = [Kind::Initial, Kind::Refresh, Kind::Retry].map(|kind| own.started[kind.index()]).iter().sum();
    // Each attempt begins with a request, but for those that were shed; the others answer a
    // challenge.
    let challenged = (own.register_requests + status(Status::Shed)).saturating_sub(attempts);
    let failed = status(Status::AuthenticationFailed) + status(Status::RegistrationRejected);
    [failed as f64, status(Status::Registered) as f64, challenged as f64, own.retransmissions as f64]
}

/// Lays an interval's challenges where its attempts began.
fn spread(counts: &mut [[f64; KINDS]], started: &[f64], interval: &IntervalResult, tick_s: f64, challenged: f64) {
    let tick = |ns: u64| crate::vocab::floor_usize(ns as f64 / 1e9 / tick_s);
    let range = tick(interval.start_ns).min(counts.len())
        ..tick(interval.end_ns.saturating_sub(1)).saturating_add(1).min(counts.len());
    let all: f64 = started[range.clone()].iter().sum();
    let even = 1.0 / range.len().max(1) as f64;
    for at in range {
        counts[at][CHALLENGED] += challenged * if all > 0.0 { started[at] / all } else { even };
    }
}
