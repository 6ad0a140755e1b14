//! What the plan hands to the registrar: settings and faults, no behaviour.

pub use crate::link::Delay;
use crate::sip::Algorithm;
use crate::vocab::Secret;
use std::net::IpAddr;
use std::time::Duration;

/// The registrar's settings (`[registrar]` of a profile).
#[derive(Clone, Debug)]
pub struct Config {
    pub realm: String,
    /// Challenged in this order, one header each (RFC 8760 §2.3).
    pub algorithms: Vec<Algorithm>,
    /// Every user's password.
    pub password: Secret,
    pub min_expires_s: u32,
    pub max_expires_s: u32,
    pub nonce_lifetime: Duration,
    pub faults: Vec<Fault>,
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
    /// Only requests whose Request-URI host is this domain (the trunk's `domain`); `None`: all.
    pub domain: Option<String>,
}

#[derive(Clone, PartialEq, Debug)]
pub enum FaultKind {
    /// At most this many addresses of record bound at once; a further one is refused after correct credentials.
    Limit { concurrent: u32, code: u16, reason: String },
    /// Refused before any challenge (an IP whitelist).
    Deny { code: u16, reason: String },
    /// Refused after correct credentials.
    Refuse { code: u16, reason: String },
    /// The challenge names one realm, credentials are checked against another; those for any but the latter get 403.
    Realm { challenge: String, verify: String },
    /// Replies are held back.
    Delay(Delay),
    /// Each datagram, in either direction, is lost with this probability.
    Drop { probability: f64 },
    /// Nothing is answered in the window; what arrived then is handled at its end.
    Freeze,
}
