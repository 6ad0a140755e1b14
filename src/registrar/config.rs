//! What the plan hands to the registrar: settings and faults, no behaviour.

use crate::sip::Algorithm;
pub use crate::sip::Credential;
use crate::vocab::Secret;
pub use crate::vocab::{Delay, FaultKind, LimitScope, OfferedQop};
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// The registrar's settings (`[registrar]` of a profile).
#[derive(Clone, Debug)]
pub struct Config {
    pub realm: String,
    /// Challenged in this order, one header each (RFC 8760 §2.3).
    pub algorithms: Vec<Algorithm>,
    pub qop: OfferedQop,
    /// Challenges ask for names that are hashed (RFC 7616 §3.4.4).
    pub userhash: bool,
    pub users: KnownUsers,
    /// `None`: a new contact beyond [`MAX_CONTACTS`](super::MAX_CONTACTS) pushes out the oldest.
    pub max_contacts: Option<MaxContacts>,
    pub min_expires_s: u32,
    pub max_expires_s: u32,
    pub nonce_lifetime: Duration,
    pub faults: Vec<Fault>,
}

impl Config {
    /// A registrar of this realm that knows everybody by one password: SHA-256 before MD5,
    /// lifetimes from five seconds to an hour, nonces of five minutes, no faults.
    pub fn open(realm: &str, password: &str) -> Self {
        Config {
            realm: realm.to_owned(),
            algorithms: vec![Algorithm::Sha256, Algorithm::Md5],
            qop: OfferedQop::default(),
            userhash: false,
            users: KnownUsers::Anybody(Secret::new(password)),
            max_contacts: None,
            min_expires_s: 5,
            max_expires_s: 3_600,
            nonce_lifetime: Duration::from_secs(300),
            faults: Vec::new(),
        }
    }
}

/// Whom a registrar knows, and what proves them.
#[derive(Clone, Debug)]
pub enum KnownUsers {
    /// Everybody, by one password.
    Anybody(Secret),
    /// These alone, by authentication name.
    Listed(Arc<HashMap<Vec<u8>, Credential>>),
    /// Those of each domain (the host of the Request-URI, in lower case), and nobody elsewhere.
    ByDomain(Arc<HashMap<Vec<u8>, KnownUsers>>),
}

impl KnownUsers {
    /// Whether any name will do in this domain.
    pub fn is_anybody(&self, domain: &str) -> bool {
        match self {
            KnownUsers::Anybody(_) => true,
            KnownUsers::Listed(_) => false,
            KnownUsers::ByDomain(domains) => {
                domains.get(domain.to_ascii_lowercase().as_bytes()).is_some_and(|users| users.is_anybody(domain))
            }
        }
    }
}

impl KnownUsers {
    /// Each name there is, where there are names.
    pub(super) fn each_name(&self, each: &mut impl FnMut(&[u8])) {
        match self {
            KnownUsers::Anybody(_) => {}
            KnownUsers::Listed(users) => users.keys().for_each(|name| each(name)),
            KnownUsers::ByDomain(domains) => domains.values().for_each(|users| users.each_name(each)),
        }
    }
}

/// The most contacts of one address of record, and the code one more is refused with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MaxContacts {
    pub contacts: u32,
    pub code: u16,
}

/// One `[[registrar.fault]]`.
#[derive(Clone, PartialEq, Debug)]
pub struct Fault {
    pub kind: FaultKind,
    /// Active from this long after the start.
    pub from: Duration,
    /// Until this long after the start; `None`: to the end.
    pub until: Option<Duration>,
    /// Share of agents hit, chosen by a hash of the user, in [0, 1].
    pub share: f64,
    /// Only requests from these addresses; empty: all.
    pub sources: Vec<IpAddr>,
    /// Only requests to these addresses, of the several a trunk's name leads to; empty: all.
    pub addresses: Vec<IpAddr>,
    /// Only requests whose Request-URI host is this domain (the trunk's `domain`); `None`: all.
    pub domain: Option<String>,
}
