//! The table of places: where a trunk's name has several addresses, what became of the attempts at
//! each. An attempt counts as ended where its last request went, and as gone on from each place it
//! left before.

use super::event::{AttemptEnd, Event};
use crate::vocab::{Status, Time};
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
}

impl PlaceRow {
    fn new(trunk: u16, address: String) -> Self {
        let (ended, left) = ([0; Status::COUNT], [0; 3]);
        PlaceRow { trunk, address, ended, left, left_ns: None, registered_ns: None, took_us: (0, 0) }
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

/// Adds what another worker, or a later interval, saw.
pub(super) fn merge(rows: &mut Vec<PlaceRow>, other: &PlaceRow) {
    match rows.iter_mut().find(|row| row.trunk == other.trunk && row.address == other.address) {
        Some(row) => row.merge(other),
        None => rows.push(other.clone()),
    }
}
