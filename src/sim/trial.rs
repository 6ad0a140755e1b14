//! A search for limits under virtual time: a crew of agents, a link, the embedded registrar.

use super::Opposite;
use super::road::{Addresses, REGISTRAR, Road, START};
use super::wires::FleetFlow;
use crate::agent::{IdentityBook, TrunkPolicy};
use crate::fleet::crew::{Crew, CrewConfig};
use crate::fleet::roster::{self, FieldFlows};
use crate::fleet::{Flow, Flows};
use crate::link::LinkConfig;
use crate::load::search::{SearchField, Seat, Seating, StepPace, StepResult, Stop};
use crate::registrar::{self, Registrar};
use crate::seed::Seed;
use crate::sip::emit::{RegisterTemplate, TemplateParts};
use crate::vocab::{FlowId, RunTag, Time, Transport, TrunkId};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// What a simulated search is made of.
#[derive(Clone, Debug)]
pub struct SimFieldConfig {
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
pub struct SimField {
    now: Time,
    crew: Crew,
    road: Road<()>,
}

/// The made-up address of a flow: the one from elsewhere has another host.
#[expect(clippy::cast_possible_truncation, reason = "a crew has a handful of flows")]
fn address(flow: FlowId) -> SocketAddr {
    let host = if flow == ELSEWHERE { 2 } else { 1 };
    SocketAddr::from(([127, 0, 0, host], 10_000 + flow.0 as u16))
}

const MAIN: FlowId = FlowId(0);
const ELSEWHERE: FlowId = FlowId(1);
const OTHER_TRUNK: FlowId = FlowId(2);
const FIRST_CONTACT: u32 = 3;

impl SimField {
    /// A search that has not begun, and whom it may register: at the embedded registrar.
    pub fn new(config: SimFieldConfig) -> (SimField, Seating) {
        let registrar = Registrar::new(config.registrar.clone(), config.seed, START);
        SimField::facing(config, Box::new(registrar))
    }

    /// The same at `registrar`; the one of the configuration is left out.
    pub fn facing(config: SimFieldConfig, registrar: Box<dyn Opposite>) -> (SimField, Seating) {
        let all = FIRST_CONTACT + u32::from(config.contacts);
        let field = FieldFlows {
            main: MAIN,
            contacts: (FIRST_CONTACT..all).map(FlowId).collect(),
            elsewhere: Some(ELSEWHERE),
            other_trunk: config.other_trunk.map(|trunk| (trunk, OTHER_TRUNK)),
        };
        let (seats, roster) = roster::seats(&config.identities, config.trunk, &field);
        let flow = |flow: FlowId| {
            let trunk = config.other_trunk.filter(|_| flow == OTHER_TRUNK).unwrap_or(config.trunk);
            let parts = TemplateParts {
                domain: &config.policies[trunk.index()].domain,
                transport: Transport::Udp,
                sent_by: &address(flow).to_string(),
                route: None,
                user_agent: "regstorm",
                headers: &[],
            };
            let (local, remote) = (address(flow), REGISTRAR);
            Flow {
                trunk,
                source: 0,
                local,
                remote,
                template: RegisterTemplate::new(&parts),
                stream: None,
                keepalive: None,
            }
        };
        let (mut flows, mut addresses) = (Flows::default(), Addresses::default());
        for number in (0..all).map(FlowId) {
            flows.add(flow(number));
            addresses.settle(0, address(number), REGISTRAR);
        }
        let crew = CrewConfig {
            flows,
            identities: config.identities.clone(),
            policies: config.policies.clone(),
            seats,
            seed: config.seed,
            run: RunTag(config.seed.0),
            max_message_rate: config.max_message_rate,
            start: START,
        };
        let trial = SimField {
            now: START,
            crew: Crew::new(crew),
            road: Road::new(addresses, config.link, registrar, config.seed, ()),
        };
        (trial, roster)
    }

    /// What the registrar counted, as of the last packet.
    pub fn counts(&self) -> registrar::Counts {
        self.road.registrar.counts()
    }

    /// Contacts the registrar holds now.
    pub fn contacts(&self) -> usize {
        self.road.registrar.contacts()
    }

    /// Lets time pass until `end`, or until the crew's task is done.
    fn run(&mut self, end: Option<Time>) {
        while end.map_or_else(|| !self.crew.is_done(), |end| self.now < end) {
            let next = self.road.next_due().map_or(self.crew.next_wake(), |due| due.min(self.crew.next_wake()));
            let next = end.map_or(next, |end| next.min(end));
            // Virtual time never stands still on a wake-up that had nothing to do.
            self.now = next.max(self.now);
            let SimField { now, crew, road } = self;
            road.deliver(*now, |FleetFlow { flow, .. }, arrival, lane| arrival.to(crew.driver(), *now, flow, lane));
            let mut lane = road.lane(*now, 0);
            while crew.turn(*now, &mut lane) {}
        }
    }
}

impl SearchField for SimField {
    fn register(&mut self, seats: &[Seat], pace: StepPace) -> Result<StepResult, Stop> {
        self.crew.register(self.now, seats, pace);
        self.run(None);
        Ok(self.crew.seen(self.now))
    }

    fn release(&mut self, seats: &[Seat], per_second: f64) -> Result<StepResult, Stop> {
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
