//! What the kinds that hit single datagrams share: a probability, drawn for requests and replies
//! independently.

use super::{FaultDirection, FaultScope, FaultSubject};
use crate::seed::{Purpose, unit};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::Rng;
use std::time::Duration;

/// Whether a datagram is hit: one draw for each that the fault covers, whatever other faults do to
/// it.
#[derive(Debug)]
pub(super) struct Chance {
    requests: ChaCha8Rng,
    replies: ChaCha8Rng,
    scope: FaultScope,
    probability: f64,
}

impl Chance {
    /// `streams` are the numbers of the random streams for requests and for replies. No two kinds
    /// share one, and all are far from the small numbers that stand for faults where users are
    /// chosen.
    pub(super) fn new(scope: FaultScope, probability: f64, streams: [u64; 2]) -> Self {
        let [requests, replies] = streams.map(|stream| scope.seed.stream(Purpose::Fault, scope.id, stream));
        Chance { requests, replies, scope, probability }
    }

    /// Whether this datagram is hit; `None` when the fault does not cover it.
    pub(super) fn draw(
        &mut self,
        elapsed: Duration,
        direction: FaultDirection,
        subject: &FaultSubject<'_>,
    ) -> Option<bool> {
        if !self.scope.covers(elapsed, subject) {
            return None;
        }
        let chance = match direction {
            FaultDirection::Request => &mut self.requests,
            FaultDirection::Reply => &mut self.replies,
        };
        Some(unit(chance.next_u64()) < self.probability)
    }

    pub(super) fn hits(&mut self, elapsed: Duration, direction: FaultDirection, subject: &FaultSubject<'_>) -> bool {
        self.draw(elapsed, direction, subject) == Some(true)
    }
}
