//! A diagnosis for the terminal and as JSON: a line per finding, a line per kind of loop with the
//! step that is missing, and a line that sums up.

use super::csv::mean_period_s;
use super::json;
use super::text::counted;
use crate::diagnose::diagnosis::Conclusion;
use crate::diagnose::{Diagnosis, HandshakeStep};
use crate::record::{LoopResult, Results};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// One source and what was found in it.
#[derive(Debug)]
pub struct Diagnosed {
    /// As it was named on the command line.
    pub source: String,
    pub results: Results,
    pub diagnosis: Diagnosis,
    /// What the source cannot show, a sentence each.
    pub remarks: Vec<String>,
}

/// The text. Of several sources each begins with a line that names it.
pub fn render(all: &[Diagnosed]) -> String {
    let mut text = String::new();
    for (n, one) in all.iter().enumerate() {
        if all.len() > 1 {
            text.push_str(if n > 0 { "\n" } else { "" });
            text.push_str(&format!("{}:\n", one.source));
        }
        text.push_str(&lines(one).join("\n"));
        text.push('\n');
    }
    text
}

/// One object: `{"sources": [{source, verdict, findings[], loops[], remarks[]}]}`; findings have
/// the keys of `run.json`.
pub fn render_json(all: &[Diagnosed]) -> String {
    let sources: Vec<_> = all.iter().map(object).collect();
    json::text(json::pretty(&json!({ "sources": sources })))
}

fn lines(one: &Diagnosed) -> Vec<String> {
    let findings = one.diagnosis.findings.iter().map(|finding| {
        let trunk = or_dash(&finding.trunk_id);
        let users = named(&finding.users, finding.agents);
        format!("{} {} {trunk} {users} {}", finding.id, finding.severity, finding.summary)
    });
    findings.chain(loops(&one.results)).chain([sentence(&one.diagnosis.conclusion)]).collect()
}

/// Loops of one kind, with the same answer at the same step, on one trunk.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Alike<'a> {
    trunk: u16,
    kind: &'static str,
    code: u16,
    reason: &'a str,
    missing: Option<HandshakeStep>,
}

fn loops(results: &Results) -> impl Iterator<Item = String> + '_ {
    let mut alike: BTreeMap<Alike<'_>, Vec<&LoopResult>> = BTreeMap::new();
    for row in &results.loops {
        let missing = HandshakeStep::missing_in(row);
        let kind = row.kind.as_str();
        let key = Alike { trunk: row.trunk, kind, code: row.code, reason: &row.reason, missing };
        alike.entry(key).or_default().push(row);
    }
    alike.into_iter().map(|(key, rows)| {
        let trunk = results.header.trunks.get(usize::from(key.trunk)).map_or("", |trunk| trunk.id.as_str());
        let users = users_of(results, &rows);
        let attempts: u64 = rows.iter().map(|row| u64::from(row.attempts)).sum();
        let periods: Vec<_> = rows.iter().filter_map(|row| mean_period_s(row)).collect();
        let every = match periods.iter().sum::<f64>() / periods.len() as f64 {
            seconds if seconds.is_finite() => format!(", about every {seconds:.0} s"),
            _ => String::new(),
        };
        let step = match key.missing {
            Some(step) => format!("missing: {step}"),
            None => "all four steps happened".to_owned(),
        };
        let answer = match key.code {
            0 => "no answer".to_owned(),
            code => format!("{code} {}", key.reason).trim_end().to_owned(),
        };
        let users = named(&users, users.len() as u64);
        format!("loop {} {} {users} {answer}, {attempts} attempts{every}; {step}", key.kind, or_dash(trunk))
    })
}

fn users_of(results: &Results, rows: &[&LoopResult]) -> Vec<String> {
    let mut agents: Vec<_> = rows.iter().map(|row| row.agent).collect();
    agents.sort_unstable();
    agents.dedup();
    agents.into_iter().filter_map(|agent| results.header.users.get(agent as usize).cloned()).collect()
}

fn sentence(conclusion: &Conclusion) -> String {
    match conclusion {
        Conclusion::Healthy { agents, attempts } => {
            format!("healthy: {} of {}, none failed", counted(*attempts, "attempt"), counted(*agents, "agent"))
        }
        Conclusion::Explained { findings: 1 } => "explained: one finding, and no rival explanation is left".to_owned(),
        Conclusion::Explained { findings } => {
            format!("explained: {findings} findings, and no rival explanation is left")
        }
        Conclusion::Open { causes } => format!("open: {}; more than one explanation fits", causes.join(", ")),
        Conclusion::Unexplained { failed, attempts } => {
            format!("open: {failed} of {attempts} attempts failed, and no finding explains it")
        }
        Conclusion::AnswersMissing { attempts } => format!(
            "open: {} seen, and answers were not recorded: whether they were answered cannot be told",
            counted(*attempts, "attempt")
        ),
    }
}

fn object(one: &Diagnosed) -> Value {
    let loops: Vec<_> = one.results.loops.iter().map(|row| loop_object(&one.results, row)).collect();
    json!({
        "source": one.source,
        "verdict": one.diagnosis.conclusion.as_str(),
        "summary": sentence(&one.diagnosis.conclusion),
        "findings": one.diagnosis.findings,
        "loops": loops,
        "remarks": one.remarks,
    })
}

fn loop_object(results: &Results, row: &LoopResult) -> Value {
    let header = &results.header;
    json!({
        "trunk_id": header.trunks.get(usize::from(row.trunk)).map(|trunk| &trunk.id),
        "user": header.users.get(row.agent as usize),
        "call_id": header.call_ids.get(row.agent as usize),
        "loop_kind": row.kind,
        "code": row.code,
        "reason": row.reason,
        "attempts": row.attempts,
        "first_seen": header.utc(row.first_seen_ns),
        "last_seen": header.utc(row.last_seen_ns),
        "mean_period_s": mean_period_s(row),
        "missing_step": HandshakeStep::missing_in(row).map(HandshakeStep::as_str),
    })
}

/// Up to [`NAMED`] users, and how many more there are.
fn named(users: &[String], of: u64) -> String {
    let shown = &users[..users.len().min(NAMED)];
    let more = of.saturating_sub(shown.len() as u64);
    let more = if more > 0 { Some(format!("+{more}")) } else { None };
    let all: Vec<_> = shown.iter().cloned().chain(more).collect();
    or_dash(&all.join(",")).to_owned()
}

fn or_dash(text: &str) -> &str {
    if text.is_empty() { "-" } else { text }
}

/// Users named in a line.
const NAMED: usize = 3;
