//! What a registrar answered over what it was asked for, and how long that took: the knee is where
//! answers stop following and times begin to grow.

use super::{Chart, Panel, chart};
use crate::record::limits::{FittedLaw, Limits, Step};
use crate::report::chart::{self, Scale, Series};
use crate::report::text::decimal;

/// None with fewer than two rates.
pub(in crate::report) fn of_search(limits: &Limits) -> Option<Chart> {
    let measured = |step: &&Step| step.per_second.is_some() && step.answered_per_s.is_some();
    let mut probes: Vec<&Step> = limits.steps.iter().filter(measured).collect();
    probes.sort_by(|a, b| a.per_second.unwrap_or(0.0).total_cmp(&b.per_second.unwrap_or(0.0)));
    let offered: Vec<f64> = probes.iter().filter_map(|step| step.per_second).collect();
    if offered.len() < 2 || offered.first() == offered.last() {
        return None;
    }
    let rate = limits.rate.as_ref();
    let knee = rate.and_then(|rate| rate.limit_per_s);
    let law = rate.and_then(|rate| rate.law.as_ref().zip(rate.limit_per_s));
    let line = |label, class, values| Series { label, class, values };
    let of = |value: fn(&Step) -> Option<f64>| probes.iter().map(|step| value(step)).collect();
    let answered = [
        line("as fast as asked", "c-plan", offered.iter().copied().map(Some).collect()),
        line("answered", "c-good", of(|step| step.answered_per_s)),
    ];
    let mut times = vec![
        line("half of the agents within", "c-link", of(|step| step.p50_ms)),
        line("99 of 100 within", "c-doubt", of(|step| step.p99_ms)),
    ];
    if let Some((law, carried)) = law {
        times.push(line("Kingman's law", "c-soft", offered.iter().map(|rate| at(law, rate / carried)).collect()));
    }
    let svg = |unit, series: &[Series]| chart::over_rates(&offered, Scale::Logarithmic, unit, series, knee);
    let (first, second) = (svg("/s", &answered), svg(" ms", &times));
    let legend: Vec<Series> = answered.into_iter().chain(times).collect();
    let lead =
        "What was answered each second, and how long an answer took, over the registrations asked for each second.";
    let mut chart = chart("capacity", "What it carries", lead.to_owned(), first, &legend).saying(said(
        knee,
        &probes,
        rate.map(|rate| rate.kind),
    ));
    chart.panels[0].title = "Answered per second".to_owned();
    chart.panels.push(Panel {
        plot: String::new(),
        title: "Time until registered".to_owned(),
        caption: String::new(),
        svg: second,
    });
    chart.note = law.map(|(law, _)| noted(law)).unwrap_or_default();
    Some(chart)
}

fn said(knee: Option<f64>, probes: &[&Step], kind: Option<&str>) -> String {
    let most = probes.iter().filter_map(|step| step.answered_per_s).fold(0.0, f64::max);
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
