//! Agents ↔ link ↔ registrar under virtual time: hours of soak in seconds, no sockets, no clock, no sleep.
//!
//! The agents, the schedule, the books and the registrar are those of a real run, line by line: a [`World`] drives the
//! same [`Fleet`]s a sender thread drives. What it replaces is the network and the passing of time. `trial` does the same for
//! a crew that searches limits.

pub mod trial;

use crate::agent::{IdentityBook, TrunkPolicy};
use crate::fleet::{Fleet, FleetConfig, Flow, Outbox};
use crate::link::{Link, LinkConfig};
use crate::load::{LoadConfig, Schedule, Stripe};
use crate::measure::{Interval, Tally, TallyConfig};
use crate::registrar::{self, Registrar};
use crate::seed::Seed;
use crate::sip::emit::{RegisterTemplate, TemplateParts};
use crate::vocab::{AgentId, FlowId, RunTag, Stage, Time, TrunkId};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

/// What a simulated run is made of.
#[derive(Clone, Debug)]
pub struct WorldConfig {
    pub seed: Seed,
    pub identities: IdentityBook,
    /// By [`IdentityBook::policy`]: the trunks' own first, then those of agents that deviate.
    pub policies: Vec<TrunkPolicy>,
    pub load: LoadConfig,
    /// As many fleets share the agents as a real run has sender threads.
    pub workers: u32,
    pub interval: Duration,
    pub drain: Duration,
    /// Un-REGISTERs per second after the drain; `None` leaves the bindings alone.
    pub unregister_rate: Option<f64>,
    /// Each direction between agents and registrar.
    pub link: LinkConfig,
    pub registrar: registrar::Config,
}

/// A simulated run in progress.
pub struct World {
    now: Time,
    fleets: Vec<Fleet>,
    registrar: Registrar,
    /// Requests under way: the fleet and flow they left, and their bytes.
    up: Link<Packet>,
    down: Link<Packet>,
    /// Buffers of delivered packets, used again.
    spare: Vec<Vec<u8>>,
    intervals: Vec<Interval>,
    load_ends: Time,
    config: Ends,
}

#[derive(Clone, Copy)]
struct Ends {
    drain: Duration,
    unregister_rate: Option<f64>,
    patience: Duration,
    agents: usize,
}

#[derive(Debug)]
struct Packet {
    fleet: usize,
    flow: FlowId,
    bytes: Vec<u8>,
}

/// How a simulated run went.
pub struct Outcome {
    /// In order, all fleets merged.
    pub intervals: Vec<Interval>,
    pub registrar: registrar::Counts,
    /// Contacts the registrar held when the run was over.
    pub contacts_left: usize,
}

/// When every simulated run starts.
const START: Time = Time::from_secs(1);

/// The longest datagram a fleet writes.
const DATAGRAM: usize = 4096;

impl World {
    pub fn new(config: WorldConfig) -> Self {
        let schedule = Arc::new(Schedule::new(&config.load, config.seed));
        let agents = config.identities.len();
        let (identities, policies) = (Arc::new(config.identities), Arc::<[TrunkPolicy]>::from(config.policies));
        let trunks = identities.iter().map(|identity| identity.trunk.index() + 1).max().unwrap_or(0);
        let patience = policies.iter().map(|policy| policy.timers.f()).max().unwrap_or_default();
        let fleets = (0..config.workers).map(|worker| {
            let tally = Tally::new(TallyConfig {
                trunks,
                agents,
                worker,
                workers: config.workers,
                interval: config.interval,
                warmup: Duration::ZERO,
                start: START,
                late: Duration::from_millis(5),
                stall: Duration::from_millis(10),
            });
            let flows = policies.iter().take(trunks).enumerate().map(|(trunk, policy)| Flow {
                trunk: TrunkId(trunk as u16),
                template: RegisterTemplate::new(&TemplateParts {
                    domain: &policy.domain,
                    transport: "UDP",
                    sent_by: &address(worker as usize, FlowId(trunk as u32)).to_string(),
                    route: None,
                    user_agent: "regstorm",
                    headers: &[],
                }),
            });
            let stripe = Stripe { worker, workers: config.workers };
            let trunk_of = |local| identities.get(AgentId(stripe.global(local))).trunk;
            let fleet = FleetConfig {
                stripe,
                identities: identities.clone(),
                policies: policies.clone(),
                flows: flows.collect(),
                agent_flows: (0..stripe.count(agents as u32)).map(|local| FlowId(trunk_of(local).0.into())).collect(),
                schedule: schedule.clone(),
                start: START,
                seed: config.seed,
                run: RunTag(config.seed.0),
                max_in_flight: config.load.max_in_flight,
                max_message_rate: config.load.max_message_rate,
            };
            Fleet::new(fleet, tally)
        });
        World {
            now: START,
            fleets: fleets.collect(),
            registrar: Registrar::new(config.registrar, config.seed, START),
            up: Link::new(config.link, config.seed, 0),
            down: Link::new(config.link, config.seed, 1),
            spare: Vec::new(),
            intervals: Vec::new(),
            load_ends: START + schedule.lasts(),
            config: Ends { drain: config.drain, unregister_rate: config.unregister_rate, patience, agents },
        }
    }

    /// Runs all stages: the load, the drain until nothing is open, the un-REGISTERs.
    pub fn run(mut self) -> Outcome {
        self.run_until(self.load_ends, false);
        let at = self.now;
        for position in 0..self.fleets.len() {
            self.turn(position);
        }
        self.cut(|fleet| fleet.begin_drain(at, at, &mut Nothing));
        self.run_until(self.now + self.config.drain, true);
        if let Some(per_second) = self.config.unregister_rate {
            let at = self.now;
            self.cut(|fleet| fleet.begin_unregister(at, per_second));
            let pacing = Duration::from_secs_f64(self.config.agents as f64 / per_second);
            self.run_until(self.now + pacing + self.config.patience, true);
        }
        let at = self.now;
        self.cut(|fleet| fleet.finish(at));
        Outcome {
            contacts_left: self.registrar.contacts(),
            registrar: self.registrar.counts().clone(),
            intervals: self.intervals,
        }
    }

    /// What the registrar holds now.
    pub fn contacts(&self) -> usize {
        self.registrar.contacts()
    }

    /// Lets time pass up to `end`, or until nothing is open.
    fn run_until(&mut self, end: Time, until_idle: bool) {
        loop {
            if until_idle && !self.fleets.iter().any(Fleet::is_busy) {
                return;
            }
            let next = self.next_event().min(end);
            // Virtual time never stands still on a wake-up that had nothing to do.
            self.now = next.max(self.now);
            self.deliver();
            for position in 0..self.fleets.len() {
                self.turn(position);
            }
            self.close_due();
            if self.now >= end {
                return;
            }
        }
    }

    fn next_event(&self) -> Time {
        let fleets = self.fleets.iter().map(Fleet::next_wake).min();
        let others = [self.up.next_due(), self.down.next_due(), self.registrar.next_wake()];
        others.into_iter().chain([fleets]).flatten().min().unwrap_or(Time::NEVER)
    }

    fn turn(&mut self, position: usize) {
        let now = self.now;
        let mut wire = Wire { now, fleet: position, link: &mut self.up, spare: &mut self.spare };
        while self.fleets[position].turn(now, &mut wire) {}
    }

    fn deliver(&mut self) {
        let now = self.now;
        while let Some(packet) = self.up.poll(now) {
            self.registrar.receive(now, address(packet.fleet, packet.flow), &packet.bytes);
            self.spare.push(packet.bytes);
        }
        let mut buffer = [0; DATAGRAM];
        while let Some((length, to)) = self.registrar.poll_transmit(now, &mut buffer) {
            let (fleet, flow) = place(to.address);
            let mut bytes = self.spare.pop().unwrap_or_default();
            bytes.clear();
            bytes.extend_from_slice(&buffer[..length]);
            self.down.send(now, Packet { fleet, flow, bytes });
        }
        while let Some(Packet { fleet, flow, bytes }) = self.down.poll(now) {
            let mut wire = Wire { now, fleet, link: &mut self.up, spare: &mut self.spare };
            self.fleets[fleet].receive(now, now, flow, REGISTRAR, &bytes, &mut wire);
            self.spare.push(bytes);
        }
    }

    fn close_due(&mut self) {
        let now = self.now;
        loop {
            let parts: Vec<Interval> = self.fleets.iter_mut().filter_map(|fleet| fleet.close_due(now)).collect();
            if parts.is_empty() {
                return;
            }
            self.keep(parts);
        }
    }

    fn cut(&mut self, mut each: impl FnMut(&mut Fleet) -> Interval) {
        let parts = self.fleets.iter_mut().map(&mut each).collect();
        self.keep(parts);
    }

    fn keep(&mut self, parts: Vec<Interval>) {
        if let Some(merged) = parts.into_iter().reduce(|mut merged, part| {
            merged.merge(&part);
            merged
        }) {
            self.intervals.push(merged);
        }
    }
}

impl Outcome {
    /// A counter summed over intervals and trunks.
    pub fn sum(&self, of: impl Fn(&crate::measure::TrunkInterval) -> u64) -> u64 {
        self.intervals.iter().flat_map(|interval| &interval.trunks).map(of).sum()
    }

    /// The intervals of the load.
    pub fn load(&self) -> impl Iterator<Item = &Interval> {
        self.intervals.iter().filter(|interval| interval.stage == Stage::Load)
    }
}

/// The outbox of a fleet that has sent all it had to.
struct Nothing;

impl Outbox for Nothing {
    fn put(&mut self, _flow: FlowId, _tag: u64, _write: &mut dyn FnMut(&mut [u8]) -> usize) {}
}

/// The way from a fleet to the registrar.
struct Wire<'a> {
    now: Time,
    fleet: usize,
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
            self.link.send(self.now, Packet { fleet: self.fleet, flow, bytes });
        }
    }
}

const REGISTRAR: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 5060);

/// The made-up address of a flow: the fleet in the host, the flow in the port.
fn address(fleet: usize, flow: FlowId) -> SocketAddr {
    SocketAddr::from(([127, 1, (fleet >> 8) as u8, fleet as u8], 10_000 + flow.0 as u16))
}

/// The fleet and flow of such an address.
fn place(address: SocketAddr) -> (usize, FlowId) {
    let fleet = match address {
        SocketAddr::V4(v4) => {
            let [_, _, high, low] = v4.ip().octets();
            usize::from(high) << 8 | usize::from(low)
        }
        SocketAddr::V6(_) => 0,
    };
    (fleet, FlowId(address.port().saturating_sub(10_000).into()))
}
