//! Thresholds of which the load will measure nothing: said before the run, not after it.

use super::Plan;
use crate::diagnose::Threshold;
use crate::diagnose::metric::{Metric, Statistic};
use crate::vocab::{LoadStage, Phase, format_duration};
use std::time::Duration;

/// One line for each threshold that cannot be measured.
pub(super) fn doubts(plan: &Plan) -> Vec<String> {
    plan.thresholds.iter().filter_map(|threshold| doubt(plan, threshold)).collect()
}

fn doubt(plan: &Plan, threshold: &Threshold) -> Option<String> {
    // A count of nothing is a measured 0.
    let Metric::Latency(phase, statistic) = threshold.metric() else { return None };
    if statistic == Statistic::Count {
        return None;
    }
    let why = match phase {
        Phase::Refresh => no_refresh(plan, threshold.trunk())?,
        Phase::Unregister if !plan.unregister => "run.unregister is false, so nobody un-registers".to_owned(),
        Phase::Connect if of(plan, threshold.trunk()).all(|trunk| !trunk.transport().is_stream()) => {
            "over UDP no connection is opened".to_owned()
        }
        Phase::Options if of(plan, threshold.trunk()).all(|trunk| trunk.policy.checks.qualify.is_none()) => {
            "no trunk has qualify, so nobody sends OPTIONS".to_owned()
        }
        _ => return None,
    };
    Some(format!("threshold {}: nothing will be measured: {why}; a threshold without a value fails", threshold.name))
}

/// The trunks a threshold is about.
fn of(plan: &Plan, trunk: Option<usize>) -> impl Iterator<Item = &super::TrunkPlan> {
    plan.trunks.iter().enumerate().filter(move |(n, _)| trunk.is_none_or(|only| only == *n)).map(|(_, trunk)| trunk)
}

/// Why no agent will refresh: the load ends before the first refresh is due. A lifetime may be
/// granted shorter than it was asked for, which a profile cannot know.
fn no_refresh(plan: &Plan, trunk: Option<usize>) -> Option<String> {
    let lasts: Duration = plan.load.stages.iter().map(LoadStage::lasts).sum();
    let embedded = |trunk: &super::TrunkPlan| matches!(trunk.registrar, super::RegistrarChoice::Embedded);
    let lifetime = |trunk: &super::TrunkPlan| {
        let asked = trunk.policy.expires_s;
        let granted = if embedded(trunk) { asked.min(plan.registrar.max_expires_s.max(1)) } else { asked };
        (Duration::from_secs(granted.into()).mul_f64(trunk.policy.refresh_at.clamp(0.0, 1.0)), embedded(trunk))
    };
    let (due, known) = of(plan, trunk).map(lifetime).min()?;
    let unless = if known { "" } else { " unless the registrar grants a shorter lifetime" };
    // Refreshes are spread by a tenth.
    (lasts < due.mul_f64(0.9)).then(|| {
        format!(
            "the load lasts {}, and the first refresh is due after about {}{unless}",
            format_duration(lasts),
            format_duration(due)
        )
    })
}
