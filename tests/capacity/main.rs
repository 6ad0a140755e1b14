//! The rate a registrar carries, found by the search for limits: registrars of known capacity that
//! share no line with the product, with one server and with several, whose times of service are
//! fixed or drawn; and those that look like overload and are none.

#[path = "../worlds/far.rs"]
mod far;
#[path = "../support/near.rs"]
mod near;
mod really;
#[path = "../support/side/mod.rs"]
mod side;
#[path = "../support/mod.rs"]
mod support;
mod virtually;

use regstorm::agent::{Credential, IdentityBook, RealmPolicy, RetryPolicy, TrunkPolicy};
use regstorm::sip::{Algorithm, AlgorithmSet, Timers};
use regstorm::vocab::{Secret, TrunkId};

const DOMAIN: &str = "pbx.test";
const PASSWORD: &str = "secret";

fn policy() -> TrunkPolicy {
    TrunkPolicy {
        domain: DOMAIN.into(),
        realm: None,
        realm_policy: RealmPolicy::Expect,
        algorithms: Algorithm::ALL.into_iter().fold(AlgorithmSet::EMPTY, AlgorithmSet::with),
        expires_s: 3_600,
        refresh_at: 0.9,
        reuse_nonce: true,
        retry: RetryPolicy::ASTERISK,
        timers: Timers::default(),
        checks: regstorm::agent::CheckPolicy::NONE,
    }
}

fn agents(count: u32) -> IdentityBook {
    let mut identities = IdentityBook::default();
    let secret = identities.credential(Credential::Password(Secret::new(PASSWORD)));
    for n in 0..count {
        identities.push(TrunkId(0), n, &format!("agent{n:05}"), &format!("agent{n:05}"), secret);
    }
    identities
}
