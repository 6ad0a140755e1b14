//! An attempt that fails at one of several places goes on at the next (RFC 3263 §4.3), and one that
//! is redirected goes where it is sent (RFC 3261 §8.1.3.4).

use super::connection::Facts;
use super::{Agent, Context, OpenAttempt, Outgoing, State};
use crate::agent::ending::Ending;
use crate::agent::exchange::Exchange;
use crate::measure::{Event, Left, RoutingWord};
use crate::sip::Response;
use crate::sip::redirect::{Redirection, redirection};
use crate::vocab::{FlowLoss, Status, Time, Trouble, Why};
use ipnet::IpNet;
use std::net::SocketAddr;

impl Agent {
    /// The request failed where it went. The attempt goes on at the next of the places that its
    /// name leads to, as a new transaction, or ends when each had its turn.
    pub(super) fn move_on(
        &mut self,
        cx: &Context<'_>,
        end: Ending<'_>,
        at: Time,
        events: &mut impl FnMut(Event<'_>),
    ) -> Outgoing {
        let State::Open(attempt) = &mut self.state else { return Outgoing::No };
        match why_leave(&end) {
            Some(why) if attempt.facts.moves() < cx.others => {
                self.maybe_bound |=
                    attempt.facts.has(Facts::COPIES_BEFORE) || end.leaves_open(attempt.transaction.as_ref());
                events(Event::WentOn { why, at });
                self.elsewhere()
            }
            _ => {
                self.finish(cx, end, at, events);
                Outgoing::No
            }
        }
    }

    /// A 301, 302 or 305 came. It is followed where that is allowed, over the same transport, a few
    /// times in an attempt; else it ends the attempt. A name has to be looked up first: until then
    /// the attempt stays open without a transaction, so that nothing is sent and no timer goes on.
    pub(super) fn redirected(
        &mut self,
        cx: &Context<'_>,
        response: &Response<'_>,
        at: Time,
        events: &mut impl FnMut(Event<'_>),
    ) -> Outgoing {
        let State::Open(attempt) = &mut self.state else { return Outgoing::No };
        let (redirection, text) = redirection(response, cx.template.transport());
        let too_many = attempt.facts.moves() >= cx.others + MOST_REDIRECTIONS;
        let word = match redirection {
            Redirection::To(_) | Redirection::ByName if too_many => RoutingWord::TooMany,
            Redirection::To(address) if is_allowed(cx.allowed, address) => RoutingWord::Followed,
            Redirection::To(_) => RoutingWord::NotAllowed,
            Redirection::ByName => {
                let (last, copies) = (attempt.transaction.take(), attempt.facts.has(Facts::COPIES_BEFORE));
                self.maybe_bound |= copies || self.verdict(response).leaves_open(last.as_ref());
                return Outgoing::ByName;
            }
            Redirection::OtherTransport => RoutingWord::OtherTransport,
            Redirection::Nowhere => RoutingWord::Nowhere,
        };
        events(Event::Routing { word, text });
        if word == RoutingWord::Followed {
            return self.elsewhere();
        }
        self.finish(cx, self.verdict(response), at, events);
        Outgoing::No
    }

    /// The name of a redirection was looked up, and requests go there now.
    pub(super) fn led(
        &mut self,
        cx: &Context<'_>,
        response: &Response<'_>,
        events: &mut impl FnMut(Event<'_>),
    ) -> Outgoing {
        if !self.awaits_name(self.serial) {
            return Outgoing::No;
        }
        let (_, text) = redirection(response, cx.template.transport());
        events(Event::Routing { word: RoutingWord::Followed, text });
        self.elsewhere();
        Outgoing::New
    }

    /// The name of a redirection is not followed: the attempt ends with what redirected it.
    pub(super) fn not_led(
        &mut self,
        cx: &Context<'_>,
        (response, word): (&Response<'_>, RoutingWord),
        at: Time,
        events: &mut impl FnMut(Event<'_>),
    ) -> Outgoing {
        if self.awaits_name(self.serial) {
            let (_, text) = redirection(response, cx.template.transport());
            events(Event::Routing { word, text });
            self.finish(cx, self.verdict(response), at, events);
        }
        Outgoing::No
    }

    /// Whether it may wait for the name to which the answer to this request redirects; nothing that
    /// ends an attempt leaves it so.
    pub fn awaits_name(&self, serial: u32) -> bool {
        matches!(self.state, State::Open(OpenAttempt { transaction: None, first_sent: Some(_), .. }))
            && self.serial == serial
    }

    /// The open attempt begins anew at another place.
    fn elsewhere(&mut self) -> Outgoing {
        if let State::Open(attempt) = &mut self.state {
            attempt.facts.moved();
            // What one machine asked is no matter of another.
            attempt.exchange = Exchange::default();
            attempt.challenged_by = None;
        }
        self.authentication.begin(false);
        self.next_request();
        Outgoing::Elsewhere
    }
}

fn is_allowed(nets: &[IpNet], address: SocketAddr) -> bool {
    let address = address.ip().to_canonical();
    nets.iter().any(|net| net.contains(&address))
}

/// Redirections that are followed in one attempt.
const MOST_REDIRECTIONS: u8 = 5;

/// `None`: another place would do no better.
fn why_leave(end: &Ending<'_>) -> Option<Left> {
    match (end.failed.status, end.code, end.reason) {
        (_, _, Why::Trouble(Trouble::NotSent(_) | Trouble::Connection(FlowLoss::Local | FlowLoss::Ours))) => None,
        (Status::TransportError, ..) => Some(Left::Unreachable),
        (Status::RequestTimeout, 0, _) => Some(Left::Silent),
        (Status::ServiceUnavailable, 503, _) => Some(Left::Unavailable),
        _ => None,
    }
}
