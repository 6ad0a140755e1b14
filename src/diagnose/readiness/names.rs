//! What a trunk's name stands for, question by question, and whom the agents will speak to.

use super::{Check, CheckState, Reading, check};
use crate::record::{Resolution, ResolutionStep};

/// One row for each question, then one for what came of them; none where nobody was asked.
pub(super) fn checks(reading: &Reading) -> Vec<Check> {
    let Some(names) = &reading.names else { return Vec::new() };
    let mut checks: Vec<Check> = names.steps.iter().map(question).collect();
    checks.push(targets(names));
    checks
}

fn question(step: &ResolutionStep) -> Check {
    let asked = format!("{} {}", step.name, step.kind.as_str());
    let took = format!("{:.1} ms", step.took_us as f64 / 1e3);
    if let Some(why) = &step.failed {
        return check("name", CheckState::Warn, format!("{asked}: {why} ({took})"));
    }
    if step.records.is_empty() {
        return check("name", CheckState::Ok, format!("{asked}: none ({took})"));
    }
    let life = step.ttl_s.map_or("for good".to_owned(), |ttl| format!("for {ttl} s"));
    let state = if step.took_us > SLOW_US { CheckState::Warn } else { CheckState::Ok };
    check("name", state, format!("{asked}: {} ({life}, {took})", step.records.join("; ")))
}

/// `UDP to 127.0.0.1:5061 (60 % of the agents), 127.0.0.2:5061 (40 %); then 127.0.0.3:5061`.
fn targets(names: &Resolution) -> Check {
    let lowest = names.targets.first().map(|target| target.priority);
    let (first, later): (Vec<_>, Vec<_>) = names.targets.iter().partition(|target| Some(target.priority) == lowest);
    let share = |n: usize, pct: f64| match n {
        0 => format!(" ({pct} % of the agents)"),
        _ => format!(" ({pct} %)"),
    };
    let several = first.len() > 1;
    let first: Vec<String> = first
        .iter()
        .enumerate()
        .map(|(n, target)| {
            let share = if several { share(n, target.first_choice_pct) } else { String::new() };
            format!("{}{share}", target.address)
        })
        .collect();
    let mut text = format!("{} to {}", names.transport, first.join(", "));
    let mut priority = lowest;
    for target in later {
        let comma = if priority == Some(target.priority) { ", " } else { "; where that fails, " };
        text.push_str(&format!("{comma}{}", target.address));
        priority = Some(target.priority);
    }
    check("targets", CheckState::Ok, text)
}

/// A phone waits for each of its questions before it sends anything.
const SLOW_US: u64 = 500_000;
