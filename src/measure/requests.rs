//! What became of single requests, by where they stand in a phone's life: whether they were
//! answered at once, only after they had been repeated, or never, and how large they were.
//!
//! This shows where a silence begins: first requests are answered and those with credentials are
//! not, or small ones are and large ones are not. Twelve counters per trunk, found without a
//! search.

use super::event::RequestEnd;
use crate::vocab::{RequestFate, RequestKind, Time, saturating_u16};
use serde::{Deserialize, Serialize};

/// Requests of a kind with the same fate.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RequestRow {
    pub trunk: u16,
    pub kind: RequestKind,
    pub fate: RequestFate,
    pub count: u64,
    /// When the first and the last of them were sent, nanoseconds since the run's start.
    pub first_ns: u64,
    pub last_ns: u64,
    /// The smallest and the largest.
    pub bytes: (u32, u32),
}

impl RequestRow {
    pub(super) fn is_like(&self, other: &RequestRow) -> bool {
        (self.trunk, self.kind, self.fate) == (other.trunk, other.kind, other.fate)
    }

    /// Adds what another worker, or a later interval, saw of the same.
    pub(super) fn merge(&mut self, other: &RequestRow) {
        self.count += other.count;
        self.first_ns = self.first_ns.min(other.first_ns);
        self.last_ns = self.last_ns.max(other.last_ns);
        self.bytes = (self.bytes.0.min(other.bytes.0), self.bytes.1.max(other.bytes.1));
    }
}

/// The counters of one interval.
#[derive(Clone, Debug)]
pub(super) struct Requests {
    start: Time,
    /// By trunk, kind and fate.
    rows: Vec<[[Option<RequestRow>; RequestFate::COUNT]; RequestKind::COUNT]>,
}

impl Requests {
    pub(super) fn new(start: Time, trunks: usize) -> Self {
        Requests { start, rows: vec![Default::default(); trunks] }
    }

    pub(super) fn ended(&mut self, trunk: usize, end: &RequestEnd) {
        let RequestEnd { kind, fate, bytes, sent } = *end;
        let at = sent.nanos_since(self.start);
        let one = RequestRow {
            trunk: saturating_u16(trunk),
            kind,
            fate,
            count: 1,
            first_ns: at,
            last_ns: at,
            bytes: (bytes, bytes),
        };
        match &mut self.rows[trunk][kind as usize][fate as usize] {
            Some(row) => row.merge(&one),
            empty => *empty = Some(one),
        }
    }

    pub(super) fn take(&mut self) -> Vec<RequestRow> {
        self.rows.iter_mut().flatten().flatten().filter_map(Option::take).collect()
    }
}
