//! What `regstorm diagnose` says of recorded results: the findings, and whether they leave anything open.

use super::findings::{Confidence, Severity, findings};
use super::verdict::Finding;
use crate::record::Results;
use crate::vocab::Status;

/// Findings, and what they come to.
#[derive(Clone, PartialEq, Debug)]
pub struct Diagnosis {
    pub findings: Vec<Finding>,
    pub conclusion: Conclusion,
}

/// Whether what went wrong is explained.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Conclusion {
    /// No attempt failed, and nothing else was found.
    Healthy { agents: u64, attempts: u64 },
    /// Every finding has its rivals ruled out.
    Explained { findings: u64 },
    /// Ids of findings that have a rival left.
    Open { causes: Vec<String> },
    /// Attempts failed, and no finding says why.
    Unexplained { failed: u64, attempts: u64 },
}

impl Conclusion {
    /// Whether causes are left to be found.
    pub fn is_open(&self) -> bool {
        matches!(self, Conclusion::Open { .. } | Conclusion::Unexplained { .. })
    }

    pub const fn as_str(&self) -> &'static str {
        match self {
            Conclusion::Healthy { .. } => "healthy",
            Conclusion::Explained { .. } => "explained",
            Conclusion::Open { .. } | Conclusion::Unexplained { .. } => "open",
        }
    }
}

impl Diagnosis {
    /// Judges a run, a capture or a log.
    pub fn of(results: &Results) -> Diagnosis {
        let findings = findings(results);
        let conclusion = conclude(results, &findings);
        Diagnosis { findings, conclusion }
    }
}

fn conclude(results: &Results, findings: &[Finding]) -> Conclusion {
    let totals = &results.totals;
    let count = |status: Status| totals.sums.status[status.index()];
    // What was cut off says nothing of a registrar, and neither does what was never sent.
    let failed = totals.attempts - count(Status::Registered) - count(Status::Abandoned) - count(Status::Shed);
    let open = findings.iter().filter(|finding| finding.confidence == Confidence::Open.as_str());
    let mut causes: Vec<_> = open.map(|finding| finding.id.clone()).collect();
    causes.sort();
    causes.dedup();
    let weighty = findings.iter().filter(|finding| finding.severity != Severity::Info.as_str()).count() as u64;
    match (causes.is_empty(), weighty, failed) {
        (false, ..) => Conclusion::Open { causes },
        (true, 0, 0) => Conclusion::Healthy { agents: totals.agents, attempts: totals.attempts },
        (true, 0, failed) => Conclusion::Unexplained { failed, attempts: totals.attempts },
        (true, findings, _) => Conclusion::Explained { findings },
    }
}
