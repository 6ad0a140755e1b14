//! How many agents, for how long: a number of agents that changes at event times, integrated over
//! an interval.
//!
//! Events come in the order they are handled, which is not quite the order of their times: a kernel
//! timestamp lies before the turn that reads it. So the integral is not advanced event by event;
//! each change adds what it will be worth at the interval's end, in any order.

use crate::vocab::Time;

/// A number of agents and its integral over the current interval.
#[derive(Clone, Debug)]
pub(super) struct AgentTime {
    count: u64,
    start: Time,
    /// Σ ± (time of change − start): what has to be taken off `count × length` at the end. Signed
    /// nanoseconds; a million agents changing over an hour are 3.6e18, under `i64::MAX` = 9.2e18,
    /// and i128 costs nothing here.
    offset: i128,
}

impl AgentTime {
    pub(super) fn new(start: Time) -> Self {
        AgentTime { count: 0, start, offset: 0 }
    }

    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// One agent more from `at` on; an earlier time than the interval's start counts as the start.
    pub(super) fn gain(&mut self, at: Time) {
        self.count += 1;
        self.offset += i128::from(at.nanos_since(self.start));
    }

    /// One agent fewer from `at` on.
    pub(super) fn lose(&mut self, at: Time) {
        debug_assert!(self.count > 0, "an agent left that was not counted");
        self.count = self.count.saturating_sub(1);
        self.offset -= i128::from(at.nanos_since(self.start));
    }

    /// The integral from the interval's start to `end`, in agents × nanoseconds; the next interval
    /// begins at `end`.
    ///
    /// A change that was handled in this interval but lies after its end (the turn that crossed the
    /// border) is worth less than nothing here; what would make the sum negative is carried into
    /// the next interval, where the same change is counted in full.
    pub(super) fn close(&mut self, end: Time) -> u128 {
        let area = i128::from(self.count) * i128::from(end.nanos_since(self.start)) - self.offset;
        self.start = end;
        self.offset = (-area).max(0);
        area.max(0).unsigned_abs()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(ms: u64) -> Time {
        Time::from_millis(ms)
    }

    #[test]
    fn the_order_of_handling_does_not_matter() {
        let mut forward = AgentTime::new(at(1_000));
        forward.gain(at(1_100));
        forward.gain(at(1_400));
        forward.lose(at(1_900));
        let mut muddled = AgentTime::new(at(1_000));
        muddled.gain(at(1_400));
        muddled.gain(at(1_100));
        muddled.lose(at(1_900));
        let area = forward.close(at(2_000));
        // 900 ms + 600 ms − 100 ms.
        assert_eq!(area, 1_400_000_000);
        assert_eq!(area, muddled.close(at(2_000)));
        assert_eq!(forward.close(at(2_500)), 500_000_000);
    }

    #[test]
    fn a_time_before_the_interval_counts_as_its_start() {
        let mut time = AgentTime::new(at(1_000));
        time.gain(at(990));
        assert_eq!(time.close(at(2_000)), 1_000_000_000);
    }

    #[test]
    fn a_change_past_the_border_is_carried_not_lost() {
        let mut time = AgentTime::new(at(1_000));
        time.gain(at(2_001));
        assert_eq!(time.close(at(2_000)), 0);
        assert_eq!(time.close(at(3_000)), 999_000_000);
    }
}
