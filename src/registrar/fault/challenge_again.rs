//! `challenge-again`: credentials are answered with a plain 401, right or wrong, without end.

use super::{Scope, Subject};
use std::time::Duration;

#[derive(Debug)]
pub(super) struct ChallengeAgain(Scope);

impl ChallengeAgain {
    pub fn new(scope: Scope) -> Self {
        ChallengeAgain(scope)
    }

    pub fn covers(&self, elapsed: Duration, subject: &Subject<'_>) -> bool {
        self.0.covers(elapsed, subject)
    }
}
