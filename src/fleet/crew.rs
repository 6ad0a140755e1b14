//! Agents that do as they are told, without I/O: so many register at this rate, those un-REGISTER,
//! and every answer is handed back. A search for limits drives it; whether over sockets or in
//! virtual time is up to the caller, as with a `Fleet`.
//!
//! A seat is one phone: a user with one contact. Several seats may share a user, each with a
//! contact of its own. Between tasks phones live on: they refresh what they hold, and nothing else;
//! a refused phone does not try again by itself.

use super::backlog::Backlog;
use super::driver::{Driver, DriverConfig, TURN_LIMIT, Ways, Who, Witness};
use super::flows::Flows;
use super::overdue::{self, STALLED};
use crate::agent::{IdentityBook, Input, RetryPolicy, TrunkPolicy};
use crate::load::Stripe;
use crate::load::search::{Seat, SeatAnswer, SeatFate, StepPace, StepResult, WhenFull, WordedRefusal};
use crate::measure::{Event, PlaceRow, PlaceTable};
use crate::seed::Seed;
use crate::sip::{Response, contact};
use crate::vocab::{AgentId, FlowId, Kind, RunTag, Status, Time, said, saturating_u32};
use std::sync::Arc;
use std::time::Duration;

/// What a crew is made of.
pub struct CrewConfig {
    pub identities: Arc<IdentityBook>,
    /// By [`IdentityBook::policy`]; the waits before retries are left out.
    pub policies: Vec<TrunkPolicy>,
    pub flows: Flows,
    /// By [`Seat`].
    pub seats: Vec<SeatedPhone>,
    pub seed: Seed,
    pub run: RunTag,
    pub max_message_rate: u32,
    pub start: Time,
}

/// Who sits on a seat, and through which flow: the flow gives the contact.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SeatedPhone {
    pub user: AgentId,
    pub flow: FlowId,
}

/// A crew at work.
pub struct Crew {
    driver: Driver<Duty>,
}

/// What a crew is doing.
struct Duty {
    /// By seat.
    users: Vec<AgentId>,
    task: Task,
    /// By seat: its answer within the task, [`NOBODY`] without one.
    asked: Vec<u32>,
    /// What became of attempts where their trunk's name leads to several addresses.
    places: PlaceTable,
    start: Time,
}

/// One step of a search, in progress.
struct Task {
    releases: bool,
    seats: Vec<Seat>,
    pace: StepPace,
    begin: Time,
    /// The next of `seats`, when it is planned, and when it may go.
    next: usize,
    planned: Time,
    release: Time,
    /// Of a poured task: how many go on at the steady rate, once that has begun.
    steadied: Option<usize>,
    /// Of a bounded task: what waits for an answer.
    backlog: Option<Backlog>,
    /// The next phone begins when one of those open has its answer.
    is_held: bool,
    /// Answers still to come.
    open: usize,
    seen: StepResult,
}

const NOBODY: u32 = u32::MAX;

impl Crew {
    pub fn new(mut config: CrewConfig) -> Self {
        for policy in &mut config.policies {
            policy.retry = RetryPolicy { refresh: policy.retry.refresh, ..RetryPolicy::NONE };
        }
        let seats = config.seats.len();
        let duty = Duty {
            users: config.seats.iter().map(|phone| phone.user).collect(),
            task: Task::none(config.start),
            asked: vec![NOBODY; seats],
            places: PlaceTable::default(),
            start: config.start,
        };
        let driver = DriverConfig {
            stripe: Stripe::WHOLE,
            identities: config.identities,
            policies: config.policies.into(),
            flows: config.flows.with_agents(config.seats.iter().map(|phone| phone.flow).collect()),
            seed: config.seed,
            run: config.run,
            max_message_rate: config.max_message_rate,
            start: config.start,
        };
        Crew { driver: Driver::new(driver, seats, duty) }
    }

    /// Where datagrams are handed in.
    pub fn driver(&mut self) -> &mut Driver<impl Witness> {
        &mut self.driver
    }

    /// These phones register, each once; the task before must be done.
    pub fn register(&mut self, now: Time, seats: &[Seat], pace: StepPace) {
        self.begin(Task::new(false, seats.to_vec(), pace, now));
    }

    /// These phones un-REGISTER as far as they may be bound.
    pub fn release(&mut self, now: Time, seats: &[Seat], per_second: f64) {
        self.begin(Task::new(true, seats.to_vec(), StepPace::Steady(per_second), now));
    }

    /// What became of attempts at each address of a name since this was last asked.
    pub fn take_places(&mut self) -> Vec<PlaceRow> {
        self.driver.witness.places.take()
    }

    fn begin(&mut self, task: Task) {
        let duty = &mut self.driver.witness;
        duty.asked.fill(NOBODY);
        duty.task = task;
    }

    fn task(&self) -> &Task {
        &self.driver.witness.task
    }

    /// Whether every phone of the task has its answer.
    pub fn is_done(&self) -> bool {
        self.task().open == 0 && self.task().is_dispatched()
    }

    /// What the task showed. Phones without an answer by now are silent.
    pub fn seen(&mut self, now: Time) -> StepResult {
        let task = &mut self.driver.witness.task;
        let seen = StepResult { lasted: now.since(task.begin), ..std::mem::take(&mut task.seen) };
        self.begin(Task::none(now));
        seen
    }

    /// When [`Crew::turn`] has something to do next; [`Time::NEVER`] for nothing.
    pub fn next_wake(&self) -> Time {
        let task = self.task();
        let phone = (!task.is_dispatched() && !task.is_held).then_some(task.release);
        [phone, self.driver.next_due()].into_iter().flatten().min().unwrap_or(Time::NEVER)
    }

    /// Expired timers, then phones that are due, a bounded number of each. True when more are due.
    pub fn turn(&mut self, now: Time, out: &mut impl Ways) -> bool {
        let more = self.driver.wake(now, |_, _, _| Input::Wake, out);
        for _ in 0..TURN_LIMIT {
            if !self.task().is_due(now) {
                return more;
            }
            self.dispatch(now, out);
        }
        more | self.task().is_due(now)
    }

    fn dispatch(&mut self, now: Time, out: &mut impl Ways) {
        let Duty { task, asked, .. } = &mut self.driver.witness;
        let (seat, planned, releases) = (task.seats[task.next], task.planned, task.releases);
        asked[seat.index()] = task.ask(seat, now);
        let agent = self.driver.agent(seat.0);
        agent.come_back();
        let input = if releases { Input::Unregister } else { Input::Arrive { planned } };
        self.driver.drive(seat.0, now, input, out);
        let is_busy = self.driver.agent(seat.0).is_busy();
        let Duty { task, asked, .. } = &mut self.driver.witness;
        if releases && !is_busy && asked[seat.index()] != NOBODY {
            // There was nothing to remove.
            task.answer(&mut asked[seat.index()], now, SeatFate::Accepted { listed: 0 });
        }
    }

    /// A task given up: what is open is abandoned, and what was not begun never will be.
    pub fn abandon(&mut self, now: Time) {
        let task = &mut self.driver.witness.task;
        task.next = task.seats.len();
        self.driver.stop(now, |agent| agent.is_busy());
    }
}

impl Witness for Duty {
    /// The agent is the seat, not the user: two contacts of one user are two phones on the wire.
    fn user(&self, agent: AgentId) -> AgentId {
        self.users[agent.index()]
    }

    fn saw(&mut self, who: &Who<'_>, event: &Event<'_>, answer: Option<&Response<'_>>) {
        if who.is_routed {
            self.places.saw(who.subject.trunk.0, who.flow.remote, event, self.start);
        }
        self.task.event(event, &mut self.asked[who.local as usize], answer);
    }
}

impl Task {
    fn new(releases: bool, seats: Vec<Seat>, pace: StepPace, begin: Time) -> Self {
        let seen = StepResult { answers: Vec::with_capacity(seats.len()), ..StepResult::default() };
        let (planned, release) = (begin, begin);
        let backlog = match pace {
            StepPace::Bounded { rate, wait, .. } => Some(Backlog::new(rate, wait)),
            StepPace::Steady(_) | StepPace::Poured { .. } => None,
        };
        let (steadied, is_held) = (None, false);
        Task { releases, seats, pace, begin, next: 0, planned, release, steadied, backlog, is_held, open: 0, seen }
    }

    /// Nothing to do.
    fn none(now: Time) -> Self {
        Task::new(false, Vec::new(), StepPace::Steady(1.0), now)
    }

    /// Notes that the next phone begins; returns the place of its answer.
    fn ask(&mut self, seat: Seat, now: Time) -> u32 {
        let place = saturating_u32(self.seen.answers.len());
        let steady = self.steadied.is_some() || !matches!(self.pace, StepPace::Poured { .. });
        let planned = self.planned.since(self.begin);
        self.seen.late += u32::from(now.since(self.planned) > STALLED);
        self.seen.answers.push(SeatAnswer { seat, planned, at: planned, fate: SeatFate::Silent, steady });
        self.open += 1;
        self.proceed(now);
        place
    }

    fn is_due(&self, now: Time) -> bool {
        !self.is_dispatched() && !self.is_held && self.release <= now
    }

    fn is_dispatched(&self) -> bool {
        self.next >= self.seats.len()
    }

    /// Plans the phone after the one that has just begun.
    fn proceed(&mut self, now: Time) {
        self.next += 1;
        let rate = match (self.pace, &mut self.steadied) {
            (StepPace::Steady(rate) | StepPace::Bounded { rate, .. }, _) => rate,
            (StepPace::Poured { steady, then, .. }, Some(gone)) => {
                *gone += 1;
                if *gone >= then {
                    self.next = self.seats.len();
                }
                steady
            }
            (StepPace::Poured { pour, at_most, steady, .. }, None) => {
                if self.next < at_most {
                    pour
                } else {
                    self.steadied = Some(0);
                    steady
                }
            }
        };
        let gap = gap_of(rate);
        self.planned += gap;
        self.release = overdue::release(self.release, now, Some(self.planned), gap);
        self.bound(now);
    }

    /// Too many may wait for an answer.
    fn bound(&mut self, now: Time) {
        let StepPace::Bounded { full, .. } = self.pace else { return };
        if self.is_dispatched() || !self.is_full(now) {
            return;
        }
        match full {
            WhenFull::Stop => self.cut_short(),
            WhenFull::Hold => self.is_held = true,
        }
    }

    fn is_full(&self, now: Time) -> bool {
        self.backlog.is_some_and(|backlog| backlog.is_full(self.open, now))
    }

    /// Who has not begun does not any more.
    fn cut_short(&mut self) {
        self.seen.cut_short |= !self.is_dispatched();
        self.next = self.seats.len();
    }

    /// The first refusal was seen: what is poured has been enough.
    fn turn_steady(&mut self, at: Time) {
        if let StepPace::Poured { steady, then, .. } = self.pace
            && self.steadied.is_none()
            && !self.is_dispatched()
        {
            self.steadied = Some(0);
            self.planned = at + gap_of(steady);
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
                    Status::Registered => SeatFate::Accepted { listed: response.map_or(0, listed) },
                    Status::Shed => SeatFate::Unsent,
                    _ if end.code == 0 && end.status != Status::ProtocolError => SeatFate::Silent,
                    _ => SeatFate::Refused(refusal(end.code, end.reason.text(), response)),
                };
                self.answer(asked, end.at, fate);
            }
            Event::UnregisterEnded { code, reason, ok, at, .. } => {
                let fate = match (ok, code) {
                    (true, _) => SeatFate::Accepted { listed: 0 },
                    (false, 0) => SeatFate::Silent,
                    (false, _) => SeatFate::Refused(refusal(code, reason.text(), response)),
                };
                self.answer(asked, at, fate);
            }
            _ => {}
        }
    }

    fn answer(&mut self, asked: &mut u32, at: Time, fate: SeatFate) {
        let place = std::mem::replace(asked, NOBODY);
        let Some(answer) = self.seen.answers.get_mut(place as usize) else { return };
        answer.at = at.since(self.begin);
        let (refused, silent) = (matches!(fate, SeatFate::Refused(_)), fate == SeatFate::Silent);
        answer.fate = fate;
        let took = answer.at.saturating_sub(answer.planned);
        self.open -= 1;
        if refused {
            self.turn_steady(at);
        }
        if let Some(backlog) = &mut self.backlog {
            if silent {
                // Half a minute without an answer says enough.
                self.cut_short();
            } else {
                backlog.answered(at, took);
            }
            self.go_on(at);
        }
    }

    /// Lets the next phone begin if it only waited for others, and plans on from there.
    fn go_on(&mut self, at: Time) {
        if self.is_held && !self.is_full(at) {
            self.is_held = false;
            self.seen.held_back += 1;
            (self.planned, self.release) = (self.planned.max(at), self.release.max(at));
        }
    }
}

/// From one phone to the next.
fn gap_of(per_second: f64) -> Duration {
    Duration::try_from_secs_f64(per_second.recip()).unwrap_or(Duration::from_secs(3_600))
}

fn refusal(code: u16, reason: &[u8], response: Option<&Response<'_>>) -> WordedRefusal {
    WordedRefusal { code, reason: said(reason), retry_after_s: response.and_then(|response| response.retry_after()) }
}

/// How many contacts a 200 lists.
fn listed(response: &Response<'_>) -> u16 {
    contact::listed(response)
}
