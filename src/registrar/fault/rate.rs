//! `rate`: so many registrations per second and no more; one beyond is refused after correct
//! credentials.
//!
//! A registration is a request that makes or refreshes a binding. Challenges, queries, removals and
//! retransmissions of what was done already cost nothing, so `per_second` is what a user counts,
//! not half of it for the handshake. A refused request costs nothing either: the bucket refills
//! whatever the demand.

use super::{FaultRefusal, FaultScope, FaultSubject};
use crate::vocab::Time;
use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

#[derive(Debug)]
pub(super) struct RateLimit {
    scope: FaultScope,
    refusal: FaultRefusal,
    clock: LimiterClock,
    /// `None`: a rate of nothing at all.
    limiter: Option<RateLimiter<NotKeyed, InMemoryState, LimiterClock, NoOpMiddleware<Nanos>>>,
}

impl RateLimit {
    /// `per_second` may be a fraction; `burst` registrations may come at once, at least one.
    pub(super) fn new(scope: FaultScope, per_second: f64, burst: u32, refusal: FaultRefusal) -> Self {
        let clock = LimiterClock::default();
        let burst = NonZeroU32::new(burst).unwrap_or(NonZeroU32::MIN);
        let period = Duration::try_from_secs_f64(per_second.recip()).ok();
        let quota = period.and_then(Quota::with_period).map(|quota| quota.allow_burst(burst));
        let limiter = quota.map(|quota| RateLimiter::direct_with_clock(quota, clock.clone()));
        RateLimit { scope, refusal, clock, limiter }
    }

    /// The refusal of one more registration; `None` takes it into account.
    pub(super) fn refusal(&self, now: Time, elapsed: Duration, subject: &FaultSubject<'_>) -> Option<&FaultRefusal> {
        if !self.scope.covers(elapsed, subject) {
            return None;
        }
        self.clock.0.store(now.as_nanos(), Ordering::Relaxed);
        let admitted = self.limiter.as_ref().is_some_and(|limiter| limiter.check().is_ok());
        (!admitted).then_some(&self.refusal)
    }
}

/// A clock that repeats the time it was told.
#[derive(Clone, Default, Debug)]
struct LimiterClock(Arc<AtomicU64>);

impl Clock for LimiterClock {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        Nanos::from(self.0.load(Ordering::Relaxed))
    }
}
