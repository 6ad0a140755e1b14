//! Following phones from outside: requests and answers in, attempts out.
//!
//! An attempt begins with a REGISTER, goes on with the REGISTER that answers a challenge (or a 423 with a longer lifetime)
//! and ends with the final answer, as the contract counts it: a 401 to credentials made before this attempt is this
//! attempt's challenge; one further `stale=true` and one 423 are answered; a second of either ends it. Without a final
//! answer it ends after Timer F, 32 s (RFC 3261 §17.1.2.2), or when the phone begins anew; what is open when watching ends
//! is abandoned. A challenge that nobody answers ends it too.
//!
//! Requests and answers belong together by Call-ID, CSeq and branch (RFC 3261 §17.1.3). Time must not run backwards here:
//! whoever calls sees to it.

use super::ObserveError;
use super::entry::{End, Entry, What, Word, Words};
use super::replay::Seen;
use super::roster::{Roster, TrunkKey};
use crate::agent::answer;
use crate::record::Observed;
use crate::sip::{Response, contact};
use crate::vocab::{Kind, LoopKind, Place, Status, Time, Trouble, Why};
use std::collections::{HashMap, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::IpAddr;

/// A REGISTER that was seen. Times are nanoseconds since the Unix epoch.
#[derive(Debug)]
pub(super) struct Ask<'a> {
    pub(super) at: u64,
    pub(super) bytes: u32,
    pub(super) trunk: TrunkKey,
    pub(super) transport: &'static str,
    pub(super) user: &'a str,
    pub(super) source: Option<IpAddr>,
    pub(super) call_id: &'a [u8],
    /// [`print_of`] Call-ID, CSeq and branch.
    pub(super) transaction: u64,
    pub(super) carried: Carried,
    /// The lifetime asked for; `None` when it names none.
    pub(super) asked_s: Option<u32>,
    /// It removes bindings (RFC 3261 §10.2.2).
    pub(super) removes: bool,
    /// User and `host[:port]` of its Contact.
    pub(super) contact: (&'a [u8], &'a [u8]),
    /// Of its topmost Via.
    pub(super) sent_by: &'a [u8],
}

/// The credentials of a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Carried {
    Nothing,
    Credentials {
        /// [`print_of`] the nonce; `None` when they cannot be read.
        nonce: Option<u64>,
        /// Position in `sip::Algorithm::ALL`.
        algorithm: Option<u8>,
    },
    /// The source does not show them (a log).
    Unknown,
}

/// An answer that was seen.
#[derive(Debug)]
pub(super) struct Reply<'a> {
    pub(super) at: u64,
    pub(super) bytes: u32,
    pub(super) transaction: u64,
    pub(super) code: u16,
    pub(super) reason: &'a [u8],
    pub(super) challenge: Challenge<'a>,
    pub(super) min_expires: Option<u32>,
    pub(super) retry_after: Option<u32>,
    /// The answer itself, where the source has it.
    pub(super) response: Option<&'a Response<'a>>,
}

/// What a 401 or 407 offers.
#[derive(Clone, Debug, Default)]
pub(super) struct Challenge<'a> {
    pub(super) realm: &'a [u8],
    /// As in `measure::Offer`.
    pub(super) offered: u8,
    /// [`print_of`] each nonce.
    pub(super) nonces: Vec<u64>,
    pub(super) stale: bool,
}

/// Everything seen so far.
#[derive(Debug)]
pub(super) struct Watch {
    roster: Roster,
    words: Words,
    entries: Vec<Entry>,
    /// By agent.
    phones: Vec<Phone>,
    /// By transaction, for as long as an answer or a retransmission may come.
    exchanges: HashMap<u64, Exchange>,
    /// The same in order of time.
    order: VecDeque<(u64, u64)>,
    /// Answers to requests that were not seen.
    orphans: u64,
    answers: u64,
    last: u64,
}

#[derive(Debug)]
struct Phone {
    open: Option<Attempt>,
    bound_until: Option<u64>,
    /// The last attempt ended, and not with a 2xx.
    failed: bool,
    call_id: u64,
    contact: u64,
}

/// An attempt or an un-REGISTER in progress.
#[derive(Debug)]
struct Attempt {
    kind: Kind,
    sent: u64,
    asked_s: Option<u32>,
    current: Current,
    /// Its credentials answer a challenge of this attempt.
    challenged: bool,
    stale_answered: bool,
    interval_raised: bool,
    /// The source shows no credentials.
    opaque: bool,
    /// An answer that the phone may go on from.
    pending: Option<Pending>,
}

/// The latest request of an attempt.
#[derive(Clone, Copy, Debug)]
struct Current {
    transaction: u64,
    sent: u64,
    with_credentials: bool,
    algorithm: Option<u8>,
}

#[derive(Debug)]
struct Pending {
    at: u64,
    code: u16,
    reason: Word,
    realm: Word,
    offered: u8,
    nonces: Vec<u64>,
    stale: bool,
    min_expires: Option<u32>,
    retry_after: Option<u32>,
}

#[derive(Debug)]
struct Exchange {
    agent: u32,
    answered: bool,
    contact: (Box<[u8]>, Box<[u8]>),
    sent_by: Box<[u8]>,
}

impl Watch {
    pub(super) fn new() -> Self {
        Watch {
            roster: Roster::default(),
            words: Words::new(),
            entries: Vec::new(),
            phones: Vec::new(),
            exchanges: HashMap::new(),
            order: VecDeque::new(),
            orphans: 0,
            answers: 0,
            last: 0,
        }
    }

    /// A REGISTER went out.
    ///
    /// # Errors
    /// When there are more trunks than can be told apart.
    pub(super) fn ask(&mut self, ask: &Ask<'_>) -> Result<(), ObserveError> {
        self.forget(ask.at);
        if let Some(exchange) = self.exchanges.get(&ask.transaction) {
            let agent = exchange.agent;
            self.tell(ask.at, agent, What::Retransmitted { bytes: ask.bytes });
            return Ok(());
        }
        let agent = self.phone_of(ask)?;
        let phone = &mut self.phones[agent as usize];
        (phone.call_id, phone.contact) = (print_of(&[ask.call_id]), contact_print(ask));
        if phone.open.as_ref().is_some_and(|open| open.goes_on_with(ask)) {
            self.go_on(agent, ask);
        } else {
            self.settle(agent, ask.at);
            self.begin(agent, ask);
        }
        let boxed = |text: &[u8]| Box::from(&text[..text.len().min(MAX_ADDRESS)]);
        let contact = (boxed(ask.contact.0), boxed(ask.contact.1));
        let exchange = Exchange { agent, answered: false, contact, sent_by: boxed(ask.sent_by) };
        self.exchanges.insert(ask.transaction, exchange);
        self.order.push_back((ask.at, ask.transaction));
        Ok(())
    }

    /// An answer came back.
    pub(super) fn reply(&mut self, reply: &Reply<'_>) {
        self.forget(reply.at);
        self.answers += 1;
        let Some(exchange) = self.exchanges.get_mut(&reply.transaction) else {
            self.orphans += 1;
            return;
        };
        let agent = exchange.agent;
        let again = exchange.answered;
        exchange.answered |= reply.code >= 200;
        self.tell(reply.at, agent, What::Received { bytes: reply.bytes });
        if reply.code < 200 {
            return;
        }
        if again {
            self.tell(reply.at, agent, What::DuplicateResponse);
            return;
        }
        let open = self.phones[agent as usize].open.as_ref();
        let expected = open.is_some_and(|open| {
            open.current.transaction == reply.transaction && reply.at < open.current.sent + TIMER_F_NS
        });
        if expected {
            self.answered(agent, reply);
        } else {
            self.settle_overdue(agent, reply.at);
            self.tell(reply.at, agent, What::LateResponse);
        }
    }

    /// Watching ends at `end`: what is open by then is told.
    pub(super) fn finish(mut self, name: String, observed: Observed, end: u64) -> (Seen, Gaps) {
        let end = end.max(self.last);
        for agent in 0..self.phones.len() as u32 {
            self.leave(agent, end);
            self.lapse(agent, end);
        }
        let gaps = Gaps { orphans: self.orphans, silent: self.answers == 0 && self.roster.len() > 0 };
        (Seen { name, observed, roster: self.roster, words: self.words, entries: self.entries, end }, gaps)
    }

    fn tell(&mut self, at: u64, agent: u32, what: What) {
        self.entries.push(Entry { at, agent, what });
    }

    /// Drops exchanges to which nothing can belong any more.
    fn forget(&mut self, now: u64) {
        self.last = self.last.max(now);
        while let Some(&(at, transaction)) = self.order.front() {
            if now.saturating_sub(at) <= REMEMBERED_NS {
                return;
            }
            self.order.pop_front();
            self.exchanges.remove(&transaction);
        }
    }

    /// The phone that asks: one of this user with the same Call-ID, else with the same Contact, else one that waits for no
    /// answer, else another.
    fn phone_of(&mut self, ask: &Ask<'_>) -> Result<u32, ObserveError> {
        let trunk = self.roster.trunk(ask.trunk.clone(), ask.transport)?;
        if let Some(asked_s) = ask.asked_s.filter(|_| !ask.removes) {
            self.roster.asked(trunk, asked_s);
        }
        let (call_id, contact) = (print_of(&[ask.call_id]), contact_print(ask));
        let known = self.roster.phones(trunk, ask.user);
        let find = |is: &dyn Fn(&Phone) -> bool| known.iter().copied().find(|&agent| is(&self.phones[agent as usize]));
        let found = find(&|phone| phone.call_id == call_id)
            .or_else(|| find(&|phone| phone.contact == contact))
            .or_else(|| find(&|phone| !phone.waits(ask.at)));
        if let Some(agent) = found {
            return Ok(agent);
        }
        let agent = self.roster.add_phone(trunk, ask.user, ask.source, ask.call_id);
        self.phones.push(Phone { open: None, bound_until: None, failed: false, call_id, contact });
        self.tell(ask.at, agent, What::Arrived);
        Ok(agent)
    }

    fn begin(&mut self, agent: u32, ask: &Ask<'_>) {
        self.lapse(agent, ask.at);
        let phone = &mut self.phones[agent as usize];
        let kind = match phone {
            _ if ask.removes => Kind::Unregister,
            Phone { failed: true, .. } => Kind::Retry,
            Phone { bound_until: Some(_), .. } => Kind::Refresh,
            _ => Kind::Initial,
        };
        phone.open = Some(Attempt {
            kind,
            sent: ask.at,
            asked_s: ask.asked_s,
            current: Current::of(ask, false),
            challenged: false,
            stale_answered: false,
            interval_raised: false,
            opaque: ask.carried == Carried::Unknown,
            pending: None,
        });
        if kind != Kind::Unregister {
            self.tell(ask.at, agent, What::Started { kind });
        }
        self.tell(ask.at, agent, What::Request { kind, bytes: ask.bytes });
    }

    /// The request that answers a challenge, or asks for longer after a 423.
    fn go_on(&mut self, agent: u32, ask: &Ask<'_>) {
        let Some(open) = &mut self.phones[agent as usize].open else { return };
        let Some(pending) = open.pending.take() else { return };
        let (kind, since) = (open.kind, open.current.sent);
        open.asked_s = ask.asked_s;
        open.current = Current::of(ask, true);
        if pending.is_challenge() {
            // The second challenge of an attempt can only have been a stale one.
            open.stale_answered = open.challenged;
            open.challenged = true;
        } else {
            open.interval_raised = true;
        }
        let algorithm = open.current.algorithm;
        if pending.is_challenge() {
            self.tell(pending.at, agent, pending.offered(algorithm));
        }
        let Pending { at, code, reason, .. } = pending;
        self.tell(at, agent, What::Challenged { kind, code, reason, since });
        self.tell(ask.at, agent, What::Request { kind, bytes: ask.bytes });
    }

    /// A final answer to the latest request of the open attempt.
    fn answered(&mut self, agent: u32, reply: &Reply<'_>) {
        let Some(open) = &mut self.phones[agent as usize].open else { return };
        let may_go_on = match reply.code {
            200..=299 => return self.succeed(agent, reply),
            401 | 407 => !open.challenged || (reply.challenge.stale && !open.stale_answered),
            // RFC 3261 §10.2.8.
            423 => !open.interval_raised && reply.min_expires.is_some_and(|least| Some(least) > open.asked_s),
            _ => false,
        };
        let pending = Pending {
            at: reply.at,
            code: reply.code,
            reason: self.words.of(reply.reason),
            realm: self.words.of(reply.challenge.realm),
            offered: reply.challenge.offered,
            nonces: reply.challenge.nonces.clone(),
            stale: reply.challenge.stale,
            min_expires: reply.min_expires,
            retry_after: reply.retry_after,
        };
        if may_go_on {
            open.pending = Some(pending);
        } else {
            self.refuse(agent, &pending);
        }
    }

    fn succeed(&mut self, agent: u32, reply: &Reply<'_>) {
        let Some(open) = self.phones[agent as usize].open.take() else { return };
        let (at, code, reason) = (reply.at, reply.code, self.words.of(reply.reason));
        self.lapse(agent, at);
        let phone = &mut self.phones[agent as usize];
        if open.kind == Kind::Unregister {
            if phone.bound_until.take().is_some() {
                self.tell(at, agent, What::Unregistered);
            }
            self.tell(at, agent, What::UnregisterEnded { code, reason: Why::Said(reason), ok: true, sent: open.sent });
            return;
        }
        phone.failed = false;
        let until = match reply.response.zip(self.exchanges.get(&reply.transaction)) {
            Some((response, exchange)) => {
                let asked_s = open.asked_s.unwrap_or(DEFAULT_EXPIRES_S);
                let (user, host) = (&exchange.contact.0, &exchange.contact.1);
                let binding = contact::binding(response, user, host);
                let granted_s = binding.expires.unwrap_or(asked_s);
                let (echo, example) = answer::echo(response, &binding, &exchange.sent_by);
                let (kind, example) = (open.kind, self.words.of(example));
                self.tell(at, agent, What::Granted { kind, asked_s, granted_s, echo, example });
                at + u64::from(granted_s) * SECOND_NS
            }
            // A lifetime that is not shown is not said to have ended.
            None => UNKNOWN_END,
        };
        let end = open.end(Status::Registered, LoopKind::Timeout, code, Why::Said(reason));
        self.tell(at, agent, What::Ended(end));
        self.tell(at, agent, What::Registered { until });
        self.phones[agent as usize].bound_until = Some(until);
    }

    /// The attempt ends with this answer.
    fn refuse(&mut self, agent: u32, last: &Pending) {
        let Some(open) = self.phones[agent as usize].open.take() else { return };
        if open.kind == Kind::Unregister {
            let ended =
                What::UnregisterEnded { code: last.code, reason: Why::Said(last.reason), ok: false, sent: open.sent };
            self.tell(last.at, agent, ended);
            return;
        }
        let place = open.place();
        let (status, loop_kind) = match answer::outcome(last.code, place) {
            (status, _) if last.is_challenge() && last.stale && open.challenged => (status, LoopKind::Stale),
            // What stands in a log without credentials may as well be their refusal.
            _ if last.is_challenge() && place == Place::Unchallenged && !open.opaque => {
                (Status::ProtocolError, LoopKind::Unauthorized)
            }
            outcome => outcome,
        };
        let unusable = status == Status::ProtocolError;
        let reason = if unusable { Why::Trouble(Trouble::LeftUnanswered) } else { Why::Said(last.reason) };
        if last.is_challenge() && !open.opaque {
            self.tell(last.at, agent, last.offered(None));
        }
        let end = End {
            stale: loop_kind == LoopKind::Stale,
            retry_after: last.retry_after,
            ..open.end(status, loop_kind, last.code, reason)
        };
        self.phones[agent as usize].failed = true;
        self.tell(last.at, agent, What::Ended(end));
    }

    /// The phone begins anew at `at`: whatever is open has ended.
    fn settle(&mut self, agent: u32, at: u64) {
        let Some(open) = &mut self.phones[agent as usize].open else { return };
        match open.pending.take() {
            Some(pending) => self.refuse(agent, &pending),
            None => {
                let at = at.min(open.current.sent + TIMER_F_NS);
                self.time_out(agent, at);
            }
        }
    }

    /// As [`Watch::settle`], if Timer F has run out.
    fn settle_overdue(&mut self, agent: u32, at: u64) {
        let open = self.phones[agent as usize].open.as_ref();
        if open.is_some_and(|open| open.pending.is_none() && at >= open.current.sent + TIMER_F_NS) {
            self.settle(agent, at);
        }
    }

    fn time_out(&mut self, agent: u32, at: u64) {
        let reason = Why::Trouble(Trouble::Timeout);
        let Some(open) = self.phones[agent as usize].open.take() else { return };
        if open.kind == Kind::Unregister {
            self.tell(at, agent, What::UnregisterEnded { code: 0, reason, ok: false, sent: open.sent });
            return;
        }
        self.phones[agent as usize].failed = true;
        let end = open.end(Status::RequestTimeout, LoopKind::Timeout, 0, reason);
        self.tell(at, agent, What::Ended(end));
    }

    /// Watching ends: an attempt that may yet have gone on is abandoned.
    fn leave(&mut self, agent: u32, end: u64) {
        let Some(open) = &self.phones[agent as usize].open else { return };
        let overdue = match &open.pending {
            Some(pending) => end.saturating_sub(pending.at) >= ANSWERED_WITHIN_NS,
            None => end >= open.current.sent + TIMER_F_NS,
        };
        if overdue {
            self.settle(agent, end);
            return;
        }
        let reason = Why::Trouble(Trouble::Abandoned);
        let Some(open) = self.phones[agent as usize].open.take() else { return };
        let what = match open.kind {
            Kind::Unregister => What::UnregisterEnded { code: 0, reason, ok: false, sent: open.sent },
            _ => What::Ended(open.end(Status::Abandoned, LoopKind::Timeout, 0, reason)),
        };
        self.tell(end, agent, what);
    }

    /// The binding may have run out by `now`.
    fn lapse(&mut self, agent: u32, now: u64) {
        let phone = &mut self.phones[agent as usize];
        if let Some(until) = phone.bound_until.filter(|&until| until <= now) {
            phone.bound_until = None;
            self.tell(until, agent, What::Lapsed);
        }
    }
}

/// What the source itself does not show.
#[derive(Clone, Copy, Debug)]
pub(super) struct Gaps {
    /// Answers to requests that were not seen.
    pub(super) orphans: u64,
    /// Requests were seen, and not a single answer.
    pub(super) silent: bool,
}

impl Phone {
    /// Whether it still may get an answer to what it asked last.
    fn waits(&self, at: u64) -> bool {
        self.open.as_ref().is_some_and(|open| open.pending.is_none() && at < open.current.sent + TIMER_F_NS)
    }
}

impl Attempt {
    /// Whether a request goes on from the answer that is pending.
    fn goes_on_with(&self, ask: &Ask<'_>) -> bool {
        let Some(pending) = &self.pending else { return false };
        if ask.removes != (self.kind == Kind::Unregister) {
            return false;
        }
        let passed = ask.at.saturating_sub(pending.at);
        match ask.carried {
            // RFC 3261 §10.2.8: the same again, for longer.
            _ if pending.code == 423 => passed < TIMER_F_NS && ask.asked_s >= pending.min_expires,
            Carried::Credentials { nonce: Some(nonce), .. } if !pending.nonces.is_empty() => {
                pending.nonces.contains(&nonce)
            }
            Carried::Credentials { .. } => passed < TIMER_F_NS,
            Carried::Unknown => passed <= ANSWERED_WITHIN_NS,
            Carried::Nothing => false,
        }
    }

    fn place(&self) -> Place {
        if self.current.with_credentials { Place::AfterCredentials } else { Place::Unchallenged }
    }

    fn end(&self, status: Status, loop_kind: LoopKind, code: u16, reason: Why<Word>) -> End {
        End {
            kind: self.kind,
            status,
            loop_kind,
            code,
            reason,
            place: self.place(),
            sent: self.sent,
            credentials_sent: self.current.with_credentials.then_some(self.current.sent),
            stale: false,
            algorithm: self.current.algorithm,
            retry_after: None,
        }
    }
}

impl Current {
    /// `answers`: it follows a challenge, which a log shows by its place only.
    fn of(ask: &Ask<'_>, answers: bool) -> Current {
        let (with_credentials, algorithm) = match ask.carried {
            Carried::Nothing => (false, None),
            Carried::Credentials { algorithm, .. } => (true, algorithm),
            Carried::Unknown => (answers, None),
        };
        Current { transaction: ask.transaction, sent: ask.at, with_credentials, algorithm }
    }
}

impl Pending {
    fn is_challenge(&self) -> bool {
        matches!(self.code, 401 | 407)
    }

    fn offered(&self, answered: Option<u8>) -> What {
        What::Offered { realm: self.realm, offered: self.offered, answered, stale: self.stale }
    }
}

/// Stands for some texts in a comparison.
pub(super) fn print_of(texts: &[&[u8]]) -> u64 {
    let mut hasher = DefaultHasher::new();
    texts.hash(&mut hasher);
    hasher.finish()
}

fn contact_print(ask: &Ask<'_>) -> u64 {
    print_of(&[ask.contact.0, ask.contact.1])
}

pub(super) const SECOND_NS: u64 = 1_000_000_000;
/// 64·T1 (RFC 3261 §17.1.2.2).
const TIMER_F_NS: u64 = 32 * SECOND_NS;
/// Timer F, and as much again for an answer that comes too late.
const REMEMBERED_NS: u64 = 2 * TIMER_F_NS;
/// A phone answers a challenge at once. In a log, which shows no credentials, the next REGISTER within this answers it; a
/// challenge that is older when watching ends was not answered.
pub(super) const ANSWERED_WITHIN_NS: u64 = 5 * SECOND_NS;
/// What a registrar chooses when neither side names a lifetime: unknown, but RFC 3261 §10.2 suggests an hour.
const DEFAULT_EXPIRES_S: u32 = 3_600;
const UNKNOWN_END: u64 = Time::NEVER.as_nanos() / 2;
const MAX_ADDRESS: usize = 200;
