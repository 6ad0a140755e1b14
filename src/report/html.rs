//! `report.html`: one self-contained page without network, for the screen in light or dark and for
//! paper.
//!
//! Here is the head of the page, verdict and the six figures people ask for first; what was tested
//! is in `facts`, the run before in `last_good`, what to ask in `carrier`; the charts are
//! in `charts`, the tables in `sheets`, what was left out in `untested`, the layout in
//! `report.html.j2`, which escapes every value. All of it can be read without script; where one
//! runs, `script` has the charts drawn so that they can be read closely.

use super::carrier::{self, CarrierText};
use super::charts::{self, Chart};
use super::checked;
use super::facts::{self, Fact};
use super::found::{self, GroupedFinding};
use super::go_live::go_live;
use super::last_good::{self, LastGood};
use super::machine_sheet;
use super::names;
use super::script::Script;
use super::sheets::{self, Quiet, Sheet};
use super::template;
use super::text::{self, decimal, millis, percent, printable, thousands};
use super::trend::TrendRun;
use super::untested::{Untested, untested};
use super::words::{self, Outcomes};
use crate::diagnose::figures::{self, Distribution};
use crate::diagnose::{Finding, GeneratorVerdict, Judgement, ThresholdOutcome, Verdict};
use crate::record::Results;
use crate::vocab::{Phase, Severity};
use serde::Serialize;

/// What a page says beyond its own run.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// The day a rehearsal was carried out, in words; its own times are virtual.
    pub rehearsed: Option<String>,
    /// See `last_good`.
    pub last_good: Option<TrendRun>,
    /// Whether `trend.html` lies beside the page.
    pub has_trend: bool,
}

/// Renders the page.
pub fn render(results: &Results, judgement: &Judgement, findings: &[Finding], around: &Surroundings) -> Vec<u8> {
    let header = &results.header;
    let ended = words::ended_ns(results);
    let charts = charts::all(results);
    let (sheets, quiet) = sheets::all(results, judgement);
    let page = RunPage {
        name: printable(&header.name),
        version: printable(&header.tool_version),
        origin: "from the raw record of the run. The same figures as data: run.json and the CSV files beside this page.",
        started: header.utc(0),
        ended: ended.map(|ns| header.utc(ns)).unwrap_or_default(),
        length: ended.map(text::length).unwrap_or_default(),
        simulated: header.simulated,
        facts: facts::all(results, judgement, around.rehearsed.as_deref()),
        torn: results.torn.as_deref().map(printable),
        verdict: verdict(results, judgement, findings),
        doubts: judgement.generator_reasons.iter().map(|reason| printable(reason)).collect(),
        sound: (judgement.generator != GeneratorVerdict::Invalid).then(|| words::generator(judgement)),
        figures: [
            live(results, judgement, findings),
            registered(results, judgement),
            availability(results, judgement),
            lost(results, judgement),
            slowest(results, judgement),
            refused(results, judgement),
        ],
        last_good: around.last_good.as_ref().map(|good| last_good::beside(results, good)),
        has_trend: around.has_trend,
        ask: carrier::texts(results, findings),
        ask_lead: carrier::lead(results, judgement),
        findings: found::all(results, findings),
        script: Script::drawing(&charts),
        charts,
        untested: untested(results),
        sheets: machine_sheet::sheet(results)
            .into_iter()
            .chain(sheets)
            .chain(names::sheets(results))
            .chain(checked::sheet(results))
            .collect(),
        quiet,
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
    facts: Vec<Fact>,
    torn: Option<String>,
    verdict: Banner,
    /// What the generator holds against itself.
    doubts: Vec<String>,
    /// Whether the figures describe the server, in a sentence; an invalid run's verdict says so
    /// itself.
    sound: Option<&'static str>,
    figures: [Card; 6],
    last_good: Option<LastGood>,
    has_trend: bool,
    ask: Vec<CarrierText>,
    ask_lead: &'static str,
    findings: Vec<GroupedFinding>,
    charts: Vec<Chart>,
    untested: Vec<Untested>,
    script: Script,
    sheets: Vec<Sheet>,
    quiet: Vec<Quiet>,
}

#[derive(Serialize)]
struct Banner {
    word: &'static str,
    /// `good`, `bad` or `doubt`: a colour, always beside the word.
    tone: &'static str,
    sentence: String,
}

/// One of the six figures.
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

/// Red where a target for one of these metrics was missed; a green card says no more than a target
/// that was met.
fn tone(judgement: &Judgement, metrics: &[&str]) -> &'static str {
    let about =
        |outcome: &&ThresholdOutcome| outcome.trunk.is_none() && metrics.contains(&outcome.metric.canonical().as_str());
    let met: Vec<bool> = judgement.thresholds.iter().filter(about).map(|outcome| outcome.pass).collect();
    match met.iter().all(|pass| *pass) {
        _ if met.is_empty() => "",
        true => "good",
        false => "bad",
    }
}

fn registered(results: &Results, judgement: &Judgement) -> Card {
    let totals = &results.totals;
    let share = figures::percent(totals.agents_registered_peak, totals.agents);
    let share = share.map(|share| format!("{} of the agents at the peak; ", percent(share))).unwrap_or_default();
    let cut_off = match totals.agents_registered_at_end - totals.agents_reachable_at_end {
        0 => String::new(),
        cut_off => format!(", {} of them without a connection", thousands(cut_off)),
    };
    Card {
        label: "Signed in",
        value: format!("{} of {}", thousands(totals.agents_registered_peak), thousands(totals.agents)),
        detail: format!("{share}{} when the load ended{cut_off}", thousands(totals.agents_registered_at_end)),
        tone: tone(
            judgement,
            &["agents_registered_peak", "agents_registered_at_end", "agents_reachable_at_end", "agents"],
        ),
    }
}

fn availability(results: &Results, judgement: &Judgement) -> Card {
    let totals = &results.totals;
    let (value, detail) = match figures::availability_pct(totals) {
        None => ("unknown".to_owned(), "no agent was planned".to_owned()),
        Some(share) => (percent(share), "of the time in which agents were planned, they could be reached".to_owned()),
    };
    let tone = tone(judgement, &["availability_pct", "agent_minutes_available"]);
    Card { label: "Availability", value, detail, tone }
}

/// In the phase that was tested, from the first arrival to the end of the load.
fn lost(results: &Results, judgement: &Judgement) -> Card {
    let totals = &results.totals;
    let (available, planned) = (figures::agent_minutes_available(totals), figures::agent_minutes_planned(totals));
    let hours = (planned - available).max(0.0) / 60.0;
    let (part, whole) = text::minutes_of(available, planned);
    Card {
        label: "Agent-hours lost",
        value: match hours {
            _ if planned <= 0.0 => "unknown".to_owned(),
            _ if hours > 0.0 && hours < 0.01 => "under 0.01".to_owned(),
            _ => decimal(hours, 2),
        },
        detail: format!("in the phase tested; {part} of {whole} planned agent-minutes were available"),
        tone: tone(judgement, &["availability_pct", "agent_minutes_available"]),
    }
}

fn slowest(results: &Results, judgement: &Judgement) -> Card {
    let register = Distribution::of_phase(&results.totals, Phase::Register);
    let ms = |us: u64| format!("{} ms", millis(us as f64));
    Card {
        label: "Slowest one in a hundred",
        value: register.p99.map_or_else(|| "unknown".to_owned(), ms),
        detail: register
            .p50
            .map_or_else(|| "no registration succeeded".to_owned(), |us| format!("typical: {}", ms(us))),
        tone: tone(
            judgement,
            &["register.p50", "register.p90", "register.p95", "register.p99", "register.p999", "register.max"],
        ),
    }
}

fn refused(results: &Results, judgement: &Judgement) -> Card {
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
        tone: match tone(judgement, &REFUSALS) {
            "" if outcomes.refused + outcomes.unanswered > 0 => "bad",
            "" => "good",
            targets => targets,
        },
    }
}

fn live(results: &Results, judgement: &Judgement, findings: &[Finding]) -> Card {
    let live = go_live(results, judgement, findings);
    // The verdict above has told why a run failed; here is room for less.
    let because = if judgement.verdict == Verdict::Fail { words::verdict(results, judgement) } else { live.because };
    Card { label: "Can we go live?", value: live.answer.to_owned(), detail: printable(&because), tone: live.tone }
}

/// What a target about refusals is about.
const REFUSALS: [&str; 7] = [
    "success_ratio",
    "agents_looping",
    "authentication_failed",
    "registration_rejected",
    "service_unavailable",
    "request_timeout",
    "transport_error",
];
