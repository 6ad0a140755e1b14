//! The dialect of an analytics export: `POST /api/v2/analytics/voicetrunk/queries` for minutes
//! grouped by trunk and status, `GET …/sip/externaltrunks/{id}` for a trunk's state and
//! `GET …/sip/externaltrunks/{id}/logs` for its SIP events.
//!
//! `groupBy` stays flat, `[trunkId, status]`. Rows are taken in the two forms in which such exports
//! are written: flat ones (`interval`, `trunkId`, `status`, `count`) and groups with their buckets
//! (`group`, `data[].interval`, `data[].metrics[].stats.count`).

use super::{
    AskWindow, Dialect, PAGE_SIZE, PlatformRequest, PlatformRow, PlatformSource, SourceFacts, TrunkNames, list, ours,
    rfc3339, text_of,
};
use crate::record::eventlog::unix_ns;
use crate::record::platform::{SeenCount, SeenState};
use serde_json::{Value, json};

/// The dialect itself.
#[derive(Clone, Copy, Debug)]
pub struct AnalyticsExport;

const SOURCES: [SourceFacts; 3] = [
    SourceFacts {
        source: PlatformSource::States,
        wants: "telephony:read",
        shows: "the state of each trunk now, as its page shows it",
        hides: "whether that state is cached, and what it was before",
        by_trunk: true,
        by_time: false,
    },
    SourceFacts {
        source: PlatformSource::Counts,
        wants: "analytics:read",
        shows: "registrations by UTC minute, trunk and status",
        hides: "which phones they were, and what an answer was to (a challenge may count as a failure)",
        by_trunk: false,
        by_time: true,
    },
    SourceFacts {
        source: PlatformSource::Events,
        wants: "telephony:read",
        shows: "answers to REGISTER by user, code and second",
        hides: "whether a request had credentials, and what never reached the platform",
        by_trunk: true,
        by_time: true,
    },
];

impl Dialect for AnalyticsExport {
    fn sources(&self) -> &'static [SourceFacts] {
        &SOURCES
    }

    fn request(
        &self,
        source: PlatformSource,
        trunk: Option<&TrunkNames>,
        window: AskWindow,
        page: u64,
    ) -> PlatformRequest {
        let id = trunk.map_or("", |(_, theirs)| theirs.as_str());
        let (from, to) = (rfc3339(window.from_s), rfc3339(window.to_s));
        match source {
            PlatformSource::States => PlatformRequest { path: format!("{TRUNKS}/{id}"), body: None },
            PlatformSource::Events => {
                let numbered = if page > 1 { format!("&pageNumber={page}") } else { String::new() };
                let path = format!("{TRUNKS}/{id}/logs?dateFrom={from}&dateTo={to}&pageSize={PAGE_SIZE}{numbered}");
                PlatformRequest { path, body: None }
            }
            PlatformSource::Counts => {
                let mut body = json!({
                    "view": "trunk", "dateFrom": from, "dateTo": to, "interval": "PT1M",
                    "groupBy": ["trunkId", "status"], "pageSize": PAGE_SIZE,
                });
                if page > 1 {
                    body["pageNumber"] = page.into();
                }
                PlatformRequest { path: QUERIES.to_owned(), body: Some(body) }
            }
        }
    }

    fn rows(
        &self,
        source: PlatformSource,
        trunk: Option<&TrunkNames>,
        trunks: &[TrunkNames],
        answer: &Value,
    ) -> Result<Vec<PlatformRow>, String> {
        match source {
            PlatformSource::States => Ok(trunk.into_iter().filter_map(|names| state(names, answer)).collect()),
            PlatformSource::Counts => {
                let mut rows = Vec::new();
                for group in list(answer, &LISTS)? {
                    counts(group, trunks, &mut rows)?;
                }
                Ok(rows)
            }
            PlatformSource::Events => list(answer, &LISTS).map(|records| {
                let named = |record: &Value| event(record, trunk);
                records.iter().filter(|record| record.is_object()).map(named).collect()
            }),
        }
    }
}

const TRUNKS: &str = "/api/v2/telephony/providers/sip/externaltrunks";
const QUERIES: &str = "/api/v2/analytics/voicetrunk/queries";
/// Under which keys lists are kept.
const LISTS: [&str; 6] = ["results", "entities", "rows", "data", "logs", "events"];

fn state((ours, theirs): &TrunkNames, answer: &Value) -> Option<PlatformRow> {
    let state = text_of(answer, &["status", "state"])?;
    let registered = match state.to_ascii_lowercase().as_str() {
        "active" | "registered" | "connected" => Some(true),
        "inactive" | "provisioning" | "unregistered" | "failed" | "down" => Some(false),
        _ => None,
    };
    Some(PlatformRow::State(SeenState {
        time: text_of(answer, &["timestamp"]).unwrap_or_default(),
        trunk_id: ours.clone(),
        platform_id: theirs.clone(),
        state,
        registered,
        since: text_of(answer, &["stateTime", "statusTime", "dateModified"]).unwrap_or_default(),
        detail: String::new(),
    }))
}

/// A record with our name of the trunk.
fn event(record: &Value, trunk: Option<&TrunkNames>) -> PlatformRow {
    let mut record = record.clone();
    if let (Some((ours, _)), Some(object)) = (trunk, record.as_object_mut()) {
        object.insert("trunk_id".to_owned(), ours.clone().into());
    }
    let at_s = record.get("timestamp").and_then(unix_ns).and_then(|ns| i64::try_from(ns / 1_000_000_000).ok());
    PlatformRow::Event { at_s, record }
}

/// The counts of a flat row, or of a group with its buckets. Trunks that nobody asked about are
/// left out.
fn counts(row: &Value, trunks: &[TrunkNames], into: &mut Vec<PlatformRow>) -> Result<(), String> {
    let group = row.get("group").unwrap_or(row);
    let (Some(trunk), Some(status)) = (text_of(group, &["trunkId", "trunk_id"]), text_of(group, &["status"])) else {
        return Err(format!("a row has no trunkId and status: {}", short(row)));
    };
    let Some(trunk_id) = ours(trunks, &trunk) else { return Ok(()) };
    let buckets = row.get("data").and_then(Value::as_array);
    for bucket in buckets.map_or(std::slice::from_ref(row), Vec::as_slice) {
        let time = text_of(bucket, &["interval", "intervalStart", "interval_start", "timestamp", "dateFrom"]);
        let span = time.as_deref().and_then(interval);
        let (Some((start_s, interval_s)), Some(count)) = (span, count_of(bucket)) else {
            return Err(format!("a row has no interval or count: {}", short(bucket)));
        };
        into.push(PlatformRow::Count(SeenCount {
            interval_start: rfc3339(start_s),
            interval_s,
            trunk_id: trunk_id.clone(),
            status: status.clone(),
            count,
            provisional: false,
        }));
    }
    Ok(())
}

fn count_of(bucket: &Value) -> Option<u64> {
    let metrics = bucket.get("metrics").and_then(Value::as_array);
    let of = |object: &Value| ["count", "value"].iter().find_map(|key| object.get(key)?.as_u64());
    match metrics {
        Some(metrics) => metrics.iter().find_map(|metric| metric.get("stats").and_then(of).or_else(|| of(metric))),
        None => of(bucket).or_else(|| bucket.get("stats").and_then(of)),
    }
}

/// Where an interval begins, and how long it is: `from/to`, or a beginning of a minute.
fn interval(text: &str) -> Option<(i64, f64)> {
    let seconds = |text: &str| text.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_second);
    match text.split_once('/') {
        Some((from, to)) => {
            let (from, to) = (seconds(from)?, seconds(to)?);
            Some((from, (to - from) as f64)).filter(|(_, span)| *span > 0.0)
        }
        None => Some((seconds(text)?, 60.0)),
    }
}

fn short(value: &Value) -> String {
    value.to_string().chars().take(120).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Vec<TrunkNames> {
        vec![("nj".to_owned(), "t-1".to_owned())]
    }

    fn rows(source: PlatformSource, answer: &Value) -> Result<Vec<PlatformRow>, String> {
        let names = names();
        AnalyticsExport.rows(source, names.first(), &names, answer)
    }

    #[test]
    fn flat_rows_and_groups_with_buckets_are_the_same_counts() {
        let flat = json!({ "results": [
            { "interval": "2026-11-30T10:00:00Z/2026-11-30T10:01:00Z", "trunkId": "t-1", "status": "registered", "count": 7 },
            { "interval": "2026-11-30T10:00:00Z", "trunkId": "another", "status": "registered", "count": 9 },
        ] });
        let grouped = json!({ "results": [{ "group": { "trunkId": "t-1", "status": "registered" }, "data": [
            { "interval": "2026-11-30T10:00:00.000Z/2026-11-30T10:01:00.000Z",
              "metrics": [{ "metric": "nRegistrations", "stats": { "count": 7 } }] },
        ] }] });
        let meant = PlatformRow::Count(SeenCount {
            interval_start: "2026-11-30T10:00:00Z".to_owned(),
            interval_s: 60.0,
            trunk_id: "nj".to_owned(),
            status: "registered".to_owned(),
            count: 7,
            provisional: false,
        });
        assert_eq!(rows(PlatformSource::Counts, &flat), Ok(vec![meant.clone()]));
        assert_eq!(rows(PlatformSource::Counts, &grouped), Ok(vec![meant]));
    }

    #[test]
    fn an_answer_of_another_shape_is_no_empty_one() {
        assert!(rows(PlatformSource::Counts, &json!({ "message": "no" })).is_err());
        assert!(rows(PlatformSource::Counts, &json!({ "results": [{ "count": 3 }] })).is_err());
        assert_eq!(rows(PlatformSource::Counts, &json!({ "results": null })), Ok(Vec::new()));
    }

    #[test]
    fn a_query_is_flat_and_in_minutes() {
        let window = AskWindow { from_s: 1_716_105_600, to_s: 1_716_109_200 };
        let asked = AnalyticsExport.request(PlatformSource::Counts, None, window, 1);
        let body = asked.body.expect("a query");
        assert_eq!((&body["groupBy"], &body["interval"]), (&json!(["trunkId", "status"]), &json!("PT1M")));
        assert_eq!(body["dateTo"], "2024-05-19T09:00:00Z");
        let names = names();
        let asked = AnalyticsExport.request(PlatformSource::Events, names.first(), window, 2);
        assert!(asked.path.starts_with("/api/v2/telephony/providers/sip/externaltrunks/t-1/logs?"), "{}", asked.path);
        assert!(asked.path.ends_with("&pageNumber=2"), "{}", asked.path);
    }

    #[test]
    fn a_state_that_is_no_known_word_says_nothing_of_registration() {
        let registered = |state: &str| match &rows(PlatformSource::States, &json!({ "status": state })).expect("one")[0]
        {
            PlatformRow::State(seen) => seen.registered,
            _ => None,
        };
        assert_eq!(
            [registered("Active"), registered("Provisioning"), registered("Migrating")],
            [Some(true), Some(false), None]
        );
    }
}
