//! The annex that shows what names stood for. Where nobody was asked there is none.

use super::resolved::{WENT_ON, trunk_of};
use super::sheets::Sheet;
use super::text::thousands;
use crate::record::{Resolution, Results};

/// The annexes of a run whose trunks have names, or whose answers say where requests go.
pub(super) fn sheets(results: &Results) -> impl Iterator<Item = Sheet> + use<> {
    [addresses(results), look_ups(results), routing(results)].into_iter().flatten()
}

/// Questions of the first look-up of each trunk, and what changed later.
fn look_ups(results: &Results) -> Option<Sheet> {
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

/// What became of attempts at each address of trunks whose names were looked up.
fn addresses(results: &Results) -> Option<Sheet> {
    let rows = &results.evidence.places;
    let lead = "What each address of a name did. An attempt that could not be delivered, was not answered or got 503 went on to the \
                next address and counts as ended there.";
    let columns = ["Trunk", "Address", "#Tried", "#Registered", "#Failed", "Went on", "#Mean, ms", "#Longest, ms"];
    let mut sheet = Sheet::new("addresses", "Annex: addresses", lead, &columns);
    for row in rows.iter().take(MOST) {
        let id = results.header.trunks.get(usize::from(row.trunk)).map_or("", |trunk| &trunk.id);
        let (tried, registered) = (row.tried(), row.registered());
        let left: Vec<String> = WENT_ON.into_iter().zip(row.left).filter(|(_, count)| *count > 0).map(said).collect();
        let mean = row.took_us.0.checked_div(registered).map(ms).unwrap_or_default();
        let longest = if registered > 0 { ms(row.took_us.1) } else { String::new() };
        let failed = tried - registered - row.all_left();
        let tone = if row.all_left() > 0 { "bad" } else { "" };
        let cells = [thousands(tried), thousands(registered), thousands(failed), left.join(", "), mean, longest];
        let [tried, registered, failed, left, mean, longest] = cells;
        sheet.toned([id.to_owned(), row.address.clone(), tried, registered, failed, left, mean, longest], tone);
    }
    (!rows.is_empty()).then_some(sheet)
}

/// What answers said of the way requests take.
fn routing(results: &Results) -> Option<Sheet> {
    let rows = &results.evidence.routing;
    let lead = "Path and Service-Route of a sample of the answers, and every redirection with what was done about it.";
    let mut sheet = Sheet::new("routing", "Annex: routing", lead, &["Trunk", "What", "Text", "#Count"]);
    for row in rows.iter().take(MOST) {
        let id = results.header.trunks.get(usize::from(row.trunk)).map_or("", |trunk| &trunk.id);
        let tone = if row.word.stays() { "bad" } else { "" };
        sheet.toned([id.to_owned(), row.word.as_str().to_owned(), row.text.clone(), thousands(row.count)], tone);
    }
    (!rows.is_empty()).then_some(sheet)
}

fn said((why, count): (&str, u64)) -> String {
    format!("{} {why}", thousands(count))
}

fn ms(us: u64) -> String {
    format!("{:.1}", us as f64 / 1e3)
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
