//! `reorder`: a datagram is held for a random time with a probability, so that later ones overtake
//! it; requests and replies independently of each other.

use super::chance::Chance;
use super::{FaultDirection, FaultScope, FaultSubject};
use crate::link::Delay;
use crate::seed::Purpose;
use rand_chacha::ChaCha8Rng;
use std::time::Duration;

#[derive(Debug)]
pub(super) struct Shuffle {
    chance: Chance,
    requests: ChaCha8Rng,
    replies: ChaCha8Rng,
    hold: Delay,
}

impl Shuffle {
    /// Holds evenly between nothing and `longest`: were all held equally long, none would overtake
    /// another.
    pub(super) fn new(scope: FaultScope, probability: f64, longest: Duration) -> Self {
        let [requests, replies] = HOLDS.map(|stream| scope.seed.stream(Purpose::Fault, scope.id, stream));
        let hold = Delay::Uniform(Duration::ZERO, longest);
        Shuffle { chance: Chance::new(scope, probability, STREAMS), requests, replies, hold }
    }

    /// How long this datagram is held; zero for most.
    pub(super) fn hold(
        &mut self,
        elapsed: Duration,
        direction: FaultDirection,
        subject: &FaultSubject<'_>,
    ) -> Duration {
        let Some(hit) = self.chance.draw(elapsed, direction, subject) else { return Duration::ZERO };
        let holds = match direction {
            FaultDirection::Request => &mut self.requests,
            FaultDirection::Reply => &mut self.replies,
        };
        // Drawn for those that are not held too: a different probability holds more, not other
        // spans.
        let hold = self.hold.sample(holds);
        if hit { hold } else { Duration::ZERO }
    }
}

const STREAMS: [u64; 2] = [6 << 32, 7 << 32];
const HOLDS: [u64; 2] = [8 << 32, 9 << 32];
