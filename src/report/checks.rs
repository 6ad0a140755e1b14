//! What agents asked besides registering, for the files that say so: audits of their bindings, and
//! OPTIONS. Where nobody asked there is nothing to say.

use super::text::{self, thousands};
use crate::measure::{CheckKind, CheckOutcome, CheckRow, Sightings};
use crate::record::Results;
use serde::Serialize;
use std::collections::BTreeMap;

/// One trunk's checks as they stand in `run.json`.
#[derive(Serialize)]
pub(super) struct ChecksView {
    #[serde(skip_serializing_if = "Option::is_none")]
    audit: Option<CheckView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    qualify: Option<CheckView>,
}

#[derive(Serialize)]
struct CheckView {
    asked: u64,
    /// By outcome.
    outcomes: BTreeMap<&'static str, u64>,
    /// By code.
    codes: BTreeMap<u16, u64>,
    /// What was left of bindings as agents count, and as the registrar says: least and most.
    #[serde(skip_serializing_if = "Option::is_none")]
    left_s: Option<(u32, u32)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    told_s: Option<(u32, u32)>,
}

impl ChecksView {
    /// `None`: the trunk's agents asked nothing.
    pub(super) fn of(results: &Results, trunk: usize) -> Option<ChecksView> {
        let rows = |kind| of_kind(results, kind).filter(move |row| usize::from(row.trunk) == trunk);
        let view = |kind| CheckView::of(&rows(kind).collect::<Vec<_>>());
        let (audit, qualify) = (view(CheckKind::Audit), view(CheckKind::Qualify));
        (audit.is_some() || qualify.is_some()).then_some(ChecksView { audit, qualify })
    }
}

impl CheckView {
    fn of(rows: &[&CheckRow]) -> Option<CheckView> {
        let mut view = CheckView {
            asked: total(rows),
            outcomes: BTreeMap::new(),
            codes: BTreeMap::new(),
            left_s: span(rows.iter().filter(|row| is_judged(row)).map(|row| row.left_s)),
            told_s: span(rows.iter().filter_map(|row| row.told_s)),
        };
        for row in rows {
            *view.outcomes.entry(row.outcome.as_str()).or_default() += row.seen.count;
            if row.code > 0 {
                *view.codes.entry(row.code).or_default() += row.seen.count;
            }
        }
        (view.asked > 0).then_some(view)
    }
}

fn of_kind(results: &Results, kind: CheckKind) -> impl Iterator<Item = &CheckRow> {
    results.evidence.checks.iter().filter(move |row| row.kind == kind)
}

fn total(rows: &[&CheckRow]) -> u64 {
    rows.iter().map(|row| row.seen.count).sum()
}

/// Whether it says something of a binding.
pub(super) fn is_judged(row: &CheckRow) -> bool {
    matches!(row.outcome, CheckOutcome::Held | CheckOutcome::Shorter | CheckOutcome::Missing)
}

fn span(spans: impl Iterator<Item = (u32, u32)>) -> Option<(u32, u32)> {
    spans.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))
}

/// What OPTIONS without an answer say of agents that count as registered; `None`: each has one.
fn unanswered_options(checks: &[CheckRow]) -> Option<String> {
    let rows = |outcomes: &'static [CheckOutcome]| {
        let options = checks.iter().filter(|row| row.kind == CheckKind::Qualify);
        options.filter(move |row| outcomes.contains(&row.outcome))
    };
    let lost = rows(&[CheckOutcome::Unanswered, CheckOutcome::Undelivered]);
    let lost = Sightings::together(lost.map(|row| &row.seen));
    if lost.count == 0 {
        return None;
    }
    let count = thousands(lost.count);
    let answered = rows(&[CheckOutcome::Answered]).count();
    Some(match answered {
        // Many registrars drop what is no REGISTER.
        0 => format!("none of {count} answered, so that OPTIONS say nothing of this registrar"),
        _ => format!(
            "{count} without an answer between {} and {} while their agents counted as registered: the registrar or the \
             way to it was not there, or more OPTIONS came than it answers",
            text::length(lost.first_ns),
            text::length(lost.last_ns)
        ),
    })
}

/// The same over all trunks in one line; `None`: nobody asked anything.
pub(super) fn line(results: &Results) -> Option<String> {
    let count = |kind, outcomes: &[CheckOutcome]| -> u64 {
        of_kind(results, kind).filter(|row| outcomes.contains(&row.outcome)).map(|row| row.seen.count).sum()
    };
    let mut parts = Vec::new();
    let audits = count(CheckKind::Audit, &CheckOutcome::ALL);
    if audits > 0 {
        let found = count(CheckKind::Audit, &[CheckOutcome::Held, CheckOutcome::Shorter]);
        let missing = count(CheckKind::Audit, &[CheckOutcome::Missing]);
        let (audits, found, missing) = (thousands(audits), thousands(found), thousands(missing));
        parts.push(format!("{audits} audits: {found} found the binding, {missing} found it gone"));
    }
    let pings = count(CheckKind::Qualify, &CheckOutcome::ALL);
    if pings > 0 {
        let answered = count(CheckKind::Qualify, &[CheckOutcome::Answered]);
        parts.push(format!("{} OPTIONS: {} answered", thousands(pings), thousands(answered)));
    }
    parts.extend(unanswered_options(&results.evidence.checks));
    (!parts.is_empty()).then(|| parts.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_without_an_answer_say_something_where_others_have_one() {
        let row = |outcome, count, from_s: u64, to_s: u64| {
            let at = |s: u64| s * 1_000_000_000;
            let seen = Sightings {
                count,
                first_ns: at(from_s),
                last_ns: at(to_s),
                agents: vec![1],
                agents_ns: vec![at(from_s)],
            };
            let kind = CheckKind::Qualify;
            CheckRow { trunk: 0, kind, outcome, code: 0, seen, left_s: (9, 60), told_s: None, listed: 0 }
        };
        let answered = row(CheckOutcome::Answered, 900, 1, 300);
        assert_eq!(unanswered_options(std::slice::from_ref(&answered)), None);
        let lost = [row(CheckOutcome::Unanswered, 40, 61, 90), row(CheckOutcome::Undelivered, 2, 70, 95)];
        let said = unanswered_options(&lost).expect("something to say");
        assert_eq!(said, "none of 42 answered, so that OPTIONS say nothing of this registrar");
        let said = unanswered_options(&[&lost[..], &[answered]].concat()).expect("something to say");
        assert!(said.starts_with("42 without an answer between 1m01s and 1m35s"), "{said}");
    }
}
