//! The timers of a transaction (RFC 3261 §17 and table 4). Anything that must wait out a whole
//! exchange takes its duration from here.

use crate::vocab::T1;
use std::time::Duration;

/// What all other timers follow from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Timers {
    /// An estimate of the round trip; the first retransmission comes after it.
    pub t1: Duration,
    /// The longest wait between two retransmissions.
    pub t2: Duration,
    /// How long a message may stay in the network.
    pub t4: Duration,
}

impl Timers {
    /// The values of RFC 3261 table 4, which every agent uses.
    pub const DEFAULT: Timers = Timers { t1: T1, t2: Duration::from_secs(4), t4: Duration::from_secs(5) };

    /// Timer F in T1.
    pub const F_IN_T1: u32 = 64;

    /// Timer F, 64·T1: a request without a final answer for this long has none.
    pub const fn f(&self) -> Duration {
        self.t1.saturating_mul(Self::F_IN_T1)
    }

    /// Timer J, 64·T1: how long the answering side may still meet copies of a request.
    pub const fn j(&self) -> Duration {
        self.f()
    }
}

impl Default for Timers {
    fn default() -> Self {
        Timers::DEFAULT
    }
}

/// [`Timers::f`] of [`Timers::DEFAULT`] in nanoseconds, for those who count in them.
pub const TIMER_F_NS: u64 = 32_000_000_000;

const _: () = assert!(Timers::DEFAULT.f().as_nanos() == TIMER_F_NS as u128);
