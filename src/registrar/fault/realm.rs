//! `realm`: the challenge names one realm, credentials are checked against another.
//!
//! Credentials for any realm but the one checked against, the challenged one included, are answered
//! 403 `Forbidden`: the registrar looks for a user of its realm and finds none. Credentials for the
//! right realm are checked as always, so a wrong password still gives 401.

use super::{FaultScope, FaultSubject};
use crate::registrar::authenticate::{Realm, RealmPair};
use std::time::Duration;

#[derive(Debug)]
pub(super) struct OtherRealm {
    scope: FaultScope,
    challenge: Realm,
    verify: Realm,
}

impl OtherRealm {
    pub(super) fn new(scope: FaultScope, challenge: &str, verify: &str) -> Self {
        OtherRealm { scope, challenge: Realm::new(challenge), verify: Realm::new(verify) }
    }

    pub(super) fn protection(&self, elapsed: Duration, subject: &FaultSubject<'_>) -> Option<RealmPair<'_>> {
        self.scope.covers(elapsed, subject).then_some(RealmPair {
            challenge: &self.challenge,
            verify: &self.verify,
            forbid_others: true,
        })
    }
}
