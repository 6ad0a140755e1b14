//! What a trunk's name stood for, and how that was found: before the load in the header, later as a
//! frame of its own where it took place.

use crate::sip::locate::RecordKind;
use crate::vocab::Transport;
use serde::{Deserialize, Serialize};

/// One look-up of a trunk's target (RFC 3263).
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Resolution {
    pub trunk: u16,
    /// The host of the target as written.
    pub host: String,
    /// When it took effect, nanoseconds since the run's start; 0 for what was found before it.
    pub at_ns: u64,
    pub transport: Transport,
    /// SRV records said where it is.
    pub by_srv: bool,
    /// Every question, in order.
    pub steps: Vec<ResolutionStep>,
    /// Addresses requests may go to, by priority.
    pub targets: Vec<ResolvedTarget>,
    /// Addresses that are not among the allowed ones; nothing goes there.
    pub refused: Vec<String>,
    /// How long it holds; `None`: nothing says that it ends.
    pub ttl_s: Option<u64>,
    /// All questions together, microseconds.
    pub took_us: u64,
}

/// One question and what was answered.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct ResolutionStep {
    pub name: String,
    pub kind: RecordKind,
    /// As in a zone file.
    pub records: Vec<String>,
    pub ttl_s: Option<u64>,
    pub took_us: u64,
    /// Why there was no answer.
    pub failed: Option<String>,
}

/// An address requests may go to.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct ResolvedTarget {
    pub priority: u16,
    pub weight: u16,
    pub address: String,
    /// The share of the agents whose first choice it is, as the weights have it.
    pub first_choice_pct: f64,
}

impl Resolution {
    /// Whether both found the same targets, however long it took.
    pub fn agrees_with(&self, other: &Resolution) -> bool {
        self.targets == other.targets && self.transport == other.transport
    }
}
