//! A limit on the rate: however many ask, so many per second are accepted, and nobody is refused
//! while fewer ask.

use super::super::view::{Group, View};
use super::ForAgainst;
use crate::vocab::floor_u64;

/// A steady number accepted per second under a demand that exceeds it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct RateCap {
    /// Phones came in bursts: what is said of a second here is said of a burst.
    pub at_once: bool,
    pub per_second: f64,
    /// Accepted beyond that before the first refusal.
    pub burst: u64,
    /// Refusals in seconds of more demand than the rate, and in seconds of clearly less.
    pub tally: ForAgainst,
    /// Seconds of refusals in which about the rate was accepted, and all of them.
    pub steady: (u64, u64),
    /// How the numbers accepted scatter, against what chance would make of them (1: as chance does,
    /// 0: not at all).
    pub scatter: f64,
    /// The least and the most asked for in one second, over the seconds with refusals.
    pub demand_range: (u64, u64),
}

impl RateCap {
    /// Whether the numbers accepted vary so little that chance does not explain it. Less scatter
    /// than chance would give proves something only over enough seconds.
    pub(crate) fn beats_chance(&self) -> bool {
        (1.0 - self.scatter) * (self.steady.1 as f64 / 2.0).sqrt() >= SURE
    }
}

/// What was asked and accepted in one second.
#[derive(Clone, Copy, Debug, Default)]
struct AskedSecond {
    accepted: u64,
    refused: u64,
}

impl AskedSecond {
    fn demand(self) -> u64 {
        self.accepted + self.refused
    }
}

/// Whether `group` looks like a limit on the rate; `None` with fewer than five seconds of refusals,
/// unless phones came in bursts.
pub(crate) fn rate_cap(view: &View<'_>, group: &Group<'_>) -> Option<RateCap> {
    // A registrar that counts by the second has seconds of its own, and it may count refreshes or
    // let them pass: those seconds are looked for in which the numbers differ least.
    let shifts = (0..SECOND).step_by(view.tick_ns.min(SECOND) as usize);
    let ways = shifts.flat_map(|shift| [(shift, false), (shift, true)]);
    let aligned = ways.filter_map(|(shift, refreshes)| {
        let seconds = seconds(view, group, shift, refreshes);
        let refusing = inner(&seconds);
        (refusing.len() >= LEAST_SECONDS).then(|| (scatter(&refusing), seconds, refusing))
    });
    let Some((scatter, seconds, refusing)) = aligned.min_by(|(a, ..), (b, ..)| a.total_cmp(b)) else {
        return of_bursts(view, group);
    };
    let mut accepted: Vec<u64> = refusing.iter().map(|second| second.accepted).collect();
    accepted.sort_unstable();
    let per_second = middle_mean(&accepted);
    if per_second < 0.5 {
        return None;
    }
    let steady = steady(&accepted, per_second);
    let mut tally = ForAgainst::default();
    for (n, second) in seconds.iter().enumerate().filter(|(_, second)| second.refused > 0) {
        // What a registrar refuses at the end of its second may stand in ours after all that it
        // accepted.
        let near = &seconds[n.saturating_sub(1)..(n + 2).min(seconds.len())];
        let demand = near.windows(2).map(|pair| pair[0].demand() + pair[1].demand()).max().unwrap_or(second.demand());
        *if demand as f64 >= 0.8 * per_second { &mut tally.pro } else { &mut tally.against } += second.refused;
    }
    let demands = refusing.iter().map(|second| second.demand());
    let first = seconds.iter().position(|second| second.refused > 0)?;
    Some(RateCap {
        at_once: false,
        per_second,
        burst: burst(&seconds[..=first], per_second),
        tally,
        steady: (steady, accepted.len() as u64),
        scatter,
        demand_range: (demands.clone().min()?, demands.max()?),
    })
}

/// The same where phones ask in bursts, as after an outage: so many of each burst are accepted,
/// however many ask. How fast the allowance comes back between two of them cannot be seen.
fn of_bursts(view: &View<'_>, group: &Group<'_>) -> Option<RateCap> {
    let mut bursts: Vec<AskedSecond> = Vec::new();
    let mut quiet = true;
    for second in seconds(view, group, 0, false) {
        let goes_on = !std::mem::replace(&mut quiet, second.demand() == 0);
        match bursts.last_mut() {
            Some(burst) if goes_on && !quiet => {
                burst.accepted += second.accepted;
                burst.refused += second.refused;
            }
            _ if !quiet => bursts.push(second),
            _ => {}
        }
    }
    let refusing: Vec<AskedSecond> = bursts.into_iter().filter(|burst| burst.refused > 0).collect();
    if refusing.len() < LEAST_SECONDS {
        return None;
    }
    let mut accepted: Vec<u64> = refusing.iter().map(|burst| burst.accepted).collect();
    accepted.sort_unstable();
    let per_second = middle_mean(&accepted);
    let demands = refusing.iter().map(|burst| burst.demand());
    let demand_range = (demands.clone().min()?, demands.max()?);
    // A share of each burst would look the same where all are as large.
    let varied = demand_range.1 as f64 >= TWICE * demand_range.0 as f64;
    let tally = refusing.iter().fold(ForAgainst::default(), |mut tally, burst| {
        *if burst.demand() as f64 >= 0.8 * per_second { &mut tally.pro } else { &mut tally.against } += burst.refused;
        tally
    });
    let cap = RateCap {
        at_once: true,
        per_second,
        burst: floor_u64((refusing[0].accepted as f64 - per_second).max(0.0).round()),
        tally,
        steady: (steady(&accepted, per_second), accepted.len() as u64),
        scatter: scatter(&refusing),
        demand_range,
    };
    (varied && per_second >= LEAST_OF_A_BURST).then_some(cap)
}

/// How many of the numbers accepted are about the same. A registration sent in one second may be
/// answered in the next, so allow 15 % to either side, and at least two.
fn steady(accepted: &[u64], per_second: f64) -> u64 {
    let slack = (per_second * 0.15).max(2.0);
    accepted.iter().filter(|count| (**count as f64 - per_second).abs() <= slack).count() as u64
}

/// The demand in whole seconds that begin `shift_ns` before those of the run, gaps included; with
/// refreshes that were accepted or without them.
fn seconds(view: &View<'_>, group: &Group<'_>, shift_ns: u64, refreshes: bool) -> Vec<AskedSecond> {
    let mut seconds: Vec<AskedSecond> = Vec::new();
    let last = view.ticks.last().map_or(0, |tick| (tick.start_ns + shift_ns) / SECOND);
    // A rate is looked for over a day at most; a longer run shows it early.
    seconds.resize(usize::try_from(last.min(MOST_SECONDS) + 1).unwrap_or(usize::MAX), AskedSecond::default());
    for tick in &view.ticks {
        if let Some(second) = seconds.get_mut(((tick.start_ns + shift_ns) / SECOND) as usize) {
            second.accepted += if refreshes { tick.accepted() } else { tick.registered };
            second.refused += tick.of(group.key);
        }
    }
    seconds
}

/// Seconds of refusals that have such seconds to both sides: at the borders the demand did not last
/// for all of them.
fn inner(seconds: &[AskedSecond]) -> Vec<AskedSecond> {
    let refusing = |n: usize| seconds.get(n).is_some_and(|second| second.refused > 0);
    let inside = |n: &usize| *n > 0 && refusing(*n) && refusing(n - 1) && refusing(n + 1);
    (0..seconds.len()).filter(inside).map(|n| seconds[n]).collect()
}

/// The mean of the middle half: a few seconds of a stalled server or of a burst do not move it.
fn middle_mean(sorted: &[u64]) -> f64 {
    let quarter = sorted.len() / 4;
    let middle = &sorted[quarter..sorted.len() - quarter];
    middle.iter().sum::<u64>() as f64 / middle.len() as f64
}

/// What was accepted beyond the rate from when the demand first exceeded it up to the first
/// refusal.
fn burst(until_refusal: &[AskedSecond], per_second: f64) -> u64 {
    let excess =
        until_refusal.iter().fold(0.0f64, |excess, second| (excess + second.accepted as f64 - per_second).max(0.0));
    floor_u64(excess.round())
}

/// Variance of the accepted numbers over that of as many coin tosses with the same share accepted.
fn scatter(refusing: &[AskedSecond]) -> f64 {
    let (accepted, demand): (u64, u64) =
        refusing.iter().fold((0, 0), |(a, d), second| (a + second.accepted, d + second.accepted + second.refused));
    let share = accepted as f64 / demand.max(1) as f64;
    let mean = accepted as f64 / refusing.len() as f64;
    let variance =
        refusing.iter().map(|second| (second.accepted as f64 - mean).powi(2)).sum::<f64>() / refusing.len() as f64;
    let by_chance = demand as f64 / refusing.len() as f64 * share * (1.0 - share);
    if by_chance > 0.0 { variance / by_chance } else { 1.0 }
}

/// Standard deviations that leave out one case in a thousand.
const SURE: f64 = 3.0;
/// How many times the least demand the most must be for bursts to tell a number from a share.
const TWICE: f64 = 2.0;
/// Fewer of a burst are accepted by chance.
const LEAST_OF_A_BURST: f64 = 4.0;
/// Whole seconds of refusals, or bursts of them, that a rate is read from.
const LEAST_SECONDS: usize = 5;
const SECOND: u64 = 1_000_000_000;
const MOST_SECONDS: u64 = 100_000;
