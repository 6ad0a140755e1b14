//! `oscillate`: half a period up, half a period everything is refused after correct credentials, un-REGISTER included.
//!
//! Phases count from the start, not from the fault's window: a window cuts pieces out of one and the same wave.

use super::{Refusal, Scope, Subject};
use std::time::Duration;

#[derive(Debug)]
pub(super) struct Oscillate {
    scope: Scope,
    period: Duration,
    refusal: Refusal,
}

impl Oscillate {
    pub fn new(scope: Scope, period: Duration, refusal: Refusal) -> Self {
        Oscillate { scope, period, refusal }
    }

    pub fn refusal(&self, elapsed: Duration, subject: &Subject<'_>) -> Option<&Refusal> {
        (self.is_down(elapsed) && self.scope.covers(elapsed, subject)).then_some(&self.refusal)
    }

    /// A period of nothing has no second half.
    fn is_down(&self, elapsed: Duration) -> bool {
        let phase = elapsed.as_nanos().checked_rem(self.period.as_nanos());
        phase.is_some_and(|phase| 2 * phase >= self.period.as_nanos())
    }
}
