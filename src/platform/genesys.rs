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
    let registered =
        if registers.is_empty() {
            connected
        } else {
            Some(registers.iter().all(|one| {
                text_of(one, &["registerState"]).is_some_and(|word| word.eq_ignore_ascii_case("registered"))
            }))
        };
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

/// One proxy a trunk registers with, and what went wrong.
fn register(one: &Value) -> String {
    let said =
        |pointer: &str| one.pointer(pointer).and_then(|value| text_of(&serde_json::json!({ "v": value }), &["v"]));
    let of = |key: &str| text_of(one, &[key]).unwrap_or_default();
    let mut text = format!("{} {}", of("proxyAddress"), of("registerState"));
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
                "proxyAddress": "sip.example.net:5060", "registerState": "unregistered",
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
        assert_eq!(seen.detail, "in service: yes; connected: yes; sip.example.net:5060 unregistered (403 Forbidden)");
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
