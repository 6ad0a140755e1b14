//! When agents arrive, and the fences around what is sent: stages, the closed-form schedule,
//! stripes and admission; a pace and an allowance for single exchanges; `course` says how far a
//! load has come. `search` decides what to try next when looking for a registrar's limits,
//! `baseline` when looking for this machine's own.
//!
//! A replay is the exception: its times were recorded, not planned.
//!
//! The schedule is a function of the arrival's index and never drifts; the safety ceiling may only
//! refuse and count, it never shapes the schedule. A person may: `timeline` says when planned
//! arrivals then come.

pub mod admission;
pub mod allowance;
pub mod baseline;
pub mod course;
pub mod pace;
pub mod poisson;
pub mod replay;
pub mod schedule;
pub mod search;
pub mod stage;
pub mod stripe;
pub mod timeline;

pub use admission::Ceiling;
pub use allowance::Allowance;
pub use course::Course;
pub use pace::Pace;
pub use replay::{Replay, ReplayStep};
pub use schedule::Schedule;
pub use stage::{LoadConfig, LoadStage, Outage, Process, WhenExhausted};
pub use stripe::{Share, Stripe};
pub use timeline::{Adjustment, Throttle, Timeline};
