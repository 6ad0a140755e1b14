//! The table of places: where a trunk's name has several addresses, what became of the attempts at
//! each. An attempt counts as ended where its last request went, and as gone on from each place it
//! left before.

use super::event::{AttemptEnd, Event};
use crate::vocab::{Status, Time, saturating_u16};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;

/// What one address of a trunk did.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PlaceRow {
    pub trunk: u16,
    pub address: String,
    /// Attempts that ended here, by status.
    pub ended: [u64; Status::COUNT],
    /// Attempts that went on to another address: nothing could be delivered, no answer, 503.
    pub left: [u64; 3],
    /// When the first and the last of them did.
    pub left_ns: Option<(u64, u64)>,
    /// When an attempt last succeeded here, and first.
    pub registered_ns: Option<(u64, u64)>,
    /// Of the successes, from the first request to the answer: their sum and the longest,
    /// microseconds.
    pub took_us: (u64, u64),
    /// Agents whose latest attempt ended here, where the one before ended elsewhere or there was
    /// none. Of one interval: a later one's list counts more.
    pub agents: Vec<u32>,
}

impl PlaceRow {
    fn new(trunk: u16, address: String) -> Self {
        let (ended, left) = ([0; Status::COUNT], [0; 3]);
        let agents = Vec::new();
        PlaceRow { trunk, address, ended, left, left_ns: None, registered_ns: None, took_us: (0, 0), agents }
    }

    /// Attempts that tried it.
    pub fn tried(&self) -> u64 {
        self.ended.iter().sum::<u64>() + self.all_left()
    }

    pub fn registered(&self) -> u64 {
        self.ended[Status::Registered.index()]
    }

    pub fn all_left(&self) -> u64 {
        self.left.iter().sum()
    }

    /// Adds what another worker, or a later interval, saw of the same address.
    fn merge(&mut self, other: &PlaceRow) {
        self.ended.iter_mut().zip(&other.ended).for_each(|(mine, theirs)| *mine += theirs);
        self.left.iter_mut().zip(&other.left).for_each(|(mine, theirs)| *mine += theirs);
        self.left_ns = together(self.left_ns, other.left_ns);
        self.registered_ns = together(self.registered_ns, other.registered_ns);
        self.took_us = (self.took_us.0 + other.took_us.0, self.took_us.1.max(other.took_us.1));
        self.agents.extend_from_slice(&other.agents);
    }
}

fn together(one: Option<(u64, u64)>, other: Option<(u64, u64)>) -> Option<(u64, u64)> {
    match (one, other) {
        (Some(a), Some(b)) => Some((a.0.min(b.0), a.1.max(b.1))),
        (a, b) => a.or(b),
    }
}

/// The table of one worker's interval, or of a search.
#[derive(Clone, Debug, Default)]
pub struct PlaceTable {
    /// With the address each stands for.
    rows: Vec<(SocketAddr, PlaceRow)>,
}

impl PlaceTable {
    /// Something of an attempt happened at an address of a trunk; `start` is the run's.
    pub fn saw(&mut self, trunk: u16, address: SocketAddr, event: &Event<'_>, start: Time) {
        match *event {
            Event::WentOn { why, at } => {
                let at = at.nanos_since(start);
                let row = self.row(trunk, address);
                row.left[why as usize] += 1;
                row.left_ns = together(row.left_ns, Some((at, at)));
            }
            Event::Ended(AttemptEnd { status, sent: Some(sent), at, .. }) => {
                let row = self.row(trunk, address);
                row.ended[status.index()] += 1;
                if status == Status::Registered {
                    let took = at.nanos_since(sent) / 1_000;
                    let at = at.nanos_since(start);
                    row.registered_ns = together(row.registered_ns, Some((at, at)));
                    row.took_us = (row.took_us.0 + took, row.took_us.1.max(took));
                }
            }
            _ => {}
        }
    }

    fn row(&mut self, trunk: u16, address: SocketAddr) -> &mut PlaceRow {
        let known = self.rows.iter().position(|(of, row)| row.trunk == trunk && *of == address);
        let place = known.unwrap_or_else(|| {
            self.rows.push((address, PlaceRow::new(trunk, address.to_string())));
            self.rows.len() - 1
        });
        &mut self.rows[place].1
    }

    /// The rows so far; the next ones begin anew.
    pub fn take(&mut self) -> Vec<PlaceRow> {
        self.rows.drain(..).map(|(_, row)| row).collect()
    }
}

/// Where each of a worker's agents was asked last. Two bytes for each agent of the run, from the
/// first attempt on of one that may go to several places.
#[derive(Clone, Debug, Default)]
pub(super) struct LastPlaces {
    /// By agent: the place in `known`, counted from 1; 0 for none.
    of_agents: Vec<u16>,
    known: Vec<SocketAddr>,
    /// Agents that changed in this interval; some of them several times.
    changed: Vec<(u16, u32)>,
}

impl LastPlaces {
    /// An attempt of an agent ended at an address.
    pub(super) fn ended(&mut self, trunk: u16, agent: u32, address: SocketAddr) {
        let known = self.known.iter().position(|known| *known == address).unwrap_or_else(|| {
            self.known.push(address);
            self.known.len() - 1
        });
        let place = saturating_u16(known + 1);
        if self.of_agents.len() <= agent as usize {
            self.of_agents.resize(agent as usize + 1, 0);
        }
        if std::mem::replace(&mut self.of_agents[agent as usize], place) != place {
            self.changed.push((trunk, agent));
        }
    }

    /// Adds whoever changed to the rows of an interval; the next one begins anew.
    pub(super) fn tell(&mut self, rows: &mut [PlaceRow]) {
        self.changed.sort_unstable();
        self.changed.dedup();
        for (trunk, agent) in self.changed.drain(..) {
            let place = usize::from(self.of_agents[agent as usize]);
            let Some(address) = self.known.get(place.wrapping_sub(1)).map(ToString::to_string) else { continue };
            if let Some(row) = rows.iter_mut().find(|row| row.trunk == trunk && row.address == address) {
                row.agents.push(agent);
            }
        }
    }
}

/// Adds what another worker, or a later interval, saw.
pub(super) fn merge(rows: &mut Vec<PlaceRow>, other: &PlaceRow) {
    match rows.iter_mut().find(|row| row.trunk == other.trunk && row.address == other.address) {
        Some(row) => row.merge(other),
        None => rows.push(other.clone()),
    }
}
