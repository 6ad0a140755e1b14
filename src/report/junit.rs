//! `junit.xml`: one test case per threshold, for build servers, and one more for the condition of `abort_on` that stopped
//! the run, if one did. In a run that was interrupted, or whose generator fell
//! behind, every case is an error and none a failure of the server: its figures would mislead.

use super::text::{self, printable};
use super::{template, words};
use crate::diagnose::{self, Finding, Judgement, ThresholdOutcome, Verdict};
use crate::record::Results;
use crate::record::results::Aborted;
use serde::Serialize;

/// Renders the file.
pub fn render(results: &Results, judgement: &Judgement, findings: &[Finding]) -> Vec<u8> {
    let error = error(results, judgement);
    let stopped = diagnose::aborted(results).map(|aborted| condition(aborted, &words::verdict(results, judgement)));
    let targets: Vec<Target> =
        judgement.thresholds.iter().map(|outcome| target(outcome, findings)).chain(stopped).collect();
    let failed = targets.iter().filter(|target| !target.pass).count();
    let suites = Suites {
        name: printable(&results.header.name),
        host: printable(&results.header.host.name),
        started: results.header.utc(0).trim_end_matches('Z').to_owned(),
        seconds: text::seconds(words::ended_ns(results).unwrap_or(0)),
        verdict: judgement.verdict.as_str(),
        failures: if error.is_none() { failed } else { 0 },
        errors: if error.is_some() { targets.len() } else { 0 },
        targets,
        error,
        generator: generator(judgement),
    };
    template::render("junit.xml.j2", include_str!("junit.xml.j2"), &suites).into_bytes()
}

#[derive(Serialize)]
struct Suites {
    name: String,
    host: String,
    started: String,
    seconds: String,
    verdict: &'static str,
    failures: usize,
    errors: usize,
    targets: Vec<Target>,
    error: Option<RunError>,
    generator: String,
}

#[derive(Serialize)]
struct Target {
    name: String,
    expr: String,
    /// What a miss is called.
    kind: &'static str,
    pass: bool,
    message: String,
    /// What a missed target on findings is about.
    findings: Vec<String>,
}

#[derive(Serialize)]
struct RunError {
    r#type: &'static str,
    message: String,
}

fn target(outcome: &ThresholdOutcome, findings: &[Finding]) -> Target {
    let message = format!("{} is {}, asked for: {}", outcome.name, words::value(outcome), words::target(outcome));
    let severity = outcome.metric.strip_prefix("findings.");
    let meant =
        findings.iter().filter(|f| severity.is_some_and(|severity| f.is_of(severity, outcome.trunk.as_deref())));
    Target {
        name: printable(&outcome.name),
        expr: printable(&outcome.expr),
        kind: "threshold",
        pass: outcome.pass,
        message: printable(&message),
        findings: meant.map(|f| printable(&format!("{} {}: {}", f.id, f.trunk_id, f.summary))).collect(),
    }
}

fn condition(aborted: &Aborted, verdict: &str) -> Target {
    Target {
        name: printable(&format!("abort_on {}", aborted.name)),
        expr: printable(&aborted.expr),
        kind: "abort_on",
        pass: false,
        message: verdict.to_owned(),
        findings: Vec::new(),
    }
}

fn error(results: &Results, judgement: &Judgement) -> Option<RunError> {
    let message = words::verdict(results, judgement);
    match judgement.verdict {
        Verdict::Interrupted => Some(RunError { r#type: "interrupted", message }),
        Verdict::Invalid => Some(RunError { r#type: "invalid", message }),
        Verdict::Pass | Verdict::Fail => None,
    }
}

fn generator(judgement: &Judgement) -> String {
    let mut lines = vec![judgement.generator.as_str().to_owned()];
    lines.extend(judgement.generator_reasons.iter().map(|reason| printable(reason)));
    lines.join("; ")
}
