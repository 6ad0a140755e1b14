//! The places a trunk's requests may go to, and whom each agent prefers.
//!
//! A trunk with an address has one place for ever, and no route. One whose name was looked up has a
//! list, which a later look-up replaces: its generation tells an agent that was sent on to another
//! place meanwhile that it is time to go back to its first choice.
//!
//! Not here: how a flow comes to lead elsewhere (`driver/places.rs`).

use crate::seed::{Purpose, Seed};
use crate::sip::locate::{Destination, first, order};
use crate::vocab::{AgentId, TrunkId};
use std::net::SocketAddr;
use std::sync::Arc;

/// The places of one trunk.
#[derive(Clone, Debug)]
pub(super) struct Route {
    pub(super) places: Arc<[Destination]>,
    /// How often the list was replaced.
    pub(super) generation: u8,
}

/// The routes of a worker's trunks.
#[derive(Clone, Debug)]
pub(super) struct Routes {
    seed: Seed,
    /// By trunk; `None`: its requests go to one address for ever.
    trunks: Vec<Option<Route>>,
    /// By the worker's agents: of which generation the list was that its place was chosen from.
    chosen: Vec<u8>,
}

impl Routes {
    /// `places` by trunk; empty ones are of trunks without a route.
    pub(super) fn new(places: Vec<Arc<[Destination]>>, agents: usize, seed: Seed) -> Option<Box<Routes>> {
        let route = |places: Arc<[Destination]>| (!places.is_empty()).then_some(Route { places, generation: 0 });
        let trunks: Vec<Option<Route>> = places.into_iter().map(route).collect();
        trunks.iter().any(Option::is_some).then(|| Box::new(Routes { seed, trunks, chosen: vec![0; agents] }))
    }

    /// No agent has chosen its place yet.
    pub(super) fn undecided(mut self) -> Routes {
        // Of no list: the first is of generation 0.
        self.chosen.fill(u8::MAX);
        self
    }

    /// Of trunks that have an address each.
    pub(super) fn empty(agents: usize, seed: Seed) -> Routes {
        Routes { seed, trunks: Vec::new(), chosen: vec![0; agents] }
    }

    /// An agent is sent away for one attempt. A trunk with an address has a route of that alone
    /// from now on, so that there is a way back.
    pub(super) fn astray(&mut self, trunk: TrunkId, local: u32, remote: SocketAddr) {
        if self.trunks.len() <= trunk.index() {
            self.trunks.resize(trunk.index() + 1, None);
        }
        let home = || Destination { address: remote, priority: 0, weight: 0, host: 0 };
        let route =
            self.trunks[trunk.index()].get_or_insert_with(|| Route { places: Arc::from(vec![home()]), generation: 0 });
        self.chosen[local as usize] = route.generation.wrapping_sub(1);
    }

    pub(super) fn of(&self, trunk: TrunkId) -> Option<&Route> {
        self.trunks.get(trunk.index())?.as_ref()
    }

    /// The place an agent tries first.
    pub(super) fn first(&self, trunk: TrunkId, agent: AgentId) -> Option<SocketAddr> {
        let places = &self.of(trunk)?.places;
        first(places, self.draw(agent)).map(|n| places[n].address)
    }

    /// The place it tries after this one; after the last one the first.
    pub(super) fn after(&self, trunk: TrunkId, agent: AgentId, address: SocketAddr) -> Option<SocketAddr> {
        let places = &self.of(trunk)?.places;
        let order = order(places, self.draw(agent));
        let now = order.iter().position(|n| places[*n].address == address);
        let next = now.map_or(0, |now| (now + 1) % order.len());
        order.get(next).map(|n| places[*n].address)
    }

    /// Whether an agent's place was chosen from an earlier list; from now on it was from this one.
    pub(super) fn is_outdated(&mut self, trunk: TrunkId, local: u32) -> bool {
        let Some(generation) = self.of(trunk).map(|route| route.generation) else { return false };
        std::mem::replace(&mut self.chosen[local as usize], generation) != generation
    }

    /// A later look-up found these.
    pub(super) fn replace(&mut self, trunk: TrunkId, places: Arc<[Destination]>) {
        if let Some(Some(route)) = self.trunks.get_mut(trunk.index()) {
            *route = Route { places, generation: route.generation.wrapping_add(1) };
        }
    }

    /// A number in `[0, 1)` of the agent's own for each place.
    fn draw(&self, agent: AgentId) -> impl Fn(u64) -> f64 {
        let seed = self.seed;
        move |key| seed.unit(Purpose::Place, agent.0.into(), key)
    }
}
