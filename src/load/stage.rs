//! The stages of a load as the plan hands them over.

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
}

impl Stage {
    pub const fn lasts(&self) -> Duration {
        match *self {
            Stage::Ramp { lasts, .. } | Stage::Rate { lasts, .. } | Stage::Hold { lasts } => lasts,
            Stage::Avalanche { .. } => Duration::ZERO,
        }
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
