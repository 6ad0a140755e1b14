//! A table of worlds: what each registrar is made of, how agents meet it, and what is true of it.

use crate::side::spec::Spec;
use crate::truth::TruthModel;
use serde::Deserialize;
use std::collections::BTreeSet;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Table {
    pub base: String,
    pub load: String,
    pub world: Vec<World>,
}

/// A table that leaves base and load to `worlds.toml`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Worlds {
    pub world: Vec<World>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct World {
    pub name: String,
    /// Causes that hold in it, as the lists of rivals call them (`explain/findings.toml`).
    #[serde(default)]
    pub is: BTreeSet<String>,
    /// Ids that must be found, at any confidence.
    #[serde(default)]
    pub expect: BTreeSet<String>,
    /// Ids that may be found beside them, at any confidence.
    #[serde(default)]
    pub allow: BTreeSet<String>,
    /// Ids that may be found with `low` or `open`: rivals that nothing in this world excludes.
    #[serde(default)]
    pub open: BTreeSet<String>,
    /// What the summaries of findings must contain, each in one of them.
    #[serde(default)]
    pub says: Vec<String>,
    /// Nothing is wrong with the registrar that anybody must be woken for: no critical finding.
    #[serde(default)]
    pub healthy: bool,
    #[serde(default = "some_sizes")]
    pub agents: Vec<u32>,
    #[serde(default = "some_seeds")]
    pub seeds: Vec<u64>,
    #[serde(default)]
    pub side: String,
    /// Goes into the trunk's table.
    #[serde(default)]
    pub trunk: String,
    /// Keys of the base that the trunk goes without.
    #[serde(default)]
    pub without: Vec<String>,
    /// Further tables.
    #[serde(default)]
    pub more: String,
    pub load: Option<String>,
    /// Packets lost on the way, each direction.
    #[serde(default)]
    pub loss: f64,
    /// What the server says of its own count, where it is asked.
    pub truth: Option<TruthModel>,
}

pub fn some_sizes() -> Vec<u32> {
    vec![40, 200, 1_000]
}

pub fn some_seeds() -> Vec<u64> {
    vec![1, 2, 3]
}

/// Fills in what depends on the number of agents.
pub fn filled(text: &str, agents: u32) -> String {
    // Agents that arrive in a second; each takes two requests.
    let rate = (agents / 20).max(2);
    let gap_ms = 1_000.0 / f64::from(2 * rate);
    let whole = [
        ("{agents}", agents),
        ("{half}", agents / 2),
        ("{half_more}", agents / 2 + (agents / 10).max(6)),
        ("{half_and_tenth}", agents / 2 + agents / 10),
        ("{nine_tenths}", agents * 9 / 10),
        ("{agents_and_half}", agents * 3 / 2),
        ("{rate}", rate),
    ];
    let text = whole.iter().fold(text.to_owned(), |text, (name, value)| text.replace(name, &value.to_string()));
    let parts = [
        // What a request may take when as many come as arrive …
        ("{quarter_gap_ms}", gap_ms / 2.0),
        // … and when half as many again come.
        ("{tight_gap_ms}", gap_ms * 1.5),
        ("{slow_gap_ms}", gap_ms * 3.0),
        ("{avalanche_ms}", 15_000.0 / f64::from(2 * agents)),
        ("{per_binding_ms}", 160.0 / f64::from(agents)),
        ("{rival_s}", 20.0 / f64::from(agents)),
        ("{per_rate_ms}", 4_000.0 / f64::from(agents)),
    ];
    parts.iter().fold(text, |text, (name, value)| text.replace(name, &format!("{value:.4}")))
}

impl World {
    pub fn profile(&self, table: &Table, agents: u32) -> String {
        let base = table.base.replace("{trunk}", &self.trunk).replace("{more}", &self.more);
        let text = base + self.load.as_deref().unwrap_or(&table.load);
        // A key that a world sets stands for the one of the base.
        let own: Vec<&str> = self.trunk.lines().filter_map(|line| line.split('=').next()).map(str::trim).collect();
        let mut seen = BTreeSet::new();
        let kept = text.lines().rev().filter(|line| {
            let key = line.split('=').next().unwrap_or_default().trim();
            !self.without.iter().any(|gone| gone == key) && (!own.contains(&key) || seen.insert(key.to_owned()))
        });
        let mut lines: Vec<&str> = kept.collect();
        lines.reverse();
        filled(&lines.join("\n"), agents)
    }

    pub fn side(&self, agents: u32) -> Spec {
        let text = filled(&self.side, agents);
        toml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}\n{text}", self.name))
    }
}
