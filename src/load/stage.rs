//! The stages of a load as the plan hands them over.

use super::replay::Replay;
use crate::seed::{Purpose, Seed};
use crate::vocab::AgentId;
pub use crate::vocab::{LoadStage, Process, WhenExhausted};
use std::sync::Arc;
use std::time::Duration;

impl LoadStage {
    /// Arrivals per second at its start and at its end; `before` is the rate at the end of the
    /// stage before it.
    pub const fn rates(&self, before: f64) -> (f64, f64) {
        match *self {
            LoadStage::Ramp { to, .. } => (before, to),
            LoadStage::Rate { per_second, .. } => (per_second, per_second),
            LoadStage::Avalanche { .. } => (before, before),
            LoadStage::Hold { .. } | LoadStage::Outage { .. } | LoadStage::Replay { .. } => (0.0, 0.0),
        }
    }

    /// What it adds to the integral of the rate.
    pub fn arrivals(&self, before: f64) -> f64 {
        match *self {
            LoadStage::Avalanche { agents } => f64::from(agents),
            LoadStage::Replay { arrivals, .. } => f64::from(arrivals),
            _ => {
                let (from, to) = self.rates(before);
                (from + to) / 2.0 * self.lasts().as_secs_f64()
            }
        }
    }
}

/// A time in which a share of the agents is off. One that has arrived stops where it is: an open
/// attempt is abandoned, nothing is refreshed or tried again, and answers come too late. At the end
/// those agents begin anew, as restarted phones do: all at once, or after the pause that is their
/// client's own, with the full handshake.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Outage {
    /// Since the start of the load.
    pub from: Duration,
    pub until: Duration,
    /// Of the agents, in (0, 1].
    pub share: f64,
}

impl Outage {
    /// Whether an agent is hit by the `number`-th outage of a run. Agents are drawn, so that every
    /// trunk and every worker has its share.
    pub fn hits(&self, seed: Seed, number: usize, agent: AgentId) -> bool {
        seed.unit(Purpose::Outage, agent.0.into(), number as u64) < self.share
    }
}

/// What the load room needs of a profile.
#[derive(Clone, PartialEq, Debug)]
pub struct LoadConfig {
    pub stages: Vec<LoadStage>,
    /// What the stage that replays holds; no other stage brings arrivals then.
    pub replay: Option<Arc<Replay>>,
    pub process: Process,
    pub when_exhausted: WhenExhausted,
    /// Agents in the run; with [`WhenExhausted::Stop`] arrivals beyond this number do not happen.
    pub agents: u32,
    /// Open attempts at which arrivals are shed, over all workers.
    pub max_in_flight: u32,
    /// SIP messages per second over all workers beyond which sends are refused.
    pub max_message_rate: u32,
    /// `[safety] max_connect_rate`: connections begun per second over all workers.
    pub max_connect_rate: u32,
}
