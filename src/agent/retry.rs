//! How long an agent waits before it tries again (RFC 5626 §4.5 and the presets' own rules).

use super::policy::{Backoff, RetryPolicy};
use std::time::Duration;

/// What failed, as far as the wait is concerned.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Failure {
    /// 408, 5xx, no answer, transport.
    Recoverable,
    /// 403.
    Forbidden,
    /// Any other refusal.
    Refused,
}

impl Failure {
    /// The class of a final response; `None` is no response at all.
    pub fn of_code(code: Option<u16>) -> Failure {
        match code {
            None | Some(408 | 500..=599) => Failure::Recoverable,
            Some(403) => Failure::Forbidden,
            Some(_) => Failure::Refused,
        }
    }
}

/// The wait before the next retry, or `None` for never.
///
/// `consecutive` counts failures since the last 2xx, this one included (from 1); `draw` is a number in `[0, 1)`.
/// `Retry-After` wins where the preset repeats at all and honours it.
pub fn wait(
    policy: &RetryPolicy,
    failure: Failure,
    consecutive: u32,
    retry_after: Option<Duration>,
    draw: f64,
) -> Option<Duration> {
    if policy.max.is_some_and(|max| consecutive > max) {
        return None;
    }
    let backoff = match failure {
        Failure::Recoverable => policy.recoverable,
        Failure::Forbidden => policy.forbidden,
        Failure::Refused => policy.refused,
    };
    let own = match backoff {
        Backoff::Never => return None,
        Backoff::Fixed { interval, jitter } => interval.mul_f64((1.0 + jitter * (2.0 * draw - 1.0)).max(0.0)),
        Backoff::Exponential { base, cap, jitter } => {
            let upper = base.saturating_mul(1 << consecutive.min(20)).min(cap);
            upper.mul_f64(1.0 - jitter * draw)
        }
    };
    match retry_after {
        Some(after) if policy.honour_retry_after => Some(after),
        _ => Some(own),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RFC: RetryPolicy = RetryPolicy {
        preset: "rfc",
        recoverable: Backoff::Exponential {
            base: Duration::from_secs(30),
            cap: Duration::from_secs(1800),
            jitter: 0.5,
        },
        forbidden: Backoff::Never,
        refused: Backoff::Never,
        honour_retry_after: true,
        max: None,
    };
    const HAMMER: RetryPolicy = RetryPolicy {
        preset: "hammer",
        recoverable: Backoff::Fixed { interval: Duration::from_secs(1), jitter: 0.0 },
        forbidden: Backoff::Fixed { interval: Duration::from_secs(1), jitter: 0.0 },
        refused: Backoff::Fixed { interval: Duration::from_secs(1), jitter: 0.0 },
        honour_retry_after: false,
        max: None,
    };

    /// RFC 5626 §4.5: with a base of 30 s the first wait lies in 30–60 s, the third in 120–240 s, never above 1 800 s.
    #[test]
    fn rfc_5626_doubles_up_to_its_cap() {
        for (consecutive, upper) in [(1, 60), (2, 120), (3, 240), (4, 480), (5, 960), (6, 1800), (30, 1800)] {
            let longest = wait(&RFC, Failure::Recoverable, consecutive, None, 0.0);
            let shortest = wait(&RFC, Failure::Recoverable, consecutive, None, 1.0);
            assert_eq!(longest, Some(Duration::from_secs(upper)), "after failure {consecutive}");
            assert_eq!(shortest, Some(Duration::from_secs(upper) / 2), "after failure {consecutive}");
        }
    }

    #[test]
    fn rfc_never_repeats_a_refusal() {
        for code in [300, 400, 401, 403, 404, 407, 423, 480, 486, 600, 603] {
            let failure = Failure::of_code(Some(code));
            assert_eq!(wait(&RFC, failure, 1, Some(Duration::from_secs(5)), 0.5), None, "{code}");
        }
        for code in [None, Some(408), Some(500), Some(503), Some(599)] {
            assert!(wait(&RFC, Failure::of_code(code), 1, None, 0.5).is_some(), "{code:?}");
        }
    }

    #[test]
    fn retry_after_wins_only_where_it_is_honoured() {
        let after = Some(Duration::from_secs(7));
        assert_eq!(wait(&RFC, Failure::Recoverable, 3, after, 0.5), after);
        assert_eq!(wait(&HAMMER, Failure::Recoverable, 3, after, 0.5), Some(Duration::from_secs(1)));
    }

    #[test]
    fn hammer_repeats_whatever_the_answer() {
        for code in [None, Some(401), Some(403), Some(404), Some(423), Some(503), Some(603)] {
            assert_eq!(wait(&HAMMER, Failure::of_code(code), 99, None, 0.9), Some(Duration::from_secs(1)), "{code:?}");
        }
    }

    #[test]
    fn max_counts_retries_since_the_last_success() {
        let policy = RetryPolicy { max: Some(2), ..HAMMER };
        assert!(wait(&policy, Failure::Forbidden, 2, None, 0.0).is_some());
        assert_eq!(wait(&policy, Failure::Forbidden, 3, None, 0.0), None);
        assert_eq!(wait(&RetryPolicy { max: Some(0), ..HAMMER }, Failure::Forbidden, 1, None, 0.0), None);
    }

    #[test]
    fn jitter_spreads_both_ways() {
        let spread = Backoff::Fixed { interval: Duration::from_secs(10), jitter: 0.1 };
        let policy = RetryPolicy { recoverable: spread, ..HAMMER };
        let millis = |draw| wait(&policy, Failure::Recoverable, 1, None, draw).expect("retries").as_millis();
        assert_eq!((millis(0.0), millis(0.5), millis(1.0)), (9000, 10000, 11000));
    }
}
