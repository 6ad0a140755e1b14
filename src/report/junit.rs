//! `junit.xml`: one test case per threshold, for build servers, and one more for the condition of
//! `abort_on` that stopped the run, if one did. Without either there is one for the run itself: a
//! file without a case is an error to Jenkins. In a run that was interrupted, or whose generator
//! fell behind, every case is an error and none a failure of the server: its figures would mislead.
//!
//! There are two grammars of this format, Ant's and the wider one of Jenkins and Surefire, and
//! readers that hold files to either. So this one keeps to what both allow: no attributes of the
//! outermost element, times without fractions of a second, output of the suite alone.

use super::text::{self, printable};
use super::{template, words};
use crate::diagnose::metric::Metric;
use crate::diagnose::{self, Finding, Judgement, ThresholdOutcome, Verdict};
use crate::record::Results;
use crate::record::results::Aborted;
use crate::vocab::Severity;
use serde::Serialize;

/// Renders the file.
pub fn render(results: &Results, judgement: &Judgement, findings: &[Finding]) -> Vec<u8> {
    let error = error(results, judgement);
    let stopped = diagnose::aborted(results).map(|aborted| condition(aborted, &words::verdict(results, judgement)));
    let mut targets: Vec<ThresholdCase> =
        judgement.thresholds.iter().map(|outcome| target(outcome, findings)).chain(stopped).collect();
    if targets.is_empty() {
        targets.push(the_run());
    }
    let failed = targets.iter().filter(|target| !target.pass).count();
    let suites = Suites {
        name: printable(&results.header.name),
        host: host(&results.header.host.name),
        started: whole_second(&results.header.utc(0)).to_owned(),
        seconds: text::seconds(words::ended_ns(results).unwrap_or(0)),
        verdict: judgement.verdict.as_str(),
        sentence: words::verdict(results, judgement),
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
    /// The verdict, for people.
    sentence: String,
    failures: usize,
    errors: usize,
    targets: Vec<ThresholdCase>,
    error: Option<RunError>,
    generator: String,
}

#[derive(Serialize)]
struct ThresholdCase {
    /// With its expression.
    name: String,
    /// What a miss is called.
    kind: &'static str,
    pass: bool,
    message: String,
    /// Why a target was missed, as far as that is known.
    findings: Vec<String>,
}

#[derive(Serialize)]
struct RunError {
    r#type: &'static str,
    message: String,
}

fn target(outcome: &ThresholdOutcome, findings: &[Finding]) -> ThresholdCase {
    let message = format!("{} is {}, asked for: {}", outcome.name, words::value(outcome), words::target(outcome));
    ThresholdCase {
        name: printable(&format!("{} {}", outcome.name, outcome.expr)),
        kind: "threshold",
        pass: outcome.pass,
        message: printable(&message),
        findings: findings.iter().filter(|finding| explains(finding, outcome)).flat_map(lines).collect(),
    }
}

/// Whether a finding may be why this target was missed: it counts findings like this one, or it is
/// about the run or trunk of whose figures something was asked.
fn explains(finding: &Finding, outcome: &ThresholdOutcome) -> bool {
    let trunk = outcome.trunk.as_deref();
    match outcome.metric {
        Metric::Findings(severity) => finding.is_of(severity, trunk),
        _ if finding.trunk_id.is_empty() => finding.severity != Severity::Info,
        _ => [Severity::Warning, Severity::Critical].into_iter().any(|severity| finding.is_of(severity, trunk)),
    }
}

/// What was found, and what to do about it.
fn lines(finding: &Finding) -> [String; 2] {
    let Finding { id, severity, trunk_id, summary, advice, .. } = finding;
    let of = if trunk_id.is_empty() { String::new() } else { format!(" {trunk_id}") };
    [printable(&format!("{id} {severity}{of}: {summary}")), printable(&format!("  advice: {advice}"))]
}

/// The one case of a run of which nothing was asked.
fn the_run() -> ThresholdCase {
    ThresholdCase {
        name: "the run is valid".to_owned(),
        kind: "run",
        pass: true,
        message: "nothing was asked of its figures".to_owned(),
        findings: Vec::new(),
    }
}

fn condition(aborted: &Aborted, verdict: &str) -> ThresholdCase {
    ThresholdCase {
        name: printable(&format!("abort_on {} {}", aborted.name, aborted.expr)),
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

fn host(name: &str) -> String {
    let name = printable(name);
    if name.trim().is_empty() { "localhost".to_owned() } else { name }
}

/// `2026-11-21T01:02:03` of `2026-11-21T01:02:03.004Z`.
fn whole_second(utc: &str) -> &str {
    utc.split_once('.').map_or(utc, |(second, _)| second)
}

fn generator(judgement: &Judgement) -> String {
    let mut lines = vec![judgement.generator.as_str().to_owned()];
    lines.extend(judgement.generator_reasons.iter().map(|reason| printable(reason)));
    lines.join("; ")
}
