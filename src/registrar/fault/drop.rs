//! `drop`: each datagram is lost with a probability, requests and replies independently of each
//! other.

use super::chance::Chance;
use super::{FaultDirection, FaultScope, FaultSubject};
use std::time::Duration;

#[derive(Debug)]
pub(super) struct Loss(Chance);

impl Loss {
    pub(super) fn new(scope: FaultScope, probability: f64) -> Self {
        Loss(Chance::new(scope, probability, STREAMS))
    }

    /// Whether this datagram is lost.
    pub(super) fn takes(&mut self, elapsed: Duration, direction: FaultDirection, subject: &FaultSubject<'_>) -> bool {
        self.0.hits(elapsed, direction, subject)
    }
}

const STREAMS: [u64; 2] = [2 << 32, 3 << 32];
