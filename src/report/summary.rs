//! The summary on standard output: at most 25 lines, aligned, plain enough for any terminal or log.

use super::go_live::Turnout;
use super::text::{self, printable};
use super::words;
use super::{checks, connections};
use crate::diagnose::figures::{self, Distribution};
use crate::diagnose::{Finding, Judgement, ThresholdOutcome, Verdict};
use crate::record::Results;
use crate::vocab::{Confidence, Phase, Status, format_duration};
use std::time::Duration;

/// Renders the summary; `dir` is where the files are.
pub fn render(results: &Results, judgement: &Judgement, findings: &[Finding], dir: &str) -> String {
    let mut lines = vec![title(results), String::new()];
    lines.push(labelled("verdict", &format!("{}  {}", verdict(judgement), words::verdict(results, judgement))));
    lines.extend(generator(results, judgement));
    lines.extend(baseline(results));
    lines.push(labelled("agents", &agents(results)));
    lines.push(labelled("signed in", &sign_in(results)));
    lines.push(labelled("availability", &availability(results)));
    lines.extend(words::canary(results).map(|canary| labelled("canary", &canary)));
    lines.extend(attempts(results));
    let connections = results.totals.sums.flows.as_deref();
    lines.extend(
        connections.map(|counts| labelled("connections", &connections::line(counts, &results.header.features))),
    );
    lines.extend(checks::line(results).map(|line| labelled("checks", &line)));
    lines.extend(latency(results));
    lines.extend(refused(results));
    lines.push(labelled("loops", &loops(results)));
    lines.extend(words::bindings_left(results).map(|left| labelled("left bound", &left)));
    // What is left of the lines belongs to findings and thresholds, half to each if both need it;
    // one more follows.
    let room = MOST_LINES.saturating_sub(lines.len() + 1);
    lines.extend(found(findings, room - judgement.thresholds.len().min(room / 2)));
    let room = MOST_LINES.saturating_sub(lines.len() + 1);
    lines.extend(thresholds(&judgement.thresholds, room));
    lines.push(labelled("files", &format!("{dir} (report.html, summary.csv, run.json)")));
    lines.iter().map(|line| format!("{}\n", line.trim_end())).collect()
}

fn title(results: &Results) -> String {
    let header = &results.header;
    let length = text::length(words::ended_ns(results).unwrap_or(0));
    let simulated = if header.simulated { "  simulated" } else { "" };
    let started = header.utc(0);
    format!("regstorm {}  {}  {started}  {length}{simulated}", header.tool_version, printable(&header.name))
}

fn verdict(judgement: &Judgement) -> &'static str {
    match judgement.verdict {
        Verdict::Pass => "PASS",
        Verdict::Fail => "FAIL",
        Verdict::Invalid => "INVALID",
        Verdict::Interrupted => "INTERRUPTED",
    }
}

fn generator(results: &Results, judgement: &Judgement) -> Vec<String> {
    let counts = &results.totals.generator;
    let on_time = counts.arrivals.saturating_sub(counts.arrivals_late);
    let lag = Distribution::of(Some(&results.lag_us)).p99;
    let lag = lag.map(|us| format!(", schedule lag p99 {} ms", text::millis(us as f64))).unwrap_or_default();
    let line = format!(
        "{}  {} of {} arrivals at most {} late{lag}",
        judgement.generator.as_str(),
        text::thousands(on_time),
        text::thousands(counts.arrivals),
        format_duration(Duration::from_nanos(results.header.generator.late_ns)),
    );
    let reasons = judgement.generator_reasons.iter().take(MOST_REASONS).map(|reason| labelled("", reason));
    std::iter::once(labelled("generator", &line)).chain(reasons).collect()
}

/// RFC 7502 §6.1, if it was measured.
fn baseline(results: &Results) -> Option<String> {
    let baseline = results.header.baseline.as_ref()?;
    let rate = text::thousands(baseline.valid_rate_per_s.into());
    let line = format!("this machine alone keeps {rate} registrations/s on loopback (measured {})", baseline.measured);
    Some(labelled("baseline", &line))
}

fn agents(results: &Results) -> String {
    let totals = &results.totals;
    let Turnout { agents, arrived, .. } = Turnout::of(results);
    let absent = match agents - arrived {
        0 => String::new(),
        absent => format!("; {} never arrived", text::thousands(absent)),
    };
    let cut_off = match totals.agents_registered_at_end - totals.agents_reachable_at_end {
        0 => String::new(),
        cut_off => format!(", {} of them without a connection", text::thousands(cut_off)),
    };
    format!(
        "{} of {} registered at the peak, {} at the end of the load{cut_off}{absent}",
        text::thousands(totals.agents_registered_peak),
        text::thousands(totals.agents),
        text::thousands(totals.agents_registered_at_end)
    )
}

/// How soon shares of the agents were in; those that never were are left out.
fn sign_in(results: &Results) -> String {
    let reached: Vec<String> = figures::SIGN_IN_SHARES
        .into_iter()
        .filter_map(|share| {
            let at = figures::signed_in_after(results, share)?;
            Some(format!("{share} % after {} s", text::decimal(at as f64 / 1e9, 3)))
        })
        .collect();
    if reached.is_empty() { "fewer than half of the agents".to_owned() } else { reached.join(", ") }
}

fn availability(results: &Results) -> String {
    let totals = &results.totals;
    match figures::availability_pct(totals) {
        None => "unknown, no agent was planned".to_owned(),
        Some(share) => {
            let (available, planned) =
                text::minutes_of(figures::agent_minutes_available(totals), figures::agent_minutes_planned(totals));
            let part = if share < 100.0 && available == planned { "nearly all" } else { &*available };
            format!("{} ({part} of {planned} agent-minutes)", text::percent(share))
        }
    }
}

/// The number of attempts and the statuses that occurred, three to a line.
fn attempts(results: &Results) -> Vec<String> {
    let totals = &results.totals;
    let counts = Status::ALL.map(|status| (status, totals.sums.status[status.index()]));
    let occurred: Vec<_> = counts
        .into_iter()
        .filter(|(_, count)| *count > 0)
        .map(|(status, count)| format!("{status} {}", text::thousands(count)))
        .collect();
    let total = text::thousands(totals.attempts);
    let mut lines = Vec::new();
    for three in occurred.chunks(3) {
        let (label, total) = if lines.is_empty() { ("attempts", format!("{total}: ")) } else { ("", String::new()) };
        lines.push(labelled(label, &format!("{total}{}", three.join(", "))));
    }
    if lines.is_empty() {
        lines.push(labelled("attempts", &total));
    }
    lines
}

fn latency(results: &Results) -> Vec<String> {
    let phases = [Phase::Register, Phase::RegisterService, Phase::Refresh];
    let measured = phases.map(|phase| (phase, Distribution::of_phase(&results.totals, phase)));
    let mut label = "latency";
    let mut lines = Vec::new();
    for (phase, distribution) in measured {
        if let (Some(p50), Some(p99)) = (distribution.p50, distribution.p99) {
            let (p50, p99) = (text::millis(p50 as f64), text::millis(p99 as f64));
            lines.push(labelled(label, &format!("{:<17}p50 {p50:>9} ms   p99 {p99:>9} ms", phase.as_str())));
            label = "";
        }
    }
    lines
}

fn refused(results: &Results) -> Vec<String> {
    let refusals = words::refusals(results);
    let shown = refusals.iter().take(MOST_REFUSALS).enumerate().map(|(i, refusal)| {
        let label = if i == 0 { "refused" } else { "" };
        labelled(
            label,
            &format!("{} x {} {}", text::thousands(refusal.count), refusal.code, printable(&refusal.reason)),
        )
    });
    shown.collect()
}

fn loops(results: &Results) -> String {
    let totals = &results.totals;
    match totals.agents_looping {
        0 => "no agent".to_owned(),
        n => format!("{} agents refused the same way three times running or more", text::thousands(n)),
    }
}

/// The findings in at most `room` lines, the most severe first, as they come.
fn found(findings: &[Finding], room: usize) -> Vec<String> {
    let shown = if findings.len() > room { room.saturating_sub(1) } else { findings.len() };
    let lines = findings.iter().take(shown).map(|finding| {
        let trunk = if finding.trunk_id.is_empty() { String::new() } else { format!(" {}", finding.trunk_id) };
        // Whoever reads no further must not take one of several causes for the cause.
        let doubt = match finding.confidence {
            Confidence::Open => " (open)",
            Confidence::Low => " (low confidence)",
            Confidence::Medium | Confidence::High => "",
        };
        printable(&format!("{}  {}{trunk}: {}{doubt}", finding.severity, finding.id, finding.summary))
    });
    let left = findings.len() - shown;
    let more = (left > 0).then(|| format!("+{left} more in findings.csv"));
    let labels = std::iter::once("findings").chain(std::iter::repeat(""));
    lines.chain(more).zip(labels).map(|(line, label)| labelled(label, &line)).collect()
}

/// The thresholds in at most `room` lines, missed ones first.
fn thresholds(outcomes: &[ThresholdOutcome], room: usize) -> Vec<String> {
    let mut sorted: Vec<_> = outcomes.iter().collect();
    sorted.sort_by_key(|outcome| outcome.pass);
    let shown = if sorted.len() > room { room.saturating_sub(1) } else { sorted.len() };
    let width = sorted.iter().take(shown).map(|o| o.name.len() + o.expr.len() + 1).max().unwrap_or(0).min(44);
    let mut lines: Vec<_> = sorted
        .iter()
        .take(shown)
        .enumerate()
        .map(|(i, outcome)| {
            let label = if i == 0 { "thresholds" } else { "" };
            let mark = if outcome.pass { "pass" } else { "FAIL" };
            let asked = printable(&format!("{} {}", outcome.name, outcome.expr));
            labelled(label, &format!("{mark}  {asked:<width$}  {}", words::value(outcome)))
        })
        .collect();
    if sorted.len() > shown {
        let label = if shown == 0 { "thresholds" } else { "" };
        let failed = sorted[shown..].iter().filter(|outcome| !outcome.pass).count();
        lines.push(labelled(label, &format!("and {} more, {failed} of them missed", sorted.len() - shown)));
    }
    lines
}

fn labelled(label: &str, text: &str) -> String {
    format!("{label:<14}{text}")
}

const MOST_LINES: usize = 25;
const MOST_REASONS: usize = 2;
const MOST_REFUSALS: usize = 2;
