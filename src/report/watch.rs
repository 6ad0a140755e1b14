//! A change of a trunk's light: as a line, as JSON, as a hook's environment.

use super::json;
use super::text::printable;
use crate::vocab::format_duration;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use serde::Serialize;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

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

/// What a platform says of a trunk became something else.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct PlatformChange {
    /// UTC, RFC 3339, whole seconds.
    pub time: String,
    pub platform: String,
    pub trunk_id: String,
    /// `go` (registered), `no-go` or `unknown`.
    pub state: &'static str,
    /// What the platform says, or why it is not known.
    pub reason: String,
    /// Changes from go to no-go or back so far.
    pub flips: u64,
    /// Of those, where they have one: in seconds, how long a period is and how long it is no-go
    /// within it, and when the next change is due.
    pub period_s: Option<f64>,
    pub down_s: Option<f64>,
    pub next: Option<String>,
}

impl PlatformChange {
    /// One line for people and logs.
    pub fn line(&self) -> String {
        let PlatformChange { time, trunk_id, state, reason, flips, .. } = self;
        let times = if *flips == 1 { "1 change".to_owned() } else { format!("{flips} changes") };
        let beat = match (self.period_s, self.down_s, &self.next) {
            (Some(period), Some(down), Some(next)) => {
                let span = |seconds: f64| format_duration(Duration::from_secs_f64(seconds.max(0.0).round()));
                format!(", every {}, no-go for {} of it; the next one is due at {next}", span(period), span(down))
            }
            _ => String::new(),
        };
        let told = if *flips == 0 { String::new() } else { format!(" ({times}{beat})") };
        format!("{time}  {trunk_id}  {state}  {}{told}\n", printable(reason))
    }

    /// One line of JSON.
    pub fn json(&self) -> String {
        json::text(json::line(self))
    }

    /// What a hook finds in its environment.
    pub fn variables(&self) -> Vec<(&'static str, String)> {
        vec![
            ("REGSTORM_TIME", self.time.clone()),
            ("REGSTORM_PLATFORM", self.platform.clone()),
            ("REGSTORM_TRUNK", self.trunk_id.clone()),
            ("REGSTORM_STATE", self.state.to_owned()),
            ("REGSTORM_REASON", printable(&self.reason)),
        ]
    }
}

/// A trunk as a platform sees it, for Prometheus.
#[derive(Clone, PartialEq, Debug)]
pub struct PlatformTrunk {
    pub trunk_id: String,
    /// `None`: it is not known.
    pub registered: Option<bool>,
    pub flips: u64,
    pub period_s: Option<f64>,
}

/// What a platform says of every trunk, as Prometheus reads it from a file. What is not known has
/// no value in `regstorm_platform_trunk_registered`, and 0 in `regstorm_platform_trunk_known`.
pub fn platform_exposition(platform: &str, trunks: &[PlatformTrunk], unix_s: i64) -> String {
    let mut registry = Registry::default();
    let registered = Family::<Vec<(String, String)>, Gauge>::default();
    let known = Family::<Vec<(String, String)>, Gauge>::default();
    let flips = Family::<Vec<(String, String)>, Gauge>::default();
    let period = Family::<Vec<(String, String)>, Gauge<f64, AtomicU64>>::default();
    for trunk in trunks {
        let labels = vec![("platform".to_owned(), platform.to_owned()), ("trunk".to_owned(), trunk.trunk_id.clone())];
        if let Some(is) = trunk.registered {
            registered.get_or_create(&labels).set(i64::from(is));
        }
        known.get_or_create(&labels).set(i64::from(trunk.registered.is_some()));
        flips.get_or_create(&labels).set(i64::try_from(trunk.flips).unwrap_or(i64::MAX));
        if let Some(seconds) = trunk.period_s {
            period.get_or_create(&labels).set(seconds);
        }
    }
    registry.register(
        "regstorm_platform_trunk_registered",
        "1 while the platform says that the trunk is registered, 0 while it says that it is not",
        registered,
    );
    registry.register("regstorm_platform_trunk_known", "1 while the platform says either, 0 while it does not", known);
    registry.register("regstorm_platform_trunk_flips", "Changes from registered to not or back", flips);
    registry.register("regstorm_platform_trunk_period_seconds", "The period of these, where they have one", period);
    let answered = Gauge::<i64>::default();
    answered.set(unix_s);
    registry.register("regstorm_platform_written_timestamp_seconds", "When this was written", answered);
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
