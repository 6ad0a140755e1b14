//! The ways out of a worker, and which of them each of its agents has.
//!
//! A datagram flow is open for the whole run, so it has no state. A stream has a [`StreamLife`].

use super::routes::Routes;
use super::stream::{StreamLife, StreamRules};
use crate::agent::{IdentityBook, MOST_OTHERS};
use crate::load::Stripe;
use crate::seed::Seed;
use crate::sip::emit::RegisterTemplate;
use crate::sip::locate::Destination;
use crate::vocab::{AgentId, FlowId, SocketUse, Time, TrunkId, saturating_u8, saturating_u32};
use ipnet::IpNet;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// One way out of a worker.
#[derive(Clone, Debug)]
pub struct Flow {
    pub trunk: TrunkId,
    /// Position of its local address among the trunk's `source` addresses.
    pub source: u8,
    /// Of a stream that was never open: the port is 0.
    pub local: SocketAddr,
    /// Where its requests go.
    pub remote: SocketAddr,
    pub template: RegisterTemplate,
    /// What makes it a stream.
    pub stream: Option<StreamRules>,
    /// The longest time between two keep-alives of a datagram flow; a stream's rules have their
    /// own.
    pub keepalive: Option<Duration>,
}

/// A flow that is opened and may be lost.
#[derive(Clone, Debug)]
pub(super) struct Stream {
    pub(super) flow: Flow,
    pub(super) rules: StreamRules,
    pub(super) life: StreamLife,
    /// The agents that have it.
    pub(super) members: Members,
    /// How often it was opened or given up: sets the draws of its back-off apart.
    pub(super) turns: u32,
    /// When something last came over it.
    pub(super) heard: Time,
}

/// Agents of a stream, by their places among the worker's.
#[derive(Clone, Debug)]
pub(super) enum Members {
    One(u32),
    Many(Arc<[u32]>),
}

impl Members {
    pub(super) fn get(&self, n: usize) -> Option<u32> {
        match self {
            Members::One(local) => (n == 0).then_some(*local),
            Members::Many(locals) => locals.get(n).copied(),
        }
    }
}

/// A worker's flows.
#[derive(Clone, Debug, Default)]
pub struct Flows {
    /// By [`FlowId`], those that are no streams.
    flows: Vec<Flow>,
    streams: Vec<Stream>,
    /// By the worker's agents.
    of_agents: Vec<FlowId>,
    /// Streams that are open, by trunk.
    open: Vec<u64>,
    /// Flows that some agents share, one for each place they may speak to.
    lines: Vec<Vec<FlowId>>,
    /// Where names lead; `None`: every trunk has one address.
    routes: Option<Box<Routes>>,
    /// Flows that came later.
    added: Vec<FlowId>,
    /// What redirections may lead to.
    allowed: Arc<[IpNet]>,
    /// The most streams that may be opened in a second, by all workers together.
    connect_rate: Option<u32>,
}

/// Flows that may come later, for addresses that names did not lead to at first.
pub(super) const SPARE: usize = 256;

/// How the agents of a trunk share its flows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sharing {
    /// Local addresses of the trunk, which its agents have in turn.
    pub sources: usize,
    pub sockets: SocketUse,
}

impl Flows {
    /// The flows of a worker's agents: one per trunk and source address, or one per agent where the
    /// trunk asks for it. `open` opens a flow of a trunk at the given one of its source addresses.
    ///
    /// # Errors
    /// The first of `open`.
    pub fn of_worker<E>(
        stripe: Stripe,
        identities: &IdentityBook,
        sharing: impl Fn(TrunkId) -> Sharing,
        mut open: impl FnMut(TrunkId, usize) -> Result<Flow, E>,
    ) -> Result<Flows, E> {
        let nowhere = (Vec::new(), Seed(0));
        Self::of_named(stripe, identities, sharing, nowhere, |trunk, source, _| open(trunk, source))
    }

    /// The same where trunks' names lead to several places, or may lead to others later: `places`
    /// by trunk, none of one with an address. `open` is told which of them a flow is to lead to.
    ///
    /// # Errors
    /// The first of `open`.
    pub fn of_named<E>(
        stripe: Stripe,
        identities: &IdentityBook,
        sharing: impl Fn(TrunkId) -> Sharing,
        (places, seed): (Vec<Arc<[Destination]>>, Seed),
        mut open: impl FnMut(TrunkId, usize, Option<SocketAddr>) -> Result<Flow, E>,
    ) -> Result<Flows, E> {
        let agents = stripe.count(saturating_u32(identities.len()));
        let mut flows = Flows { routes: Routes::new(places, agents as usize, seed), ..Flows::default() };
        let mut of_agents = Vec::with_capacity(agents as usize);
        let mut shared: BTreeMap<(TrunkId, usize), usize> = BTreeMap::new();
        for local in 0..agents {
            let id = AgentId(stripe.global(local));
            let identity = identities.get(id);
            let Sharing { sources, sockets } = sharing(identity.trunk);
            let source = identity.number as usize % sources.max(1);
            let route = flows.routes.as_ref().and_then(|routes| routes.of(identity.trunk));
            let first = flows.routes.as_ref().and_then(|routes| routes.first(identity.trunk, id));
            if sockets == SocketUse::PerAgent {
                of_agents.push(flows.add(open(identity.trunk, source, first)?));
                continue;
            }
            let line = match shared.get(&(identity.trunk, source)) {
                Some(&line) => line,
                None => {
                    let targets = route
                        .map_or(vec![None], |route| route.places.iter().map(|place| Some(place.address)).collect());
                    let mut siblings = Vec::with_capacity(targets.len());
                    for target in targets {
                        siblings.push(flows.add(open(identity.trunk, source, target)?));
                    }
                    flows.lines.push(siblings);
                    shared.insert((identity.trunk, source), flows.lines.len() - 1);
                    flows.lines.len() - 1
                }
            };
            let preferred = first.and_then(|address| flows.sibling(line, address));
            of_agents.push(preferred.unwrap_or(flows.lines[line][0]));
        }
        Ok(flows.with_agents(of_agents))
    }

    /// Takes in flows that some agents share, one for each place they may speak to; returns the
    /// first.
    pub fn add_line(&mut self, siblings: impl IntoIterator<Item = Flow>) -> Option<FlowId> {
        let siblings: Vec<FlowId> = siblings.into_iter().map(|flow| self.add(flow)).collect();
        let first = siblings.first().copied();
        self.lines.push(siblings);
        first
    }

    /// The same flows, whose agents turn to their first choice of these places, by trunk, when they
    /// come; none of a trunk with an address.
    pub fn leading_to(self, places: Vec<Arc<[Destination]>>, agents: usize, seed: Seed) -> Flows {
        let routes = Routes::new(places, agents, seed).map(|routes| Box::new(routes.undecided()));
        Flows { routes, ..self }
    }

    /// The same flows for agents that have these, in order. Those that share one may come to any of
    /// its siblings.
    pub fn with_agents(mut self, of_agents: Vec<FlowId>) -> Flows {
        let mut members = vec![Vec::new(); self.streams.len()];
        let home = |flow: &FlowId| self.line_of(*flow).and_then(|line| self.lines[line].first().copied());
        for (local, flow) in (0..).zip(&of_agents).filter(|(_, flow)| flow.is_stream()) {
            members[home(flow).unwrap_or(*flow).index()].push(local);
        }
        let together = |members: Vec<u32>| match members[..] {
            [one] => Members::One(one),
            _ => Members::Many(members.into()),
        };
        let members: Vec<Members> = members.into_iter().map(together).collect();
        let homes: Vec<usize> = (0..saturating_u32(self.streams.len()))
            .map(|n| home(&FlowId::stream(n)).map_or(n as usize, FlowId::index))
            .collect();
        for (stream, home) in self.streams.iter_mut().zip(homes) {
            stream.members = members[home].clone();
        }
        Flows { of_agents, ..self }
    }

    /// Whether some flow's agents take their Contact from answers.
    pub(super) fn learn(&self) -> bool {
        let all = self.flows.iter().chain(self.streams.iter().map(|stream| &stream.flow));
        all.into_iter().any(|flow| flow.template.learns())
    }

    /// Redirections may lead to these.
    pub fn allowing(self, allowed: Arc<[IpNet]>) -> Flows {
        Flows { allowed, ..self }
    }

    pub(super) fn allowed(&self) -> &[IpNet] {
        &self.allowed
    }

    /// An agent of a trunk is sent away from `remote` for one attempt: it returns with the next.
    pub(super) fn astray(&mut self, trunk: TrunkId, local: u32, remote: SocketAddr, seed: Seed) {
        let agents = self.of_agents.len();
        self.routes.get_or_insert_with(|| Box::new(Routes::empty(agents, seed))).astray(trunk, local, remote);
    }

    /// Whether an agent may speak to more than one place, now or later.
    #[inline]
    pub(super) fn is_routed(&self) -> bool {
        self.routes.is_some()
    }

    pub(super) fn routes(&mut self) -> Option<&mut Routes> {
        self.routes.as_deref_mut()
    }

    /// Places a trunk's agents may speak to besides one; `None`: it has an address.
    pub(super) fn others(&self, trunk: TrunkId) -> Option<u8> {
        let places = self.routes.as_ref()?.of(trunk)?.places.len();
        Some(saturating_u8(places.saturating_sub(1)).min(MOST_OTHERS))
    }

    /// The siblings a shared flow is among.
    pub(super) fn line_of(&self, flow: FlowId) -> Option<usize> {
        self.lines.iter().position(|siblings| siblings.contains(&flow))
    }

    /// Of a trunk.
    pub(super) fn lines(&self, trunk: TrunkId) -> Vec<usize> {
        let of_trunk = |line: &usize| self.sibling_like(*line).is_some_and(|flow| self.get(flow).trunk == trunk);
        (0..self.lines.len()).filter(of_trunk).collect()
    }

    pub(super) fn sibling(&self, line: usize, address: SocketAddr) -> Option<FlowId> {
        self.lines[line].iter().copied().find(|flow| self.get(*flow).remote == address)
    }

    pub(super) fn sibling_like(&self, line: usize) -> Option<FlowId> {
        self.lines[line].first().copied()
    }

    pub(super) fn has_room(&self) -> bool {
        self.added.len() < SPARE
    }

    /// Takes in one more flow that the same agents share.
    pub(super) fn add_sibling(&mut self, line: usize, flow: Flow) {
        let like = self.sibling_like(line);
        let id = self.add(flow);
        if let Some(like) = like.filter(|like| like.is_stream()) {
            self.streams[id.index()].members = self.streams[like.index()].members.clone();
        }
        self.lines[line].push(id);
        self.added.push(id);
    }

    /// Flows that came later, in order.
    pub(super) fn added(&self) -> &[FlowId] {
        &self.added
    }

    /// From now on an agent has this flow.
    pub(super) fn assign(&mut self, local: u32, flow: FlowId) {
        self.of_agents[local as usize] = flow;
    }

    /// Takes a flow in; its number is that of flows of its sort before it.
    pub fn add(&mut self, flow: Flow) -> FlowId {
        let Some(rules) = flow.stream else {
            self.flows.push(flow);
            return FlowId(saturating_u32(self.flows.len()) - 1);
        };
        let trunks = self.open.len().max(flow.trunk.index() + 1);
        self.open.resize(trunks, 0);
        let members = Members::Many(Arc::default());
        self.streams.push(Stream { flow, rules, life: StreamLife::IDLE, members, turns: 0, heard: Time::ORIGIN });
        FlowId::stream(saturating_u32(self.streams.len()) - 1)
    }

    #[inline]
    pub fn get(&self, flow: FlowId) -> &Flow {
        if flow.is_stream() { &self.streams[flow.index()].flow } else { &self.flows[flow.index()] }
    }

    pub(super) fn get_mut(&mut self, flow: FlowId) -> &mut Flow {
        if flow.is_stream() { &mut self.streams[flow.index()].flow } else { &mut self.flows[flow.index()] }
    }

    /// The flow of a worker's agent, by its place among them.
    #[inline]
    pub(super) fn of_agent(&self, local: u32) -> FlowId {
        self.of_agents[local as usize]
    }

    /// How many flows of datagrams there are.
    pub(super) fn datagrams(&self) -> usize {
        self.flows.len()
    }

    /// How many streams there are.
    pub fn streams(&self) -> usize {
        self.streams.len()
    }

    /// By stream: its local address (unspecified where the kernel chooses), and its target.
    pub fn stream_ends(&self) -> impl Iterator<Item = (SocketAddr, SocketAddr)> {
        self.streams.iter().map(|stream| (stream.flow.local, stream.flow.remote))
    }

    /// By stream: its trunk, and the agent that has it alone, by its place among the worker's.
    pub fn stream_owners(&self) -> impl Iterator<Item = (TrunkId, Option<u32>)> {
        let alone = |members: &Members| match members {
            Members::One(local) => Some(*local),
            Members::Many(_) => None,
        };
        self.streams.iter().map(move |stream| (stream.flow.trunk, alone(&stream.members)))
    }

    pub(super) fn stream(&mut self, flow: FlowId) -> &mut Stream {
        &mut self.streams[flow.index()]
    }

    #[inline]
    pub(super) fn is_open(&self, flow: FlowId) -> bool {
        !flow.is_stream() || self.streams[flow.index()].life.is_open()
    }

    /// Lets at most so many streams be opened in a second, by all workers together: `[safety]
    /// max_connect_rate`.
    pub fn opened_at_most(self, per_second: u32) -> Flows {
        Flows { connect_rate: Some(per_second), ..self }
    }

    pub(super) fn connect_rate(&self) -> Option<u32> {
        self.connect_rate.filter(|_| !self.streams.is_empty())
    }

    /// Whether a stream would be opened for whoever wants to send on it now.
    pub(super) fn would_open(&self, flow: FlowId, now: Time) -> bool {
        flow.is_stream() && self.streams[flow.index()].life.would_open(now)
    }

    /// How many streams of a trunk are open.
    pub(super) fn open(&self, trunk: TrunkId) -> u64 {
        self.open.get(trunk.index()).copied().unwrap_or(0)
    }

    /// How many streams of a trunk are open, after one more or one less is.
    pub(super) fn count_open(&mut self, trunk: TrunkId, opened: bool) -> u64 {
        let open = &mut self.open[trunk.index()];
        *open = if opened { *open + 1 } else { open.saturating_sub(1) };
        *open
    }
}
