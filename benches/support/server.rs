//! The embedded registrar without sockets, for a fleet of `support`.

use super::support::START;
use regstorm::registrar::{Config, KnownUsers, Registrar};
use regstorm::seed::Seed;
use regstorm::sip::Algorithm;
use regstorm::vocab::Secret;
use std::time::Duration;

/// A registrar that challenges with `algorithm` and knows everybody's password.
pub fn registrar(algorithm: Algorithm) -> Registrar {
    let config = Config {
        realm: "genesyscloud.test".into(),
        algorithms: vec![algorithm],
        users: KnownUsers::Anybody(Secret::new("secret")),
        min_expires_s: 5,
        max_expires_s: 3600,
        qop: Default::default(),
        userhash: false,
        nonce_lifetime: Duration::from_secs(300),
        faults: Vec::new(),
        max_contacts: None,
    };
    Registrar::new(config, Seed(7), START)
}
