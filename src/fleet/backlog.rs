//! Whether so many wait for an answer that nobody else should begin.
//!
//! How long the open requests will take follows from their number and the pace of answers. Beyond a
//! limit new phones are held back, so a registrar can be offered more than it can bear without an
//! ever-growing queue and without requests that are repeated only because they had to wait: each
//! repeat would take a part of the very capacity that is measured.

use crate::vocab::Time;
use std::time::Duration;

/// What waits, and how fast it is answered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Backlog {
    /// Offered per second.
    rate: f64,
    /// The longest that those open may take to be answered.
    wait: Duration,
    /// When the first answer came, and how long that took.
    first: Option<(Time, Duration)>,
    answered: usize,
}

/// Fewer answers say nothing about their pace.
const LEAST_ANSWERED: usize = 10;
/// So many may be open in any case: beside a handful of servers a queue must have somebody in it.
const LEAST_OPEN: f64 = 12.0;

impl Backlog {
    pub(super) fn new(rate: f64, wait: Duration) -> Self {
        Backlog { rate, wait, first: None, answered: 0 }
    }

    /// An answer came `took` after its phone had begun.
    pub(super) fn answered(&mut self, at: Time, took: Duration) {
        self.first.get_or_insert((at, took));
        self.answered += 1;
    }

    /// Whether `open` phones are as many as may wait.
    pub(super) fn is_full(&self, open: usize, now: Time) -> bool {
        let most = self.pace(now) * self.wait.as_secs_f64();
        open as f64 >= most.max(LEAST_OPEN)
    }

    /// Answers per second; as many as are offered until that can be told.
    fn pace(&self, now: Time) -> f64 {
        let Some((first, took)) = self.first else { return self.rate };
        let since = now.since(first);
        // Several servers answer their first requests together: that is not their pace.
        if self.answered < LEAST_ANSWERED || since < took {
            return self.rate;
        }
        ((self.answered - 1) as f64 / since.as_secs_f64().max(f64::MIN_POSITIVE)).min(self.rate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn ms(millis: u64) -> Time {
        Time::from_millis(1_000 + millis)
    }

    /// One answer each 20 ms, the first at 20 ms.
    fn fifty_a_second(until: u64) -> Backlog {
        let mut backlog = Backlog::new(200.0, 400 * MS);
        (1..=until / 20).for_each(|n| backlog.answered(ms(n * 20), 20 * MS));
        backlog
    }

    #[test]
    fn as_many_may_wait_as_are_answered_in_the_time() {
        let backlog = fifty_a_second(1_000);
        assert_eq!([19, 20, 21].map(|open| backlog.is_full(open, ms(1_000))), [false, true, true]);
    }

    #[test]
    fn before_there_is_a_pace_the_rate_offered_counts() {
        assert_eq!([79, 80].map(|open| Backlog::new(200.0, 400 * MS).is_full(open, ms(500))), [false, true]);
        assert_eq!([79, 80].map(|open| fifty_a_second(100).is_full(open, ms(100))), [false, true]);
    }

    #[test]
    fn slow_answers_that_come_as_fast_as_they_are_asked_for_fill_nothing() {
        // 200 a second, each after 300 ms: 60 are open all the time.
        let mut backlog = Backlog::new(200.0, 600 * MS);
        for n in 0..400 {
            let at = ms(300 + n * 5);
            backlog.answered(at, 300 * MS);
            assert!(!backlog.is_full(61, at), "answer {n}");
        }
    }
}
