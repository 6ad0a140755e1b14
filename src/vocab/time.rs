//! Monotonic time as the core sees it: a number it is told, never one it asks for.

use super::number::nanos;
use std::fmt;
use std::num::NonZeroU64;
use std::ops::{Add, AddAssign, Sub};
use std::time::Duration;

/// T1 in milliseconds: an estimate of the round trip, after which a request is repeated for the
/// first time (RFC 3261 §17.1.1.1). Every agent uses it as it stands in the RFC.
pub const T1_MS: u64 = 500;
pub const T1: Duration = Duration::from_millis(T1_MS);

/// A point in monotonic time: nanoseconds since an origin that the owner of the clock chooses.
///
/// Zero is excluded, so `Option<Time>` takes eight bytes. Wall-clock time exists only in the
/// `record` room, which maps a run's start to UTC once.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(NonZeroU64);

impl Time {
    /// The earliest representable time.
    pub const ORIGIN: Time = Time(NonZeroU64::MIN);
    /// Later than anything that happens.
    pub const NEVER: Time = Time(NonZeroU64::MAX);

    /// `nanos` nanoseconds after the clock's zero; zero itself becomes one.
    pub const fn from_nanos(nanos: u64) -> Self {
        match NonZeroU64::new(nanos) {
            Some(n) => Time(n),
            None => Time::ORIGIN,
        }
    }

    pub const fn from_millis(millis: u64) -> Self {
        Self::from_nanos(millis.saturating_mul(1_000_000))
    }

    pub const fn from_secs(secs: u64) -> Self {
        Self::from_nanos(secs.saturating_mul(1_000_000_000))
    }

    pub const fn as_nanos(self) -> u64 {
        self.0.get()
    }

    /// The span from `earlier` to `self`; zero when `earlier` is later.
    pub const fn since(self, earlier: Time) -> Duration {
        Duration::from_nanos(self.as_nanos().saturating_sub(earlier.as_nanos()))
    }

    /// Nanoseconds from `earlier` to `self`; zero when `earlier` is later.
    pub const fn nanos_since(self, earlier: Time) -> u64 {
        self.as_nanos().saturating_sub(earlier.as_nanos())
    }

    /// `self` moved back by `span`, not before the origin.
    pub fn saturating_sub(self, span: Duration) -> Time {
        Time::from_nanos(self.as_nanos().saturating_sub(nanos(span)))
    }
}

impl Add<Duration> for Time {
    type Output = Time;
    fn add(self, span: Duration) -> Time {
        Time::from_nanos(self.as_nanos().saturating_add(nanos(span)))
    }
}

impl AddAssign<Duration> for Time {
    fn add_assign(&mut self, span: Duration) {
        *self = *self + span;
    }
}

impl Sub<Time> for Time {
    type Output = Duration;
    fn sub(self, earlier: Time) -> Duration {
        self.since(earlier)
    }
}

impl fmt::Debug for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.6}s", self.as_nanos() as f64 / 1e9)
    }
}

const _: () = assert!(size_of::<Option<Time>>() == 8);
