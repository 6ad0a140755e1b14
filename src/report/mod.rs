//! The files people and programs read, as bytes: `run.json`, the CSV files, the report page, JUnit,
//! and the summary on the terminal; and two runs side by side.
//!
//! `limits` renders what a search for limits found. Every exporter takes values (of a run: a
//! [`Results`] and what was judged of it), returns bytes or text and touches nothing: no file, no
//! clock, no terminal. The caller writes the files.

pub mod avalanche;
mod canary;
mod carrier;
mod chart;
mod charts;
mod checked;
mod checks;
pub mod compare;
pub mod conditions;
mod connections;
pub mod credentials;
pub mod csv;
pub mod diagnosis;
pub mod dictionary;
pub mod dry_run;
pub mod experiments;
pub mod explanation;
mod facts;
mod found;
pub mod go_live;
pub mod html;
mod json;
pub mod junit;
mod last_good;
pub mod learn;
pub mod limits;
pub mod line;
mod machine_sheet;
mod machines;
mod names;
mod platforms;
pub mod readiness;
pub mod reconcile;
mod resolved;
pub mod run_json;
mod script;
mod sheets;
pub mod summary;
pub mod summary_csv;
pub mod sweep;
mod template;
mod text;
pub mod trend;
mod truth;
mod untested;
pub mod watch;
pub mod words;
pub mod xlsx;

pub use html::Surroundings;

use crate::diagnose::{Finding, Judgement};
use crate::record::Results;

/// Every derived file of this room: its name in the result directory and its bytes.
pub fn render_all(results: &Results, judgement: &Judgement, findings: &[Finding]) -> Vec<(&'static str, Vec<u8>)> {
    render_among(results, judgement, findings, &Surroundings::default())
}

/// The same for a run that lies beside others.
pub fn render_among(
    results: &Results,
    judgement: &Judgement,
    findings: &[Finding],
    around: &Surroundings,
) -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("run.json", run_json::render(results, judgement, findings)),
        ("intervals.csv", csv::intervals(results)),
        ("latency.csv", csv::latency(results)),
        ("responses.csv", csv::responses(results)),
        ("agents.csv", csv::agents(results)),
        ("loops.csv", csv::loops(results)),
        ("availability.csv", csv::availability(results)),
        ("generator.csv", csv::generator(results)),
        ("findings.csv", csv::findings(findings)),
        ("summary.csv", summary_csv::render(results, judgement, findings)),
        ("report.html", html::render(results, judgement, findings, around)),
        ("junit.xml", junit::render(results, judgement, findings)),
    ]
}
