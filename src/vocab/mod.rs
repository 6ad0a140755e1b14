//! The words every room shares: time, durations and bandwidths as text, ids, flows and transports,
//! interventions, outcomes, packets, secrets, the set-up of a run, and choices that a profile
//! writes and a room acts on.
//!
//! Nothing here knows SIP, holds policy or does I/O.

mod bandwidth;
mod duration;
mod expectation;
mod fault;
mod flow;
mod grade;
mod header;
mod ids;
mod intervention;
mod number;
mod outcome;
mod packet;
mod platform;
mod said;
mod secret;
mod setup;
mod time;
mod trouble;
mod truth;
mod word;

pub use bandwidth::{BandwidthError, format_bandwidth, parse_bandwidth};
pub use duration::{DurationError, as_text, format_duration, parse_duration};
pub use expectation::Expectation;
pub use fault::{Delay, FaultKind, LimitScope, ShownCertificate};
pub use flow::{AddressFamily, FlowId, FlowLoss, LayersTold, Secured, Transport};
pub use grade::{Confidence, Severity};
pub use header::OWN_HEADERS;
pub use ids::{AgentId, RunTag, TrunkId};
pub use intervention::{Intervention, InterventionKind, Speed};
pub use number::{
    floor_u32, floor_u64, floor_usize, in_groups, median, millis, nanos, rounded, saturating_u8, saturating_u16,
    saturating_u32,
};
pub use outcome::{Class, Kind, LoopKind, Phase, Place, Refusal, RequestFate, RequestKind, Stage, Status};
pub use packet::{Direction, FailedAttempt, Packet};
pub use platform::{Platform, PlatformKind, UserForm};
pub use said::{in_cell, is_unseen, printable, printable_lines, said, without_digests};
pub use secret::Secret;
pub use setup::{
    AcceptFrom, ArrivalOrder, ContactHost, IntervalAlign, LoadStage, OfferedQop, OnIcmp, Process, RealmPolicy,
    ReplayAct, RetryAfter, SocketUse, WhenExhausted, WsHost,
};
pub use time::{T1, T1_MS, Time};
pub use trouble::{NotSent, Trouble, Unreachable, Unusable, Why};
pub use truth::{HostPort, TruthAddress, TruthKind};
pub use word::Word;
pub(crate) use word::words;
