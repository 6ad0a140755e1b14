//! The words every room shares: time, durations and rates as text, ids, outcomes, packets, secrets.
//!
//! Nothing here knows SIP, holds policy or does I/O.

mod duration;
mod ids;
mod outcome;
mod packet;
mod secret;
mod time;

pub use duration::{DurationError, format_duration, parse_duration};
pub use ids::{AgentId, FlowId, RunTag, TrunkId};
pub use outcome::{Class, Kind, LoopKind, Phase, Place, Refusal, Stage, Status};
pub use packet::{Direction, FailedAttempt, Packet};
pub use secret::Secret;
pub use time::Time;
