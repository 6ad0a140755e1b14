//! Agents that do as they are told, without I/O: so many register at this rate, those un-REGISTER, and every answer is
//! handed back. What a search for limits drives; sockets or virtual time are up to its driver, as with a `Fleet`.
//!
//! A seat is one phone: a user with one contact. Several seats may share a user, each with a contact of its own. Between
//! tasks phones live on: they refresh what they hold, and nothing else; a refused phone does not try again by itself.

use super::wheel::Wheel;
use super::{Flow, NO_AGENT, Outbox};
use crate::agent::{Agent, Context, IdentityBook, Input, RetryPolicy, Send, TrunkPolicy};
use crate::load::search::{Answer, Fate, Pace, Refusal, Seat, Seen};
use crate::load::{Ceiling, Stripe};
use crate::measure::Event;
use crate::seed::Seed;
use crate::sip::{Branch, Response, contact, emit, scan};
use crate::vocab::{AgentId, FlowId, Kind, RunTag, Status, Time};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// What a crew is made of.
pub struct CrewConfig {
    pub identities: Arc<IdentityBook>,
    /// By [`IdentityBook::policy`]; the waits before retries are left out.
    pub policies: Vec<TrunkPolicy>,
    pub flows: Vec<Flow>,
    /// By [`Seat`].
    pub seats: Vec<Phone>,
    pub seed: Seed,
    pub run: RunTag,
    pub max_message_rate: u32,
    pub start: Time,
}

/// Who sits on a seat, and through which flow: the flow gives the contact.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Phone {
    pub user: AgentId,
    pub flow: FlowId,
}

/// A crew at work.
pub struct Crew {
    config: CrewConfig,
    agents: Vec<Agent>,
    wheel: Wheel,
    ceiling: Ceiling,
    task: Task,
    /// By seat: its answer within the task, [`NOBODY`] without one.
    asked: Vec<u32>,
    expired: Vec<u32>,
}

/// One step of a search, in progress.
struct Task {
    releases: bool,
    seats: Vec<Seat>,
    pace: Pace,
    begin: Time,
    /// The next of `seats`, when it is planned, and when it may go.
    next: usize,
    planned: Time,
    release: Time,
    /// Of a poured task: how many go on at the steady rate, once that has begun.
    steadied: Option<usize>,
    /// Answers still to come.
    open: usize,
    seen: Seen,
}

/// A phone that begins this much after its plan is late.
const LATE: Duration = Duration::from_millis(20);
/// Overdue phones follow each other at so many times their planned pace.
const CATCH_UP: u32 = 4;
/// Timers and phones handled in one turn at most.
const TURN_LIMIT: usize = 64;
const NOBODY: u32 = u32::MAX;

impl Crew {
    pub fn new(mut config: CrewConfig) -> Self {
        for policy in &mut config.policies {
            policy.retry = RetryPolicy { refresh: policy.retry.refresh, ..RetryPolicy::NONE };
        }
        let seats = config.seats.len();
        Crew {
            agents: vec![Agent::new(); seats],
            wheel: Wheel::new(seats, config.start),
            ceiling: Ceiling::new(config.max_message_rate, Stripe::WHOLE, config.start),
            task: Task::new(false, Vec::new(), Pace::Steady(1.0), config.start),
            asked: vec![NOBODY; seats],
            expired: Vec::with_capacity(TURN_LIMIT),
            config,
        }
    }

    /// These phones register, each once; the task before must be done.
    pub fn register(&mut self, now: Time, seats: &[Seat], pace: Pace) {
        self.begin(Task::new(false, seats.to_vec(), pace, now));
    }

    /// These phones un-REGISTER as far as they may be bound.
    pub fn release(&mut self, now: Time, seats: &[Seat], per_second: f64) {
        self.begin(Task::new(true, seats.to_vec(), Pace::Steady(per_second), now));
    }

    fn begin(&mut self, task: Task) {
        self.asked.fill(NOBODY);
        self.task = task;
    }

    /// Whether every phone of the task has its answer.
    pub fn is_done(&self) -> bool {
        self.task.open == 0 && self.task.is_dispatched()
    }

    /// What the task showed. Phones without an answer by now are silent.
    pub fn seen(&mut self, now: Time) -> Seen {
        let mut seen = std::mem::take(&mut self.task.seen);
        seen.lasted = now.since(self.task.begin);
        self.asked.fill(NOBODY);
        self.task = Task::new(false, Vec::new(), Pace::Steady(1.0), now);
        seen
    }

    /// When [`Crew::turn`] has something to do next; [`Time::NEVER`] for nothing.
    pub fn next_wake(&self) -> Time {
        let phone = (!self.task.is_dispatched()).then_some(self.task.release);
        [phone, self.wheel.next_due()].into_iter().flatten().min().unwrap_or(Time::NEVER)
    }

    /// Expired timers, then phones that are due, a bounded number of each. True when more are due.
    pub fn turn(&mut self, now: Time, out: &mut impl Outbox) -> bool {
        let mut expired = std::mem::take(&mut self.expired);
        expired.clear();
        let mut more = self.wheel.advance(now, TURN_LIMIT, &mut expired);
        for &seat in &expired {
            self.drive(seat, now, Input::Wake, None, out);
        }
        self.expired = expired;
        for _ in 0..TURN_LIMIT {
            if self.task.is_dispatched() || self.task.release > now {
                return more;
            }
            self.dispatch(now, out);
        }
        more |= !self.task.is_dispatched() && self.task.release <= now;
        more
    }

    fn dispatch(&mut self, now: Time, out: &mut impl Outbox) {
        let task = &mut self.task;
        let (seat, planned) = (task.seats[task.next], task.planned);
        task.seen.late += u32::from(now.since(planned) > LATE);
        self.asked[seat.index()] = task.seen.answers.len() as u32;
        let steady = task.steadied.is_some() || matches!(task.pace, Pace::Steady(_));
        let (planned_at, fate) = (planned.since(task.begin), Fate::Silent);
        task.seen.answers.push(Answer { seat, planned: planned_at, at: planned_at, fate, steady });
        task.open += 1;
        task.proceed(now);
        let releases = task.releases;
        self.agents[seat.index()].come_back();
        let input = if releases { Input::Unregister } else { Input::Arrive { planned } };
        self.drive(seat.0, now, input, None, out);
        if releases && !self.agents[seat.index()].is_busy() && self.asked[seat.index()] != NOBODY {
            // There was nothing to remove.
            self.task.answer(&mut self.asked[seat.index()], now, Fate::Accepted { listed: 0 });
        }
    }

    /// A datagram reached the machine at `at` on `flow`, from `from`.
    pub fn receive(
        &mut self,
        now: Time,
        at: Time,
        flow: FlowId,
        from: SocketAddr,
        bytes: &[u8],
        out: &mut impl Outbox,
    ) {
        match scan::response(bytes) {
            Ok(response) => {
                if let Some((seat, serial)) = self.token(response.branch) {
                    let input = Input::Response { serial, response: &response, at };
                    self.drive(seat, now, input, Some(&response), out);
                }
            }
            Err(_) if bytes.starts_with(b"SIP/2.0") => {
                if let Some((seat, serial)) = scan::branch_of(bytes).and_then(|branch| self.token(branch)) {
                    self.drive(seat, now, Input::Malformed { serial, at }, None, out);
                }
            }
            Err(_) => self.answer_request(now, flow, from, bytes, out),
        }
    }

    /// The kernel reports that a datagram could not be delivered; `start` is its beginning.
    pub fn unreachable(&mut self, now: Time, start: &[u8], reason: &str, out: &mut impl Outbox) {
        if let Some((seat, serial)) = scan::branch_of(start).and_then(|branch| self.token(branch)) {
            self.drive(seat, now, Input::Transport { serial, reason }, None, out);
        }
    }

    /// A datagram that an outbox was given could not be sent.
    pub fn send_failed(&mut self, now: Time, tag: u64, reason: &str, out: &mut impl Outbox) {
        if tag != NO_AGENT {
            let (seat, serial) = ((tag >> 32) as u32, tag as u32);
            self.drive(seat, now, Input::Transport { serial, reason }, None, out);
        }
    }

    /// A task given up: what is open is abandoned, and what was not begun never will be.
    pub fn abandon(&mut self, now: Time) {
        self.task.next = self.task.seats.len();
        for seat in 0..self.agents.len() as u32 {
            if self.agents[seat as usize].is_busy() {
                self.drive(seat, now, Input::Stop, None, &mut super::Nowhere);
            }
        }
    }

    fn token(&self, branch: &[u8]) -> Option<(u32, u32)> {
        let token = Branch::parse(self.config.run, branch)?;
        (token.agent.index() < self.agents.len()).then_some((token.agent.0, token.serial))
    }

    /// Hands one input to one phone and carries out what it wants. `response` is the datagram behind the input.
    fn drive(
        &mut self,
        seat: u32,
        now: Time,
        input: Input<'_>,
        response: Option<&Response<'_>>,
        out: &mut impl Outbox,
    ) {
        let Phone { user, flow } = self.config.seats[seat as usize];
        let identity = self.config.identities.get(user);
        let cx = Context {
            // The seat, not the user: two contacts of one user are two phones on the wire.
            agent: AgentId(seat),
            policy: &self.config.policies[self.config.identities.policy(user)],
            identity,
            seed: self.config.seed,
            run: self.config.run,
            template: &self.config.flows[flow.index()].template,
            draining: false,
        };
        let agent = &mut self.agents[seat as usize];
        let (task, asked) = (&mut self.task, &mut self.asked[seat as usize]);
        let mut events = |event: Event<'_>| task.event(&event, asked, response);
        let send = agent.handle(&cx, now, input, &mut events);
        if send != Send::No {
            if self.ceiling.admit(now) {
                let mut length = 0;
                out.put(flow, u64::from(seat) << 32 | u64::from(agent.serial()), &mut |buffer| {
                    length = agent.render(&cx, buffer).unwrap_or(0);
                    length
                });
                agent.sent(&cx, now, &mut events);
                if length == 0 {
                    let serial = agent.serial();
                    let reason = "message too long for a datagram buffer";
                    agent.handle(&cx, now, Input::Transport { serial, reason }, &mut events);
                }
            } else {
                agent.refused(&cx, now, &mut events);
            }
        }
        match agent.deadline(&cx) {
            Some(at) => self.wheel.schedule(seat, at),
            None => self.wheel.cancel(seat),
        }
    }

    /// OPTIONS and NOTIFY are answered, as phones do.
    fn answer_request(&mut self, now: Time, flow: FlowId, from: SocketAddr, bytes: &[u8], out: &mut impl Outbox) {
        let Ok(request) = scan::request(bytes) else { return };
        let (code, reason) = match request.method {
            b"OPTIONS" | b"NOTIFY" => (200, "OK"),
            b"ACK" => return,
            _ => (405, "Method Not Allowed"),
        };
        if self.ceiling.admit(now) {
            out.put(flow, NO_AGENT, &mut |buffer| {
                emit::write_response(&request, code, reason, from, b"regstorm", b"", buffer).unwrap_or(0)
            });
        }
    }
}

impl Task {
    fn new(releases: bool, seats: Vec<Seat>, pace: Pace, begin: Time) -> Self {
        let seen = Seen { answers: Vec::with_capacity(seats.len()), ..Seen::default() };
        let (planned, release) = (begin, begin);
        Task { releases, seats, pace, begin, next: 0, planned, release, steadied: None, open: 0, seen }
    }

    fn is_dispatched(&self) -> bool {
        self.next >= self.seats.len()
    }

    /// Plans the phone after the one that has just begun.
    fn proceed(&mut self, now: Time) {
        self.next += 1;
        let rate = match (self.pace, &mut self.steadied) {
            (Pace::Steady(rate), _) => rate,
            (Pace::Poured { steady, then, .. }, Some(gone)) => {
                *gone += 1;
                if *gone >= then {
                    self.next = self.seats.len();
                }
                steady
            }
            (Pace::Poured { pour, at_most, steady, .. }, None) => {
                if self.next < at_most {
                    pour
                } else {
                    self.steadied = Some(0);
                    steady
                }
            }
        };
        let pace = Duration::try_from_secs_f64(rate.recip()).unwrap_or(Duration::from_secs(3_600));
        self.planned += pace;
        // All at once would be a burst that no plan asked for.
        let went = if now.since(self.release) > LATE { now } else { self.release };
        self.release = self.planned.max(went + pace / CATCH_UP);
    }

    /// The first refusal was seen: what is poured has been enough.
    fn turn_steady(&mut self, at: Time) {
        if let Pace::Poured { steady, then, .. } = self.pace
            && self.steadied.is_none()
            && !self.is_dispatched()
        {
            self.steadied = Some(0);
            let pace = Duration::try_from_secs_f64(steady.recip()).unwrap_or(Duration::from_secs(3_600));
            self.planned = at + pace;
            self.release = self.planned;
            if then == 0 {
                self.next = self.seats.len();
            }
        }
    }

    fn event(&mut self, event: &Event<'_>, asked: &mut u32, response: Option<&Response<'_>>) {
        match *event {
            Event::Retransmitted { .. } => self.seen.retransmitted += 1,
            Event::Ended(end) if end.kind == Kind::Initial => {
                let fate = match end.status {
                    Status::Registered => Fate::Accepted { listed: response.map_or(0, listed) },
                    Status::Shed => Fate::Unsent,
                    _ if end.code == 0 && end.status != Status::ProtocolError => Fate::Silent,
                    _ => Fate::Refused(refusal(end.code, end.reason, response)),
                };
                self.answer(asked, end.at, fate);
            }
            Event::UnregisterEnded { code, reason, ok, at, .. } => {
                let fate = match (ok, code) {
                    (true, _) => Fate::Accepted { listed: 0 },
                    (false, 0) => Fate::Silent,
                    (false, _) => Fate::Refused(refusal(code, reason, response)),
                };
                self.answer(asked, at, fate);
            }
            _ => {}
        }
    }

    fn answer(&mut self, asked: &mut u32, at: Time, fate: Fate) {
        let place = std::mem::replace(asked, NOBODY);
        let Some(answer) = self.seen.answers.get_mut(place as usize) else { return };
        answer.at = at.since(self.begin);
        let refused = matches!(fate, Fate::Refused(_));
        answer.fate = fate;
        self.open -= 1;
        if refused {
            self.turn_steady(at);
        }
    }
}

fn refusal(code: u16, reason: &[u8], response: Option<&Response<'_>>) -> Refusal {
    Refusal {
        code,
        reason: String::from_utf8_lossy(reason).into_owned(),
        retry_after_s: response.and_then(|response| response.retry_after()),
    }
}

/// How many contacts a 200 lists.
fn listed(response: &Response<'_>) -> u16 {
    contact::bindings(response).count().try_into().unwrap_or(u16::MAX)
}
