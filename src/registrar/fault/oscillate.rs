//! `oscillate`: up for half of each period; in the other half everything with correct credentials
//! is refused, un-REGISTERs included.
//!
//! Phases count from the start, not from the fault's window: a window cuts pieces out of one and
//! the same wave.

use super::{FaultRefusal, FaultScope, FaultSubject};
use std::time::Duration;

#[derive(Debug)]
pub(super) struct Oscillate {
    scope: FaultScope,
    period: Duration,
    refusal: FaultRefusal,
}

impl Oscillate {
    pub(super) fn new(scope: FaultScope, period: Duration, refusal: FaultRefusal) -> Self {
        Oscillate { scope, period, refusal }
    }

    pub(super) fn refusal(&self, elapsed: Duration, subject: &FaultSubject<'_>) -> Option<&FaultRefusal> {
        (self.is_down(elapsed) && self.scope.covers(elapsed, subject)).then_some(&self.refusal)
    }

    /// A period of nothing has no second half.
    fn is_down(&self, elapsed: Duration) -> bool {
        let phase = elapsed.as_nanos().checked_rem(self.period.as_nanos());
        phase.is_some_and(|phase| 2 * phase >= self.period.as_nanos())
    }
}
