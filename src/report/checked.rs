//! The annex of what agents asked besides registering.

use super::checks::is_judged;
use super::sheets::Sheet;
use super::text::thousands;
use crate::measure::{CheckKind, CheckOutcome};
use crate::record::Results;

/// Audits of bindings, and OPTIONS; `None`: nobody asked.
pub(super) fn sheet(results: &Results) -> Option<Sheet> {
    let lead = "What registered agents asked besides registering: for their binding (REGISTER without Contact), and \
                whether the registrar answers (OPTIONS). What was left of a binding is told as agents count it and as the \
                registrar said.";
    let columns = ["Trunk", "Asked", "Outcome", "Code", "#Times", "Left, s", "Told, s"];
    let mut sheet = Sheet::new("checks", "Annex: checks", lead, &columns);
    for row in results.evidence.checks.iter().take(MOST) {
        let id = results.header.trunks.get(usize::from(row.trunk)).map_or("", |trunk| &trunk.id);
        let asked = if row.kind == CheckKind::Audit { "bindings" } else { "OPTIONS" };
        let code = if row.code == 0 { "none".to_owned() } else { row.code.to_string() };
        let words = |(least, most): (u32, u32)| format!("{least} to {most}");
        let left = if is_judged(row) { words(row.left_s) } else { String::new() };
        let told = row.told_s.map(words).unwrap_or_default();
        let tone = if row.outcome == CheckOutcome::Missing { "bad" } else { "" };
        let cells = [asked.to_owned(), row.outcome.as_str().to_owned(), code, thousands(row.seen.count), left, told];
        let [asked, outcome, code, times, left, told] = cells;
        sheet.toned([id.to_owned(), asked, outcome, code, times, left, told], tone);
    }
    (!results.evidence.checks.is_empty()).then_some(sheet)
}

/// Rows of the annex at most.
const MOST: usize = 200;
