//! `limit`: at most so many addresses of record bound at once; a further one is refused after correct credentials.
//!
//! Refreshes and removals of what is bound pass. The count runs over everyone the fault concerns, also
//! outside its window, so that a limit which begins later counts who is there already.

use super::{Refusal, Scope, Subject};
use std::time::Duration;

#[derive(Debug)]
pub(super) struct Limit {
    scope: Scope,
    concurrent: u64,
    refusal: Refusal,
    /// Addresses of record bound now.
    bound: u64,
}

impl Limit {
    pub fn new(scope: Scope, concurrent: u32, refusal: Refusal) -> Self {
        Limit { scope, concurrent: concurrent.into(), refusal, bound: 0 }
    }

    /// The refusal of one more address of record.
    pub fn refusal(&self, elapsed: Duration, aor: &Subject<'_>) -> Option<&Refusal> {
        (self.bound >= self.concurrent && self.scope.covers(elapsed, aor)).then_some(&self.refusal)
    }

    pub fn joined(&mut self, aor: &Subject<'_>) {
        self.bound += u64::from(self.scope.concerns(aor));
    }

    pub fn left(&mut self, aor: &Subject<'_>) {
        self.bound -= u64::from(self.scope.concerns(aor));
    }
}
