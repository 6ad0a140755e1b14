//! Where a run is, at one moment: what the screen shows between intervals.

use std::time::Duration;

/// A moment of a run, all workers together.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Snapshot {
    /// Since the run's start.
    pub elapsed: Duration,
    /// Agents that have arrived and were not told to un-REGISTER.
    pub planned: u64,
    pub registered: u64,
    /// Attempts under way.
    pub open: u64,
}
