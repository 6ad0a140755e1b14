//! Following phones from outside: requests and answers in, attempts out.
//!
//! An attempt is an exchange as [`crate::agent::exchange`] knows it, reconstructed here from both
//! sides: an answer shows what may follow, the next request shows whether it did. Without a final
//! answer it ends after Timer F (RFC 3261 §17.1.2.2), or when the phone begins anew; a challenge
//! that nobody answers ends it too, and what is open when watching ends is abandoned.
//!
//! Requests and answers belong together by Call-ID, CSeq and branch (RFC 3261 §17.1.3). Time must
//! not run backwards here: whoever calls sees to it.

use super::ObserveError;
use super::entry::{Entry, SeenEnd, SeenTexts, TextId, What};
use super::replay::Seen;
use super::roster::{Roster, TrunkKey};
use crate::agent::answer;
use crate::agent::exchange::{Challenger, Exchange, Failed, FinalAnswer, Patience};
use crate::record::Observed;
use crate::sip::challenge::Role;
use crate::sip::contact::{self, SentContact};
use crate::sip::timers::TIMER_F_NS;
use crate::sip::{Request, Response};
use crate::vocab::{
    Kind, LoopKind, Place, RequestFate, RequestKind, Status, Time, Transport, Trouble, Unreachable, Why, saturating_u32,
};
use std::collections::{HashMap, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::IpAddr;

/// A REGISTER that was seen. Times are nanoseconds since the Unix epoch.
#[derive(Debug)]
pub(super) struct Ask<'a> {
    pub(super) at: u64,
    pub(super) bytes: u32,
    pub(super) trunk: TrunkKey,
    /// `None`: the source does not say.
    pub(super) transport: Option<Transport>,
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
    /// Its Contact; where the source shows none, it is empty.
    pub(super) contact: AskContact<'a>,
    /// Of its topmost Via.
    pub(super) sent_by: &'a [u8],
    /// The request itself, where the source has it.
    pub(super) request: Option<&'a Request<'a>>,
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct AskContact<'a> {
    /// As written. Two telephones behind one border element may differ in a parameter only.
    pub(super) uri: &'a [u8],
    pub(super) user: &'a [u8],
    /// `host[:port]`.
    pub(super) host: &'a [u8],
}

/// What a request carries to prove who sent it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Carried {
    /// Nothing when there are none.
    Credentials(Vec<UsedCredentials>),
    /// The source does not show them (a log).
    Unknown,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct UsedCredentials {
    /// [`print_of`] the nonce; `None` when they cannot be read.
    pub(super) nonce: Option<u64>,
    /// Position in `sip::Algorithm::ALL`.
    pub(super) algorithm: Option<u8>,
}

/// An answer that was seen.
#[derive(Debug)]
pub(super) struct Reply<'a> {
    pub(super) at: u64,
    pub(super) bytes: u32,
    pub(super) transaction: u64,
    pub(super) code: u16,
    pub(super) reason: &'a [u8],
    pub(super) challenge: SeenChallenge<'a>,
    pub(super) min_expires: Option<u32>,
    pub(super) retry_after: Option<u32>,
    /// The answer itself, where the source has it.
    pub(super) response: Option<&'a Response<'a>>,
}

/// What a 401 or 407 offers.
#[derive(Clone, Debug, Default)]
pub(super) struct SeenChallenge<'a> {
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
    words: SeenTexts,
    entries: Vec<Entry>,
    /// By agent.
    phones: Vec<Phone>,
    /// By transaction, for as long as an answer or a retransmission may come.
    requests: HashMap<u64, SeenRequest>,
    /// The same in order of time.
    order: VecDeque<(u64, u64)>,
    /// Answers to requests that were not seen.
    orphans: u64,
    answers: u64,
    /// Requests that were new, and repetitions of them.
    asked: u64,
    repeated: u64,
    last: u64,
}

#[derive(Debug)]
struct Phone {
    open: Option<SeenAttempt>,
    bound_until: Option<u64>,
    /// The last attempt ended, and not with a 2xx.
    failed: bool,
    call_id: u64,
    contact: u64,
}

/// An attempt or an un-REGISTER in progress.
#[derive(Debug)]
struct SeenAttempt {
    kind: Kind,
    sent: u64,
    asked_s: Option<u32>,
    current: Current,
    exchange: Exchange,
    /// Who challenged so far, by role and realm: a phone may hold credentials for each realm on the
    /// way (RFC 3261 §22.3).
    challengers: Vec<(Role, TextId)>,
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
    algorithm: Option<u8>,
    /// ICMP says that it did not arrive.
    unreachable: Option<Unreachable>,
}

/// An answer from which an attempt may go on, and how.
#[derive(Debug)]
struct Pending {
    asks: Asks,
    answer: SeenAnswer,
    /// Of the challenges.
    nonces: Vec<u64>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Asks {
    /// For credentials; `again`: on a fresher nonce than those refused.
    Credentials { again: bool },
    /// For a lifetime of this many seconds.
    Longer(u32),
}

/// A final answer as the entries need it.
#[derive(Clone, Copy, Debug)]
struct SeenAnswer {
    at: u64,
    code: u16,
    reason: TextId,
    realm: TextId,
    offered: u8,
    stale: bool,
    retry_after: Option<u32>,
}

#[derive(Debug)]
struct SeenRequest {
    agent: u32,
    sent: u64,
    bytes: u32,
    answered: bool,
    repeated: bool,
    /// User and host of its Contact.
    user_and_host: (Box<[u8]>, Box<[u8]>),
    sent_by: Box<[u8]>,
}

impl SeenRequest {
    fn contact(&self) -> SentContact<'_> {
        let (user, host) = &self.user_and_host;
        SentContact { user, host, instance: None }
    }
}

impl Watch {
    pub(super) fn new() -> Self {
        Watch {
            roster: Roster::default(),
            words: SeenTexts::new(),
            entries: Vec::new(),
            phones: Vec::new(),
            requests: HashMap::new(),
            order: VecDeque::new(),
            orphans: 0,
            answers: 0,
            asked: 0,
            repeated: 0,
            last: 0,
        }
    }

    /// A REGISTER went out.
    ///
    /// # Errors
    /// When there are more trunks than can be told apart.
    pub(super) fn ask(&mut self, ask: &Ask<'_>) -> Result<(), ObserveError> {
        self.forget(ask.at);
        if let Some(request) = self.requests.get_mut(&ask.transaction) {
            let (agent, first) = (request.agent, !std::mem::replace(&mut request.repeated, true));
            let first_sent = (first && !request.answered).then_some(request.sent);
            self.repeated += 1;
            self.tell(ask.at, agent, What::Retransmitted { bytes: ask.bytes, first_sent });
            return Ok(());
        }
        self.asked += 1;
        let agent = self.phone_of(ask)?;
        let asked_s = ask.asked_s.filter(|_| !ask.removes);
        self.roster.note(agent, asked_s, ask.request, &mut self.words);
        let phone = &mut self.phones[agent as usize];
        (phone.call_id, phone.contact) = (print_of(&[ask.call_id]), print_of(&[ask.contact.uri]));
        if phone.open.as_ref().is_some_and(|open| open.goes_on_with(ask)) {
            self.go_on(agent, ask);
        } else {
            self.settle(agent, ask.at);
            self.begin(agent, ask);
        }
        let boxed = |text: &[u8]| Box::from(&text[..text.len().min(MAX_ADDRESS)]);
        let user_and_host = (boxed(ask.contact.user), boxed(ask.contact.host));
        let (sent, bytes, sent_by) = (ask.at, ask.bytes, boxed(ask.sent_by));
        let request = SeenRequest { agent, sent, bytes, answered: false, repeated: false, user_and_host, sent_by };
        self.requests.insert(ask.transaction, request);
        self.order.push_back((ask.at, ask.transaction));
        Ok(())
    }

    /// An answer came back.
    pub(super) fn reply(&mut self, reply: &Reply<'_>) {
        self.forget(reply.at);
        self.answers += 1;
        let Some(request) = self.requests.get_mut(&reply.transaction) else {
            self.orphans += 1;
            return;
        };
        let agent = request.agent;
        let again = request.answered;
        request.answered |= reply.code >= 200;
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

    /// ICMP says of a request that it did not arrive.
    pub(super) fn undelivered(&mut self, transaction: u64, why: Unreachable) {
        let Some(request) = self.requests.get(&transaction) else { return };
        let open = self.phones[request.agent as usize].open.as_mut();
        if let Some(open) = open.filter(|open| open.current.transaction == transaction) {
            open.current.unreachable = Some(why);
        }
    }

    /// Watching ends at `end`: what is open by then is told.
    pub(super) fn finish(mut self, name: String, observed: Observed, end: u64) -> (Seen, Gaps) {
        let end = end.max(self.last);
        for agent in 0..saturating_u32(self.phones.len()) {
            self.leave(agent, end);
            self.lapse(agent, end);
        }
        let silent = self.answers == 0 && self.roster.len() > 0;
        // A phone repeats what it gets no answer to (RFC 3261 §17.1.2.2, Timer E).
        let gaps = Gaps { orphans: self.orphans, silent, waited: self.repeated >= REPEATS * self.asked };
        let Watch { roster, words, entries, .. } = self;
        (Seen { name, observed, answers_missing: false, roster, words, entries, end }, gaps)
    }

    fn tell(&mut self, at: u64, agent: u32, what: What) {
        self.entries.push(Entry { at, agent, what });
    }

    /// Drops requests to which nothing can belong any more.
    fn forget(&mut self, now: u64) {
        self.last = self.last.max(now);
        while let Some(&(at, transaction)) = self.order.front() {
            if now.saturating_sub(at) <= REMEMBERED_NS {
                return;
            }
            self.order.pop_front();
            self.requests.remove(&transaction);
        }
    }

    /// The phone that asks: of this user's, the one with the same Call-ID, else the one whose
    /// challenge this answers, else one with the same Contact, else any, if it is not in the middle
    /// of an exchange; else another phone.
    fn phone_of(&mut self, ask: &Ask<'_>) -> Result<u32, ObserveError> {
        let trunk = self.roster.trunk(ask.trunk.clone(), ask.transport)?;
        if let Some(asked_s) = ask.asked_s.filter(|_| !ask.removes) {
            self.roster.asked(trunk, asked_s);
        }
        let (call_id, contact) = (print_of(&[ask.call_id]), print_of(&[ask.contact.uri]));
        let known = self.roster.phones(trunk, ask.user);
        let find = |is: &dyn Fn(&Phone) -> bool| known.iter().copied().find(|&agent| is(&self.phones[agent as usize]));
        let found = find(&|phone| phone.call_id == call_id)
            .or_else(|| find(&|phone| phone.is_asked_for(ask)))
            // A phone with a new Call-ID has begun anew, and one that does so at once is two. A log
            // shows no Contact.
            .or_else(|| find(&|phone| phone.contact == contact && (ask.contact.uri.is_empty() || !phone.acts(ask.at))))
            .or_else(|| find(&|phone| !phone.acts(ask.at) && !phone.waits(ask.at)));
        if let Some(agent) = found {
            return Ok(agent);
        }
        let agent = self.roster.add_phone(trunk, ask.user, ask.source, ask.call_id);
        self.phones.push(Phone { open: None, bound_until: None, failed: false, call_id, contact });
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
        let mut exchange = Exchange::default();
        exchange.requested(ask.carried.is_shown());
        phone.open = Some(SeenAttempt {
            kind,
            sent: ask.at,
            asked_s: ask.asked_s,
            current: Current::of(ask, ask.carried.algorithm_for(&[])),
            exchange,
            challengers: Vec::new(),
            opaque: ask.carried == Carried::Unknown,
            pending: None,
        });
        if kind == Kind::Unregister {
            // Whoever signs off is no longer expected to be there.
            self.tell(ask.at, agent, What::Retired);
        } else {
            self.tell(ask.at, agent, What::Arrived);
            self.tell(ask.at, agent, What::Started { kind });
        }
        self.tell(ask.at, agent, What::Request { kind, bytes: ask.bytes, proved: ask.carried.is_shown() });
    }

    /// The request that answers a challenge, or asks for longer after a 423.
    fn go_on(&mut self, agent: u32, ask: &Ask<'_>) {
        let Some(open) = &mut self.phones[agent as usize].open else { return };
        let Some(Pending { asks, answer, nonces }) = open.pending.take() else { return };
        let (kind, since) = (open.kind, open.current.sent);
        let challenged = matches!(asks, Asks::Credentials { .. });
        // A log shows by its place only that a request answers a challenge.
        let with_credentials = match ask.carried {
            Carried::Unknown => challenged || open.exchange.with_credentials(),
            Carried::Credentials(_) => ask.carried.is_shown(),
        };
        open.exchange.requested(with_credentials);
        open.asked_s = ask.asked_s;
        let algorithm = ask.carried.algorithm_for(&nonces);
        open.current = Current::of(ask, algorithm);
        if challenged {
            self.tell(answer.at, agent, answer.offered(algorithm));
        }
        self.tell(answer.at, agent, What::Challenged { kind, code: answer.code, reason: answer.reason, since });
        self.tell(ask.at, agent, What::Request { kind, bytes: ask.bytes, proved: with_credentials });
    }

    /// The latest request of the open attempt has its final answer, or will have none.
    fn request_ended(&mut self, at: u64, agent: u32, answered: bool) {
        let Some(open) = self.phones[agent as usize].open.as_ref() else { return };
        let Some(request) = self.requests.get(&open.current.transaction) else { return };
        let fate = match (answered, request.repeated) {
            (true, false) => RequestFate::AtOnce,
            (true, true) => RequestFate::Repeated,
            (false, _) => RequestFate::Never,
        };
        let (kind, bytes, sent) = (RequestKind::of(open.kind, open.exchange.place()), request.bytes, request.sent);
        self.tell(at, agent, What::RequestEnded { kind, fate, bytes, sent });
    }

    /// A final answer to the latest request of the open attempt.
    fn answered(&mut self, agent: u32, reply: &Reply<'_>) {
        self.request_ended(reply.at, agent, true);
        let answer = SeenAnswer {
            at: reply.at,
            code: reply.code,
            reason: self.words.of(reply.reason),
            realm: self.words.of(reply.challenge.realm),
            offered: reply.challenge.offered,
            stale: reply.challenge.stale,
            retry_after: reply.retry_after,
        };
        let Some(open) = &mut self.phones[agent as usize].open else { return };
        let asks = match FinalAnswer::of(reply.code) {
            FinalAnswer::Granted => return self.succeed(agent, reply),
            FinalAnswer::Challenge(role) => open.challenged(role, &answer).map(|again| Asks::Credentials { again }),
            // Any lifetime is longer than one that was not named.
            FinalAnswer::TooBrief => {
                open.exchange.too_brief(open.asked_s.unwrap_or(1), reply.min_expires).map(Asks::Longer)
            }
            FinalAnswer::Refusal => Err(open.exchange.refused(reply.code)),
        };
        match asks {
            Ok(asks) => open.pending = Some(Pending { asks, answer, nonces: reply.challenge.nonces.clone() }),
            Err(failed) => self.refuse(agent, failed, &answer),
        }
    }

    fn succeed(&mut self, agent: u32, reply: &Reply<'_>) {
        let Some(open) = self.phones[agent as usize].open.take() else { return };
        let (at, code, reason) = (reply.at, reply.code, self.words.of(reply.reason));
        self.lapse(agent, at);
        if open.kind != Kind::Unregister && self.grants_nothing(&open, reply) {
            let Failed { status, loop_kind } = Failed::MALFORMED;
            let end = open.end(status, loop_kind, code, Why::Trouble(Trouble::NothingGranted));
            let phone = &mut self.phones[agent as usize];
            (phone.failed, phone.bound_until) = (true, None);
            self.tell(at, agent, What::Ended(end.into()));
            self.tell(at, agent, What::Lapsed);
            return;
        }
        let phone = &mut self.phones[agent as usize];
        if open.kind == Kind::Unregister {
            if phone.bound_until.take().is_some() {
                self.tell(at, agent, What::Unregistered);
            }
            self.tell(at, agent, What::UnregisterEnded { code, reason: Why::Said(reason), ok: true, sent: open.sent });
            return;
        }
        phone.failed = false;
        let until = match reply.response.zip(self.requests.get(&reply.transaction)) {
            Some((response, request)) => {
                let asked_s = open.asked_s.unwrap_or(DEFAULT_EXPIRES_S);
                let binding = contact::binding(response, &request.contact());
                let granted_s = binding.expires.unwrap_or(asked_s);
                let (echo, example) = answer::echo(response, &binding, &request.sent_by);
                let (kind, example) = (open.kind, self.words.of(example));
                let listed = contact::listed(response);
                self.tell(at, agent, What::Granted { kind, asked_s, granted_s, listed, echo, example });
                at + u64::from(granted_s) * SECOND_NS
            }
            // A lifetime that is not shown is not said to have ended.
            None => UNKNOWN_END,
        };
        let end = open.end(Status::Registered, LoopKind::Timeout, code, Why::Said(reason));
        self.tell(at, agent, What::Ended(end.into()));
        self.tell(at, agent, What::Registered { until });
        self.phones[agent as usize].bound_until = Some(until);
    }

    /// Whether a 2xx holds no binding of the phone, though it asked for one.
    fn grants_nothing(&self, open: &SeenAttempt, reply: &Reply<'_>) -> bool {
        let Some((response, request)) = reply.response.zip(self.requests.get(&reply.transaction)) else {
            return false;
        };
        let binding = contact::binding(response, &request.contact());
        open.asked_s.unwrap_or(DEFAULT_EXPIRES_S) > 0 && binding.expires == Some(0)
    }

    /// The attempt ends with this answer.
    fn refuse(&mut self, agent: u32, failed: Failed, last: &SeenAnswer) {
        let Some(open) = self.phones[agent as usize].open.take() else { return };
        if open.kind == Kind::Unregister {
            let ended =
                What::UnregisterEnded { code: last.code, reason: Why::Said(last.reason), ok: false, sent: open.sent };
            self.tell(last.at, agent, ended);
            return;
        }
        let reason = match failed {
            Failed::UNANSWERED => Why::Trouble(Trouble::LeftUnanswered),
            _ => Why::Said(last.reason),
        };
        if matches!(FinalAnswer::of(last.code), FinalAnswer::Challenge(_)) && !open.opaque {
            self.tell(last.at, agent, last.offered(None));
        }
        let end = SeenEnd {
            stale: failed.loop_kind == LoopKind::Stale,
            retry_after: last.retry_after,
            ..open.end(failed.status, failed.loop_kind, last.code, reason)
        };
        self.phones[agent as usize].failed = true;
        self.tell(last.at, agent, What::Ended(end.into()));
    }

    /// The phone begins anew at `at`: whatever is open has ended.
    fn settle(&mut self, agent: u32, at: u64) {
        let Some(open) = &mut self.phones[agent as usize].open else { return };
        match open.pending.take() {
            Some(pending) => {
                let failed = open.left(pending.asks);
                self.refuse(agent, failed, &pending.answer);
            }
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
        self.request_ended(at, agent, false);
        let Some(open) = self.phones[agent as usize].open.take() else { return };
        let (Failed { status, loop_kind }, trouble) = match open.current.unreachable {
            Some(what) => (Failed::UNREACHABLE, Trouble::Unreachable(what)),
            None => (Failed::TIMED_OUT, Trouble::Timeout),
        };
        let reason = Why::Trouble(trouble);
        if open.kind == Kind::Unregister {
            self.tell(at, agent, What::UnregisterEnded { code: 0, reason, ok: false, sent: open.sent });
            return;
        }
        self.phones[agent as usize].failed = true;
        let end = open.end(status, loop_kind, 0, reason);
        self.tell(at, agent, What::Ended(end.into()));
    }

    /// Watching ends: an attempt that may yet have gone on is abandoned.
    fn leave(&mut self, agent: u32, end: u64) {
        let Some(open) = &self.phones[agent as usize].open else { return };
        let overdue = match &open.pending {
            Some(pending) => end.saturating_sub(pending.answer.at) >= ANSWERED_WITHIN_NS,
            None => end >= open.current.sent + TIMER_F_NS || open.current.unreachable.is_some(),
        };
        if overdue {
            self.settle(agent, end);
            return;
        }
        let reason = Why::Trouble(Trouble::Abandoned);
        let Some(open) = self.phones[agent as usize].open.take() else { return };
        let what = match open.kind {
            Kind::Unregister => What::UnregisterEnded { code: 0, reason, ok: false, sent: open.sent },
            _ => What::Ended(open.end(Status::Abandoned, LoopKind::Timeout, 0, reason).into()),
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
    /// The phones repeated their requests, as they do when nothing answers them.
    pub(super) waited: bool,
}

impl Phone {
    /// Whether it still may get an answer to what it asked last.
    fn waits(&self, at: u64) -> bool {
        self.open.as_ref().is_some_and(|open| open.pending.is_none() && at < open.current.sent + TIMER_F_NS)
    }

    /// Whether it was heard of in the middle of an exchange so lately that it will go on with it.
    fn acts(&self, at: u64) -> bool {
        self.open.as_ref().is_some_and(|open| {
            let heard = open.pending.as_ref().map_or(open.current.sent, |pending| pending.answer.at);
            at.saturating_sub(heard) < ANSWERED_WITHIN_NS
        })
    }

    /// Whether the request carries credentials on a nonce that it was challenged with.
    fn is_asked_for(&self, ask: &Ask<'_>) -> bool {
        let pending = self.open.as_ref().and_then(|open| open.pending.as_ref());
        pending.is_some_and(|pending| ask.carried.answers(&pending.nonces))
    }
}

impl Carried {
    fn is_shown(&self) -> bool {
        matches!(self, Carried::Credentials(all) if !all.is_empty())
    }

    /// Whether it answers one of these challenges.
    fn answers(&self, nonces: &[u64]) -> bool {
        self.used_for(nonces).is_some()
    }

    fn used_for(&self, nonces: &[u64]) -> Option<&UsedCredentials> {
        let Carried::Credentials(all) = self else { return None };
        all.iter().find(|used| used.nonce.is_some_and(|nonce| nonces.contains(&nonce)))
    }

    /// The algorithm of what answers one of these challenges, else of the first credentials.
    fn algorithm_for(&self, nonces: &[u64]) -> Option<u8> {
        let Carried::Credentials(all) = self else { return None };
        self.used_for(nonces).or(all.first())?.algorithm
    }
}

impl Current {
    fn of(ask: &Ask<'_>, algorithm: Option<u8>) -> Self {
        Current { transaction: ask.transaction, sent: ask.at, algorithm, unreachable: None }
    }
}

impl SeenAttempt {
    /// A 401 or 407: see [`Exchange::challenged`].
    fn challenged(&mut self, role: Role, answer: &SeenAnswer) -> Result<bool, Failed> {
        let by = (role, answer.realm);
        let known = self.challengers.iter().position(|&known| known == by);
        let n = known.unwrap_or(self.challengers.len());
        if known.is_none() && n < Challenger::MOST {
            self.challengers.push(by);
        }
        self.exchange.challenged(Challenger::nth(n), answer.stale, Patience::RFC)
    }

    /// How it ends when the phone does not do what is asked for.
    fn left(&self, asks: Asks) -> Failed {
        match asks {
            Asks::Longer(_) => self.exchange.refused(423),
            Asks::Credentials { again } => match self.exchange.unanswered(again) {
                // What stands in a log without credentials may as well be their refusal.
                Failed::UNANSWERED if self.opaque => Failed::by(401, Place::AfterCredentials),
                failed => failed,
            },
        }
    }

    /// Whether a request goes on from the answer that is pending.
    fn goes_on_with(&self, ask: &Ask<'_>) -> bool {
        let Some(Pending { asks, answer, nonces }) = &self.pending else { return false };
        if ask.removes != (self.kind == Kind::Unregister) {
            return false;
        }
        let passed = ask.at.saturating_sub(answer.at);
        match (asks, &ask.carried) {
            // RFC 3261 §10.2.8: the same again, for longer.
            (Asks::Longer(least_s), _) => passed < TIMER_F_NS && ask.asked_s >= Some(*least_s),
            (_, Carried::Unknown) => passed <= ANSWERED_WITHIN_NS,
            (_, Carried::Credentials(all)) => match all.iter().all(|used| used.nonce.is_some()) && !nonces.is_empty() {
                true => ask.carried.answers(nonces),
                false => !all.is_empty() && passed < TIMER_F_NS,
            },
        }
    }

    fn end(&self, status: Status, loop_kind: LoopKind, code: u16, reason: Why<TextId>) -> SeenEnd {
        let credentials_sent = self.exchange.with_credentials().then_some(self.current.sent);
        SeenEnd {
            kind: self.kind,
            status,
            loop_kind,
            code,
            reason,
            place: self.exchange.place(),
            sent: self.sent,
            credentials_sent,
            stale: false,
            algorithm: self.current.algorithm,
            retry_after: None,
        }
    }
}

impl SeenAnswer {
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

pub(super) const SECOND_NS: u64 = 1_000_000_000;
/// Timer F, and as much again for an answer that comes too late.
const REMEMBERED_NS: u64 = 2 * TIMER_F_NS;
/// A phone answers a challenge at once. In a log, which shows no credentials, the next REGISTER
/// within this answers it; a challenge that is older when watching ends was not answered.
pub(super) const ANSWERED_WITHIN_NS: u64 = 5 * SECOND_NS;
/// What a registrar chooses when neither side names a lifetime: unknown, but RFC 3261 §10.2
/// suggests an hour.
const DEFAULT_EXPIRES_S: u32 = 3_600;
const UNKNOWN_END: u64 = Time::NEVER.as_nanos() / 2;
/// So many repetitions of each request, on the average, show that nobody answers: one alone may
/// come of a slow answer.
const REPEATS: u64 = 2;
const MAX_ADDRESS: usize = 200;
