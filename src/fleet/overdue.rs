//! When something planned may go after a stall of our own: neither all at once nor at the planned
//! pace.
//!
//! Overdue arrivals follow each other at [`CATCH_UP`] times their planned pace. All at once they
//! would be a burst that no plan asked for, and what the server drops of it would be held against
//! the server; at the planned pace every arrival of the rest of the run would be late. Their
//! lateness is measured from the plan all the same.

use crate::vocab::Time;
use std::time::Duration;

/// How much faster than planned overdue arrivals go out. At eight times a stall of 100 ms has been
/// made up for 14 ms later, and what a registrar sees meanwhile is below the burst that any of them
/// must stand.
const CATCH_UP: u32 = 8;

/// Arrivals that are later than this are overdue by a stall, not by the work of a turn.
pub(super) const STALLED: Duration = Duration::from_millis(20);

/// When the `following` arrival may go, once the one that might go at `release` has gone at `now`;
/// `gap` is the planned time between the two. Without a following one it is when the last one went.
pub(super) fn release(release: Time, now: Time, following: Option<Time>, gap: Duration) -> Time {
    let went = if now.since(release) > STALLED { now } else { release };
    following.map_or(went, |following| following.max(went + gap / CATCH_UP))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(millis: u64) -> Time {
        Time::from_millis(1_000 + millis)
    }

    #[test]
    fn a_stall_is_made_up_for_at_eight_times_the_pace() {
        let gap = Duration::from_millis(8);
        // The first is overdue by 100 ms when the stall ends.
        let (mut at, mut planned, now) = (ms(0), ms(0), ms(100));
        let mut gone = Vec::new();
        for _ in 0..20 {
            let went = at.max(now);
            gone.push(went.since(now).as_millis());
            planned += gap;
            at = release(at, went, Some(planned), gap);
        }
        assert_eq!(
            gone[..15],
            [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14],
            "a millisecond apart, not eight, not none"
        );
        assert_eq!(gone[15..], [20, 28, 36, 44, 52], "and then in time again");
    }

    #[test]
    fn what_a_turn_of_work_holds_up_is_not_held_up_further() {
        let (gap, following) = (Duration::from_millis(1), Some(ms(1)));
        assert_eq!(release(ms(0), ms(20), following, gap), ms(1));
        assert_eq!(release(ms(0), ms(21), following, gap), ms(21) + gap / CATCH_UP);
        assert_eq!(release(ms(0), ms(5), None, gap), ms(0));
    }
}
