//! A finding as everybody reads it: what went wrong, whom it hit, how sure that is. Detectors make
//! them, see `findings`.

use super::explain::{self, LookAt};
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
    /// Call-IDs of theirs, where they are known.
    #[serde(skip)]
    pub call_ids: Vec<String>,
    /// The window in nanoseconds since the run's start.
    #[serde(skip)]
    pub seen_ns: (u64, u64),
    pub agents: u64,
    pub attempts: u64,
    pub first_seen: String,
    pub last_seen: String,
    pub confidence: Confidence,
    pub summary: String,
    pub evidence: String,
    pub advice: String,
    /// The same advice by the product it is about, for a page that knows which one is in use.
    #[serde(skip)]
    pub places: Vec<LookAt>,
    /// Explanations that were ruled out, and by what.
    pub rejected: String,
    /// What it costs, in words; empty where that is not known.
    pub cost: String,
}

impl Finding {
    /// The findings among these that would be instead of this one, not beside it: open ones of its
    /// trunk of which either names the other as its rival.
    pub fn rivals_among<'a>(&self, all: &'a [Finding]) -> Vec<&'a str> {
        let names = |one: &str, other: &str| {
            let rivals = explain::finding(one).map(|text| text.rivals).unwrap_or_default();
            rivals.iter().any(|rival| rival.cause == other)
        };
        let open = |finding: &&Finding| finding.confidence == Confidence::Open && finding.trunk_id == self.trunk_id;
        let others = all.iter().filter(open).filter(|other| other.id != self.id && open(&self));
        others
            .filter(|other| names(&self.id, &other.id) || names(&other.id, &self.id))
            .map(|other| &*other.id)
            .collect()
    }

    /// Whether it counts for `findings.<severity>`, of one trunk or of all.
    pub fn is_of(&self, severity: Severity, trunk: Option<&str>) -> bool {
        self.severity == severity && trunk.is_none_or(|id| id == self.trunk_id)
    }
}
