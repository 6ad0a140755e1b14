//! A run held against what a platform says: text, one line for a chat, CSV, JSON and a page.

use super::csv::Table;
use super::json;
use super::sheets::Sheet;
use super::template;
use super::text::{counted, printable};
use crate::diagnose::reconcile::{Agreement, MinuteRow, MinuteState, Reconciled};
use crate::record::results::utc;
use serde::Serialize;
use serde_json::{Value, json};
use std::fmt::Write;

const COLUMNS: [&str; 10] = [
    "interval_start",
    "interval_s",
    "trunk_id",
    "ours",
    "theirs",
    "difference",
    "state",
    "ours_failed",
    "theirs_failed",
    "ours_challenged",
];

fn cells(row: &MinuteRow) -> [String; 10] {
    let theirs = row.their_total();
    let number = |value: Option<u64>| value.map(|value| value.to_string()).unwrap_or_default();
    let difference = theirs.map(|theirs| theirs.cast_signed() - row.our_total().cast_signed());
    [
        utc(i128::from(row.start_s) * 1_000_000_000, 0),
        "60".to_owned(),
        row.trunk_id.clone(),
        row.our_total().to_string(),
        number(theirs),
        difference.map(|difference| difference.to_string()).unwrap_or_default(),
        row.state.as_str().to_owned(),
        row.ours.failed.to_string(),
        number(row.theirs.failed),
        row.ours.challenged.to_string(),
    ]
}

/// A row for each minute and trunk.
pub fn csv(of: &Reconciled) -> Vec<u8> {
    let mut table = Table::with_columns(COLUMNS);
    for row in &of.rows {
        let cells = cells(row);
        table.row(cells.iter().map(String::as_str));
    }
    table.into_bytes()
}

fn count(of: &Reconciled, state: MinuteState) -> u64 {
    of.rows.iter().filter(|row| row.state == state).count() as u64
}

/// One sentence.
pub fn line(of: &Reconciled) -> String {
    let compared = of.rows.iter().filter(|row| row.state.is_compared()).count() as u64;
    let mut parts = Vec::new();
    for (state, words) in [
        (MinuteState::Differ, "differ"),
        (MinuteState::Explained, "differ by what the platform counts"),
        (MinuteState::Missing, "are missing from the platform"),
        (MinuteState::Unknown, "are unknown"),
        (MinuteState::Provisional, "are too young"),
    ] {
        let minutes = count(of, state);
        if minutes > 0 {
            parts.push(format!("{minutes} {words}"));
        }
    }
    let mut text = match of.agreement {
        Agreement::Agree => format!("Both sides agree in {}", counted(compared, "minute")),
        Agreement::Differ => {
            format!("The two sides differ: {} of {} agree", count(of, MinuteState::Agree), counted(compared, "minute"))
        }
        Agreement::Unknown => {
            "It cannot be said whether the two sides agree: there is no minute that both told".to_owned()
        }
    };
    if !parts.is_empty() {
        let _ = write!(text, "; {}", parts.join(", "));
    }
    for finding in &of.findings {
        let _ = write!(text, "; {}", finding.summary);
    }
    printable(&(text + "."))
}

/// For a terminal.
pub fn text(of: &Reconciled) -> String {
    let mut text = format!("{}\n", line(of));
    for finding in &of.findings {
        let _ = write!(text, "\n{} {} {}\n  {}\n", finding.id, finding.severity, finding.confidence, finding.summary);
        let _ = writeln!(text, "  {}", finding.evidence);
    }
    let shown =
        |row: &&MinuteRow| !matches!(row.state, MinuteState::Agree | MinuteState::Quiet | MinuteState::NotAsked);
    let rows: Vec<&MinuteRow> = of.rows.iter().filter(shown).collect();
    if !rows.is_empty() {
        let _ = writeln!(text, "\nminute                trunk             ours   theirs  state");
    }
    for row in rows.iter().take(MOST_SHOWN) {
        let [start, _, trunk, ours, theirs, _, state, ..] = cells(row);
        let theirs = if theirs.is_empty() { "-".to_owned() } else { theirs };
        let _ = writeln!(text, "{start}  {trunk:<14} {ours:>7}  {theirs:>7}  {state}");
    }
    if rows.len() > MOST_SHOWN {
        let _ = writeln!(text, "and {} more; --csv has all of them", rows.len() - MOST_SHOWN);
    }
    for remark in &of.remarks {
        let _ = write!(text, "\nnote: {remark}\n");
    }
    printable_lines(&text)
}

fn printable_lines(text: &str) -> String {
    crate::vocab::printable_lines(text).into_owned()
}

/// Rows in a terminal.
const MOST_SHOWN: usize = 20;

/// Everything as one object.
pub fn render_json(of: &Reconciled) -> Vec<u8> {
    let row = |row: &MinuteRow| {
        let cells = cells(row);
        json!({
            "interval_start": cells[0], "trunk_id": row.trunk_id, "ours": row.our_total(), "theirs": row.their_total(),
            "state": row.state.as_str(), "ours_failed": row.ours.failed, "theirs_failed": row.theirs.failed,
        })
    };
    let agreement = match of.agreement {
        Agreement::Agree => "agree",
        Agreement::Differ => "differ",
        Agreement::Unknown => "unknown",
    };
    let document = json!({
        "agreement": agreement,
        "line": line(of),
        "clock_skew_s": of.skew.map(|skew| skew.seconds),
        "rules": of.rules.iter().map(|(trunk, rule)| json!({ "trunk_id": trunk, "rule": rule.in_words() })).collect::<Vec<Value>>(),
        "findings": of.findings,
        "minutes": of.rows.iter().map(row).collect::<Vec<Value>>(),
        "remarks": of.remarks,
    });
    json::pretty(&document)
}

#[derive(Serialize)]
struct ReconcilePage {
    version: &'static str,
    name: String,
    tone: &'static str,
    word: &'static str,
    line: String,
    sheets: Vec<Sheet>,
}

/// The page.
pub fn page(of: &Reconciled, name: &str) -> Vec<u8> {
    let mut findings = Sheet::new("findings", "What follows", "", &["finding", "confidence", "summary", "evidence"]);
    for finding in &of.findings {
        findings.row([
            finding.id.clone(),
            finding.confidence.to_string(),
            finding.summary.clone(),
            finding.evidence.clone(),
        ]);
    }
    let lead = "By UTC minute of the platform's clock. An empty cell is not known; it is no zero.";
    let mut minutes = Sheet::new(
        "minutes",
        "Minute by minute",
        lead,
        &["minute", "trunk", "#ours", "#theirs", "#difference", "state"],
    );
    for row in &of.rows {
        let [start, _, trunk, ours, theirs, difference, state, ..] = cells(row);
        let tone = match row.state {
            MinuteState::Agree => "good",
            MinuteState::Differ | MinuteState::Missing => "bad",
            _ => "",
        };
        minutes.toned([start, trunk, ours, theirs, difference, state], tone);
    }
    let (tone, word) = match of.agreement {
        Agreement::Agree => ("good", "They agree"),
        Agreement::Differ => ("bad", "They differ"),
        Agreement::Unknown => ("", "Cannot be said"),
    };
    let page = ReconcilePage {
        version: env!("CARGO_PKG_VERSION"),
        name: printable(name),
        tone,
        word,
        line: line(of),
        sheets: vec![findings, minutes],
    };
    template::render("reconcile.html.j2", include_str!("reconcile.html.j2"), &page).into_bytes()
}
