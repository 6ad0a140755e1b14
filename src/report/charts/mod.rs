//! The charts of the page. Each is there twice: drawn as SVG, for print and where no script runs,
//! and as numbers, from which the page's script draws it again to be read closely.
//!
//! `capacity` is of a search for limits or of a run that asked for more than a registrar carries,
//! and drawn as SVG alone. `over_time` has agents, outcomes,
//! latency and schedule lag, `percentiles` the distribution, `trunks` a small chart for each trunk,
//! `loop_map` who looped when; `thin` leaves points out without losing a peak, `plot` is the
//! script's input.

pub(super) mod capacity;
mod loop_map;
mod over_time;
mod percentiles;
mod plot;
mod thin;
mod trunks;

pub(super) use plot::{Number, Plot, PlotKind, PlotSeries, json};

use super::chart::Series;
use crate::record::Results;
use serde::Serialize;

/// A chart ready for the page.
#[derive(Serialize)]
pub(super) struct Chart {
    id: &'static str,
    title: &'static str,
    /// What it shows.
    lead: String,
    /// What is to be seen in it, for those who do not see it and those in a hurry.
    said: String,
    /// One, or one for each trunk.
    panels: Vec<Panel>,
    legend: Vec<Key>,
    /// What was left out.
    note: String,
    #[serde(skip)]
    plots: Vec<Plot>,
}

/// One entry of a legend.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
struct Key {
    class: &'static str,
    label: &'static str,
    /// An area, not a line.
    filled: bool,
}

/// One picture of a chart.
#[derive(Serialize)]
struct Panel {
    /// Of the plot; nothing where the script has nothing to draw.
    plot: String,
    title: String,
    caption: String,
    svg: String,
}

/// The charts of a run; none without an interval.
pub(super) fn all(results: &Results) -> Vec<Chart> {
    let mut charts = over_time::all(results);
    charts.extend(percentiles::of_run(results));
    charts.extend(capacity::of_run(results));
    charts.extend(over_time::lag(results));
    charts.extend(trunks::chart(results));
    charts.extend(loop_map::chart(results));
    charts
}

/// What the script draws of these charts.
pub(super) fn plots(charts: &[Chart]) -> Vec<Plot> {
    charts.iter().flat_map(|chart| chart.plots.iter().cloned()).collect()
}

/// A chart of one picture that is drawn as SVG alone.
pub(super) fn chart(id: &'static str, title: &'static str, lead: String, svg: String, series: &[Series]) -> Chart {
    let panel = Panel { plot: String::new(), title: String::new(), caption: String::new(), svg };
    let legend = series.iter().map(|one| Key { class: one.class, label: one.label, filled: false }).collect();
    let (said, note, plots) = (String::new(), String::new(), Vec::new());
    Chart { id, title, lead, said, panels: vec![panel], legend, note, plots }
}

impl Chart {
    /// The same, also drawn by the script.
    pub(super) fn plotted(mut self, plot: Plot) -> Chart {
        if let [panel] = self.panels.as_mut_slice() {
            panel.plot.clone_from(&plot.id);
        }
        self.plots.push(plot);
        self
    }

    pub(super) fn saying(mut self, said: String) -> Chart {
        self.said = said;
        self
    }
}

/// Colour and dash of a CSS class, for the script.
fn style(class: &str) -> (&'static str, &'static [u8]) {
    match class {
        "c-good" => ("good", &[]),
        "c-bad" => ("bad", &[2, 3]),
        "c-doubt" => ("doubt", &[7, 3]),
        "c-mid" => ("doubt", &[]),
        "c-link" => ("link", &[]),
        "c-plan" => ("soft", &[5, 4]),
        _ => ("soft", &[]),
    }
}

/// Series for the script; the last of `x` ends the last step.
pub(super) fn steps(
    id: &str,
    kind: PlotKind,
    unit: &'static str,
    log: bool,
    spans: &[(f64, f64)],
    series: &[Series],
) -> Plot {
    let x = spans.iter().map(|span| span.0).chain(spans.last().map(|span| span.1)).map(Number).collect();
    Plot { id: id.to_owned(), kind, unit, log, x, series: series.iter().map(plain).collect(), map: None }
}

fn plain(series: &Series) -> PlotSeries {
    let (tone, dash) = style(series.class);
    let values = series.values.iter().map(|value| value.map(Number)).collect();
    PlotSeries { label: series.label.to_owned(), tone, dash, layer: false, values }
}
