//! When a silence came: the stretches of time in which nobody was answered, what happened right
//! before them, and what they brought about.
//!
//! Read first: RFC 3261 §17.1.2.2. A request that nobody answers is repeated up to half a second
//! before Timer F. So a registrar stays silent for about another Timer F after the last request
//! that was given up: in a silence of one minute only requests sent in the first half are given up;
//! those sent later are answered in the end.

use super::view::{Tick, View};
use super::wording::{at, counted, window};
use std::ops::Range;

/// A stretch of time whose requests were given up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct SilentStretch {
    /// The first of them was sent.
    pub from_ns: u64,
    /// The last of them was sent.
    sent_until_ns: u64,
    /// The next answer to anybody; `None`: there was none any more.
    pub until_ns: Option<u64>,
    /// Attempts given up.
    silent: u64,
    /// Attempts that were answered meanwhile.
    pub answered: u64,
    /// There was an answer before it.
    after_answers: bool,
    /// Others were answered while these were still repeated.
    spared_others: bool,
}

/// The stretches that hold (nearly) all attempts that were given up; `None` when these are
/// scattered, or are everything there was.
pub(super) fn stretches(view: &View<'_>) -> Option<Vec<SilentStretch>> {
    let mut stretches: Vec<SilentStretch> = Vec::new();
    for tick in view.ticks.iter().filter(|tick| tick.silent > 0) {
        let sent = tick.start_ns.saturating_sub(view.timer_f_ns());
        match stretches.last_mut() {
            Some(last) if answered(view, last.inner(view, sent)) * 20 <= last.silent + tick.silent => {
                last.sent_until_ns = sent;
                last.silent += tick.silent;
            }
            _ => stretches.push(SilentStretch::at(sent, tick.silent)),
        }
    }
    for stretch in &mut stretches {
        stretch.look_around(view);
    }
    let all: u64 = stretches.iter().map(|stretch| stretch.silent).sum();
    stretches.retain(|stretch| stretch.is_telling());
    let told: u64 = stretches.iter().map(|stretch| stretch.silent).sum();
    let few = (1..=MOST_STRETCHES).contains(&stretches.len());
    (few && told * 20 >= all * 19).then_some(stretches)
}

impl SilentStretch {
    fn at(sent_ns: u64, silent: u64) -> SilentStretch {
        SilentStretch {
            from_ns: sent_ns,
            sent_until_ns: sent_ns,
            until_ns: None,
            silent,
            answered: 0,
            after_answers: false,
            spared_others: false,
        }
    }

    /// From its first request to `until_ns`, without the ticks at its edges: what was sent just
    /// before is answered in them, and what is sent just after.
    fn inner(&self, view: &View<'_>, until_ns: u64) -> Range<u64> {
        self.from_ns + view.tick_ns + 1..until_ns
    }

    fn look_around(&mut self, view: &View<'_>) {
        let last_sent = self.sent_until_ns;
        self.answered = answered(view, self.inner(view, last_sent + view.tick_ns));
        let before = view.ticks.iter().rev().find(|tick| tick.start_ns <= self.from_ns && tick.answered() > 0);
        self.after_answers = before.is_some();
        let first_after = view.ticks.iter().find(|tick| tick.start_ns > last_sent && tick.answered() > 0);
        self.until_ns = first_after.map(|tick| tick.start_ns);
        // Requests are repeated until shortly before Timer F, every T2 at the end.
        let timers = view.header().timers;
        let repeated_until = last_sent + view.timer_f_ns().saturating_sub(timers.t2_ns + view.tick_ns);
        self.spared_others = self.until_ns.is_some_and(|until| until < repeated_until);
        if !self.spared_others {
            // What waited in it and was answered at last was sent in it too.
            let last_answer = before.map_or(0, |tick| tick.start_ns);
            let waited = |tick: &&Tick| tick.unanswered > 0 && (last_answer..self.from_ns).contains(&tick.start_ns);
            self.from_ns = view.ticks.iter().find(waited).map_or(self.from_ns, |tick| tick.start_ns);
        }
    }

    /// A request or two that went lost make no stretch of time, unless nobody was answered any
    /// more, or yet.
    fn is_telling(&self) -> bool {
        let at_an_end = self.until_ns.is_none() || !self.after_answers;
        let enough = self.silent >= LEAST || (at_an_end && self.silent >= 2 && !self.spared_others);
        enough && self.answered * 20 <= self.silent && (self.after_answers || self.until_ns.is_some())
    }

    /// When nobody was answered, as far as it is known.
    fn end_ns(&self) -> Option<u64> {
        if self.spared_others { Some(self.sent_until_ns) } else { self.until_ns }
    }

    /// Its end, or that of the last tick in which something happened.
    pub(super) fn last_ns(&self, view: &View<'_>) -> u64 {
        let last = view.ticks.last().map_or(0, |tick| tick.start_ns + view.tick_ns);
        self.end_ns().unwrap_or(last)
    }
}

/// When it was, as the beginning of a sentence that ends with whom it hit.
pub(super) fn told(stretches: &[SilentStretch]) -> String {
    if let [only] = stretches {
        let (from, until) = (only.from_ns, only.sent_until_ns);
        return match only.until_ns {
            _ if only.spared_others => format!(
                "what is sent from {} of the run is never answered, though it is repeated while others are answered: \
                 requests",
                window(from, until)
            ),
            Some(until) if !only.after_answers => {
                format!("nothing is answered until {} of the run, which hits requests", at(until))
            }
            Some(until) => format!("nothing is answered from {} of the run, which hits requests", window(from, until)),
            None => format!("nothing is answered from {} of the run on, which hits requests", at(from)),
        };
    }
    let each = stretches.iter().map(|stretch| match stretch.end_ns() {
        Some(until) => window(stretch.from_ns, until),
        None => format!("{} on", at(stretch.from_ns)),
    });
    let times: Vec<String> = each.collect();
    format!("nothing is answered from {} of the run, which hits requests", times.join(" and from "))
}

/// What happened in the seconds before, and what came of it.
pub(super) fn around(view: &View<'_>, stretch: &SilentStretch) -> Vec<String> {
    let mut facts = Vec::new();
    let from = stretch.from_ns;
    let lately = from.saturating_sub(LATELY_NS);
    let started = |range: Range<u64>| sum(view, range, |tick| tick.started);
    let per_second = |count: u64, span: u64| count as f64 * 1e9 / span.max(1) as f64;
    let usual = per_second(started(0..lately), lately);
    if stretch.after_answers && lately > 0 {
        let now = per_second(started(lately..from), from - lately);
        let refused = sum(view, lately..from, |tick| tick.refused.values().map(|refused| refused.all()).sum());
        let load = if now > 2.0 * usual + 1.0 {
            format!("attempts had risen from {usual:.1} to {now:.1} a second")
        } else {
            format!("attempts came as before, {now:.1} a second")
        };
        let refusals = if refused > 0 { format!(", {refused} were refused") } else { String::new() };
        facts.push(format!("in the three seconds before it {load}{refusals}"));
    }
    let until = stretch.last_ns(view);
    let behind = until + AFTERWARDS_NS;
    let repeats = sum(view, from..until + view.tick_ns, |tick| tick.retransmitted);
    let mut brought = vec![format!("{} repeated", counted(repeats, "request"))];
    let level = |tick: &Tick| tick.level_after().min(tick.level);
    let held = view.ticks.iter().rev().find(|tick| tick.start_ns <= from).map_or(0, Tick::level_after);
    let during = view.ticks.iter().filter(|tick| (from..behind).contains(&tick.start_ns));
    let lost = held.saturating_sub(during.map(level).min().unwrap_or(held));
    if lost > 0 {
        brought.push(format!("{} ran out", counted(lost, "binding")));
    }
    if stretch.end_ns().is_some() {
        let seconds = (0..AFTERWARDS_NS / SECOND_NS).map(|n| until + n * SECOND_NS);
        let busiest = seconds.map(|second| started(second..second + SECOND_NS)).max().unwrap_or(0);
        if busiest as f64 > 2.0 * usual + 1.0 {
            brought.push(format!("{busiest} attempts in one second afterwards, where {usual:.1} had been usual"));
        }
    }
    facts.push(format!("because of it: {}", brought.join(", ")));
    facts
}

fn answered(view: &View<'_>, range: Range<u64>) -> u64 {
    sum(view, range, Tick::answered)
}

fn sum(view: &View<'_>, range: Range<u64>, of: impl Fn(&Tick) -> u64) -> u64 {
    let first = view.ticks.partition_point(|tick| tick.start_ns < range.start);
    view.ticks[first..].iter().take_while(|tick| tick.start_ns < range.end).map(of).sum()
}

const SECOND_NS: u64 = 1_000_000_000;
/// Right before it.
const LATELY_NS: u64 = 3 * SECOND_NS;
/// What comes within this time comes of it.
const AFTERWARDS_NS: u64 = 10 * SECOND_NS;
/// Attempts given up that make a stretch of time.
const LEAST: u64 = super::draft::SOME;
/// More are no stretches any more.
const MOST_STRETCHES: usize = 3;
