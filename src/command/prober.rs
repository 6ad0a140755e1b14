//! Probes of a session: paced together, never more than a handful of messages a second over all
//! trunks.

use crate::agent::probe::{Call, ProbeOutcome, ProbeRequest};
use crate::diagnose::readiness::ProbeSeen;
use crate::engine::ProbeSocket;
use crate::load::Allowance;
use crate::net::clock::Clock;
use crate::seed::Seed;
use crate::vocab::{Time, saturating_u32};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// SIP messages in any second, retransmissions included.
pub(super) const MESSAGES_PER_SECOND: u32 = 20;

/// The most one exchange sends within a second. It has at most five requests (without credentials,
/// with those of the registrar, with those of a proxy, after a stale nonce, after a 423); before
/// each that is not the first of a second at most one retransmission, which takes T1 = 500 ms of
/// waiting.
pub(super) const MOST: u32 = 6;

/// What the probes of one session share.
pub(super) struct Prober {
    pub clock: Clock,
    seed: Seed,
    calls: AtomicU64,
    allowance: Mutex<Allowance>,
    stopped: AtomicBool,
}

impl Prober {
    pub(super) fn new(clock: Clock) -> Self {
        Self::paced(clock, MESSAGES_PER_SECOND)
    }

    /// One that may send so many messages in any second.
    pub(super) fn paced(clock: Clock, messages_per_second: u32) -> Self {
        // Drawn anew each time, so that no registrar takes a session's calls for those of an
        // earlier one.
        let seed = Seed(super::random_word());
        let allowance = Mutex::new(Allowance::new(messages_per_second));
        Prober { clock, seed, calls: AtomicU64::new(0), allowance, stopped: AtomicBool::new(false) }
    }

    /// From now on no exchange begins but those that are to take place whenever it may be.
    pub(super) fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    /// A Call-ID no other call of the session has.
    pub(super) fn call(&self) -> Call {
        Call::new(self.seed, self.calls.fetch_add(1, Ordering::Relaxed))
    }

    /// One exchange, as soon as the pace allows; `None` when it would not have begun before
    /// `until`, or when the prober was stopped; with [`Time::NEVER`] it takes place in any case.
    /// Blocks.
    pub(super) fn exchange(&self, socket: &mut ProbeSocket, request: &ProbeRequest, until: Time) -> Option<ProbeSeen> {
        loop {
            let now = self.clock.now();
            if now >= until || until != Time::NEVER && self.is_stopped() {
                return None;
            }
            match self.with(|allowance| allowance.begin(now, MOST)) {
                Ok(()) => break,
                // A socket that cannot be waited for will fail in the exchange, and be reported.
                Err(again) => drop(socket.rest(again.min(until))),
            }
        }
        let outcome = socket.exchange(request);
        let moment = self.clock.sample();
        self.with(|allowance| allowance.end(moment.now, MOST, sent(&outcome)));
        Some(ProbeSeen { outcome, unix_ns: moment.unix_ns })
    }

    fn with<T>(&self, act: impl FnOnce(&mut Allowance) -> T) -> T {
        // Numbers only: whoever panicked left no half of a change behind.
        act(&mut self.allowance.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn sent(outcome: &ProbeOutcome) -> u32 {
    saturating_u32(outcome.steps.len()) + outcome.retransmissions()
}
