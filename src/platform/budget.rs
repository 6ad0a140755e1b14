//! Our own limit on questions to a platform, below the platform's: others use the same one.

use crate::vocab::Time;
use std::collections::VecDeque;
use std::time::Duration;

/// At most so many questions in any minute.
#[derive(Clone, Debug)]
pub struct AskBudget {
    asked: VecDeque<Time>,
}

const PER_MINUTE: usize = 120;
const MINUTE: Duration = Duration::from_secs(60);

impl AskBudget {
    #[expect(clippy::new_without_default, reason = "there is nothing default about having asked nothing yet")]
    pub fn new() -> AskBudget {
        AskBudget { asked: VecDeque::with_capacity(PER_MINUTE) }
    }

    /// How long to wait before the next question, which then counts as asked.
    pub fn take(&mut self, now: Time) -> Duration {
        while self.asked.front().is_some_and(|first| *first + MINUTE <= now) {
            self.asked.pop_front();
        }
        let wait = if self.asked.len() < PER_MINUTE {
            Duration::ZERO
        } else {
            self.asked.pop_front().map_or(Duration::ZERO, |first| (first + MINUTE).since(now))
        };
        self.asked.push_back(now + wait);
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_minute_has_more_questions_than_agreed() {
        let mut budget = AskBudget::new();
        let mut now = Time::from_secs(100);
        let mut asked = Vec::new();
        for n in 0..500u64 {
            now += budget.take(now);
            asked.push(now);
            now += Duration::from_millis(n % 7 * 100);
        }
        for (n, from) in asked.iter().enumerate() {
            let within = asked[n..].iter().filter(|at| **at < *from + MINUTE).count();
            assert!(within <= PER_MINUTE, "{within} in the minute from {from:?}");
        }
        // Nobody waits who has a question left.
        assert_eq!(AskBudget::new().take(now), Duration::ZERO);
    }
}
