//! One worker's agents without I/O: arrivals, timers, answers and the tally of what happened.
//!
//! A [`Fleet`] is what a sender thread drives with real sockets and what the simulation drives with
//! virtual ones; both run every line of it. It is told the time, is handed datagrams, and writes
//! datagrams through [`Ways`].
//!
//! Invariants one cannot see in the code: an agent has at most one entry in the wheel, the next of
//! its deadlines; the books balance at every interval's end (attempts started = ended + open);
//! nothing here allocates per attempt once buffers have grown, but for the few failed ones whose
//! packets `flight` hands over.

mod backlog;
pub mod crew;
mod driver;
mod flight;
mod flows;
mod outage;
mod overdue;
pub mod roster;
mod routes;
mod rows;
pub mod stream;
pub mod wheel;

pub(crate) use driver::Nowhere;
pub use driver::{Driver, FoundName, NO_AGENT, NameQuestion, Ways, Who, Witness, agent_of, host_name};
pub use flows::{Flow, Flows, Sharing};
pub use stream::StreamRules;

use crate::agent::{Agent, IdentityBook, Input, TrunkPolicy};
use crate::load::{Outage, Schedule, Stripe, Timeline};
use crate::measure::{Event, FlowChange, Interval, Tally, Unasked};
use crate::seed::Seed;
use crate::sip::Response;
use crate::sip::locate::Destination;
use crate::vocab::{
    AgentId, Direction, FailedAttempt, FlowLoss, ReplayAct, RunTag, Secured, Speed, Stage, Time, TrunkId,
    saturating_u32,
};
use driver::{DriverConfig, TURN_LIMIT};
use flight::Flight;
use outage::{Power, Switch};
use rows::RecordedRows;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// What a fleet is made of. The shared parts are the same for all workers of a run.
pub struct FleetConfig {
    pub stripe: Stripe,
    pub identities: Arc<IdentityBook>,
    /// By [`IdentityBook::policy`]: the trunks' own first, then those of agents that deviate.
    pub policies: Arc<[TrunkPolicy]>,
    /// This worker's ways out.
    pub flows: Flows,
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

/// One worker's agents.
pub struct Fleet {
    driver: Driver<FleetWitness>,
    stripe: Stripe,
    /// How many agents all workers have.
    all_agents: u32,
    seed: Seed,
    schedule: Arc<Schedule>,
    start: Time,
    max_in_flight: u64,
    stage: Stage,
    /// When what the schedule plans comes in this run.
    timeline: Timeline,
    /// Where a replay is what brings the arrivals: this worker's rows.
    rows: Option<RecordedRows>,
    /// The next arrival of this worker, or the next step of its replay.
    arrivals: Cursor,
    /// The next agent to un-REGISTER, once that stage has begun.
    farewells: Option<Farewells>,
}

/// An interval that is cut so late was not watched to its end: the process, or the machine, stood
/// still.
const HELD_UP: Duration = Duration::from_millis(500);

/// The next arrival: its place among this worker's, when it is planned, and when it may go. The two
/// times differ only after a stall of our own (see [`overdue`]); while the load stands still both
/// are [`Time::NEVER`].
#[derive(Clone, Copy)]
struct Cursor {
    next: u32,
    planned: Option<Time>,
    release: Time,
}

#[derive(Clone, Copy)]
struct Farewells {
    begin: Time,
    per_second: f64,
    next: u32,
}

impl Fleet {
    pub fn new(config: FleetConfig, tally: Tally) -> Self {
        let FleetConfig { stripe, identities, schedule, start, seed, .. } = config;
        let all_agents = saturating_u32(identities.len());
        let agents = stripe.count(all_agents);
        let books = FleetWitness {
            tally,
            flight: Flight::new(agents as usize, config.capture_secrets),
            power: Power::new(agents, schedule.outages()),
        };
        let driver = DriverConfig {
            stripe,
            identities,
            policies: config.policies,
            flows: config.flows,
            seed,
            run: config.run,
            max_message_rate: config.max_message_rate,
            start,
        };
        let mut fleet = Fleet {
            driver: Driver::new(driver, agents as usize, books).with_checks(),
            stripe,
            all_agents,
            seed,
            start,
            max_in_flight: stripe.count(config.max_in_flight).into(),
            stage: Stage::Load,
            timeline: schedule.timeline(),
            rows: RecordedRows::of(&schedule, stripe, agents),
            arrivals: Cursor { next: 0, planned: None, release: start },
            farewells: None,
            schedule,
        };
        fleet.arrivals.planned = fleet.arrival_time(0);
        fleet.arrivals.release = fleet.arrivals.planned.unwrap_or(start);
        fleet
    }

    /// Where datagrams are handed in.
    pub fn driver(&mut self) -> &mut Driver<impl Witness> {
        &mut self.driver
    }

    /// Its agents' ways out.
    pub fn flows(&self) -> &Flows {
        self.driver.flows()
    }

    /// A trunk's name was looked up again, and leads to these places from now on.
    pub fn relocate(&mut self, trunk: TrunkId, places: &[Destination], out: &mut impl Ways) {
        self.driver.relocate(trunk, places, out);
    }

    /// The name of a redirection was looked up.
    pub fn found(&mut self, at: Time, name: &FoundName) {
        self.driver.found(at, name);
    }

    /// What happened so far; the worker adds what only it can see (socket drops, stalls, CPU time).
    pub fn tally(&mut self) -> &mut Tally {
        &mut self.books().tally
    }

    fn books(&mut self) -> &mut FleetWitness {
        &mut self.driver.witness
    }

    pub fn stage(&self) -> Stage {
        self.stage
    }

    /// Whether an attempt or un-REGISTER is open, or an un-REGISTER is still to come. Arrivals
    /// still to come are not counted.
    pub fn is_busy(&self) -> bool {
        self.driver.busy() > 0 || self.farewells.is_some_and(|f| f.next < self.arrived())
    }

    /// The earliest time at which [`Fleet::turn`] or [`Fleet::close_due`] has something to do.
    pub fn next_wake(&self) -> Time {
        let arrival = self.arrivals.planned.filter(|_| self.stage == Stage::Load).map(|_| self.arrivals.release);
        let farewell = self.farewells.and_then(|f| self.farewell_time(f));
        let tally = &self.driver.witness.tally;
        [arrival, farewell, self.switches_at(), self.driver.next_due()]
            .into_iter()
            .flatten()
            .fold(tally.next_close().min(tally.next_sample()), Time::min)
    }

    /// Expired timers, then due arrivals or un-REGISTERs, a bounded number of each. True when more
    /// are due.
    pub fn turn(&mut self, now: Time, out: &mut impl Ways) -> bool {
        let limit = self.max_in_flight;
        // A client's own pause ends in an arrival like any other.
        let (rows, schedule, timeline, start) = (&self.rows, &self.schedule, &self.timeline, self.start);
        let recorded = |local| timeline.run_time(rows.as_ref()?.again(schedule, local)?).map(|at| start + at);
        let input = |books: &FleetWitness, local: u32, agent: &Agent| match agent.starts_at() {
            Some(planned) if planned <= now && books.tally.in_flight() >= limit => Input::Shed { planned },
            _ => recorded(local).map_or(Input::Wake, |at| Input::WakeOr { at }),
        };
        let more = self.driver.wake(now, input, out);
        more | match self.stage {
            Stage::Load => self.switch(now, out) | self.arrive(now, out),
            Stage::Drain => false,
            Stage::Unregister => self.say_farewell(now, out),
        }
    }

    /// Takes the samples and closes the interval that are due by `now`; call until it returns
    /// `None`.
    pub fn close_due(&mut self, now: Time) -> Option<Interval> {
        let mut interval = self.cut_due(now)?;
        self.books().tally.hand_over(&mut interval, usize::MAX);
        Some(interval)
    }

    /// The same, with the rows of agents and loops left to [`Tally::hand_over`], which must have
    /// finished before the next interval ends.
    pub fn cut_due(&mut self, now: Time) -> Option<Interval> {
        let tally = self.tally();
        let close = tally.next_close();
        if now.since(close) >= HELD_UP {
            tally.lapse(close);
        }
        self.sample_due(now);
        let tally = self.tally();
        (close <= now).then(|| tally.cut(close))
    }

    /// Takes the samples that are due by `now` and belong to the current interval.
    pub fn sample_due(&mut self, now: Time) {
        let tally = self.tally();
        let end = now.min(tally.next_close());
        while tally.next_sample() <= end {
            let at = tally.next_sample();
            tally.sample(at);
        }
    }

    /// When agents that an outage had hit registered again, since the last call; in the order in
    /// which it was seen.
    pub fn take_returns(&mut self) -> Vec<Time> {
        self.books().power.take_returns()
    }

    /// Failed attempts since the last call, those of which packets were kept.
    pub fn take_failures(&mut self) -> Vec<FailedAttempt> {
        self.books().flight.take()
    }

    /// The load is over: no further attempt begins. Returns the interval cut off at `at`. Arrivals
    /// planned before `at` still go out, however late the worker is: none is lost between two
    /// stages.
    pub fn begin_drain(&mut self, at: Time, now: Time, out: &mut impl Ways) -> Interval {
        while self.stage == Stage::Load && self.arrivals.planned.is_some_and(|planned| planned < at) {
            self.arrive_one(now, out);
        }
        // Whoever arrived and has not begun will not begin any more.
        self.driver.stop(at, |agent| agent.starts_at().is_some());
        self.enter(Stage::Drain, at)
    }

    /// Every agent that may be bound removes its binding, `per_second` of all agents; attempts
    /// still open are abandoned. Returns the interval cut off at `at`.
    pub fn begin_unregister(&mut self, at: Time, per_second: f64) -> Interval {
        self.abandon(at);
        let interval = self.enter(Stage::Unregister, at);
        self.farewells = Some(Farewells { begin: at, per_second, next: 0 });
        interval
    }

    /// The end: whatever is open is abandoned. Returns the last interval.
    pub fn finish(&mut self, at: Time) -> Interval {
        self.abandon(at);
        self.tally().close(at)
    }

    fn enter(&mut self, stage: Stage, at: Time) -> Interval {
        let tally = self.tally();
        let interval = tally.close(at);
        tally.set_stage(stage, at);
        self.stage = stage;
        self.driver.draining = stage != Stage::Load;
        interval
    }

    fn abandon(&mut self, at: Time) {
        self.driver.stop(at, |agent| agent.is_busy() || agent.starts_at().is_some());
    }

    fn is_full(&self) -> bool {
        self.driver.witness.tally.in_flight() >= self.max_in_flight
    }

    fn arrival_time(&self, next: u32) -> Option<Time> {
        if let Some(rows) = &self.rows {
            return Some(self.moment(rows.step(&self.schedule, next)?.at));
        }
        let arrival = self.stripe.arrival(next, self.all_agents)?;
        Some(self.moment(self.schedule.planned(arrival)?))
    }

    /// When a moment of the schedule comes; [`Time::NEVER`] as long as the load stands still before
    /// it.
    fn moment(&self, planned: Duration) -> Time {
        self.timeline.run_time(planned).map_or(Time::NEVER, |run| self.start + run)
    }

    /// The load's own time passes at another speed from `at` on: arrivals and outages that are to
    /// come move with it.
    pub fn set_speed(&mut self, at: Time, speed: Speed) {
        self.timeline.bend(at.since(self.start), speed);
        let Cursor { next, planned: before, release } = self.arrivals;
        let planned = self.arrival_time(next);
        // One that waits for its turn behind others that are overdue goes on waiting.
        let waits = before.is_some_and(|before| before < release);
        let release = planned.map_or(release, |planned| if waits { planned.max(release) } else { planned });
        self.arrivals = Cursor { next, planned, release };
    }

    /// When the next outage begins or ends.
    fn switches_at(&self) -> Option<Time> {
        let at = self.driver.witness.power.switches_at(self.schedule.outages())?;
        (self.stage == Stage::Load).then(|| self.moment(at))
    }

    /// Cuts agents off, or lets them return, some at a time. True when more are due.
    fn switch(&mut self, now: Time, out: &mut impl Ways) -> bool {
        let Some(at) = self.switches_at().filter(|at| *at <= now) else { return false };
        for _ in 0..TURN_LIMIT {
            let (stripe, seed) = (self.stripe, self.seed);
            let hits = |outage: &Outage, number, local| outage.hits(seed, number, AgentId(stripe.global(local)));
            match self.driver.witness.power.next(self.schedule.outages(), hits) {
                Switch::Past => return self.switches_at().is_some_and(|at| at <= now),
                Switch::Nobody => {}
                Switch::Off(local) if self.driver.agent(local).has_arrived() => {
                    self.books().power.is_off(local);
                    self.driver.drive(local, now, Input::Cut, out);
                }
                // A phone has power again: an arrival that no schedule counts. Whoever had not
                // arrived is not there to return.
                Switch::On(local) if self.books().power.was_off(local) => self.admit(local, at, now, out),
                Switch::Off(_) | Switch::On(_) => {}
            }
        }
        true
    }

    /// An agent arrives, or is shed where too many attempts are open.
    fn admit(&mut self, local: u32, planned: Time, now: Time, out: &mut impl Ways) {
        // A client that begins with a pause opens no attempt yet.
        let pauses = self.driver.policy(local).retry.start.is_some();
        let input = if self.is_full() && !pauses { Input::Shed { planned } } else { Input::Arrive { planned } };
        self.driver.drive(local, now, input, out);
    }

    fn arrive(&mut self, now: Time, out: &mut impl Ways) -> bool {
        let due = |cursor: &Cursor| cursor.planned.is_some() && cursor.release <= now;
        for _ in 0..TURN_LIMIT {
            if !due(&self.arrivals) {
                return false;
            }
            self.arrive_one(now, out);
        }
        due(&self.arrivals)
    }

    fn arrive_one(&mut self, now: Time, out: &mut impl Ways) {
        let Cursor { next, planned: Some(planned), release } = self.arrivals else { return };
        let following = self.arrival_time(next + 1);
        let release = overdue::release(release, now, following, following.map_or(Duration::ZERO, |f| f.since(planned)));
        self.arrivals = Cursor { next: next + 1, planned: following, release };
        if let Some((local, act)) = self.rows.as_mut().and_then(|rows| rows.take(&self.schedule, next)) {
            return match act {
                ReplayAct::Arrive => self.admit(local, planned, now, out),
                ReplayAct::Again => self.driver.drive(local, now, Input::Again, out),
                ReplayAct::Leave => self.driver.drive(local, now, Input::Unregister, out),
                ReplayAct::Vanish => self.driver.drive(local, now, Input::Cut, out),
            };
        }
        // There is an arrival, so there is an agent.
        let local = next % saturating_u32(self.driver.agents());
        self.admit(local, planned, now, out);
    }

    fn farewell_time(&self, farewells: Farewells) -> Option<Time> {
        // Agents arrive in order, each once: those behind the last arrival have no binding, and
        // nobody waits for them.
        if farewells.next >= self.arrived() {
            return None;
        }
        let position = f64::from(self.stripe.global(farewells.next));
        Some(farewells.begin + Duration::from_secs_f64(position / farewells.per_second))
    }

    fn say_farewell(&mut self, now: Time, out: &mut impl Ways) -> bool {
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
            self.driver.drive(local, now, Input::Unregister, out);
        }
        true
    }

    /// How many of this worker's agents have arrived; arrivals that go round bring no new ones. In
    /// a replay anybody may have.
    fn arrived(&self) -> u32 {
        if self.rows.is_some() {
            return saturating_u32(self.driver.agents());
        }
        self.arrivals.next.min(saturating_u32(self.driver.agents()))
    }
}

/// Who hears what happens to a fleet's agents: the books, the recorder of failures, and who is
/// without power.
struct FleetWitness {
    tally: Tally,
    flight: Flight,
    power: Power,
}

impl Witness for FleetWitness {
    #[inline]
    fn saw(&mut self, who: &Who<'_>, event: &Event<'_>, _answer: Option<&Response<'_>>) {
        match event {
            Event::Ended(end) => self.flight.ended(who.local, who.subject, end, who.flow.local),
            Event::Registered { at, .. } => self.power.registered(who.local, *at),
            _ => {}
        }
        if who.is_routed {
            self.tally.at_place(who.subject, who.flow.remote, event);
        }
        self.tally.event(who.subject, event);
    }

    #[inline]
    fn begins(&mut self, who: &Who<'_>, now: Time) {
        self.flight.begin(who.local, now);
    }

    #[inline]
    fn sent(&mut self, who: &Who<'_>, now: Time, bytes: &[u8]) {
        if self.flight.watches(who.local) {
            self.flight.keep(who.local, now, Direction::Sent, who.flow.remote, bytes);
        }
        self.tally.sent(who.subject.trunk, bytes.len());
    }

    fn replied(&mut self, trunk: TrunkId, length: usize) {
        self.tally.sent(trunk, length);
        self.tally.asked(true);
    }

    fn left_unanswered(&mut self) {
        self.tally.asked(false);
    }

    fn stamp_refused(&mut self) {
        self.tally.stamp_refused();
    }

    #[inline]
    fn received(&mut self, trunk: TrunkId, length: usize) {
        self.tally.received(trunk, length);
    }

    #[inline]
    fn heard(&mut self, local: u32, at: Time, from: SocketAddr, bytes: &[u8]) {
        if self.flight.watches(local) {
            self.flight.keep(local, at, Direction::Received, from, bytes);
        }
    }

    fn stray(&mut self) {
        self.tally.stray();
    }

    fn unasked(&mut self, trunk: TrunkId, one: &Unasked<'_>) {
        self.tally.unasked(trunk, one);
    }

    fn send_failed(&mut self) {
        self.tally.send_errors(1);
    }

    fn flow_changed(&mut self, trunk: TrunkId, change: FlowChange, open: u64) {
        self.tally.flow_changed(trunk, change, open);
    }

    fn flow_refused(&mut self, trunk: TrunkId) {
        self.tally.flow_refused(trunk);
    }

    fn pinged(&mut self, trunk: TrunkId) {
        self.tally.pinged(trunk);
    }

    fn ponged(&mut self, trunk: TrunkId) {
        self.tally.ponged(trunk);
    }

    fn pong_missed(&mut self, trunk: TrunkId) {
        self.tally.pong_missed(trunk);
    }

    fn flow_secured(&mut self, trunk: TrunkId, secured: &Secured) {
        self.tally.flow_secured(trunk, secured);
    }

    fn flow_said(&mut self, trunk: TrunkId, why: FlowLoss, text: &str) {
        self.tally.flow_said(trunk, why, text);
    }
}
