//! What `regstorm diagnose` says of recorded results: the findings, and whether they leave anything
//! open.

use super::finding::Finding;
use super::findings::findings;
use crate::record::{Observed, Results};
use crate::vocab::{Confidence, Severity, Status};

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
    /// The source shows requests and not their answers.
    AnswersMissing { attempts: u64 },
}

impl Conclusion {
    /// Whether causes are left to be found.
    pub fn is_open(&self) -> bool {
        !matches!(self, Conclusion::Healthy { .. } | Conclusion::Explained { .. })
    }

    pub const fn as_str(&self) -> &'static str {
        match self {
            Conclusion::Healthy { .. } => "healthy",
            Conclusion::Explained { .. } => "explained",
            _ => "open",
        }
    }
}

impl Diagnosis {
    /// Judges a run, a capture or a log.
    pub fn of(results: &Results) -> Diagnosis {
        let mut findings = findings(results);
        if hides_challenges(results) {
            findings.iter_mut().filter(|finding| PLACED.contains(&finding.id.as_str())).for_each(doubt_place);
        }
        if shows_failures_alone(results) {
            findings.iter_mut().filter(|finding| finding.severity != Severity::Info).for_each(doubt_sample);
        }
        let conclusion = conclude(results, &findings);
        Diagnosis { findings, conclusion }
    }
}

/// Whether the source is a log without a single challenge in it: a platform may leave them out.
fn hides_challenges(results: &Results) -> bool {
    results.header.observed == Some(Observed::EventLog) && !results.responses.iter().any(|row| row.challenge)
}

/// Whether others were observed and nobody among them registered. That may be how it is; and it is
/// what a selection of failures looks like, such as the `failures.pcapng` of a run.
fn shows_failures_alone(results: &Results) -> bool {
    results.header.observed.is_some() && results.totals.sums.status[Status::Registered.index()] == 0
}

/// Of a selection nobody can say whom else it hits, or what else fits.
fn doubt_sample(finding: &mut Finding) {
    finding.confidence = Confidence::Open;
    let doubt = "no registration that succeeded is in this source: it may be a selection of failures, and whether \
                 others get in is not known";
    let gap = if finding.evidence.is_empty() { "" } else { "; " };
    finding.evidence.push_str(gap);
    finding.evidence.push_str(doubt);
}

/// A finding that rests on where in the handshake a refusal came keeps a rival when that is not
/// known.
fn doubt_place(finding: &mut Finding) {
    finding.confidence = Confidence::Open;
    finding.summary.push_str(" (or after one: the log shows no challenges)");
}

/// Findings that tell refusals before a challenge from refusals after one.
const PLACED: [&str; 1] = ["loop.403.unchallenged"];

fn conclude(results: &Results, findings: &[Finding]) -> Conclusion {
    let totals = &results.totals;
    if results.header.answers_missing {
        return Conclusion::AnswersMissing { attempts: totals.attempts };
    }
    let count = |status: Status| totals.sums.status[status.index()];
    // What was cut off says nothing of a registrar, and neither does what was never sent.
    let failed = totals.attempts - count(Status::Registered) - count(Status::Abandoned) - count(Status::Shed);
    let open = findings.iter().filter(|finding| finding.confidence == Confidence::Open);
    let mut causes: Vec<_> = open.map(|finding| finding.id.clone()).collect();
    causes.sort();
    causes.dedup();
    let weighty = findings.iter().filter(|finding| finding.severity != Severity::Info).count() as u64;
    match (causes.is_empty(), weighty, failed) {
        (false, ..) => Conclusion::Open { causes },
        (true, 0, 0) => Conclusion::Healthy { agents: totals.agents, attempts: totals.attempts },
        (true, 0, failed) => Conclusion::Unexplained { failed, attempts: totals.attempts },
        (true, findings, _) => Conclusion::Explained { findings },
    }
}
