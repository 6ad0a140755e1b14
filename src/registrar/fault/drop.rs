//! `drop`: each datagram is lost with a probability, requests and replies independently of each other.

use super::{Direction, Scope, Subject};
use crate::seed::{Purpose, unit};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::Rng;
use std::time::Duration;

#[derive(Debug)]
pub(super) struct Loss {
    requests: ChaCha8Rng,
    replies: ChaCha8Rng,
    scope: Scope,
    probability: f64,
}

impl Loss {
    pub fn new(scope: Scope, probability: f64) -> Self {
        Loss {
            requests: scope.seed.stream(Purpose::Fault, scope.id, REQUESTS),
            replies: scope.seed.stream(Purpose::Fault, scope.id, REPLIES),
            scope,
            probability,
        }
    }

    /// Whether this datagram is lost.
    pub fn takes(&mut self, elapsed: Duration, direction: Direction, subject: &Subject<'_>) -> bool {
        if !self.scope.covers(elapsed, subject) {
            return false;
        }
        let chance = match direction {
            Direction::Request => &mut self.requests,
            Direction::Reply => &mut self.replies,
        };
        unit(chance.next_u64()) < self.probability
    }
}

/// This kind's streams of a fault; far from the small numbers that stand for faults where users are chosen.
const REQUESTS: u64 = 2 << 32;
const REPLIES: u64 = 3 << 32;
