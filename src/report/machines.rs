//! The machines of a run that several shared, for `run.json`.

use crate::record::{FleetWorker, Results};
use serde::Serialize;

/// As it stands in `run.json`.
#[derive(Serialize)]
pub(super) struct FleetView<'a> {
    run: &'a str,
    profile_digest: &'a str,
    /// A part of the run is not whole.
    degraded: bool,
    workers: Vec<WorkerView<'a>>,
}

#[derive(Serialize)]
struct WorkerView<'a> {
    name: &'a str,
    share: ShareView,
    agents: u32,
    intervals: u32,
    /// How far its clock may have been from that of the others; `None`: not measured.
    clock_within_ms: Option<f64>,
    generator: Option<&'a str>,
    generator_reasons: &'a [String],
    lost: Option<LossView<'a>>,
}

/// Stripes, counted from 0.
#[derive(Serialize)]
struct ShareView {
    first: u32,
    own: u32,
    of: u32,
}

#[derive(Serialize)]
struct LossView<'a> {
    at: String,
    at_s: f64,
    why: &'a str,
}

/// `None`: the run had one machine.
pub(super) fn view(results: &Results) -> Option<FleetView<'_>> {
    let fleet = results.fleet.as_ref()?;
    let worker = |worker: &'_ FleetWorker| {
        let FleetWorker { first, own, of, .. } = *worker;
        ShareView { first, own, of }
    };
    let workers = fleet.workers.iter().map(|one| WorkerView {
        name: &one.name,
        share: worker(one),
        agents: one.agents,
        intervals: one.intervals,
        clock_within_ms: one.clock_within_ns.map(|ns| ns as f64 / 1e6),
        generator: one.generator.as_deref(),
        generator_reasons: &one.generator_reasons,
        lost: one.lost.as_ref().map(|loss| LossView {
            at: results.header.utc(loss.at_ns),
            at_s: loss.at_ns as f64 / 1e9,
            why: &loss.why,
        }),
    });
    Some(FleetView {
        run: &fleet.run,
        profile_digest: &fleet.profile_digest,
        degraded: fleet.is_degraded(),
        workers: workers.collect(),
    })
}
