//! The narrow waist: what a run wrote, and what everything after it reads.
//!
//! `schema` holds the frames of `record.bin`, `writer` appends and flushes them, `reader` turns
//! them into [`Results`], with the sums that `assembly` makes; `hlog` writes the latencies for
//! other tools. Beside the record, `pcapng` appends the packets of failed attempts to a raw file of
//! their own, and `limits` is what a search for limits found. `capture` and `eventlog` read what
//! others recorded: packets, and a platform's log. A torn last block is ignored. This room does not
//! judge, round or drop what was measured.

mod assembly;
mod canary;
pub mod capture;
mod error;
pub mod eventlog;
mod fleet;
pub mod hlog;
pub mod limits;
pub mod merger;
mod parts;
pub mod pcapng;
pub mod platform;
pub mod reader;
pub mod refusal;
mod resolution;
pub mod results;
pub mod schema;
mod siptrace;
pub mod texttrace;
mod truth;
mod unpack;
pub mod writer;

pub use canary::{CanaryNote, CanaryTurn};
pub use error::ReadError;
pub use fleet::{FleetFacts, FleetWorker, ShareHeader, WorkerLoss};
pub use merger::Merger;
pub use parts::{RecordPart, RecordParts};
pub use pcapng::PcapngWriter;
pub use reader::{Follower, header, read};
pub use resolution::{Resolution, ResolutionStep, ResolvedTarget};
pub use results::{
    AgentResult, Baseline, BaselineStep, End, Header, IntervalResult, LagRow, LatencyRow, LoopResult, Observed,
    RegistrarHeader, Results, Totals, TrunkHeader,
};
pub use truth::{OurBindings, TruthHeader, TruthSample};
pub use writer::Writer;
