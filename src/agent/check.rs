//! What an agent asks besides registering, without I/O: an audit of its binding, or whether the
//! registrar answers OPTIONS.
//!
//! A check is an exchange of its own beside the registration's: it has a Call-ID of its own and
//! holds no nonce from one to the next, so nothing that it does shows in an attempt. Over OPTIONS
//! every final answer counts as one, a challenge too; an audit answers challenges as an attempt
//! does.
//!
//! Read first: RFC 3261 §10.2.3 (fetching bindings), §11 (OPTIONS).

use super::authentication::{Answerer, Authentication, usable};
use super::exchange::{Exchange, FinalAnswer};
use super::identity::{call_id, from_tag, whole};
use super::registration::{Context, FIRST_CSEQ};
use super::transaction::{Due, Transaction};
use crate::measure::evidence::is_shortened;
use crate::measure::{CheckEnd, CheckKind, CheckOutcome};
use crate::seed::Purpose;
use crate::sip::challenge::{Role, choose};
use crate::sip::contact::{self, Own, SentContact};
use crate::sip::emit::{Authorization, Overflow, Register};
use crate::sip::{Branch, Response, Token};
use crate::vocab::Time;
use std::time::Duration;

/// The first audit comes within so long after the agent's registration, the next ones so far apart
/// on average, half to one and a half times of it.
pub const FIRST_AUDIT: Duration = Duration::from_secs(10);
pub const BETWEEN_AUDITS: Duration = Duration::from_secs(60);

/// What a check wants next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CheckStep {
    Wait,
    /// The same request again.
    Again,
    /// Another request, with the next serial.
    Next,
    Ended(CheckEnd),
}

/// One check in progress.
#[derive(Clone, Debug)]
pub struct AgentCheck {
    kind: CheckKind,
    /// When the first request left.
    sent: Time,
    transaction: Transaction,
    exchange: Exchange,
    authentication: Authentication,
}

impl AgentCheck {
    /// Its first request leaves now.
    pub fn begin(kind: CheckKind, cx: &Context<'_>, now: Time) -> AgentCheck {
        let (exchange, authentication) = (Exchange::default(), Authentication::default());
        let mut check = AgentCheck {
            kind,
            sent: now,
            transaction: Transaction::start(now, &cx.policy.timers),
            exchange,
            authentication,
        };
        check.requested(cx, now);
        check
    }

    fn requested(&mut self, cx: &Context<'_>, now: Time) {
        self.transaction = Transaction::start(now, &cx.policy.timers);
        if cx.reliable {
            self.transaction.sent_reliably();
        }
        self.authentication.next_request();
        self.exchange.requested(self.authentication.carries_any());
    }

    pub fn deadline(&self, cx: &Context<'_>) -> Time {
        self.transaction.deadline(&cx.policy.timers)
    }

    /// Writes the current request, the agent's check of this number, and returns its length.
    ///
    /// # Errors
    /// When `out` is too small.
    pub fn render(&self, cx: &Context<'_>, serial: u32, out: &mut [u8]) -> Result<usize, Overflow> {
        let call_id = whole(cx.run, cx.seed.draw(Purpose::Check, cx.agent.0.into(), 0));
        let branch = Branch::new(cx.run, Token { agent: cx.agent, serial });
        let write = |authorizations: &[Authorization<'_>]| {
            let register = Register {
                user: cx.identity.user.as_bytes(),
                branch: &branch,
                call_id: &call_id,
                from_tag: from_tag(&call_id),
                cseq: cseq(serial),
                expires: 0,
                authorizations,
            };
            match self.kind {
                CheckKind::Audit => cx.template.write_fetch(&register, out),
                CheckKind::Qualify => cx.template.write_ping(&register, out),
            }
        };
        self.authentication.authorize(
            cx.identity.auth_user.as_bytes(),
            |algorithm, ha1, nonce, qop| cx.template.request_digest(algorithm, ha1, nonce, qop),
            write,
        )
    }

    /// [`deadline`](Self::deadline) has come.
    pub fn wake(&mut self, cx: &Context<'_>, now: Time) -> CheckStep {
        match self.transaction.due(now, &cx.policy.timers) {
            Due::Nothing => CheckStep::Wait,
            Due::Retransmit => {
                self.transaction.retransmitted(now, &cx.policy.timers);
                CheckStep::Again
            }
            Due::Timeout => self.end(CheckOutcome::Unanswered, 0, now),
        }
    }

    /// It could not be sent or delivered.
    pub fn undelivered(&self, now: Time) -> CheckStep {
        self.end(CheckOutcome::Undelivered, 0, now)
    }

    /// An answer to its request of this number; the agent counts on its binding until `bound`, if
    /// that is what it has counted on since the check began.
    pub fn receive(
        &mut self,
        cx: &Context<'_>,
        (serial, at): (u32, Time),
        response: &Response<'_>,
        bound: Option<Time>,
    ) -> CheckStep {
        if response.code < 200 {
            self.transaction.provisional();
            return CheckStep::Wait;
        }
        if response.cseq != cseq(serial) {
            return CheckStep::Wait;
        }
        match (self.kind, FinalAnswer::of(response.code)) {
            (CheckKind::Qualify, _) => self.end(CheckOutcome::Answered, response.code, at),
            (CheckKind::Audit, FinalAnswer::Challenge(role)) => {
                if self.answers(cx, role, response) {
                    self.requested(cx, at);
                    CheckStep::Next
                } else {
                    self.end(CheckOutcome::Refused, response.code, at)
                }
            }
            (CheckKind::Audit, FinalAnswer::Granted) => match bound.filter(|until| *until > at) {
                Some(until) => CheckStep::Ended(self.judge(cx, response, until, at)),
                None => self.end(CheckOutcome::Unclear, response.code, at),
            },
            (CheckKind::Audit, _) => self.end(CheckOutcome::Refused, response.code, at),
        }
    }

    /// Takes up a challenge, if it can be answered.
    fn answers(&mut self, cx: &Context<'_>, role: Role, response: &Response<'_>) -> bool {
        let usable = usable(cx.policy.algorithms, cx.identity.credential);
        let Ok(challenge) = choose(response, usable) else { return false };
        let Ok(realm) = cx.policy.answered_realm(role, challenge.realm) else { return false };
        let Some(by) = self.authentication.place(role, realm, self.exchange) else { return false };
        let (auth_user, credential) = (cx.identity.auth_user.as_bytes(), cx.identity.credential);
        let again = self.exchange.challenged(by, challenge.stale, cx.policy.retry.patience);
        let answerer = Answerer { auth_user, credential, realm, hashed_realm: None };
        let cnonce = || cx.seed.draw(Purpose::Cnonce, cx.agent.0.into(), 1);
        again.is_ok_and(|_| {
            self.authentication.accept(by, &challenge, answerer, cnonce);
            true
        })
    }

    /// What the list of bindings says of ours, which is to last until then.
    fn judge(&self, cx: &Context<'_>, response: &Response<'_>, until: Time, at: Time) -> CheckEnd {
        let own = call_id(cx.seed, cx.run, cx.agent);
        let sent = SentContact {
            user: cx.identity.user.as_bytes(),
            host: cx.template.contact_host(),
            instance: cx.template.tells_phones_apart().then(|| from_tag(&own).as_slice()),
        };
        let binding = contact::binding(response, &sent);
        let left_s = u32::try_from(until.since(at).as_secs()).unwrap_or(u32::MAX);
        let outcome = match (binding.own, binding.expires) {
            (Own::Missing | Own::NoneListed, _) => CheckOutcome::Missing,
            // Nothing is left of it.
            (_, Some(0)) => CheckOutcome::Missing,
            (_, Some(told)) if is_shortened(left_s, told) => CheckOutcome::Shorter,
            _ => CheckOutcome::Held,
        };
        let told_s = binding.expires.filter(|_| outcome != CheckOutcome::Missing);
        let listed = contact::listed(response);
        CheckEnd { left_s, told_s, listed, ..self.ended(outcome, response.code, at) }
    }

    fn end(&self, outcome: CheckOutcome, code: u16, at: Time) -> CheckStep {
        CheckStep::Ended(self.ended(outcome, code, at))
    }

    fn ended(&self, outcome: CheckOutcome, code: u16, at: Time) -> CheckEnd {
        let (kind, sent) = (self.kind, self.sent);
        CheckEnd { kind, outcome, code, sent, at, left_s: 0, told_s: None, listed: 0 }
    }
}

/// Bit of a serial that tells a check's request from those of the registration. An agent that sent
/// a request each millisecond would come that far after 24 days.
pub const CHECKS: u32 = 1 << 31;

/// CSeq of a check's request: below 2^31, as RFC 3261 §8.1.1.5 has it.
fn cseq(serial: u32) -> u32 {
    (FIRST_CSEQ + (serial & !CHECKS)) & !CHECKS
}
