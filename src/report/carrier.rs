//! "Ask your carrier": for each finding on the registrar's side a text to copy into a mail. It says
//! what was seen, when, how often and where to find it, and ends with the question.
//!
//! The questions are data beside the explanations of the findings; a finding about the test machine
//! has none.

use super::facts;
use super::platforms::InUse;
use super::text::{counted, printable, thousands};
use crate::diagnose::{Finding, GeneratorVerdict, Judgement, explain};
use crate::record::results::{day, time_of_day};
use crate::record::{Header, Results};
use crate::vocab::{Confidence, Severity};
use serde::Serialize;

/// A text to copy.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub(super) struct CarrierText {
    /// What it is about, as a heading.
    pub about: String,
    pub text: String,
}

/// A text for each kind of finding that has a question, the most severe first.
pub(super) fn texts(results: &Results, findings: &[Finding]) -> Vec<CarrierText> {
    let mut shown: Vec<(&Finding, Vec<&Finding>)> = Vec::new();
    for finding in findings.iter().filter(|finding| finding.severity > Severity::Info) {
        match shown.iter_mut().find(|(first, _)| first.id == finding.id) {
            Some((_, also)) => also.push(finding),
            None => shown.push((finding, Vec::new())),
        }
    }
    let text = |(first, also): (&Finding, Vec<&Finding>)| {
        let known = explain::finding(&first.id).filter(|known| !known.ask.is_empty())?;
        let about = match first.confidence {
            Confidence::Open => format!("{} (one of several causes that fit)", known.title),
            _ => known.title,
        };
        Some(CarrierText { about, text: printable_lines(&letter(results, first, &also, &known.ask)) })
    };
    shown.into_iter().filter_map(text).take(MOST_TEXTS).collect()
}

fn letter(results: &Results, finding: &Finding, also: &[&Finding], ask: &str) -> String {
    let header = &results.header;
    let trunk = header.trunks.iter().find(|trunk| trunk.id == finding.trunk_id);
    let mut lines = Vec::new();
    let whom = trunk.map_or_else(|| facts::registrars(results), |trunk| facts::registrar(trunk, header.simulated));
    lines.push(format!("Registrar: {whom}"));
    if let Some(trunk) = trunk.filter(|trunk| !trunk.sources.is_empty()) {
        lines.push(format!("Our addresses: {}", trunk.sources.join(", ")));
    }
    lines.push(format!("When: {}", window(header, finding.seen_ns)));
    let agents = counted(finding.agents, "phone");
    let attempts = counted(finding.attempts, "attempt");
    let planned = trunk.map_or(results.totals.agents, |trunk| trunk.agents.into());
    lines.push(format!("How many: {agents} of {} in {attempts} to register", thousands(planned)));
    lines.push(format!("What we saw: {}", finding.summary));
    if finding.confidence == Confidence::Open {
        lines.push("Another cause would look the same; we cannot tell the two apart from our side.".to_owned());
    }
    if !also.is_empty() {
        let others: Vec<&str> = also.iter().map(|finding| finding.trunk_id.as_str()).collect();
        lines.push(format!("The same on: {}", others.join(", ")));
    }
    if !finding.call_ids.is_empty() {
        lines.push(format!("Example Call-IDs: {}", finding.call_ids.join(", ")));
    }
    lines.push(format!("Our question: {ask}"));
    lines.join("\n")
}

/// The day and the times of a finding; of a rehearsal the time since its start.
fn window(header: &Header, (first, last): (u64, u64)) -> String {
    if header.simulated {
        let s = |ns: u64| super::text::length(ns);
        return format!("{} to {} after the start of a rehearsal", s(first), s(last));
    }
    let (from, until) = (header.unix_ns(first), header.unix_ns(last));
    let (day_from, day_until) = (day(from), day(until));
    let until = if day_from == day_until { time_of_day(until) } else { format!("{day_until}, {}", time_of_day(until)) };
    format!("{day_from}, {} to {until} UTC", time_of_day(from))
}

/// What to do with the texts.
pub(super) fn lead(results: &Results, judgement: &Judgement) -> &'static str {
    if results.header.simulated || InUse::on(results, "") == InUse::Embedded {
        "The registrar was the one built into regstorm, so there is nobody to ask; with your own registrar this text is \
         ready to be sent."
    } else if judgement.generator == GeneratorVerdict::Invalid {
        "Repeat the run on a quieter machine before you send this: this one could not keep its own schedule."
    } else {
        "Text to copy into a mail to whoever runs the registrar."
    }
}

fn printable_lines(text: &str) -> String {
    text.lines().map(printable).collect::<Vec<_>>().join("\n")
}

/// More would not be read.
const MOST_TEXTS: usize = 3;
