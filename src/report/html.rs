//! `report.html`: one self-contained page without network, for the screen in light or dark and for
//! paper.
//!
//! Here is the head of the page, verdict and the five figures people ask for first; the charts are
//! in `charts`, the tables in `sheets`, what was left out in `untested`, the layout in
//! `report.html.j2`, which escapes every value. All of it can be read without script; where one
//! runs, `script` has the charts drawn so that they can be read closely.

use super::charts::{self, Chart};
use super::found::{self, GroupedFinding};
use super::go_live::go_live;
use super::names;
use super::script::Script;
use super::sheets::{self, Sheet};
use super::template;
use super::text::{self, millis, percent, printable, thousands};
use super::untested::{Untested, untested};
use super::words::{self, Outcomes};
use crate::diagnose::figures::{self, Distribution};
use crate::diagnose::{Finding, GeneratorVerdict, Judgement, Verdict};
use crate::record::Results;
use crate::vocab::{Phase, Severity};
use serde::Serialize;

/// Renders the page.
pub fn render(results: &Results, judgement: &Judgement, findings: &[Finding]) -> Vec<u8> {
    let header = &results.header;
    let ended = words::ended_ns(results);
    let charts = charts::all(results);
    let page = RunPage {
        name: printable(&header.name),
        version: printable(&header.tool_version),
        origin: "from the raw record of the run. The same figures as data: run.json and the CSV files beside this page.",
        started: header.utc(0),
        ended: ended.map(|ns| header.utc(ns)).unwrap_or_default(),
        length: ended.map(text::length).unwrap_or_default(),
        simulated: header.simulated,
        torn: results.torn.as_deref().map(printable),
        verdict: verdict(results, judgement, findings),
        doubts: judgement.generator_reasons.iter().map(|reason| printable(reason)).collect(),
        sound: (judgement.generator != GeneratorVerdict::Invalid).then(|| words::generator(judgement)),
        figures: [
            registered(results),
            availability(results),
            slowest(results),
            refused(results),
            live(results, judgement, findings),
        ],
        findings: found::all(findings),
        script: Script::drawing(&charts),
        charts,
        untested: untested(results),
        sheets: sheets::all(results, judgement).into_iter().chain(names::sheet(results)).collect(),
    };
    template::render("report.html.j2", include_str!("report.html.j2"), &page).into_bytes()
}

#[derive(Serialize)]
struct RunPage {
    name: String,
    version: String,
    /// From what the page was made, as the middle of a sentence and what follows it.
    origin: &'static str,
    started: String,
    ended: String,
    length: String,
    simulated: bool,
    torn: Option<String>,
    verdict: Banner,
    /// What the generator holds against itself.
    doubts: Vec<String>,
    /// Whether the figures describe the server, in a sentence; an invalid run's verdict says so
    /// itself.
    sound: Option<&'static str>,
    figures: [Card; 5],
    findings: Vec<GroupedFinding>,
    charts: Vec<Chart>,
    untested: Vec<Untested>,
    script: Script,
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

fn verdict(results: &Results, judgement: &Judgement, findings: &[Finding]) -> Banner {
    let (word, tone) = match judgement.verdict {
        Verdict::Pass => ("Passed", "good"),
        Verdict::Fail => ("Failed", "bad"),
        Verdict::Invalid => ("Invalid", "doubt"),
        Verdict::Interrupted => ("Interrupted", "doubt"),
    };
    let mut sentence = words::verdict(results, judgement);
    let missed = words::missed(judgement);
    if judgement.verdict == Verdict::Fail && !missed.is_empty() {
        sentence = format!("{}: {missed}.", sentence.trim_end_matches('.'));
    }
    match findings.first().filter(|finding| finding.severity == Severity::Critical) {
        Some(cause) if judgement.verdict == Verdict::Fail => {
            let of = if cause.trunk_id.is_empty() { String::new() } else { format!(" on {}", cause.trunk_id) };
            sentence.push_str(&format!(" Main cause{of}: {}.", cause.summary));
        }
        _ => sentence.push_str(&peak(results)),
    }
    Banner { word, tone, sentence: printable(&sentence) }
}

fn peak(results: &Results) -> String {
    let totals = &results.totals;
    let (peak, agents) = (totals.agents_registered_peak, totals.agents);
    let were = if agents == 1 { "was" } else { "were" };
    format!(" {} of {} {were} registered at the peak.", thousands(peak), text::counted(agents, "agent"))
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
            let (available, planned) =
                text::minutes_of(figures::agent_minutes_available(totals), figures::agent_minutes_planned(totals));
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

fn live(results: &Results, judgement: &Judgement, findings: &[Finding]) -> Card {
    let live = go_live(results, judgement, findings);
    // The verdict above has told why a run failed; here is room for less.
    let because = if judgement.verdict == Verdict::Fail { words::verdict(results, judgement) } else { live.because };
    Card { label: "Can we go live?", value: live.answer.to_owned(), detail: printable(&because), tone: live.tone }
}
