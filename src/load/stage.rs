//! The stages of a load as the plan hands them over.

use std::time::Duration;

/// One `[[load]]` stage.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Stage {
    /// Arrivals per second change linearly from the previous stage's rate (0 at first) to `to`.
    Ramp { to: f64, lasts: Duration },
    /// Constant arrivals per second.
    Rate { per_second: f64, lasts: Duration },
    /// No arrivals: refreshes and retries only.
    Hold { lasts: Duration },
}

impl Stage {
    pub const fn lasts(&self) -> Duration {
        match *self {
            Stage::Ramp { lasts, .. } | Stage::Rate { lasts, .. } | Stage::Hold { lasts } => lasts,
        }
    }
}

/// What the load room needs of a profile.
#[derive(Clone, PartialEq, Debug)]
pub struct LoadConfig {
    pub stages: Vec<Stage>,
    /// Agents in the run; arrivals beyond this number do not happen (`when_exhausted = "stop"`).
    pub agents: u32,
    /// Open attempts at which arrivals are shed, over all workers.
    pub max_in_flight: u32,
    /// SIP messages per second over all workers beyond which sends are refused.
    pub max_message_rate: u32,
}
