//! `refuse`: refused after correct credentials, whatever the request asks for, un-REGISTER included.

use super::{Refusal, Scope, Subject};
use std::time::Duration;

#[derive(Debug)]
pub(super) struct Refuse {
    scope: Scope,
    refusal: Refusal,
}

impl Refuse {
    pub fn new(scope: Scope, refusal: Refusal) -> Self {
        Refuse { scope, refusal }
    }

    pub fn refusal(&self, elapsed: Duration, subject: &Subject<'_>) -> Option<&Refusal> {
        self.scope.covers(elapsed, subject).then_some(&self.refusal)
    }
}
