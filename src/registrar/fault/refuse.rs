//! `refuse`: refused after correct credentials, whatever the request asks for, un-REGISTER
//! included.

use super::{FaultRefusal, FaultScope, FaultSubject};
use std::time::Duration;

#[derive(Debug)]
pub(super) struct Refuse {
    scope: FaultScope,
    refusal: FaultRefusal,
}

impl Refuse {
    pub(super) fn new(scope: FaultScope, refusal: FaultRefusal) -> Self {
        Refuse { scope, refusal }
    }

    pub(super) fn refusal(&self, elapsed: Duration, subject: &FaultSubject<'_>) -> Option<&FaultRefusal> {
        self.scope.covers(elapsed, subject).then_some(&self.refusal)
    }
}
