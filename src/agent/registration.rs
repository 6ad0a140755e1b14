//! The registration of one agent from its arrival to its un-REGISTER (RFC 3261 §10.2), as a state
//! machine.
//!
//! ```text
//!            arrive                 2xx: rest until the refresh is due
//!   Idle ───────────▶ Open(initial) ───────────────────────────────▶ Resting(refresh)
//!     │ shed             │   ▲ ▲                                        │      │
//!     ▼                  │   │ └──────── Open(refresh) ◀────────────────┘      │
//!   Resting(nothing)     │   └────────── Open(retry) ◀── Resting(retry)        │
//!                        │ any other final answer, Timer F, transport failure  │
//!                        └─────────────────────────────▶ Resting(retry|nothing)│
//!                                        unregister: Open(unregister) ◀────────┘ ──▶ Gone
//! ```
//!
//! A further arrival (`when_exhausted = "reregister"`) finds the agent resting and begins a new
//! Open(initial) as a phone does after a restart: with no nonce kept, it goes through the full
//! handshake. An agent whose attempt is still open cannot begin another; that arrival is shed,
//! because arrivals are never silently delayed.
//!
//! One that has left begins as after a restart where a replay says that it comes again.
//!
//! A phone that loses its power (an outage of the load) abandons what is open, waits for nothing,
//! and begins with its next arrival as after a restart; its binding stays at the registrar until it
//! lapses.
//!
//! A client that begins with a pause (Asterisk) rests between its arrival and Open(initial); the
//! attempt is planned for the end of the pause.
//!
//! An attempt that is abandoned may leave a request under way. RFC 3261 §10.2 forbids sending
//! another before the first has been answered or timed out, and an un-REGISTER that overtook it
//! would leave the binding behind: the agent is then Settling, and un-REGISTERs at the answer, or
//! T4 after giving up, when no copy can be left in the network.
//!
//! Within `Open`, a 401/407 or 423 is answered with a further request of the same attempt, as far
//! as [`super::exchange`] allows.

mod challenged;
mod connection;
mod departure;
mod elsewhere;
mod granted;
mod recorded;

use super::answer;
use super::authentication::Authentication;
use super::ending::Ending;
use super::exchange::{self, Exchange, Failed, FinalAnswer};
use super::identity::{Identity, from_tag, own_half, whole};
use super::looping::{LoopStep, Looping};
use super::policy::{OnIcmp, RetryAfter, TrunkPolicy};
use super::retry::{self, Setback};
use super::transaction::{Due, Transaction};
use crate::measure::{AttemptEnd, Clues, Event, RoutingWord};
use crate::seed::{Purpose, Seed, unit};
use crate::sip::Response;
use crate::sip::branch::{Branch, Token};
use crate::sip::emit::{Authorization, Overflow, Register, RegisterTemplate};
use crate::sip::redirect::redirects;
use crate::vocab::{AgentId, FlowLoss, Kind, Place, Refusal, RunTag, Status, Time, Trouble, Why, saturating_u16};
use connection::Facts;
use ipnet::IpNet;
use std::num::{NonZeroU16, NonZeroU64};
use std::time::Duration;

/// What an agent is told.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    /// Its arrival is due.
    Arrive { planned: Time },
    /// Its arrival is due, but too many attempts are open.
    Shed { planned: Time },
    /// A response whose topmost branch is the agent's, for the transaction `serial`; `at` is when
    /// it reached the machine.
    Response { serial: u32, response: &'a Response<'a>, at: Time },
    /// Bytes with such a branch that are no usable SIP response.
    Malformed { serial: u32, at: Time },
    /// The current request cannot reach its target, or could not be sent.
    Transport { serial: u32, why: Trouble },
    /// The connection that a request waits for is open.
    FlowOpen,
    /// The agent's connection was lost, or could not be opened.
    FlowLost { why: FlowLoss },
    /// The name that this redirection leads to was looked up, and the agent's requests go there
    /// now; see [`Outgoing::ByName`].
    Led { response: &'a Response<'a> },
    /// The same where it is not followed, and why.
    NotLed { response: &'a Response<'a>, word: RoutingWord },
    /// [`Agent::deadline`] has come.
    Wake,
    /// The same, where a record has it try again at this time; see [`Input::Again`].
    WakeOr { at: Time },
    /// What it waits for comes now, as a record has it, if that is about as long a wait as its own.
    Again,
    /// It registers anew at once, if it rests until its refresh.
    Renew,
    /// The phone loses its power: nothing goes out any more until it arrives again.
    Cut,
    /// Remove the binding, now.
    Unregister,
    /// The run is over: an open attempt is abandoned.
    Stop,
}

impl<'a> Input<'a> {
    /// The answer that it brings.
    pub fn answer(&self) -> Option<&'a Response<'a>> {
        match self {
            Input::Response { response, .. } | Input::NotLed { response, .. } => Some(response),
            _ => None,
        }
    }
}

/// Whether a request goes out now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outgoing {
    No,
    /// A new transaction's first transmission.
    New,
    /// A retransmission, byte for byte the same.
    Again,
    /// A new transaction's first transmission, to the next of the places its requests may go to.
    Elsewhere,
    /// Nothing before a name was looked up: the answer redirects to one. [`Input::Led`] or
    /// [`Input::NotLed`] follows.
    ByName,
}

/// What an agent needs to know beyond its own state.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    pub agent: AgentId,
    pub policy: &'a TrunkPolicy,
    pub identity: Identity<'a>,
    pub seed: Seed,
    pub run: RunTag,
    /// What requests are built from; differs by local address.
    pub template: &'a RegisterTemplate,
    /// What carries its requests is a stream: nothing is sent twice.
    pub reliable: bool,
    /// Places its requests may go to besides the one they go to now; at most [`MOST_OTHERS`].
    pub others: u8,
    /// What redirections may lead to.
    pub allowed: &'a [IpNet],
    /// The load is over: no refresh and no retry begins, and bindings are not said to lapse for
    /// lack of one.
    pub draining: bool,
}

/// One simulated phone. One Call-ID and a rising CSeq for its whole life (RFC 3261 §10.2).
#[derive(Clone, Debug)]
pub struct Agent {
    state: State,
    authentication: Authentication,
    /// End of the granted lifetime while the agent counts as registered.
    bound_until: Option<Time>,
    /// Lifetime that a 423 demanded; 0 before any. What is asked for is `asks`.
    asks_s: u32,
    /// Transactions so far; names the current one.
    serial: u32,
    /// Which of the last 32 serials had their final response: bit 0 is `serial` itself.
    answered: u32,
    /// When the last final response came, for Timer K.
    last_final: Option<Time>,
    /// Failed attempts since the last 2xx.
    failures: u32,
    /// The registrar may hold a binding of ours: after a 2xx, and after an exchange whose end we
    /// did not see.
    maybe_bound: bool,
    looping: Looping,
    /// The agent's half of its Call-ID, drawn for its first request. `None` as well for a draw of
    /// 0, which is drawn again.
    own_half: Option<NonZeroU64>,
}

/// About half of an idle agent's 379 bytes; the rest is names, nonce, timer and books
/// (`tests/memory.rs`).
const _: () = assert!(size_of::<Agent>() <= 200);

#[derive(Clone, Copy, Debug)]
enum State {
    Idle,
    Open(OpenAttempt),
    Resting(Option<NextAttempt>),
    /// An attempt was abandoned; until this time, or its answer, its request may be on its way.
    /// `leaves`: the agent was told to un-REGISTER and waits for that.
    Settling {
        until: Time,
        leaves: bool,
    },
    Gone,
}

#[derive(Clone, Copy, Debug)]
struct NextAttempt {
    at: Time,
    kind: Kind,
}

/// An attempt or un-REGISTER in progress.
#[derive(Clone, Copy, Debug)]
struct OpenAttempt {
    kind: Kind,
    planned: Time,
    /// First request of the exchange; `None` until the ceiling let it pass.
    first_sent: Option<Time>,
    /// The current transaction; `None` until its request was sent.
    transaction: Option<Transaction>,
    exchange: Exchange,
    /// The marks of whoever challenged, as a digest; `None`: that was not looked at.
    challenged_by: Option<NonZeroU16>,
    facts: Facts,
}

impl Default for Agent {
    fn default() -> Self {
        Self::new()
    }
}

impl Agent {
    pub fn new() -> Self {
        Agent {
            state: State::Idle,
            authentication: Authentication::default(),
            bound_until: None,
            asks_s: 0,
            serial: 0,
            answered: 0,
            last_final: None,
            failures: 0,
            maybe_bound: false,
            looping: Looping::default(),
            own_half: None,
        }
    }

    /// Takes one input. When the answer is not [`Outgoing::No`], the caller writes the request with
    /// [`Agent::render`] and reports its fate with [`Agent::sent`] or [`Agent::refused`] before the
    /// next input.
    pub fn handle(
        &mut self,
        cx: &Context<'_>,
        now: Time,
        input: Input<'_>,
        events: &mut impl FnMut(Event<'_>),
    ) -> Outgoing {
        match input {
            Input::Arrive { planned } => {
                events(Event::Arrived { planned });
                match self.state {
                    // One that left comes again only where a record says so.
                    State::Idle | State::Gone => self.arrive(cx, planned),
                    State::Settling { leaves: false, .. } => self.arrive(cx, planned),
                    State::Resting(_) if self.starts_at().is_none() => self.arrive(cx, planned),
                    State::Open(_) | State::Resting(_) => {
                        self.shed(Kind::Initial, planned, now, events);
                        Outgoing::No
                    }
                    State::Settling { .. } => Outgoing::No,
                }
            }
            Input::Shed { planned } => {
                events(Event::Arrived { planned });
                self.shed(Kind::Initial, planned, now, events);
                // Whatever an agent that is here already was waiting for goes on.
                if matches!(self.state, State::Idle) || self.starts_at().is_some() {
                    self.state = State::Resting(self.after_shed(cx, Kind::Initial, now));
                }
                Outgoing::No
            }
            Input::Response { serial, response, at } => self.response(cx, serial, response, at, events),
            Input::Malformed { serial, at } => {
                if self.is_open(serial) {
                    let end = Ending::trouble(Failed::MALFORMED, 0, Trouble::MalformedResponse);
                    self.finish(cx, end, at, events);
                }
                Outgoing::No
            }
            Input::Transport { serial, why } => {
                if self.is_open(serial) {
                    self.undelivered(cx, why, now, events)
                } else {
                    Outgoing::No
                }
            }
            Input::FlowOpen => self.flow_open(),
            Input::FlowLost { why } => self.flow_lost(cx, why, now, events),
            Input::Led { response } => self.led(cx, response, events),
            Input::NotLed { response, word } => self.not_led(cx, (response, word), now, events),
            Input::Wake => self.wake(cx, now, events),
            Input::WakeOr { at } => {
                self.wait_for(now, at);
                self.wake(cx, now, events)
            }
            Input::Again => self.again(cx, now),
            Input::Renew => self.renew(cx, now),
            Input::Cut => {
                self.cut(cx, now, events);
                Outgoing::No
            }
            Input::Unregister => self.unregister(cx, now, events),
            Input::Stop => {
                self.stop(cx, now, events);
                Outgoing::No
            }
        }
    }

    /// When to be woken next; `None` for never.
    pub fn deadline(&self, cx: &Context<'_>) -> Option<Time> {
        let lapse = self.bound_until.filter(|_| !cx.draining);
        let own = match &self.state {
            State::Open(attempt) => attempt.transaction.map(|t| t.deadline(&cx.policy.timers)),
            State::Resting(next) => next.filter(|_| !cx.draining).map(|next| next.at),
            State::Settling { until, leaves } => leaves.then_some(*until),
            State::Idle | State::Gone => None,
        };
        [lapse, own].into_iter().flatten().min()
    }

    /// The request left at `now`: a new transaction's first transmission, or a retransmission.
    /// It is so many bytes long.
    pub fn sent(&mut self, cx: &Context<'_>, now: Time, bytes: usize, events: &mut impl FnMut(Event<'_>)) {
        let State::Open(attempt) = &mut self.state else { return };
        let bytes = saturating_u16(bytes);
        if let Some(transaction) = &mut attempt.transaction {
            transaction.retransmitted(now, &cx.policy.timers);
            transaction.bytes = bytes;
            let again = std::mem::replace(&mut transaction.on_wire, true);
            if cx.reliable {
                transaction.sent_reliably();
            }
            let first_sent = transaction.was_repeated_once().then_some(transaction.sent);
            let repeated = Event::Retransmitted { at: now, first_sent };
            events(if again { repeated } else { Event::Request { kind: attempt.kind } });
            return;
        }
        let mut transaction = Transaction::start(now, &cx.policy.timers).of_bytes(bytes);
        if cx.reliable {
            transaction.sent_reliably();
        }
        attempt.transaction = Some(transaction);
        if attempt.first_sent.is_none() {
            attempt.first_sent = Some(now);
            attempt.begin(now, events);
            if attempt.kind != Kind::Unregister {
                events(Event::Started { at: now });
            }
        }
        events(Event::Request { kind: attempt.kind });
    }

    /// The safety ceiling refused the request: an attempt's first one sheds the attempt, any other
    /// counts as sent and lost, so that its timer decides.
    pub fn refused(&mut self, cx: &Context<'_>, now: Time, events: &mut impl FnMut(Event<'_>)) {
        let State::Open(attempt) = &mut self.state else { return };
        let timers = &cx.policy.timers;
        if let Some(transaction) = &mut attempt.transaction {
            transaction.retransmitted(now, timers);
            events(Event::CeilingRefused);
        } else if attempt.first_sent.is_some() || attempt.facts.has(Facts::BEGUN) || attempt.kind == Kind::Unregister {
            attempt.transaction = Some(Transaction::start_unsent(now, timers));
            attempt.first_sent.get_or_insert(now);
            events(Event::CeilingRefused);
        } else {
            let (kind, planned) = (attempt.kind, attempt.planned);
            events(Event::CeilingRefused);
            self.shed(kind, planned, now, events);
            self.state = State::Resting(self.after_shed(cx, kind, now));
        }
    }

    /// Writes the current request into `out` and returns its length.
    ///
    /// # Errors
    /// When `out` is too small.
    pub fn render(&self, cx: &Context<'_>, out: &mut [u8]) -> Result<usize, Overflow> {
        let State::Open(attempt) = &self.state else { return Ok(0) };
        let call_id = whole(cx.run, self.own(cx));
        let write = |authorizations: &[Authorization<'_>]| {
            let register = Register {
                user: cx.identity.user.as_bytes(),
                branch: &Branch::new(cx.run, Token { agent: cx.agent, serial: self.serial }),
                call_id: &call_id,
                from_tag: from_tag(&call_id),
                cseq: FIRST_CSEQ + self.serial,
                expires: if attempt.kind == Kind::Unregister { 0 } else { self.asks(cx) },
                authorizations,
            };
            cx.template.write(&register, out)
        };
        self.authentication.authorize(
            cx.identity.auth_user.as_bytes(),
            |algorithm, ha1, nonce, qop| cx.template.request_digest(algorithm, ha1, nonce, qop),
            write,
        )
    }

    /// The agent's half of its Call-ID.
    fn own(&self, cx: &Context<'_>) -> u64 {
        self.own_half.map_or_else(|| own_half(cx.seed, cx.agent), NonZeroU64::get)
    }

    /// A phone that was told to un-REGISTER may be used again: it rests until its next arrival,
    /// with the Call-ID and the CSeq it had (RFC 3261 §10.2), so that nothing late is taken for an
    /// answer of its new life.
    pub fn come_back(&mut self) {
        if matches!(self.state, State::Gone) {
            self.state = State::Resting(None);
        }
    }

    /// When a client that begins with a pause will begin, while it waits for that.
    pub fn starts_at(&self) -> Option<Time> {
        match self.state {
            State::Resting(Some(NextAttempt { at, kind: Kind::Initial })) => Some(at),
            _ => None,
        }
    }

    /// Until when it counts as registered.
    pub fn bound_until(&self) -> Option<Time> {
        self.bound_until
    }

    /// Whether it ever arrived.
    pub fn has_arrived(&self) -> bool {
        !matches!(self.state, State::Idle)
    }

    /// Whether an attempt (not an un-REGISTER) is open.
    pub fn has_open_attempt(&self) -> bool {
        matches!(&self.state, State::Open(attempt) if attempt.kind != Kind::Unregister)
    }

    /// Whether an attempt or an un-REGISTER is open, or an un-REGISTER is waiting to be.
    pub fn is_busy(&self) -> bool {
        matches!(self.state, State::Open(_) | State::Settling { leaves: true, .. })
    }

    /// When the request of this number was sent first, while its answer is waited for.
    pub fn asked_at(&self, serial: u32) -> Option<Time> {
        match &self.state {
            State::Open(attempt) if serial == self.serial => attempt.transaction.map(|transaction| transaction.sent),
            _ => None,
        }
    }

    /// The transaction that [`Agent::render`] writes.
    pub fn serial(&self) -> u32 {
        self.serial
    }

    /// The trunk's `expires`, or more if a 423 demanded it.
    fn asks(&self, cx: &Context<'_>) -> u32 {
        self.asks_s.max(cx.policy.expires_s)
    }

    fn is_open(&self, serial: u32) -> bool {
        matches!(&self.state, State::Open(attempt) if attempt.transaction.is_some()) && serial == self.serial
    }

    fn arrive(&mut self, cx: &Context<'_>, planned: Time) -> Outgoing {
        let Some(pause) = cx.policy.retry.start else { return self.begin(cx, Kind::Initial, planned) };
        let draw = unit(cx.seed.draw(Purpose::StartPause, cx.agent.0.into(), self.serial.into()));
        self.state = State::Resting(Some(NextAttempt { at: planned + pause.wait(draw), kind: Kind::Initial }));
        Outgoing::No
    }

    /// What follows an attempt that sent nothing. A first arrival is lost with its attempt; but
    /// shedding a later one must not stop an agent that is registered, or between attempts, from
    /// ever trying again.
    fn after_shed(&mut self, cx: &Context<'_>, kind: Kind, now: Time) -> Option<NextAttempt> {
        let first = kind == Kind::Initial && self.bound_until.is_none() && self.failures == 0;
        if first { None } else { self.retry(cx, Setback::Recoverable, None, now) }
    }

    fn begin(&mut self, cx: &Context<'_>, kind: Kind, planned: Time) -> Outgoing {
        self.own_half = self.own_half.or_else(|| NonZeroU64::new(own_half(cx.seed, cx.agent)));
        let carries_on = match kind {
            Kind::Refresh | Kind::Unregister => true,
            Kind::Retry => cx.policy.retry.retry_with_nonce,
            Kind::Initial => false,
        };
        self.authentication.begin(carries_on && cx.policy.reuse_nonce);
        self.state = State::Open(OpenAttempt {
            kind,
            planned,
            first_sent: None,
            transaction: None,
            exchange: Exchange::default(),
            challenged_by: None,
            facts: Facts::default(),
        });
        self.next_request()
    }

    /// Turns to the exchange's next transaction.
    fn next_request(&mut self) -> Outgoing {
        self.authentication.next_request();
        self.serial += 1;
        self.answered <<= 1;
        let with_credentials = self.authentication.carries_any();
        if let State::Open(attempt) = &mut self.state {
            let repeated = attempt.transaction.is_some_and(|transaction| transaction.was_repeated());
            if attempt.exchange.with_credentials() && repeated {
                attempt.facts.note(Facts::COPIES_BEFORE);
            }
            attempt.transaction = None;
            attempt.facts.request_again();
            attempt.exchange.requested(with_credentials);
        }
        Outgoing::New
    }

    fn wake(&mut self, cx: &Context<'_>, now: Time, events: &mut impl FnMut(Event<'_>)) -> Outgoing {
        if !cx.draining
            && let Some(until) = self.bound_until.filter(|&until| until <= now)
        {
            self.bound_until = None;
            events(Event::Lapsed { at: until });
        }
        match self.state {
            State::Open(attempt @ OpenAttempt { transaction: Some(transaction), .. }) => {
                match transaction.due(now, &cx.policy.timers) {
                    Due::Nothing => Outgoing::No,
                    Due::Retransmit => Outgoing::Again,
                    Due::Timeout => {
                        transaction.given_up(attempt.kind, attempt.exchange.place(), events);
                        self.move_on(cx, attempt.unanswered(), transaction.timeout_at(&cx.policy.timers), events)
                    }
                }
            }
            State::Resting(Some(next)) if next.at <= now && !cx.draining => self.begin(cx, next.kind, next.at),
            State::Settling { until, leaves: true } if until <= now => self.begin(cx, Kind::Unregister, now),
            _ => Outgoing::No,
        }
    }

    fn response(
        &mut self,
        cx: &Context<'_>,
        serial: u32,
        response: &Response<'_>,
        at: Time,
        events: &mut impl FnMut(Event<'_>),
    ) -> Outgoing {
        if response.code < 200 {
            if let State::Open(OpenAttempt { transaction: Some(transaction), .. }) = &mut self.state
                && serial == self.serial
            {
                transaction.provisional();
            }
            return Outgoing::No;
        }
        if !self.is_open(serial) {
            // Another copy of a request that was refused may still have been granted.
            self.maybe_bound |= (200..300).contains(&response.code) && !matches!(self.state, State::Gone);
            self.late_or_copy(cx, serial, at, events);
            return if serial == self.serial { self.settled(cx, at) } else { Outgoing::No };
        }
        self.answered |= 1;
        self.last_final = Some(at);
        if let State::Open(OpenAttempt { kind, exchange, transaction: Some(request), .. }) = &self.state {
            request.answered(*kind, exchange.place(), events);
        }
        if response.cseq != FIRST_CSEQ + serial || !is_register(response.cseq_method) {
            let end = Ending::trouble(Failed::MALFORMED, response.code, Trouble::CseqMismatch);
            self.finish(cx, end, at, events);
            return Outgoing::No;
        }
        match FinalAnswer::of(response.code) {
            FinalAnswer::Granted => self.succeed(cx, response, at, events),
            FinalAnswer::Challenge(role) => return self.challenged(cx, role, response, at, events),
            FinalAnswer::TooBrief => return self.too_brief(cx, response, at, events),
            FinalAnswer::Refusal if redirects(response.code) => return self.redirected(cx, response, at, events),
            FinalAnswer::Refusal => {
                if let Some(text) = response.overload() {
                    events(Event::Routing { word: RoutingWord::Overload, text });
                }
                return self.move_on(cx, self.verdict(response), at, events);
            }
        }
        Outgoing::No
    }

    /// The current request could not be sent, or did not arrive.
    fn undelivered(
        &mut self,
        cx: &Context<'_>,
        why: Trouble,
        at: Time,
        events: &mut impl FnMut(Event<'_>),
    ) -> Outgoing {
        match (&mut self.state, why) {
            (State::Open(attempt), Trouble::Unreachable(what)) if cx.policy.retry.on_icmp == OnIcmp::Ignore => {
                attempt.facts.note_unreachable(what);
                Outgoing::No
            }
            _ => self.move_on(cx, Ending::trouble(Failed::UNREACHABLE, 0, why), at, events),
        }
    }

    /// A final response to a transaction that is not open: a copy within Timer K is absorbed (RFC
    /// 3261 §17.1.2.2), anything else came too late.
    fn late_or_copy(&self, cx: &Context<'_>, serial: u32, at: Time, events: &mut impl FnMut(Event<'_>)) {
        let age = self.serial.wrapping_sub(serial);
        let copy = age < 32 && self.answered >> age & 1 == 1;
        let within_k = !cx.reliable && self.last_final.is_some_and(|last| at < last + cx.policy.timers.t4);
        events(if copy && within_k { Event::DuplicateResponse } else { Event::LateResponse });
    }

    /// How a final response that leads to no further request ends an attempt.
    fn verdict<'r>(&self, response: &Response<'r>) -> Ending<'r> {
        let (algorithm, retry_after) = (self.authentication.answered(), response.retry_after());
        let clues = Clues { algorithm, retry_after, ..Clues::default() };
        let (exchange, clues) = match &self.state {
            State::Open(attempt) => (attempt.exchange, attempt.answered_by(clues, response)),
            _ => (Exchange::default(), clues),
        };
        Ending::refusal(exchange.refused(response.code), response.code, Why::Said(response.reason)).with(clues)
    }

    /// Ends the open exchange other than by 2xx, and decides what the agent does next.
    fn finish(&mut self, cx: &Context<'_>, end: Ending<'_>, at: Time, events: &mut impl FnMut(Event<'_>)) {
        let State::Open(attempt) = self.state else { return };
        self.maybe_bound |= attempt.facts.has(Facts::COPIES_BEFORE) || end.leaves_open(attempt.transaction.as_ref());
        if attempt.kind == Kind::Unregister {
            self.state = State::Gone;
            let sent = attempt.first_sent.unwrap_or(at);
            events(Event::UnregisterEnded { code: end.code, reason: end.reason, ok: false, sent, at });
            return;
        }
        let Failed { status, loop_kind } = end.failed;
        let ineffective = exchange::is_ineffective(status, end.code);
        events(Event::Ended(AttemptEnd { ineffective, ..attempt.end(status, end.code, end.reason, at, end.clues) }));
        let refusal = Refusal { kind: loop_kind, code: end.code, place: attempt.exchange.place() };
        let (ended, step) = self.looping.refused(refusal, at);
        if ended {
            events(Event::LoopEnded);
        }
        match step {
            LoopStep::Counted => {}
            LoopStep::Started { first_seen, attempts } => events(Event::LoopStarted { refusal, first_seen, attempts }),
            LoopStep::Grew => events(Event::LoopGrew),
        }
        if end.clues.retry_after.is_some() && cx.policy.retry.retry_after == RetryAfter::Ignored {
            events(Event::RetryAfterIgnored);
        }
        if end.code == 403 && cx.policy.retry.retry_with_nonce {
            self.authentication = Authentication::default();
        }
        let failure = Setback::of_code((end.code != 0).then_some(end.code), cx.policy.retry.temporary);
        let failure = if status == Status::ProtocolError { Setback::Refused } else { failure };
        self.state = State::Resting(self.retry(cx, failure, end.clues.retry_after, at));
    }

    fn retry(&mut self, cx: &Context<'_>, failure: Setback, retry_after: Option<u32>, at: Time) -> Option<NextAttempt> {
        let after = retry_after.map(|secs| Duration::from_secs(secs.into()));
        if !retry::is_ordered(&cx.policy.retry, after) {
            self.failures = self.failures.saturating_add(1);
        }
        let draw = unit(cx.seed.draw(Purpose::RetryJitter, cx.agent.0.into(), self.serial.into()));
        let wait = retry::wait(&cx.policy.retry, failure, self.failures, after, draw)?;
        Some(NextAttempt { at: at + wait, kind: Kind::Retry })
    }

    fn shed(&mut self, kind: Kind, planned: Time, at: Time, events: &mut impl FnMut(Event<'_>)) {
        events(Event::Ended(AttemptEnd { kind, ..unsent(planned, at) }));
    }
}

/// The most places besides the first that an attempt goes on to.
pub const MOST_OTHERS: u8 = Facts::MOST_MOVES;

/// CSeq of a life's zeroth request. Seven digits from the first to the nine-millionth request keep
/// messages of one agent at one length (RFC 3261 §8.1.1.5 leaves the start to the client).
pub(super) const FIRST_CSEQ: u32 = 1_000_000;

/// A method is told by its letters' case too (RFC 3261 §7.1), but an answer is ours by its branch:
/// one that echoes the name in small letters is taken.
fn is_register(method: &[u8]) -> bool {
    // The fast path: nearly every registrar echoes what it was sent. The second is the slow one.
    method == b"REGISTER" || method.eq_ignore_ascii_case(b"REGISTER")
}

/// The client nonce of an agent's life, to be written in hex.
fn cnonce(cx: &Context<'_>) -> u64 {
    cx.seed.draw(Purpose::Cnonce, cx.agent.0.into(), 0)
}

/// The end of an attempt of which nothing was sent.
fn unsent(planned: Time, at: Time) -> AttemptEnd<'static> {
    AttemptEnd {
        kind: Kind::Initial,
        status: Status::Shed,
        code: 0,
        reason: Why::Trouble(Trouble::Shed),
        place: Place::Unchallenged,
        planned,
        sent: None,
        credentials_sent: None,
        at,
        ineffective: false,
        clues: Clues::default(),
    }
}

impl OpenAttempt {
    /// Says that it began, once.
    fn begin(&mut self, at: Time, events: &mut impl FnMut(Event<'_>)) {
        if self.facts.note(Facts::BEGUN) && self.kind != Kind::Unregister {
            events(Event::Began { kind: self.kind, planned: self.planned, at });
        }
    }

    /// How it ends when Timer F has run out: whatever ICMP said meanwhile is why.
    fn unanswered(&self) -> Ending<'static> {
        match self.facts.unreachable() {
            Some(what) => Ending::trouble(Failed::UNREACHABLE, 0, Trouble::Unreachable(what)),
            None => Ending::trouble(Failed::TIMED_OUT, 0, Trouble::Timeout),
        }
    }

    fn may_have_arrived(&self, undeliverable: bool) -> bool {
        self.transaction.is_some_and(|transaction| transaction.may_have_arrived(undeliverable))
    }

    /// What a refusal shows of who sent it, and why in words.
    fn answered_by<'a>(&self, clues: Clues<'a>, response: &Response<'a>) -> Clues<'a> {
        let marks = answer::marks(response);
        let as_challenged = self.challenged_by.map(|digest| digest.get() == marks.digest());
        Clues { marks: Some(marks), as_challenged, words: answer::words(response), ..clues }
    }

    fn end<'a>(&self, status: Status, code: u16, reason: Why<&'a [u8]>, at: Time, clues: Clues<'a>) -> AttemptEnd<'a> {
        let credentials_sent = self.transaction.filter(|_| self.exchange.with_credentials()).map(|t| t.sent);
        AttemptEnd {
            kind: self.kind,
            status,
            code,
            reason,
            place: self.exchange.place(),
            planned: self.planned,
            sent: self.first_sent,
            credentials_sent,
            at,
            ineffective: false,
            clues,
        }
    }
}
