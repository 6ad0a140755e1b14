//! A change of a trunk's light: as a line, as JSON, as a hook's environment.

use super::json;
use super::text::printable;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use serde::Serialize;

/// A trunk became go or no-go.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct GoChange {
    /// UTC, RFC 3339, whole seconds.
    pub time: String,
    pub trunk_id: String,
    /// `go` or `no-go`.
    pub state: &'static str,
    /// Of the last final answer, if there was one.
    pub code: Option<u16>,
    /// How the last round ended: `403 Forbidden`, `no answer`.
    pub reason: String,
    /// `before any challenge`, `after credentials`, or nothing.
    pub place: &'static str,
    /// How many rounds in a row ended like the last one, well or badly.
    pub rounds: u32,
    /// The address that was spoken to last, of a trunk that has several.
    pub target: Option<String>,
}

impl GoChange {
    /// One line for people and logs.
    pub fn line(&self) -> String {
        let GoChange { time, trunk_id, state, rounds, .. } = self;
        let in_a_row = if *rounds == 1 { "1 round".to_owned() } else { format!("{rounds} rounds in a row") };
        format!("{time}  {trunk_id}  {state}  {} ({in_a_row})\n", self.why())
    }

    /// One line of JSON.
    pub fn json(&self) -> String {
        json::text(json::line(self))
    }

    /// What a hook finds in its environment.
    pub fn variables(&self) -> Vec<(&'static str, String)> {
        vec![
            ("REGSTORM_TIME", self.time.clone()),
            ("REGSTORM_TRUNK", self.trunk_id.clone()),
            ("REGSTORM_STATE", self.state.to_owned()),
            ("REGSTORM_REASON", self.why()),
            ("REGSTORM_CODE", super::text::cell(self.code)),
            ("REGSTORM_TARGET", self.target.clone().unwrap_or_default()),
        ]
    }

    /// Reason and place: `403 Forbidden, before any challenge, at 192.0.2.1:5060`. From the wire,
    /// so without control characters, which no environment can carry.
    fn why(&self) -> String {
        let reason = printable(&self.reason);
        let place = if self.place.is_empty() { String::new() } else { format!(", {}", self.place) };
        let at = self.target.as_ref().map(|target| format!(", at {target}")).unwrap_or_default();
        format!("{reason}{place}{at}")
    }
}

/// The state of every trunk as Prometheus reads it from a file (node_exporter's textfile
/// collector): `regstorm_trunk_go` is 1 or 0 by trunk, beside the time of the round.
pub fn exposition(trunks: &[(String, bool)], unix_s: i64) -> String {
    let mut registry = Registry::default();
    let go = Family::<Vec<(String, String)>, Gauge>::default();
    registry.register("regstorm_trunk_go", "1 while the trunk's canary registers, 0 while it is no-go", go.clone());
    for (trunk, is_go) in trunks {
        go.get_or_create(&vec![("trunk".to_owned(), trunk.clone())]).set(i64::from(*is_go));
    }
    let round = Gauge::<i64>::default();
    round.set(unix_s);
    registry.register("regstorm_watch_round_timestamp_seconds", "When the last round ended", round);
    let mut text = String::new();
    encode(&mut text, &registry).expect("a string takes every byte");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_says_when_where_what_and_why() {
        let change = GoChange {
            time: "2026-11-21T12:00:00Z".to_owned(),
            trunk_id: "nj".to_owned(),
            state: "no-go",
            code: Some(403),
            reason: "403 Forbid\u{0}den".to_owned(),
            place: "before any challenge",
            rounds: 3,
            target: None,
        };
        assert_eq!(
            change.line(),
            "2026-11-21T12:00:00Z  nj  no-go  403 Forbid\u{fffd}den, before any challenge (3 rounds in a row)\n"
        );
        let json: serde_json::Value = serde_json::from_str(&change.json()).expect("JSON");
        assert_eq!((&json["state"], &json["code"]), (&"no-go".into(), &403.into()));
        assert!(change.variables().contains(&("REGSTORM_CODE", "403".to_owned())));
        let named = GoChange { target: Some("192.0.2.1:5060".to_owned()), ..change };
        assert!(named.line().contains("before any challenge, at 192.0.2.1:5060 (3 rounds"), "{}", named.line());
    }

    #[test]
    fn the_exposition_has_a_gauge_per_trunk() {
        let text = super::exposition(&[("nj".into(), true), ("a\"b".into(), false)], 1_700_000_000);
        assert!(text.contains("regstorm_trunk_go{trunk=\"nj\"} 1\n"), "{text}");
        assert!(text.contains("regstorm_trunk_go{trunk=\"a\\\"b\"} 0\n"), "{text}");
        assert!(text.contains("regstorm_watch_round_timestamp_seconds 1700000000\n"), "{text}");
    }
}
