//! What an embedded registrar does wrong on purpose: a profile says it, the registrar does it.
//!
//! A fault serialises under the keys of a profile.

use super::duration::{as_text, as_text_pair, format_duration};
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
