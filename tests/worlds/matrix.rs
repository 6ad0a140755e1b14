//! What was said of worlds held against what is true of them: a confusion matrix, and how often
//! each degree of confidence was right.

use crate::world::World;
use regstorm::diagnose::{Finding, explain};
use regstorm::vocab::{Confidence, Severity};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

/// How often each degree of confidence was right.
#[derive(Default)]
pub struct Score {
    pub right: u32,
    pub wrong: u32,
}

/// All worlds lived through, what was said of them, and what was not.
#[derive(Default)]
pub struct Matrix {
    pub runs: u32,
    pub worlds: u32,
    /// By what is true and what was found; an empty truth is a healthy world.
    pub cells: BTreeMap<(String, String), u32>,
    pub by_confidence: BTreeMap<&'static str, Score>,
    pub expected: u32,
    pub found: u32,
    pub alarms: u32,
    /// Findings told with confidence where one of their rivals holds: world, finding, rival.
    pub taken_for: BTreeSet<String>,
    pub complaints: String,
}

impl Matrix {
    pub fn judge(&mut self, world: &World, run: &str, found: &[Finding]) {
        self.runs += 1;
        let mut complaint = String::new();
        let truth = world.expect.iter().next().cloned().unwrap_or_else(|| "(nothing)".to_owned());
        for id in &world.expect {
            self.expected += 1;
            if found.iter().any(|finding| finding.id == *id) {
                self.found += 1;
            } else {
                let _ = writeln!(complaint, "  missed {id}");
                *self.cells.entry((truth.clone(), "(missed)".to_owned())).or_default() += 1;
            }
        }
        for finding in found {
            let weak = finding.confidence <= Confidence::Low;
            let true_or_allowed = world.expect.contains(&finding.id) || world.allow.contains(&finding.id);
            let right =
                true_or_allowed || (world.open.contains(&finding.id) && weak) || finding.severity == Severity::Info;
            let score = self.by_confidence.entry(finding.confidence.as_str()).or_default();
            *if right { &mut score.right } else { &mut score.wrong } += 1;
            *self.cells.entry((truth.clone(), finding.id.clone())).or_default() += 1;
            let rival = rivals_of(&finding.id).into_iter().find(|rival| world.is.contains(rival));
            if let Some(rival) = rival.filter(|_| !weak && !true_or_allowed) {
                self.taken_for.insert(format!("{}: {rival} taken for {}", world.name, finding.id));
            }
            if !right {
                let _ = writeln!(complaint, "  wrong: {} {} {}", finding.id, finding.severity, finding.confidence);
            }
            if world.healthy && finding.severity == Severity::Critical {
                self.alarms += 1;
                let _ = writeln!(complaint, "  critical where nothing is wrong: {}", finding.id);
            }
        }
        if !complaint.is_empty() {
            let _ = write!(self.complaints, "{run}\n{complaint}");
            for Finding { id, severity, confidence, summary, evidence, rejected, .. } in found {
                let _ = writeln!(self.complaints, "    {id} {severity} {confidence}: {summary}");
                let _ = writeln!(self.complaints, "        {evidence}\n        not {rejected}");
            }
        }
    }

    pub fn share(score: Option<&Score>) -> f64 {
        score.map_or(1.0, |score| f64::from(score.right) / f64::from((score.right + score.wrong).max(1)))
    }

    pub fn recall(&self) -> f64 {
        f64::from(self.found) / f64::from(self.expected.max(1))
    }

    pub fn text(&self) -> String {
        let mut text = format!("{} worlds, {} runs\n\nwhat is true -> what was found (runs)\n", self.worlds, self.runs);
        let mut last = "";
        for ((truth, found), count) in &self.cells {
            if truth != last {
                let _ = write!(text, "{truth}:");
                last = truth;
            }
            let _ = writeln!(text, "\t{found} {count}");
        }
        let _ = writeln!(text, "\nconfidence   right  wrong  share right");
        for (confidence, score) in &self.by_confidence {
            let share = Matrix::share(Some(score));
            let _ = writeln!(text, "{confidence:<10} {:>7} {:>6} {share:>12.3}", score.right, score.wrong);
        }
        let (found, expected) = (self.found, self.expected);
        let _ = writeln!(text, "\nrecall {:.3} ({found} of {expected})", self.recall());
        let _ = writeln!(text, "critical findings where nothing is wrong: {}", self.alarms);
        text
    }
}

/// The rivals of a finding, as its explanation lists them.
pub fn rivals_of(id: &str) -> Vec<String> {
    let text = explain::finding(id);
    text.map(|text| text.rivals.into_iter().map(|rival| rival.cause).collect()).unwrap_or_default()
}
