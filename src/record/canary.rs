//! What an agent beside the load had to say when it changed, as a frame of its own where it took
//! place. How often it was checked and failed is counted in the intervals.

use serde::{Deserialize, Serialize};

/// A change in how a trunk's canary fares.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct CanaryNote {
    pub trunk: u16,
    /// Nanoseconds since the run's start.
    pub at_ns: u64,
    /// Who it is.
    pub user: String,
    pub turn: CanaryTurn,
    /// Why it did not register, after how many failed checks it does again, or what became of its
    /// address.
    pub said: String,
}

/// What changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CanaryTurn {
    /// A check failed, and the one before did not.
    Failed,
    /// A check went well, and the one before did not.
    Registered,
    /// It went on to another address, or could not.
    Address,
}

impl CanaryNote {
    /// As a person reads it.
    pub fn line(&self, trunk_id: &str) -> String {
        let CanaryNote { user, said, .. } = self;
        match self.turn {
            CanaryTurn::Failed => format!("trunk {trunk_id}: the canary, {user}, did not register: {said}"),
            CanaryTurn::Registered => format!("trunk {trunk_id}: the canary, {user}, registers again after {said}"),
            CanaryTurn::Address => format!("trunk {trunk_id}: the canary: {said}"),
        }
    }
}
