//! `deny`: refused before any challenge, as a registrar does that knows its clients by address.
//!
//! It answers every method: a client that is not on the list is refused OPTIONS too.

use super::{FaultRefusal, FaultScope, FaultSubject};
use std::time::Duration;

#[derive(Debug)]
pub(super) struct Deny {
    scope: FaultScope,
    refusal: FaultRefusal,
}

impl Deny {
    pub(super) fn new(scope: FaultScope, refusal: FaultRefusal) -> Self {
        Deny { scope, refusal }
    }

    pub(super) fn refusal(&self, elapsed: Duration, subject: &FaultSubject<'_>) -> Option<&FaultRefusal> {
        self.scope.covers(elapsed, subject).then_some(&self.refusal)
    }
}
