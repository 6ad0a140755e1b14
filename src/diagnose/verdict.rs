//! The verdicts, in this order: the generator on itself, then the run.

use super::threshold::Threshold;
use crate::record::Results;
use serde::Serialize;

/// Whether the generator kept its own schedule.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum GeneratorVerdict {
    Valid,
    Suspect,
    Invalid,
}

/// The run's verdict.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Pass,
    Fail,
    Invalid,
    Interrupted,
}

/// One threshold, judged.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct ThresholdOutcome {
    pub name: String,
    pub expr: String,
    /// `None`: nothing was measured, which does not pass.
    pub value: Option<f64>,
    pub pass: bool,
}

/// Everything judged about a run.
#[derive(Clone, PartialEq, Debug)]
pub struct Judgement {
    pub generator: GeneratorVerdict,
    pub generator_reasons: Vec<String>,
    pub verdict: Verdict,
    pub invalid_reasons: Vec<String>,
    pub thresholds: Vec<ThresholdOutcome>,
}

/// An explained failure; the columns of `findings.csv`. None are produced yet.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Finding {
    pub id: String,
    pub severity: String,
    pub trunk_id: String,
    pub agents: u64,
    pub attempts: u64,
    pub first_seen: String,
    pub last_seen: String,
    pub confidence: String,
    pub summary: String,
    pub evidence: String,
    pub advice: String,
}

/// Judges a run.
pub fn judge(_results: &Results, _thresholds: &[Threshold]) -> Judgement {
    todo!()
}
