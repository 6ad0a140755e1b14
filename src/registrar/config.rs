//! What the plan hands to the registrar: settings and faults, no behaviour.

pub use crate::link::Delay;
use crate::sip::{Algorithm, Ha1};
use crate::vocab::Secret;
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
    /// Every user's password, unless `users` names them.
    pub password: Secret,
    /// What proves each user, by authentication name; nobody else is known. `None`: everybody is.
    pub users: Option<Arc<HashMap<Vec<u8>, Credential>>>,
    /// `None`: a new contact beyond [`MAX_CONTACTS`](super::MAX_CONTACTS) pushes out the oldest.
    pub max_contacts: Option<MaxContacts>,
    pub min_expires_s: u32,
    pub max_expires_s: u32,
    pub nonce_lifetime: Duration,
    pub faults: Vec<Fault>,
}

/// What proves a user.
#[derive(Clone, Debug)]
pub enum Credential {
    Password(Secret),
    /// For the realm checked against, and for the algorithms of its length only.
    Ha1(Ha1),
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
    /// Only requests whose Request-URI host is this domain (the trunk's `domain`); `None`: all.
    pub domain: Option<String>,
}

/// Over what a limit counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum LimitScope {
    /// Over everyone the fault concerns.
    #[default]
    Trunk,
    /// For each name in the credentials by itself.
    Account,
    /// For each source address by itself.
    Source,
}

#[derive(Clone, PartialEq, Debug)]
pub enum FaultKind {
    /// At most this many addresses of record bound at once, counted over `scope`; a further one is refused after correct
    /// credentials.
    Limit { concurrent: u32, scope: LimitScope, code: u16, reason: String },
    /// At most this many REGISTER transactions open at once; a further one is refused before any challenge.
    Transactions { concurrent: u32, code: u16, reason: String },
    /// Registrations beyond a rate are refused after correct credentials: `burst` at once, then `per_second`. The
    /// refusal carries `Retry-After` (RFC 3261 §20.33) when there is one, in seconds.
    Rate { per_second: f64, burst: u32, code: u16, reason: String, retry_after_s: Option<u32> },
    /// Refused before any challenge (an IP whitelist).
    Deny { code: u16, reason: String },
    /// Refused after correct credentials.
    Refuse { code: u16, reason: String },
    /// The challenge names one realm, credentials are checked against another; those for any but the latter get 403.
    Realm { challenge: String, verify: String },
    /// Right credentials are answered with 401 and `stale=true`, without end.
    Stale,
    /// Credentials are answered with a plain 401, without end.
    ChallengeAgain,
    /// Half a period up, half a period refused after correct credentials; counted from the start.
    Oscillate { period: Duration, code: u16, reason: String },
    /// Replies are held back.
    Delay(Delay),
    /// Each datagram, in either direction, is lost with this probability.
    Drop { probability: f64 },
    /// Each datagram, in either direction, arrives twice with this probability.
    Duplicate { probability: f64 },
    /// Each datagram, in either direction, is held with this probability for up to `delay`, so that others overtake it.
    Reorder { probability: f64, delay: Duration },
    /// Each reply is made unreadable with this probability.
    Corrupt { probability: f64 },
    /// Nothing is answered in the window; what arrived then is handled at its end.
    Freeze,
}
