//! Judgement and the derived files, over runs made by hand: what is written, and that it adds up.

mod files;
mod fixture;
mod judgement;
mod page;
mod setup;
mod xlsx;

use regstorm::diagnose::{Judgement, Threshold, judge};
use regstorm::record::Results;

/// The thresholds of most tests: one missed, two met, one restricted to a trunk.
pub const THRESHOLDS: [(&str, &str); 4] = [
    ("success_ratio", ">= 99.9%"),
    ("register.p99", "< 250ms"),
    ("trunk.trunk_01.loops", "<= 2"),
    ("schedule_lag.p99", "< 5ms"),
];

pub fn judged(results: &Results, thresholds: &[(&str, &str)]) -> Judgement {
    let ids: Vec<_> = results.header.trunks.iter().map(|trunk| trunk.id.as_str()).collect();
    let parse = |(name, expr): &(&str, &str)| Threshold::parse(name, expr, &ids).expect("a valid threshold");
    judge(results, &[], &thresholds.iter().map(parse).collect::<Vec<_>>())
}

/// One derived file as text.
pub fn rendered(results: &Results, thresholds: &[(&str, &str)], file: &str) -> String {
    let files = regstorm::report::render_all(results, &judged(results, thresholds), &[]);
    let (_, bytes) = files.into_iter().find(|(name, _)| *name == file).expect("a file of the contract");
    String::from_utf8(bytes).expect("every file is UTF-8")
}
