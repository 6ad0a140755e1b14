//! What a 2xx to a REGISTER means for the agent: the lifetime it has, and when to refresh it (RFC
//! 3261 §10.2.4).

use super::super::answer;
use super::super::ending::Ending;
use super::super::exchange::Failed;
use super::super::identity::{from_tag, whole};
use super::super::policy::Refresh;
use super::super::retry;
use super::{Agent, Context, NextAttempt, State};
use crate::measure::{Clues, Event, Granted};
use crate::seed::{Purpose, unit};
use crate::sip::Response;
use crate::sip::contact::{self, Binding, Own, SentContact};
use crate::vocab::{Kind, Status, Time, Trouble, Why};
use std::time::Duration;

impl Agent {
    /// The registrar granted it: what it holds now, and when to refresh that.
    pub(super) fn succeed(
        &mut self,
        cx: &Context<'_>,
        response: &Response<'_>,
        at: Time,
        events: &mut impl FnMut(Event<'_>),
    ) {
        let State::Open(attempt) = self.state else { return };
        if attempt.kind == Kind::Unregister {
            self.maybe_bound = false;
            self.bound_until = None;
            self.state = State::Gone;
            events(Event::Unregistered { at });
            let (sent, reason) = (attempt.first_sent.unwrap_or(at), Why::Said(response.reason));
            events(Event::UnregisterEnded { code: response.code, reason, ok: true, sent, at });
            return;
        }
        // RFC 3261 §10.2.4: the Contact's expires, else the Expires header, else what was asked
        // for.
        let binding = self.own_binding(cx, response);
        let asked_s = self.asks(cx);
        let granted_s = binding.expires.unwrap_or(asked_s);
        self.authentication.renew(response);
        if granted_s == 0 && asked_s > 0 {
            // This is how a removal is answered: we hold no binding.
            self.bound_until = None;
            events(Event::Lapsed { at });
            let end = Ending::trouble(Failed::MALFORMED, response.code, Trouble::NothingGranted);
            self.finish(cx, end, at, events);
            return;
        }
        self.failures = 0;
        let granted = Duration::from_secs(granted_s.into());
        self.maybe_bound = true;
        self.bound_until = Some(at + granted);
        let mut clues = Clues { algorithm: self.authentication.answered(), ..Clues::default() };
        if attempt.challenged_by.is_some() || answer::is_sampled(cx.agent, self.serial) {
            let marks = answer::marks(response);
            clues.as_challenged = attempt.challenged_by.map(|digest| digest.get() == marks.digest());
            clues.marks = Some(marks);
            answer::route(response, events);
        }
        let (echo, example) =
            answer::echo(response, &binding, cx.template.host_before().unwrap_or(cx.template.contact_host()));
        let listed = contact::listed(response);
        // In this order: what was granted, the attempt's end, its loop's end, the binding.
        events(Event::Granted(Granted { at, kind: attempt.kind, asked_s, granted_s, listed, echo, example }));
        events(Event::Ended(attempt.end(Status::Registered, response.code, Why::Said(response.reason), at, clues)));
        if self.looping.succeeded() {
            events(Event::LoopEnded);
        }
        events(Event::Registered { at, until: at + granted });
        let wait = match cx.policy.retry.refresh {
            Refresh::Before { margin, least } => retry::before_end(granted, margin, least),
            Refresh::Exactly => retry::at_share(granted.max(Duration::from_secs(1)), cx.policy.refresh_at, 0.5),
            Refresh::Share => {
                let draw = unit(cx.seed.draw(Purpose::RefreshJitter, cx.agent.0.into(), self.serial.into()));
                // Never in a tight loop, whatever is granted.
                retry::at_share(granted.max(Duration::from_secs(1)), cx.policy.refresh_at, draw)
            }
        };
        self.state = State::Resting(Some(NextAttempt { at: at + wait, kind: Kind::Refresh }));
    }

    /// What the answer says of our binding.
    #[inline]
    fn own_binding<'r>(&self, cx: &Context<'_>, response: &Response<'r>) -> Binding<'r> {
        let call_id = cx.template.tells_phones_apart().then(|| whole(cx.run, self.own(cx)));
        let sent = SentContact {
            user: cx.identity.user.as_bytes(),
            host: cx.template.contact_host(),
            instance: call_id.as_ref().map(|id| from_tag(id).as_slice()),
        };
        let binding = contact::binding(response, &sent);
        // Sent before another agent's answer taught the flow where it is seen.
        match (binding.own, cx.template.host_before()) {
            (Own::Elsewhere(at), Some(host)) if at.eq_ignore_ascii_case(host) => {
                contact::binding(response, &SentContact { host, ..sent })
            }
            _ => binding,
        }
    }
}
