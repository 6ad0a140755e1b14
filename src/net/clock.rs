//! The kernel's clocks: the only file that reads one.
//!
//! Monotonic time is handed to the core as [`Time`]; wall-clock time serves the record and the
//! mapping of receive timestamps, which the kernel takes on CLOCK_REALTIME.

use crate::vocab::Time;

/// Monotonic time with an origin of our own. Copies agree with each other, so one clock serves
/// every thread of a run.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    /// What is added to CLOCK_MONOTONIC, in nanoseconds, to make a `Time` of it.
    shift: i64,
}

/// One instant on both clocks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ClockPair {
    pub now: Time,
    /// Nanoseconds since 1970-01-01T00:00:00Z.
    pub unix_ns: u64,
}

impl Clock {
    /// A clock that stands at one second, which leaves room for what happened just before.
    #[expect(clippy::new_without_default, reason = "reading a clock should be visible at the call")]
    pub fn new() -> Self {
        // A machine that has been up for 292 years begins at time zero.
        Self { shift: LEAD_NS - i64::try_from(monotonic_ns()).unwrap_or(i64::MAX) }
    }

    pub fn now(&self) -> Time {
        self.time(monotonic_ns())
    }

    /// Reads both clocks at one instant, to within the time of a system call unless the thread is
    /// preempted three times in a row.
    pub fn sample(&self) -> ClockPair {
        let mut best = (u64::MAX, 0, 0);
        for _ in 0..3 {
            let before = monotonic_ns();
            let unix_ns = unix_ns();
            let gap = monotonic_ns() - before;
            if gap < best.0 {
                best = (gap, before + gap / 2, unix_ns);
            }
            if gap <= CLOSE_NS {
                break;
            }
        }
        ClockPair { now: self.time(best.1), unix_ns: best.2 }
    }

    /// When a datagram arrived, from its receive timestamp (CLOCK_REALTIME) and a moment sampled
    /// *after* it was received.
    ///
    /// Never later than `moment.now`. A stamp from the future, or more than 10 s old, means that
    /// the wall clock was set in between (or that the stamp is no such thing), and gives
    /// `moment.now`.
    pub fn from_kernel(&self, moment: &ClockPair, kernel_ns: u64) -> Time {
        match moment.unix_ns.checked_sub(kernel_ns) {
            Some(age) if age <= TRUSTED_AGE_NS => Time::from_nanos(moment.now.as_nanos().saturating_sub(age)),
            _ => moment.now,
        }
    }

    /// Nanoseconds since 1970-01-01T00:00:00Z, for the record only: this clock may be set back.
    pub fn unix_ns(&self) -> u64 {
        unix_ns()
    }

    fn time(&self, monotonic: u64) -> Time {
        Time::from_nanos(monotonic.saturating_add_signed(self.shift))
    }
}

/// For how long the machine has been suspended since it started, in nanoseconds: time that
/// [`Clock`] does not show. Too high by the time of a system call, or by what took the processor
/// from this thread five times in a row.
pub fn suspended_ns() -> u64 {
    let mut least = u64::MAX;
    for _ in 0..5 {
        let monotonic = monotonic_ns();
        let since_boot = read(libc::CLOCK_BOOTTIME);
        // Whatever happens between the two readings looks like a suspension, so the lowest is the
        // nearest to the truth.
        least = least.min(since_boot.saturating_sub(monotonic));
        if monotonic_ns() - monotonic <= CLOSE_NS {
            break;
        }
    }
    least
}

/// CPU time the calling thread has used, in nanoseconds.
pub fn thread_cpu_ns() -> u64 {
    read(libc::CLOCK_THREAD_CPUTIME_ID)
}

/// CLOCK_MONOTONIC in nanoseconds, for the short waits of this room.
pub(super) fn monotonic_ns() -> u64 {
    read(libc::CLOCK_MONOTONIC)
}

fn unix_ns() -> u64 {
    read(libc::CLOCK_REALTIME)
}

fn read(clock: libc::clockid_t) -> u64 {
    let mut value = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the kernel writes one timespec to `value`, which outlives the call. The clocks
    // used here exist in every Linux, so the call cannot fail; if it did, `value` would still be
    // initialised.
    unsafe { libc::clock_gettime(clock, &raw mut value) };
    nanos(value.tv_sec, value.tv_nsec)
}

/// Nanoseconds of a timespec; a time before its clock's zero counts as zero.
pub(super) fn nanos(seconds: i64, fraction: i64) -> u64 {
    u64::try_from(seconds.saturating_mul(1_000_000_000).saturating_add(fraction)).unwrap_or(0)
}

const LEAD_NS: i64 = 1_000_000_000;
/// Three clock reads take well under a microsecond; a wider gap means the thread lost the processor
/// in between.
const CLOSE_NS: u64 = 5_000;
const TRUSTED_AGE_NS: u64 = 10_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    const MOMENT: ClockPair = ClockPair { now: Time::from_secs(100), unix_ns: 1_800_000_000_000_000_000 };

    #[test]
    fn starts_at_one_second_and_never_runs_back() {
        let clock = Clock::new();
        let (first, second) = (clock.now(), clock.now());
        assert!(first >= Time::from_secs(1) && first < Time::from_secs(60), "{first:?}");
        assert!(second >= first);
        let moment = clock.sample();
        assert!(moment.now >= second && clock.now() >= moment.now);
    }

    #[test]
    fn a_stamp_is_placed_by_its_age() {
        let clock = Clock::new();
        assert_eq!(clock.from_kernel(&MOMENT, MOMENT.unix_ns), MOMENT.now);
        assert_eq!(clock.from_kernel(&MOMENT, MOMENT.unix_ns - 250_000), Time::from_nanos(100_000_000_000 - 250_000));
        assert_eq!(clock.from_kernel(&MOMENT, MOMENT.unix_ns - 10_000_000_000), Time::from_secs(90));
    }

    #[test]
    fn a_stamp_across_a_clock_step_is_distrusted() {
        let clock = Clock::new();
        for stamp in [MOMENT.unix_ns + 1, MOMENT.unix_ns - 10_000_000_001, 0, u64::MAX] {
            assert_eq!(clock.from_kernel(&MOMENT, stamp), MOMENT.now, "{stamp}");
        }
    }

    #[test]
    fn a_stamp_older_than_the_clock_is_the_origin() {
        let young = ClockPair { now: Time::from_secs(1), ..MOMENT };
        assert_eq!(Clock::new().from_kernel(&young, MOMENT.unix_ns - 5_000_000_000), Time::ORIGIN);
    }

    #[test]
    fn thread_time_grows_with_work() {
        let before = thread_cpu_ns();
        let mut sum = 0u64;
        while thread_cpu_ns() == before {
            sum = std::hint::black_box(sum.wrapping_add(1));
        }
        assert!(thread_cpu_ns() > before);
    }

    #[test]
    fn a_timespec_before_zero_is_zero() {
        assert_eq!(nanos(-1, 999_999_999), 0);
        assert_eq!(nanos(3, 7), 3_000_000_007);
    }
}
