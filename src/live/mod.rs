//! What a person sees while a run goes on. Reads published snapshots and finished intervals, and
//! slows no worker down.

mod bars;
pub mod endpoint;
pub mod gate;
pub mod metrics;
pub mod plain;
#[cfg(feature = "tui")]
pub mod screen;
mod snapshot;

pub use bars::Bars;
pub use endpoint::Endpoint;
pub use metrics::{Metrics, RunFacts};
pub use plain::Plain;
pub use snapshot::Snapshot;
