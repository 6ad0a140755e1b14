//! One worker's agents without I/O: arrivals, timers, answers and the tally of what happened.
//!
//! A [`Fleet`] is what a sender thread drives with real sockets and what the simulation drives with virtual ones; both
//! run every line of it. It is told the time, is handed datagrams, and writes datagrams into an [`Outbox`].
//!
//! Invariants one cannot see in the code: an agent has at most one entry in the wheel, the next of its deadlines; the
//! books balance at every interval's end (attempts started = ended + open); nothing here allocates per attempt once
//! buffers have grown, but for the few failed ones whose packets `flight` hands over.

pub mod crew;
mod flight;
mod outage;
pub mod roster;
pub mod wheel;

use crate::agent::{Agent, Context, IdentityBook, Input, Send, TrunkPolicy};
use crate::load::{Ceiling, Outage, Schedule, Stripe, Timeline};
use crate::measure::event::Subject;
use crate::measure::{Event, Interval, Tally};
use crate::seed::Seed;
use crate::sip::emit::{self, RegisterTemplate};
use crate::sip::{Branch, Token, scan};
use crate::vocab::{AgentId, Direction, FailedAttempt, FlowId, RunTag, Speed, Stage, Time, TrunkId};
use flight::Flight;
use outage::{Power, Switch};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use wheel::Wheel;

/// Where a fleet's datagrams go.
pub trait Outbox {
    /// Lets `write` fill a buffer for `flow` and queues as many bytes as it returns; nothing when it returns 0. `tag`
    /// names the datagram when it cannot be sent (see [`Fleet::send_failed`]).
    fn put(&mut self, flow: FlowId, tag: u64, write: &mut dyn FnMut(&mut [u8]) -> usize);
}

/// What a fleet is made of. The shared parts are the same for all workers of a run.
pub struct FleetConfig {
    pub stripe: Stripe,
    pub identities: Arc<IdentityBook>,
    /// By [`IdentityBook::policy`]: the trunks' own first, then those of agents that deviate.
    pub policies: Arc<[TrunkPolicy]>,
    /// By [`FlowId`]: this worker's ways out.
    pub flows: Vec<Flow>,
    /// The flow of each of this worker's agents, by local position.
    pub agent_flows: Vec<FlowId>,
    pub schedule: Arc<Schedule>,
    /// When the load begins.
    pub start: Time,
    pub seed: Seed,
    pub run: RunTag,
    /// Over all workers.
    pub max_in_flight: u32,
    /// Over all workers.
    pub max_message_rate: u32,
    /// Leaves the digests in what [`Fleet::take_failures`] hands over.
    pub capture_secrets: bool,
}

/// One way out of a worker.
#[derive(Clone, Debug)]
pub struct Flow {
    pub trunk: TrunkId,
    /// Position of its local address among the trunk's `source` addresses.
    pub source: u8,
    pub local: SocketAddr,
    /// Where its requests go.
    pub remote: SocketAddr,
    pub template: RegisterTemplate,
}

/// One worker's agents.
pub struct Fleet {
    config: FleetConfig,
    agents: Vec<Agent>,
    wheel: Wheel,
    tally: Tally,
    flight: Flight,
    ceiling: Ceiling,
    max_in_flight: u64,
    stage: Stage,
    /// When what the schedule plans comes in this run.
    timeline: Timeline,
    /// The next arrival of this worker.
    arrivals: Cursor,
    /// The next agent to un-REGISTER, once that stage has begun.
    farewells: Option<Farewells>,
    power: Power,
    /// Agents with an open attempt or un-REGISTER.
    busy: u64,
    expired: Vec<u32>,
}

/// The next arrival: its place among this worker's, when it is planned, and when it may go.
///
/// The two times differ only after a stall of our own. Overdue arrivals then follow each other at [`CATCH_UP`] times
/// their planned pace: all at once they would be a burst that no plan asked for, and what the server drops of it
/// would be held against the server. Their lateness is measured from the plan all the same. While the load stands still
/// both are [`Time::NEVER`].
#[derive(Clone, Copy)]
struct Cursor {
    next: u32,
    planned: Option<Time>,
    release: Time,
}

/// How much faster than planned overdue arrivals go out.
const CATCH_UP: u32 = 8;

/// Arrivals that are later than this are overdue by a stall, not by the work of a turn.
const STALLED: Duration = Duration::from_millis(20);

#[derive(Clone, Copy)]
struct Farewells {
    begin: Time,
    per_second: f64,
    next: u32,
}

/// At most this many timers, and as many arrivals, are handled in one turn, so that answers never wait long.
const TURN_LIMIT: usize = 64;

impl Fleet {
    pub fn new(config: FleetConfig, tally: Tally) -> Self {
        let agents = config.stripe.count(config.identities.len() as u32);
        let mut fleet = Fleet {
            agents: vec![Agent::new(); agents as usize],
            wheel: Wheel::new(agents as usize, config.start),
            tally,
            flight: Flight::new(agents as usize, config.capture_secrets),
            ceiling: Ceiling::new(config.max_message_rate, config.stripe, config.start),
            max_in_flight: config.stripe.count(config.max_in_flight).into(),
            stage: Stage::Load,
            timeline: config.schedule.timeline(),
            arrivals: Cursor { next: 0, planned: None, release: config.start },
            farewells: None,
            power: Power::new(agents, config.schedule.outages()),
            busy: 0,
            expired: Vec::with_capacity(TURN_LIMIT),
            config,
        };
        fleet.arrivals.planned = fleet.arrival_time(0);
        fleet.arrivals.release = fleet.arrivals.planned.unwrap_or(fleet.config.start);
        fleet
    }

    /// What happened so far; the worker adds what only it can see (socket drops, stalls, CPU time).
    pub fn tally(&mut self) -> &mut Tally {
        &mut self.tally
    }

    pub fn stage(&self) -> Stage {
        self.stage
    }

    /// Whether an attempt or an un-REGISTER is open, or one is still to come in this stage.
    pub fn is_busy(&self) -> bool {
        self.busy > 0 || self.farewells.is_some_and(|f| f.next < self.arrived())
    }

    /// The earliest time at which [`Fleet::turn`] or [`Fleet::close_due`] has something to do.
    pub fn next_wake(&self) -> Time {
        let arrival = self.arrivals.planned.filter(|_| self.stage == Stage::Load).map(|_| self.arrivals.release);
        let farewell = self.farewells.and_then(|f| self.farewell_time(f));
        [arrival, farewell, self.switches_at(), self.wheel.next_due()]
            .into_iter()
            .flatten()
            .fold(self.tally.next_close().min(self.tally.next_sample()), Time::min)
    }

    /// Expired timers, then due arrivals or un-REGISTERs, a bounded number of each. True when more are due.
    pub fn turn(&mut self, now: Time, out: &mut impl Outbox) -> bool {
        let mut expired = std::mem::take(&mut self.expired);
        expired.clear();
        let mut more = self.wheel.advance(now, TURN_LIMIT, &mut expired);
        for &local in &expired {
            // A client's own pause ends in an arrival like any other.
            let begins = self.agents[local as usize].starts_at().filter(|at| *at <= now && self.is_full());
            self.drive(local, now, begins.map_or(Input::Wake, |planned| Input::Shed { planned }), out);
        }
        self.expired = expired;
        more |= match self.stage {
            Stage::Load => self.switch(now, out) | self.arrive(now, out),
            Stage::Drain => false,
            Stage::Unregister => self.say_farewell(now, out),
        };
        more
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
        let trunk = self.config.flows[flow.index()].trunk;
        self.tally.received(trunk, bytes.len());
        match scan::response(bytes) {
            Ok(ref response) => match self.token(response.branch) {
                Some((local, serial)) => {
                    self.note(local, at, from, bytes);
                    self.drive(local, now, Input::Response { serial, response, at }, out);
                }
                None => self.tally.stray(),
            },
            Err(_) if bytes.starts_with(b"SIP/2.0") => match scan::branch_of(bytes).and_then(|b| self.token(b)) {
                Some((local, serial)) => {
                    self.note(local, at, from, bytes);
                    self.drive(local, now, Input::Malformed { serial, at }, out);
                }
                None => self.tally.stray(),
            },
            Err(_) => self.answer_request(now, flow, from, bytes, out),
        }
    }

    /// The kernel reports that a datagram could not be delivered; `start` is its beginning.
    pub fn unreachable(&mut self, now: Time, start: &[u8], reason: &str, out: &mut impl Outbox) {
        if let Some((local, serial)) = scan::branch_of(start).and_then(|branch| self.token(branch)) {
            self.drive(local, now, Input::Transport { serial, reason }, out);
        }
    }

    /// A datagram that an outbox was given could not be sent.
    pub fn send_failed(&mut self, now: Time, tag: u64, reason: &str, out: &mut impl Outbox) {
        self.tally.send_errors(1);
        let Some(agent) = agent_of(tag) else { return };
        if let Some(local) = self.config.stripe.local(agent.0) {
            self.drive(local, now, Input::Transport { serial: tag as u32, reason }, out);
        }
    }

    /// Takes the samples and closes the interval that are due by `now`; call until it returns `None`.
    pub fn close_due(&mut self, now: Time) -> Option<Interval> {
        let mut interval = self.cut_due(now)?;
        self.tally.hand_over(&mut interval, usize::MAX);
        Some(interval)
    }

    /// The same, with the rows of agents and loops left to [`Tally::hand_over`], which must have finished before the next
    /// interval ends.
    pub fn cut_due(&mut self, now: Time) -> Option<Interval> {
        self.sample_due(now);
        let close = self.tally.next_close();
        (close <= now).then(|| self.tally.cut(close))
    }

    /// Takes the samples that are due by `now` and belong to the current interval.
    pub fn sample_due(&mut self, now: Time) {
        let end = now.min(self.tally.next_close());
        while self.tally.next_sample() <= end {
            let at = self.tally.next_sample();
            self.tally.sample(at);
        }
    }

    /// When agents that an outage had hit registered again, since the last call; in the order in which it was seen.
    pub fn take_returns(&mut self) -> Vec<Time> {
        self.power.take_returns()
    }

    /// Failed attempts since the last call, those of which packets were kept.
    pub fn take_failures(&mut self) -> Vec<FailedAttempt> {
        self.flight.take()
    }

    /// The load is over: no further attempt begins. Returns the interval cut off at `at`. Arrivals planned before `at`
    /// still go out, however late the worker is: none is lost between two stages.
    pub fn begin_drain(&mut self, at: Time, now: Time, out: &mut impl Outbox) -> Interval {
        while self.stage == Stage::Load && self.arrivals.planned.is_some_and(|planned| planned < at) {
            self.arrive_one(now, out);
        }
        // Whoever arrived and has not begun will not begin any more.
        self.stop_all(at, |agent| agent.starts_at().is_some());
        self.enter(Stage::Drain, at)
    }

    /// Every agent that may be bound removes its binding, `per_second` of all agents; attempts still open are
    /// abandoned. Returns the interval cut off at `at`.
    pub fn begin_unregister(&mut self, at: Time, per_second: f64) -> Interval {
        self.abandon(at);
        let interval = self.enter(Stage::Unregister, at);
        self.farewells = Some(Farewells { begin: at, per_second, next: 0 });
        interval
    }

    /// The end: whatever is open is abandoned. Returns the last interval.
    pub fn finish(&mut self, at: Time) -> Interval {
        self.abandon(at);
        self.tally.close(at)
    }

    fn enter(&mut self, stage: Stage, at: Time) -> Interval {
        let interval = self.tally.close(at);
        self.tally.set_stage(stage, at);
        self.stage = stage;
        interval
    }

    fn abandon(&mut self, at: Time) {
        self.stop_all(at, |agent| agent.is_busy() || agent.starts_at().is_some());
    }

    fn stop_all(&mut self, at: Time, which: impl Fn(&Agent) -> bool) {
        for local in 0..self.agents.len() as u32 {
            if which(&self.agents[local as usize]) {
                self.drive(local, at, Input::Stop, &mut Nowhere);
            }
        }
    }

    fn is_full(&self) -> bool {
        self.tally.in_flight() >= self.max_in_flight
    }

    fn arrival_time(&self, next: u32) -> Option<Time> {
        let arrival = self.config.stripe.arrival(next, self.config.identities.len() as u32)?;
        Some(self.moment(self.config.schedule.planned(arrival)?))
    }

    /// When a moment of the schedule comes; [`Time::NEVER`] as long as the load stands still before it.
    fn moment(&self, planned: Duration) -> Time {
        self.timeline.run_time(planned).map_or(Time::NEVER, |run| self.config.start + run)
    }

    /// The load's own time passes at another speed from `at` on: arrivals and outages that are to come move with it.
    pub fn set_speed(&mut self, at: Time, speed: Speed) {
        self.timeline.bend(at.since(self.config.start), speed);
        let Cursor { next, planned: before, release } = self.arrivals;
        let planned = self.arrival_time(next);
        // One that waits for its turn behind others that are overdue goes on waiting.
        let waits = before.is_some_and(|before| before < release);
        let release = planned.map_or(release, |planned| if waits { planned.max(release) } else { planned });
        self.arrivals = Cursor { next, planned, release };
    }

    /// When the next outage begins or ends.
    fn switches_at(&self) -> Option<Time> {
        let at = self.power.switches_at(self.config.schedule.outages())?;
        (self.stage == Stage::Load).then(|| self.moment(at))
    }

    /// Cuts agents off, or lets them return, some at a time. True when more are due.
    fn switch(&mut self, now: Time, out: &mut impl Outbox) -> bool {
        let Some(at) = self.switches_at().filter(|at| *at <= now) else { return false };
        for _ in 0..TURN_LIMIT {
            let (stripe, seed) = (self.config.stripe, self.config.seed);
            let hits = |outage: &Outage, number, local| outage.hits(seed, number, AgentId(stripe.global(local)));
            match self.power.next(self.config.schedule.outages(), hits) {
                Switch::Past => return self.switches_at().is_some_and(|at| at <= now),
                Switch::Nobody => {}
                Switch::Off(local) if self.agents[local as usize].has_arrived() => {
                    self.power.is_off(local);
                    self.drive(local, now, Input::Cut, out);
                }
                // Whoever had not arrived is not there to return.
                Switch::On(local) if self.power.was_off(local) => self.restart(local, at, now, out),
                Switch::Off(_) | Switch::On(_) => {}
            }
        }
        true
    }

    /// A phone has power again: an arrival that no schedule counts.
    fn restart(&mut self, local: u32, planned: Time, now: Time, out: &mut impl Outbox) {
        let pauses = self.policy(local).retry.start.is_some();
        let input = if self.is_full() && !pauses { Input::Shed { planned } } else { Input::Arrive { planned } };
        self.drive(local, now, input, out);
    }

    fn arrive(&mut self, now: Time, out: &mut impl Outbox) -> bool {
        let due = |cursor: &Cursor| cursor.planned.is_some() && cursor.release <= now;
        for _ in 0..TURN_LIMIT {
            if !due(&self.arrivals) {
                return false;
            }
            self.arrive_one(now, out);
        }
        due(&self.arrivals)
    }

    fn arrive_one(&mut self, now: Time, out: &mut impl Outbox) {
        let Cursor { next, planned: Some(planned), release } = self.arrivals else { return };
        let following = self.arrival_time(next + 1);
        let pace = following.map_or(Duration::ZERO, |following| following.since(planned)) / CATCH_UP;
        let went = if now.since(release) > STALLED { now } else { release };
        let release = following.map_or(went, |following| following.max(went + pace));
        self.arrivals = Cursor { next: next + 1, planned: following, release };
        // There is an arrival, so there is an agent.
        let local = next % self.agents.len() as u32;
        // A client that begins with a pause opens no attempt yet.
        let pauses = self.policy(local).retry.start.is_some();
        let input = if self.is_full() && !pauses { Input::Shed { planned } } else { Input::Arrive { planned } };
        self.drive(local, now, input, out);
    }

    fn policy(&self, local: u32) -> &TrunkPolicy {
        let agent = AgentId(self.config.stripe.global(local));
        &self.config.policies[self.config.identities.policy(agent)]
    }

    fn farewell_time(&self, farewells: Farewells) -> Option<Time> {
        // Agents arrive in order, each once: those behind the last arrival have no binding, and nobody waits for them.
        if farewells.next >= self.arrived() {
            return None;
        }
        let position = f64::from(self.config.stripe.global(farewells.next));
        Some(farewells.begin + Duration::from_secs_f64(position / farewells.per_second))
    }

    fn say_farewell(&mut self, now: Time, out: &mut impl Outbox) -> bool {
        for _ in 0..TURN_LIMIT {
            let Some(farewells) = &mut self.farewells else { return false };
            let local = farewells.next;
            let due = *farewells;
            if self.farewell_time(due).is_none_or(|due| due > now) {
                return false;
            }
            if let Some(farewells) = &mut self.farewells {
                farewells.next += 1;
            }
            self.drive(local, now, Input::Unregister, out);
        }
        true
    }

    /// How many of this worker's agents have arrived; arrivals that go round bring no new ones.
    fn arrived(&self) -> u32 {
        self.arrivals.next.min(self.agents.len() as u32)
    }

    fn token(&self, branch: &[u8]) -> Option<(u32, u32)> {
        let Token { agent, serial } = Branch::parse(self.config.run, branch)?;
        let local = self.config.stripe.local(agent.0)?;
        ((local as usize) < self.agents.len()).then_some((local, serial))
    }

    /// Keeps an answer of an agent whose attempt is watched.
    fn note(&mut self, local: u32, at: Time, from: SocketAddr, bytes: &[u8]) {
        if self.flight.watches(local) {
            self.flight.keep(local, at, Direction::Received, from, bytes);
        }
    }

    /// Hands one input to one agent and carries out what it wants.
    fn drive(&mut self, local: u32, now: Time, input: Input<'_>, out: &mut impl Outbox) {
        let id = AgentId(self.config.stripe.global(local));
        let identity = self.config.identities.get(id);
        let flow_id = self.config.agent_flows[local as usize];
        let flow = &self.config.flows[flow_id.index()];
        let cx = Context {
            agent: id,
            policy: &self.config.policies[self.config.identities.policy(id)],
            identity,
            seed: self.config.seed,
            run: self.config.run,
            template: &flow.template,
            draining: self.stage != Stage::Load,
        };
        let subject = Subject { agent: id, trunk: identity.trunk, source: flow.source };
        let agent = &mut self.agents[local as usize];
        let was_busy = agent.is_busy();
        let from = flow.local;
        let (tally, flight, power) = (&mut self.tally, &mut self.flight, &mut self.power);
        let mut witness = Witness { tally, flight, power, subject, local, from };
        let send = agent.handle(&cx, now, input, &mut |event| witness.saw(&event));
        if send != Send::No {
            if !self.ceiling.admit(now) {
                agent.refused(&cx, now, &mut |event| witness.saw(&event));
            } else {
                if !was_busy && agent.has_open_attempt() {
                    witness.flight.begin(local, now);
                }
                let watched = witness.flight.watches(local);
                let mut length = 0;
                out.put(flow_id, tag_of(id, agent.serial()), &mut |buffer| {
                    length = agent.render(&cx, buffer).unwrap_or(0);
                    if watched && length > 0 {
                        witness.flight.keep(local, now, Direction::Sent, flow.remote, &buffer[..length]);
                    }
                    length
                });
                agent.sent(&cx, now, &mut |event| witness.saw(&event));
                if length == 0 {
                    let serial = agent.serial();
                    let reason = "message too long for a datagram buffer";
                    agent.handle(&cx, now, Input::Transport { serial, reason }, &mut |event| witness.saw(&event));
                } else {
                    witness.tally.sent(identity.trunk, length);
                }
            }
        }
        match agent.deadline(&cx) {
            Some(at) => self.wheel.schedule(local, at),
            None => self.wheel.cancel(local),
        }
        match (was_busy, agent.is_busy()) {
            (false, true) => self.busy += 1,
            (true, false) => self.busy -= 1,
            _ => {}
        }
    }

    /// Requests from the registrar's side: OPTIONS and NOTIFY (qualify, keep-alive) are answered 200, as phones do;
    /// anything else that is no SIP is stray.
    fn answer_request(&mut self, now: Time, flow: FlowId, from: SocketAddr, bytes: &[u8], out: &mut impl Outbox) {
        let Ok(request) = scan::request(bytes) else {
            // Keep-alive answers and probes of two or four bytes are nothing to count.
            if bytes.len() > 4 {
                self.tally.stray();
            }
            return;
        };
        let (code, reason) = match request.method {
            b"OPTIONS" | b"NOTIFY" => (200, "OK"),
            b"ACK" => return,
            _ => (405, "Method Not Allowed"),
        };
        if !self.ceiling.admit(now) {
            return;
        }
        let mut length = 0;
        out.put(flow, NO_AGENT, &mut |buffer| {
            length = emit::write_response(&request, code, reason, from, b"regstorm", b"", buffer).unwrap_or(0);
            length
        });
        if length > 0 {
            self.tally.sent(self.config.flows[flow.index()].trunk, length);
        }
    }
}

/// The tag of a datagram that belongs to no agent.
pub const NO_AGENT: u64 = u64::MAX;

/// The agent whose datagram has this tag; `None`: nobody's.
pub fn agent_of(tag: u64) -> Option<AgentId> {
    (tag != NO_AGENT).then_some(AgentId((tag >> 32) as u32))
}

fn tag_of(agent: AgentId, serial: u32) -> u64 {
    u64::from(agent.0) << 32 | u64::from(serial)
}

/// Who hears what an agent reports: the books, and the recorder of failures.
struct Witness<'a> {
    tally: &'a mut Tally,
    flight: &'a mut Flight,
    power: &'a mut Power,
    subject: Subject,
    local: u32,
    /// Where the agent sends from.
    from: SocketAddr,
}

impl Witness<'_> {
    #[inline]
    fn saw(&mut self, event: &Event<'_>) {
        if let Event::Ended(end) = event {
            self.flight.ended(self.local, self.subject, end, self.from);
        }
        if let Event::Registered { at, .. } = event {
            self.power.registered(self.local, *at);
        }
        self.tally.event(self.subject, event);
    }
}

/// An outbox for inputs that never send.
struct Nowhere;

impl Outbox for Nowhere {
    fn put(&mut self, _flow: FlowId, _tag: u64, _write: &mut dyn FnMut(&mut [u8]) -> usize) {}
}
