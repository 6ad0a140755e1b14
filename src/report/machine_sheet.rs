//! The machines of a run that several shared, as a table of the page.

use super::sheets::Sheet;
use super::text::{self, thousands};
use crate::record::Results;

/// A row for each machine.
pub(super) fn sheet(results: &Results) -> Option<Sheet> {
    let fleet = results.fleet.as_ref()?;
    let lead = "The machines that shared the run. Their intervals were merged first and judged once; the generator is as good \
                as that of the worst of them.";
    let columns = ["Machine", "Stripes", "#Agents", "#Intervals", "Clock within", "Generator", "Missing"];
    let mut sheet = Sheet::new("machines", "Machines", lead, &columns);
    for worker in &fleet.workers {
        let stripes = match worker.own {
            1 => format!("{} of {}", worker.first + 1, worker.of),
            own => format!("{} to {} of {}", worker.first + 1, worker.first + own, worker.of),
        };
        let clock = worker.clock_within_ns.map(|ns| format!("{} ms", text::decimal(ns as f64 / 1e6, 3)));
        let lost = worker.lost.as_ref().map(|loss| format!("from {} on: {}", text::length(loss.at_ns), loss.why));
        let tone = match (&lost, worker.generator.as_deref()) {
            (None, Some("valid")) => "",
            _ => "bad",
        };
        let cells = [
            worker.name.clone(),
            stripes,
            thousands(worker.agents.into()),
            thousands(worker.intervals.into()),
            clock.unwrap_or_else(|| "not measured".to_owned()),
            worker.generator.clone().unwrap_or_else(|| "not known".to_owned()),
            lost.unwrap_or_default(),
        ];
        sheet.toned(cells, tone);
    }
    Some(sheet)
}
