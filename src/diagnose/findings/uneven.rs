//! One kind of request that is answered late at some agents, or at everybody, while all else is
//! answered at once (`slow`): a queue would hold up whatever comes.

use super::draft::{Draft, MANY, SOME, confidence};
use super::rivals::Rival;
use super::view::View;
use super::wording::{counted, percent};
use crate::vocab::{Confidence, Phase, RequestFate, Severity, floor_u64};
use hdrhistogram::Histogram;

/// Late answers beside swift ones: to the kind of request that they are to, or to any.
pub(super) fn find(view: &View<'_>) -> Option<Draft> {
    let kinds = [
        (Phase::Challenge, "first requests are"),
        (Phase::Authenticated, "requests with credentials are"),
        (Phase::Refresh, "refreshes are"),
    ];
    let late = kinds.into_iter().filter_map(|(phase, what)| Some((Late::of(view, phase)?, what)));
    let (late, what) = late.reduce(|(one, _), (other, _)| (one.and(other), "requests are"))?;
    let mut draft = Draft::new("slow", Severity::Warning, Some(view.trunk));
    (draft.first_ns, draft.last_ns) = late.window_ns;
    draft.attempts = late.count;
    draft.agents = late.count.min(view.agents.len() as u64);
    draft.confidence = confidence(late.count, 0).min(Confidence::Medium);
    let (share, after) = (percent(late.count as f64, late.of as f64), late.typical_us as f64 / 1e6);
    let whom = whose(view, &late, &mut draft);
    draft.summary = match late.of - late.count {
        0 => format!("{what} answered late, after {after:.1} s as a rule, while others are answered at once"),
        _ => format!("{share} of the {what} answered late, after {after:.1} s as a rule, the others at once{whom}"),
    };
    draft.evidence.push(format!(
        "{} of {} took {:.0} ms or more, {:.0} ms the swiftest of them; the others {:.0} ms as a rule",
        late.count,
        late.of,
        SLOW_MS,
        late.least_us as f64 / 1e3,
        late.swift_us as f64 / 1e3
    ));
    draft
        .excludes(Rival::Overload, "overload: a queue would hold up whatever comes, and the rest was answered at once");
    draft.rejected.push(
        "packets lost by chance: the answers do not come right after a repeat, as they would to a copy that got through"
            .to_owned(),
    );
    draft.advice.push(
        "look for what the registrar waits for with these: a look-up of the account, a name, another site".to_owned(),
    );
    Some(draft)
}

/// Late answers of one phase beside swift ones.
struct Late {
    /// The first of them, where there are several.
    phase: Phase,
    /// Late ones, and all.
    count: u64,
    of: u64,
    /// The swiftest and the median of the late ones; the median of the others, of all phases where
    /// there are none.
    least_us: u64,
    typical_us: u64,
    swift_us: u64,
    window_ns: (u64, u64),
}

impl Late {
    /// Those of two phases together.
    fn and(self, other: Late) -> Late {
        let (most, least) = if self.count >= other.count { (&self, &other) } else { (&other, &self) };
        Late {
            phase: self.phase,
            count: self.count + other.count,
            of: self.of + other.of,
            least_us: self.least_us.min(other.least_us),
            typical_us: most.typical_us,
            swift_us: most.swift_us.max(least.swift_us),
            window_ns: (self.window_ns.0.min(other.window_ns.0), self.window_ns.1.max(other.window_ns.1)),
        }
    }

    fn of(view: &View<'_>, phase: Phase) -> Option<Late> {
        let totals = &view.results.trunk_totals[usize::from(view.trunk)];
        let histogram = |of: Phase| totals.latency_us.iter().find(|(other, _)| *other == of).map(|(_, all)| all);
        let all = histogram(phase)?;
        let bound = floor_u64(SLOW_MS * 1e3);
        let count = above(all, bound);
        if count < SOME || all.len() < MANY {
            return None;
        }
        let late: Vec<(u64, u64)> = values(all).filter(|(us, _)| *us >= bound).collect();
        let (least_us, typical_us) = (late.first()?.0, median(&late)?);
        let swift: Vec<(u64, u64)> = values(all).filter(|(us, _)| *us < bound).collect();
        let swift_us = if count == all.len() {
            // Everybody's: then it is held against the other kinds.
            let others = [Phase::Challenge, Phase::Authenticated, Phase::Refresh].into_iter().filter(|of| *of != phase);
            others.filter_map(histogram).filter(|all| all.len() >= SOME).map(|all| all.value_at_quantile(0.9)).min()?
        } else {
            median(&swift)?
        };
        let mixed = count * 2 < all.len() || count == all.len();
        // Between the two is next to nothing: one queue for all makes answers of every length.
        let between = values(all).filter(|(us, _)| *us >= bound / 4 && *us < typical_us / 2);
        let between: u64 = between.map(|(_, count)| count).sum();
        let apart = swift_us * 8 <= typical_us && swift_us < bound / 2 && between * 5 <= count;
        (mixed && apart && !by_repeats(view, &late, swift_us)).then_some(())?;
        let window_ns = at_all_times(view, phase, bound)?;
        Some(Late { phase, count, of: all.len(), least_us, typical_us, swift_us, window_ns })
    }
}

/// Whether the late answers are those to a copy that was sent again (RFC 3261 §17.1.2.2).
fn by_repeats(view: &View<'_>, late: &[(u64, u64)], swift_us: u64) -> bool {
    let (t1, t2) = (view.header().timers.t1_ns / 1_000, view.header().timers.t2_ns / 1_000);
    let mut sent = Vec::new();
    let (mut at, mut wait) = (t1, t1);
    while at < view.timer_f_ns() / 1_000 && wait > 0 {
        sent.push(at);
        wait = (wait * 2).min(t2.max(1));
        at += wait;
    }
    let slack = swift_us * 2 + 60_000;
    let fits = |us: u64| sent.iter().any(|sent| us + 5_000 >= *sent && us <= sent + slack);
    let (fit, all) = late.iter().fold((0, 0), |sum, (us, n)| (sum.0 + if fits(*us) { *n } else { 0 }, sum.1 + n));
    fit * 2 >= all
}

/// From when to when they came; `None` where in most of these intervals nearly everybody waited, as
/// in a time in which nobody is answered.
fn at_all_times(view: &View<'_>, phase: Phase, bound: u64) -> Option<(u64, u64)> {
    let totals = &view.results.trunk_totals[usize::from(view.trunk)];
    let everybody = totals.latency_us.iter().any(|(of, all)| *of == phase && all.min() >= bound);
    let rows = view.results.intervals.iter().flat_map(|interval| {
        let rows = interval.latency.iter().filter(|row| (row.trunk, row.phase) == (view.trunk, phase));
        rows.map(move |row| (interval.start_ns, interval.end_ns, row))
    });
    let hit: Vec<_> = rows.filter(|(.., row)| row.count > 0 && row.max_us >= bound).collect();
    let mixed = hit.iter().filter(|(.., row)| row.p50_us < bound).count();
    let span = (hit.first()?.0, hit.last()?.1);
    (everybody || (mixed * 2 > hit.len() && hit.len() >= 2)).then_some(span)
}

/// Whose late answers they are, as far as agents remember it: that of their first requests.
fn whose(view: &View<'_>, late: &Late, draft: &mut Draft) -> String {
    let of = |fate: RequestFate| view.agents.iter().filter(move |(_, agent)| agent.first_requests & fate.bit() != 0);
    let waited = of(RequestFate::Repeated).count() as u64;
    let both = of(RequestFate::Repeated).filter(|(_, agent)| agent.first_requests & RequestFate::AtOnce.bit() != 0);
    let both = both.count() as u64;
    // Agents remember what had to be repeated, so nothing is known of shorter waits.
    if late.phase != Phase::Challenge || waited == 0 || (late.typical_us as f64) < view.t1_ms() * 1e3 {
        return String::new();
    }
    draft.agents = waited;
    let all = view.agents.len();
    let often = late.count * 2 >= waited * 3;
    match (both * 20 <= waited, often) {
        (true, true) => format!(": {} of {all}, always the same ones", counted(waited, "agent")),
        (true, false) => format!(": {} of {all}, each at its only first request", counted(waited, "agent")),
        (false, _) => format!(": anybody's, {both} of the {waited} agents that waited were answered at once too"),
    }
}

fn values(all: &Histogram<u64>) -> impl Iterator<Item = (u64, u64)> {
    all.iter_recorded().map(|value| (value.value_iterated_to(), value.count_at_value()))
}

fn above(all: &Histogram<u64>, bound: u64) -> u64 {
    values(all).filter(|(us, _)| *us >= bound).map(|(_, count)| count).sum()
}

fn median(values: &[(u64, u64)]) -> Option<u64> {
    let all: u64 = values.iter().map(|(_, count)| count).sum();
    let mut seen = 0;
    values
        .iter()
        .find(|(_, count)| {
            seen += count;
            seen * 2 >= all
        })
        .map(|(us, _)| *us)
}

/// An answer that takes longer is felt: two of them make nearly half a second of a sign-in.
pub(super) const SLOW_MS: f64 = 200.0;
