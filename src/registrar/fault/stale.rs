//! `stale`: every nonce is out of date, as behind a balancer whose registrars do not share theirs.
//!
//! Right credentials are challenged again with `stale=true`, without end; wrong ones without it,
//! since only a nonce being at fault makes it stale (RFC 7616 §3.3).

use super::{FaultScope, FaultSubject};
use std::time::Duration;

#[derive(Debug)]
pub(super) struct Stale(FaultScope);

impl Stale {
    pub(super) fn new(scope: FaultScope) -> Self {
        Stale(scope)
    }

    pub(super) fn covers(&self, elapsed: Duration, subject: &FaultSubject<'_>) -> bool {
        self.0.covers(elapsed, subject)
    }
}
