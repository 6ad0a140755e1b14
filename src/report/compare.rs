//! Two runs side by side: a table for the terminal, one JSON object, a self-contained page, and one
//! line for a chat.
//!
//! What is said is decided in `diagnose::compare`; here it is only written down, in the same words
//! everywhere.

use super::explanation::{WIDTH, wrap};
use super::json;
use super::sheets::Sheet;
use super::template;
use super::text::{self, counted, decimal, measured, printable, thousands};
use crate::diagnose::compare::{
    Basis, Comparison, Difference, FigureChange, FindingChange, FindingState, JudgedRun, LEVEL, Outcome,
    RegressionVerdict,
};
use crate::diagnose::figures::Unit;
use serde::Serialize;
use serde_json::{Value, json};
use std::fmt::Write;

/// Two runs and what came of them.
pub struct Pair<'a> {
    pub base: SideView<'a>,
    pub new: SideView<'a>,
    pub comparison: &'a Comparison,
}

/// A run and where it lies.
pub struct SideView<'a> {
    /// As the user would name it.
    pub place: String,
    pub run: JudgedRun<'a>,
}

/// How it was tested, for every output.
pub const METHOD: &str = "Latencies: the share of attempts above the common quantile, by Student's t over up to 20 blocks of \
consecutive intervals, with no less than the scatter of independent attempts. Shares of attempts: Fisher's exact test, \
trials divided by their design effect, since attempts of one agent or one busy moment go together. Loops and \
availability: the same with agents as trials. One-sided, Holm's correction over all figures. Worse, better, small: p < \
0.01, and beyond or within the line of [compare]. Same: the 95 % interval excludes a worse change beyond it. Open: it does \
not; longer runs would tell.";

/// One line: the verdict, the run's name, and what matters most.
pub fn line(pair: &Pair) -> String {
    let Pair { base, new, comparison } = pair;
    let name = &new.run.results.header.name;
    let with = format!("{} against {}", new.place, base.place);
    let text = match comparison.verdict {
        RegressionVerdict::Inconclusive => {
            format!("{}: {name}: {} ({with})", verdict(comparison), comparison.reasons.join("; "))
        }
        RegressionVerdict::Regression => {
            let worse = comparison.figures.iter().filter(|change| change.outcome == Outcome::Worse);
            let worse: Vec<String> = worse.map(|change| format!("{} {}", change.name, moved(change))).collect();
            format!("{}: {name}: {}{} ({with})", verdict(comparison), worse.join(", "), found(comparison))
        }
        RegressionVerdict::NoRegression => {
            let tested = comparison.figures.iter().filter(|change| change.p.is_some()).count();
            let open = comparison.figures.iter().filter(|change| change.outcome == Outcome::Open).count();
            let open = match open {
                0 => String::new(),
                open => format!(", {open} of them had too few attempts to tell"),
            };
            format!(
                "{}: {name}: no change for the worse in {}{open}{} ({with})",
                verdict(comparison),
                counted(tested as u64, "figure"),
                found(comparison)
            )
        }
    };
    printable(&text)
}

/// The table, the chat line last.
pub fn render(pair: &Pair) -> String {
    let Pair { base, new, comparison } = pair;
    let mut text = String::new();
    // Writing to a string cannot fail, here and below.
    for (label, side) in [("BASE", base), ("NEW", new)] {
        let _ = writeln!(text, "{label:<4}  {}", described(side));
    }
    for reason in &comparison.reasons {
        let _ = writeln!(text, "\n!! NO VERDICT: {}", printable(reason));
    }
    for caution in &comparison.cautions {
        let _ = writeln!(text, "\nnote: {}", printable(caution));
    }
    text.push('\n');
    let rows: Vec<[String; 8]> = comparison.figures.iter().map(cells).collect();
    columns(&mut text, COLUMNS, &rows);
    if !comparison.findings.is_empty() {
        text.push_str("\nfindings\n");
    }
    for finding in &comparison.findings {
        let FindingChange { state, id, severity, trunk_id, summary, .. } = finding;
        let line = format!("  {:<4}  {severity:<8}  {id} {trunk_id}: {summary} ({})", state.as_str(), agents(finding));
        let _ = writeln!(text, "{}", printable(&line));
    }
    for (title, differences) in [("profile", &comparison.profile), ("environment", &comparison.environment)] {
        if !differences.is_empty() {
            let _ = writeln!(text, "\n{title}");
        }
        for difference in differences {
            let [key, base, new] = compared(difference);
            let _ = writeln!(text, "  {key}: {base} -> {new}");
        }
    }
    let _ = write!(text, "\n{}\n{}\n", wrap(METHOD, "", "", WIDTH), line(pair));
    text
}

/// The comparison as JSON.
pub fn render_json(pair: &Pair) -> Vec<u8> {
    json::pretty(&object(pair))
}

/// One JSON object.
fn object(pair: &Pair) -> Value {
    let Pair { base, new, comparison } = pair;
    let side = |side: &SideView| {
        let (header, judgement) = (&side.run.results.header, side.run.judgement);
        json!({
            "place": side.place,
            "name": header.name,
            "started": header.utc(0),
            "seed": header.seed,
            "simulated": header.simulated,
            "verdict": judgement.verdict,
            "generator": judgement.generator,
            "attempts": side.run.results.totals.attempts,
        })
    };
    json!({
        "schema": "regstorm.compare/1",
        "verdict": comparison.verdict,
        "line": line(pair),
        "reasons": comparison.reasons,
        "cautions": comparison.cautions,
        "method": METHOD,
        "level": LEVEL,
        "block_against_block": comparison.aligned,
        "base": side(base),
        "new": side(new),
        "figures": comparison.figures.iter().map(figure).collect::<Vec<_>>(),
        "findings": comparison.findings,
        "profile": comparison.profile,
        "environment": comparison.environment,
    })
}

/// The page.
pub fn page(pair: &Pair) -> Vec<u8> {
    let Pair { base, new, comparison } = pair;
    let (word, tone) = match comparison.verdict {
        RegressionVerdict::Regression => ("Regression", "bad"),
        RegressionVerdict::NoRegression => ("No regression", "good"),
        RegressionVerdict::Inconclusive => ("No verdict", "doubt"),
    };
    let page = ComparePage {
        name: printable(&new.run.results.header.name),
        version: env!("CARGO_PKG_VERSION"),
        word,
        tone,
        line: line(pair),
        reasons: comparison.reasons.iter().map(|reason| printable(reason)).collect(),
        cautions: comparison.cautions.iter().map(|caution| printable(caution)).collect(),
        base: described(base),
        new: described(new),
        sheets: vec![
            figures(comparison),
            findings(comparison),
            differing(
                "profile",
                "Profile",
                "Keys whose values differ, defaults included. Secrets are not compared.",
                &comparison.profile,
            ),
            differing("environment", "Environment", "What the runs were made with and on.", &comparison.environment),
        ],
    };
    template::render("compare.html.j2", include_str!("compare.html.j2"), &page).into_bytes()
}

#[derive(Serialize)]
struct ComparePage {
    name: String,
    version: &'static str,
    word: &'static str,
    /// `good`, `bad` or `doubt`: a colour, always beside the word.
    tone: &'static str,
    line: String,
    reasons: Vec<String>,
    cautions: Vec<String>,
    base: String,
    new: String,
    sheets: Vec<Sheet>,
}

const COLUMNS: [&str; 8] = ["figure", "#BASE", "#NEW", "#change", "#95 % interval", "#p", "allowed", "result"];

fn figures(comparison: &Comparison) -> Sheet {
    let mut sheet = Sheet::new("figures", "Figures", "", &COLUMNS);
    for change in &comparison.figures {
        let tone = match change.outcome {
            Outcome::Worse => "bad",
            Outcome::Better => "good",
            _ => "",
        };
        sheet.toned(cells(change), tone);
    }
    sheet.noted(METHOD.to_owned())
}

fn findings(comparison: &Comparison) -> Sheet {
    let columns = ["state", "severity", "finding", "trunk", "agents", "summary"];
    let mut sheet = Sheet::new("findings", "Findings", "The same is what has the same id on the same trunk.", &columns);
    for change in &comparison.findings {
        let FindingChange { state, id, severity, trunk_id, summary, .. } = change;
        let tone = match state {
            FindingState::New => "bad",
            FindingState::Gone => "good",
            FindingState::Same => "",
        };
        let state = state.as_str().to_owned();
        sheet.toned([state, severity.to_string(), id.clone(), trunk_id.clone(), agents(change), summary.clone()], tone);
    }
    let note = if comparison.findings.is_empty() { "Neither run has any." } else { "" };
    sheet.noted(note.to_owned())
}

fn differing(id: &'static str, title: &'static str, lead: &str, differences: &[Difference]) -> Sheet {
    let mut sheet = Sheet::new(id, title, lead, &["key", "BASE", "NEW"]);
    for difference in differences {
        sheet.row(compared(difference));
    }
    let note = if differences.is_empty() { "Nothing differs." } else { "" };
    sheet.noted(note.to_owned())
}

fn figure(change: &FigureChange) -> Value {
    json!({
        "name": change.name,
        "allowed": change.allowed,
        "unit": change.unit,
        "base": change.base,
        "new": change.new,
        "difference": change.difference(),
        "interval_95": change.interval.map(|(low, high)| [low, high]),
        "generator_own_us": change.own,
        "p": change.p,
        "basis": change.basis,
        "outcome": change.outcome,
    })
}

/// A row of the table of figures.
fn cells(change: &FigureChange) -> [String; 8] {
    let value = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| measured(change.unit, value));
    let interval = change.interval.map(|(low, high)| {
        let (low, _) = signed(change.unit, low);
        let (high, unit) = signed(change.unit, high);
        format!("{low} to {high} {unit}")
    });
    [
        printable(&change.name),
        value(change.base),
        value(change.new),
        moved(change),
        interval.unwrap_or_else(|| "-".to_owned()),
        change.p.map_or_else(|| "-".to_owned(), probability),
        printable(&change.allowed),
        result(change),
    ]
}

/// The outcome, and what it rests on where that is not plain.
fn result(change: &FigureChange) -> String {
    let own = match change.own {
        own if own >= 1.0 => format!(" ({} ms of it the generator's own)", text::millis(own)),
        _ => String::new(),
    };
    let basis = match change.basis {
        Some(Basis::Blocks(n)) => format!(", {n} blocks"),
        Some(Basis::Trials(each)) if each >= 1.05 => format!(", {} trials count as one", decimal(each, 1)),
        _ => String::new(),
    };
    let outcome = if change.outcome == Outcome::Worse { "WORSE" } else { change.outcome.as_str() };
    format!("{outcome}{basis}{own}")
}

/// `+4.02 ms (+8.3 %)`, `-1.02 points`.
fn moved(change: &FigureChange) -> String {
    let Some(difference) = change.difference() else { return "-".to_owned() };
    let (number, unit) = signed(change.unit, difference);
    match (change.unit, change.base) {
        (Unit::Microseconds, Some(base)) if base > 0.0 => {
            format!("{number} {unit} ({:+.1} %)", 100.0 * difference / base)
        }
        _ => format!("{number} {unit}"),
    }
}

/// A difference with its sign, and its unit.
fn signed(unit: Unit, difference: f64) -> (String, &'static str) {
    let (value, word) = match unit {
        Unit::Microseconds => (difference / 1e3, "ms"),
        Unit::Ratio => (100.0 * difference, "points"),
        Unit::Percent => (difference, "points"),
        Unit::Count | Unit::AgentMinutes => (difference, ""),
    };
    let text = format!("{value:+.2}");
    // Nothing has no sign.
    (if text.ends_with("0.00") && text.len() == 5 { "0.00".to_owned() } else { text }, word)
}

fn probability(p: f64) -> String {
    if p < 0.001 { "<0.001".to_owned() } else { format!("{p:.3}") }
}

fn verdict(comparison: &Comparison) -> &'static str {
    match comparison.verdict {
        RegressionVerdict::Regression => "regression",
        RegressionVerdict::NoRegression => "no regression",
        RegressionVerdict::Inconclusive => "NO VERDICT",
    }
}

/// `; 1 new finding: limit.concurrent; 1 note`.
fn found(comparison: &Comparison) -> String {
    let of = |state| comparison.findings.iter().filter(move |finding| finding.state == state);
    let fresh: Vec<&str> = of(FindingState::New).map(|finding| finding.id.as_str()).collect();
    let gone = of(FindingState::Gone).count();
    let mut text = String::new();
    if !fresh.is_empty() {
        let _ = write!(text, "; {}: {}", counted(fresh.len() as u64, "new finding"), fresh.join(", "));
    }
    if gone > 0 {
        let _ = write!(text, "; {} gone", counted(gone as u64, "finding"));
    }
    // A doubt about the runs must not be lost on the way to a chat.
    if !comparison.cautions.is_empty() {
        let _ = write!(text, "; {}", counted(comparison.cautions.len() as u64, "note"));
    }
    text
}

/// `12 -> 30 agents`, `new: 30 agents`, `resolved`.
fn agents(change: &FindingChange) -> String {
    match (change.base_agents, change.new_agents) {
        (Some(base), Some(new)) => format!("{} -> {}", thousands(base), counted(new, "agent")),
        (None, Some(new)) => format!("new: {}", counted(new, "agent")),
        (Some(base), None) => format!("resolved: {} before", counted(base, "agent")),
        (None, None) => "-".to_owned(),
    }
}

fn compared(difference: &Difference) -> [String; 3] {
    let value = |value: &Option<String>| value.as_deref().map_or_else(|| "-".to_owned(), printable);
    [printable(&difference.key), value(&difference.base), value(&difference.new)]
}

/// `results/a  pilot  2026-11-21T01:02:03.004Z  pass, generator valid, 1,000 attempts`.
fn described(side: &SideView) -> String {
    let SideView { place, run } = side;
    let (header, judgement) = (&run.results.header, run.judgement);
    let simulated = if header.simulated { "simulated, " } else { "" };
    printable(&format!(
        "{place}  {}  {}  {simulated}{}, generator {}, {} attempts",
        header.name,
        header.utc(0),
        judgement.verdict.as_str(),
        judgement.generator.as_str(),
        thousands(run.results.totals.attempts),
    ))
}

/// Rows under their headings, each column as wide as it must be; a heading that begins with `#`
/// stands over numbers.
fn columns<const N: usize>(text: &mut String, headings: [&str; N], rows: &[[String; N]]) {
    let names = headings.map(|heading| heading.trim_start_matches('#').to_owned());
    let mut all = vec![names];
    all.extend_from_slice(rows);
    let width = |n: usize| all.iter().map(|row| row[n].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..N).map(width).collect();
    for row in &all {
        let mut line = String::new();
        for (n, cell) in row.iter().enumerate() {
            let width = widths[n];
            let _ = if headings[n].starts_with('#') {
                write!(line, "{cell:>width$}  ")
            } else {
                write!(line, "{cell:<width$}  ")
            };
        }
        let _ = writeln!(text, "{}", line.trim_end());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_have_a_sign_and_a_unit() {
        for (unit, difference, text) in [
            (Unit::Microseconds, 4_770.0, "+4.77 ms"),
            (Unit::Ratio, -0.012, "-1.20 points"),
            (Unit::Percent, -1.25, "-1.25 points"),
            (Unit::Percent, -0.001, "0.00 points"),
            (Unit::Microseconds, 10_000.0, "+10.00 ms"),
        ] {
            let (number, unit) = signed(unit, difference);
            assert_eq!(format!("{number} {unit}"), text);
        }
        assert_eq!([0.0004, 0.0312, 1.0].map(probability), ["<0.001", "0.031", "1.000"]);
    }

    #[test]
    fn columns_line_up() {
        let mut text = String::new();
        columns(&mut text, ["a", "#b"], &[["long one".to_owned(), "1".to_owned()], [String::new(), "12".to_owned()]]);
        assert_eq!(text, "a          b\nlong one   1\n          12\n");
    }
}
