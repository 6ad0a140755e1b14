//! A search for limits under virtual time: a crew of agents, a link, the embedded registrar.

use super::DATAGRAM;
use crate::agent::{IdentityBook, TrunkPolicy};
use crate::fleet::crew::{Crew, CrewConfig};
use crate::fleet::roster::{self, Ways};
use crate::fleet::{Flow, Outbox};
use crate::link::{Link, LinkConfig};
use crate::load::search::{Field, Pace, Roster, Seat, Seen, Stop};
use crate::registrar::{self, Registrar};
use crate::seed::Seed;
use crate::sip::emit::{RegisterTemplate, TemplateParts};
use crate::vocab::{FlowId, RunTag, Time, TrunkId};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// What a simulated search is made of.
#[derive(Clone, Debug)]
pub struct TrialConfig {
    pub seed: Seed,
    pub identities: Arc<IdentityBook>,
    /// By trunk, then those of agents that deviate.
    pub policies: Vec<TrunkPolicy>,
    /// The trunk whose limits are searched.
    pub trunk: TrunkId,
    /// Another trunk at the same registrar.
    pub other_trunk: Option<TrunkId>,
    /// Further contacts the first user may have.
    pub contacts: u16,
    pub max_message_rate: u32,
    pub link: LinkConfig,
    pub registrar: registrar::Config,
}

/// A simulated search in progress.
pub struct Trial {
    now: Time,
    crew: Crew,
    registrar: Registrar,
    up: Link<Packet>,
    down: Link<Packet>,
    spare: Vec<Vec<u8>>,
}

#[derive(Debug)]
struct Packet {
    flow: FlowId,
    bytes: Vec<u8>,
}

const START: Time = Time::from_secs(1);
const REGISTRAR: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 5060);

/// The made-up address of a flow: the one from elsewhere has another host.
fn address(flow: FlowId) -> SocketAddr {
    let host = if flow == ELSEWHERE { 2 } else { 1 };
    SocketAddr::from(([127, 0, 0, host], 10_000 + flow.0 as u16))
}

fn flow_of(address: SocketAddr) -> FlowId {
    FlowId(address.port().saturating_sub(10_000).into())
}

const MAIN: FlowId = FlowId(0);
const ELSEWHERE: FlowId = FlowId(1);
const OTHER_TRUNK: FlowId = FlowId(2);
const FIRST_CONTACT: u32 = 3;

impl Trial {
    /// A search that has not begun, and whom it may register.
    pub fn new(config: TrialConfig) -> (Trial, Roster) {
        let flows = FIRST_CONTACT + u32::from(config.contacts);
        let ways = Ways {
            main: MAIN,
            contacts: (FIRST_CONTACT..flows).map(FlowId).collect(),
            elsewhere: Some(ELSEWHERE),
            other_trunk: config.other_trunk.map(|trunk| (trunk, OTHER_TRUNK)),
        };
        let (seats, roster) = roster::seats(&config.identities, config.trunk, &ways);
        let flow = |flow: FlowId| {
            let trunk = config.other_trunk.filter(|_| flow == OTHER_TRUNK).unwrap_or(config.trunk);
            let parts = TemplateParts {
                domain: &config.policies[trunk.index()].domain,
                transport: "UDP",
                sent_by: &address(flow).to_string(),
                route: None,
                user_agent: "regstorm",
                headers: &[],
            };
            let (local, remote) = (address(flow), REGISTRAR);
            Flow { trunk, source: 0, local, remote, template: RegisterTemplate::new(&parts) }
        };
        let crew = CrewConfig {
            flows: (0..flows).map(FlowId).map(flow).collect(),
            identities: config.identities.clone(),
            policies: config.policies.clone(),
            seats,
            seed: config.seed,
            run: RunTag(config.seed.0),
            max_message_rate: config.max_message_rate,
            start: START,
        };
        let trial = Trial {
            now: START,
            crew: Crew::new(crew),
            registrar: Registrar::new(config.registrar, config.seed, START),
            up: Link::new(config.link, config.seed, 0),
            down: Link::new(config.link, config.seed, 1),
            spare: Vec::new(),
        };
        (trial, roster)
    }

    /// What the registrar counted, as of the last packet.
    pub fn counts(&self) -> &registrar::Counts {
        self.registrar.counts()
    }

    /// Contacts the registrar holds now.
    pub fn contacts(&self) -> usize {
        self.registrar.contacts()
    }

    /// Lets time pass until `end`, or until the crew's task is done.
    fn run(&mut self, end: Option<Time>) {
        while end.map_or_else(|| !self.crew.is_done(), |end| self.now < end) {
            let others = [self.up.next_due(), self.down.next_due(), self.registrar.next_wake()];
            let next = others.into_iter().flatten().fold(self.crew.next_wake(), Time::min);
            let next = end.map_or(next, |end| next.min(end));
            // Virtual time never stands still on a wake-up that had nothing to do.
            self.now = next.max(self.now);
            self.deliver();
            let mut wire = Wire { now: self.now, link: &mut self.up, spare: &mut self.spare };
            while self.crew.turn(self.now, &mut wire) {}
        }
    }

    fn deliver(&mut self) {
        let now = self.now;
        while let Some(packet) = self.up.poll(now) {
            self.registrar.receive(now, address(packet.flow), &packet.bytes);
            self.spare.push(packet.bytes);
        }
        let mut buffer = [0; DATAGRAM];
        while let Some((length, to)) = self.registrar.poll_transmit(now, &mut buffer) {
            let mut bytes = self.spare.pop().unwrap_or_default();
            bytes.clear();
            bytes.extend_from_slice(&buffer[..length]);
            self.down.send(now, Packet { flow: flow_of(to.address), bytes });
        }
        while let Some(Packet { flow, bytes }) = self.down.poll(now) {
            let mut wire = Wire { now, link: &mut self.up, spare: &mut self.spare };
            self.crew.receive(now, now, flow, REGISTRAR, &bytes, &mut wire);
            self.spare.push(bytes);
        }
    }
}

impl Field for Trial {
    fn register(&mut self, seats: &[Seat], pace: Pace) -> Result<Seen, Stop> {
        self.crew.register(self.now, seats, pace);
        self.run(None);
        Ok(self.crew.seen(self.now))
    }

    fn release(&mut self, seats: &[Seat], per_second: f64) -> Result<Seen, Stop> {
        self.crew.release(self.now, seats, per_second);
        self.run(None);
        Ok(self.crew.seen(self.now))
    }

    fn rest(&mut self, span: Duration) -> Result<(), Stop> {
        self.run(Some(self.now + span));
        Ok(())
    }

    fn passed(&self) -> Duration {
        self.now.since(START)
    }
}

/// The way from the crew to the registrar.
struct Wire<'a> {
    now: Time,
    link: &'a mut Link<Packet>,
    spare: &'a mut Vec<Vec<u8>>,
}

impl Outbox for Wire<'_> {
    fn put(&mut self, flow: FlowId, _tag: u64, write: &mut dyn FnMut(&mut [u8]) -> usize) {
        let mut bytes = self.spare.pop().unwrap_or_default();
        bytes.resize(DATAGRAM, 0);
        let length = write(&mut bytes);
        bytes.truncate(length);
        if length > 0 {
            self.link.send(self.now, Packet { flow, bytes });
        }
    }
}
