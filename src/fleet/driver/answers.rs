//! What agents answer to requests from the registrar's side, and which of them were asked.

use super::{Driver, Ways, Who, Witness};
use crate::agent::IdentityBook;
use crate::agent::identity::call_id;
use crate::load::Stripe;
use crate::measure::event::Subject;
use crate::measure::{AskedOf, Event};
use crate::seed::Seed;
use crate::sip::{Request, contact, emit, scan};
use crate::vocab::{AgentId, FlowId, RunTag, Time, saturating_u32};
use std::net::SocketAddr;

/// Who was asked. Made for the first request; a run that is asked nothing has none.
pub(super) struct Asked {
    /// Agents in the order of their users' names: four bytes each.
    by_user: Box<[u32]>,
    /// By agent: which methods it was asked with, a bit each.
    methods: Box<[u8]>,
}

impl<W: Witness> Driver<W> {
    /// Requests from the registrar's side, as phones answer them: OPTIONS and NOTIFY (qualify,
    /// keep-alive) get 200, a NOTIFY of a dialog that nobody has 481 (RFC 6665 §4.1.3), an ACK
    /// nothing, others 405. They are answered where they came from. Bytes that are no SIP are
    /// stray, unless they are four or fewer.
    pub(super) fn answer_request(
        &mut self,
        (now, at): (Time, Time),
        flow: FlowId,
        from: SocketAddr,
        bytes: &[u8],
        out: &mut impl Ways,
    ) {
        let Ok(request) = scan::request(bytes) else {
            // Keep-alive answers and probes of two or four bytes are nothing to count.
            if bytes.len() > 4 {
                self.stray(at, flow, from, bytes);
            }
            return;
        };
        let (code, reason) = match request.method {
            b"NOTIFY" if emit::tag_of(request.to).is_some() => (481, "Call/Transaction Does Not Exist"),
            b"OPTIONS" | b"NOTIFY" => (200, "OK"),
            b"ACK" => return,
            _ => (405, "Method Not Allowed"),
        };
        // RFC 3261 §8.2.1: a 405 must say what is allowed; §11.2: the answer to OPTIONS should.
        let extra: &[u8] =
            if code == 405 || request.method == b"OPTIONS" { b"Allow: OPTIONS, NOTIFY\r\n" } else { b"" };
        if !self.ceiling.admit_answer(now) {
            self.witness.left_unanswered();
            return;
        }
        self.note_asked(flow, &request, code, at);
        let (witness, trunk) = (&mut self.witness, self.config.flows.get(flow).trunk);
        out.reply(flow, from, |buffer| {
            let length = emit::write_response(&request, code, reason, from, b"regstorm", extra, buffer).unwrap_or(0);
            if length > 0 {
                witness.replied(trunk, length);
            }
            length
        });
    }

    /// Counts a request with the agent that its URI names; one for nobody in particular is the
    /// registrar's word to the socket, and is not counted so.
    fn note_asked(&mut self, flow_id: FlowId, request: &Request<'_>, code: u16, at: Time) {
        let (stripe, run, seed) = (self.config.stripe, self.config.run, self.config.seed);
        let (identities, witness) = (&self.config.identities, &self.witness);
        let user_of = |local: u32| witness.user(AgentId(stripe.global(local)));
        let agents = saturating_u32(self.agents.len());
        let asked = self.asked.get_or_insert_with(|| Box::new(Asked::new(agents, identities, user_of)));
        let Some(local) = asked.agent(request, identities, user_of, (stripe, run, seed)) else { return };
        let bit = method_bit(request.method);
        let methods = &mut asked.methods[local as usize];
        let is_first = *methods & bit == 0;
        *methods |= bit;
        let id = self.id(local);
        let flow = self.config.flows.get(flow_id);
        let trunk = self.config.identities.get(self.witness.user(id)).trunk;
        let who = Who { local, subject: Subject { agent: id, trunk, source: flow.source }, flow, is_routed: false };
        let event = Event::Asked(AskedOf { method: request.method, code, is_first, at });
        self.witness.saw(&who, &event, None);
    }
}

impl Asked {
    fn new(agents: u32, identities: &IdentityBook, user_of: impl Fn(u32) -> AgentId) -> Asked {
        let mut by_user: Box<[u32]> = (0..agents).collect();
        by_user.sort_unstable_by_key(|&local| identities.get(user_of(local)).user);
        Asked { by_user, methods: vec![0; agents as usize].into() }
    }

    /// The agent whose Contact a Request-URI is; of several phones of one user the one that it
    /// names, or else the first.
    fn agent(
        &self,
        request: &Request<'_>,
        identities: &IdentityBook,
        user_of: impl Fn(u32) -> AgentId,
        (stripe, run, seed): (Stripe, RunTag, Seed),
    ) -> Option<u32> {
        let (user, instance) = contact::addressee(request.uri)?;
        let name = |local: &u32| identities.get(user_of(*local)).user.as_bytes();
        let start = self.by_user.partition_point(|local| name(local) < &*user);
        let phones = self.by_user[start..].iter().take_while(|local| name(local) == &*user);
        let is_named = |local: &&u32| {
            let id = call_id(seed, run, AgentId(stripe.global(**local)));
            instance.is_some_and(|instance| id.ends_with(instance))
        };
        let mut all = phones.clone();
        phones.clone().find(is_named).or_else(|| all.next()).copied()
    }
}

/// Methods that are told apart by agent.
fn method_bit(method: &[u8]) -> u8 {
    match method {
        b"OPTIONS" => 1,
        b"NOTIFY" => 2,
        b"INVITE" => 4,
        b"MESSAGE" => 8,
        _ => 16,
    }
}
