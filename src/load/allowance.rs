//! A fence around exchanges whose number of messages is known only afterwards: probes before a run,
//! canaries.
//!
//! An exchange may begin when the most it could send within a second still fits; when it has ended,
//! what it really sent counts for one more second. So no second ever holds more messages than
//! allowed.

use crate::vocab::Time;
use std::collections::VecDeque;
use std::time::Duration;

/// So many messages in any second.
#[derive(Debug)]
pub struct Allowance {
    per_second: u32,
    /// What exchanges that are going on may send.
    reserved: u32,
    /// When exchanges ended, and what they sent.
    ended: VecDeque<(Time, u32)>,
}

impl Allowance {
    pub const fn new(per_second: u32) -> Self {
        Allowance { per_second, reserved: 0, ended: VecDeque::new() }
    }

    /// Asks to begin an exchange that sends at most `most` messages within any second.
    ///
    /// # Errors
    /// When to ask again.
    pub fn begin(&mut self, now: Time, most: u32) -> Result<(), Time> {
        while self.ended.front().is_some_and(|(at, _)| now >= *at + SECOND) {
            self.ended.pop_front();
        }
        let lately: u32 = self.ended.iter().map(|(_, sent)| sent).sum();
        // A single exchange must be possible, however large.
        if self.reserved == 0 && lately == 0 || self.reserved + lately + most <= self.per_second {
            self.reserved += most;
            return Ok(());
        }
        Err(self.ended.front().map_or(now + SOON, |(at, _)| (*at + SECOND).min(now + SOON)))
    }

    /// An exchange that was allowed `most` has ended after `sent` messages.
    pub fn end(&mut self, now: Time, most: u32, sent: u32) {
        self.reserved = self.reserved.saturating_sub(most);
        // Of a long exchange no more than `most` can lie within the last second.
        self.ended.push_back((now, sent.min(most)));
    }
}

const SECOND: Duration = Duration::from_secs(1);
/// How long to wait for an exchange that may end at any time.
const SOON: Duration = Duration::from_millis(20);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_was_not_sent_is_free_at_once_and_what_was_after_a_second() {
        let mut allowance = Allowance::new(20);
        let at = |ms: u64| Time::ORIGIN + Duration::from_millis(ms);
        for _ in 0..3 {
            assert_eq!(allowance.begin(at(0), 6), Ok(()));
        }
        assert!(allowance.begin(at(0), 6).is_err());
        allowance.end(at(10), 6, 2);
        assert_eq!(allowance.begin(at(10), 6), Ok(()), "12 + 2 + 6 are 20");
        allowance.end(at(20), 6, 6);
        assert_eq!(allowance.begin(at(20), 6), Err(at(40)));
        assert_eq!(allowance.begin(at(1_010), 6), Err(at(1_020)), "the first one is over, the second not yet");
        assert_eq!(allowance.begin(at(1_020), 6), Ok(()));
    }

    proptest! {
        /// Exchanges send all they may at once, at a random moment of their life.
        #[test]
        fn no_second_holds_more_than_allowed(exchanges in proptest::collection::vec((0u64..400, 1u64..900, 1u32..7), 1..80)) {
            let mut allowance = Allowance::new(20);
            let mut sent: Vec<(Time, u32)> = Vec::new();
            let mut open: Vec<(Time, Time, u32)> = Vec::new();
            let mut now = Time::ORIGIN;
            for (pause, lasts, messages) in exchanges {
                now += Duration::from_millis(pause);
                open.sort();
                while let Some(&(end, at, messages)) = open.first().filter(|(end, ..)| *end <= now) {
                    allowance.end(end, 6, messages);
                    sent.push((at, messages));
                    open.remove(0);
                }
                if allowance.begin(now, 6).is_ok() {
                    let lasts = Duration::from_millis(lasts);
                    open.push((now + lasts, now + lasts / 2, messages));
                }
            }
            sent.extend(open.iter().map(|(_, at, messages)| (*at, *messages)));
            for (from, _) in &sent {
                let within: u32 = sent.iter().filter(|(at, _)| at >= from && *at < *from + SECOND).map(|(_, n)| n).sum();
                prop_assert!(within <= 20, "{within} messages in one second");
            }
        }
    }
}
