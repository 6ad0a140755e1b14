//! When agents arrive, and the fences around what is sent: stages, the closed-form schedule, stripes, admission.
//!
//! The schedule is a function of the arrival's index; the safety ceiling may only refuse and count, it never shapes
//! the schedule.

pub mod stage;

pub use stage::{LoadConfig, Stage};
