//! What a registrar answered over what it was asked for, and how long that took: the knee is where
//! answers stop following and times begin to grow.

use super::{Chart, Panel, chart};
use crate::diagnose::findings::carried_per_second;
use crate::record::limits::{FittedLaw, Limits, Step};
use crate::record::{IntervalResult, Results};
use crate::report::chart::{self, Scale, Series};
use crate::report::text::{decimal, printable};
use crate::vocab::{Kind, Phase, Stage, Status, saturating_u16};

/// One stretch at about one rate.
struct RatePoint {
    offered: f64,
    answered: Option<f64>,
    /// Milliseconds.
    p50: Option<f64>,
    p99: Option<f64>,
}

/// None with fewer than two rates.
pub(in crate::report) fn of_search(limits: &Limits) -> Option<Chart> {
    let point = |step: &Step| {
        let (offered, answered) = (step.per_second?, step.answered_per_s?);
        Some(RatePoint { offered, answered: Some(answered), p50: step.p50_ms, p99: step.p99_ms })
    };
    let probes: Vec<RatePoint> = limits.steps.iter().filter_map(point).collect();
    let rate = limits.rate.as_ref();
    let knee = rate.and_then(|rate| rate.limit_per_s);
    let law = rate.and_then(|rate| rate.law.as_ref().zip(rate.limit_per_s));
    let lead =
        "What was answered each second, and how long an answer took, over the registrations asked for each second.";
    let most = probes.iter().filter_map(|probe| probe.answered).fold(0.0, f64::max);
    let said = said(knee, most, rate.map(|rate| rate.kind));
    let mut chart = over_rates(probes, knee, law, lead)?.saying(said);
    chart.note = law.map(|(law, _)| noted(law)).unwrap_or_default();
    Some(chart)
}

/// Of a run in which a registrar was asked for more than it carries, interval by interval up to the
/// one that asked for most. None where the rate hardly changed: a queue shows over time then.
pub(super) fn of_run(results: &Results) -> Option<Chart> {
    let (trunk, knee) = (0..saturating_u16(results.header.trunks.len()))
        .filter_map(|trunk| Some((trunk, carried_per_second(results, trunk)?)))
        .next()?;
    let load = results.intervals.iter().filter(|interval| interval.stage == Stage::Load);
    let mut points: Vec<RatePoint> = load.filter_map(|interval| of_interval(interval, trunk)).collect();
    let peak = (0..points.len()).max_by(|&a, &b| points[a].offered.total_cmp(&points[b].offered))?;
    points.truncate(peak + 1);
    let least = points.iter().map(|point| point.offered).fold(f64::INFINITY, f64::min);
    if points.len() < LEAST_POINTS || points[peak].offered < VARIED * least {
        return None;
    }
    let id = &results.header.trunks[usize::from(trunk)].id;
    let lead = format!(
        "What was answered each second, and how long it took until an agent was registered, over the attempts begun \
         each second on {}: a mark for each interval up to the one with most.",
        printable(id)
    );
    Some(over_rates(points, Some(knee), None, &lead)?.saying(said(Some(knee), knee, Some("overload"))))
}

fn of_interval(interval: &IntervalResult, trunk: u16) -> Option<RatePoint> {
    let seconds = (interval.end_ns - interval.start_ns) as f64 / 1e9;
    let counts = interval.trunks.get(usize::from(trunk))?;
    let begun: u64 =
        Kind::ALL.into_iter().filter(|kind| *kind != Kind::Unregister).map(|kind| counts.started[kind.index()]).sum();
    let none = [Status::Shed, Status::Abandoned, Status::RequestTimeout, Status::TransportError].map(Status::index);
    let answered = counts.status.iter().enumerate().filter(|(status, _)| !none.contains(status));
    let answered: u64 = answered.map(|(_, count)| count).sum();
    let row = interval.latency.iter().find(|row| (row.trunk, row.phase) == (trunk, Phase::Register) && row.count > 0);
    (begun > 0 && seconds > 0.0).then(|| RatePoint {
        offered: begun as f64 / seconds,
        answered: Some(answered as f64 / seconds),
        p50: row.map(|row| row.p50_us as f64 / 1e3),
        p99: row.map(|row| row.p99_us as f64 / 1e3),
    })
}

/// None with fewer than two rates.
fn over_rates(
    mut points: Vec<RatePoint>,
    knee: Option<f64>,
    law: Option<(&FittedLaw, f64)>,
    lead: &str,
) -> Option<Chart> {
    points.sort_by(|a, b| a.offered.total_cmp(&b.offered));
    let offered: Vec<f64> = points.iter().map(|point| point.offered).collect();
    if offered.len() < 2 || offered.first() == offered.last() {
        return None;
    }
    let line = |label, class, values| Series { label, class, values };
    let of = |value: fn(&RatePoint) -> Option<f64>| points.iter().map(value).collect();
    let answered = [
        line("as fast as asked", "c-plan", offered.iter().copied().map(Some).collect()),
        line("answered", "c-good", of(|point| point.answered)),
    ];
    let mut times = vec![
        line("half of the agents within", "c-link", of(|point| point.p50)),
        line("99 of 100 within", "c-doubt", of(|point| point.p99)),
    ];
    if let Some((law, carried)) = law {
        times.push(line("Kingman's law", "c-soft", offered.iter().map(|rate| at(law, rate / carried)).collect()));
    }
    let svg = |unit, series: &[Series]| chart::over_rates(&offered, Scale::Logarithmic, unit, series, knee);
    let (first, second) = (svg("/s", &answered), svg(" ms", &times));
    let legend: Vec<Series> = answered.into_iter().chain(times).collect();
    let mut chart = chart("capacity", "What it carries", lead.to_owned(), first, &legend);
    chart.panels[0].title = "Answered per second".to_owned();
    chart.panels.push(Panel {
        plot: String::new(),
        title: "Time until registered".to_owned(),
        caption: String::new(),
        svg: second,
    });
    Some(chart)
}

/// `most`: answered per second at the most.
fn said(knee: Option<f64>, most: f64, kind: Option<&str>) -> String {
    match (knee, kind) {
        (Some(knee), Some("overload")) => {
            format!("The knee is at {} registrations a second: more is answered later, not faster.", decimal(knee, 1))
        }
        (Some(knee), _) => format!("The limit is at {} registrations a second.", decimal(knee, 1)),
        (None, _) => format!("No knee was met; at most {} a second were answered.", decimal(most, 1)),
    }
}

/// The law at this share of what is carried, in milliseconds.
fn at(law: &FittedLaw, part: f64) -> Option<f64> {
    (part < 0.995).then(|| law.leisure_ms + law.waiting_ms * part / (1.0 - part))
}

fn noted(law: &FittedLaw) -> String {
    format!(
        "Kingman's law of a queue fits: {} ms + {} ms · ρ/(1 - ρ), where ρ is the rate over what is carried; half of the {} \
         rates that held lie within {} % of it. It is drawn only where that is at most 10 %, and none is further than 25 %.",
        decimal(law.leisure_ms, 2),
        decimal(law.waiting_ms, 3),
        law.rates,
        decimal(law.residual * 100.0, 1)
    )
}

/// Intervals of a run, and how many times the least rate the most must be, for a picture.
const LEAST_POINTS: usize = 4;
const VARIED: f64 = 1.5;
