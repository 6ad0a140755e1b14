//! `junit.xml`: one test case per threshold, for build servers. In a run that was interrupted, or whose generator fell
//! behind, every case is an error and none a failure of the server: its figures would mislead.

use super::text::{self, printable};
use super::{template, words};
use crate::diagnose::{Finding, Judgement, ThresholdOutcome, Verdict};
use crate::record::Results;
use serde::Serialize;

/// Renders the file.
pub fn render(results: &Results, judgement: &Judgement, findings: &[Finding]) -> Vec<u8> {
    let error = error(results, judgement);
    let failed = judgement.thresholds.iter().filter(|outcome| !outcome.pass).count();
    let suites = Suites {
        name: printable(&results.header.name),
        host: printable(&results.header.host.name),
        started: text::utc(&results.header, 0).trim_end_matches('Z').to_owned(),
        seconds: text::seconds(words::ended_ns(results).unwrap_or(0)),
        verdict: judgement.verdict.as_str(),
        failures: if error.is_none() { failed } else { 0 },
        errors: if error.is_some() { judgement.thresholds.len() } else { 0 },
        targets: judgement.thresholds.iter().map(|outcome| target(outcome, findings)).collect(),
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
        pass: outcome.pass,
        message: printable(&message),
        findings: meant.map(|f| printable(&format!("{} {}: {}", f.id, f.trunk_id, f.summary))).collect(),
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
