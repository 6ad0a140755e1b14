//! Requests from the registrar's side that were meant for an agent, by method and answer: how many,
//! and for how many agents.

use super::rows::{MAX_TEXT, Sightings};
use crate::vocab::{AgentId, Time, TrunkId, said};
use serde::{Deserialize, Serialize};

/// Requests of one method that were answered alike.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct AskedRow {
    pub trunk: u16,
    pub method: String,
    /// What was answered.
    pub code: u16,
    pub seen: Sightings,
    /// Agents that were asked so at least once; beyond the usual methods, about so many.
    pub agents: u64,
}

/// One request.
#[derive(Clone, Copy, Debug)]
pub struct AskedOf<'a> {
    pub method: &'a [u8],
    pub code: u16,
    /// The agent's first of this method.
    pub is_first: bool,
    pub at: Time,
}

/// Methods of a trunk that are told apart.
const MOST: usize = 8;

/// Counts a request; `start` is the run's.
pub(super) fn count(rows: &mut Vec<AskedRow>, (trunk, agent): (TrunkId, AgentId), start: Time, one: &AskedOf<'_>) {
    let at = one.at.nanos_since(start);
    let method = said(&one.method[..one.method.len().min(MAX_TEXT)]);
    let seen = Sightings::once(agent.0, at);
    let (trunk, code, agents) = (trunk.0, one.code, u64::from(one.is_first));
    merge(rows, &AskedRow { trunk, method, code, seen, agents });
}

/// Adds what another worker, or a later interval, saw.
pub(super) fn merge(rows: &mut Vec<AskedRow>, other: &AskedRow) {
    let key = |row: &AskedRow| (row.trunk, row.code, row.method.clone());
    match rows.iter().position(|row| key(row) == key(other)) {
        Some(place) => {
            rows[place].seen.merge(&other.seen);
            rows[place].agents += other.agents;
        }
        None if rows.iter().filter(|row| row.trunk == other.trunk).count() < MOST => rows.push(other.clone()),
        None => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_counted_with_their_agents() {
        let mut rows = Vec::new();
        for n in 0..6u32 {
            let subject = (TrunkId(1), AgentId(n % 3));
            let one = AskedOf { method: b"OPTIONS", code: 200, is_first: n < 3, at: Time::from_secs(2) };
            count(&mut rows, subject, Time::from_secs(1), &one);
        }
        let mut all = rows.clone();
        rows.iter().for_each(|row| merge(&mut all, row));
        assert_eq!((all.len(), all[0].agents, all[0].seen.count, all[0].method.as_str()), (1, 6, 12, "OPTIONS"));
        for n in 0..99u32 {
            let method = format!("M{n}");
            let subject = (TrunkId(1), AgentId(1));
            let one = AskedOf { method: method.as_bytes(), code: 405, is_first: true, at: Time::from_secs(2) };
            count(&mut all, subject, Time::from_secs(1), &one);
        }
        assert_eq!(all.len(), MOST);
    }
}
