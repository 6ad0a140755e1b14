//! Findings as the page shows them: one box for each kind, the first trunk in full, the others in a
//! line each.
//!
//! Eleven trunks with the same trouble are one thing to read, and the same advice; `findings.csv`
//! has every trunk's evidence.

use super::platforms::InUse;
use super::text::{counted, length, printable};
use crate::diagnose::Finding;
use crate::record::Results;
use crate::vocab::Severity;
use serde::Serialize;

/// A finding, and where else the same was found.
#[derive(Serialize)]
pub(super) struct GroupedFinding {
    id: String,
    severity: Severity,
    trunk: String,
    summary: String,
    /// How often, when, how sure.
    extent: String,
    evidence: String,
    rejected: String,
    cost: String,
    advice: Vec<Vec<Piece>>,
    /// Advice for products that may be in use or not.
    elsewhere: Vec<Vec<Piece>>,
    /// The same on other trunks.
    also: Vec<Also>,
    tone: &'static str,
}

#[derive(Serialize)]
struct Also {
    trunk: String,
    summary: String,
}

/// A part of a sentence.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
struct Piece {
    text: String,
    /// Something to type.
    code: bool,
}

/// All findings in their order, those of one kind together where the first of them stands.
pub(super) fn all(results: &Results, findings: &[Finding]) -> Vec<GroupedFinding> {
    let mut shown: Vec<GroupedFinding> = Vec::new();
    for finding in findings {
        let same = shown.iter_mut().find(|found| found.id == finding.id && found.severity == finding.severity);
        match same {
            Some(found) => {
                found.also.push(Also { trunk: printable(&finding.trunk_id), summary: printable(&finding.summary) })
            }
            None => shown.push(first(finding, &InUse::on(results, &finding.trunk_id), results.header.simulated)),
        }
    }
    shown
}

fn first(finding: &Finding, platforms: &InUse, simulated: bool) -> GroupedFinding {
    let (advice, elsewhere) = platforms.sort(&finding.places);
    GroupedFinding {
        id: printable(&finding.id),
        severity: finding.severity,
        trunk: printable(&finding.trunk_id),
        summary: printable(&finding.summary),
        extent: printable(&extent(finding, simulated)),
        evidence: printable(&finding.evidence),
        rejected: printable(&finding.rejected),
        cost: printable(&finding.cost),
        advice: advice.iter().map(|text| pieces(text)).collect(),
        elsewhere: elsewhere.iter().map(|text| pieces(text)).collect(),
        also: Vec::new(),
        tone: match finding.severity {
            Severity::Critical => "bad",
            Severity::Warning => "doubt",
            Severity::Info => "",
        },
    }
}

/// How often, when and how sure; the times of a rehearsal count from its start.
fn extent(finding: &Finding, simulated: bool) -> String {
    let (agents, attempts) = (counted(finding.agents, "agent"), counted(finding.attempts, "attempt"));
    let Finding { first_seen, last_seen, confidence, seen_ns: (first, last), .. } = finding;
    let when = match simulated {
        true => format!("{} to {} after the start", length(*first), length(*last)),
        false => format!("{first_seen} to {last_seen}"),
    };
    format!("{agents}, {attempts}, {when}, confidence {confidence}")
}

/// What stands between backticks is something to type.
fn pieces(text: &str) -> Vec<Piece> {
    let parts = printable(text).split('`').map(str::to_owned).collect::<Vec<_>>();
    // A backtick without its fellow is a character like any other.
    if parts.len().is_multiple_of(2) {
        return vec![Piece { text: printable(text), code: false }];
    }
    let piece = |(at, text): (usize, String)| Piece { text, code: at % 2 == 1 };
    parts.into_iter().enumerate().map(piece).filter(|piece| !piece.text.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_to_be_typed_is_told_apart() {
        let of = |text: &str| pieces(text).into_iter().map(|piece| (piece.code, piece.text)).collect::<Vec<_>>();
        assert_eq!(
            of("see `show x` and logs"),
            [(false, "see ".to_owned()), (true, "show x".to_owned()), (false, " and logs".to_owned()),]
        );
        assert_eq!(of("a ` alone"), [(false, "a ` alone".to_owned())]);
    }

    proptest! {
        #[test]
        fn no_word_is_lost(text in "[a-z` ]{0,60}") {
            let joined: String = pieces(&text).into_iter().map(|piece| piece.text).collect();
            prop_assert_eq!(joined.replace('`', ""), text.replace('`', ""));
        }
    }
}
