//! `summary.csv`: the one page for a steering committee. Plain words, no SIP needed.
//!
//! A target from the profile stands beside the figure it is about; targets about other figures
//! follow at the end, so that a failed run never has a page without the reason.

use super::csv::Table;
use super::facts;
use super::go_live::go_live;
use super::text::{cell, decimal, printable};
use super::words::{self, Outcomes};
use crate::diagnose::figures::{self, Distribution, Unit};
use crate::diagnose::{Finding, GeneratorVerdict, Judgement, ThresholdOutcome, Verdict};
use crate::record::Results;
use crate::record::results::day;
use crate::vocab::{Phase, Status};

/// Renders the file.
pub fn render(results: &Results, judgement: &Judgement, findings: &[Finding]) -> Vec<u8> {
    let mut table = Table::new("summary.csv");
    let live = go_live(results, judgement, findings);
    let live = row("Can we go live?", live.answer.to_lowercase(), "", "", &live.because);
    let mut rows = vec![verdict(results, judgement), soundness(judgement), live];
    rows.extend(setting(results));
    rows.extend(agents(results));
    rows.extend(attempts(results));
    rows.extend(times(results));
    let shown: Vec<&'static str> = rows.iter().map(|row| row.about).filter(|about| !about.is_empty()).collect();
    for row in &rows {
        let (target, result) = row.target.clone().unwrap_or_else(|| target_of(row.about, judgement));
        table.row([row.metric, &row.value, row.unit, &target, result, &row.meaning]);
    }
    let others =
        judgement.thresholds.iter().filter(|t| t.trunk.is_some() || !shown.contains(&t.metric.canonical().as_str()));
    for outcome in others {
        let (value, unit) = value_and_unit(outcome);
        table.row([
            &*format!("Target: {}", words::plain(outcome)),
            &value,
            unit,
            &words::target(outcome),
            met(outcome.pass),
            &format!("a target that the profile sets for this run: {}", outcome.name),
        ]);
    }
    table.into_bytes()
}

struct SummaryRow {
    metric: &'static str,
    value: String,
    unit: &'static str,
    /// The plain name of the metric whose targets belong here; empty when none does.
    about: &'static str,
    /// A target that is no threshold.
    target: Option<(String, &'static str)>,
    meaning: String,
}

fn row(metric: &'static str, value: String, unit: &'static str, about: &'static str, meaning: &str) -> SummaryRow {
    SummaryRow { metric, value, unit, about, target: None, meaning: meaning.to_owned() }
}

fn verdict(results: &Results, judgement: &Judgement) -> SummaryRow {
    let value = match judgement.verdict {
        Verdict::Pass => "passed",
        Verdict::Fail => "failed",
        Verdict::Invalid => "invalid",
        Verdict::Interrupted => "interrupted",
    };
    let result = met(judgement.verdict == Verdict::Pass);
    let mut row = row("Verdict", value.to_owned(), "", "", &words::verdict(results, judgement));
    row.target = Some(("passed".to_owned(), result));
    row
}

/// What was run, when and against whom.
fn setting(results: &Results) -> [SummaryRow; 3] {
    let header = &results.header;
    let length = words::ended_ns(results).map(words::span).unwrap_or_default();
    let when = match header.simulated {
        true => format!("a rehearsal of {length} in virtual time; its clock is no calendar"),
        false => format!("{} UTC, for {length}", day(header.unix_ns(0))),
    };
    [
        row("Name of the run", printable(&header.name), "", "", "as the profile calls it"),
        row("Start of the run", header.utc(0), "", "", &when),
        row("Registrar", printable(&facts::registrars(results)), "", "", "what the agents signed in to"),
    ]
}

fn soundness(judgement: &Judgement) -> SummaryRow {
    let value = match judgement.generator {
        GeneratorVerdict::Valid => "yes",
        GeneratorVerdict::Suspect => "with reservations",
        GeneratorVerdict::Invalid => "no",
    };
    let mut row = row("Was the test itself sound?", value.to_owned(), "", "", words::generator(judgement));
    row.target = Some(("yes".to_owned(), met(judgement.generator == GeneratorVerdict::Valid)));
    row
}

fn agents(results: &Results) -> Vec<SummaryRow> {
    let totals = &results.totals;
    let availability = figures::availability_pct(totals);
    let left = figures::bindings_left(results);
    let left_says = words::bindings_left(results);
    let mut rows = vec![
        row("Agents in the test", totals.agents.to_string(), "agents", "agents", "phones that were to sign in"),
        row(
            "Agents signed in at the peak",
            totals.agents_registered_peak.to_string(),
            "agents",
            "agents_registered_peak",
            "the most that could be reached at one moment",
        ),
        row(
            "Agents signed in at the end of the load",
            totals.agents_registered_at_end.to_string(),
            "agents",
            "agents_registered_at_end",
            "those that could be reached when the test began to wind down",
        ),
        row(
            "Nine in ten agents signed in within",
            cell(figures::signed_in_after(results, 90).map(|ns| decimal(ns as f64 / 1e9, 3))),
            "s",
            "",
            "from the start of the test; empty when so many never did",
        ),
        row(
            "All agents signed in within",
            cell(figures::signed_in_after(results, 100).map(|ns| decimal(ns as f64 / 1e9, 3))),
            "s",
            "",
            "from the start of the test; empty when some never did",
        ),
        row(
            "Availability",
            cell(availability.map(|share| decimal(share, 4))),
            "%",
            "availability_pct",
            "share of the planned time in which agents could be reached",
        ),
        row(
            "Bindings left at the registrar",
            left.count.to_string(),
            "bindings",
            "",
            left_says.as_deref().unwrap_or("no agent was left signed in"),
        ),
        row(
            "Agents stuck in a refusal loop",
            totals.agents_looping.to_string(),
            "agents",
            "agents_looping",
            "refused the same way three times running or more",
        ),
    ];
    rows.extend(words::canary(results).map(|says| {
        let failed = totals.sums.canary.failed.to_string();
        row("Checks of the canary that failed", failed, "checks", "canary_failed", &says)
    }));
    rows
}

fn attempts(results: &Results) -> Vec<SummaryRow> {
    let totals = &results.totals;
    let outcomes = Outcomes::of(&totals.sums.status);
    let success = figures::percent(outcomes.registered, totals.attempts);
    let counted = |metric, count: u64, statuses: &[Status], none: &str| {
        let how = words::listed(results, statuses);
        row(metric, count.to_string(), "attempts", "", if how.is_empty() { none } else { &how })
    };
    vec![
        row(
            "Sign-in attempts",
            totals.attempts.to_string(),
            "attempts",
            "attempts",
            "first tries, renewals and retries",
        ),
        row(
            "Attempts that succeeded",
            cell(success.map(|share| decimal(share, 4))),
            "%",
            "success_ratio",
            &format!("{} of {} attempts", outcomes.registered, totals.attempts),
        ),
        counted(
            "Attempts refused",
            outcomes.refused,
            &[Status::AuthenticationFailed, Status::RegistrationRejected, Status::ServiceUnavailable],
            "the server refused nobody",
        ),
        counted(
            "Attempts without an answer",
            outcomes.unanswered,
            &[Status::RequestTimeout, Status::TransportError],
            "every attempt was answered",
        ),
        counted(
            "Attempts cut short",
            outcomes.cut_short,
            &[Status::ProtocolError, Status::Shed, Status::Abandoned],
            "none was held back, left open or answered in a way that could not be used",
        ),
    ]
}

fn times(results: &Results) -> Vec<SummaryRow> {
    let register = Distribution::of_phase(&results.totals, Phase::Register);
    let ms = |us: Option<u64>| cell(us.map(|us| decimal(us as f64 / 1e3, 3)));
    vec![
        row(
            "Typical time to sign in",
            ms(register.p50),
            "ms",
            "register.p50",
            "half of the successful ones were faster",
        ),
        row(
            "Slowest one in a hundred",
            ms(register.p99),
            "ms",
            "register.p99",
            "99 of 100 successful sign-ins were faster than this",
        ),
    ]
}

/// The targets for a metric of the whole run, and whether all of them were met.
fn target_of(about: &str, judgement: &Judgement) -> (String, &'static str) {
    let targets: Vec<&ThresholdOutcome> = judgement
        .thresholds
        .iter()
        .filter(|outcome| outcome.trunk.is_none() && outcome.metric.canonical() == about)
        .collect();
    if targets.is_empty() {
        return (String::new(), "");
    }
    let words: Vec<_> = targets.iter().map(|outcome| words::target(outcome)).collect();
    (words.join(" and "), met(targets.iter().all(|outcome| outcome.pass)))
}

fn value_and_unit(outcome: &ThresholdOutcome) -> (String, &'static str) {
    let (scale, unit) = match outcome.unit {
        Unit::Count => (1.0, ""),
        Unit::Ratio => (100.0, "%"),
        Unit::Percent => (1.0, "%"),
        Unit::Microseconds => (1e-3, "ms"),
        Unit::AgentMinutes => (1.0, "agent-minutes"),
    };
    (cell(outcome.value.map(|value| decimal(scale * value, 4))), unit)
}

fn met(pass: bool) -> &'static str {
    if pass { "met" } else { "missed" }
}
