//! `report.html`: one self-contained page, without network or script, for the screen in light or dark and for A4.
//!
//! Here is the head of the page (verdict and the five figures people ask for first); the tables are in `sheets`, the
//! layout in `report.html.j2`, which escapes every value.

use super::charts::{self, Chart};
use super::sheets::{self, Sheet};
use super::template;
use super::text::{self, millis, percent, printable, thousands};
use super::words::{self, Outcomes};
use crate::diagnose::figures::{self, Distribution};
use crate::diagnose::{Finding, GeneratorVerdict, Judgement, Verdict};
use crate::record::Results;
use crate::vocab::Phase;
use serde::Serialize;

/// Renders the page.
pub fn render(results: &Results, judgement: &Judgement, findings: &[Finding]) -> Vec<u8> {
    let header = &results.header;
    let ended = words::ended_ns(results);
    let page = Page {
        name: printable(&header.name),
        version: printable(&header.tool_version),
        started: header.utc(0),
        ended: ended.map(|ns| header.utc(ns)).unwrap_or_default(),
        length: ended.map(text::length).unwrap_or_default(),
        simulated: header.simulated,
        torn: results.torn.as_deref().map(printable),
        verdict: verdict(results, judgement),
        doubts: judgement.generator_reasons.iter().map(|reason| printable(reason)).collect(),
        figures: [registered(results), availability(results), slowest(results), refused(results), sound(judgement)],
        findings: findings.iter().map(finding).collect(),
        charts: charts::all(results),
        sheets: sheets::all(results, judgement),
    };
    template::render("report.html.j2", include_str!("report.html.j2"), &page).into_bytes()
}

#[derive(Serialize)]
struct Page {
    name: String,
    version: String,
    started: String,
    ended: String,
    length: String,
    simulated: bool,
    torn: Option<String>,
    verdict: Banner,
    /// What the generator holds against itself.
    doubts: Vec<String>,
    figures: [Card; 5],
    findings: Vec<FindingView>,
    charts: Vec<Chart>,
    sheets: Vec<Sheet>,
}

#[derive(Serialize)]
struct Banner {
    word: &'static str,
    /// `good`, `bad` or `doubt`: a colour, always beside the word.
    tone: &'static str,
    sentence: String,
}

/// One of the five figures.
#[derive(Serialize)]
struct Card {
    label: &'static str,
    value: String,
    detail: String,
    tone: &'static str,
}

#[derive(Serialize)]
struct FindingView {
    id: String,
    severity: String,
    trunk: String,
    summary: String,
    /// How often, when, how sure.
    extent: String,
    evidence: String,
    rejected: String,
    cost: String,
    advice: Vec<String>,
    tone: &'static str,
}

fn verdict(results: &Results, judgement: &Judgement) -> Banner {
    let (word, tone) = match judgement.verdict {
        Verdict::Pass => ("Passed", "good"),
        Verdict::Fail => ("Failed", "bad"),
        Verdict::Invalid => ("Invalid", "doubt"),
        Verdict::Interrupted => ("Interrupted", "doubt"),
    };
    let totals = &results.totals;
    let sentence = format!(
        "{} {} of {} agents were registered at the peak.",
        words::verdict(results, judgement),
        thousands(totals.agents_registered_peak),
        thousands(totals.agents)
    );
    Banner { word, tone, sentence }
}

fn registered(results: &Results) -> Card {
    let totals = &results.totals;
    let share = figures::percent(totals.agents_registered_peak, totals.agents);
    let share = share.map(|share| format!("{} of the agents at the peak; ", percent(share))).unwrap_or_default();
    Card {
        label: "Registered",
        value: format!("{} of {}", thousands(totals.agents_registered_peak), thousands(totals.agents)),
        detail: format!("{share}{} when the load ended", thousands(totals.agents_registered_at_end)),
        tone: "",
    }
}

fn availability(results: &Results) -> Card {
    let totals = &results.totals;
    let (value, detail) = match figures::availability_pct(totals) {
        None => ("unknown".to_owned(), "no agent was planned".to_owned()),
        Some(share) => {
            let available = text::minutes(figures::agent_minutes_available(totals));
            let planned = text::minutes(figures::agent_minutes_planned(totals));
            (percent(share), format!("{available} of {planned} planned agent-minutes"))
        }
    };
    Card { label: "Availability", value, detail, tone: "" }
}

fn slowest(results: &Results) -> Card {
    let register = Distribution::of_phase(&results.totals, Phase::Register);
    let ms = |us: u64| format!("{} ms", millis(us as f64));
    Card {
        label: "Slowest one in a hundred",
        value: register.p99.map_or_else(|| "unknown".to_owned(), ms),
        detail: register
            .p50
            .map_or_else(|| "no registration succeeded".to_owned(), |us| format!("typical: {}", ms(us))),
        tone: "",
    }
}

fn refused(results: &Results) -> Card {
    let outcomes = Outcomes::of(&results.totals.sums.status);
    let detail = match words::refusals(results).first() {
        Some(top) => format!("most often {} {} ({}\u{d7})", top.code, printable(&top.reason), thousands(top.count)),
        None => "the server refused nobody".to_owned(),
    };
    let unanswered = match outcomes.unanswered {
        0 => String::new(),
        n => format!("; {} without an answer", thousands(n)),
    };
    Card {
        label: "Attempts refused",
        value: format!("{} of {}", thousands(outcomes.refused), thousands(results.totals.attempts)),
        detail: format!("{detail}{unanswered}"),
        tone: if outcomes.refused + outcomes.unanswered > 0 { "bad" } else { "good" },
    }
}

fn sound(judgement: &Judgement) -> Card {
    let (value, tone) = match judgement.generator {
        GeneratorVerdict::Valid => ("Yes", "good"),
        GeneratorVerdict::Suspect => ("With reservations", "doubt"),
        GeneratorVerdict::Invalid => ("No", "bad"),
    };
    let detail = words::generator(judgement).to_owned();
    Card { label: "Was the test itself sound?", value: value.to_owned(), detail, tone }
}

fn finding(finding: &Finding) -> FindingView {
    FindingView {
        id: printable(&finding.id),
        severity: printable(&finding.severity),
        trunk: printable(&finding.trunk_id),
        summary: printable(&finding.summary),
        extent: printable(&format!(
            "{} agents, {} attempts, {} to {}, confidence {}",
            thousands(finding.agents),
            thousands(finding.attempts),
            finding.first_seen,
            finding.last_seen,
            finding.confidence
        )),
        evidence: printable(&finding.evidence),
        rejected: printable(&finding.rejected),
        cost: printable(&finding.cost),
        advice: finding.advice.split(" | ").filter(|text| !text.is_empty()).map(printable).collect(),
        tone: match finding.severity.as_str() {
            "critical" => "bad",
            "warning" => "doubt",
            _ => "",
        },
    }
}
