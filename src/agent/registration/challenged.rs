//! What follows from a 401, a 407 or a 423: a further request of the same attempt, as far as
//! [`Exchange`] allows, or the attempt's end.
//!
//! Read first: RFC 3261 §10.2.8, §22.2 and §22.3, RFC 8760 §2.4.

use super::super::answer;
use super::super::authentication::{Answerer, Held, usable};
use super::super::ending::Ending;
use super::super::exchange::{Challenger, Exchange, Failed};
use super::{Agent, Context, Outgoing, State, cnonce};
use crate::measure::{Clues, Event, Offer};
use crate::sip::challenge::{self, Offered, Role, Unusable};
use crate::sip::{AlgorithmSet, Challenge, Response};
use crate::vocab::{Kind, Time, Trouble, Why, saturating_u8};
use std::num::NonZeroU16;

/// What a 401 or 407 offers, and the challenge to answer.
type Surveyed<'r> = (Offered<'r>, Result<Challenge<'r>, Unusable>);

impl Agent {
    /// A 401 or 407 is answered, or the attempt ends with it.
    pub(super) fn challenged(
        &mut self,
        cx: &Context<'_>,
        role: Role,
        response: &Response<'_>,
        at: Time,
        events: &mut impl FnMut(Event<'_>),
    ) -> Outgoing {
        let State::Open(attempt) = &self.state else { return Outgoing::No };
        let (kind, since) = (attempt.kind, attempt.transaction.map_or(at, |t| t.sent));
        let mut exchange = attempt.exchange;
        let usable = usable(cx.policy.algorithms, cx.identity.credential);
        let surveyed = cx.template.survey(response, usable);
        let several = surveyed.0.several;
        let (offered, chosen) =
            if several { self.next_demand(cx, exchange, response, usable).unwrap_or(surveyed) } else { surveyed };
        let chosen = chosen.and_then(|of| cx.policy.answered_realm(of.role, of.realm).map(|_| of));
        let (role, stale, nonce_length) =
            chosen.as_ref().map_or((role, false, 0), |of| (of.role, of.stale, saturating_u8(of.nonce.len())));
        let offer = |answered, stale| {
            Event::Offered(Offer { nonce_length, ..answer::offer(role, &offered, answered, stale, at) })
        };
        let answered = self.judge(cx, role, &chosen, &mut exchange);
        let (challenge, by, again) = match (chosen, answered) {
            (Ok(challenge), Ok((by, again))) => (challenge, by, again),
            (chosen, answered) => {
                events(offer(None, stale));
                let failed = answered.err().unwrap_or(Failed::UNANSWERED);
                self.give_up(cx, role, (failed, chosen.err(), stale), response, at, events);
                return Outgoing::No;
            }
        };
        self.take_up(cx, by, &challenge);
        events(offer(Some(challenge.algorithm as u8), again));
        if several {
            self.answer_the_others(cx, &mut exchange, (response, usable), at, events);
        }
        if let State::Open(attempt) = &mut self.state {
            attempt.exchange = exchange;
            if answer::is_sampled(cx.agent, self.serial) {
                attempt.challenged_by = NonZeroU16::new(answer::marks(response).digest());
            }
        }
        events(Event::Challenged { kind, code: response.code, reason: response.reason, since, at });
        self.next_request()
    }

    /// Who challenges, and whether an answer of this exchange is refused for its nonce alone.
    fn judge(
        &self,
        cx: &Context<'_>,
        role: Role,
        chosen: &Result<Challenge<'_>, Unusable>,
        exchange: &mut Exchange,
    ) -> Result<(Challenger, bool), Failed> {
        let place = match chosen {
            Ok(of) => self.place(cx, of, *exchange),
            Err(_) if self.authentication.has_answered(role, *exchange) => None,
            Err(_) => return Err(Failed::UNANSWERED),
        };
        // A challenge that cannot be answered after one of its role was, or more realms than there
        // is room for, counts as a refusal of the credentials sent.
        let by = place.ok_or_else(|| exchange.refused(401))?;
        let patience = cx.policy.retry.patience;
        let same = chosen.as_ref().is_ok_and(|of| self.authentication.has_nonce(by, of.nonce));
        let patience = if same { patience.with_the_same_nonce() } else { patience };
        let again = exchange.challenged(by, chosen.as_ref().is_ok_and(|of| of.stale), patience)?;
        Ok((by, again))
    }

    fn place(&self, cx: &Context<'_>, of: &Challenge<'_>, exchange: Exchange) -> Option<Challenger> {
        let realm = cx.policy.answered_realm(of.role, of.realm).ok()?;
        self.authentication.place(of.role, realm, exchange)
    }

    /// Of several realms that want credentials, the first that has not had any in this exchange.
    fn next_demand<'r>(
        &self,
        cx: &Context<'_>,
        exchange: Exchange,
        response: &Response<'r>,
        usable: AlgorithmSet,
    ) -> Option<Surveyed<'r>> {
        let is_new = |of: &Challenge<'_>| self.place(cx, of, exchange).is_some_and(|by| !exchange.has_answered(by));
        let mut demands = challenge::demands(response, usable).into_iter().flatten();
        demands.find(|demand| demand.chosen.as_ref().is_ok_and(is_new)).map(|demand| (demand.offered, demand.chosen))
    }

    /// Answers the other realms of the same response, as RFC 3261 §22.3 allows: it saves a message
    /// each.
    fn answer_the_others(
        &mut self,
        cx: &Context<'_>,
        exchange: &mut Exchange,
        (response, usable): (&Response<'_>, AlgorithmSet),
        at: Time,
        events: &mut impl FnMut(Event<'_>),
    ) {
        for demand in challenge::demands(response, usable).iter().flatten() {
            let Ok(of) = &demand.chosen else { continue };
            if let Some(by) = self.place(cx, of, *exchange).filter(|&by| !exchange.has_answered(by))
                && exchange.challenged(by, of.stale, cx.policy.retry.patience).is_ok()
            {
                self.take_up(cx, by, of);
                let answered = Some(of.algorithm as u8);
                events(Event::Offered(answer::offer(of.role, &demand.offered, answered, false, at)));
            }
        }
    }

    fn take_up(&mut self, cx: &Context<'_>, by: Challenger, challenge: &Challenge<'_>) {
        let Ok(realm) = cx.policy.answered_realm(challenge.role, challenge.realm) else { return };
        let answerer = Answerer {
            auth_user: cx.identity.auth_user.as_bytes(),
            credential: cx.identity.credential,
            realm,
            hashed_realm: None,
        };
        self.authentication.accept(by, challenge, answerer, || cnonce(cx));
    }

    /// The attempt ends with a challenge: as a refusal of what was sent, or because it cannot be
    /// answered.
    fn give_up(
        &mut self,
        cx: &Context<'_>,
        role: Role,
        (failed, unusable, stale): (Failed, Option<Unusable>, bool),
        response: &Response<'_>,
        at: Time,
        events: &mut impl FnMut(Event<'_>),
    ) {
        let State::Open(attempt) = &self.state else { return };
        let algorithm = self.authentication.held(role).filter(|held| held.carried).map(Held::algorithm);
        let clues = Clues { algorithm, retry_after: response.retry_after(), ..Clues::default() };
        let end = match unusable.filter(|_| failed == Failed::UNANSWERED) {
            Some(why) => Ending::trouble(failed, response.code, Trouble::Unusable(why)).with(clues),
            None => {
                let clues = Clues { stale, ..attempt.answered_by(clues, response) };
                Ending::refusal(failed, response.code, Why::Said(response.reason)).with(clues)
            }
        };
        self.finish(cx, end, at, events);
    }

    /// A 423 is answered with its minimum, or the attempt ends with it.
    pub(super) fn too_brief(
        &mut self,
        cx: &Context<'_>,
        response: &Response<'_>,
        at: Time,
        events: &mut impl FnMut(Event<'_>),
    ) -> Outgoing {
        let asked_s = self.asks(cx);
        let State::Open(attempt) = &mut self.state else { return Outgoing::No };
        let (kind, since) = (attempt.kind, attempt.transaction.map_or(at, |t| t.sent));
        let asked_s = if kind == Kind::Unregister { 0 } else { asked_s };
        match attempt.exchange.too_brief(asked_s, response.min_expires()) {
            Ok(longer_s) => {
                self.asks_s = longer_s;
                // A client that uses no nonce twice asks like for the first time.
                if !cx.policy.reuse_nonce {
                    self.authentication.begin(false);
                }
                events(Event::Challenged { kind, code: response.code, reason: response.reason, since, at });
                self.next_request()
            }
            Err(_) => {
                self.finish(cx, self.verdict(response), at, events);
                Outgoing::No
            }
        }
    }
}
