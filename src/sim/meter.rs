//! What is counted of every message of a simulated run: second by second, by source address and by
//! address of record.

use super::road::{Addresses, START, Toll};
use super::wires::FleetFlow;
use crate::agent::{Identity, IdentityBook, TrunkPolicy};
use crate::fleet::agent_of;
use crate::measure::Traffic;
use crate::vocab::{AgentId, Time, saturating_u32};
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

pub(super) struct RoadMeter {
    pub(super) traffic: Traffic,
    pub(super) sources: Vec<IpAddr>,
    /// By fleet and flow, of datagrams and of streams: position in `sources`.
    source_of: [Vec<Vec<usize>>; 2],
    /// The first agent of each address of record, and how many have it.
    pub(super) aors: Vec<(AgentId, u32)>,
    /// By agent: position in `aors`.
    aor_of: Vec<u32>,
}

impl RoadMeter {
    pub(super) fn new(addresses: &Addresses, identities: &IdentityBook, policies: &[TrunkPolicy]) -> Self {
        let mut sources: Vec<IpAddr> = Vec::new();
        for address in addresses.given() {
            if !sources.contains(&address.ip()) {
                sources.push(address.ip());
            }
        }
        let position = |ip| sources.iter().position(|known| *known == ip).unwrap_or(0);
        let of_all = |fleets: &[Vec<SocketAddr>]| {
            fleets.iter().map(|flows| flows.iter().map(|at| position(at.ip())).collect()).collect()
        };
        let source_of = addresses.flows().map(of_all);
        let mut aors: Vec<(AgentId, u32)> = Vec::new();
        let mut known = HashMap::new();
        let mut aor = |(number, identity): (usize, Identity<'_>)| {
            let domain = policies[identity.trunk.index()].domain.as_str();
            let place = *known.entry((domain, identity.user.to_owned())).or_insert_with(|| {
                aors.push((AgentId(saturating_u32(number)), 0));
                aors.len() - 1
            });
            aors[place].1 += 1;
            saturating_u32(place)
        };
        let aor_of: Vec<u32> = identities.iter().enumerate().map(&mut aor).collect();
        RoadMeter { traffic: Traffic::new(START, sources.len(), aors.len()), sources, source_of, aors, aor_of }
    }
}

impl Toll for RoadMeter {
    fn sent(&mut self, now: Time, at: FleetFlow, tag: u64, bytes: usize) {
        let aor = agent_of(tag).and_then(|agent| self.aor_of.get(agent.index()));
        let aor = aor.map(|&aor| aor as usize);
        self.traffic.sent(now, self.source_of[usize::from(at.flow.is_stream())][at.fleet][at.flow.index()], aor, bytes);
    }

    fn received(&mut self, now: Time, bytes: usize) {
        self.traffic.received(now, bytes);
    }
}
