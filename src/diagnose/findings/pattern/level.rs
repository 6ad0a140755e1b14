//! A limit on bindings: refusals come only while the most bindings ever held are held, and never
//! before.

use super::super::view::{Group, Tick, View};
use super::ForAgainst;
use crate::vocab::Class;
use std::collections::BTreeMap;

/// Refusals at a number of bindings that is never exceeded.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct BindingCap {
    pub limit: u64,
    /// Refusals of new bindings at the most held, and below it.
    pub tally: ForAgainst,
    /// New bindings accepted before the first refusal.
    pub accepted_before: u64,
    /// Bindings gained after another had ended, once refusals had begun.
    pub refilled: u64,
    /// 2xx to refreshes after the first refusal, and refreshes refused like the rest.
    pub refreshed: u64,
    pub refreshes_refused: u64,
}

/// Ticks to either side in which the most held may have been reached: answers to what was sent
/// together come apart.
const NEAR: usize = 2;

/// Whether `group` looks like a limit on bindings; `None` when nobody was ever bound or nobody new
/// was refused.
pub(crate) fn binding_cap(view: &View<'_>, group: &Group<'_>) -> Option<BindingCap> {
    let ticks = &view.ticks;
    let limit = view.peak();
    let first = ticks.iter().position(|tick| tick.of(group.key) > 0)?;
    if limit == 0 {
        return None;
    }
    let mut found = BindingCap {
        limit,
        tally: ForAgainst::default(),
        accepted_before: ticks[..first].iter().map(|tick| tick.bound).sum(),
        refilled: 0,
        refreshed: ticks[first..].iter().map(|tick| tick.refreshed).sum(),
        refreshes_refused: 0,
    };
    let mut fell = false;
    for (n, tick) in ticks.iter().enumerate().skip(first) {
        let refused = tick.refused.get(&group.key).copied().unwrap_or_default();
        found.refreshes_refused += refused.held;
        if at_top(ticks, n, limit) {
            found.tally.pro += refused.new;
        } else {
            found.tally.against += refused.new;
        }
        // A binding gained after one has ended took its place, which neither a ban nor a missing
        // account would allow.
        fell |= tick.unbound > 0;
        if fell && tick.bound > 0 {
            found.refilled += tick.bound;
        }
    }
    (found.tally.pro + found.tally.against > 0).then_some(found)
}

/// Whether the most held was reached in or next to a tick.
fn at_top(ticks: &[Tick], n: usize, limit: u64) -> bool {
    let near = &ticks[n.saturating_sub(NEAR)..(n + NEAR + 1).min(ticks.len())];
    // Ticks that are neighbours in the list may be far apart in time, but nothing happened between
    // them.
    near.iter().any(|tick| tick.level.max(tick.level_after()) >= limit)
}

/// A limit on the bindings of one address of record: how many agents of one user are in, where
/// others are not. `None` unless every agent refused shares its user with one that is registered,
/// and nobody else is refused.
pub(crate) fn per_user(view: &View<'_>, group: &Group<'_>) -> Option<(u64, ForAgainst)> {
    let users = &view.results.header.users;
    let mut in_and_out: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    for (id, agent) in &view.agents {
        let entry = in_and_out.entry(users.get(*id as usize)?).or_default();
        let (registered, refused) = (agent.met & Class::Registered.bit() != 0, agent.met & group.class.bit() != 0);
        entry.0 += u64::from(registered);
        entry.1 += u64::from(refused && !registered);
    }
    let limit = in_and_out.values().filter(|(_, out)| *out > 0).map(|(inside, _)| *inside).max()?;
    let mut tally = ForAgainst::default();
    for (inside, out) in in_and_out.values() {
        match (*inside, *out) {
            (_, 0) => tally.against += u64::from(*inside > limit),
            (inside, out) if inside == limit && inside > 0 => tally.pro += out,
            (_, out) => tally.against += out,
        }
    }
    (limit > 0).then_some((limit, tally))
}
