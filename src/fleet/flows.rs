//! The ways out of a worker, and which of them each of its agents has.
//!
//! A datagram flow is open for the whole run, so it has no state. A stream has a [`StreamLife`].

use super::stream::{StreamLife, StreamRules};
use crate::agent::IdentityBook;
use crate::load::Stripe;
use crate::sip::emit::RegisterTemplate;
use crate::vocab::{AgentId, FlowId, SocketUse, Time, TrunkId, saturating_u32};
use std::collections::BTreeMap;
use std::net::SocketAddr;
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
    /// The longest time between two keep-alives of a datagram flow; a stream's rules have their own.
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
    Many(Vec<u32>),
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
}

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
        let mut flows = Flows::default();
        let mut of_agents = Vec::new();
        let mut shared: BTreeMap<(TrunkId, usize), FlowId> = BTreeMap::new();
        for local in 0..stripe.count(saturating_u32(identities.len())) {
            let identity = identities.get(AgentId(stripe.global(local)));
            let Sharing { sources, sockets } = sharing(identity.trunk);
            let source = identity.number as usize % sources.max(1);
            let known = shared.get(&(identity.trunk, source)).filter(|_| sockets == SocketUse::Shared);
            let flow = match known {
                Some(&flow) => flow,
                None => {
                    let flow = flows.add(open(identity.trunk, source)?);
                    shared.insert((identity.trunk, source), flow);
                    flow
                }
            };
            of_agents.push(flow);
        }
        Ok(flows.with_agents(of_agents))
    }

    /// The same flows for agents that have these, in order.
    pub fn with_agents(mut self, of_agents: Vec<FlowId>) -> Flows {
        let mut members = vec![Vec::new(); self.streams.len()];
        for (local, flow) in (0..).zip(&of_agents).filter(|(_, flow)| flow.is_stream()) {
            members[flow.index()].push(local);
        }
        for (stream, members) in self.streams.iter_mut().zip(members) {
            stream.members = match members[..] {
                [one] => Members::One(one),
                _ => Members::Many(members),
            };
        }
        Flows { of_agents, ..self }
    }

    /// Takes a flow in; its number is that of flows of its sort before it.
    pub fn add(&mut self, flow: Flow) -> FlowId {
        let Some(rules) = flow.stream else {
            self.flows.push(flow);
            return FlowId(saturating_u32(self.flows.len()) - 1);
        };
        let trunks = self.open.len().max(flow.trunk.index() + 1);
        self.open.resize(trunks, 0);
        let members = Members::Many(Vec::new());
        self.streams.push(Stream { flow, rules, life: StreamLife::IDLE, members, turns: 0, heard: Time::ORIGIN });
        FlowId::stream(saturating_u32(self.streams.len()) - 1)
    }

    #[inline]
    pub fn get(&self, flow: FlowId) -> &Flow {
        if flow.is_stream() { &self.streams[flow.index()].flow } else { &self.flows[flow.index()] }
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

    /// By stream.
    pub fn stream_trunks(&self) -> impl Iterator<Item = TrunkId> {
        self.streams.iter().map(|stream| stream.flow.trunk)
    }

    pub(super) fn stream(&mut self, flow: FlowId) -> &mut Stream {
        &mut self.streams[flow.index()]
    }

    #[inline]
    pub(super) fn is_open(&self, flow: FlowId) -> bool {
        !flow.is_stream() || self.streams[flow.index()].life.is_open()
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
