//! How far a machine's clock is from the board's: the best of several exchanges.
//!
//! A note is stamped by the board between the moment it was sent and the moment it is acknowledged.
//! The two clocks then differ by the stamp minus the middle of the two, and that is wrong by half
//! of what lies between them at most. The shortest exchange knows best.

use serde::{Deserialize, Serialize};

/// How far a clock is from the board's.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ClockOffset {
    /// Added to the machine's clock it gives the board's, nanoseconds.
    pub offset_ns: i64,
    /// By how much that is wrong at most.
    pub uncertainty_ns: u64,
}

/// One exchange.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ClockReading {
    /// By the machine's clock, nanoseconds since the Unix epoch.
    pub sent_unix_ns: i64,
    pub acknowledged_unix_ns: i64,
    /// By the board's.
    pub stamped_unix_ns: i64,
}

impl ClockReading {
    fn offset(self) -> Option<ClockOffset> {
        // A clock that was set back meanwhile says nothing.
        let between = u64::try_from(self.acknowledged_unix_ns.checked_sub(self.sent_unix_ns)?).ok()?;
        let half = between / 2 + between % 2;
        let middle = self.sent_unix_ns.checked_add_unsigned(between / 2)?;
        Some(ClockOffset { offset_ns: self.stamped_unix_ns.checked_sub(middle)?, uncertainty_ns: half })
    }
}

impl ClockOffset {
    /// What the shortest of these exchanges says; `None` without any that can be used.
    pub fn best(readings: &[ClockReading]) -> Option<ClockOffset> {
        readings.iter().filter_map(|reading| reading.offset()).min_by_key(|offset| offset.uncertainty_ns)
    }

    /// A moment of the board's clock by the machine's.
    pub fn local_unix_ns(self, board_unix_ns: i64) -> i64 {
        board_unix_ns.saturating_sub(self.offset_ns)
    }

    /// A moment of the machine's clock by the board's.
    pub fn board_unix_ns(self, local_unix_ns: i64) -> i64 {
        local_unix_ns.saturating_add(self.offset_ns)
    }

    /// How far it has moved since another measurement, nanoseconds.
    pub fn moved_from(self, before: ClockOffset) -> u64 {
        self.offset_ns.abs_diff(before.offset_ns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_shortest_exchange_is_believed() {
        let reading = |sent, acknowledged, stamped| ClockReading {
            sent_unix_ns: sent,
            acknowledged_unix_ns: acknowledged,
            stamped_unix_ns: stamped,
        };
        let slow = reading(1_000, 9_000, 1_500);
        let quick = reading(20_000, 20_200, 20_050);
        let best = ClockOffset::best(&[slow, quick]).expect("two readings");
        assert_eq!(best, ClockOffset { offset_ns: -50, uncertainty_ns: 100 });
        assert_eq!(best.local_unix_ns(best.board_unix_ns(77)), 77);
        assert_eq!(ClockOffset::best(&[reading(10, 5, 7)]), None, "the clock was set back");
        assert_eq!(ClockOffset::best(&[]), None);
    }

    proptest! {
        /// Whatever the way there and back take, the truth lies within the stated uncertainty.
        #[test]
        fn the_truth_lies_within(
            truth in -400_000_000i64..400_000_000,
            ways in prop::collection::vec((0i64..3_000_000, 0i64..3_000_000), 1..31)
        ) {
            let begin = 1_800_000_000_000_000_000;
            let readings: Vec<ClockReading> = ways.iter().map(|&(there, back)| ClockReading {
                sent_unix_ns: begin,
                acknowledged_unix_ns: begin + there + back,
                stamped_unix_ns: begin + there + truth,
            }).collect();
            let best = ClockOffset::best(&readings).expect("at least one");
            prop_assert!(best.offset_ns.abs_diff(truth) <= best.uncertainty_ns, "{best:?}");
            let shortest = ways.iter().map(|(there, back)| there + back).min().unwrap_or_default();
            prop_assert!(best.uncertainty_ns <= u64::try_from(shortest).unwrap_or_default() / 2 + 1);
        }
    }
}
