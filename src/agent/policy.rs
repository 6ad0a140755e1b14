//! How the agents of one trunk behave: what the plan hands to this room.

use crate::sip::AlgorithmSet;
use std::time::Duration;

/// What to do with the challenged realm.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum RealmPolicy {
    /// Answer with the realm as challenged; a difference is for the diagnosis.
    #[default]
    Expect,
    /// Another realm than the configured one is a protocol error.
    Require,
    /// Header and HA1 use the configured realm whatever was challenged.
    Force,
}

/// RFC 3261 §17.1.2.2 and table 4.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Timers {
    pub t1: Duration,
    pub t2: Duration,
    pub t4: Duration,
}

impl Timers {
    /// Timer F: 64·T1.
    pub const fn f(&self) -> Duration {
        self.t1.saturating_mul(64)
    }
}

impl Default for Timers {
    fn default() -> Self {
        Timers { t1: Duration::from_millis(500), t2: Duration::from_secs(4), t4: Duration::from_secs(5) }
    }
}

/// How the wait before a retry grows.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Backoff {
    /// W = min(`cap`, `base`·2^k) after the k-th consecutive failure, the wait drawn from `[1-jitter, 1]`·W
    /// (RFC 5626 §4.5).
    Exponential { base: Duration, cap: Duration, jitter: f64 },
    /// `interval`, spread by ±`jitter`.
    Fixed { interval: Duration, jitter: f64 },
    /// Never.
    Never,
}

/// What an agent does after a failed attempt.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct RetryPolicy {
    /// The preset's name, for reports.
    pub preset: &'static str,
    /// Wait after 408, 5xx, timeout and transport failures.
    pub recoverable: Backoff,
    /// Wait after 403; `Never` for most clients (RFC 3261 §21.4.4).
    pub forbidden: Backoff,
    /// Wait after every other refusal (3xx, other 4xx, 6xx, unusable challenges).
    pub refused: Backoff,
    /// Whether `Retry-After` overrides the wait; ignored ones are counted.
    pub honour_retry_after: bool,
    /// Retries since the last 2xx; `None` is unlimited.
    pub max: Option<u32>,
}

/// One trunk's policy.
#[derive(Clone, Debug)]
pub struct TrunkPolicy {
    /// Request-URI and address of record: `sip:{domain}`, `sip:user@{domain}`.
    pub domain: String,
    pub realm: Option<String>,
    pub realm_policy: RealmPolicy,
    pub algorithms: AlgorithmSet,
    /// Lifetime asked for, whole seconds.
    pub expires_s: u32,
    /// Share of the granted lifetime after which to refresh, in (0, 1).
    pub refresh_at: f64,
    /// Carry the last nonce with nc+1 in the first REGISTER of a refresh.
    pub reuse_nonce: bool,
    pub retry: RetryPolicy,
    pub timers: Timers,
}
