//! A pace for single exchanges: each begins at least so long after the one before.

use crate::vocab::Time;
use std::time::Duration;

/// When the next exchange may begin.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    gap: Duration,
    next: Time,
}

impl Pace {
    /// At most so many beginnings per second; `per_second` is above zero.
    pub fn new(per_second: f64) -> Self {
        Pace { gap: Duration::from_secs_f64(1.0 / per_second), next: Time::ORIGIN }
    }

    /// From one beginning to the next.
    pub const fn gap(&self) -> Duration {
        self.gap
    }

    /// When an exchange that is wanted at `now`, and not before `pause` has passed, begins; the
    /// next one begins a gap later or later still.
    pub fn begin(&mut self, now: Time, pause: Duration) -> Time {
        let at = (now + pause).max(self.next);
        self.next = at + self.gap;
        at
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn beginnings_keep_their_distance() {
        let mut pace = Pace::new(4.0);
        let at = |ms| Time::from_millis(ms);
        assert_eq!(pace.begin(at(1_000), Duration::ZERO), at(1_000));
        assert_eq!(pace.begin(at(1_010), Duration::ZERO), at(1_250), "too early");
        assert_eq!(pace.begin(at(2_000), Duration::ZERO), at(2_000), "what was not used is not saved up");
        assert_eq!(pace.begin(at(2_010), Duration::from_secs(5)), at(7_010));
        assert_eq!(pace.begin(at(7_020), Duration::ZERO), at(7_260));
    }

    proptest! {
        #[test]
        fn no_second_holds_more_than_the_rate(waits in proptest::collection::vec(0u64..200, 1..200)) {
            let mut pace = Pace::new(20.0);
            let mut now = Time::from_secs(1);
            let mut begun = Vec::new();
            for wait in waits {
                // An exchange takes some time, and the next is wanted at its end.
                now = pace.begin(now, Duration::ZERO) + Duration::from_millis(wait);
                begun.push(now.saturating_sub(Duration::from_millis(wait)));
            }
            prop_assert!(begun.windows(2).all(|pair| pair[1].since(pair[0]) >= Duration::from_millis(50)));
        }
    }
}
