//! Real threads, real sockets: the only room that makes time pass.
//!
//! `worker` is a sender thread: it owns a fleet and its sockets and shares nothing while hot.
//! `sockets` moves datagrams between a thread's sockets and the agents behind them, `tempo` says
//! how long a thread may rest. `channels` handles its connections. `serve` puts the embedded
//! registrar behind sockets, `probe` one exchange under full control, `trial` a search for limits.
//! `canary` counts what agents beside the load saw.
//! `control` is the current-thread tokio side: stages, signals, merging of intervals.
//!
//! Commands reach a worker with the time at which they take effect, a little in the future, so that
//! all workers cut their intervals at the same moments and these merge by position.

mod audience;
mod canary;
mod channels;
pub mod control;
pub mod probe;
pub mod serve;
pub mod signals;
pub mod sockets;
mod tempo;
pub mod trial;
mod worker;

pub use audience::{Decision, Observer, RunPosition};
pub use canary::CanaryBooks;
pub use channels::{ClientLayers, SUBPROTOCOL};
pub use control::{Conduct, Ended, EngineError, HungFor, NameNews, Pacing, Relocation, Wish, conduct};
pub use probe::{Carrier, ProbeSocket, ProbeSocketError};
pub use serve::{ConnectionTrouble, Listening, Server, StreamPort};
pub use signals::Signals;
pub use trial::LiveField;
pub use worker::WorkerPlan;
