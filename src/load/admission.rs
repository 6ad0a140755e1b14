//! The hard ceiling on messages: it refuses and counts, it never delays.
//!
//! `governor` does the arithmetic (GCRA), on a clock of ours that repeats the time it was given, so
//! that the same code runs in real and in virtual time. Each worker enforces its own share of the
//! ceiling: agents, and so their messages, are striped over workers, and none waits for another.

use super::stripe::Stripe;
use crate::vocab::Time;
use governor::clock::{Clock, Reference};
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::ops::Add;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// One worker's share of `[safety] max_message_rate`.
#[derive(Debug)]
pub struct Ceiling {
    clock: ToldClock,
    /// `None`: this worker's share is nothing at all.
    limiter: Option<RateLimiter<NotKeyed, InMemoryState, ToldClock, NoOpMiddleware<Instant>>>,
    /// What was let pass in the last second.
    lately: LastSecond,
    /// Of that: answers to requests of others.
    answers: LastSecond,
    /// Messages that a second may carry.
    share: usize,
}

impl Ceiling {
    /// `rate` messages per second over all workers: no second, wherever it begins, carries more. A
    /// tenth of a second's worth may go at once.
    pub fn new(rate: u32, stripe: Stripe, start: Time) -> Self {
        let clock = ToldClock(Arc::new(AtomicU64::new(start.as_nanos())));
        let limiter = NonZeroU32::new(stripe.count(rate)).map(|share| {
            let burst = NonZeroU32::new(share.get() / 10).unwrap_or(NonZeroU32::MIN);
            RateLimiter::direct_with_clock(Quota::per_second(share).allow_burst(burst), clock.clone())
        });
        let share = stripe.count(rate) as usize;
        Ceiling { clock, limiter, lately: LastSecond::default(), answers: LastSecond::default(), share }
    }

    /// Whether one more message may be sent at `now`.
    pub fn admit(&mut self, now: Time) -> bool {
        self.clock.0.store(now.as_nanos(), Ordering::Relaxed);
        self.lately.forget(now);
        if self.lately.held >= self.share {
            return false;
        }
        let admits = self.limiter.as_ref().is_some_and(|limiter| limiter.check().is_ok());
        if admits {
            self.lately.hold(now);
        }
        admits
    }

    /// Whether a request of somebody else's may be answered at `now`. Answers have a tenth of the
    /// ceiling (one a second at least) and no more, so that whoever floods us with requests takes
    /// the place of no REGISTER of a load that leaves more than this tenth free.
    pub fn admit_answer(&mut self, now: Time) -> bool {
        self.lately.forget(now);
        self.answers.forget(now);
        let admits = self.lately.held < self.share && self.answers.held < (self.share / ANSWERS).max(1);
        if admits {
            self.lately.hold(now);
            self.answers.hold(now);
        }
        admits
    }
}

/// How many messages the last second held.
#[derive(Debug)]
struct LastSecond {
    /// Oldest first.
    admitted: VecDeque<Slice>,
    held: usize,
}

impl Default for LastSecond {
    fn default() -> Self {
        LastSecond { admitted: VecDeque::with_capacity(SLICES), held: 0 }
    }
}

impl LastSecond {
    fn forget(&mut self, now: Time) {
        while let Some(oldest) = self.admitted.front().filter(|oldest| now.since(oldest.last) >= SECOND) {
            self.held -= oldest.count;
            self.admitted.pop_front();
        }
    }

    fn hold(&mut self, now: Time) {
        self.held += 1;
        match self.admitted.back_mut().filter(|slice| now.since(slice.first) < SLICE) {
            Some(slice) => (slice.last, slice.count) = (now, slice.count + 1),
            None => self.admitted.push_back(Slice { first: now, last: now, count: 1 }),
        }
    }
}

/// Messages admitted within a thousandth of a second. They are let go together, with the last of
/// them: a time for each would take memory by the rate.
#[derive(Debug)]
struct Slice {
    first: Time,
    last: Time,
    count: usize,
}

/// One part in so many of the ceiling is for answers.
const ANSWERS: usize = 10;
const SECOND: Duration = Duration::from_secs(1);
const SLICE: Duration = Duration::from_millis(1);
/// More than begin in one second.
const SLICES: usize = 1_024;

/// A clock that repeats the time it was told.
#[derive(Clone, Debug)]
struct ToldClock(Arc<AtomicU64>);

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Instant(u64);

impl Clock for ToldClock {
    type Instant = Instant;

    fn now(&self) -> Instant {
        Instant(self.0.load(Ordering::Relaxed))
    }
}

impl Reference for Instant {
    fn duration_since(&self, earlier: Self) -> Nanos {
        Nanos::from(self.0.saturating_sub(earlier.0))
    }

    fn saturating_sub(&self, duration: Nanos) -> Self {
        Instant(self.0.saturating_sub(duration.as_u64()))
    }
}

impl Add<Nanos> for Instant {
    type Output = Instant;

    fn add(self, duration: Nanos) -> Instant {
        Instant(self.0.saturating_add(duration.as_u64()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn it_lets_the_rate_pass_and_refuses_the_rest() {
        let start = Time::from_secs(1);
        let mut ceiling = Ceiling::new(1000, Stripe::WHOLE, start);
        // Twice the rate for ten seconds, evenly.
        let passed = (0..20_000u64).filter(|n| ceiling.admit(start + Duration::from_micros(500 * n))).count();
        assert!((10_000..=10_101).contains(&passed), "{passed}");
    }

    proptest! {
        /// Messages wanted in bursts and pauses of any kind.
        #[test]
        fn no_second_carries_more(rate in 1u32..300, wants in proptest::collection::vec((0u64..400, 1u32..400), 1..60)) {
            let mut ceiling = Ceiling::new(rate, Stripe::WHOLE, Time::from_secs(1));
            let (mut now, mut sent) = (Time::from_secs(1), Vec::new());
            for (pause, wanted) in wants {
                now += Duration::from_millis(pause);
                let may = |n: u32| if n.is_multiple_of(3) { ceiling.admit_answer(now) } else { ceiling.admit(now) };
                sent.extend((0..wanted).map(may).filter(|admits| *admits).map(|_| now));
            }
            for (n, from) in sent.iter().enumerate() {
                let within = sent[n..].iter().take_while(|at| at.since(*from) < SECOND).count();
                prop_assert!(within <= rate as usize, "{within} in one second");
            }
        }
    }

    #[test]
    fn a_flood_of_requests_takes_a_tenth_and_stops_no_register() {
        let start = Time::from_secs(1);
        let mut ceiling = Ceiling::new(1000, Stripe::WHOLE, start);
        let (mut answered, mut refused) = (0, 0);
        // Ten requests of others for each of 850 REGISTERs a second.
        for n in 0..8_500u64 {
            let now = start + Duration::from_micros(n * 1_176);
            answered += (0..10).filter(|_| ceiling.admit_answer(now)).count();
            refused += usize::from(!ceiling.admit(now));
        }
        assert_eq!(refused, 0);
        assert!((950..=1_100).contains(&answered), "{answered} in ten seconds");
        let mut small = Ceiling::new(5, Stripe::WHOLE, start);
        assert!(small.admit_answer(start) && !small.admit_answer(start), "one a second at least");
    }

    #[test]
    fn a_burst_is_at_most_a_tenth_of_a_second() {
        let start = Time::from_secs(1);
        let mut ceiling = Ceiling::new(1000, Stripe::WHOLE, start);
        assert_eq!((0..5000).filter(|_| ceiling.admit(start)).count(), 100);
    }

    #[test]
    fn workers_share_it() {
        let start = Time::from_secs(1);
        let passed = |rate| -> usize {
            (0..4)
                .map(|worker| {
                    let mut ceiling = Ceiling::new(rate, Stripe { worker, workers: 4 }, start);
                    (0..10_000u64).filter(|n| ceiling.admit(start + Duration::from_millis(*n))).count()
                })
                .sum()
        };
        assert!((398..=404).contains(&(passed(40))), "{}", passed(40));
        assert!(passed(2) <= 22, "two workers have a share of one, the others none: {}", passed(2));
    }
}
