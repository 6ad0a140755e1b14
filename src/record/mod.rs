//! The narrow waist: what a run wrote, and what everything after it reads.
//!
//! `schema` holds the frames of `record.bin`, `writer` appends and flushes them, `reader` turns them into [`Results`].
//! A torn last block is ignored. This room does not judge, round or drop what was measured.

pub mod results;

pub use results::{AgentResult, End, Header, IntervalResult, LatencyRow, LoopResult, Results, Totals, TrunkHeader};
