//! Agents ↔ link ↔ registrar under virtual time: hours of soak in seconds, no sockets, no clock, no
//! sleep.
//!
//! The agents, the schedule, the books and the registrar are those of a real run, line by line: a
//! [`World`] drives the same [`Fleet`]s a sender thread drives. What it replaces is the network and
//! the passing of time. `trial` does the same for a crew that searches limits.

mod buffers;
mod meter;
mod opposite;
mod road;
pub mod trial;
mod wires;

pub use opposite::Opposite;
pub use road::START;

use crate::agent::{IdentityBook, TrunkPolicy};
use crate::fleet::{Fleet, FleetConfig, Flow, Flows, Nowhere, Sharing, StreamRules};
use crate::link::LinkConfig;
use crate::load::{LoadConfig, Schedule, Stripe, Timeline};
use crate::measure::{Interval, Tally, TallyConfig, Traffic};
use crate::registrar::{self, Registrar};
use crate::seed::Seed;
use crate::sip::emit::{RegisterTemplate, TemplateParts};
use crate::sip::locate::Destination;
use crate::vocab::{AgentId, FailedAttempt, RunTag, SocketUse, Speed, Stage, Time, Transport, TrunkId};
use meter::RoadMeter;
use road::{Addresses, REGISTRAR, Road};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;
use wires::{FleetFlow, Handshakes};

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
    /// By trunk: where its name leads; none or missing: it has an address.
    pub places: Vec<Arc<[Destination]>>,
    /// By trunk; missing: the default.
    pub wordings: Vec<Wording>,
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

/// What a trunk's requests say besides what its policy and its agents do: it costs bytes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Wording {
    /// `Route`, where there is an outbound proxy.
    pub route: Option<String>,
    pub user_agent: String,
    /// Further headers, in order.
    pub headers: Vec<(String, String)>,
    /// Requests are padded to few lengths, see [`RegisterTemplate::padded`].
    pub padded: bool,
    /// See [`RegisterTemplate::of_shared_users`].
    pub shares_users: bool,
    /// `+sip.instance` and `reg-id`.
    pub outbound: bool,
    /// Contacts of each agent.
    pub contacts: u8,
    /// Whether it takes its Contact from answers.
    pub learns: bool,
    pub transport: Transport,
    /// How agents share connections, where messages are no datagrams.
    pub connections: SocketUse,
    pub connect_timeout: Duration,
    /// The longest time between two keep-alives of a flow.
    pub keepalive: Option<Duration>,
    /// See [`StreamRules::names_host`].
    pub names_host: bool,
    /// Whether the certificate of the registrar is looked at, where there is one.
    pub checks_certificate: bool,
}

impl Wording {
    /// How its agents share flows; one socket for all of them is what datagrams have here.
    fn sharing(&self) -> SocketUse {
        if self.transport.is_stream() { self.connections } else { SocketUse::Shared }
    }

    /// What makes its flows streams.
    fn rules(&self) -> Option<StreamRules> {
        let backs_off = self.connections == SocketUse::Shared;
        let (connect_timeout, keepalive, names_host) = (self.connect_timeout, self.keepalive, self.names_host);
        self.transport.is_stream().then_some(StreamRules { connect_timeout, backs_off, keepalive, names_host })
    }

    /// The address its requests are sent from comes with the flow.
    fn template(&self, domain: &str) -> RegisterTemplate {
        let template = RegisterTemplate::new(&TemplateParts {
            domain,
            transport: self.transport,
            sent_by: "",
            route: self.route.as_deref(),
            user_agent: &self.user_agent,
            headers: &self.headers,
        });
        let template = if self.shares_users { template.of_shared_users() } else { template };
        let template = if self.outbound { template.naming_instances() } else { template };
        let template = if self.contacts > 1 { template.with_contacts(self.contacts) } else { template };
        let template = if self.learns { template.learning() } else { template };
        if self.padded { template.padded() } else { template }
    }
}

impl Default for Wording {
    fn default() -> Self {
        Wording {
            route: None,
            user_agent: "regstorm".to_owned(),
            headers: Vec::new(),
            padded: false,
            shares_users: false,
            outbound: false,
            contacts: 1,
            learns: false,
            transport: Transport::Udp,
            connections: SocketUse::PerAgent,
            connect_timeout: Duration::from_secs(10),
            keepalive: None,
            names_host: false,
            checks_certificate: true,
        }
    }
}

/// A simulated run in progress.
pub struct World {
    now: Time,
    fleets: Vec<Fleet>,
    road: Road<RoadMeter>,
    intervals: Vec<Interval>,
    failures: Vec<FailedAttempt>,
    returns: Vec<u64>,
    load_ends: Time,
    load_lasts: Duration,
    timeline: Timeline,
    /// What somebody will do to the load, in order.
    interventions: VecDeque<(Time, Speed)>,
    /// When the registrar's end of all connections breaks, and when it accepts again; in order.
    restarts: VecDeque<(Time, bool)>,
    /// By fleet: its own intervals, where they are wanted.
    parts: Option<Vec<Vec<Interval>>>,
    config: Ends,
}

#[derive(Clone, Copy)]
struct Ends {
    drain: Duration,
    unregister_rate: Option<f64>,
    patience: Duration,
    agents: usize,
}

/// How a simulated run went.
pub struct SimOutcome {
    /// In order, all fleets merged.
    pub intervals: Vec<Interval>,
    /// By fleet: its own ones. Only of a world [`World::in_parts`].
    pub parts: Vec<Vec<Interval>>,
    /// Failed attempts of which packets were kept, interval by interval.
    pub failures: Vec<FailedAttempt>,
    pub registrar: registrar::Counts,
    /// Contacts the registrar held when the run was over.
    pub contacts_left: usize,
    /// Nanoseconds since the start: when the load ended, and everything.
    pub load_ended_ns: u64,
    pub ended_ns: u64,
    /// Agents registered when the drain was over.
    pub registered_after_drain: u64,
    /// Agents still registered when everything was over.
    pub left_bound: u64,
    /// Whether the load was ended before its time.
    pub stopped: bool,
    /// When agents that an outage had hit registered again, nanoseconds since the start, in order.
    pub returns: Vec<u64>,
    /// Every message between agents and registrar, second by second.
    pub traffic: Traffic,
    /// The source addresses that `traffic` knows by position.
    pub sources: Vec<IpAddr>,
    /// By address of record, as `traffic` knows it by position: the first agent that has it, and
    /// how many have.
    pub aors: Vec<(AgentId, u32)>,
}

impl World {
    /// A world whose agents register with the embedded registrar.
    pub fn new(config: WorldConfig) -> Self {
        let registrar = Registrar::new(config.registrar.clone(), config.seed, START);
        World::facing(config, Box::new(registrar))
    }

    /// A world whose agents register with `registrar`; the one of the configuration is left out.
    pub fn facing(config: WorldConfig, registrar: Box<dyn Opposite>) -> Self {
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
                    // It begins on a whole minute.
                    passed: Duration::ZERO,
                    warmup: config.warmup,
                    start: START,
                    late: Duration::from_millis(5),
                    stall: Duration::from_millis(10),
                });
                let stripe = Stripe { worker, workers: config.workers };
                let ways = Settlement {
                    policies: &policies[..trunks],
                    sources: &config.sources,
                    places: &config.places,
                    wordings: &config.wordings,
                    seed: config.seed,
                };
                let flows = ways.flows(&mut addresses, stripe, &identities);
                let flows = flows.opened_at_most(config.load.max_connect_rate);
                let fleet = FleetConfig {
                    stripe,
                    identities: identities.clone(),
                    policies: policies.clone(),
                    flows,
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
        let meter = RoadMeter::new(&addresses, &identities, &policies);
        World {
            now: START,
            fleets,
            road: Road::new(addresses, config.link, registrar, config.seed, meter),
            intervals: Vec::new(),
            failures: Vec::new(),
            returns: Vec::new(),
            load_ends: START + schedule.lasts(),
            load_lasts: schedule.lasts(),
            timeline: schedule.timeline(),
            interventions: VecDeque::new(),
            restarts: VecDeque::new(),
            parts: None,
            config: Ends { drain: config.drain, unregister_rate: config.unregister_rate, patience, agents },
        }
    }

    /// Lets the load pass at other speeds, each from its time after the start on, in order. One
    /// that stands still at last never ends.
    pub fn with_interventions(mut self, interventions: &[(Duration, Speed)]) -> Self {
        self.interventions = interventions.iter().map(|&(after, speed)| (START + after, speed)).collect();
        self
    }

    /// Breaks every connection, each time so long after the start, and refuses new ones for a
    /// while; in order. What the registrar knows stays.
    pub fn with_restarts(mut self, restarts: &[(Duration, Duration)]) -> Self {
        let both = |&(after, lasts): &(Duration, Duration)| [(START + after, true), (START + after + lasts, false)];
        self.restarts = restarts.iter().flat_map(both).collect();
        self
    }

    /// Keeps each fleet's own intervals, as machines that share a run do.
    pub fn in_parts(mut self) -> Self {
        self.parts = Some(vec![Vec::new(); self.fleets.len()]);
        self
    }

    /// Runs all stages: the load, the drain until nothing is open, the un-REGISTERs.
    pub fn run(self) -> SimOutcome {
        let mut intervals = Vec::new();
        let outcome = self.run_into(&mut |interval| {
            intervals.push(interval);
            ControlFlow::Continue(())
        });
        SimOutcome { intervals, ..outcome }
    }

    /// The same, with every interval handed over as it ends: a day of many agents need not fit into
    /// memory. A break at an interval of the load ends the load there; the stages behind it take
    /// their course.
    pub fn run_into(mut self, keep: &mut dyn FnMut(Interval) -> ControlFlow<()>) -> SimOutcome {
        let stopped = self.run_load(keep).is_break();
        let load_ended = self.now;
        self.cut(|fleet| fleet.begin_drain(load_ended, load_ended, &mut Nowhere));
        self.run_until_idle(self.now + self.config.drain, keep);
        let registered_after_drain = self.fleets.iter_mut().map(|fleet| fleet.tally().registered()).sum();
        if let Some(per_second) = self.config.unregister_rate {
            let at = self.now;
            self.cut(|fleet| fleet.begin_unregister(at, per_second));
            let pacing = Duration::from_secs_f64(self.config.agents as f64 / per_second);
            self.run_until_idle(self.now + pacing + self.config.patience, keep);
        }
        let at = self.now;
        self.cut(|fleet| fleet.finish(at));
        let left_bound = self.fleets.iter_mut().map(|fleet| fleet.tally().registered()).sum();
        // Nothing is left that a break could end.
        let _ = self.hand_over(keep);
        let Road { registrar, toll: RoadMeter { traffic, sources, aors, .. }, .. } = self.road;
        SimOutcome {
            contacts_left: registrar.contacts(),
            registrar: registrar.counts(),
            intervals: Vec::new(),
            parts: self.parts.unwrap_or_default(),
            failures: self.failures,
            returns: self.returns,
            load_ended_ns: load_ended.nanos_since(START),
            ended_ns: at.nanos_since(START),
            registered_after_drain,
            left_bound,
            stopped,
            traffic,
            sources,
            aors,
        }
    }

    /// What the registrar holds now.
    pub fn contacts(&self) -> usize {
        self.road.registrar.contacts()
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

    /// Everything that happens at the next time at which something does, before `end`; there the
    /// stage is over, and what is due then belongs to the next one.
    ///
    /// An interval ends before anything happens at its end, and is a step of its own: whoever it is
    /// handed to may have seen enough.
    fn step(&mut self, end: Time) {
        let next = self.next_event();
        if next >= end {
            self.now = end;
            // The interval that ends with the stage is cut by whoever ends the stage, or an empty
            // one would follow.
            self.close_due(end.saturating_sub(Duration::from_nanos(1)));
            return;
        }
        // Virtual time never stands still on a wake-up that had nothing to do.
        self.now = next.max(self.now);
        if self.close_due(self.now) {
            return;
        }
        self.intervene();
        self.deliver();
        for position in 0..self.fleets.len() {
            self.turn(position);
        }
    }

    fn intervene(&mut self) {
        while let Some(&(at, breaks)) = self.restarts.front().filter(|(at, _)| *at <= self.now) {
            self.restarts.pop_front();
            if breaks { self.road.wires.break_all(at) } else { self.road.wires.accept() }
        }
        while let Some(&(at, speed)) = self.interventions.front().filter(|(at, _)| *at <= self.now) {
            self.interventions.pop_front();
            self.fleets.iter_mut().for_each(|fleet| fleet.set_speed(at, speed));
            self.timeline.bend(at.since(START), speed);
            self.load_ends = self.timeline.end(self.load_lasts).map_or(Time::NEVER, |end| START + end);
        }
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
        let intervention = self.interventions.front().map(|(at, _)| *at);
        let restart = self.restarts.front().map(|(at, _)| *at);
        [self.road.next_due(), fleets, intervention, restart].into_iter().flatten().min().unwrap_or(Time::NEVER)
    }

    fn turn(&mut self, position: usize) {
        let mut lane = self.road.lane(self.now, position);
        while self.fleets[position].turn(self.now, &mut lane) {}
    }

    fn deliver(&mut self) {
        let World { now, fleets, road, .. } = self;
        road.deliver(*now, |FleetFlow { fleet, flow }, arrival, lane| {
            arrival.to(fleets[fleet].driver(), *now, flow, lane);
        });
    }

    /// Closes the intervals that end by `now`; true when one did.
    fn close_due(&mut self, now: Time) -> bool {
        let mut closed = false;
        loop {
            let parts: Vec<Interval> = self.fleets.iter_mut().filter_map(|fleet| fleet.close_due(now)).collect();
            if parts.is_empty() {
                return closed;
            }
            closed = true;
            self.keep(parts);
        }
    }

    fn cut(&mut self, mut each: impl FnMut(&mut Fleet) -> Interval) {
        let parts = self.fleets.iter_mut().map(&mut each).collect();
        self.keep(parts);
    }

    fn keep(&mut self, parts: Vec<Interval>) {
        for (own, part) in self.parts.iter_mut().flatten().zip(&parts) {
            own.push(part.clone());
        }
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

impl SimOutcome {
    /// A counter summed over intervals and trunks.
    pub fn sum(&self, of: impl Fn(&crate::measure::TrunkInterval) -> u64) -> u64 {
        self.intervals.iter().flat_map(|interval| &interval.trunks).map(of).sum()
    }

    /// The intervals of the load.
    pub fn load(&self) -> impl Iterator<Item = &Interval> {
        self.intervals.iter().filter(|interval| interval.stage == Stage::Load)
    }
}

/// What the flows of a simulated run are made of.
struct Settlement<'a> {
    /// By trunk.
    policies: &'a [TrunkPolicy],
    sources: &'a [Vec<IpAddr>],
    places: &'a [Arc<[Destination]>],
    wordings: &'a [Wording],
    seed: Seed,
}

impl Settlement<'_> {
    /// The local addresses of a trunk's agents, at least one.
    fn sources(&self, trunk: usize) -> &[IpAddr] {
        self.sources.get(trunk).filter(|list| !list.is_empty()).map_or(&[ANYWHERE][..], Vec::as_slice)
    }

    /// Where a trunk's requests go, at least one.
    fn remotes(&self, trunk: usize) -> Vec<SocketAddr> {
        let places = self.places.get(trunk).filter(|places| !places.is_empty());
        places.map_or(vec![REGISTRAR], |places| places.iter().map(|place| place.address).collect())
    }

    /// The flows of one fleet: one per trunk, source address and place it sends to. Addresses are
    /// given out for all of them, trunk by trunk, so that who comes first decides nothing.
    fn flows(&self, addresses: &mut Addresses, stripe: Stripe, identities: &IdentityBook) -> Flows {
        let remotes: Vec<Vec<SocketAddr>> = (0..self.policies.len()).map(|trunk| self.remotes(trunk)).collect();
        let mut to_each = |host: IpAddr, trunk: usize| -> Vec<SocketAddr> {
            remotes[trunk].iter().map(|_| addresses.reserve(host)).collect()
        };
        let own = |trunk| self.sources(trunk).iter().map(|host| to_each(*host, trunk)).collect();
        let local: Vec<Vec<Vec<SocketAddr>>> = (0..self.policies.len()).map(own).collect();
        let plain = Wording::default();
        let wording = |trunk: usize| self.wordings.get(trunk).unwrap_or(&plain);
        let sharing =
            |trunk: TrunkId| Sharing { sources: local[trunk.index()].len(), sockets: wording(trunk.index()).sharing() };
        let of = |(trunk, policy): (usize, &TrunkPolicy)| wording(trunk).template(&policy.domain);
        let templates: Vec<_> = self.policies.iter().enumerate().map(of).collect();
        let open = |trunk: TrunkId, source: usize, to: Option<SocketAddr>| {
            let remotes = &remotes[trunk.index()];
            let place = remotes.iter().position(|remote| to == Some(*remote)).unwrap_or(0);
            let (address, remote) = (local[trunk.index()][source][place], remotes[place]);
            let (fleet, stream) = (stripe.worker as usize, wording(trunk.index()).rules());
            let transport = wording(trunk.index()).transport;
            let (round_trips, secured) = (transport.round_trips(), transport.is_secured());
            let checked = secured && wording(trunk.index()).checks_certificate;
            let handshakes = Handshakes { round_trips, secured, checked };
            let address = match stream {
                Some(rules) if rules.backs_off => {
                    addresses.settle_stream(fleet, (address, remote), handshakes);
                    address
                }
                // Each agent has a port of its own.
                Some(_) => {
                    let own = addresses.reserve(address.ip());
                    addresses.settle_stream(fleet, (own, remote), handshakes);
                    own
                }
                None => {
                    addresses.settle(fleet, address, remote);
                    address
                }
            };
            Ok::<Flow, Infallible>(Flow {
                trunk,
                source: u8::try_from(source).unwrap_or(u8::MAX),
                local: address,
                remote,
                template: templates[trunk.index()].at(&address.to_string()),
                stream,
                keepalive: wording(trunk.index()).keepalive,
            })
        };
        let places = (0..self.policies.len()).map(|trunk| self.places.get(trunk).cloned().unwrap_or_default());
        let Ok(flows) = Flows::of_named(stripe, identities, sharing, (places.collect(), self.seed), open);
        flows
    }
}

/// The local address of agents whose trunk names none.
const ANYWHERE: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 1));
