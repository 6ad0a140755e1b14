//! `challenge-again`: credentials are answered with a plain 401, right or wrong, without end.

use super::{FaultScope, FaultSubject};
use std::time::Duration;

#[derive(Debug)]
pub(super) struct ChallengeAgain(FaultScope);

impl ChallengeAgain {
    pub(super) fn new(scope: FaultScope) -> Self {
        ChallengeAgain(scope)
    }

    pub(super) fn covers(&self, elapsed: Duration, subject: &FaultSubject<'_>) -> bool {
        self.0.covers(elapsed, subject)
    }
}
