//! How long an agent waits before it tries again (RFC 5626 §4.5 and the presets' own rules), before
//! it refreshes, and before it begins.

use super::policy::{Backoff, Codes, RetryAfter, RetryPolicy, WholeSeconds};
use crate::vocab::floor_u64;
use std::time::Duration;

/// What failed, as far as the wait is concerned.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Setback {
    /// A code the client takes for temporary, no answer, transport.
    Recoverable,
    /// 403.
    Forbidden,
    /// Any other refusal.
    Refused,
}

impl Setback {
    /// The class of a final response; `None` is no response at all.
    pub fn of_code(code: Option<u16>, temporary: Codes) -> Setback {
        match code {
            None => Setback::Recoverable,
            Some(403) => Setback::Forbidden,
            Some(code) if temporary.contains(code) => Setback::Recoverable,
            Some(_) => Setback::Refused,
        }
    }
}

/// The wait before the next retry, or `None` for never.
///
/// `consecutive` counts failures since the last 2xx, this one included (from 1); `draw` is a number
/// in `[0, 1)`. What `Retry-After` does is the policy's.
pub fn wait(
    policy: &RetryPolicy,
    failure: Setback,
    consecutive: u32,
    retry_after: Option<Duration>,
    draw: f64,
) -> Option<Duration> {
    if is_ordered(policy, retry_after) {
        return retry_after;
    }
    if policy.max.is_some_and(|max| consecutive > max) {
        return None;
    }
    let backoff = match failure {
        Setback::Recoverable => policy.first.filter(|_| consecutive == 1).unwrap_or(policy.recoverable),
        Setback::Forbidden => policy.forbidden,
        Setback::Refused => policy.refused,
    };
    let own = match backoff {
        Backoff::Never => return None,
        Backoff::Fixed { interval, jitter } => interval.mul_f64((1.0 + jitter * (2.0 * draw - 1.0)).max(0.0)),
        Backoff::UpTo(most) => most.mul_f64(draw),
        Backoff::Exponential { base, cap, jitter } => {
            let upper = base.saturating_mul(1 << consecutive.min(20)).min(cap);
            upper.mul_f64(1.0 - jitter * draw)
        }
    };
    match retry_after {
        Some(after) if policy.retry_after == RetryAfter::Replaces => Some(after.max(SHORTEST_ASKED)),
        _ => Some(own),
    }
}

/// The shortest wait that a server can ask for. `Retry-After: 0` would have every agent of a load
/// send as fast as it is refused; what a profile writes itself stands.
pub const SHORTEST_ASKED: Duration = Duration::from_secs(1);

/// Whether `Retry-After` alone decides, so that the retry is not counted. "0" is no order.
pub fn is_ordered(policy: &RetryPolicy, retry_after: Option<Duration>) -> bool {
    policy.retry_after == RetryAfter::Always && retry_after.is_some_and(|after| !after.is_zero())
}

/// The widest spread of refresh times to either side, as a share of the lifetime.
const REFRESH_SPREAD: f64 = 0.05;

/// When to refresh a lifetime: at `share` of it, spread to both sides by half of what remains, at
/// most by 5 %, so that agents that registered together drift apart and none refreshes too late.
/// `draw` lies in `[0, 1)`.
pub(super) fn at_share(granted: Duration, share: f64, draw: f64) -> Duration {
    let spread = ((1.0 - share) / 2.0).min(REFRESH_SPREAD);
    granted.mul_f64((share + spread * (2.0 * draw - 1.0)).clamp(0.0, 1.0))
}

/// When to refresh a lifetime `margin` before its end (see [`super::Refresh::Before`]).
pub fn before_end(granted: Duration, margin: Duration, least: Duration) -> Duration {
    let early = granted.saturating_sub(margin);
    let wait = if early >= least {
        early
    } else if granted > least {
        least
    } else {
        granted.saturating_sub(Duration::from_secs(1))
    };
    wait.max(SHORTEST_REFRESH)
}

/// pjsua's own bound (`MIN_REFRESH_MSEC`). Asterisk has none and sends without a pause, which we do
/// not imitate: a lifetime of ten seconds or less would have each agent send as fast as it is
/// answered.
const SHORTEST_REFRESH: Duration = Duration::from_millis(500);

impl WholeSeconds {
    /// The wait for a `draw` in `[0, 1)`.
    pub fn wait(self, draw: f64) -> Duration {
        let span = f64::from(self.most - self.least) + 1.0;
        Duration::from_secs(u64::from(self.least) + floor_u64(draw * span))
    }
}

#[cfg(test)]
mod tests {
    use super::super::policy::Refresh;
    use super::*;

    const RFC: RetryPolicy = RetryPolicy::RFC;
    const HAMMER: RetryPolicy = RetryPolicy::HAMMER;

    /// The wait of a preset after a code, in seconds at both ends of the draw.
    fn seconds(policy: &RetryPolicy, code: Option<u16>, consecutive: u32, after: Option<u64>) -> Option<(f64, f64)> {
        let failure = Setback::of_code(code, policy.temporary);
        let after = after.map(Duration::from_secs);
        let at = |draw| wait(policy, failure, consecutive, after, draw).map(|wait| wait.as_secs_f64());
        Some(((at(0.0)? * 1e3).round() / 1e3, (at(1.0)? * 1e3).round() / 1e3))
    }

    /// What pjsua's and Asterisk's own sources repeat, and what they do not.
    #[test]
    fn clients_repeat_what_their_sources_repeat() {
        for code in [None, Some(408), Some(480), Some(500), Some(502), Some(503), Some(504), Some(600), Some(603)] {
            assert_eq!(seconds(&RetryPolicy::PJSUA, code, 1, None), Some((0.0, 10.0)), "{code:?}: the first at once");
            assert_eq!(seconds(&RetryPolicy::PJSUA, code, 2, None), Some((290.0, 310.0)), "{code:?}");
            assert_eq!(seconds(&RetryPolicy::PJSUA, code, 99, Some(7)), Some((290.0, 310.0)), "{code:?}");
            let asterisk = (code != Some(480)).then_some((60.0, 60.0));
            assert_eq!(seconds(&RetryPolicy::ASTERISK, code, 1, None), asterisk, "{code:?}");
            assert_eq!(seconds(&RetryPolicy::ASTERISK, code, 10, None), asterisk, "{code:?}");
            assert_eq!(seconds(&RetryPolicy::ASTERISK, code, 11, None), None, "{code:?}: ten retries");
        }
        for code in [300, 400, 401, 403, 404, 407, 423, 486, 501, 505, 513] {
            assert_eq!(seconds(&RetryPolicy::PJSUA, Some(code), 1, None), None, "{code}");
            assert_eq!(seconds(&RetryPolicy::ASTERISK, Some(code), 1, None), None, "{code}");
            assert_eq!(seconds(&RetryPolicy::PJSUA, Some(code), 1, Some(7)), None, "{code}");
            assert_eq!(seconds(&RetryPolicy::ASTERISK, Some(code), 99, Some(7)), Some((7.0, 7.0)), "{code}");
            assert_eq!(seconds(&RetryPolicy::ASTERISK, Some(code), 1, Some(0)), None, "{code}");
        }
    }

    #[test]
    fn clients_refresh_when_their_sources_do() {
        let wait = |policy: RetryPolicy, granted| match policy.refresh {
            Refresh::Before { margin, least } => before_end(Duration::from_millis(granted), margin, least).as_millis(),
            Refresh::Share | Refresh::Exactly => panic!("{} refreshes by share", policy.preset),
        };
        let pjsua = [3_600_000, 60_000, 10_000, 8_000, 6_000, 5_000, 2_000, 1_000, 0];
        assert_eq!(
            pjsua.map(|granted| wait(RetryPolicy::PJSUA, granted)),
            [3_595_000, 55_000, 5_000, 5_000, 5_000, 4_000, 1_000, 500, 500]
        );
        let asterisk = [3_600_000, 60_000, 11_000, 10_000, 5_000, 0];
        assert_eq!(
            asterisk.map(|granted| wait(RetryPolicy::ASTERISK, granted)),
            [3_590_000, 50_000, 1_000, 500, 500, 500]
        );
    }

    #[test]
    fn asterisk_begins_after_one_to_ten_whole_seconds() {
        let start = RetryPolicy::ASTERISK.start.expect("it waits");
        let waits: Vec<u64> = (0..20).map(|n| start.wait(f64::from(n) / 20.0).as_secs()).collect();
        assert_eq!(waits, [1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10]);
    }

    /// RFC 5626 §4.5: with a base of 30 s the first wait lies in 30–60 s, the third in 120–240 s,
    /// never above 1 800 s.
    #[test]
    fn rfc_5626_doubles_up_to_its_cap() {
        for (consecutive, upper) in [(1, 60), (2, 120), (3, 240), (4, 480), (5, 960), (6, 1800), (30, 1800)] {
            let longest = wait(&RFC, Setback::Recoverable, consecutive, None, 0.0);
            let shortest = wait(&RFC, Setback::Recoverable, consecutive, None, 1.0);
            assert_eq!(longest, Some(Duration::from_secs(upper)), "after failure {consecutive}");
            assert_eq!(shortest, Some(Duration::from_secs(upper) / 2), "after failure {consecutive}");
        }
    }

    #[test]
    fn rfc_never_repeats_a_refusal() {
        for code in [300, 400, 401, 403, 404, 407, 423, 480, 486, 600, 603] {
            let failure = Setback::of_code(Some(code), RFC.temporary);
            assert_eq!(wait(&RFC, failure, 1, Some(Duration::from_secs(5)), 0.5), None, "{code}");
        }
        for code in [None, Some(408), Some(500), Some(503), Some(599)] {
            assert!(wait(&RFC, Setback::of_code(code, RFC.temporary), 1, None, 0.5).is_some(), "{code:?}");
        }
    }

    #[test]
    fn retry_after_wins_only_where_it_is_honoured() {
        let after = Some(Duration::from_secs(7));
        assert_eq!(wait(&RFC, Setback::Recoverable, 3, after, 0.5), after);
        assert_eq!(wait(&HAMMER, Setback::Recoverable, 3, after, 0.5), Some(Duration::from_secs(1)));
    }

    #[test]
    fn no_server_can_ask_for_a_loop_without_a_pause() {
        for policy in [RFC, RetryPolicy::PJSUA, RetryPolicy::ASTERISK] {
            for (consecutive, draw) in [(1, 0.5), (2, 0.0), (9, 0.99)] {
                let asked = wait(&policy, Setback::Recoverable, consecutive, Some(Duration::ZERO), draw);
                assert!(asked.is_none_or(|wait| wait >= SHORTEST_ASKED), "{} {consecutive}: {asked:?}", policy.preset);
            }
        }
        assert_eq!(wait(&RFC, Setback::Recoverable, 1, Some(Duration::ZERO), 0.5), Some(SHORTEST_ASKED));
        let own = Backoff::Fixed { interval: Duration::from_millis(100), jitter: 0.0 };
        let written = RetryPolicy { recoverable: own, ..HAMMER };
        let asked = wait(&written, Setback::Recoverable, 1, Some(Duration::ZERO), 0.5);
        assert_eq!(asked, Some(Duration::from_millis(100)), "what the profile writes stands");
    }

    #[test]
    fn hammer_repeats_whatever_the_answer() {
        for code in [None, Some(401), Some(403), Some(404), Some(423), Some(503), Some(603)] {
            let failure = Setback::of_code(code, HAMMER.temporary);
            assert_eq!(wait(&HAMMER, failure, 99, None, 0.9), Some(Duration::from_secs(1)), "{code:?}");
        }
    }

    #[test]
    fn max_counts_retries_since_the_last_success() {
        let policy = RetryPolicy { max: Some(2), ..HAMMER };
        assert!(wait(&policy, Setback::Forbidden, 2, None, 0.0).is_some());
        assert_eq!(wait(&policy, Setback::Forbidden, 3, None, 0.0), None);
        assert_eq!(wait(&RetryPolicy { max: Some(0), ..HAMMER }, Setback::Forbidden, 1, None, 0.0), None);
    }

    #[test]
    fn jitter_spreads_both_ways() {
        let spread = Backoff::Fixed { interval: Duration::from_secs(10), jitter: 0.1 };
        let policy = RetryPolicy { recoverable: spread, ..HAMMER };
        let millis = |draw| wait(&policy, Setback::Recoverable, 1, None, draw).expect("retries").as_millis();
        assert_eq!((millis(0.0), millis(0.5), millis(1.0)), (9000, 10000, 11000));
    }
}
