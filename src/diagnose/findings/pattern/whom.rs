//! Whom refusals hit: everybody, always the same agents, anybody at random, or everyone behind one
//! address.

use super::super::view::{Group, View};
use super::ForAgainst;
use crate::vocab::{Class, Status};
use std::collections::BTreeMap;

/// Whom a group of refusals reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reach {
    /// Agents that were refused so, that never were accepted as well, and that were never refused
    /// but accepted.
    pub hit: u64,
    pub only_refused: u64,
    pub only_accepted: u64,
    /// Of those hit, whose last attempt ended so.
    pub out: u64,
}

impl Reach {
    /// Nobody on the trunk was accepted, ever.
    pub(crate) fn is_everybody(self) -> bool {
        self.only_accepted == 0 && self.only_refused == self.hit
    }

    /// Whoever is refused is always refused: two sets of agents that share at most one in fifty.
    pub(crate) fn is_subset(self) -> bool {
        self.only_accepted > 0 && (self.hit - self.only_refused) * 50 <= self.hit
    }
}

pub(crate) fn reach(view: &View<'_>, group: &Group<'_>) -> Reach {
    let accepted = Class::Registered.bit();
    let mut reach = Reach { hit: 0, only_refused: 0, only_accepted: 0, out: 0 };
    for (_, agent) in &view.agents {
        let (refused, accepted) = (agent.met & group.class.bit() != 0, agent.met & accepted != 0);
        reach.hit += u64::from(refused);
        let is_out = agent.status != Some(Status::Registered) && agent.last_code == group.code;
        reach.out += u64::from(refused && is_out);
        reach.only_refused += u64::from(refused && !accepted);
        reach.only_accepted += u64::from(!refused && accepted);
    }
    reach
}

/// The source addresses behind which everything is refused while it is accepted from others, and
/// how clearly.
pub(crate) fn sources(view: &View<'_>, group: &Group<'_>) -> Option<(Vec<u8>, Vec<u8>, ForAgainst)> {
    let mut by_source: BTreeMap<u8, (u64, u64)> = BTreeMap::new();
    for row in &view.outcomes {
        let entry = by_source.entry(row.source).or_default();
        // What was accepted before the first refusal is of another time.
        let meanwhile = row.class == Class::Registered && row.seen.last_ns >= group.seen.first_ns;
        entry.0 += if meanwhile { row.seen.count } else { 0 };
        entry.1 += if row.class == group.class && row.group() == group.key { row.seen.count } else { 0 };
    }
    let (refused, accepted): (Vec<_>, Vec<_>) = by_source.iter().partition(|(_, (ok, refused))| refused > ok);
    if refused.is_empty() || accepted.iter().all(|(_, counts)| counts.0 == 0) {
        return None;
    }
    let tally = ForAgainst {
        pro: refused.iter().map(|(_, counts)| counts.1).sum(),
        against: refused.iter().map(|(_, counts)| counts.0).chain(accepted.iter().map(|(_, counts)| counts.1)).sum(),
    };
    let names = |rows: &[(&u8, &(u64, u64))]| rows.iter().map(|(source, _)| **source).collect();
    Some((names(&refused), names(&accepted), tally))
}
