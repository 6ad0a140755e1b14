//! Small indices that stand for agents and trunks, and what sets one run apart.

use std::fmt;

/// One simulated phone: its place in the run's arrival order (arrival *n* is agent *n*).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct AgentId(pub u32);

/// One `[[trunk]]` of the profile, by position.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct TrunkId(pub u16);

/// Sets one run apart from another in Call-IDs and branches, so that a registrar never mistakes the
/// agents of today's run for those of yesterday's with the same seed, and stray answers are
/// recognised.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RunTag(pub u64);

impl AgentId {
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

impl TrunkId {
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

impl fmt::Display for AgentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
