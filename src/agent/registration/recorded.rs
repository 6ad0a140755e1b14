//! An agent that follows a record: its own waits give way to recorded ones that are about as long.
//! Where its run goes otherwise than the record, its own waits decide.

use super::{Agent, Context, NextAttempt, Outgoing, State};
use crate::vocab::{Kind, Time};
use std::time::Duration;

impl Agent {
    /// Its own wait is over: it waits on for a recorded attempt that is to come soon.
    pub(super) fn wait_for(&mut self, now: Time, at: Time) {
        let own = self.waited(now);
        let State::Resting(Some(next)) = &mut self.state else { return };
        if next.at <= now && next.kind != Kind::Initial && at > now && at.since(now) <= own + SLACK {
            // Behind the record, so that the record comes first; and alone where it does not come.
            next.at = at + BEHIND;
        }
    }

    /// A recorded attempt is due: it begins what it waits for, if most of that wait is over.
    pub(super) fn again(&mut self, cx: &Context<'_>, now: Time) -> Outgoing {
        match self.state {
            State::Resting(Some(NextAttempt { at, kind }))
                if kind != Kind::Initial && !cx.draining && at.since(now) <= self.waited(now) + SLACK =>
            {
                self.begin(cx, kind, now)
            }
            _ => Outgoing::No,
        }
    }

    /// How long ago the last final answer came.
    fn waited(&self, now: Time) -> Duration {
        self.last_final.map_or(Duration::ZERO, |last| now.since(last))
    }
}

const SLACK: Duration = Duration::from_secs(2);
const BEHIND: Duration = Duration::from_millis(5);
