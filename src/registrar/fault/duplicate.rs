//! `duplicate`: a datagram arrives twice with a probability, as after a route change; requests and
//! replies independently of each other. Each copy meets the faults behind this one by itself, so
//! the two may come out of order.

use super::chance::Chance;
use super::{FaultDirection, FaultScope, FaultSubject};
use std::time::Duration;

#[derive(Debug)]
pub(super) struct Twin(Chance);

impl Twin {
    pub(super) fn new(scope: FaultScope, probability: f64) -> Self {
        Twin(Chance::new(scope, probability, STREAMS))
    }

    /// Whether this datagram arrives once more.
    pub(super) fn copies(&mut self, elapsed: Duration, direction: FaultDirection, subject: &FaultSubject<'_>) -> bool {
        self.0.hits(elapsed, direction, subject)
    }
}

const STREAMS: [u64; 2] = [4 << 32, 5 << 32];
