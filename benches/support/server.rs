//! The embedded registrar without sockets, for a fleet of `support`.

use super::support::START;
use regstorm::registrar::{Config, Registrar};
use regstorm::seed::Seed;
use regstorm::sip::Algorithm;

/// A registrar that challenges with `algorithm` and knows everybody's password.
pub fn registrar(algorithm: Algorithm) -> Registrar {
    let config = Config { algorithms: vec![algorithm], ..Config::open("genesyscloud.test", "secret") };
    Registrar::new(config, Seed(7), START)
}
