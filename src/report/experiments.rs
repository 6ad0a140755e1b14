//! An investigation as a table for people and as one JSON object: every attempt with its answer,
//! what was not tried and why, the conclusion last.

use super::json;
use super::text::{millis, printable};
use crate::diagnose::experiment::{Answer, ExperimentConclusion, Investigation, Skipped, Trial, TrialRow};
use crate::vocab::Place;
use serde_json::{Value, json};
use std::fmt::Write;

/// Whose attempts they were.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Patient {
    pub user: String,
    pub trunk: String,
    /// `sip:…`, as asked.
    pub domain: String,
    /// Address and port.
    pub target: String,
    /// Address and port.
    pub local: String,
}

/// The table, and the conclusion as its last line.
pub fn table(patient: &Patient, investigation: &Investigation, conclusion: &ExperimentConclusion) -> String {
    let Patient { user, trunk, domain, target, local } = patient;
    let mut text = format!("agent {user} of trunk {trunk}: sip:{domain} at {target}, from {local}\n\n");
    let rows: Vec<[String; 4]> = investigation.rows().iter().map(cells).collect();
    lines(&mut text, ["change", "value", "answer", "ms"], &rows);
    not_tried(&mut text, investigation.skipped());
    let _ = writeln!(text, "\n{conclusion}");
    text
}

/// What was left out, one line per reason.
fn not_tried(text: &mut String, skipped: &[Skipped]) {
    if !skipped.is_empty() {
        text.push_str("\nnot tried\n");
    }
    for same in skipped.chunk_by(|one, next| one.reason == next.reason) {
        let changes: Vec<&str> = same.iter().map(|skipped| skipped.change).collect();
        let _ = writeln!(text, "  {}: {}", changes.join(", "), printable(&same[0].reason));
    }
}

/// One JSON object on a line of its own. Without an investigation nobody was refused.
pub fn render_json(
    patient: Option<&Patient>,
    investigation: Option<&Investigation>,
    conclusion: &ExperimentConclusion,
) -> String {
    json::text(json::line(&object(patient, investigation, conclusion)))
}

fn object(
    patient: Option<&Patient>,
    investigation: Option<&Investigation>,
    conclusion: &ExperimentConclusion,
) -> Value {
    let rows = investigation.map_or(&[][..], Investigation::rows);
    let skipped = investigation.map_or(&[][..], Investigation::skipped);
    json!({
        "agent": patient.map(|patient| &patient.user),
        "trunk_id": patient.map(|patient| &patient.trunk),
        "domain": patient.map(|patient| &patient.domain),
        "target": patient.map(|patient| &patient.target),
        "local": patient.map(|patient| &patient.local),
        "attempts": rows.iter().map(attempt).collect::<Vec<_>>(),
        "not_tried": skipped
            .iter()
            .map(|skipped| json!({ "change": skipped.change, "reason": skipped.reason }))
            .collect::<Vec<_>>(),
        "conclusion": concluded(conclusion),
        "line": conclusion.to_string(),
    })
}

/// Change and value; both empty for the unchanged attempt.
fn changed(trial: &Trial) -> (&'static str, String) {
    match trial {
        Trial::Baseline => ("", String::new()),
        Trial::Changed(change) => (change.name(), change.value()),
    }
}

fn cells(row: &TrialRow) -> [String; 4] {
    let (change, value) = changed(&row.trial);
    let change = if change.is_empty() { "(unchanged)" } else { change };
    let answer = row.observation.to_string();
    [change.to_owned(), printable(&value), printable(&answer), millis(row.observation.took.as_secs_f64() * 1e6)]
}

fn lines(text: &mut String, head: [&str; 4], rows: &[[String; 4]]) {
    let width = |n: usize| rows.iter().map(|row| row[n].chars().count()).max().unwrap_or(0).max(head[n].len());
    let (change, value, answer) = (width(0), width(1), width(2));
    let mut line = |[a, b, c, d]: [&str; 4]| {
        let _ = writeln!(text, "{a:<change$}  {b:<value$}  {c:<answer$}  {d:>10}");
    };
    line(head);
    rows.iter().for_each(|row| line(row.each_ref().map(String::as_str)));
}

fn attempt(row: &TrialRow) -> Value {
    let (change, value) = changed(&row.trial);
    let seen = &row.observation;
    let (code, reason) = match &seen.answer {
        Answer::Granted => (Some(200), None),
        Answer::Refused { code, reason } => (Some(*code), Some(reason.clone())),
        Answer::Silence => (None, Some("no answer".to_owned())),
        Answer::Transport(reason) | Answer::Malformed(reason) => (None, Some(reason.clone())),
        Answer::Unusable(unusable) => (None, Some(unusable.to_string())),
    };
    json!({
        "change": (!change.is_empty()).then_some(change),
        "value": (!change.is_empty()).then_some(value),
        "granted": seen.is_granted(),
        "code": code,
        "reason": reason,
        "place": match seen.place {
            Place::Unchallenged => "unchallenged",
            Place::AfterCredentials => "after_credentials",
        },
        "took_us": u64::try_from(seen.took.as_micros()).unwrap_or(u64::MAX),
    })
}

fn concluded(conclusion: &ExperimentConclusion) -> Value {
    match conclusion {
        ExperimentConclusion::Healthy { agents } => json!({ "kind": "healthy", "agents": agents }),
        ExperimentConclusion::Explained(change) => {
            json!({ "kind": "explained", "change": change.name(), "value": change.value() })
        }
        ExperimentConclusion::Open(causes) => {
            json!({ "kind": "open", "causes": causes.iter().map(|cause| cause.as_str()).collect::<Vec<_>>() })
        }
    }
}
