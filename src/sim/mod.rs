//! Agents ↔ link ↔ registrar under virtual time: hours of soak in seconds, no sockets, no clock, no sleep.
//!
//! The agents, the schedule, the books and the registrar are those of a real run, line by line: a [`World`] drives the
//! same [`Fleet`]s a sender thread drives. What it replaces is the network and the passing of time. `trial` does the same for
//! a crew that searches limits.

pub mod trial;

use crate::agent::{Identity, IdentityBook, TrunkPolicy};
use crate::fleet::{Fleet, FleetConfig, Flow, Outbox, agent_of};
use crate::link::{Link, LinkConfig};
use crate::load::{LoadConfig, Schedule, Stripe};
use crate::measure::{Interval, Tally, TallyConfig, Traffic};
use crate::registrar::{self, Registrar};
use crate::seed::Seed;
use crate::sip::emit::{RegisterTemplate, TemplateParts};
use crate::vocab::{AgentId, FailedAttempt, FlowId, RunTag, Stage, Time, TrunkId};
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

/// What a simulated run is made of.
#[derive(Clone, Debug)]
pub struct WorldConfig {
    pub seed: Seed,
    pub identities: Arc<IdentityBook>,
    /// By [`IdentityBook::policy`]: the trunks' own first, then those of agents that deviate.
    pub policies: Vec<TrunkPolicy>,
    pub load: LoadConfig,
    /// As many fleets share the agents as a real run has sender threads.
    pub workers: u32,
    /// By trunk: the addresses its agents have in turn; empty or missing: one for all.
    pub sources: Vec<Vec<IpAddr>>,
    pub interval: Duration,
    pub warmup: Duration,
    /// Sets the run apart in Call-IDs and branches.
    pub run: RunTag,
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
    failures: Vec<FailedAttempt>,
    returns: Vec<u64>,
    addresses: Addresses,
    road: Road,
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
    /// Failed attempts of which packets were kept, interval by interval.
    pub failures: Vec<FailedAttempt>,
    pub registrar: registrar::Counts,
    /// Contacts the registrar held when the run was over.
    pub contacts_left: usize,
    /// Nanoseconds since the start: when the load ended, and everything.
    pub load_ended_ns: u64,
    pub ended_ns: u64,
    /// Agents registered when the drain was over.
    pub registered_at_load_end: u64,
    /// Whether the load was ended before its time.
    pub stopped: bool,
    /// When agents that an outage had hit registered again, nanoseconds since the start, in order.
    pub returns: Vec<u64>,
    /// Every message between agents and registrar, second by second.
    pub traffic: Traffic,
    /// The source addresses that `traffic` knows by position.
    pub sources: Vec<IpAddr>,
    /// By address of record, as `traffic` knows it by position: the first agent that has it, and how many have.
    pub aors: Vec<(AgentId, u32)>,
}

/// When every simulated run starts.
pub const START: Time = Time::from_secs(1);

/// The longest datagram a fleet writes.
const DATAGRAM: usize = 4096;

impl World {
    pub fn new(config: WorldConfig) -> Self {
        let schedule = Arc::new(Schedule::new(&config.load, config.seed));
        let agents = config.identities.len();
        let (identities, policies) = (config.identities, Arc::<[TrunkPolicy]>::from(config.policies));
        let trunks = identities.iter().map(|identity| identity.trunk.index() + 1).max().unwrap_or(0);
        let patience = policies.iter().map(|policy| policy.timers.f()).max().unwrap_or_default();
        let mut addresses = Addresses::default();
        let fleets: Vec<Fleet> = (0..config.workers)
            .map(|worker| {
                let tally = Tally::new(TallyConfig {
                    trunks,
                    agents,
                    worker,
                    workers: config.workers,
                    interval: config.interval,
                    warmup: config.warmup,
                    start: START,
                    late: Duration::from_millis(5),
                    stall: Duration::from_millis(10),
                });
                let flows = addresses.fleet(worker as usize, &policies[..trunks], &config.sources);
                let stripe = Stripe { worker, workers: config.workers };
                let flow_of = |local| {
                    let identity = identities.get(AgentId(stripe.global(local)));
                    let own = |flow: &&Flow| flow.trunk == identity.trunk;
                    let source = identity.number as usize % flows.iter().filter(own).count();
                    let first = flows.iter().position(|flow| flow.trunk == identity.trunk).unwrap_or(0);
                    FlowId((first + source) as u32)
                };
                let agent_flows = (0..stripe.count(agents as u32)).map(flow_of).collect();
                let fleet = FleetConfig {
                    stripe,
                    identities: identities.clone(),
                    policies: policies.clone(),
                    flows,
                    agent_flows,
                    schedule: schedule.clone(),
                    start: START,
                    seed: config.seed,
                    run: config.run,
                    max_in_flight: config.load.max_in_flight,
                    max_message_rate: config.load.max_message_rate,
                    capture_secrets: false,
                };
                Fleet::new(fleet, tally)
            })
            .collect();
        World {
            now: START,
            fleets,
            road: Road::new(&addresses, &identities, &policies),
            addresses,
            registrar: Registrar::new(config.registrar, config.seed, START),
            up: Link::new(config.link, config.seed, 0),
            down: Link::new(config.link, config.seed, 1),
            spare: Vec::new(),
            intervals: Vec::new(),
            failures: Vec::new(),
            returns: Vec::new(),
            load_ends: START + schedule.lasts(),
            config: Ends { drain: config.drain, unregister_rate: config.unregister_rate, patience, agents },
        }
    }

    /// Runs all stages: the load, the drain until nothing is open, the un-REGISTERs.
    pub fn run(self) -> Outcome {
        let mut intervals = Vec::new();
        let outcome = self.run_into(&mut |interval| {
            intervals.push(interval);
            ControlFlow::Continue(())
        });
        Outcome { intervals, ..outcome }
    }

    /// The same, with every interval handed over as it ends: a day of many agents need not fit into memory. A break at
    /// an interval of the load ends the load there; the stages behind it take their course.
    pub fn run_into(mut self, keep: &mut dyn FnMut(Interval) -> ControlFlow<()>) -> Outcome {
        let stopped = self.run_load(keep).is_break();
        let load_ended = self.now;
        for position in 0..self.fleets.len() {
            self.turn(position);
        }
        self.cut(|fleet| fleet.begin_drain(load_ended, load_ended, &mut Nothing));
        self.run_until_idle(self.now + self.config.drain, keep);
        let registered_at_load_end = self.fleets.iter_mut().map(|fleet| fleet.tally().registered()).sum();
        if let Some(per_second) = self.config.unregister_rate {
            let at = self.now;
            self.cut(|fleet| fleet.begin_unregister(at, per_second));
            let pacing = Duration::from_secs_f64(self.config.agents as f64 / per_second);
            self.run_until_idle(self.now + pacing + self.config.patience, keep);
        }
        let at = self.now;
        self.cut(|fleet| fleet.finish(at));
        // Nothing is left that a break could end.
        let _ = self.hand_over(keep);
        Outcome {
            contacts_left: self.registrar.contacts(),
            registrar: self.registrar.counts().clone(),
            intervals: Vec::new(),
            failures: self.failures,
            returns: self.returns,
            load_ended_ns: load_ended.nanos_since(START),
            ended_ns: at.nanos_since(START),
            registered_at_load_end,
            stopped,
            traffic: self.road.traffic,
            sources: self.road.sources,
            aors: self.road.aors,
        }
    }

    /// What the registrar holds now.
    pub fn contacts(&self) -> usize {
        self.registrar.contacts()
    }

    /// Lets time pass up to the end of the load; broken off when there was load left to end.
    fn run_load(&mut self, keep: &mut dyn FnMut(Interval) -> ControlFlow<()>) -> ControlFlow<()> {
        while self.now < self.load_ends {
            self.step(self.load_ends);
            if self.hand_over(keep).is_break() && self.now < self.load_ends {
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    }

    /// Lets time pass up to `end`, or until nothing is open.
    fn run_until_idle(&mut self, end: Time, keep: &mut dyn FnMut(Interval) -> ControlFlow<()>) {
        while self.fleets.iter().any(Fleet::is_busy) {
            self.step(end);
            // The load has ended; there is nothing more to break off.
            let _ = self.hand_over(keep);
            if self.now >= end {
                return;
            }
        }
    }

    /// Everything that happens at the next time at which something does, or at `end`.
    fn step(&mut self, end: Time) {
        let next = self.next_event().min(end);
        // Virtual time never stands still on a wake-up that had nothing to do.
        self.now = next.max(self.now);
        self.deliver();
        for position in 0..self.fleets.len() {
            self.turn(position);
        }
        self.close_due();
    }

    /// Hands over the intervals that have ended; broken when any was to be the last.
    fn hand_over(&mut self, keep: &mut dyn FnMut(Interval) -> ControlFlow<()>) -> ControlFlow<()> {
        let mut wish = ControlFlow::Continue(());
        for interval in self.intervals.drain(..) {
            // Those behind the break have happened too, and are handed over.
            if keep(interval).is_break() {
                wish = ControlFlow::Break(());
            }
        }
        wish
    }

    fn next_event(&self) -> Time {
        let fleets = self.fleets.iter().map(Fleet::next_wake).min();
        let others = [self.up.next_due(), self.down.next_due(), self.registrar.next_wake()];
        others.into_iter().chain([fleets]).flatten().min().unwrap_or(Time::NEVER)
    }

    fn turn(&mut self, position: usize) {
        let now = self.now;
        let (link, spare, road) = (&mut self.up, &mut self.spare, &mut self.road);
        let mut wire = Wire { now, fleet: position, link, spare, road };
        while self.fleets[position].turn(now, &mut wire) {}
    }

    fn deliver(&mut self) {
        let now = self.now;
        while let Some(packet) = self.up.poll(now) {
            let from = self.addresses.of(packet.fleet, packet.flow);
            self.registrar.receive(now, from, &packet.bytes);
            self.spare.push(packet.bytes);
        }
        let mut buffer = [0; DATAGRAM];
        while let Some((length, to)) = self.registrar.poll_transmit(now, &mut buffer) {
            let Some((fleet, flow)) = self.addresses.place(to.address) else { continue };
            let mut bytes = self.spare.pop().unwrap_or_default();
            bytes.clear();
            bytes.extend_from_slice(&buffer[..length]);
            self.down.send(now, Packet { fleet, flow, bytes });
        }
        while let Some(Packet { fleet, flow, bytes }) = self.down.poll(now) {
            self.road.traffic.received(now, bytes.len());
            let (link, spare, road) = (&mut self.up, &mut self.spare, &mut self.road);
            let mut wire = Wire { now, fleet, link, spare, road };
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
            merged.merge(part);
            merged
        }) {
            self.intervals.push(merged);
        }
        let known = self.returns.len();
        for fleet in &mut self.fleets {
            self.failures.append(&mut fleet.take_failures());
            self.returns.extend(fleet.take_returns().into_iter().map(|at| at.nanos_since(START)));
        }
        // Fleets are asked one after another; what came before is in order, and earlier.
        self.returns[known..].sort_unstable();
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
    road: &'a mut Road,
}

impl Outbox for Wire<'_> {
    fn put(&mut self, flow: FlowId, tag: u64, write: &mut dyn FnMut(&mut [u8]) -> usize) {
        let mut bytes = self.spare.pop().unwrap_or_default();
        bytes.resize(DATAGRAM, 0);
        let length = write(&mut bytes);
        bytes.truncate(length);
        if length > 0 {
            self.road.sent(self.now, self.fleet, flow, tag, length);
            self.link.send(self.now, Packet { fleet: self.fleet, flow, bytes });
        }
    }
}

/// What is counted of every message on its way.
struct Road {
    traffic: Traffic,
    sources: Vec<IpAddr>,
    /// By fleet and flow: position in `sources`.
    source_of: Vec<Vec<usize>>,
    aors: Vec<(AgentId, u32)>,
    /// By agent: position in `aors`.
    aor_of: Vec<u32>,
}

impl Road {
    fn new(addresses: &Addresses, identities: &IdentityBook, policies: &[TrunkPolicy]) -> Self {
        let mut sources = Vec::new();
        let mut position = |address: &SocketAddr| {
            let ip = address.ip();
            sources.iter().position(|known| *known == ip).unwrap_or_else(|| {
                sources.push(ip);
                sources.len() - 1
            })
        };
        let source_of: Vec<Vec<usize>> =
            addresses.flows.iter().map(|flows| flows.iter().map(&mut position).collect()).collect();
        let mut aors: Vec<(AgentId, u32)> = Vec::new();
        let mut known = HashMap::new();
        let mut aor = |(number, identity): (usize, Identity<'_>)| {
            let domain = policies[identity.trunk.index()].domain.as_str();
            let place = *known.entry((domain, identity.user.to_owned())).or_insert_with(|| {
                aors.push((AgentId(number as u32), 0));
                aors.len() - 1
            });
            aors[place].1 += 1;
            place as u32
        };
        let aor_of: Vec<u32> = identities.iter().enumerate().map(&mut aor).collect();
        Road { traffic: Traffic::new(START, sources.len(), aors.len()), sources, source_of, aors, aor_of }
    }

    fn sent(&mut self, now: Time, fleet: usize, flow: FlowId, tag: u64, bytes: usize) {
        let aor = agent_of(tag).and_then(|agent| self.aor_of.get(agent.0 as usize));
        let aor = aor.map(|&aor| aor as usize);
        self.traffic.sent(now, self.source_of[fleet][flow.index()], aor, bytes);
    }
}

const REGISTRAR: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 5060);

/// Where the simulated sockets are.
#[derive(Debug, Default)]
struct Addresses {
    /// By fleet and flow.
    flows: Vec<Vec<SocketAddr>>,
    places: HashMap<SocketAddr, (usize, FlowId)>,
}

impl Addresses {
    /// The flows of one fleet: one per trunk and source address, trunk by trunk.
    fn fleet(&mut self, fleet: usize, policies: &[TrunkPolicy], sources: &[Vec<IpAddr>]) -> Vec<Flow> {
        self.flows.push(Vec::new());
        let mut flows = Vec::new();
        for (trunk, policy) in policies.iter().enumerate() {
            let own = sources.get(trunk).filter(|list| !list.is_empty()).map_or(&[ANYWHERE][..], Vec::as_slice);
            for (source, ip) in own.iter().enumerate() {
                let address = self.add(fleet, *ip);
                flows.push(Flow {
                    trunk: TrunkId(trunk as u16),
                    source: u8::try_from(source).unwrap_or(u8::MAX),
                    local: address,
                    remote: REGISTRAR,
                    template: RegisterTemplate::new(&TemplateParts {
                        domain: &policy.domain,
                        transport: "UDP",
                        sent_by: &address.to_string(),
                        route: None,
                        user_agent: "regstorm",
                        headers: &[],
                    }),
                });
            }
        }
        flows
    }

    /// An address of its own for the fleet's next flow: a port no other flow of that address has.
    fn add(&mut self, fleet: usize, ip: IpAddr) -> SocketAddr {
        let flow = FlowId(self.flows[fleet].len() as u32);
        let ports = (FIRST_PORT..=u16::MAX).map(|port| SocketAddr::new(ip, port));
        let free = ports.skip(self.places.len() % usize::from(u16::MAX - FIRST_PORT));
        let address = free.into_iter().find(|address| !self.places.contains_key(address));
        let address = address.unwrap_or(SocketAddr::new(ip, FIRST_PORT));
        self.flows[fleet].push(address);
        self.places.insert(address, (fleet, flow));
        address
    }

    fn of(&self, fleet: usize, flow: FlowId) -> SocketAddr {
        self.flows[fleet][flow.index()]
    }

    fn place(&self, address: SocketAddr) -> Option<(usize, FlowId)> {
        self.places.get(&address).copied()
    }
}

/// The local address of agents whose trunk names none.
const ANYWHERE: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 1));

const FIRST_PORT: u16 = 10_000;
