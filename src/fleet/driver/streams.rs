//! How a driver opens the streams its agents want to send on, and tells them what became of these.
//!
//! Where thousands of agents share a stream, only some are told per turn, so that no turn gets
//! long.

use super::{Driver, NO_AGENT, TURN_LIMIT, Ways, Witness};
use crate::agent::Input;
use crate::fleet::flows::Members;
use crate::fleet::stream::{Ping, StreamInput, StreamState, StreamStep, pause};
use crate::measure::FlowChange;
use crate::seed::Purpose;
use crate::sip::Response;
use crate::vocab::{FlowId, FlowLoss, Secured, Time, saturating_u32};
use std::net::SocketAddr;
use std::time::Duration;

/// What the agents of a stream are to be told; those before `next` know.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tiding {
    pub(super) flow: FlowId,
    /// `None`: it is open.
    lost: Option<FlowLoss>,
    next: usize,
}

/// What an agent did that concerns its stream.
#[derive(Clone, Copy, Debug)]
pub(super) enum Deed {
    /// It wants to send, and the stream is not open.
    Waits,
    GotNoAnswer,
    /// It lost its power.
    WentOff,
}

impl Deed {
    /// What an agent did at an input, after which it waits to send, or rests.
    pub(super) fn of(input: &Input<'_>, waits: bool, rests: bool) -> Option<Deed> {
        match input {
            _ if waits => Some(Deed::Waits),
            Input::Wake if rests => Some(Deed::GotNoAnswer),
            Input::Cut => Some(Deed::WentOff),
            _ => None,
        }
    }
}

impl<W: Witness> Driver<W> {
    /// A stream is open; its requests come from `local`.
    pub fn opened(&mut self, now: Time, flow: FlowId, local: SocketAddr, out: &mut impl Ways) {
        let id = self.config.stripe.global(saturating_u32(flow.index()));
        let stream = self.config.flows.stream(flow);
        stream.flow.local = local;
        let sent_by = if stream.rules.names_host {
            host_name(self.config.seed.draw(Purpose::HostName, id.into(), 0))
        } else {
            local.to_string()
        };
        stream.flow.template = stream.flow.template.at(&sent_by);
        let draw = self.keepalive_draw(flow, now);
        self.step(flow, now, StreamInput::Opened { draw }, out);
    }

    /// A stream could not be opened, or is gone.
    pub fn lost(&mut self, now: Time, flow: FlowId, why: FlowLoss, out: &mut impl Ways) {
        self.step(flow, now, StreamInput::Lost(why), out);
    }

    /// What an agent did concerns its stream.
    pub(super) fn mind_stream(&mut self, flow: FlowId, local: u32, now: Time, did: Deed, out: &mut impl Ways) {
        match did {
            Deed::Waits => {
                if let StreamStep::Refuse(why) = self.step(flow, now, StreamInput::Want, out) {
                    self.drive(local, now, Input::FlowLost { why }, out);
                }
            }
            // A request without an answer may be the registrar's doing. If nothing at all came
            // since it was sent, the connection is dead and nobody has said so.
            Deed::GotNoAnswer => {
                let patience = self.policy(local).timers.f();
                let stream = self.config.flows.stream(flow);
                if stream.life.is_open() && stream.heard + patience <= now {
                    self.close(flow, now, FlowLoss::Silent, out);
                }
            }
            // The connection goes with the phone, if it is that phone's own.
            Deed::WentOff => {
                let stream = self.config.flows.stream(flow);
                if stream.life.is_open() && matches!(stream.members, Members::One(_)) {
                    self.close(flow, now, FlowLoss::Ours, out);
                }
            }
        }
    }

    /// What a stream agreed on for TLS.
    pub fn secured(&mut self, flow: FlowId, secured: &Secured) {
        let trunk = self.config.flows.get(flow).trunk;
        self.witness.flow_secured(trunk, secured);
    }

    /// What there is to say of a stream that is lost, beyond why.
    pub fn said(&mut self, flow: FlowId, why: FlowLoss, text: &str) {
        let trunk = self.config.flows.get(flow).trunk;
        self.witness.flow_said(trunk, why, text);
    }

    fn close(&mut self, flow: FlowId, now: Time, why: FlowLoss, out: &mut impl Ways) {
        out.close(flow);
        self.step(flow, now, StreamInput::Lost(why), out);
    }

    /// The deadline of a stream has come; `entry` is its place in the wheel.
    pub(super) fn stream_due(&mut self, entry: u32, now: Time, out: &mut impl Ways) {
        let Some(flow) = self.flow_of(entry) else { return };
        if !flow.is_stream() {
            self.ping(flow, out);
            self.keep_alive(flow, now);
            return;
        }
        let draw = self.keepalive_draw(flow, now);
        self.step(flow, now, StreamInput::Wake { draw }, out);
    }

    /// The place of a flow in the wheel.
    pub(super) fn entry_of(&self, flow: FlowId) -> u32 {
        let [streams, datagrams] = self.initial;
        let (before, own) = if flow.is_stream() { (0, streams) } else { (streams, datagrams) };
        let place = match flow.index() {
            place if place < own => before + place,
            _ => {
                let later = self.config.flows.added().iter().position(|added| *added == flow);
                streams + datagrams + later.unwrap_or(0)
            }
        };
        saturating_u32(self.agents.len() + place)
    }

    fn flow_of(&self, entry: u32) -> Option<FlowId> {
        let [streams, datagrams] = self.initial;
        let place = (entry as usize).checked_sub(self.agents.len())?;
        match place {
            _ if place < streams => Some(FlowId::stream(saturating_u32(place))),
            _ if place < streams + datagrams => Some(FlowId(saturating_u32(place - streams))),
            _ => self.config.flows.added().get(place - streams - datagrams).copied(),
        }
    }

    /// The answer to a keep-alive came.
    pub fn ponged(&mut self, now: Time, flow: FlowId, out: &mut impl Ways) {
        let stream = self.config.flows.stream(flow);
        stream.heard = now;
        // Empty lines may come unasked.
        if matches!(stream.life.state, StreamState::Open(Ping::Sent { .. })) {
            let trunk = stream.flow.trunk;
            self.witness.ponged(trunk);
            self.step(flow, now, StreamInput::Ponged, out);
        }
    }

    /// A registrar that says how long it waits for a keep-alive knows best, where there are any
    /// (RFC 5626 §4.4.1 and §5.4).
    pub(super) fn flow_timer(&mut self, flow: FlowId, now: Time, response: &Response<'_>) {
        let stream = self.config.flows.stream(flow);
        let Some(known) = stream.rules.keepalive else { return };
        let said = response.headers("Flow-Timer").next().and_then(|text| std::str::from_utf8(text.trim_ascii()).ok());
        let said = said.and_then(|text| text.parse().ok()).filter(|seconds| *seconds > 0).map(Duration::from_secs);
        let Some(longest) = said.filter(|said| *said != known) else { return };
        stream.rules.keepalive = Some(longest);
        let draw = self.keepalive_draw(flow, now);
        let entry = self.entry_of(flow);
        let stream = self.config.flows.stream(flow);
        stream.life.keep_alive_within(now, longest, draw);
        if let Some(at) = stream.life.deadline(&stream.rules) {
            self.wheel.schedule(entry, at);
        }
    }

    /// Sets keep-alives apart, of flows and of each other.
    fn keepalive_draw(&self, flow: FlowId, now: Time) -> f64 {
        let id = self.config.stripe.global(saturating_u32(flow.index()));
        self.config.seed.unit(Purpose::KeepAlive, id.into(), now.as_nanos())
    }

    /// A flow of datagrams was used: from now on it is kept alive, if it is to be.
    pub(super) fn keep_alive(&mut self, flow: FlowId, now: Time) {
        let Some(longest) = self.config.flows.get(flow).keepalive else { return };
        let entry = self.entry_of(flow);
        if !self.wheel.is_scheduled(entry) {
            self.wheel.schedule(entry, now + pause(longest, self.keepalive_draw(flow, now)));
        }
    }

    fn ping(&mut self, flow: FlowId, out: &mut impl Ways) {
        out.put(flow, NO_AGENT, |buffer| {
            buffer[..PING.len()].copy_from_slice(PING);
            PING.len()
        });
        let trunk = self.config.flows.get(flow).trunk;
        self.witness.pinged(trunk);
    }

    /// Hands one input to one stream and carries out what it wants.
    fn step(&mut self, flow: FlowId, now: Time, input: StreamInput, out: &mut impl Ways) -> StreamStep {
        let entry = self.entry_of(flow);
        let stream = self.config.flows.stream(flow);
        let (trunk, rules) = (stream.flow.trunk, stream.rules);
        let step = stream.life.handle(&rules, now, input);
        match stream.life.deadline(&rules) {
            Some(at) => self.wheel.schedule(entry, at),
            None => self.wheel.cancel(entry),
        }
        match step {
            StreamStep::Nothing | StreamStep::Refuse(_) => {}
            StreamStep::Open => out.open(flow),
            StreamStep::TellOpen { took } => {
                stream.heard = now;
                let open = self.config.flows.count_open(trunk, true);
                self.witness.flow_changed(trunk, FlowChange::Opened { took }, open);
                self.tidings.push_back(Tiding { flow, lost: None, next: 0 });
            }
            StreamStep::TellLost { why, failed } => self.fell(flow, why, failed, now),
            StreamStep::Ping => self.ping(flow, out),
            StreamStep::NoPong => {
                self.witness.pong_missed(trunk);
                out.close(flow);
                self.fell(flow, FlowLoss::NoPong, false, now);
            }
            StreamStep::GiveUp => {
                let why = out.close(flow);
                self.config.flows.stream(flow).life.waited_for(why);
                self.fell(flow, why, true, now);
            }
        }
        step
    }

    fn fell(&mut self, flow: FlowId, why: FlowLoss, failed: bool, now: Time) {
        let flows = &mut self.config.flows;
        let trunk = flows.get(flow).trunk;
        if failed {
            let open = flows.open(trunk);
            self.witness.flow_changed(trunk, FlowChange::Failed(why), open);
        } else {
            let open = flows.count_open(trunk, false);
            let quiet = now.since(flows.stream(flow).heard);
            self.witness.flow_changed(trunk, FlowChange::Lost { why, quiet }, open);
        }
        // What was not yet told of its opening is not true any more.
        self.tidings.retain(|tiding| tiding.flow != flow);
        self.tidings.push_back(Tiding { flow, lost: Some(why), next: 0 });
    }

    /// Tells some agents what became of their streams. True when there is more to tell.
    pub(super) fn tell(&mut self, now: Time, out: &mut impl Ways) -> bool {
        for _ in 0..TURN_LIMIT {
            let Some(tiding) = self.tidings.pop_front() else { return false };
            let Some(local) = self.config.flows.stream(tiding.flow).members.get(tiding.next) else {
                self.told(tiding, now, out);
                continue;
            };
            self.tidings.push_front(Tiding { next: tiding.next + 1, ..tiding });
            // One that went on to another place, or is about to, has nothing to do with it.
            if self.config.flows.of_agent(local) != tiding.flow || self.is_awaiting_name(local) {
                continue;
            }
            let input = tiding.lost.map_or(Input::FlowOpen, |why| Input::FlowLost { why });
            self.drive(local, now, input, out);
        }
        !self.tidings.is_empty()
    }

    fn told(&mut self, tiding: Tiding, now: Time, out: &mut impl Ways) {
        if tiding.lost.is_some() {
            let stream = self.config.flows.stream(tiding.flow);
            stream.turns = stream.turns.wrapping_add(1);
            let id = self.config.stripe.global(saturating_u32(tiding.flow.index()));
            let draw = self.config.seed.unit(Purpose::FlowBackoff, id.into(), stream.turns.into());
            self.step(tiding.flow, now, StreamInput::Told { draw }, out);
        }
    }
}

/// What a phone that knows no address of its own calls its host (RFC 7118 §5.2; RFC 2606 §2: nobody
/// will ever resolve it).
pub fn host_name(number: u64) -> String {
    format!("{:012x}.invalid", number >> 16)
}

/// A keep-alive (RFC 5626 §3.5.1); over datagrams many phones send the same to keep a NAT's
/// binding.
const PING: &[u8] = b"\r\n\r\n";
