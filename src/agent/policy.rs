//! How the agents of one trunk behave: what the plan hands to this room.

pub use super::exchange::Patience;
use crate::sip::challenge::{Role, Unusable};
use crate::sip::{AlgorithmSet, Timers};
pub use crate::vocab::{OnIcmp, RealmPolicy, RetryAfter};
use std::time::Duration;

/// How the wait before a retry grows.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Backoff {
    /// W = min(`cap`, `base`·2^k) after the k-th consecutive failure, the wait drawn from
    /// `[1-jitter, 1]`·W (RFC 5626 §4.5).
    Exponential { base: Duration, cap: Duration, jitter: f64 },
    /// `interval`, spread by ±`jitter`.
    Fixed { interval: Duration, jitter: f64 },
    /// Anything from nothing to this.
    UpTo(Duration),
    /// Never.
    Never,
}

impl Backoff {
    /// The mean wait once it has grown, in seconds; `None` for never.
    pub fn steady_s(self) -> Option<f64> {
        match self {
            Backoff::Exponential { cap, jitter, .. } => Some(cap.as_secs_f64() * (1.0 - jitter / 2.0)),
            Backoff::Fixed { interval, .. } => Some(interval.as_secs_f64()),
            Backoff::UpTo(most) => Some(most.as_secs_f64() / 2.0),
            Backoff::Never => None,
        }
    }
}

/// A set of response codes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Codes {
    pub listed: &'static [u16],
    /// First digits of whole classes.
    pub classes: &'static [u16],
}

impl Codes {
    pub fn contains(self, code: u16) -> bool {
        self.listed.contains(&code) || self.classes.contains(&(code / 100))
    }
}

/// When a granted lifetime is refreshed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refresh {
    /// After the trunk's `refresh_at`, spread a little.
    Share,
    /// After the trunk's `refresh_at`, to the moment: agents that registered together refresh
    /// together.
    Exactly,
    /// `margin` before its end, but not sooner than `least` after the 2xx; a lifetime that is no
    /// longer than `least` is refreshed one second before its end.
    Before { margin: Duration, least: Duration },
}

/// What a client does when the connection under its binding is lost while it rests.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AfterLoss {
    /// It registers again after the wait that follows a transport failure.
    AsFailure,
    /// It registers again at once.
    AtOnce,
    /// Nothing before its refresh.
    AtRefresh,
}

/// A wait of whole seconds, drawn evenly from both ends inclusive.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct WholeSeconds {
    pub least: u32,
    pub most: u32,
}

/// How a client behaves around its attempts: what it does after a failed one, when it refreshes,
/// when it begins.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct RetryPolicy {
    /// The preset's name, for reports.
    pub preset: &'static str,
    /// Refusals that pass by themselves; no answer and transport failures always do, 403 never.
    pub temporary: Codes,
    /// Wait before the first retry after a 2xx (or after the arrival), where it differs from
    /// `recoverable`.
    pub first: Option<Backoff>,
    /// Wait after `temporary` codes, timeout and transport failures.
    pub recoverable: Backoff,
    /// Wait after 403; `Never` for most clients (RFC 3261 §21.4.4).
    pub forbidden: Backoff,
    /// Wait after every other refusal (3xx, other 4xx, unusable challenges).
    pub refused: Backoff,
    pub retry_after: RetryAfter,
    /// Retries since the last 2xx; `None` is unlimited.
    pub max: Option<u32>,
    pub refresh: Refresh,
    /// Between arrival and first REGISTER; the attempt is planned for its end. `None`: at once.
    pub start: Option<WholeSeconds>,
    pub after_loss: AfterLoss,
    pub on_icmp: OnIcmp,
    pub patience: Patience,
    /// Whether it uses a nonce twice by itself; what a trunk's agents do is
    /// [`TrunkPolicy::reuse_nonce`].
    pub reuse_nonce: bool,
    /// Where nonces are used again, also by a retry, unless that follows a 403.
    pub retry_with_nonce: bool,
}

impl RetryPolicy {
    /// RFC 5626 §4.5 for what passes by itself, RFC 3261 §21.4 for what does not.
    pub const RFC: RetryPolicy = RetryPolicy {
        preset: "rfc",
        temporary: Codes { listed: &[408], classes: &[5] },
        first: None,
        recoverable: Backoff::Exponential {
            base: Duration::from_secs(30),
            cap: Duration::from_secs(1_800),
            jitter: 0.5,
        },
        forbidden: Backoff::Never,
        refused: Backoff::Never,
        retry_after: RetryAfter::Replaces,
        max: None,
        refresh: Refresh::Share,
        start: None,
        after_loss: AfterLoss::AsFailure,
        on_icmp: OnIcmp::Heed,
        patience: Patience::RFC,
        reuse_nonce: true,
        retry_with_nonce: false,
    };

    /// pjsua as in pjproject 2.17-dev, commit b7317ff of 2026-08-20.
    ///
    /// `pjsua_acc.c`, `regc_cb`: 408, 480, 500, 502, 503, 504 and 6xx are repeated; silence is a
    /// 408 and a transport failure a 503 there; `Retry-After` is not read.
    /// `schedule_reregistration`: until an automatic retry has been made since the last 2xx the
    /// wait is `reg_first_retry_interval` (0) whatever failed, and a wait shorter than
    /// `reg_retry_random_interval` (10 s) is drawn from nothing to that; afterwards it is
    /// `reg_retry_interval` (300 s) ± 10 s. `sip_reg.c`, `schedule_registration`: refresh 5 s
    /// before the end, not sooner than 5 s after the 2xx, and one second before the end of a
    /// shorter lifetime.
    ///
    /// As captured of 2.15.1: ICMP is not looked at; no nonce is used twice, so that a refresh is a
    /// full handshake; a registrar that challenges without end, with two algorithms and a fresh
    /// nonce each time, draws 6 REGISTERs, or 4 when it says `stale=true` or offers one algorithm;
    /// the same nonce again without `stale` ends it at once.
    pub const PJSUA: RetryPolicy = RetryPolicy {
        preset: "pjsua",
        temporary: Codes { listed: &[408, 480, 500, 502, 503, 504], classes: &[6] },
        first: Some(Backoff::UpTo(Duration::from_secs(10))),
        recoverable: Backoff::Fixed { interval: Duration::from_secs(300), jitter: 10.0 / 300.0 },
        forbidden: Backoff::Never,
        refused: Backoff::Never,
        retry_after: RetryAfter::Ignored,
        max: None,
        refresh: Refresh::Before { margin: Duration::from_secs(5), least: Duration::from_secs(5) },
        start: None,
        after_loss: AfterLoss::AsFailure,
        on_icmp: OnIcmp::Ignore,
        patience: Patience { challenges: 6, stales: 4, only_fresh: true },
        reuse_nonce: false,
        retry_with_nonce: false,
    };

    /// Asterisk's `res_pjsip_outbound_registration.c`, commit f0c1c1a of 2026-08-06 (between 23.4
    /// and 23.5).
    ///
    /// `sip_outbound_registration_is_temporal`: 408, 500, 502, 503, 504 and 6xx, and 401/407 only
    /// without `auth_rejection_permanent`, which is on. `handle_registration_response`: a
    /// `Retry-After` other than 0 on any refusal is obeyed before anything else is looked at and
    /// counts no retry; else `retry_interval` (60 s) up to `max_retries` (10) since the last 2xx;
    /// 403 after `forbidden_retry_interval` (0: never); other refusals after `fatal_retry_interval`
    /// (0: never). Refresh `REREGISTER_BUFFER_TIME` (10 s) before the end, a shorter lifetime at
    /// once. The first REGISTER 1 to 10 whole seconds after the start (`max_random_initial_delay`).
    ///
    /// As captured of 22.10: ICMP is not looked at, so that whatever is not answered is sent again
    /// every 92 s (Timer F and 60 s); no nonce is used twice; of a second challenge nothing is
    /// answered, whether it is stale or not.
    pub const ASTERISK: RetryPolicy = RetryPolicy {
        preset: "asterisk",
        temporary: Codes { listed: &[408, 500, 502, 503, 504], classes: &[6] },
        first: None,
        recoverable: Backoff::Fixed { interval: Duration::from_secs(60), jitter: 0.0 },
        forbidden: Backoff::Never,
        refused: Backoff::Never,
        retry_after: RetryAfter::Always,
        max: Some(10),
        refresh: Refresh::Before { margin: Duration::from_secs(10), least: Duration::ZERO },
        start: Some(WholeSeconds { least: 1, most: 10 }),
        after_loss: AfterLoss::AtOnce,
        on_icmp: OnIcmp::Ignore,
        patience: Patience { challenges: 2, stales: 2, only_fresh: false },
        reuse_nonce: false,
        retry_with_nonce: false,
    };

    /// baresip 1.1 with libre 2.0, `src/sipreg/reg.c`, and as captured.
    ///
    /// `response_handler`: whatever failed, a refusal of any sort, silence or the 16th challenge of
    /// one attempt (`sip_request_loops`), is repeated after the back-off of RFC 5626 §4.5
    /// (`failwait`); `Retry-After` is not read. Refresh at 90 % of the lifetime to the moment,
    /// with the nonce used before, as has a retry, but a 403 makes it forget its nonce. ICMP is not
    /// looked at. A connection that is lost is opened by the next refresh.
    pub const BARESIP: RetryPolicy = RetryPolicy {
        preset: "baresip",
        forbidden: RetryPolicy::RFC.recoverable,
        refused: RetryPolicy::RFC.recoverable,
        retry_after: RetryAfter::Ignored,
        refresh: Refresh::Exactly,
        after_loss: AfterLoss::AtRefresh,
        on_icmp: OnIcmp::Ignore,
        patience: Patience { challenges: 16, stales: 16, only_fresh: false },
        retry_with_nonce: true,
        ..RetryPolicy::RFC
    };

    /// Again every second, whatever the answer.
    pub const HAMMER: RetryPolicy = RetryPolicy {
        preset: "hammer",
        recoverable: EVERY_SECOND,
        forbidden: EVERY_SECOND,
        refused: EVERY_SECOND,
        retry_after: RetryAfter::Ignored,
        ..RetryPolicy::RFC
    };

    /// One attempt.
    pub const NONE: RetryPolicy = RetryPolicy {
        preset: "none",
        recoverable: Backoff::Never,
        retry_after: RetryAfter::Ignored,
        max: Some(0),
        after_loss: AfterLoss::AtRefresh,
        ..RetryPolicy::RFC
    };
}

const EVERY_SECOND: Backoff = Backoff::Fixed { interval: Duration::from_secs(1), jitter: 0.0 };

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
    pub checks: CheckPolicy,
}

/// What agents ask besides registering.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct CheckPolicy {
    /// The share of the agents that ask now and then for their bindings.
    pub audit: f64,
    /// The time between two OPTIONS of an agent.
    pub qualify: Option<Duration>,
}

impl CheckPolicy {
    pub const NONE: CheckPolicy = CheckPolicy { audit: 0.0, qualify: None };
}

impl TrunkPolicy {
    /// A policy that a profile without any of these keys would mean, but for the retries: every
    /// algorithm, an hour asked for, nothing expected of the realm, no retry.
    pub fn plain(domain: &str) -> Self {
        TrunkPolicy {
            domain: domain.to_owned(),
            realm: None,
            realm_policy: RealmPolicy::Expect,
            algorithms: AlgorithmSet::ALL,
            expires_s: 3_600,
            refresh_at: 0.9,
            reuse_nonce: true,
            retry: RetryPolicy::NONE,
            timers: Timers::default(),
            checks: CheckPolicy::NONE,
        }
    }

    /// The realm to answer a challenge with. What a profile says of the realm is said of the
    /// registrar's: a proxy before it has one of its own (RFC 3261 §22.3).
    pub(super) fn answered_realm<'a>(&'a self, role: Role, challenged: &'a [u8]) -> Result<&'a [u8], Unusable> {
        match (self.realm_policy, &self.realm) {
            _ if role == Role::Proxy => Ok(challenged),
            (RealmPolicy::Force, Some(realm)) => Ok(realm.as_bytes()),
            (RealmPolicy::Require, Some(realm)) if realm.as_bytes() != challenged => Err(Unusable::Realm),
            _ => Ok(challenged),
        }
    }
}
