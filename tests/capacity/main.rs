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

use regstorm::agent::{Credential, IdentityBook, RetryPolicy, TrunkPolicy};
use regstorm::vocab::{Secret, TrunkId};

const DOMAIN: &str = "pbx.test";
const PASSWORD: &str = "secret";

fn policy() -> TrunkPolicy {
    TrunkPolicy { retry: RetryPolicy::ASTERISK, ..TrunkPolicy::plain(DOMAIN) }
}

fn agents(count: u32) -> IdentityBook {
    let mut identities = IdentityBook::default();
    let secret = identities.credential(Credential::Password(Secret::new(PASSWORD)));
    for n in 0..count {
        identities.push(TrunkId(0), n, &format!("agent{n:05}"), &format!("agent{n:05}"), secret);
    }
    identities
}
