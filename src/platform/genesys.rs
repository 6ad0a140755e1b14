//! The public API of Genesys Cloud, as its SDK documents it: `…/edges/trunks` for states and
//! `…/telephony/siptraces` for messages, whose records are those of Homer.
//!
//! There is no count of registrations by minute in it; `reconcile` counts its messages instead.

use super::{
    AskWindow, Dialect, PlatformRequest, PlatformRow, PlatformSource, SourceFacts, TrunkNames, list, ours, rfc3339,
    text_of,
};
use crate::record::eventlog::unix_ns;
use crate::record::platform::SeenState;
use serde_json::Value;

/// The dialect itself.
#[derive(Clone, Copy, Debug)]
pub struct Genesys;

const SOURCES: [SourceFacts; 2] = [
    SourceFacts {
        source: PlatformSource::States,
        wants: "telephony:plugin:all, or telephony:readonly",
        shows: "whether each trunk is in service, connected and registered now, and since when",
        hides: "how it was before, and how many phones are registered",
        by_trunk: false,
        by_time: false,
    },
    SourceFacts {
        source: PlatformSource::Events,
        wants: "telephony:pcap:view",
        shows: "SIP messages with their codes and times, for as long as they are kept",
        hides: "counts by minute, and what never reached the platform",
        by_trunk: false,
        by_time: true,
    },
];

/// Trunks asked for at once: the most the API gives.
const TRUNKS_AT_ONCE: u64 = 100;

impl Dialect for Genesys {
    fn sources(&self) -> &'static [SourceFacts] {
        &SOURCES
    }

    fn request(
        &self,
        source: PlatformSource,
        _trunk: Option<&TrunkNames>,
        window: AskWindow,
        page: u64,
    ) -> PlatformRequest {
        let path = match source {
            PlatformSource::States => {
                format!("/api/v2/telephony/providers/edges/trunks?pageNumber={page}&pageSize={TRUNKS_AT_ONCE}")
            }
            PlatformSource::Events | PlatformSource::Counts => {
                let (from, to) = (rfc3339(window.from_s), rfc3339(window.to_s));
                format!("/api/v2/telephony/siptraces?dateStart={from}&dateEnd={to}")
            }
        };
        PlatformRequest { path, body: None }
    }

    fn rows(
        &self,
        source: PlatformSource,
        _trunk: Option<&TrunkNames>,
        trunks: &[TrunkNames],
        answer: &Value,
    ) -> Result<Vec<PlatformRow>, String> {
        match source {
            PlatformSource::States => {
                let all = list(answer, &["entities"])?;
                Ok(all.iter().filter_map(|trunk| state(trunk, trunks)).map(PlatformRow::State).collect())
            }
            PlatformSource::Events | PlatformSource::Counts => {
                Ok(list(answer, &["data"])?.iter().map(|record| event(record, trunks)).collect())
            }
        }
    }
}

fn state(trunk: &Value, trunks: &[TrunkNames]) -> Option<SeenState> {
    let id = text_of(trunk, &["id"])?;
    // A profile may name the trunk itself or the settings it was made of.
    let base = trunk.pointer("/trunkBase/id").and_then(Value::as_str);
    let trunk_id = ours(trunks, &id).or_else(|| ours(trunks, base?))?;
    let state = text_of(trunk, &["state"]).unwrap_or_default();
    let registers: Vec<&Value> = trunk.get("registersStatus").and_then(Value::as_array).into_iter().flatten().collect();
    let connected = trunk.pointer("/connectedStatus/connected").and_then(Value::as_bool);
    let registered = if registers.is_empty() { connected } else { all_registered(&registers) };
    let mut parts: Vec<String> = Vec::new();
    if let Some(in_service) = trunk.get("inService").and_then(Value::as_bool) {
        parts.push(format!("in service: {}", if in_service { "yes" } else { "no" }));
    }
    parts.extend(connected.map(|connected| format!("connected: {}", if connected { "yes" } else { "no" })));
    parts.extend(registers.iter().map(|one| register(one)));
    let since = registers.iter().find_map(|one| text_of(one, &["registerStateTime"]));
    let since = since.or_else(|| text_of(trunk.get("connectedStatus")?, &["connectedStateTime"]));
    Some(SeenState {
        time: String::new(),
        trunk_id,
        platform_id: id,
        state,
        registered,
        since: since.unwrap_or_default(),
        detail: parts.join("; "),
    })
}

/// Whether a trunk is registered with every proxy; not known where one says neither and none says
/// no.
fn all_registered(registers: &[&Value]) -> Option<bool> {
    let states: Vec<Option<bool>> = registers.iter().map(|one| is_registered(one)).collect();
    if states.contains(&Some(false)) { Some(false) } else { states.iter().all(Option::is_some).then_some(true) }
}

/// The API has a truth value; a word is taken as well.
fn is_registered(one: &Value) -> Option<bool> {
    match one.get("registerState")? {
        Value::Bool(is) => Some(*is),
        Value::String(word) => Some(word.eq_ignore_ascii_case("registered")),
        _ => None,
    }
}

/// One proxy a trunk registers with, and what went wrong.
fn register(one: &Value) -> String {
    let said =
        |pointer: &str| one.pointer(pointer).and_then(|value| text_of(&serde_json::json!({ "v": value }), &["v"]));
    let of = |key: &str| text_of(one, &[key]).unwrap_or_default();
    let state = match (one.get("registerState"), is_registered(one)) {
        (Some(Value::String(word)), _) => word.clone(),
        (_, Some(true)) => "registered".to_owned(),
        (_, Some(false)) => "not registered".to_owned(),
        (_, None) => "registered or not: unknown".to_owned(),
    };
    let mut text = format!("{} {state}", of("proxyAddress"));
    let error = said("/errorInfo/text").or_else(|| said("/errorInfo/details/message"));
    if let Some(error) = error {
        let code = said("/errorInfo/details/code").or_else(|| said("/errorInfo/code")).unwrap_or_default();
        text += &format!(" ({code} {error})");
    }
    text
}

/// A message; it does not say of which trunk it is, which is known where there is one alone.
fn event(record: &Value, trunks: &[TrunkNames]) -> PlatformRow {
    let mut record = record.clone();
    if let ([(ours, _)], Some(object)) = (trunks, record.as_object_mut()) {
        object.insert("trunk_id".to_owned(), ours.clone().into());
    }
    let time = ["microTs", "milliTs", "date"].iter().find_map(|key| record.get(key).and_then(unix_ns));
    PlatformRow::Event { at_s: time.and_then(|ns| i64::try_from(ns / 1_000_000_000).ok()), record }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn active_and_refused_are_told_apart() {
        let answer = json!({ "entities": [{
            "id": "t-1", "state": "active", "inService": true,
            "connectedStatus": { "connected": true, "connectedStateTime": "2026-11-30T09:00:00Z" },
            "registersStatus": [{
                "proxyAddress": "sip.example.net:5060", "registerState": false,
                "registerStateTime": "2026-11-30T10:00:00Z",
                "errorInfo": { "text": "Forbidden", "code": "register.failed",
                               "details": { "code": "403", "message": "Forbidden", "hostname": "edge-1" } },
            }],
        }, { "id": "of-others", "state": "active" }] });
        let trunks = vec![("nj".to_owned(), "t-1".to_owned())];
        let rows = Genesys.rows(PlatformSource::States, None, &trunks, &answer).expect("states");
        let [PlatformRow::State(seen)] = &rows[..] else { panic!("{rows:?}") };
        assert_eq!((seen.state.as_str(), seen.registered), ("active", Some(false)));
        assert_eq!(seen.since, "2026-11-30T10:00:00Z");
        assert_eq!(seen.detail, "in service: yes; connected: yes; sip.example.net:5060 not registered (403 Forbidden)");
    }

    #[test]
    fn a_trunk_is_registered_when_it_is_with_every_proxy() {
        let trunks = vec![("nj".to_owned(), "t-1".to_owned())];
        for (states, expected) in [
            (json!([true, true]), Some(true)),
            (json!([true, false]), Some(false)),
            (json!(["registered", true]), Some(true)),
            (json!(["unregistered"]), Some(false)),
            (json!([true, null]), None),
            (json!([false, null]), Some(false)),
        ] {
            let one = |state: &Value| json!({ "proxyAddress": "p", "registerState": state });
            let registers: Vec<Value> = states.as_array().expect("a list").iter().map(one).collect();
            let answer = json!({ "entities": [{ "id": "t-1", "state": "active", "registersStatus": registers }] });
            let rows = Genesys.rows(PlatformSource::States, None, &trunks, &answer).expect("states");
            let [PlatformRow::State(seen)] = &rows[..] else { panic!("{rows:?}") };
            assert_eq!(seen.registered, expected, "{states}");
        }
    }

    #[test]
    fn a_trunk_that_says_nothing_of_registration_is_not_known_to_be_registered() {
        let trunks = vec![("nj".to_owned(), "t-1".to_owned())];
        let rows = Genesys.rows(
            PlatformSource::States,
            None,
            &trunks,
            &json!({ "entities": [{ "id": "t-1", "state": "active" }] }),
        );
        assert!(matches!(&rows.expect("states")[..], [PlatformRow::State(SeenState { registered: None, .. })]));
    }
}
