//! One of several machines behind an address (`node.failing`): the same agents with the same
//! credentials are accepted and refused in turn, and neither time nor load, address or agent
//! decides which.

use super::view::{Group, View};
use crate::vocab::Class;
use std::collections::BTreeMap;

/// Refusals that hit anybody at any time, a steady share of them.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct InTurn {
    /// Agents that were refused so and accepted as well, and all that were refused so.
    pub both: u64,
    pub hit: u64,
    /// Refusals of this kind among the answers of the seconds in which it came.
    pub share: f64,
    /// How the refusals scatter over those seconds: 1 is what chance makes of a steady share.
    pub scatter: f64,
}

impl InTurn {
    /// How many machines there would be if exactly one failed; `None` if no small number fits.
    pub(super) fn one_of(self) -> Option<u64> {
        (2..=8).find(|n| {
            let due = 1.0 / *n as f64;
            (self.share - due).abs() < 0.12 * due
        })
    }
}

/// Whether a group of refusals is spread as chance, or taking turns, would spread it.
pub(super) fn in_turn(view: &View<'_>, group: &Group<'_>) -> Option<InTurn> {
    let accepted = Class::Registered.bit();
    let hit: Vec<u16> = view.met(&[group.class]).map(|(_, agent)| agent.met).collect();
    let both = hit.iter().filter(|met| **met & accepted != 0).count();
    // Nearly all of those hit were accepted too, and most agents were hit: it is no matter of the
    // agent.
    if hit.len() < LEAST_AGENTS || both * 10 < hit.len() * 8 || hit.len() * 2 < view.agents.len() {
        return None;
    }
    let mut seconds: BTreeMap<u64, (u64, u64)> = BTreeMap::new();
    for tick in &view.ticks {
        let second = seconds.entry(tick.start_ns / SECOND_NS).or_default();
        second.0 += tick.of(group.key);
        second.1 += tick.answered();
    }
    let busy: Vec<(f64, f64)> =
        seconds.values().filter(|(_, all)| *all >= 3).map(|(refused, all)| (*refused as f64, *all as f64)).collect();
    let (refused, all) = busy.iter().fold((0.0, 0.0), |sum, second| (sum.0 + second.0, sum.1 + second.1));
    if busy.len() < LEAST_SECONDS || refused < LEAST_REFUSALS {
        return None;
    }
    let share = refused / all;
    let chance = share * (1.0 - share);
    let scatter = busy.iter().map(|(refused, all)| (refused - share * all).powi(2) / (all * chance)).sum::<f64>()
        / (busy.len() - 1) as f64;
    (scatter < MOST_SCATTER).then_some(InTurn { both: both as u64, hit: hit.len() as u64, share, scatter })
}

const SECOND_NS: u64 = 1_000_000_000;
const LEAST_AGENTS: usize = 5;
const LEAST_SECONDS: usize = 5;
const LEAST_REFUSALS: f64 = 10.0;
/// Refusals that follow the time or the load scatter more.
const MOST_SCATTER: f64 = 2.5;
