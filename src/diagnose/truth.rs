//! Servers' own counts held against ours: how far they may lie apart, and where they lie further.
//!
//! A count is of some moment between the question and the answer, and ours is known as the fewest
//! and the most about that moment (`record/truth.rs`). Fewer than our fewest are too few, whoever
//! else is there. Too many are more than our most, with those that were there before the first
//! phone, every attempt under way, which the server may have granted already, and what has lapsed
//! since the server's last sweep.

use crate::measure::Beat;
use crate::record::{IntervalResult, Results, TruthHeader, TruthSample};

/// One answer beside what we held.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TruthComparison {
    pub at_ns: u64,
    /// What the server held.
    pub count: u64,
    /// The fewest and the most of ours.
    pub ours: (u64, u64),
    /// The most it may hold; `None`: it is not known what it held before us.
    pub most: Option<u64>,
}

impl TruthComparison {
    /// Bindings of ours that it cannot hold.
    pub fn missing(&self) -> u64 {
        self.ours.0.saturating_sub(self.count)
    }

    /// Bindings beyond all that may be ours.
    pub fn surplus(&self) -> u64 {
        self.most.map_or(0, |most| self.count.saturating_sub(most))
    }
}

/// What one server said over a run.
#[derive(Clone, Debug)]
pub struct TruthAccount<'a> {
    pub server: &'a TruthHeader,
    pub samples: Vec<&'a TruthSample>,
    /// Of those, the answers that can be held against ours.
    pub compared: Vec<TruthComparison>,
}

impl TruthAccount<'_> {
    /// Answers with a count.
    pub fn known(&self) -> usize {
        self.samples.iter().filter(|sample| sample.count.is_some()).count()
    }

    /// The most it ever held.
    pub fn peak(&self) -> Option<u64> {
        self.samples.iter().filter_map(|sample| sample.count).max()
    }

    /// Whether it counts a trunk, by itself or with others.
    pub fn covers(&self, trunk: u16) -> bool {
        self.server.trunk.is_none_or(|own| own == trunk)
    }
}

/// Every server that was asked.
pub fn accounts(results: &Results) -> Vec<TruthAccount<'_>> {
    results.header.truths.iter().enumerate().map(|(n, server)| account(results, n, server)).collect()
}

fn account<'a>(results: &'a Results, n: usize, server: &'a TruthHeader) -> TruthAccount<'a> {
    let samples: Vec<&TruthSample> = results.truth.iter().filter(|sample| usize::from(sample.server) == n).collect();
    let lapses = Lapses::of(results, server);
    let compared = samples.iter().filter_map(|sample| compare(server, &lapses, sample)).collect();
    TruthAccount { server, samples, compared }
}

fn compare(server: &TruthHeader, lapses: &Lapses, sample: &TruthSample) -> Option<TruthComparison> {
    let (count, ours) = (sample.count?, sample.ours?);
    let may_linger = lapses.between(sample.asked_ns.saturating_sub(server.sweep_ns), sample.answered_ns());
    let most = server
        .before
        .map(|others| others.saturating_add(ours.most).saturating_add(ours.under_way).saturating_add(may_linger));
    Some(TruthComparison { at_ns: sample.asked_ns, count, ours: (ours.least, ours.most), most })
}

/// When bindings of ours ended, as sums.
struct Lapses {
    /// The start of a tick, and the bindings that had ended by its end.
    by_then: Vec<(u64, u64)>,
    tick_ns: u64,
}

impl Lapses {
    fn of(results: &Results, server: &TruthHeader) -> Lapses {
        let tick_ns = results.evidence_tick_ns();
        let counted = results.evidence.pulse.iter().filter(|cell| {
            server.trunk.is_none_or(|trunk| trunk == cell.trunk)
                && matches!(Beat::from_index(cell.beat), Some(Beat::Unbound))
        });
        let mut ended: Vec<(u64, u64)> = counted
            .map(|cell| (u64::from(cell.tick) * tick_ns, u64::from(cell.count) * server.bindings_each.max(1)))
            .collect();
        ended.sort_unstable();
        let mut sum = 0;
        for (_, count) in &mut ended {
            sum += *count;
            *count = sum;
        }
        Lapses { by_then: ended, tick_ns }
    }

    /// Bindings that ended in a span, or in the tick before it or after it.
    fn between(&self, from_ns: u64, until_ns: u64) -> u64 {
        let before = |ns: u64| {
            let ticks = self.by_then.partition_point(|(start, _)| *start < ns);
            ticks.checked_sub(1).map_or(0, |last| self.by_then[last].1)
        };
        before(until_ns.saturating_add(self.tick_ns * 2)) - before(from_ns.saturating_sub(self.tick_ns * 2))
    }
}

/// What a server that counts this trunk alone held last in an interval.
pub fn held_in(results: &Results, trunk: usize, interval: &IntervalResult) -> Option<u64> {
    let counts_it = |sample: &&TruthSample| {
        let server = results.header.truths.get(usize::from(sample.server));
        server.and_then(|server| server.trunk).is_some_and(|own| usize::from(own) == trunk)
    };
    let inside = |sample: &&TruthSample| {
        let at = sample.answered_ns();
        at > interval.start_ns && at <= interval.end_ns
    };
    // A run of a day has as many samples as seconds: they are in the order of their time, but for
    // those of different servers.
    let near = results.truth.partition_point(|sample| sample.answered_ns() + NEAR_NS <= interval.start_ns);
    let near = results.truth[near..].iter().take_while(|sample| sample.asked_ns <= interval.end_ns + NEAR_NS);
    near.filter(counts_it).filter(inside).filter_map(|sample| sample.count).last()
}

/// How far samples of different servers may be out of order: longer than an answer is waited for.
const NEAR_NS: u64 = 10_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::OurBindings;

    fn sample(at_s: u64, count: Option<u64>, ours: u64) -> TruthSample {
        TruthSample {
            asked_ns: at_s * 1_000_000_000,
            took_ns: 1_000_000,
            count,
            ours: Some(OurBindings { least: ours, most: ours + 2, under_way: 1 }),
            ..TruthSample::default()
        }
    }

    fn lapses(by_then: &[(u64, u64)]) -> Lapses {
        let seconds = by_then.iter().map(|(s, sum)| (s * 1_000_000_000, *sum)).collect();
        Lapses { by_then: seconds, tick_ns: 100_000_000 }
    }

    #[test]
    fn fewer_than_ours_are_missing_whoever_else_is_there() {
        let server = TruthHeader { before: Some(10), ..TruthHeader::default() };
        let at = |count| compare(&server, &lapses(&[]), &sample(5, Some(count), 100)).expect("a comparison");
        assert_eq!((at(90).missing(), at(90).surplus()), (10, 0));
        assert_eq!((at(100).missing(), at(113).surplus()), (0, 0));
        assert_eq!((at(114).missing(), at(114).surplus()), (0, 1));
        assert_eq!(compare(&server, &lapses(&[]), &sample(5, None, 100)), None);
    }

    #[test]
    fn what_lapsed_since_the_last_sweep_may_linger() {
        let server = TruthHeader { before: Some(0), sweep_ns: 10_000_000_000, ..TruthHeader::default() };
        let lapses = lapses(&[(1, 5), (20, 12), (40, 40)]);
        let surplus = |at| compare(&server, &lapses, &sample(at, Some(20), 0)).expect("a comparison").surplus();
        // Two of ours, one under way, and what ended in the last ten seconds.
        assert_eq!((surplus(9), surplus(15), surplus(25)), (20 - 3 - 5, 20 - 3, 20 - 3 - 7));
    }

    #[test]
    fn what_was_there_before_must_be_known_to_call_anything_too_much() {
        let server = TruthHeader::default();
        let compared = compare(&server, &lapses(&[]), &sample(5, Some(500), 1)).expect("a comparison");
        assert_eq!((compared.most, compared.surplus()), (None, 0));
    }
}
