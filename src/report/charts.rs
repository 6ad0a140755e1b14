//! The charts of the page: agents registered against plan, outcomes over time, latency over time.

use super::chart::{Frame, Scale, Series, bars, lines};
use crate::measure::TrunkInterval;
use crate::record::results::IntervalResult;
use crate::record::{LatencyRow, Results};
use crate::vocab::{Phase, Status};
use serde::Serialize;

/// A chart ready for the page.
#[derive(Serialize)]
pub struct Chart {
    id: &'static str,
    title: &'static str,
    /// What it shows, for readers and for those who do not see it.
    lead: String,
    svg: String,
    legend: Vec<(&'static str, &'static str)>,
}

/// At most this many steps are drawn; longer runs have neighbours drawn as one, by sums and by the largest latency, so
/// that no peak is lost.
const MOST_STEPS: usize = 240;

/// The charts of a run; none without an interval.
pub fn all(results: &Results) -> Vec<Chart> {
    let steps = steps(&results.intervals);
    if steps.is_empty() {
        return Vec::new();
    }
    let spans: Vec<(f64, f64)> = steps.iter().map(|step| (step.start, step.end)).collect();
    vec![registered(&steps, &spans), outcomes(&steps, &spans), latency(&steps, &spans, results.header.trunks.len())]
}

/// One or several neighbouring intervals.
struct Step {
    start: f64,
    end: f64,
    planned: f64,
    registered: f64,
    status: [u64; Status::COUNT],
    /// p50, p99 and largest latency in milliseconds: the largest of the step.
    latency: [Option<f64>; 3],
}

fn steps(intervals: &[IntervalResult]) -> Vec<Step> {
    let per_step = intervals.len().div_ceil(MOST_STEPS).max(1);
    intervals.chunks(per_step).filter_map(step).collect()
}

fn step(intervals: &[IntervalResult]) -> Option<Step> {
    let (first, last) = intervals.first().zip(intervals.last())?;
    let length = last.end_ns.saturating_sub(first.start_ns);
    if length == 0 {
        return None;
    }
    let trunks = || intervals.iter().flat_map(|interval| &interval.trunks);
    let mean = |of: fn(&TrunkInterval) -> u64| trunks().map(|trunk| of(trunk) as f64).sum::<f64>() / length as f64;
    let mut status = [0; Status::COUNT];
    for trunk in trunks() {
        for (sum, count) in status.iter_mut().zip(trunk.status) {
            *sum += count;
        }
    }
    let largest = |of: fn(&LatencyRow) -> u64| {
        let rows = || intervals.iter().flat_map(|interval| &interval.latency);
        let of_phase = |phase| rows().filter(|row| row.phase == phase).map(of).max();
        of_phase(Phase::Register).or_else(|| of_phase(Phase::Refresh)).map(|us| us as f64 / 1e3)
    };
    Some(Step {
        start: first.start_ns as f64 / 1e9,
        end: last.end_ns as f64 / 1e9,
        planned: mean(|trunk| trunk.planned_agent_ns),
        registered: mean(|trunk| trunk.registered_agent_ns),
        status,
        latency: [largest(|row| row.p50_us), largest(|row| row.p99_us), largest(|row| row.max_us)],
    })
}

pub(super) fn chart(id: &'static str, title: &'static str, lead: String, svg: String, series: &[Series]) -> Chart {
    Chart { id, title, lead, svg, legend: series.iter().map(|one| (one.class, one.label)).collect() }
}

fn registered(steps: &[Step], spans: &[(f64, f64)]) -> Chart {
    let series = [
        Series { label: "planned", class: "c-plan", values: steps.iter().map(|step| Some(step.planned)).collect() },
        Series {
            label: "registered",
            class: "c-good",
            values: steps.iter().map(|step| Some(step.registered)).collect(),
        },
    ];
    let svg = lines(&Frame { spans, scale: Scale::Linear, unit: "" }, &series);
    let lead = "Agents that should be registered and agents that are, on average over each interval.".to_owned();
    chart("agents-over-time", "Agents over time", lead, svg, &series)
}

fn outcomes(steps: &[Step], spans: &[(f64, f64)]) -> Chart {
    let groups: [(&str, &str, &[Status]); 5] = [
        ("registered", "c-good", &[Status::Registered]),
        ("refused", "c-bad", &[Status::AuthenticationFailed, Status::RegistrationRejected]),
        ("server error", "c-doubt", &[Status::ServiceUnavailable]),
        ("no answer", "c-link", &[Status::RequestTimeout, Status::TransportError]),
        ("other", "c-soft", &[Status::ProtocolError, Status::Shed, Status::Abandoned]),
    ];
    let series: Vec<Series> = groups
        .into_iter()
        .map(|(label, class, statuses)| {
            let rate = |step: &Step| {
                let count: u64 = statuses.iter().map(|status| step.status[status.index()]).sum();
                Some(count as f64 / (step.end - step.start))
            };
            Series { label, class, values: steps.iter().map(rate).collect() }
        })
        .filter(|one| one.values.iter().flatten().any(|&value| value > 0.0))
        .collect();
    let svg = bars(&Frame { spans, scale: Scale::Linear, unit: "/s" }, &series);
    let lead = "How attempts ended, per second.".to_owned();
    chart("outcomes-over-time", "Outcomes over time", lead, svg, &series)
}

fn latency(steps: &[Step], spans: &[(f64, f64)], trunks: usize) -> Chart {
    let line = |label, class, which: usize| Series {
        label,
        class,
        values: steps.iter().map(|step| step.latency[which]).collect(),
    };
    let series = [line("half", "c-good", 0), line("99 of 100", "c-doubt", 1), line("slowest", "c-bad", 2)];
    let svg = lines(&Frame { spans, scale: Scale::Logarithmic, unit: " ms" }, &series);
    let worst = if trunks > 1 { ", on the slowest trunk" } else { "" };
    let lead = format!(
        "Within how long half, 99 of 100 and all registrations succeeded, from the planned send time{worst}; refreshes \
         where an interval had no registration."
    );
    chart("latency-over-time", "Latency over time", lead, svg, &series)
}
