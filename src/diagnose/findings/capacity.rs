//! Overload: the registrar is asked for more than it can carry. It answers as fast as it can. The
//! queue grows from second to second, and so does the time that each answer takes.
//!
//! What happens then looks like other troubles: phones repeat requests that were not lost, give up
//! on requests that were not dropped, and the repeats take part of the capacity. So this is looked
//! for first.
//!
//! What tells a queue from its rivals is the fastest answer. Where packets are lost, or a rate
//! limiter drops the excess, whatever does get through is answered at once. Behind a queue nothing
//! is swift any more: everybody waits for those before. A registrar that stands still answers
//! nobody in the meantime; one that is merely slow does not get slower as long as the load stays as
//! it is.

use super::draft::{Draft, MANY, confidence, is_near};
use super::rivals::Rival;
use super::view::View;
use super::wording::{at, counted, window};
use crate::record::IntervalResult;
use crate::vocab::{Class, Confidence, Phase, Severity, Status, T1_MS, median};

/// One second of a trunk.
#[derive(Clone, Copy, Debug, Default)]
struct LoadSecond {
    /// Attempts begun.
    offered: u64,
    /// Attempts that got their final answer, whatever it was.
    answered: u64,
    /// Of those: within T1 of the first request.
    swift: u64,
    /// Attempts given up without an answer.
    silent: u64,
    /// Attempts open at the second's end.
    waiting: u64,
    retransmitted: u64,
}

/// A stretch in which nothing was swift.
#[derive(Clone, Copy, Debug)]
struct Jam {
    first: usize,
    last: usize,
}

/// Overload of a trunk's registrar, if that is what the answers show, and what it carries per
/// second.
pub(super) fn overload(view: &View<'_>) -> Option<(Draft, f64)> {
    // What our own ceiling holds back waits on this side.
    if view.results.trunk_totals[usize::from(view.trunk)].sums.ceiling_refused > 0 {
        return None;
    }
    let seconds = seconds(view);
    let jam = jam(&seconds)?;
    let inside = &seconds[jam.first..=jam.last];
    let rate = RateCarried::of(&seconds, jam);
    let before = &seconds[..jam.first];
    // It has answered at once, and so is not slow by nature.
    let swift_before: u64 = before.iter().map(|second| second.swift).sum();
    let after = &seconds[jam.last + 1..];
    let (swift_after, answered_after) = after.iter().fold((0, 0), |sum, s| (sum.0 + s.swift, sum.1 + s.answered));
    if swift_before == 0 && swift_after == 0 && !answers_at_once(view) {
        return None;
    }
    let queue = inside.iter().map(|second| second.waiting).max().unwrap_or(0);
    // So much had to wait that the last in the queue waits for longer than T1 by a good margin.
    if (queue as f64) < rate.mean * LEAST_WAIT_S {
        return None;
    }
    let offered = RequestsOffered::of(&seconds, jam, &rate);
    let carried = QueueRate::of(view, &seconds, (offered.from, jam.last), &rate);
    // Answers come in bursts behind a queue of first requests: what counts is their mean.
    let answered: u64 = inside.iter().map(|second| second.answered).sum();
    if offered.per_second < MORE * answered as f64 / inside.len() as f64 {
        return None;
    }
    // Whoever can answer more than it was ever asked for, and did so at once at another time, has
    // no queue for that.
    let at_once = best(before, STEADY_S, |second| second.swift).max(best(after, STEADY_S, |second| second.swift));
    if offered.most < rate.mean && at_once >= 0.8 * offered.per_second {
        return None;
    }
    let recovered = swift_after * 2 > answered_after && answered_after > 0;
    let edge = is_near(offered.per_second, MORE * answered as f64 / inside.len() as f64);
    let mut draft = draft(view, &seconds, jam, (&rate, carried), &offered, queue, recovered);
    if edge {
        draft.confidence = draft.confidence.min(Confidence::Medium);
    }
    if let Some(ms) = answers_to_credentials_ms(view, jam).filter(|ms| *ms < view.t1_ms()) {
        // A queue would hold up every request.
        draft.confidence = Confidence::Open;
        draft.evidence.push(format!(
            "yet requests with credentials were answered within {ms:.0} ms meanwhile: first requests alone may be held back, or dropped above a rate"
        ));
        draft.rejected.clear();
    }
    Some((draft, carried.per_second))
}

/// Whether a single request was ever answered within T1, if not a whole attempt.
fn answers_at_once(view: &View<'_>) -> bool {
    let totals = &view.results.trunk_totals[usize::from(view.trunk)];
    let challenges = totals.latency_us.iter().find(|(phase, _)| *phase == Phase::Challenge);
    challenges.is_some_and(|(_, histogram)| !histogram.is_empty() && (histogram.min() as f64) < view.t1_ms() * 1e3)
}

/// The median time to the answer to credentials while the queue was there, milliseconds.
fn answers_to_credentials_ms(view: &View<'_>, jam: Jam) -> Option<f64> {
    let (from, to) = (nanos(jam.first), nanos(jam.last + 1));
    let inside = view.results.intervals.iter().filter(|interval| interval.start_ns < to && interval.end_ns > from);
    let rows = inside.flat_map(|interval| &interval.latency);
    let rows = rows.filter(|row| (row.trunk, row.phase) == (view.trunk, Phase::Authenticated) && row.count > 0);
    let medians: Vec<f64> = rows.map(|row| row.p50_us as f64 / 1e3).collect();
    (!medians.is_empty()).then(|| median(&medians))
}

/// How much was asked for while the queue grew.
#[derive(Clone, Copy, Debug)]
struct RequestsOffered {
    per_second: f64,
    /// In the most busy five seconds in a row.
    most: f64,
    /// The second in which it first exceeded what is carried.
    from: usize,
}

impl RequestsOffered {
    /// From the second before nothing was swift any more, up to where the queue was longest.
    fn of(seconds: &[LoadSecond], jam: Jam, rate: &RateCarried) -> RequestsOffered {
        // Nothing may have been answered for good while the queue filled up: it began where it was
        // last next to empty.
        let waits = |n: usize| seconds[n].waiting as f64 > 0.5 * rate.steady;
        let from = (1..jam.first).rev().take_while(|&n| waits(n)).last().unwrap_or(jam.first).saturating_sub(1);
        let peak = (from..=jam.last).max_by_key(|&n| (seconds[n].waiting, usize::MAX - n)).unwrap_or(jam.last);
        let grows = &seconds[from..=peak];
        // The queue goes on being long when nobody comes any more: seconds without an arrival ask
        // for nothing.
        let asking: Vec<u64> = grows.iter().map(|second| second.offered).filter(|offered| *offered > 0).collect();
        let most = best(grows, STEADY_S, |second| second.offered);
        RequestsOffered { per_second: asking.iter().sum::<u64>() as f64 / asking.len().max(1) as f64, most, from }
    }
}

/// What a registrar under more load than it can bear answers per second.
#[derive(Clone, Copy, Debug)]
struct RateCarried {
    /// In the best five seconds in a row; in the best [`BEST_S`] where repeats soon took part of
    /// it.
    mean: f64,
    /// In the best five seconds.
    steady: f64,
    /// What is left of it once phones repeat their requests, when that is clearly less.
    later: Option<f64>,
}

impl RateCarried {
    fn of(seconds: &[LoadSecond], jam: Jam) -> RateCarried {
        let until = &seconds[..=jam.last];
        let steady = best(until, STEADY_S, |second| second.answered);
        let inside = &until[jam.first..];
        let repeats = inside.iter().position(|second| second.retransmitted > second.answered).unwrap_or(inside.len());
        let rest = &inside[repeats..];
        // Repeats take their part of the capacity.
        let later = rest.iter().map(|second| second.answered).sum::<u64>() as f64 / rest.len().max(1) as f64;
        let collapses = rest.len() >= 3 && later < 0.85 * steady;
        let together = if collapses { BEST_S } else { STEADY_S };
        let mean = best(until, together, |second| second.answered);
        RateCarried { mean, steady, later: Some(later).filter(|_| collapses) }
    }
}

/// What a registrar carries, as well as it is known.
#[derive(Clone, Copy, Debug)]
struct QueueRate {
    per_second: f64,
    uncertainty: f64,
    /// Registrations that came of it in its best seconds.
    different: f64,
    /// Whole intervals it was read from; 0: from the best seconds.
    intervals: usize,
}

/// Where no more than this share of the answers can have been those of different agents, both rates
/// are told.
const WIDE: f64 = 0.65;

impl QueueRate {
    /// Whoever has a queue is never idle: all that it answers, to repeats too, is what it can do.
    /// The best seconds are a poorer measure, because answers come in bursts behind a queue of
    /// first requests; they stand in where no interval lies within the queue.
    fn of(view: &View<'_>, seconds: &[LoadSecond], (from, last): (usize, usize), rate: &RateCarried) -> QueueRate {
        let within = |interval: &&IntervalResult| interval.start_ns > nanos(from) && interval.end_ns <= nanos(last + 1);
        let per_registration = requests_each(view, seconds);
        let answers: Vec<f64> = view
            .results
            .intervals
            .iter()
            .filter(within)
            .map(|interval| {
                let received =
                    interval.trunks.get(usize::from(view.trunk)).map_or(0, |trunk| trunk.messages_received) as f64;
                received / ((interval.end_ns - interval.start_ns) as f64 / 1e9) / per_registration
            })
            .collect();
        let queue = &seconds[from..=last];
        let answered = queue.iter().map(|second| second.answered).sum::<u64>() as f64;
        let (per_second, spread, over_s) = if answers.is_empty() {
            // Repeats took a part that nobody counted: it is no less than the mean.
            (rate.mean, (rate.mean - answered / queue.len() as f64).abs(), BEST_S as f64)
        } else {
            let middle = median(&answers);
            let spread = answers.iter().map(|one| (one - middle).abs()).fold(0.0, f64::max);
            (middle, spread, (last + 1 - from) as f64)
        };
        // Two standard errors of a count that varies as its square root, as chance has it.
        let chance = 2.0 * (per_second / over_s).sqrt();
        let different = rate.mean.min(per_second);
        QueueRate { per_second, uncertainty: spread.max(chance).max(0.5), different, intervals: answers.len() }
    }

    /// Much of what it answered were repeats. Where a first request costs it next to nothing, and
    /// credentials nearly all, those it answered again were cheap, and it carries less than that.
    fn is_wide(&self) -> bool {
        self.different < WIDE * self.per_second
    }

    /// The rate that it surely carries.
    fn least(&self) -> f64 {
        if self.is_wide() { self.different } else { self.per_second }
    }

    fn in_words(&self) -> String {
        let QueueRate { per_second, different, .. } = self;
        if self.is_wide() {
            return format!("between {different:.0} and {per_second:.0}");
        }
        format!("about {per_second:.0}")
    }

    fn told(&self) -> String {
        let QueueRate { per_second, uncertainty, different, intervals } = self;
        let from = match intervals {
            0 => "in its best seconds".to_owned(),
            n => format!("by all that it answered in {} of the queue", counted(*n as u64, "interval")),
        };
        let answered = format!("answered {per_second:.0} ± {uncertainty:.0} a second, {from}");
        if self.is_wide() {
            return format!(
                "{answered}, repeats with them; {different:.0} agents registered in its best seconds: which it carries \
                 depends on what a repeat costs it"
            );
        }
        answered
    }
}

/// Requests of a registration: two where it is challenged.
fn requests_each(view: &View<'_>, seconds: &[LoadSecond]) -> f64 {
    let totals = &view.results.trunk_totals[usize::from(view.trunk)];
    let answered: u64 = seconds.iter().map(|second| second.answered).sum();
    let challenges = totals.latency_us.iter().find(|(phase, _)| *phase == Phase::Challenge);
    let challenges = challenges.map_or(0, |(_, all)| all.len()).min(answered);
    1.0 + challenges as f64 / answered.max(1) as f64
}

/// The highest mean over so many seconds in a row.
fn best(seconds: &[LoadSecond], together: usize, of: fn(&LoadSecond) -> u64) -> f64 {
    let together = together.min(seconds.len()).max(1);
    let sums = seconds.windows(together).map(|part| part.iter().map(of).sum::<u64>());
    sums.max().unwrap_or(0) as f64 / together as f64
}

fn draft(
    view: &View<'_>,
    seconds: &[LoadSecond],
    jam: Jam,
    (rate, carried): (&RateCarried, QueueRate),
    offered: &RequestsOffered,
    queue: u64,
    recovered: bool,
) -> Draft {
    let mut draft = Draft::new("overload", Severity::Warning, Some(view.trunk));
    let lost = lost(seconds, offered.from, jam.last).min(view.count(Class::Silence));
    let answered: u64 = seconds[jam.first..=jam.last].iter().map(|second| second.answered).sum();
    draft.attempts = answered + lost;
    draft.agents = view.agents.len() as u64;
    let out = view.agents.iter().filter(|(_, agent)| agent.status != Some(Status::Registered)).count();
    if lost > 0 && out * 100 >= view.agents.len() {
        draft.severity = Severity::Critical;
    }
    (draft.first_ns, draft.last_ns) = (nanos(offered.from), nanos(jam.last + 1));
    draft.confidence =
        if recovered { confidence(answered, 0) } else { confidence(answered, 0).min(Confidence::Medium) };
    let asked = if offered.per_second > carried.per_second {
        format!("was asked for {:.0}", offered.per_second)
    } else {
        format!("was asked for up to {:.0}", offered.most)
    };
    draft.summary = format!(
        "the registrar carries {} registrations a second and {asked}: what it could not answer waited",
        carried.in_words()
    );
    draft.evidence = vec![
        carried.told(),
        format!("from {} on the queue grew, to {} attempts that waited at once", at(draft.first_ns), queue),
        format!("at most one answer in twenty came within {T1_MS} ms {}", window(nanos(jam.first), draft.last_ns)),
    ];
    draft.evidence.push(drained(seconds, jam, (rate.steady, carried.per_second)));
    if let Some(later) = rate.later {
        draft.evidence.push(format!("once phones repeated their requests it answered {later:.0} attempts a second"));
    }
    let repeats: u64 = seconds.iter().map(|second| second.retransmitted).sum();
    draft.evidence.push(format!(
        "because of it: {} repeated, {} given up",
        counted(repeats, "request"),
        counted(lost, "attempt")
    ));
    draft.excludes_all(
        &[Rival::PacketLoss, Rival::Dropped],
        "packet loss, or a rate limiter that drops the excess: what got through would have been answered at once, and nothing was",
    );
    draft.excludes(Rival::Slow, "a registrar that stood still: it went on answering, second by second");
    draft.excludes(
        Rival::SlowWithBindings,
        if recovered {
            "a registrar that is slow by nature or with its bindings: once less was asked it answered at once again"
        } else {
            "a registrar that is slow with its bindings: that would wait for nobody, and the number that waited grew"
        },
    );
    if !recovered {
        draft.evidence.push("no time with less load followed: whether it then answers at once was not seen".to_owned());
    }
    draft
        .advice
        .push(format!("keep arrivals below {:.0}/s, or give the registrar more capacity", carried.least() * 0.9));
    draft.advice.push("run `regstorm limits` for the rate it bears over a longer time".to_owned());
    draft
}

/// Attempts that timed out because of the queue: begun while it was there, ended up to Timer F
/// later.
fn lost(seconds: &[LoadSecond], from: usize, last: usize) -> u64 {
    let end = seconds.len().min(last + TIMER_F_S + 2);
    seconds[from.min(end)..end].iter().map(|second| second.silent).sum()
}

/// How long the queue takes to drain, and when it had.
fn drained(seconds: &[LoadSecond], jam: Jam, (steady, carried): (f64, f64)) -> String {
    let peak = (jam.first..=jam.last).max_by_key(|&n| (seconds[n].waiting, usize::MAX - n)).unwrap_or(jam.last);
    let takes = seconds[peak].waiting as f64 / carried.max(f64::MIN_POSITIVE);
    let empty = (peak..seconds.len()).find(|&n| seconds[n].waiting as f64 <= 0.5 * steady);
    match empty {
        Some(end) => format!(
            "at its longest, at {}, the queue takes {takes:.0} s to drain with nobody else coming; it was gone {} s later",
            at(nanos(peak)),
            end - peak
        ),
        None => format!(
            "at its longest, at {}, the queue takes {takes:.0} s to drain with nobody else coming; it was not gone at the end",
            at(nanos(peak))
        ),
    }
}

fn nanos(second: usize) -> u64 {
    second as u64 * SECOND_NS
}

/// The trunk second by second.
fn seconds(view: &View<'_>) -> Vec<LoadSecond> {
    let last = view.ticks.last().map_or(0, |tick| tick.start_ns / SECOND_NS);
    let mut seconds = vec![LoadSecond::default(); usize::try_from(last.min(MOST_SECONDS)).unwrap_or(0) + 1];
    let mut ended = vec![0u64; seconds.len()];
    for tick in &view.ticks {
        let number = usize::try_from(tick.start_ns / SECOND_NS).unwrap_or(usize::MAX);
        let Some(second) = seconds.get_mut(number) else { continue };
        second.offered += tick.started;
        second.answered += tick.answered();
        second.swift += tick.swift;
        second.retransmitted += tick.retransmitted;
        second.silent += tick.silent;
        ended[number] += tick.answered() + tick.silent;
    }
    let mut open = 0u64;
    for (second, ended) in seconds.iter_mut().zip(ended) {
        open = (open + second.offered).saturating_sub(ended);
        second.waiting = open;
    }
    seconds
}

/// The stretch with the most answers in which nothing was swift.
fn jam(seconds: &[LoadSecond]) -> Option<Jam> {
    let mut best: Option<(u64, Jam)> = None;
    let mut current: Option<(u64, Jam)> = None;
    for (n, second) in seconds.iter().enumerate() {
        if second.answered == 0 {
            // A registrar at its limit does not pause: a longer gap ends the stretch.
            current = current.filter(|(_, jam)| n - jam.last <= LONGEST_GAP);
            continue;
        }
        let jammed = second.swift * 20 <= second.answered && second.answered >= 1;
        current = match (jammed, current) {
            (false, _) => None,
            (true, Some((answers, jam))) => Some((answers + second.answered, Jam { last: n, ..jam })),
            (true, None) => Some((second.answered, Jam { first: n, last: n })),
        };
        if current.is_some_and(|(answers, _)| best.is_none_or(|(most, _)| answers > most)) {
            best = current;
        }
    }
    best.filter(|(answers, jam)| *answers >= MANY && jam.last - jam.first + 1 >= LEAST_SECONDS).map(|(_, jam)| jam)
}

/// RFC 3261 §17.1.2.2: after so many seconds an attempt is given up.
const TIMER_F_S: usize = 32;
const SECOND_NS: u64 = 1_000_000_000;
/// A longer run shows it early.
const MOST_SECONDS: u64 = 100_000;
/// A jam that is over sooner is a hiccup.
const LEAST_SECONDS: usize = 3;
/// Seconds whose answers show what the registrar carries.
const BEST_S: usize = 2;
const STEADY_S: usize = 5;
/// Seconds without an answer within a jam.
const LONGEST_GAP: usize = 2;
/// What is asked for over what is carried while the queue grows.
const MORE: f64 = 1.15;
/// How long the last in the queue waits, at least.
const LEAST_WAIT_S: f64 = 1.0;
