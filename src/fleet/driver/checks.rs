//! How a driver lets its agents check: whose turn it is, and what became of it.
//!
//! Only trunks with `audit` or `qualify` have any; without, a driver keeps nothing. A check goes
//! out between two attempts of its agent, while that counts as registered; it waits until an
//! attempt is over.

use super::{Driver, DriverConfig, Ways, Who, Witness, tag_of};
use crate::agent::check::{AgentCheck, BETWEEN_AUDITS, CHECKS, CheckStep, FIRST_AUDIT};
use crate::agent::{Agent, CheckPolicy, Context};
use crate::fleet::wheel::Wheel;
use crate::measure::event::Subject;
use crate::measure::{CheckEnd, CheckKind, Event};
use crate::seed::Purpose;
use crate::sip::Response;
use crate::vocab::{AgentId, Time};
use std::time::Duration;

/// All checks of a driver's agents.
pub(super) struct Checks {
    wheel: Wheel,
    agents: Vec<CheckTurns>,
}

/// One agent's.
#[derive(Clone, Debug, Default)]
struct CheckTurns {
    /// Requests so far; see [`CHECKS`].
    serial: u32,
    /// Since when it counts as registered: it has its turns.
    has_turns: bool,
    audit: Option<Time>,
    qualify: Option<Time>,
    open: Option<Box<OpenCheck>>,
}

#[derive(Clone, Debug)]
struct OpenCheck {
    check: AgentCheck,
    /// The end of the agent's binding when it began.
    bound: Option<Time>,
}

impl Checks {
    pub(super) fn new(agents: usize, start: Time) -> Checks {
        Checks { wheel: Wheel::new(agents, start), agents: vec![CheckTurns::default(); agents] }
    }

    pub(super) fn next_due(&self) -> Option<Time> {
        self.wheel.next_due()
    }
}

/// An agent did something: once it is bound it has its turns.
#[inline]
pub(super) fn mind(checks: &mut Option<Box<Checks>>, local: u32, agent: &Agent, cx: &Context<'_>, now: Time) {
    let Some(checks) = checks else { return };
    let own = &mut checks.agents[local as usize];
    if own.has_turns || agent.bound_until().is_none() {
        return;
    }
    own.has_turns = true;
    let draw = |n: u64| cx.seed.unit(Purpose::Check, cx.agent.0.into(), n);
    own.audit = (draw(1) < cx.policy.checks.audit).then(|| now + FIRST_AUDIT.mul_f64(draw(2)));
    own.qualify = cx.policy.checks.qualify.map(|every| now + every.mul_f64(draw(3)));
    if let Some(at) = own.next() {
        checks.wheel.schedule(local, at);
    }
}

impl CheckTurns {
    fn next(&self) -> Option<Time> {
        [self.audit, self.qualify].into_iter().flatten().min()
    }
}

impl DriverConfig {
    /// What an agent that checks needs to know, and as whom its witness sees it.
    fn checker(&self, local: u32, user: AgentId, draining: bool) -> (Context<'_>, Who<'_>) {
        let (agent, flow_id) = (AgentId(self.stripe.global(local)), self.flows.of_agent(local));
        let (cx, is_routed) = self.context((agent, user), flow_id, draining);
        let flow = self.flows.get(flow_id);
        let subject = Subject { agent, trunk: cx.identity.trunk, source: flow.source };
        (cx, Who { local, subject, flow, is_routed })
    }
}

impl<W: Witness> Driver<W> {
    /// Agents check as their policies say.
    pub(in crate::fleet) fn with_checks(mut self) -> Self {
        if self.config.policies.iter().any(|policy| policy.checks != CheckPolicy::NONE) {
            self.checks = Some(Box::new(Checks::new(self.agents.len(), self.config.start)));
        }
        self
    }

    /// Goes on with the checks that are due, a bounded number of them. True when more are.
    pub(super) fn check(&mut self, now: Time, out: &mut impl Ways) -> bool {
        let Some(checks) = &mut self.checks else { return false };
        let mut due = std::mem::take(&mut self.expired);
        due.clear();
        let more = checks.wheel.advance(now, super::TURN_LIMIT, &mut due);
        for &local in &due {
            self.check_due(local, now, out);
        }
        self.expired = due;
        more
    }

    fn check_due(&mut self, local: u32, now: Time, out: &mut impl Ways) {
        let id = self.id(local);
        let agent = &self.agents[local as usize];
        let (bound, is_busy, draining) = (agent.bound_until(), agent.is_busy(), self.draining);
        let policy = self.policy(local).checks;
        let seed = self.config.seed;
        let is_open = self.config.flows.is_open(self.config.flows.of_agent(local));
        let (cx, _) = self.config.checker(local, self.witness.user(id), draining);
        let Some(checks) = &mut self.checks else { return };
        let own = &mut checks.agents[local as usize];
        let step = match &mut own.open {
            Some(open) => open.check.wake(&cx, now),
            // It has its turns again with its next registration.
            None if bound.is_none() || draining => {
                own.has_turns = false;
                return;
            }
            None if is_busy || !is_open => {
                checks.wheel.schedule(local, now + PAUSE);
                return;
            }
            None => {
                let kind = if own.audit.is_some_and(|at| at <= now) { CheckKind::Audit } else { CheckKind::Qualify };
                let draw = seed.unit(Purpose::Check, id.0.into(), u64::from(own.serial) << 32 | 4);
                match kind {
                    CheckKind::Audit => own.audit = Some(now + BETWEEN_AUDITS.mul_f64(0.5 + draw)),
                    CheckKind::Qualify => own.qualify = policy.qualify.map(|every| now + every),
                }
                own.open = Some(Box::new(OpenCheck { check: AgentCheck::begin(kind, &cx, now), bound }));
                CheckStep::Next
            }
        };
        self.go_on_checking(local, step, now, out);
    }

    /// An answer came to a check's request.
    pub(super) fn check_answered(
        &mut self,
        local: u32,
        serial: u32,
        (now, at): (Time, Time),
        response: &Response<'_>,
        out: &mut impl Ways,
    ) {
        let id = self.id(local);
        let agent = &self.agents[local as usize];
        let (bound, is_busy) = (agent.bound_until(), agent.is_busy());
        let (cx, _) = self.config.checker(local, self.witness.user(id), self.draining);
        let Some(checks) = &mut self.checks else { return };
        let own = &mut checks.agents[local as usize];
        // A copy of an answer, or one that came too late.
        let Some(open) = own.open.as_mut().filter(|_| own.serial | CHECKS == serial) else { return };
        let still = bound.filter(|_| !is_busy && bound == open.bound);
        let step = open.check.receive(&cx, (serial, at), response, still);
        self.go_on_checking(local, step, now, out);
    }

    /// A check's request could not be sent or delivered.
    pub(super) fn check_undelivered(&mut self, local: u32, serial: u32, now: Time, out: &mut impl Ways) {
        let Some(checks) = &mut self.checks else { return };
        let own = &checks.agents[local as usize];
        let Some(open) = own.open.as_ref().filter(|_| own.serial | CHECKS == serial) else { return };
        let step = open.check.undelivered(now);
        self.go_on_checking(local, step, now, out);
    }

    fn go_on_checking(&mut self, local: u32, step: CheckStep, now: Time, out: &mut impl Ways) {
        let Some(checks) = &mut self.checks else { return };
        let own = &mut checks.agents[local as usize];
        match step {
            CheckStep::Wait => {}
            CheckStep::Again => self.send_check(local, false, now, out),
            CheckStep::Next => {
                own.serial = own.serial.wrapping_add(1) & !CHECKS;
                self.send_check(local, true, now, out);
            }
            CheckStep::Ended(end) => self.check_ended(local, &end),
        }
        self.plan_check(local);
    }

    /// Sends the current request of an agent's check; `new`: for the first time. One that the
    /// ceiling holds back then is given up, for it says nothing of the registrar.
    fn send_check(&mut self, local: u32, new: bool, now: Time, out: &mut impl Ways) {
        let (id, flow_id) = (self.id(local), self.config.flows.of_agent(local));
        let (cx, who) = self.config.checker(local, self.witness.user(id), self.draining);
        let (witness, Some(checks)) = (&mut self.witness, &mut self.checks) else { return };
        let own = &mut checks.agents[local as usize];
        let Some(open) = &own.open else { return };
        if !self.ceiling.admit(now) {
            witness.saw(&who, &Event::CeilingRefused, None);
            if new {
                own.open = None;
            }
            return;
        }
        let serial = own.serial | CHECKS;
        let mut length = 0;
        out.put(flow_id, tag_of(id, serial), |buffer| {
            length = open.check.render(&cx, serial, buffer).unwrap_or(0);
            if length > 0 {
                witness.sent(&who, now, &buffer[..length]);
            }
            length
        });
        if length == 0
            && let CheckStep::Ended(end) = open.check.undelivered(now)
        {
            own.open = None;
            witness.saw(&who, &Event::Checked(end), None);
        }
    }

    fn check_ended(&mut self, local: u32, end: &CheckEnd) {
        let (_, who) = self.config.checker(local, self.witness.user(self.id(local)), self.draining);
        self.witness.saw(&who, &Event::Checked(*end), None);
        if let Some(checks) = &mut self.checks {
            checks.agents[local as usize].open = None;
        }
    }

    /// When an agent's check goes on, or its next one begins.
    fn plan_check(&mut self, local: u32) {
        let (cx, _) = self.config.checker(local, self.witness.user(self.id(local)), self.draining);
        let Some(checks) = &mut self.checks else { return };
        let own = &checks.agents[local as usize];
        match own.open.as_ref().map(|open| open.check.deadline(&cx)).or_else(|| own.next()) {
            Some(at) => checks.wheel.schedule(local, at),
            None => checks.wheel.cancel(local),
        }
    }
}

/// A check whose turn comes in the middle of an attempt waits so long.
const PAUSE: Duration = Duration::from_millis(500);
