//! How an agent leaves: it is told to un-REGISTER, its phone loses power, or the run is over. What
//! is open is abandoned, and what may still be under way is waited for (RFC 3261 §10.2).

use super::{Agent, Context, OpenAttempt, Outgoing, State, unsent};
use crate::measure::{AttemptEnd, Clues, Event};
use crate::vocab::{Kind, Status, Time, Trouble, Why};

impl Agent {
    /// The answer to what an abandoned attempt had sent.
    pub(super) fn settled(&mut self, cx: &Context<'_>, at: Time) -> Outgoing {
        match self.state {
            State::Settling { leaves: true, .. } => self.begin(cx, Kind::Unregister, at),
            State::Settling { leaves: false, .. } => {
                self.state = State::Resting(None);
                Outgoing::No
            }
            _ => Outgoing::No,
        }
    }

    pub(super) fn unregister(&mut self, cx: &Context<'_>, now: Time, events: &mut impl FnMut(Event<'_>)) -> Outgoing {
        match self.state {
            State::Gone | State::Idle | State::Settling { leaves: true, .. } => return Outgoing::No,
            State::Open(attempt) if attempt.kind == Kind::Unregister => return Outgoing::No,
            State::Open(_) | State::Resting(_) | State::Settling { .. } => self.stop(cx, now, events),
        }
        events(Event::Retired { at: now });
        if !self.maybe_bound {
            self.state = State::Gone;
            return Outgoing::No;
        }
        match &mut self.state {
            State::Settling { until, leaves } if *until > now => {
                *leaves = true;
                Outgoing::No
            }
            _ => self.begin(cx, Kind::Unregister, now),
        }
    }

    /// What a phone without power forgets: what it was doing and waiting for, and that it had
    /// failed. The registrar keeps the binding until it lapses.
    pub(super) fn cut(&mut self, cx: &Context<'_>, at: Time, events: &mut impl FnMut(Event<'_>)) {
        self.stop(cx, at, events);
        if let State::Resting(_) | State::Settling { .. } = self.state {
            self.state = State::Resting(None);
            self.failures = 0;
            if self.looping.succeeded() {
                events(Event::LoopEnded);
            }
        }
    }

    pub(super) fn stop(&mut self, cx: &Context<'_>, at: Time, events: &mut impl FnMut(Event<'_>)) {
        match self.state {
            State::Open(OpenAttempt { kind: Kind::Unregister, first_sent, .. }) => {
                self.give_up_removal(first_sent.unwrap_or(at), at, events);
            }
            State::Settling { leaves: true, .. } => self.give_up_removal(at, at, events),
            State::Open(attempt) => {
                events(Event::Ended(attempt.end(Status::Abandoned, 0, ABANDONED, at, Clues::default())));
                let under_way = attempt.may_have_arrived(false);
                self.maybe_bound |= under_way;
                let settling = State::Settling { until: at + cx.policy.timers.t4, leaves: false };
                self.state = if under_way { settling } else { State::Resting(None) };
            }
            State::Idle | State::Resting(_) | State::Settling { .. } | State::Gone => {
                let Some(planned) = self.starts_at() else { return };
                // It arrived and was never sent: the run ended during the client's own pause.
                let end = unsent(planned, at);
                events(Event::Ended(AttemptEnd { status: Status::Abandoned, reason: ABANDONED, ..end }));
                self.state = State::Resting(None);
            }
        }
    }

    fn give_up_removal(&mut self, sent: Time, at: Time, events: &mut impl FnMut(Event<'_>)) {
        events(Event::UnregisterEnded { code: 0, reason: ABANDONED, ok: false, sent, at });
        self.state = State::Gone;
    }
}

const ABANDONED: Why<&'static [u8]> = Why::Trouble(Trouble::Abandoned);
