//! The truth table of the forensics: runs whose trouble is known, rehearsed in virtual time, and
//! what is found in them.
//!
//! `scenarios.toml` beside this file says for each scenario what is wrong, at which scales and
//! seeds it is rehearsed, which findings must be there and which others may. Everything else that
//! is found is wrong. Precision and recall of each finding over the whole grid are printed.

#[path = "../support/rehearsal.rs"]
mod rehearsal;

use regstorm::diagnose::{Finding, findings};
use regstorm::vocab::{Severity, parse_duration};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::io::Write as _;

#[derive(Deserialize)]
struct Table {
    /// What every profile begins with; `{agents}` is replaced.
    base: String,
    scenario: Vec<Scenario>,
}

#[derive(Deserialize)]
struct Scenario {
    name: String,
    /// Ids that must be found, each on every trunk's run as a whole.
    #[serde(default)]
    expect: BTreeSet<String>,
    /// Ids that may be found beside them.
    #[serde(default)]
    allow: BTreeSet<String>,
    /// Text every expected finding's summary or evidence must contain, by id.
    #[serde(default)]
    says: BTreeMap<String, String>,
    /// Nothing is wrong with the registrar: nothing critical may be found.
    #[serde(default)]
    healthy: bool,
    #[serde(default = "some_scales")]
    agents: Vec<u32>,
    #[serde(default = "some_seeds")]
    seeds: Vec<u64>,
    /// The trunk's agents.
    #[serde(default = "a_user_each")]
    who: String,
    /// Goes into the trunk's table.
    #[serde(default)]
    trunk: String,
    /// Follows: load, faults, further tables. `{agents}`, `{half}`, `{tenth}`, `{most}` (4/5) and
    /// `{rate}` (a fiftieth, at least 10) are replaced.
    rest: String,
    /// Packets lost on the way, each direction.
    #[serde(default)]
    loss: f64,
}

fn a_user_each() -> String {
    r#"{ count = {agents}, user = "agent{n:05}", password = "secret" }"#.to_owned()
}

fn some_scales() -> Vec<u32> {
    vec![20, 200, 2_000]
}

fn some_seeds() -> Vec<u64> {
    vec![1, 2]
}

impl Scenario {
    fn profile(&self, base: &str, agents: u32) -> String {
        let text = base.replace("{trunk}", &self.trunk).replace("{who}", &self.who) + &self.rest;
        let numbers = [
            ("{agents}", agents),
            ("{half}", agents / 2),
            ("{tenth}", (agents / 10).max(1)),
            ("{most}", agents * 4 / 5),
            ("{rate}", (agents / 50).max(10)),
        ];
        numbers.iter().fold(text, |text, (name, value)| text.replace(name, &value.to_string()))
    }
}

/// Hits, misses and false alarms of one id.
#[derive(Default)]
struct Score {
    hit: u32,
    missed: u32,
    wrong: u32,
}

/// The whole grid, every rehearsal judged.
#[derive(Default)]
struct Grid {
    runs: u32,
    healthy: u32,
    scores: BTreeMap<String, Score>,
    complaints: String,
}

impl Grid {
    fn judge(&mut self, scenario: &Scenario, run: &str, found: &[Finding]) {
        self.runs += 1;
        let ids: BTreeSet<&str> = found.iter().map(|finding| finding.id.as_str()).collect();
        for id in &scenario.expect {
            let score = self.scores.entry(id.clone()).or_default();
            let hits = found.iter().filter(|finding| finding.id == *id);
            let says = |finding: &Finding| {
                scenario
                    .says
                    .get(id)
                    .is_none_or(|text| format!("{} {}", finding.summary, finding.evidence).contains(text))
            };
            if hits.clone().any(says) {
                score.hit += 1;
            } else {
                score.missed += 1;
                let _ = writeln!(self.complaints, "{run}: missed {id}");
            }
        }
        for id in ids.iter().filter(|id| !scenario.expect.contains(**id) && !scenario.allow.contains(**id)) {
            self.scores.entry((*id).to_owned()).or_default().wrong += 1;
            let _ = writeln!(self.complaints, "{run}: wrongly found {id}");
        }
        if scenario.healthy {
            self.healthy += 1;
            for finding in found.iter().filter(|finding| finding.severity == Severity::Critical) {
                let _ = writeln!(self.complaints, "{run}: critical {} where nothing is wrong", finding.id);
            }
        }
        if self.complaints.contains(run) {
            for finding in found {
                let Finding { id, severity, confidence, summary, evidence, rejected, .. } = finding;
                let _ = writeln!(
                    self.complaints,
                    "    {id} {severity} {confidence}: {summary}\n        {evidence}\n        not {rejected}"
                );
            }
        }
    }

    fn table(&self) -> String {
        let mut text = format!(
            "{} rehearsals, {} of them of a healthy registrar\n{:<24} {:>5} {:>7} {:>6} {:>9} {:>7}\n",
            self.runs, self.healthy, "finding", "found", "missed", "wrong", "precision", "recall"
        );
        for (id, Score { hit, missed, wrong }) in &self.scores {
            let share = |part: u32, other: u32| match part + other {
                0 => "-".to_owned(),
                all => format!("{:.3}", f64::from(part) / f64::from(all)),
            };
            let _ = writeln!(
                text,
                "{id:<24} {hit:>5} {missed:>7} {wrong:>6} {:>9} {:>7}",
                share(*hit, *wrong),
                share(*hit, *missed)
            );
        }
        text
    }
}

#[test]
fn every_trouble_is_found_and_nothing_else() {
    let table: Table = toml::from_str(include_str!("scenarios.toml")).expect("the table of scenarios");
    let only = std::env::var("SCENARIO").ok();
    // For whoever works on a detector with an unoptimised build.
    let most = std::env::var("MOST_AGENTS").ok().and_then(|most| most.parse().ok()).unwrap_or(u32::MAX);
    let mut grid = Grid::default();
    for scenario in table.scenario.iter().filter(|s| only.as_ref().is_none_or(|only| s.name.contains(only.as_str()))) {
        for &agents in scenario.agents.iter().filter(|agents| **agents <= most) {
            for &seed in &scenario.seeds {
                let run = format!("{} [{agents} agents, seed {seed}]", scenario.name);
                let results = rehearsal::rehearse(&scenario.profile(&table.base, agents), seed, scenario.loss);
                grid.judge(scenario, &run, &findings(&results));
            }
        }
    }
    // Past the capture of the test harness: the table is to be read on success too.
    std::io::stdout().write_all(format!("\n{}\n", grid.table()).as_bytes()).expect("standard output");
    assert!(grid.complaints.is_empty(), "{}\n{}", grid.table(), grid.complaints);
}

/// A trunk that flips between two states every 45 minutes, watched for six hours: period within one
/// per cent, phase and agents right.
#[test]
fn a_slow_oscillation_is_measured() {
    let table: Table = toml::from_str(include_str!("scenarios.toml")).expect("the table of scenarios");
    let scenario = table.scenario.iter().find(|s| s.name.starts_with("comes and goes every 45")).expect("the scenario");
    for seed in [3, 4, 5] {
        let found = findings(&rehearsal::rehearse(&scenario.profile(&table.base, 100), seed, 0.0));
        let [finding] = found.as_slice() else { panic!("{found:#?}") };
        let after = |text: &str, mark: &str| {
            let rest = &text[text.find(mark).unwrap_or_else(|| panic!("{mark} in {text}")) + mark.len()..];
            let word = rest.split([':', ' ', ';']).next().expect("a word");
            parse_duration(word).unwrap_or_else(|_| panic!("{word} is a duration")).as_secs_f64()
        };
        let (period, phase) = (after(&finding.summary, "a period of "), after(&finding.evidence, "times, first "));
        assert!((period - 2_700.0).abs() <= 27.0, "{}", finding.summary);
        // The registrar refuses in the second half of each period; an answer comes every few
        // seconds at most.
        assert!((phase - 1_350.0).abs() <= 60.0, "{}", finding.evidence);
        assert_eq!(finding.agents, 100);
        assert!(
            finding.evidence.contains("100 of the 100 agents hit were accepted in between"),
            "{}",
            finding.evidence
        );
    }
}
