//! When refusals become a loop: from the third consecutive attempt with the same refusal on, until
//! a 2xx or another refusal.

use crate::vocab::{Refusal, Time};

/// An agent's run of equal refusals.
#[derive(Clone, Copy, Debug, Default)]
pub struct Looping {
    run: Option<Streak>,
}

#[derive(Clone, Copy, Debug)]
struct Streak {
    refusal: Refusal,
    first_seen: Time,
    attempts: u32,
}

/// Attempts with the same refusal that make a loop.
pub const LOOP_FROM: u32 = 3;

/// What a refusal did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LoopStep {
    /// Not a loop (yet).
    Counted,
    Started {
        first_seen: Time,
        attempts: u32,
    },
    Grew,
}

impl Looping {
    /// An attempt ended with `refusal` at `at`. The flag says that a loop with another refusal
    /// ended by it.
    pub fn refused(&mut self, refusal: Refusal, at: Time) -> (bool, LoopStep) {
        match &mut self.run {
            Some(run) if run.refusal == refusal => {
                run.attempts = run.attempts.saturating_add(1);
                let step = match run.attempts {
                    LOOP_FROM => LoopStep::Started { first_seen: run.first_seen, attempts: run.attempts },
                    n if n > LOOP_FROM => LoopStep::Grew,
                    _ => LoopStep::Counted,
                };
                (false, step)
            }
            other => {
                let ended = other.is_some_and(|run| run.attempts >= LOOP_FROM);
                *other = Some(Streak { refusal, first_seen: at, attempts: 1 });
                (ended, LoopStep::Counted)
            }
        }
    }

    /// A 2xx: true when it ended a loop.
    pub fn succeeded(&mut self) -> bool {
        self.run.take().is_some_and(|run| run.attempts >= LOOP_FROM)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vocab::{LoopKind, Place};

    fn forbidden(place: Place) -> Refusal {
        Refusal { kind: LoopKind::ForbiddenAfterAuth, code: 403, place }
    }

    #[test]
    fn the_third_equal_refusal_starts_it_and_another_one_ends_it() {
        let mut looping = Looping::default();
        let same = forbidden(Place::AfterCredentials);
        assert_eq!(looping.refused(same, Time::from_secs(1)), (false, LoopStep::Counted));
        assert_eq!(looping.refused(same, Time::from_secs(2)), (false, LoopStep::Counted));
        let started = LoopStep::Started { first_seen: Time::from_secs(1), attempts: 3 };
        assert_eq!(looping.refused(same, Time::from_secs(3)), (false, started));
        assert_eq!(looping.refused(same, Time::from_secs(4)), (false, LoopStep::Grew));
        assert_eq!(looping.refused(forbidden(Place::Unchallenged), Time::from_secs(5)), (true, LoopStep::Counted));
        assert!(!looping.succeeded());
    }

    #[test]
    fn a_success_ends_it() {
        let mut looping = Looping::default();
        for second in 1..=3 {
            looping.refused(forbidden(Place::Unchallenged), Time::from_secs(second));
        }
        assert!(looping.succeeded());
        assert!(!looping.succeeded());
    }
}
