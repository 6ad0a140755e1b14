//! The stages of a load as the plan hands them over.

use crate::seed::{Purpose, Seed};
use crate::vocab::AgentId;
use std::time::Duration;

/// One `[[load]]` stage.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Stage {
    /// Arrivals per second change linearly from the previous stage's rate (0 at first) to `to`.
    Ramp { to: f64, lasts: Duration },
    /// Constant arrivals per second.
    Rate { per_second: f64, lasts: Duration },
    /// So many agents at one instant; it takes no time, and the rate before it is the rate after it.
    Avalanche { agents: u32 },
    /// No arrivals: refreshes and retries only.
    Hold { lasts: Duration },
    /// No arrivals, and a share of the agents without power: see [`Outage`].
    Outage { share: f64, lasts: Duration },
}

impl Stage {
    pub const fn lasts(&self) -> Duration {
        match *self {
            Stage::Ramp { lasts, .. }
            | Stage::Rate { lasts, .. }
            | Stage::Hold { lasts }
            | Stage::Outage { lasts, .. } => lasts,
            Stage::Avalanche { .. } => Duration::ZERO,
        }
    }
}

/// A time in which a share of the agents is off. One that has arrived stops where it is: an open attempt is abandoned,
/// nothing is refreshed or tried again, and answers come too late. At the end those agents begin anew, as restarted
/// phones do: all at once, or after the pause that is their client's own, with the full handshake.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Outage {
    /// Since the start of the load.
    pub from: Duration,
    pub until: Duration,
    /// Of the agents, in (0, 1].
    pub share: f64,
}

impl Outage {
    /// Whether an agent is hit by the `number`-th outage of a run. Agents are drawn, so that every trunk and every
    /// worker has its share.
    pub fn hits(&self, seed: Seed, number: usize, agent: AgentId) -> bool {
        seed.unit(Purpose::Outage, agent.0.into(), number as u64) < self.share
    }
}

/// How the arrivals of a stage lie within it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Process {
    /// Evenly spaced by the rate's integral.
    #[default]
    Uniform,
    /// As many as evenly spaced, at independent random times: a Poisson process, given its count.
    Poisson,
}

/// What happens when every agent has arrived.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum WhenExhausted {
    /// No further arrival.
    #[default]
    Stop,
    /// Arrival n is agent n mod agents, each time with the full handshake.
    Reregister,
}

/// What the load room needs of a profile.
#[derive(Clone, PartialEq, Debug)]
pub struct LoadConfig {
    pub stages: Vec<Stage>,
    pub process: Process,
    pub when_exhausted: WhenExhausted,
    /// Agents in the run; with [`WhenExhausted::Stop`] arrivals beyond this number do not happen.
    pub agents: u32,
    /// Open attempts at which arrivals are shed, over all workers.
    pub max_in_flight: u32,
    /// SIP messages per second over all workers beyond which sends are refused.
    pub max_message_rate: u32,
}
