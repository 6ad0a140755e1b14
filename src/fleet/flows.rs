//! The ways out of a worker, and which of them each of its agents has.
//!
//! A datagram flow is open for the whole run, so it has no state. The states of a stream would stand
//! here.

use crate::agent::IdentityBook;
use crate::load::Stripe;
use crate::sip::emit::RegisterTemplate;
use crate::vocab::{AgentId, FlowId, SocketUse, TrunkId, saturating_u32};
use std::collections::BTreeMap;
use std::net::SocketAddr;

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

/// A worker's flows.
#[derive(Clone, Debug, Default)]
pub struct Flows {
    /// By [`FlowId`].
    flows: Vec<Flow>,
    /// By the worker's agents.
    of_agents: Vec<FlowId>,
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
            flows.of_agents.push(flow);
        }
        Ok(flows)
    }

    /// The same flows for agents that have these, in order.
    pub fn with_agents(self, of_agents: Vec<FlowId>) -> Flows {
        Flows { of_agents, ..self }
    }

    /// Takes a flow in; its number is that of flows before it.
    pub fn add(&mut self, flow: Flow) -> FlowId {
        self.flows.push(flow);
        FlowId(saturating_u32(self.flows.len()) - 1)
    }

    #[inline]
    pub fn get(&self, flow: FlowId) -> &Flow {
        &self.flows[flow.index()]
    }

    /// The flow of a worker's agent, by its place among them.
    #[inline]
    pub(super) fn of_agent(&self, local: u32) -> FlowId {
        self.of_agents[local as usize]
    }
}
