//! What an agent does about its connection, where it has one: its request waits until that is open
//! (RFC 3261 §18.1.1), and ends with it when it is lost (§18.4).
//!
//! An agent that rests goes on counting as registered until its lifetime ends, as the registrar
//! does; but nothing reaches it any more, so it registers again as its client would (RFC 5626
//! §4.4.1 for those who follow it).

use super::{Agent, Context, NextAttempt, OpenAttempt, Outgoing, State};
use crate::agent::ending::Ending;
use crate::agent::exchange::Failed;
use crate::agent::policy::AfterLoss;
use crate::agent::retry::Setback;
use crate::measure::Event;
use crate::vocab::{FlowLoss, Kind, Time, Trouble, Unreachable};

/// What is known of an attempt, in one byte: an agent has no room for another.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Facts(u8);

impl Facts {
    /// An earlier request with credentials was sent several times.
    pub(super) const COPIES_BEFORE: u8 = 1;
    /// It was said to have begun, which a wait for a connection may be long before it is sent.
    pub(super) const BEGUN: u8 = 2;
    /// What ICMP said of the current request, to a client that does not care: 0 is nothing.
    const ICMP: u8 = 0b1100;
    const ICMP_AT: u32 = 2;
    /// The rest counts the places the attempt went on to.
    const MOVES_AT: u32 = 4;
    pub(super) const MOST_MOVES: u8 = u8::MAX >> Self::MOVES_AT;

    pub(super) fn has(self, fact: u8) -> bool {
        self.0 & fact != 0
    }

    /// Whether that is new.
    pub(super) fn note(&mut self, fact: u8) -> bool {
        let new = !self.has(fact);
        self.0 |= fact;
        new
    }

    pub(super) fn moves(self) -> u8 {
        self.0 >> Self::MOVES_AT
    }

    pub(super) fn moved(&mut self) {
        if self.moves() < Self::MOST_MOVES {
            self.0 += 1 << Self::MOVES_AT;
        }
    }

    /// Another request is the current one.
    pub(super) fn request_again(&mut self) {
        self.0 &= !Self::ICMP;
    }

    pub(super) fn note_unreachable(&mut self, what: Unreachable) {
        let said = match what {
            Unreachable::Port => 1,
            Unreachable::Host => 2,
            Unreachable::Network => 3,
        };
        self.0 = (self.0 & !Self::ICMP) | (said << Self::ICMP_AT);
    }

    pub(super) fn unreachable(self) -> Option<Unreachable> {
        match (self.0 & Self::ICMP) >> Self::ICMP_AT {
            1 => Some(Unreachable::Port),
            2 => Some(Unreachable::Host),
            3 => Some(Unreachable::Network),
            _ => None,
        }
    }
}

impl Agent {
    /// Its Contact is another one now.
    pub(super) fn renew(&mut self, cx: &Context<'_>, now: Time) -> Outgoing {
        match self.state {
            State::Resting(Some(next)) if next.kind == Kind::Refresh && !cx.draining => {
                self.begin(cx, Kind::Refresh, now)
            }
            _ => Outgoing::No,
        }
    }

    /// The request that [`Agent::handle`] wanted sent waits for a connection: the attempt has
    /// begun, and [`Input::FlowOpen`](super::Input::FlowOpen) or
    /// [`Input::FlowLost`](super::Input::FlowLost) will follow.
    pub fn waits(&mut self, now: Time, events: &mut impl FnMut(Event<'_>)) {
        if let State::Open(attempt) = &mut self.state {
            attempt.begin(now, events);
        }
    }

    /// A request that waited goes out.
    pub(super) fn flow_open(&self) -> Outgoing {
        match self.state {
            State::Open(OpenAttempt { transaction: None, .. }) => Outgoing::New,
            _ => Outgoing::No,
        }
    }

    pub(super) fn flow_lost(
        &mut self,
        cx: &Context<'_>,
        why: FlowLoss,
        at: Time,
        events: &mut impl FnMut(Event<'_>),
    ) -> Outgoing {
        if self.bound_until.is_some() {
            events(Event::CutOff { at });
        }
        match self.state {
            State::Open(_) => {
                let end = Ending::trouble(Failed::UNREACHABLE, 0, Trouble::Connection(why));
                return self.move_on(cx, end, at, events);
            }
            State::Resting(Some(next)) if next.kind == Kind::Refresh => {
                let again = match cx.policy.retry.after_loss {
                    AfterLoss::AsFailure => self.retry(cx, Setback::Recoverable, None, at),
                    AfterLoss::AtOnce => Some(NextAttempt { at, kind: Kind::Retry }),
                    AfterLoss::AtRefresh => None,
                };
                // Whatever was planned before that is sooner.
                if let Some(again) = again.filter(|again| again.at < next.at) {
                    self.state = State::Resting(Some(again));
                }
            }
            _ => {}
        }
        Outgoing::No
    }
}
