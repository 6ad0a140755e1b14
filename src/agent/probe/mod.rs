//! One exchange with a registrar under full control, without I/O: challenge, answer, 423 and all.
//!
//! An agent behaves as a phone would; a probe does what it is told, so that an experiment can
//! change one thing at a time. What it may change is in [`ProbeRequest`], what came of it in
//! [`ProbeOutcome`]. Which challenges and 423s it answers is decided by the
//! [exchange](super::exchange), as for an agent.
//!
//! One way in: [`Probe::start`], [`Probe::receive`], [`Probe::wake`], [`Probe::unreachable`], each
//! answered by what is
//! [`Todo`]; when that is `Done`, [`Probe::finish`] hands over the outcome.

mod outcome;
mod request;

pub use outcome::{ProbeAnswer, ProbeEnd, ProbeOffer, ProbeOutcome, ProbeStep, SentCredentials};
pub use request::{AnswerRule, Call, ProbeMethod, ProbeRequest, QopRule, RealmRule};

use super::Credential;
use super::authentication::{Answerer, Authentication, Held, usable};
use super::exchange::{Exchange, FinalAnswer, Patience};
use super::transaction::{Due, Transaction};
use crate::sip::challenge::{Role, Unusable};
use crate::sip::contact::SentContact;
use crate::sip::digest::{self, Covered};
use crate::sip::emit::{self, Authorization, Options, Overflow, Register, RegisterTemplate, TemplateParts};
use crate::sip::mask::mask_echoes;
use crate::sip::{AlgorithmSet, Branch, Challenge, Ha1, Protection, Qop, Response, Timers, Token, scan};
use crate::vocab::{AgentId, Time, Trouble};
use std::net::SocketAddr;

/// What the driver is to do next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Todo {
    /// Wait for a datagram, at most until [`Probe::deadline`].
    Wait,
    /// Send [`Probe::bytes`].
    Send,
    /// Ask for the outcome.
    Done,
}

/// The largest request; a UDP datagram can carry no more.
const LARGEST: usize = 65_507;

/// A probe in progress. It holds digests, so it has no `Debug`.
pub struct Probe<'r> {
    request: &'r ProbeRequest,
    template: RegisterTemplate,
    sent_by: String,
    call: Call,
    asks_s: u32,
    authentication: Authentication,
    exchange: Exchange,
    bytes: Vec<u8>,
    transaction: Option<Transaction>,
    steps: Vec<ProbeStep>,
    strays: u32,
    end: Option<ProbeEnd>,
}

impl<'r> Probe<'r> {
    /// A probe that will be sent from `local`.
    pub fn new(request: &'r ProbeRequest, local: SocketAddr) -> Self {
        // A phone that names its host does so in Via as in Contact (RFC 7118 §5.2).
        let named = request.contact_host.as_ref().filter(|_| request.transport.is_web());
        let sent_by = named.cloned().unwrap_or_else(|| local.to_string());
        let parts = TemplateParts {
            domain: &request.domain,
            transport: request.transport,
            sent_by: &sent_by,
            route: request.route.as_deref(),
            user_agent: &request.user_agent,
            headers: &request.headers,
        };
        Probe {
            request,
            template: RegisterTemplate::with_contact(
                &parts,
                request.contact_user.as_deref(),
                request.contact_host.as_deref(),
            ),
            sent_by,
            call: request.call,
            asks_s: request.expires_s,
            authentication: Authentication::default(),
            exchange: Exchange::default(),
            bytes: Vec::new(),
            transaction: None,
            steps: Vec::new(),
            strays: 0,
            end: None,
        }
    }

    /// Begins: the first request is to be sent.
    pub fn start(&mut self, now: Time) -> Todo {
        self.next_request(now)
    }

    /// The current request.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// When to call [`wake`](Self::wake) if nothing comes before.
    pub fn deadline(&self) -> Time {
        let timers = &self.request.timers;
        self.transaction.map_or(Time::NEVER, |open| open.deadline(timers).min(open.sent + self.request.patience))
    }

    /// Takes a datagram that reached the machine at `at`.
    pub fn receive(&mut self, at: Time, bytes: &[u8]) -> Todo {
        if self.end.is_some() {
            return Todo::Done;
        }
        let ours = self.branch();
        if scan::branch_of(bytes) != Some(ours.as_bytes()) {
            self.strays += 1;
            return Todo::Wait;
        }
        match scan::response(bytes) {
            Err(malformed) => self.close(at, ProbeEnd::Malformed(malformed.to_string())),
            Ok(response) if response.code < 200 => {
                if let Some(open) = &mut self.transaction {
                    open.provisional();
                }
                if let Some(step) = self.steps.last_mut() {
                    step.provisional = Some(response.code);
                }
                Todo::Wait
            }
            Ok(response) => self.answered(at, &response, bytes),
        }
    }

    /// The deadline has come: retransmits, or gives up.
    pub fn wake(&mut self, now: Time) -> Todo {
        let Some(open) = &mut self.transaction else { return Todo::Done };
        let timers: &Timers = &self.request.timers;
        if now >= open.sent + self.request.patience {
            return self.close(now, ProbeEnd::TimedOut);
        }
        match open.due(now, timers) {
            Due::Nothing => Todo::Wait,
            Due::Timeout => self.close(now, ProbeEnd::TimedOut),
            Due::Retransmit => {
                open.retransmitted(now, timers);
                if let Some(step) = self.steps.last_mut() {
                    step.retransmissions += 1;
                }
                Todo::Send
            }
        }
    }

    /// The request could not be sent, or could not be delivered.
    pub fn unreachable(&mut self, now: Time, why: Trouble) -> Todo {
        self.close(now, ProbeEnd::Transport(why.to_string()))
    }

    /// What came of it; a probe that was left before its end timed out.
    pub fn finish(self) -> ProbeOutcome {
        ProbeOutcome {
            steps: self.steps,
            end: self.end.unwrap_or(ProbeEnd::TimedOut),
            asked_expires_s: self.asks_s,
            strays: self.strays,
            call: self.call,
        }
    }

    /// The CSeq serves as the transaction's number.
    fn branch(&self) -> Branch {
        Branch::new(self.call.tag(), Token { agent: AgentId(0), serial: self.call.cseq() })
    }

    fn next_request(&mut self, now: Time) -> Todo {
        self.call.next_request();
        self.authentication.next_request();
        self.exchange.requested(self.authentication.carries_any());
        let held = [Role::Registrar, Role::Proxy].into_iter().find_map(|role| self.authentication.held(role));
        self.steps.push(ProbeStep {
            place: self.exchange.place(),
            credentials: held.map(|held| shown(held, self.request)),
            retransmissions: 0,
            provisional: None,
            took: std::time::Duration::ZERO,
            answer: None,
        });
        let mut transaction = Transaction::start(now, &self.request.timers);
        if self.request.transport.is_stream() {
            transaction.sent_reliably();
        }
        self.transaction = Some(transaction);
        match self.render() {
            Ok(()) => Todo::Send,
            Err(overflow) => self.close(now, ProbeEnd::Transport(overflow.to_string())),
        }
    }

    fn render(&mut self) -> Result<(), Overflow> {
        let (request, branch, id, from_tag) = (self.request, self.branch(), self.call.id(), self.call.own_tag());
        let method = request.method.as_str().as_bytes();
        let uri = self.template.uri();
        let digest = |algorithm, ha1: &Ha1, nonce: &[u8], qop: Option<Qop<'_>>| {
            digest::request_digest(algorithm, ha1, &Covered { nonce, qop, method, uri, body: b"" })
        };
        let mut bytes = vec![0; LARGEST];
        let cseq = self.call.cseq();
        let write = |authorizations: &[Authorization<'_>]| match request.method {
            ProbeMethod::Register => {
                let (user, expires) = (request.user.as_bytes(), self.asks_s);
                let (branch, call_id, from_tag) = (&branch, &id, &from_tag);
                let register = Register { user, branch, call_id, from_tag, cseq, expires, authorizations };
                self.template.write(&register, &mut bytes)
            }
            ProbeMethod::Options => {
                let options = Options {
                    domain: &request.domain,
                    transport: request.transport,
                    sent_by: &self.sent_by,
                    route: request.route.as_deref(),
                    user_agent: &request.user_agent,
                    user: request.user.as_bytes(),
                    branch: &branch,
                    call_id: &id,
                    from_tag: &from_tag,
                    cseq,
                    authorizations,
                };
                emit::write_options(&options, &mut bytes)
            }
        };
        let len = self.authentication.authorize(request.auth_user.as_bytes(), digest, write)?;
        bytes.truncate(len);
        self.bytes = bytes;
        Ok(())
    }

    fn answered(&mut self, at: Time, response: &Response<'_>, bytes: &[u8]) -> Todo {
        let method = self.request.method.as_str().as_bytes();
        if let Some(step) = self.steps.last_mut() {
            let user = self.request.contact_user.as_ref().unwrap_or(&self.request.user);
            // What is kept of it shows nothing of the digest that was sent.
            let mut shown = bytes.to_vec();
            mask_echoes(&mut shown, &self.bytes);
            let shown = scan::response(&shown);
            let sent = SentContact { user: user.as_bytes(), host: self.template.contact_host(), instance: None };
            step.answer = Some(ProbeAnswer::read(shown.as_ref().unwrap_or(response), &sent));
        }
        if response.cseq != self.call.cseq() || !response.cseq_method.eq_ignore_ascii_case(method) {
            return self.close(at, ProbeEnd::Malformed("the CSeq is not that of the request".to_owned()));
        }
        match FinalAnswer::of(response.code) {
            FinalAnswer::Challenge(role) => self.challenged(at, role, response),
            FinalAnswer::TooBrief => match self.exchange.too_brief(self.asks_s, response.min_expires()) {
                Ok(longer_s) => {
                    self.asks_s = longer_s;
                    self.go_on(at)
                }
                Err(_) => self.close(at, ProbeEnd::Answered),
            },
            FinalAnswer::Granted | FinalAnswer::Refusal => self.close(at, ProbeEnd::Answered),
        }
    }

    fn challenged(&mut self, at: Time, role: Role, response: &Response<'_>) -> Todo {
        let rule = &self.request.answer;
        let chosen = choose(response, usable(rule.algorithms, &self.request.credential), rule);
        let challenge = match chosen {
            Ok(challenge) => challenge,
            Err(_) if self.authentication.has_answered(role, self.exchange) => {
                return self.close(at, ProbeEnd::Answered);
            }
            Err(unusable) => return self.close(at, ProbeEnd::Unusable(unusable)),
        };
        let header = rule.header_realm.text();
        let answerer = Answerer {
            auth_user: self.request.auth_user.as_bytes(),
            credential: &self.request.credential,
            realm: header.unwrap_or(challenge.realm),
            // The challenged realm is another one than what the header says instead.
            hashed_realm: rule.hash_realm.text().or(header.map(|_| challenge.realm)),
        };
        let by = self.authentication.place(role, answerer.realm, self.exchange);
        match by.filter(|&by| self.exchange.challenged(by, challenge.stale, Patience::RFC).is_ok()) {
            None => self.close(at, ProbeEnd::Answered),
            Some(by) => {
                self.authentication.accept(by, &challenge, answerer, || self.call.cnonce());
                self.go_on(at)
            }
        }
    }

    /// This request has its answer, and another one follows from it.
    fn go_on(&mut self, at: Time) -> Todo {
        self.time(at);
        self.next_request(at)
    }

    fn close(&mut self, at: Time, end: ProbeEnd) -> Todo {
        self.time(at);
        self.transaction = None;
        self.end.get_or_insert(end);
        Todo::Done
    }

    fn time(&mut self, at: Time) {
        if let (Some(open), Some(step)) = (self.transaction, self.steps.last_mut()) {
            step.took = at.since(open.sent);
        }
    }
}

/// The topmost challenge that can be answered as the rule says.
fn choose<'a>(response: &Response<'a>, accepted: AlgorithmSet, rule: &AnswerRule) -> Result<Challenge<'a>, Unusable> {
    let mut challenge = crate::sip::choose(response, accepted)?;
    if rule.required_realm.as_ref().is_some_and(|realm| realm.as_bytes() != challenge.realm) {
        return Err(Unusable::Realm);
    }
    challenge.protection = match rule.qop {
        QopRule::Offered => challenge.protection,
        QopRule::Auth => Some(Protection::Auth),
        QopRule::AuthInt => Some(Protection::AuthInt),
        QopRule::None if challenge.algorithm.is_session() => return Err(Unusable::SessionWithoutQop),
        QopRule::None => None,
    };
    Ok(challenge)
}

fn shown(held: &Held, request: &ProbeRequest) -> SentCredentials {
    let header_realm = String::from_utf8_lossy(held.realm()).into_owned();
    let hash_realm = match (&request.credential, &request.answer.hash_realm) {
        (Credential::Ha1(_), _) => None,
        (Credential::Password(_), RealmRule::Text(realm)) => Some(realm.clone()),
        (Credential::Password(_), RealmRule::Challenged) => Some(header_realm.clone()),
    };
    SentCredentials {
        username: request.auth_user.clone(),
        algorithm: held.algorithm,
        qop: held.protection,
        header_realm,
        hash_realm,
    }
}
