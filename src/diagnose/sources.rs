//! Results by local address, for trunks whose agents have several.
//!
//! Counted from the forensic evidence: the whole run, the warm-up included, without shed and
//! abandoned attempts, which no address is to blame for.

use crate::record::Results;
use crate::vocab::{Class, Status};
use serde::Serialize;
use std::collections::BTreeMap;

/// What became of the agents behind one address of a trunk.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct SourceResult {
    pub trunk_id: String,
    pub source: String,
    pub agents: u64,
    /// Agents that were registered at least once.
    pub agents_registered: u64,
    pub attempts: u64,
    /// Attempts by outcome; outcomes that did not occur are left out.
    pub outcomes: BTreeMap<&'static str, u64>,
}

/// One row per trunk and address, in the profile's order; none for trunks with a single address.
pub fn by_source(results: &Results) -> Vec<SourceResult> {
    let mut rows = Vec::new();
    for (trunk, header) in results.header.trunks.iter().enumerate() {
        if header.sources.len() > 1 {
            let sources = header.sources.iter().enumerate();
            rows.extend(sources.map(|(position, source)| row(results, trunk, position, source)));
        }
    }
    rows
}

fn row(results: &Results, trunk: usize, position: usize, source: &str) -> SourceResult {
    let header = &results.header;
    let here = |agent: &usize| {
        usize::from(header.agent_trunks[*agent]) == trunk
            && header.agent_sources.get(*agent).is_some_and(|own| usize::from(*own) == position)
    };
    let agents: Vec<usize> = (0..results.agents.len()).filter(here).collect();
    let mut outcomes = BTreeMap::new();
    let ended = results.evidence.outcomes.iter();
    for row in ended.filter(|row| usize::from(row.trunk) == trunk && usize::from(row.source) == position) {
        *outcomes.entry(status_of(row.class).as_str()).or_default() += row.seen.count;
    }
    SourceResult {
        trunk_id: header.trunks[trunk].id.clone(),
        source: source.to_owned(),
        agents: agents.len() as u64,
        agents_registered: agents.iter().filter(|agent| results.agents[**agent].registered > 0).count() as u64,
        attempts: outcomes.values().sum(),
        outcomes,
    }
}

/// The outcome that attempts of a class have.
const fn status_of(class: Class) -> Status {
    match class {
        Class::Registered => Status::Registered,
        Class::ForbiddenAfterAuth | Class::Unauthorized | Class::Stale => Status::AuthenticationFailed,
        Class::Forbidden | Class::NotFound | Class::TooBrief | Class::Refused => Status::RegistrationRejected,
        Class::ServerError => Status::ServiceUnavailable,
        Class::AnsweredTimeout | Class::Silence => Status::RequestTimeout,
        Class::Transport => Status::TransportError,
        Class::Unusable | Class::Malformed => Status::ProtocolError,
    }
}
