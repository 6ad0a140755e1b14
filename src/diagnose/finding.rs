//! A finding as everybody reads it: what went wrong, whom it hit, how sure that is. Detectors make
//! them, see `findings`.

use crate::vocab::{Confidence, Severity};
use serde::Serialize;

/// An explained failure; the columns of `findings.csv`.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Finding {
    pub id: String,
    pub severity: Severity,
    pub trunk_id: String,
    /// The first of its agents, for a line that names some.
    #[serde(skip)]
    pub users: Vec<String>,
    pub agents: u64,
    pub attempts: u64,
    pub first_seen: String,
    pub last_seen: String,
    pub confidence: Confidence,
    pub summary: String,
    pub evidence: String,
    pub advice: String,
    /// Explanations that were ruled out, and by what.
    pub rejected: String,
    /// What it costs, in words; empty where that is not known.
    pub cost: String,
}

impl Finding {
    /// Whether it counts for `findings.<severity>`, of one trunk or of all.
    pub fn is_of(&self, severity: Severity, trunk: Option<&str>) -> bool {
        self.severity == severity && trunk.is_none_or(|id| id == self.trunk_id)
    }
}
