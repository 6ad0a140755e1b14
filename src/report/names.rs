//! The annex that shows what names stood for. Where nobody was asked there is none.

use super::resolved::trunk_of;
use super::sheets::Sheet;
use crate::record::{Resolution, Results};

/// Questions of the first look-up of each trunk, and what changed later.
pub(super) fn sheet(results: &Results) -> Option<Sheet> {
    let lead = "What the trunks' names stood for (RFC 3263), question by question; below, what later look-ups changed.";
    let columns = ["Trunk", "Question", "Answer", "Holds", "Took"];
    let mut sheet = Sheet::new("names", "Annex: names", lead, &columns);
    let mut last: Vec<&Resolution> = Vec::new();
    for found in results.resolutions.iter().take(MOST) {
        let id = trunk_of(results, found);
        let known = last.iter().position(|other| other.trunk == found.trunk);
        match known.map(|at| last[at]) {
            Some(before) if before.agrees_with(found) && found.refused.is_empty() => {}
            Some(_) => {
                let after = format!("{:.0} s after the start: {}", found.at_ns as f64 / 1e9, targets(found));
                sheet.toned(
                    [id.to_owned(), "asked again".to_owned(), after, holds(found.ttl_s), took(found.took_us)],
                    "bad",
                );
            }
            None => {
                for step in &found.steps {
                    let question = format!("{} {}", step.name, step.kind.as_str());
                    let none = || step.failed.clone().unwrap_or_else(|| "none".to_owned());
                    let answer = if step.records.is_empty() { none() } else { step.records.join("; ") };
                    sheet.row([id.to_owned(), question, answer, holds(step.ttl_s), took(step.took_us)]);
                }
                let so = [id.to_owned(), "so to".to_owned(), targets(found), holds(found.ttl_s), took(found.took_us)];
                sheet.row(so);
            }
        }
        match known {
            Some(at) => last[at] = found,
            None => last.push(found),
        }
    }
    (!results.resolutions.is_empty()).then_some(sheet)
}

fn targets(found: &Resolution) -> String {
    let target = |target: &crate::record::ResolvedTarget| {
        format!("{} (priority {}, weight {})", target.address, target.priority, target.weight)
    };
    let mut text = format!("{} {}", found.transport, found.targets.iter().map(target).collect::<Vec<_>>().join(", "));
    if !found.refused.is_empty() {
        text.push_str(&format!("; not allowed and left alone: {}", found.refused.join(", ")));
    }
    text
}

fn holds(ttl_s: Option<u64>) -> String {
    ttl_s.map_or_else(String::new, |ttl| format!("{ttl} s"))
}

fn took(us: u64) -> String {
    format!("{:.1} ms", us as f64 / 1e3)
}

/// Look-ups that are shown.
const MOST: usize = 500;
