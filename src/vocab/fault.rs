//! What an embedded registrar does wrong on purpose: a profile says it, the registrar does it.
//!
//! A fault serialises under the keys of a profile.

use super::duration::{as_text, as_text_pair, format_duration};
use super::flow::FlowLoss;
use super::words;
use serde::{Serialize, Serializer};
use std::time::Duration;

/// What goes wrong.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum FaultKind {
    /// At most this many addresses of record bound at once, counted over `scope`; a further one is
    /// refused after correct credentials.
    Limit { concurrent: u32, scope: LimitScope, code: u16, reason: String },
    /// At most this many REGISTER transactions open at once; a further one is refused before any
    /// challenge.
    Transactions { concurrent: u32, code: u16, reason: String },
    /// Registrations beyond a rate are refused after correct credentials: `burst` at once, then
    /// `per_second`. The refusal carries `Retry-After` (RFC 3261 §20.33) when there is one, in
    /// seconds.
    Rate {
        per_second: f64,
        burst: u32,
        code: u16,
        reason: String,
        #[serde(rename = "retry_after", serialize_with = "as_seconds", skip_serializing_if = "Option::is_none")]
        retry_after_s: Option<u32>,
    },
    /// Refused before any challenge (an IP whitelist).
    Deny { code: u16, reason: String },
    /// Refused after correct credentials.
    Refuse { code: u16, reason: String },
    /// The challenge names one realm, credentials are checked against another; those for any but
    /// the latter get 403.
    Realm { challenge: String, verify: String },
    /// Right credentials are answered with 401 and `stale=true`, without end.
    Stale,
    /// Credentials are answered with a plain 401, without end.
    ChallengeAgain,
    /// Half a period up, half a period refused after correct credentials; counted from the start.
    Oscillate {
        #[serde(serialize_with = "as_text")]
        period: Duration,
        code: u16,
        reason: String,
    },
    /// Replies are held back.
    Delay(Delay),
    /// Each datagram, in either direction, is lost with this probability.
    Drop { probability: f64 },
    /// Each datagram, in either direction, arrives twice with this probability.
    Duplicate { probability: f64 },
    /// Each datagram, in either direction, is held with this probability for up to `delay`, so that
    /// others overtake it.
    Reorder {
        probability: f64,
        #[serde(serialize_with = "as_text")]
        delay: Duration,
    },
    /// Each reply is made unreadable with this probability.
    Corrupt { probability: f64 },
    /// Nothing is answered in the window; what arrived then is handled at its end.
    Freeze,
    /// A connection is reset as soon as so many bytes of messages came over it; the message that
    /// makes them full is not answered.
    Reset { bytes: u64 },
    /// A connection is taken up only `delay` after it came, and no more than `per_second` are:
    /// until then nothing that comes over it is read, and TLS is not answered.
    SlowAccept {
        #[serde(serialize_with = "as_text")]
        delay: Duration,
        #[serde(skip_serializing_if = "Option::is_none")]
        per_second: Option<f64>,
    },
    /// A connection is forgotten `after` it was opened, as by a machine that lost its power: what
    /// comes over it is not answered, and nobody says that it has ended.
    HalfOpen {
        #[serde(serialize_with = "as_text")]
        after: Duration,
    },
    /// Connections over TLS are shown another certificate than the registrar's own.
    Certificate { shows: ShownCertificate },
    /// Away in the window: every connection is reset at its beginning, new ones are refused and
    /// datagrams are lost until its end. `forget`: the bindings are lost too.
    Restart { forget: bool },
    /// A connection over which nothing came for so long is closed.
    CloseIdle {
        #[serde(serialize_with = "as_text")]
        idle: Duration,
    },
}

impl FaultKind {
    /// Whether it concerns connections, of which nobody knows whose they are when they come.
    pub fn is_of_connections(&self) -> bool {
        matches!(
            self,
            FaultKind::Reset { .. }
                | FaultKind::SlowAccept { .. }
                | FaultKind::HalfOpen { .. }
                | FaultKind::Certificate { .. }
                | FaultKind::Restart { .. }
                | FaultKind::CloseIdle { .. }
        )
    }
}

words! {
    /// What is wrong with the certificate that a registrar shows.
    pub enum ShownCertificate {
        Expired = "expired",
        WrongName = "wrong-name",
        UnknownCa = "unknown-ca",
    }
}

impl ShownCertificate {
    /// What a client that checks it says.
    pub const fn loss(self) -> FlowLoss {
        match self {
            ShownCertificate::Expired => FlowLoss::CertificateTime,
            ShownCertificate::WrongName => FlowLoss::CertificateName,
            ShownCertificate::UnknownCa => FlowLoss::CertificateIssuer,
        }
    }
}

words! {
    /// Over what a limit of the registrar counts.
    #[derive(Default)]
    pub enum LimitScope {
        /// Over everyone the fault concerns.
        #[default]
        Trunk = "trunk",
        /// For each name in the credentials by itself.
        Account = "account",
        /// For each source address by itself.
        Source = "source",
    }
}

/// A distribution of delays; `link` draws from it.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Delay {
    #[serde(serialize_with = "as_text")]
    Fixed(Duration),
    /// Between the two, evenly.
    #[serde(serialize_with = "as_text_pair")]
    Uniform(Duration, Duration),
    /// `median`·e^(`sigma`·z) with z normal: most packets near the median, a long tail above it.
    Lognormal {
        #[serde(serialize_with = "as_text")]
        median: Duration,
        sigma: f64,
    },
}

fn as_seconds<S: Serializer>(seconds: &Option<u32>, serializer: S) -> Result<S::Ok, S::Error> {
    seconds.map(|seconds| format_duration(Duration::from_secs(seconds.into()))).serialize(serializer)
}
