//! `deny`: refused before any challenge, as a registrar does that knows its clients by address.
//!
//! It answers every method: a client that is not on the list is refused OPTIONS too.

use super::{Refusal, Scope, Subject};
use std::time::Duration;

#[derive(Debug)]
pub(super) struct Deny {
    scope: Scope,
    refusal: Refusal,
}

impl Deny {
    pub fn new(scope: Scope, refusal: Refusal) -> Self {
        Deny { scope, refusal }
    }

    pub fn refusal(&self, elapsed: Duration, subject: &Subject<'_>) -> Option<&Refusal> {
        self.scope.covers(elapsed, subject).then_some(&self.refusal)
    }
}
