//! `delay`: replies are held back. Several that concern one reply add up.

use super::{FaultScope, FaultSubject};
use crate::link::Delay;
use crate::seed::Purpose;
use rand_chacha::ChaCha8Rng;
use std::time::Duration;

#[derive(Debug)]
pub(super) struct Hold {
    delays: ChaCha8Rng,
    scope: FaultScope,
    delay: Delay,
}

impl Hold {
    pub(super) fn new(scope: FaultScope, delay: Delay) -> Self {
        Hold { delays: scope.seed.stream(Purpose::Fault, scope.id, DELAYS), scope, delay }
    }

    /// How long a reply made now is held; nothing outside the window.
    pub(super) fn sample(&mut self, elapsed: Duration, subject: &FaultSubject<'_>) -> Duration {
        if self.scope.covers(elapsed, subject) { self.delay.sample(&mut self.delays) } else { Duration::ZERO }
    }
}

/// This kind's stream of a fault; far from the small numbers that stand for faults where users are
/// chosen.
const DELAYS: u64 = 1 << 32;
