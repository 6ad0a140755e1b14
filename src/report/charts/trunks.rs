//! A small chart for each trunk, all on one scale, so that the one that differs is seen at once.

use super::super::chart::{Series, shares};
use super::super::text::{millis, percent, printable, thousands};
use super::super::words::Outcomes;
use super::{Chart, Key, Panel, PlotKind, over_time, steps, thin};
use crate::diagnose::figures::{self, Distribution};
use crate::record::results::IntervalResult;
use crate::record::{Results, Totals};
use crate::vocab::{Phase, Stage, Status};

/// More trunks than this have only the worst of them drawn.
const MOST_TRUNKS: usize = 30;
/// Points of one small chart.
const MOST_POINTS: usize = 160;

/// The trunks side by side; none when there is only one, for it is what the charts above show.
pub(super) fn chart(results: &Results) -> Option<Chart> {
    let load: Vec<&IntervalResult> = results
        .intervals
        .iter()
        .filter(|interval| interval.stage == Stage::Load && interval.end_ns > interval.start_ns)
        .collect();
    if results.header.trunks.len() < 2 || load.is_empty() {
        return None;
    }
    let shown = shown(results);
    let drawn: Vec<(Panel, super::Plot)> = shown.iter().map(|&trunk| panel(results, &load, trunk)).collect();
    let (panels, plots) = drawn.into_iter().unzip();
    let trunks = results.header.trunks.len();
    let note = if trunks > shown.len() {
        format!(
            "The {} trunks with the lowest availability of {trunks}; the table of trunks has the others.",
            shown.len()
        )
    } else {
        String::new()
    };
    Some(Chart {
        id: "trunks-over-time",
        title: "Trunk by trunk",
        lead:
            "From the bottom, 0 %, to the top, 100 %, while the load lasted: the share of the planned agents that were \
               registered, and the share of the attempts that failed."
                .to_owned(),
        said: said(results),
        panels,
        legend: vec![
            Key { class: "c-good", label: "registered of planned", filled: false },
            Key { class: "c-bad", label: "failed attempts", filled: false },
        ],
        note,
        plots,
    })
}

fn available(totals: &Totals) -> f64 {
    figures::availability_pct(totals).unwrap_or(100.0)
}

/// Every trunk in the profile's order, or the worst when they are too many.
fn shown(results: &Results) -> Vec<usize> {
    let mut order: Vec<usize> = (0..results.header.trunks.len().min(results.trunk_totals.len())).collect();
    if order.len() > MOST_TRUNKS {
        let share = |trunk: &usize| available(&results.trunk_totals[*trunk]);
        order.sort_by(|a, b| share(a).total_cmp(&share(b)).then(a.cmp(b)));
        order.truncate(MOST_TRUNKS);
    }
    order
}

fn said(results: &Results) -> String {
    let shares = results.header.trunks.iter().zip(&results.trunk_totals);
    let worst = shares.map(|(trunk, totals)| (available(totals), trunk)).min_by(|a, b| a.0.total_cmp(&b.0));
    worst.map_or_else(String::new, |(share, trunk)| {
        format!("The lowest availability is {} on {}.", percent(share), printable(&trunk.id))
    })
}

fn panel(results: &Results, load: &[&IntervalResult], trunk: usize) -> (Panel, super::Plot) {
    let share = |part: u128, whole: u128| figures::percent(part, whole).map(|share| share.min(100.0));
    let registered = load.iter().map(|interval| {
        let sums = interval.trunks.get(trunk)?;
        share(sums.registered_agent_ns, sums.planned_agent_ns)
    });
    let failed = load.iter().map(|interval| {
        let status = &interval.trunks.get(trunk)?.status;
        let all: u64 = status.iter().sum();
        // An interval in which nothing ended had no failure either; a gap would hide the line.
        Some(share((all - status[Status::Registered.index()]).into(), all.into()).unwrap_or(0.0))
    });
    let mut series = [
        Series { label: "registered of planned", class: "c-good", values: registered.collect() },
        Series { label: "failed attempts", class: "c-bad", values: failed.collect() },
    ];
    let kept = thin::keep(&[&series[0].values, &series[1].values], MOST_POINTS);
    let spans = over_time::spans(load, &kept);
    for line in &mut series {
        line.values = over_time::at(&line.values, &kept);
    }
    let id = format!("trunk-{trunk}");
    let plot = steps(&id, PlotKind::Share, " %", false, &spans, &series);
    // A share of failures that is nothing has no line: along the bottom it would look like one.
    for value in &mut series[1].values {
        *value = value.filter(|share| *share > 0.0);
    }
    let title = results.header.trunks[trunk].id.clone();
    let caption = caption(&results.trunk_totals[trunk]);
    (Panel { plot: id, title: printable(&title), caption, svg: shares(&spans, &series) }, plot)
}

/// The trunk in three figures.
fn caption(totals: &Totals) -> String {
    let outcomes = Outcomes::of(&totals.sums.status);
    let p99 = Distribution::of_phase(totals, Phase::Register).p99;
    let available = figures::availability_pct(totals).map_or_else(|| "unknown".to_owned(), percent);
    let slow = p99.map_or_else(|| "nobody registered".to_owned(), |us| format!("p99 {} ms", millis(us as f64)));
    format!("{available} available, {} refused, {slow}", thousands(outcomes.refused))
}
