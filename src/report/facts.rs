//! What was tested, in a few lines at the top of the page: the registrar, how many agents were
//! planned and how many are needed, and when.

use super::text::{counted, printable, thousands};
use super::words;
use crate::diagnose::{Judgement, Relation, ThresholdOutcome};
use crate::record::results::{day, time_of_day};
use crate::record::{RegistrarHeader, Results, TrunkHeader};
use serde::Serialize;

/// A line of the page's head.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub(super) struct Fact {
    pub label: &'static str,
    pub text: String,
}

/// The lines in order. `rehearsed` is the day of a rehearsal, whose own times are virtual.
pub(super) fn all(results: &Results, judgement: &Judgement, rehearsed: Option<&str>) -> Vec<Fact> {
    let fact = |label, text: String| Fact { label, text: printable(&text) };
    let first = [fact("Registrar", registrars(results)), fact("Agents", agents(results, judgement))];
    let canary = words::canary(results).map(|text| fact("Canary", text));
    first.into_iter().chain(canary).chain([fact("Date", date(results, rehearsed))]).collect()
}

/// Every registrar with its address and the domains it serves; of many the first.
pub(super) fn registrars(results: &Results) -> String {
    let mut known: Vec<(String, Vec<&str>)> = Vec::new();
    for trunk in &results.header.trunks {
        let text = address(trunk, results.header.simulated);
        match known.iter_mut().find(|(known, _)| *known == text) {
            Some((_, domains)) if domains.contains(&trunk.domain.as_str()) => {}
            Some((_, domains)) => domains.push(&trunk.domain),
            None => known.push((text, vec![&trunk.domain])),
        }
    }
    let mut texts: Vec<String> =
        known.iter().take(MOST_NAMED).map(|(text, domains)| format!("{text} for {}", of_domains(domains))).collect();
    if known.len() > MOST_NAMED {
        texts.push(format!("and {} more, in the table of trunks", known.len() - MOST_NAMED));
    }
    if texts.is_empty() { "none".to_owned() } else { texts.join("; ") }
}

/// One registrar: `sip:edge.example.net (203.0.113.5:5060, UDP) for the domain example.net`.
pub(super) fn registrar(trunk: &TrunkHeader, simulated: bool) -> String {
    format!("{} for {}", address(trunk, simulated), of_domains(&[&trunk.domain]))
}

fn of_domains(domains: &[&str]) -> String {
    match domains {
        [one] => format!("the domain {one}"),
        few if few.len() <= MOST_NAMED => format!("the domains {}", few.join(", ")),
        many => {
            format!("the domains {} and {} more", many[..MOST_NAMED].join(", "), many.len() - MOST_NAMED)
        }
    }
}

fn address(trunk: &TrunkHeader, simulated: bool) -> String {
    let over = trunk.transport.map(|transport| transport.as_str().to_uppercase());
    match &trunk.registrar {
        RegistrarHeader::At(uri) if simulated => format!("the one built into regstorm, in place of {uri},"),
        RegistrarHeader::Embedded if simulated => "the one built into regstorm,".to_owned(),
        RegistrarHeader::Embedded => format!("the one built into regstorm ({})", trunk.target),
        RegistrarHeader::At(uri) => {
            let about: Vec<String> = [Some(trunk.target.clone()), over].into_iter().flatten().collect();
            let about = about.into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>().join(", ");
            let uri = uri.split(';').next().unwrap_or(uri);
            if about.is_empty() { uri.to_owned() } else { format!("{uri} ({about})") }
        }
    }
}

/// The registrar in as few words as name it.
pub(super) fn short(trunk: &TrunkHeader) -> &str {
    match &trunk.registrar {
        RegistrarHeader::Embedded => "the built-in registrar",
        RegistrarHeader::At(uri) => uri.split(';').next().unwrap_or(uri),
    }
}

fn agents(results: &Results, judgement: &Judgement) -> String {
    let planned = counted(results.totals.agents, "agent");
    match needed(judgement) {
        Some(needed) => format!("{planned} planned, {} needed by the targets", thousands(needed)),
        None => format!("{planned} planned, all of them needed: no target says that fewer are enough"),
    }
}

/// The most agents that a target asks to be signed in.
pub(super) fn needed(judgement: &Judgement) -> Option<u64> {
    let asks = |outcome: &&ThresholdOutcome| {
        outcome.trunk.is_none()
            && matches!(
                outcome.metric.canonical().as_str(),
                "agents_registered_peak" | "agents_registered_at_end" | "agents"
            )
    };
    let least = |outcome: &ThresholdOutcome| match outcome.comparison {
        Relation::AtLeast | Relation::Equal => Some(outcome.bound.ceil()),
        Relation::Greater => Some(outcome.bound.floor() + 1.0),
        Relation::Less | Relation::AtMost | Relation::NotEqual => None,
    };
    let most = judgement.thresholds.iter().filter(asks).filter_map(least).max_by(f64::total_cmp)?;
    Some(crate::vocab::floor_u64(most))
}

fn date(results: &Results, rehearsed: Option<&str>) -> String {
    let header = &results.header;
    let length = words::ended_ns(results).map(|ns| format!(", for {}", words::span(ns))).unwrap_or_default();
    if header.simulated {
        let on = rehearsed.map(|day| format!("rehearsed on {day}")).unwrap_or_else(|| "a rehearsal".to_owned());
        return format!("{on}{length} of virtual time");
    }
    let start = header.unix_ns(0);
    let time = time_of_day(start);
    format!("{}, {} UTC{length}", day(start), time.get(..5).unwrap_or(&time))
}

/// Registrars, and domains of one, that are named; more stand in the table of trunks.
const MOST_NAMED: usize = 3;
