//! The rows that evidence is kept in: bounded tables, so that a hostile registrar cannot make them
//! large, and what each row says of how often, when and whom.

use crate::vocab::{said, saturating_u32, without_digests};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// The most rows of one table, per worker and run; what would need a further row is left out of the
/// table.
pub const MAX_ROWS: usize = 512;
/// Agents named in a row: the first that were seen.
pub const EXAMPLES: usize = 3;
/// A realm, a Contact or a server's own words beyond this is cut.
pub(super) const MAX_TEXT: usize = 200;

/// How often, when, and whom first.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Sightings {
    pub count: u64,
    /// Nanoseconds since the run's start.
    pub first_ns: u64,
    pub last_ns: u64,
    /// The first agents seen, at most [`EXAMPLES`]; of those seen at the same moment the first by
    /// number, so that it makes no difference which worker saw them.
    pub agents: Vec<u32>,
    /// When each of them was seen first, nanoseconds since the run's start.
    pub agents_ns: Vec<u64>,
}

impl Sightings {
    /// One agent, once.
    pub(super) fn once(agent: u32, at_ns: u64) -> Sightings {
        Sightings { count: 1, first_ns: at_ns, last_ns: at_ns, agents: vec![agent], agents_ns: vec![at_ns] }
    }

    /// What sets rows of one table in order, whichever worker they are of: when each was seen
    /// first, and by whom.
    pub(super) fn begins(&self) -> (u64, Option<u32>) {
        (self.first_ns, self.agents.first().copied())
    }

    /// What several rows saw together; all zero of none.
    pub fn together<'a>(rows: impl IntoIterator<Item = &'a Sightings>) -> Sightings {
        let mut all = Sightings::default();
        rows.into_iter().for_each(|seen| all.merge(seen));
        all
    }

    /// Adds what another worker, or a later interval, saw of the same.
    pub fn merge(&mut self, other: &Sightings) {
        if other.count == 0 {
            return;
        }
        if self.count == 0 {
            *self = other.clone();
            return;
        }
        let mut named = FirstAgents::default();
        self.named().chain(other.named()).for_each(|(at_ns, agent)| named.saw(agent, at_ns));
        (self.agents, self.agents_ns) = named.lists();
        self.count += other.count;
        self.first_ns = self.first_ns.min(other.first_ns);
        self.last_ns = self.last_ns.max(other.last_ns);
    }

    /// The agents with their times.
    fn named(&self) -> impl Iterator<Item = (u64, u32)> {
        let times = self.agents_ns.iter().copied().chain(std::iter::repeat(self.last_ns));
        times.zip(self.agents.iter().copied())
    }
}

/// The first agents seen, in order of time and number.
#[derive(Clone, Copy, Debug, Default)]
struct FirstAgents {
    /// The first `count` of these.
    seen: [(u64, u32); EXAMPLES],
    count: usize,
}

impl FirstAgents {
    #[inline]
    fn saw(&mut self, agent: u32, at_ns: u64) {
        if self.count == EXAMPLES && self.seen[EXAMPLES - 1] <= (at_ns, agent) {
            return;
        }
        self.insert(agent, at_ns);
    }

    fn insert(&mut self, agent: u32, at_ns: u64) {
        let known = self.seen[..self.count].iter().position(|(_, known)| *known == agent);
        let place = match known {
            Some(place) if self.seen[place].0 <= at_ns => return,
            Some(place) => place,
            None => {
                self.count = (self.count + 1).min(EXAMPLES);
                self.count - 1
            }
        };
        self.seen[place] = (at_ns, agent);
        self.seen[..self.count].sort_unstable();
    }

    fn lists(&self) -> (Vec<u32>, Vec<u64>) {
        let seen = &self.seen[..self.count];
        (seen.iter().map(|(_, agent)| *agent).collect(), seen.iter().map(|(at_ns, _)| *at_ns).collect())
    }
}

/// The span that covers both.
pub fn wider(one: Option<(u32, u32)>, other: Option<(u32, u32)>) -> Option<(u32, u32)> {
    match (one, other) {
        (Some((a, b)), Some((c, d))) => Some((a.min(c), b.max(d))),
        (one, other) => one.or(other),
    }
}

/// Adds a text to a short list, unless it is empty or there already.
pub(super) fn note(list: &mut Vec<String>, text: &[u8]) {
    if text.is_empty() {
        return;
    }
    let text = without_digests(text);
    let text = &text[..text.len().min(MAX_TEXT)];
    if list.len() >= EXAMPLES || list.iter().any(|known| known.as_bytes() == text) {
        return;
    }
    list.push(said(text));
}

/// What is kept of a row's interval. Counting allocates nothing.
#[derive(Clone, Debug, Default)]
pub(super) struct RowCounts {
    count: u64,
    first_ns: u64,
    last_ns: u64,
    agents: FirstAgents,
    /// `Retry-After` of outcomes, lifetimes of grants.
    pub(super) span_s: Option<(u32, u32)>,
    pub(super) example: String,
    /// Of grants.
    pub(super) listed: u16,
    /// Of outcomes.
    pub(super) words: Vec<String>,
}

impl RowCounts {
    pub(super) fn add(&mut self, agent: u32, at_ns: u64) {
        if self.count == 0 {
            (self.first_ns, self.last_ns) = (at_ns, at_ns);
        }
        self.count += 1;
        self.first_ns = self.first_ns.min(at_ns);
        self.last_ns = self.last_ns.max(at_ns);
        self.agents.saw(agent, at_ns);
    }

    pub(super) fn sightings(&self) -> Sightings {
        let (agents, agents_ns) = self.agents.lists();
        Sightings { count: self.count, first_ns: self.first_ns, last_ns: self.last_ns, agents, agents_ns }
    }
}

/// A bounded table that remembers where it found the last row: neighbours in time are alike.
#[derive(Clone, Debug)]
pub(super) struct RowTable<K> {
    rows: Vec<(K, RowCounts)>,
    places: HashMap<K, u32>,
    last: usize,
}

impl<K: Copy + Eq + std::hash::Hash> RowTable<K> {
    pub(super) fn new() -> Self {
        RowTable { rows: Vec::new(), places: HashMap::new(), last: 0 }
    }

    /// The row of `key`; `None` when the table is full of others.
    pub(super) fn row(&mut self, key: K) -> Option<&mut RowCounts> {
        if self.rows.get(self.last).is_none_or(|(last, _)| *last != key) {
            self.last = match self.places.get(&key) {
                Some(place) => *place as usize,
                None if self.rows.len() >= MAX_ROWS => return None,
                None => {
                    self.rows.push((key, RowCounts::default()));
                    self.places.insert(key, saturating_u32(self.rows.len() - 1));
                    self.rows.len() - 1
                }
            };
        }
        Some(&mut self.rows[self.last].1)
    }

    /// The rows seen since the last call.
    pub(super) fn take<R>(&mut self, mut make: impl FnMut(&K, RowCounts) -> R) -> Vec<R> {
        let seen = self.rows.iter_mut().filter(|(_, kept)| kept.count > 0);
        seen.map(|(key, kept)| make(key, std::mem::take(kept))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Whoever sees what, in whichever order it is put together: it is what one would have
        /// seen.
        #[test]
        fn sightings_of_workers_are_those_of_one(
            seen in prop::collection::vec((0u32..20, 0u64..30), 1..60),
            workers in 1usize..6,
        ) {
            let rows = |keep: &dyn Fn(u32) -> bool| {
                let mut kept = RowCounts::default();
                seen.iter().filter(|(agent, _)| keep(*agent)).for_each(|(agent, at_ns)| kept.add(*agent, *at_ns));
                kept.sightings()
            };
            let one = rows(&|_| true);
            let mut parts: Vec<Sightings> =
                (0..workers).map(|worker| rows(&|agent| agent as usize % workers == worker)).collect();
            prop_assert_eq!(&Sightings::together(&parts), &one);
            parts.reverse();
            prop_assert_eq!(&Sightings::together(&parts), &one);
            prop_assert!(one.agents_ns.is_sorted() && one.agents.len() == one.agents_ns.len());
            prop_assert_eq!(one.agents_ns.first(), Some(&one.first_ns));
        }
    }
}
