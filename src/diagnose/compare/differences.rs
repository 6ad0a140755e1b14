//! What differs beside the figures: the profiles key by key, the environments, the findings.

use crate::diagnose::Finding;
use crate::record::{Header, RegistrarHeader, Results};
use crate::vocab::Severity;
use serde::Serialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// A key that differs.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Difference {
    /// Dotted, as `--set` takes it.
    pub key: String,
    /// `None`: not there.
    pub base: Option<String>,
    pub new: Option<String>,
}

/// A finding of either run.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct FindingChange {
    pub state: FindingState,
    pub id: String,
    pub severity: Severity,
    pub trunk_id: String,
    /// Agents concerned.
    pub base_agents: Option<u64>,
    pub new_agents: Option<u64>,
    /// Of the new run where it has one.
    pub summary: String,
}

/// A finding is the same when its id and trunk are.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FindingState {
    New,
    Gone,
    Same,
}

impl FindingState {
    pub const fn as_str(self) -> &'static str {
        match self {
            FindingState::New => "new",
            FindingState::Gone => "gone",
            FindingState::Same => "same",
        }
    }
}

/// New ones first, then those that are gone; within, in the order of the runs, which is by
/// severity.
pub(super) fn findings(base: &[Finding], new: &[Finding]) -> Vec<FindingChange> {
    let like = |all: &[Finding], one: &Finding| {
        all.iter().find(|other| other.id == one.id && other.trunk_id == one.trunk_id).map(|other| other.agents)
    };
    let change = |state, of: &Finding, base_agents, new_agents| FindingChange {
        state,
        id: of.id.clone(),
        severity: of.severity,
        trunk_id: of.trunk_id.clone(),
        base_agents,
        new_agents,
        summary: of.summary.clone(),
    };
    let still = new.iter().map(|finding| match like(base, finding) {
        Some(agents) => change(FindingState::Same, finding, Some(agents), Some(finding.agents)),
        None => change(FindingState::New, finding, None, Some(finding.agents)),
    });
    let gone = base.iter().filter(|finding| like(new, finding).is_none());
    let gone = gone.map(|finding| change(FindingState::Gone, finding, Some(finding.agents), None));
    let mut changes: Vec<_> = still.chain(gone).collect();
    changes.sort_by_key(|change| change.state);
    changes
}

/// Keys of the resolved profiles whose values differ. Secrets are `***` on both sides, so a change
/// of one does not show.
pub(super) fn profiles(base: &Header, new: &Header) -> Vec<Difference> {
    let flat = |header: &Header| {
        let mut keys = BTreeMap::new();
        flatten("", &serde_json::from_str(&header.profile_json).unwrap_or_default(), &mut keys);
        keys
    };
    differing(&flat(base), &flat(new))
}

/// Whether both runs were to follow the same schedule in intervals of the same length.
pub(super) fn same_schedule(base: &Header, new: &Header) -> bool {
    let frame = |header: &Header| (header.interval_ns, header.warmup_ns, header.arrivals_planned);
    frame(base) == frame(new) && base.load == new.load
}

/// What the runs were made with and on, where it differs.
pub(super) fn environments(base: &Results, new: &Results) -> Vec<Difference> {
    differing(&environment(base), &environment(new))
}

fn environment(results: &Results) -> BTreeMap<String, String> {
    let header = &results.header;
    let host = &header.host;
    let mut facts: BTreeMap<String, String> = [
        ("tool.version", header.tool_version.clone()),
        ("seed", header.seed.to_string()),
        ("simulated", header.simulated.to_string()),
        ("workers", header.workers.to_string()),
        ("host.name", host.name.clone()),
        ("host.os", host.os.clone()),
        ("host.kernel", host.kernel.clone()),
        ("host.cpus", host.cpus.to_string()),
        ("host.cpu_model", host.cpu_model.clone()),
        ("host.memory_bytes", host.memory_bytes.to_string()),
    ]
    .map(|(key, value)| (key.to_owned(), value))
    .into();
    if !results.interventions.is_empty() {
        facts.insert("load.changed_by_hand".to_owned(), results.interventions.len().to_string());
    }
    for feature in &header.features {
        // `rcvbuf=8388608` is a setting with a value, `recvmmsg` is there or not.
        let (key, value) = feature.split_once('=').unwrap_or((feature, "yes"));
        facts.insert(format!("features.{key}"), value.to_owned());
    }
    // The embedded registrar listens on another port each time.
    let outside = header.trunks.iter().filter(|trunk| trunk.registrar != RegistrarHeader::Embedded);
    facts.extend(outside.map(|trunk| (format!("target.{}", trunk.id), trunk.target.clone())));
    facts
}

fn differing(base: &BTreeMap<String, String>, new: &BTreeMap<String, String>) -> Vec<Difference> {
    let keys: BTreeSet<&String> = base.keys().chain(new.keys()).collect();
    let differ = keys.into_iter().filter(|key| base.get(*key) != new.get(*key));
    let difference =
        |key: &String| Difference { key: key.clone(), base: base.get(key).cloned(), new: new.get(key).cloned() };
    differ.map(difference).collect()
}

/// Leaves of a document by their dotted path. An empty list or table is a leaf too.
fn flatten(path: &str, value: &Value, into: &mut BTreeMap<String, String>) {
    let below = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    match value {
        Value::Object(table) if !table.is_empty() => {
            for (key, value) in table {
                // A key with a dot is quoted, as in TOML, so that two different keys stay
                // different.
                let key = if key.contains('.') { format!("\"{key}\"") } else { key.clone() };
                flatten(&below(&key), value, into);
            }
        }
        Value::Array(list) if list.iter().any(|item| item.is_object() || item.is_array()) => {
            for (n, value) in list.iter().enumerate() {
                flatten(&below(&n.to_string()), value, into);
            }
        }
        Value::String(text) => drop(into.insert(path.to_owned(), text.clone())),
        leaf => drop(into.insert(path.to_owned(), leaf.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn flat(value: &Value) -> BTreeMap<String, String> {
        let mut keys = BTreeMap::new();
        flatten("", value, &mut keys);
        keys
    }

    #[test]
    fn profiles_differ_key_by_key() {
        let base =
            json!({"run": {"seed": 1, "name": "a"}, "trunk": [{"id": "nj", "source": ["127.0.0.1"]}], "load": []});
        let new = json!({"run": {"seed": 2, "name": "a"}, "trunk": [{"id": "nj", "source": ["127.0.0.1", "127.0.0.2"]}],
                         "thresholds": {"register.p99": "< 1s"}});
        let found = differing(&flat(&base), &flat(&new));
        let text: Vec<String> = found
            .iter()
            .map(|d| format!("{}: {} -> {}", d.key, d.base.as_deref().unwrap_or("-"), d.new.as_deref().unwrap_or("-")))
            .collect();
        assert_eq!(
            text,
            [
                "load: [] -> -",
                "run.seed: 1 -> 2",
                "thresholds.\"register.p99\": - -> < 1s",
                "trunk.0.source: [\"127.0.0.1\"] -> [\"127.0.0.1\",\"127.0.0.2\"]",
            ]
        );
    }

    proptest::proptest! {
        #[test]
        fn a_document_does_not_differ_from_itself(text in ".{0,60}", n: i64) {
            let value = json!({"a": {text.clone(): n, "b": [text, [n]]}});
            proptest::prop_assert!(differing(&flat(&value), &flat(&value)).is_empty());
        }
    }
}
