//! How often a thread turns when there is always something to do.
//!
//! Waking a thread costs the kernel several microseconds at each end, more than the work for one
//! datagram. At low rates that is the price of answering and sending on time. At high rates the
//! next datagram is never far, and a thread that rests until a few have come handles them in one
//! turn, and sends the replies in one call (with UDP GSO, even as one datagram). So a thread to
//! which more than one datagram comes per [`FREQUENT`] rests for a [`QUANTUM`] between turns; below
//! that rate nothing is held up, except for two milliseconds after a burst of more than [`CREDIT`].
//!
//! What it costs is known: at most a quantum of schedule lag and of reaction time, at rates where
//! both are spread wider by the machine itself. Arrival times of answers come from the kernel and
//! do not move.

use crate::vocab::Time;
use std::time::Duration;

/// How long a busy thread rests between two turns.
pub(super) const QUANTUM: Duration = Duration::from_micros(200);
/// The mean time between datagrams below which a thread is busy: 5 500 a second, those of 2 750
/// challenged registrations. Two threads that share 5 000 registrations/s are not.
const FREQUENT: Duration = Duration::from_micros(180);
/// Datagrams that may come at once before a thread counts as busy.
const CREDIT: u32 = 64;
/// How long a busy thread goes on resting when nothing comes: two that answer each other, both
/// resting, see nothing for a few quanta at a time, and would otherwise wake for each datagram they
/// send.
const LULL: Duration = Duration::from_millis(2);

/// The tempo of one thread: a leaky bucket of datagrams.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tempo {
    /// When the bucket will be empty.
    empty: Time,
}

impl Tempo {
    pub(super) fn new() -> Self {
        Tempo { empty: Time::ORIGIN }
    }

    /// A turn that received so many datagrams ended at `now`: how long to rest before the next, if
    /// at all.
    pub(super) fn rest(&mut self, now: Time, datagrams: usize) -> Option<Duration> {
        let full = FREQUENT * CREDIT;
        let more = FREQUENT * u32::try_from(datagrams).unwrap_or(u32::MAX).min(2 * CREDIT);
        self.empty = (self.empty.max(now) + more).min(now + full + LULL);
        (self.empty.since(now) > full).then_some(QUANTUM)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many of `turns` turns are followed by a rest when datagrams come one by one, `gap`
    /// apart.
    fn rests(gap: Duration, turns: u32) -> u32 {
        let (mut tempo, mut now, mut handled) = (Tempo::new(), Time::from_secs(1), Time::from_secs(1));
        let mut rests = 0;
        for _ in 0..turns {
            now += gap;
            let came = (now.since(handled).as_nanos() / gap.as_nanos()) as usize;
            handled += gap * came as u32;
            if let Some(rest) = tempo.rest(now, came) {
                rests += 1;
                now += rest;
            }
        }
        rests
    }

    #[test]
    fn a_thread_that_is_not_busy_never_rests() {
        assert_eq!(rests(FREQUENT, 10_000), 0);
        assert_eq!(rests(Duration::from_millis(5), 1_000), 0);
    }

    #[test]
    fn a_busy_thread_rests_between_its_turns() {
        let busy = rests(Duration::from_micros(10), 1_000);
        assert!((900..1_000).contains(&busy), "{busy}");
    }

    #[test]
    fn a_busy_thread_rests_through_a_lull_and_not_much_longer() {
        let mut tempo = Tempo::new();
        let start = Time::from_secs(1);
        tempo.rest(start, 1_000);
        let mut now = start;
        while tempo.rest(now, 0).is_some() {
            now += QUANTUM;
        }
        let rested = now.since(start);
        assert!((LULL..LULL + 2 * QUANTUM).contains(&rested), "{rested:?}");
    }

    #[test]
    fn a_burst_passes_and_a_flood_is_forgotten_soon() {
        let mut tempo = Tempo::new();
        let now = Time::from_secs(1);
        assert_eq!(tempo.rest(now, CREDIT as usize), None);
        assert_eq!(tempo.rest(now, 1_000_000), Some(QUANTUM));
        assert_eq!(tempo.rest(now + Duration::from_millis(5), 1), None);
    }
}
