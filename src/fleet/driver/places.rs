//! How a driver lets its agents speak to another of the places their trunk's name leads to: after a
//! failure there (RFC 3263 §4.3), and back when the name was looked up again.
//!
//! Agents that share a flow change to one that leads there. One with a flow of its own keeps it,
//! and the flow leads elsewhere: a phone keeps its port.

use super::streams::Deed;
use super::{Driver, Flow, Ways, Witness};
use crate::agent::{Input, Outgoing};
use crate::fleet::stream::{StreamLife, StreamState};
use crate::measure::FlowChange;
use crate::sip::locate::Destination;
use crate::sip::redirect::{Redirection, redirection, redirects};
use crate::vocab::{FlowId, FlowLoss, Time, TrunkId};
use std::net::SocketAddr;
use std::sync::Arc;

impl<W: Witness> Driver<W> {
    /// Before an attempt begins its agent turns to its first choice, if its name was looked up
    /// since it last chose.
    #[cold]
    pub(super) fn choose(&mut self, local: u32, now: Time, input: &Input<'_>, out: &mut impl Ways) {
        if !matches!(input, Input::Arrive { .. } | Input::Wake) || self.agents[local as usize].is_busy() {
            return;
        }
        let (agent, trunk) = (self.id(local), self.trunk_of(local));
        let Some(routes) = self.config.flows.routes() else { return };
        if routes.is_outdated(trunk, local)
            && let Some(address) = routes.first(trunk, agent)
        {
            self.lead(local, now, address, out);
        }
    }

    /// Its request failed where it went, or it was sent elsewhere: the agent goes on at the next
    /// place, or there.
    #[cold]
    pub(super) fn leave(&mut self, local: u32, now: Time, (how, input): (Outgoing, &Input<'_>), out: &mut impl Ways) {
        let redirecting = input.answer().filter(|answer| redirects(answer.code));
        let left = self.config.flows.of_agent(local);
        let over = self.config.flows.get(left).template.transport();
        match redirecting.map(|answer| (answer, redirection(answer, over))) {
            Some((answer, (_, uri))) if how == Outgoing::ByName => {
                return self.await_name(local, now, (answer, uri), out);
            }
            Some((_, (Redirection::To(address), _))) => self.lead_astray(local, now, address, out),
            _ => {
                let (agent, trunk) = (self.id(local), self.trunk_of(local));
                let remote = self.config.flows.get(left).remote;
                if let Some(next) = self.config.flows.routes().and_then(|routes| routes.after(trunk, agent, remote)) {
                    self.lead(local, now, next, out);
                }
            }
        }
        self.drive(local, now, Input::FlowOpen, out);
        // A connection that others share may be dead without anybody having said so.
        let unanswered = matches!(input, Input::Wake);
        if unanswered && left.is_stream() && self.config.flows.of_agent(local) != left {
            self.mind_stream(left, local, now, Deed::GotNoAnswer, out);
        }
    }

    /// For this attempt an agent's requests go to this address; the next begins where it did.
    pub(super) fn lead_astray(&mut self, local: u32, now: Time, address: SocketAddr, out: &mut impl Ways) {
        let (trunk, left) = (self.trunk_of(local), self.config.flows.of_agent(local));
        let remote = self.config.flows.get(left).remote;
        self.config.flows.astray(trunk, local, remote, self.config.seed);
        if let Some(line) = self.config.flows.line_of(left) {
            self.leads(line, address, out);
        }
        self.lead(local, now, address, out);
    }

    /// A trunk's name was looked up again, and leads to these places from now on.
    pub(in crate::fleet) fn relocate(&mut self, trunk: TrunkId, places: &[Destination], out: &mut impl Ways) {
        let mut there: Vec<Destination> = Vec::with_capacity(places.len());
        for place in places {
            if self.config.flows.lines(trunk).into_iter().all(|line| self.leads(line, place.address, out)) {
                there.push(place.clone());
            }
        }
        if let Some(routes) = self.config.flows.routes().filter(|_| !there.is_empty()) {
            routes.replace(trunk, Arc::from(there));
        }
    }

    /// Whether one of the flows that some agents share leads to an address; opened where it does
    /// not exist yet.
    fn leads(&mut self, line: usize, address: SocketAddr, out: &mut impl Ways) -> bool {
        let flows = &mut self.config.flows;
        if flows.sibling(line, address).is_some() {
            return true;
        }
        let Some(like) = flows.sibling_like(line) else { return false };
        let Some(local) = flows.has_room().then(|| out.another(like, address)).flatten() else { return false };
        let flow = flows.get(like);
        let template = flow.template.at(&local.to_string());
        let flow = Flow { remote: address, local, template, ..flow.clone() };
        flows.add_sibling(line, flow);
        true
    }

    /// From now on an agent's requests go to this address.
    fn lead(&mut self, local: u32, now: Time, address: SocketAddr, out: &mut impl Ways) {
        let flow = self.config.flows.of_agent(local);
        match self.config.flows.line_of(flow) {
            Some(line) => {
                if let Some(other) = self.config.flows.sibling(line, address) {
                    self.config.flows.assign(local, other);
                }
            }
            None if self.config.flows.get(flow).remote == address => {}
            None => self.lead_own(flow, now, address, out),
        }
    }

    /// A flow of a single agent leads elsewhere.
    fn lead_own(&mut self, flow: FlowId, now: Time, address: SocketAddr, out: &mut impl Ways) {
        if flow.is_stream() {
            self.give_up_own(flow, now, out);
        }
        let local = out.aim(flow, address);
        let own = self.config.flows.get_mut(flow);
        match local {
            Some(local) if local != own.local => {
                own.local = local;
                own.template = own.template.at(&local.to_string());
            }
            // There is no way from here; it goes where it went before, and fails there again.
            None if !flow.is_stream() => return,
            _ => {}
        }
        own.remote = address;
    }

    /// Closes a connection of a single agent, who knows it already.
    fn give_up_own(&mut self, flow: FlowId, now: Time, out: &mut impl Ways) {
        let entry = self.entry_of(flow);
        let stream = self.config.flows.stream(flow);
        let (trunk, was) = (stream.flow.trunk, std::mem::replace(&mut stream.life, StreamLife::IDLE).state);
        let quiet = now.since(stream.heard);
        if matches!(was, StreamState::Opening { .. } | StreamState::Open(_)) {
            out.close(flow);
        }
        if matches!(was, StreamState::Open(_)) {
            let open = self.config.flows.count_open(trunk, false);
            self.witness.flow_changed(trunk, FlowChange::Lost { why: FlowLoss::Ours, quiet }, open);
        }
        self.wheel.cancel(entry);
        self.tidings.retain(|tiding| tiding.flow != flow);
    }

    pub(super) fn trunk_of(&self, local: u32) -> TrunkId {
        let user = self.witness.user(self.id(local));
        self.config.identities.get(user).trunk
    }
}
