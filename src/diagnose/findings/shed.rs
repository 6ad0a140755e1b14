//! Arrivals that were not sent because too many attempts were open (`max_in_flight`): agents that
//! did not come.
//!
//! The number of open attempts is the arrival rate times the duration of one (Little's law). So
//! either answers took long, which is down to the registrar or the path, or the profile allows
//! fewer open attempts than the load needs even when answered at once.

use super::draft::{Draft, SOME, confidence};
use super::rivals::Rival;
use super::view::View;
use super::wording::{counted, percent};
use crate::vocab::{Phase, Severity, Status};

/// Adds it to the finding that says why answers took long, or makes one of its own.
pub(super) fn explain(view: &View<'_>, drafts: &mut Vec<Draft>) {
    let totals = &view.results.trunk_totals[usize::from(view.trunk)];
    let shed = totals.sums.status[Status::Shed.index()];
    // What the ceiling held back has a doubt of the generator's own.
    if shed < SOME || totals.sums.ceiling_refused > 0 {
        return;
    }
    let arrivals: u64 = totals.sums.started.iter().sum();
    let most = view.results.header.load.as_ref().map_or(0, |load| load.max_in_flight);
    let fact = format!(
        "{} ({}) were not sent, because max_in_flight = {most} attempts were open: these agents did not come",
        counted(shed, "arrival"),
        percent(shed as f64, arrivals as f64)
    );
    let known = |draft: &&mut Draft| WHY.contains(&draft.id);
    if let Some(draft) = drafts.iter_mut().find(known) {
        draft.evidence.push(fact);
        draft.severity = draft.severity.max(Severity::Warning);
        return;
    }
    let service = totals.latency_us.iter().find(|(phase, _)| *phase == Phase::RegisterService);
    let median_ms = service.map_or(0.0, |(_, all)| all.value_at_quantile(0.5) as f64 / 1e3);
    let slow = median_ms >= SLOW_MS;
    // How slow is too slow is the thresholds' to say, and who did not come that of the readiness.
    let id = if slow { "slow" } else { "generator.saturated" };
    let mut draft = Draft::new(id, Severity::Warning, Some(view.trunk));
    (draft.attempts, draft.agents) = (shed, shed.min(view.agents.len() as u64));
    draft.last_ns = view.ticks.last().map_or(0, |tick| tick.start_ns + view.tick_ns);
    draft.confidence = confidence(shed, 0);
    draft.summary = if slow {
        format!("a registration takes {median_ms:.0} ms in the median, so that {fact}")
    } else {
        format!("more attempts are open at a time than the profile allows: {fact}")
    };
    draft.evidence.push(format!("a registration took {median_ms:.0} ms in the median"));
    if slow {
        draft.rejected.push("a max_in_flight that is too low: answered at once, fewer would have been open".to_owned());
        draft.excludes(Rival::Overload, "overload: no queue was seen to grow");
    } else {
        draft.excludes(Rival::Slow, "a registrar that is slow: what was sent was answered quickly");
        draft.advice.push("raise [arrivals] max_in_flight, or spread the arrivals".to_owned());
    }
    drafts.push(draft);
}

/// Findings that say why attempts stay open.
const WHY: [&str; 4] = ["overload", "no-response", "slow", "slow.with-bindings"];
/// A registration that takes longer is slow.
const SLOW_MS: f64 = 400.0;
