//! What a fleet and a crew have in common: agents with their timers and flows, the ceiling over
//! what they send, and the way from a datagram to the agent it is meant for.
//!
//! A [`Driver`] does not decide when an agent arrives: its owner does. What happens to the agents
//! is told to the owner's [`Witness`]. The driver never reads a clock: every call brings the time.
//! It is handed datagrams and writes datagrams through [`Ways`]. Requests that come from the
//! registrar's side it answers itself.

mod answers;
mod checks;
mod learning;
mod naming;
mod places;
mod streams;

use super::flows::{Flow, Flows, SPARE};
use super::wheel::Wheel;
use crate::agent::check::CHECKS;
use crate::agent::{Agent, Context, IdentityBook, Input, Outgoing, TrunkPolicy};
use crate::load::{Ceiling, Stripe};
use crate::measure::event::Subject;
use crate::measure::{Event, FlowChange, Unasked};
use crate::seed::Seed;
use crate::sip::{Branch, Response, Token, scan};
use crate::vocab::{AgentId, FlowId, FlowLoss, NotSent, RunTag, Secured, Time, Trouble, TrunkId, saturating_u32};
use answers::Asked;
use checks::Checks;
use learning::Learning;
use naming::Naming;
pub use naming::{FoundName, NameQuestion};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
pub use streams::host_name;
use streams::{Deed, Tiding};

/// Where messages go. A flow that is named here is open: what is put on it is sent, or reported as
/// failed.
pub trait Ways {
    /// Lets `write` fill a buffer for `flow` and queues as many bytes as it returns; nothing when
    /// it returns 0. `tag` names the message when it cannot be sent (see [`Driver::send_failed`]).
    fn put(&mut self, flow: FlowId, tag: u64, write: impl FnOnce(&mut [u8]) -> usize);

    /// The same for an answer of ours to `to`, which may be elsewhere than the flow's requests go.
    fn reply(&mut self, flow: FlowId, _to: SocketAddr, write: impl FnOnce(&mut [u8]) -> usize) {
        self.put(flow, NO_AGENT, write);
    }

    /// Opens a stream; [`Driver::opened`] or [`Driver::lost`] follows. Left out by those who have
    /// none.
    fn open(&mut self, _flow: FlowId) {}

    /// A flow of one agent leads to another address from now on. Where a datagram socket is bound
    /// then, or `None`: it cannot be led there.
    fn aim(&mut self, _flow: FlowId, _to: SocketAddr) -> Option<SocketAddr> {
        None
    }

    /// A further flow like one there is, to another address: the next of its sort. Where it comes
    /// from, or `None`: there can be no more.
    fn another(&mut self, _like: FlowId, _to: SocketAddr) -> Option<SocketAddr> {
        None
    }

    /// Asks where a name leads; [`Fleet::found`](super::Fleet::found) follows, unless nobody is
    /// there to look names up (false).
    fn ask_name(&mut self, _question: NameQuestion) -> bool {
        false
    }

    /// Closes a stream, or gives up opening it: nothing more is heard of it. Says what it is called
    /// when it was not open in time.
    fn close(&mut self, _flow: FlowId) -> FlowLoss {
        FlowLoss::ConnectTimeout
    }
}

/// Who sees what happens to a driver's agents. What it does not care about it leaves out.
pub trait Witness {
    /// The user an agent is, for agents that are not each a user of their own.
    fn user(&self, agent: AgentId) -> AgentId {
        agent
    }

    /// An agent reported something; `answer` is the response that brought it about, if one did.
    fn saw(&mut self, who: &Who<'_>, event: &Event<'_>, answer: Option<&Response<'_>>);

    /// An attempt is about to send its first request.
    fn begins(&mut self, _who: &Who<'_>, _now: Time) {}

    /// A request was written and is on its way.
    fn sent(&mut self, _who: &Who<'_>, _now: Time, _bytes: &[u8]) {}

    /// An answer to one of our requests was written and is on its way.
    fn replied(&mut self, _trunk: TrunkId, _length: usize) {}

    /// A datagram came.
    fn received(&mut self, _trunk: TrunkId, _length: usize) {}

    /// The datagram is for this agent.
    fn heard(&mut self, _local: u32, _at: Time, _from: SocketAddr, _bytes: &[u8]) {}

    /// The datagram is for nobody, or is no SIP.
    fn stray(&mut self) {}

    /// The datagram comes from elsewhere than requests go, or is a stray one; said before what else
    /// there is to say of it.
    fn unasked(&mut self, _trunk: TrunkId, _one: &Unasked<'_>) {}

    /// A request of somebody else's was not answered, because such requests came too fast.
    fn left_unanswered(&mut self) {}

    /// An answer bore a time of arrival before its request was sent.
    fn stamp_refused(&mut self) {}

    /// A message could not be sent.
    fn send_failed(&mut self) {}

    /// A stream of this trunk was opened or is gone; so many of them are open now.
    fn flow_changed(&mut self, _trunk: TrunkId, _change: FlowChange, _open: u64) {}

    /// A stream of this trunk was not begun, because too many were in this second.
    fn flow_refused(&mut self, _trunk: TrunkId) {}

    /// A keep-alive was sent on a flow of this trunk.
    fn pinged(&mut self, _trunk: TrunkId) {}

    /// A keep-alive was answered.
    fn ponged(&mut self, _trunk: TrunkId) {}

    /// A keep-alive was not answered.
    fn pong_missed(&mut self, _trunk: TrunkId) {}

    /// What a stream of this trunk agreed on for TLS.
    fn flow_secured(&mut self, _trunk: TrunkId, _secured: &Secured) {}

    /// What else is known about a stream that was lost.
    fn flow_said(&mut self, _trunk: TrunkId, _why: FlowLoss, _text: &str) {}
}

/// An agent as its witness sees it.
#[derive(Clone, Copy, Debug)]
pub struct Who<'a> {
    /// Its place among the driver's agents.
    pub local: u32,
    pub subject: Subject,
    /// What it sends through.
    pub flow: &'a Flow,
    /// Its trunk's name may lead to several addresses.
    pub is_routed: bool,
}

/// What a driver is made of.
pub(super) struct DriverConfig {
    pub stripe: Stripe,
    pub identities: Arc<IdentityBook>,
    /// By [`IdentityBook::policy`].
    pub policies: Arc<[TrunkPolicy]>,
    pub flows: Flows,
    pub seed: Seed,
    pub run: RunTag,
    /// Over all workers.
    pub max_message_rate: u32,
    pub start: Time,
}

/// Agents, and all that moves them.
pub struct Driver<W> {
    config: DriverConfig,
    agents: Vec<Agent>,
    wheel: Wheel,
    ceiling: Ceiling,
    /// The same for streams that are opened; `None`: nobody limits them.
    connects: Option<Ceiling>,
    /// Agents with an open attempt or un-REGISTER.
    busy: u64,
    /// See [`Context::draining`].
    pub(super) draining: bool,
    expired: Vec<u32>,
    /// Streams and flows of datagrams there were at the start, by which they stand in the wheel.
    initial: [usize; 2],
    /// `None`: the registrar has asked nothing.
    asked: Option<Box<Asked>>,
    /// `None`: nobody takes its Contact from answers.
    learning: Option<Learning>,
    /// `None`: nobody checks anything.
    checks: Option<Box<Checks>>,
    /// Streams whose agents are to be told something.
    tidings: VecDeque<Tiding>,
    /// `None`: nobody was redirected to a name.
    naming: Option<Box<Naming>>,
    pub(super) witness: W,
}

/// At most this many timers, and as many arrivals, are handled in one turn, so that answers never
/// wait long.
pub(super) const TURN_LIMIT: usize = 64;

impl<W: Witness> Driver<W> {
    pub(super) fn new(config: DriverConfig, agents: usize, witness: W) -> Self {
        Driver {
            agents: vec![Agent::new(); agents],
            wheel: Wheel::new(agents + entries(&config.flows), config.start),
            initial: [config.flows.streams(), config.flows.datagrams()],
            ceiling: Ceiling::new(config.max_message_rate, config.stripe, config.start),
            connects: config.flows.connect_rate().map(|rate| Ceiling::new(rate, config.stripe, config.start)),
            busy: 0,
            draining: false,
            expired: Vec::with_capacity(TURN_LIMIT),
            checks: None,
            asked: None,
            learning: config.flows.learn().then(Learning::default),
            tidings: VecDeque::new(),
            naming: None,
            witness,
            config,
        }
    }

    pub(super) fn agent(&mut self, local: u32) -> &mut Agent {
        &mut self.agents[local as usize]
    }

    pub(super) fn agents(&self) -> usize {
        self.agents.len()
    }

    /// The agent's number in the run.
    pub(super) fn id(&self, local: u32) -> AgentId {
        AgentId(self.config.stripe.global(local))
    }

    pub(super) fn policy(&self, local: u32) -> &TrunkPolicy {
        let user = self.witness.user(self.id(local));
        &self.config.policies[self.config.identities.policy(user)]
    }

    pub(super) fn flows(&self) -> &Flows {
        &self.config.flows
    }

    /// Agents with an open attempt or un-REGISTER.
    pub(super) fn busy(&self) -> u64 {
        self.busy
    }

    /// When the next timer is due, or something is to be told.
    pub(super) fn next_due(&self) -> Option<Time> {
        if !self.tidings.is_empty() {
            return Some(Time::ORIGIN);
        }
        let check = self.checks.as_ref().and_then(|checks| checks.next_due());
        let name = self.naming.as_ref().and_then(|naming| naming.next_due());
        [self.wheel.next_due(), check, name].into_iter().flatten().min()
    }

    /// A datagram came on `flow`, from `from`. The kernel received it at `at`: latencies end there.
    /// It is handled at `now`: that times what is sent next.
    pub fn receive(&mut self, now: Time, at: Time, flow: FlowId, from: SocketAddr, bytes: &[u8], out: &mut impl Ways) {
        let Flow { trunk, remote, .. } = *self.config.flows.get(flow);
        self.witness.received(trunk, bytes.len());
        if from != remote {
            self.came_from_elsewhere(at, trunk, from, bytes);
        }
        if flow.is_stream() {
            self.config.flows.stream(flow).heard = now;
        }
        match scan::response(bytes) {
            Ok(ref response) => match self.token(response.branch) {
                Some((local, serial)) if serial & CHECKS != 0 => {
                    self.check_answered(local, serial, (now, at), response, out);
                }
                Some((local, serial)) => {
                    let at = self.possible(local, serial, now, at);
                    self.witness.heard(local, at, from, bytes);
                    if self.learning.is_some() {
                        return self.hear_and_learn(local, now, (serial, at), (flow, response), out);
                    }
                    self.drive(local, now, Input::Response { serial, response, at }, out);
                    if flow.is_stream() && (200..300).contains(&response.code) {
                        self.flow_timer(flow, now, response);
                    }
                }
                None => self.stray(at, flow, from, bytes),
            },
            // What begins like a response and is none may still say whose it was to be.
            Err(_) if bytes.starts_with(b"SIP/2.0") => match scan::branch_of(bytes).and_then(|b| self.token(b)) {
                Some((local, serial)) => {
                    self.witness.heard(local, at, from, bytes);
                    self.drive(local, now, Input::Malformed { serial, at }, out);
                }
                None => self.stray(at, flow, from, bytes),
            },
            Err(_) => self.answer_request((now, at), flow, from, bytes, out),
        }
    }

    /// When an answer arrived: the kernel's time for it, unless it lies before the request. Then
    /// the wall clock was set, or the stamp is of another clock, and what is known is when it was
    /// read.
    fn possible(&mut self, local: u32, serial: u32, now: Time, at: Time) -> Time {
        let is_before = |sent: Time| at + STAMP_SLACK < sent;
        if self.agents[local as usize].asked_at(serial).is_some_and(is_before) {
            self.witness.stamp_refused();
            return now;
        }
        at
    }

    /// RFC 3261 §18.1.2: an answer is matched by the branch of its Via, wherever it comes from; a
    /// cluster or a translator of addresses answers from another one than was asked.
    #[cold]
    fn came_from_elsewhere(&mut self, at: Time, trunk: TrunkId, from: SocketAddr, bytes: &[u8]) {
        let is_answer = bytes.starts_with(b"SIP/2.0");
        if is_answer && scan::branch_of(bytes).and_then(|branch| self.token(branch)).is_some() {
            self.witness.unasked(trunk, &Unasked { at, from, elsewhere: true, answers: true, bytes });
        }
    }

    #[cold]
    fn stray(&mut self, at: Time, flow: FlowId, from: SocketAddr, bytes: &[u8]) {
        let Flow { trunk, remote, .. } = *self.config.flows.get(flow);
        let elsewhere = from != remote;
        self.witness.unasked(trunk, &Unasked { at, from, elsewhere, answers: false, bytes });
        self.witness.stray();
    }

    /// The kernel reports that a datagram could not be delivered; `start` is its beginning.
    pub fn unreachable(&mut self, now: Time, start: &[u8], why: Trouble, out: &mut impl Ways) {
        if let Some((local, serial)) = scan::branch_of(start).and_then(|branch| self.token(branch)) {
            if serial & CHECKS != 0 {
                return self.check_undelivered(local, serial, now, out);
            }
            self.drive(local, now, Input::Transport { serial, why }, out);
        }
    }

    /// A message that was put on its way could not be sent.
    pub fn send_failed(&mut self, now: Time, tag: u64, why: Trouble, out: &mut impl Ways) {
        self.witness.send_failed();
        let Some((agent, serial)) = parts_of(tag) else { return };
        if let Some(local) = self.config.stripe.local(agent.0) {
            if serial & CHECKS != 0 {
                return self.check_undelivered(local, serial, now, out);
            }
            self.drive(local, now, Input::Transport { serial, why }, out);
        }
    }

    /// Wakes the agents whose timers have run out, a bounded number of them; `input` says what each
    /// is told. True when more are due.
    pub(super) fn wake(
        &mut self,
        now: Time,
        input: impl Fn(&W, u32, &Agent) -> Input<'static>,
        out: &mut impl Ways,
    ) -> bool {
        // Taken out, because driving an agent borrows the rest of the driver.
        let mut expired = std::mem::take(&mut self.expired);
        expired.clear();
        let more = self.wheel.advance(now, TURN_LIMIT, &mut expired);
        for &local in &expired {
            match self.agents.get(local as usize) {
                Some(agent) => {
                    let input = input(&self.witness, local, agent);
                    self.drive(local, now, input, out);
                }
                None => self.stream_due(local, now, out),
            }
        }
        self.expired = expired;
        more | self.tell(now, out) | self.check(now, out) | self.follow_names(now, out)
    }

    /// Abandons what some agents have open.
    pub(super) fn stop(&mut self, at: Time, which: impl Fn(&Agent) -> bool) {
        for local in 0..saturating_u32(self.agents.len()) {
            if which(&self.agents[local as usize]) {
                self.drive(local, at, Input::Stop, &mut Nowhere);
            }
        }
    }

    /// Hands one input to one agent and carries out what it wants.
    pub(super) fn drive(&mut self, local: u32, now: Time, input: Input<'_>, out: &mut impl Ways) {
        if self.config.flows.is_routed() {
            self.choose(local, now, &input, out);
        }
        let flows = &self.config.flows;
        let id = AgentId(self.config.stripe.global(local));
        let witness = &mut self.witness;
        let flow_id = flows.of_agent(local);
        let flow = flows.get(flow_id);
        let (cx, is_routed) = self.config.context((id, witness.user(id)), flow_id, self.draining);
        let subject = Subject { agent: id, trunk: cx.identity.trunk, source: flow.source };
        let who = Who { local, subject, flow, is_routed };
        let answer = input.answer();
        let agent = &mut self.agents[local as usize];
        let was_busy = agent.is_busy();
        let send = agent.handle(&cx, now, input, &mut |event| witness.saw(&who, &event, answer));
        if matches!(send, Outgoing::Elsewhere | Outgoing::ByName) {
            self.busy += u64::from(!was_busy);
            return self.leave(local, now, (send, &input), out);
        }
        let goes = send != Outgoing::No;
        let shut = goes && !flows.is_open(flow_id);
        let too_many = |connects: &mut Ceiling| flows.would_open(flow_id, now) && !connects.admit(now);
        let held = shut && self.connects.as_mut().is_some_and(too_many);
        if held || goes && !shut && !self.ceiling.admit(now) {
            if held {
                witness.flow_refused(flow.trunk);
            }
            agent.refused(&cx, now, &mut |event| witness.saw(&who, &event, answer));
        } else if goes {
            if !was_busy && agent.has_open_attempt() {
                witness.begins(&who, now);
            }
            if shut {
                agent.waits(now, &mut |event| witness.saw(&who, &event, answer));
            } else {
                let mut length = 0;
                out.put(flow_id, tag_of(id, agent.serial()), |buffer| {
                    length = agent.render(&cx, buffer).unwrap_or(0);
                    if length > 0 {
                        witness.sent(&who, now, &buffer[..length]);
                    }
                    length
                });
                agent.sent(&cx, now, length, &mut |event| witness.saw(&who, &event, answer));
                if length == 0 {
                    let serial = agent.serial();
                    let too_long = Input::Transport { serial, why: Trouble::NotSent(NotSent::TooLong) };
                    agent.handle(&cx, now, too_long, &mut |event| witness.saw(&who, &event, answer));
                }
            }
        }
        match agent.deadline(&cx) {
            Some(at) => self.wheel.schedule(local, at),
            None => self.wheel.cancel(local),
        }
        checks::mind(&mut self.checks, local, agent, &cx, now);
        let is_busy = agent.is_busy();
        self.busy = self.busy + u64::from(is_busy) - u64::from(was_busy);
        if !flow_id.is_stream() {
            if goes {
                self.keep_alive(flow_id, now);
            }
        } else if let Some(did) = Deed::of(&input, shut && !held, was_busy && !is_busy) {
            self.mind_stream(flow_id, local, now, did, out);
        }
    }

    /// Whose request a branch is of, and which one.
    fn token(&self, branch: &[u8]) -> Option<(u32, u32)> {
        let Token { agent, serial } = Branch::parse(self.config.run, branch)?;
        let local = self.config.stripe.local(agent.0)?;
        ((local as usize) < self.agents.len()).then_some((local, serial))
    }
}

/// How far two clocks, read one after the other by a thread that may be preempted in between, can
/// lie apart.
const STAMP_SLACK: Duration = Duration::from_millis(1);

impl DriverConfig {
    /// What an agent needs to know, and whether its trunk's name may lead to several addresses.
    // For every input there is: returned by way of memory it would be copied twice.
    #[inline(always)]
    fn context(&self, (agent, user): (AgentId, AgentId), flow: FlowId, draining: bool) -> (Context<'_>, bool) {
        let identity = self.identities.get(user);
        let others = if self.flows.is_routed() { self.flows.others(identity.trunk) } else { None };
        let context = Context {
            agent,
            policy: &self.policies[self.identities.policy(user)],
            identity,
            seed: self.seed,
            run: self.run,
            template: &self.flows.get(flow).template,
            reliable: flow.is_stream(),
            others: others.unwrap_or(0),
            allowed: self.flows.allowed(),
            draining,
        };
        (context, others.is_some())
    }
}

/// Places of flows in the wheel, behind the agents: streams, flows of datagrams, and those that may
/// come later.
fn entries(flows: &Flows) -> usize {
    flows.streams() + flows.datagrams() + SPARE
}

/// The tag of a message that belongs to no agent.
pub const NO_AGENT: u64 = u64::MAX;

/// The agent whose message has this tag; `None`: nobody's.
pub fn agent_of(tag: u64) -> Option<AgentId> {
    parts_of(tag).map(|(agent, _)| agent)
}

#[expect(clippy::cast_possible_truncation, reason = "the lower of two numbers")]
fn parts_of(tag: u64) -> Option<(AgentId, u32)> {
    (tag != NO_AGENT).then_some((AgentId((tag >> 32) as u32), tag as u32))
}

fn tag_of(agent: AgentId, serial: u32) -> u64 {
    u64::from(agent.0) << 32 | u64::from(serial)
}

/// For inputs that never send.
pub(crate) struct Nowhere;

impl Ways for Nowhere {
    fn put(&mut self, _flow: FlowId, _tag: u64, _write: impl FnOnce(&mut [u8]) -> usize) {}
}
