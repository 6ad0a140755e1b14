//! The conditions of the test: the set-up fields that RFC 7502 §5.1 asks a report to state.
//!
//! They stand under `conditions` in `run.json` and in an annex of the page. Figures that RFC 7502
//! defines by a search (registration rate without a failure) are not claimed here; that is the job
//! of `limits`.

use crate::record::results::TimersHeader;
use crate::record::{Baseline, Header, Results, TrunkHeader};
use crate::vocab::{Intervention, InterventionKind, Kind, SocketUse, Stage, Transport};
use serde::Serialize;
use std::collections::BTreeMap;

/// The set-up of a run.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Conditions {
    /// SIP transport protocols in use, as in RFC 7502 §5.1.
    pub transport: Vec<&'static str>,
    pub connection_strategy: String,
    /// Whether the registrar challenged (401/407) any attempt.
    pub challenged: bool,
    /// The lifetimes asked for, seconds, by trunk.
    pub expires_s: Vec<u32>,
    /// Without a final answer for this long an attempt is a failure: Timer F, 64·T1 (RFC 3261
    /// §17.1.2.2).
    pub establishment_threshold_s: u64,
    pub tls_cipher_suite: String,
    pub ipsec_profile: &'static str,
    pub media_streams: &'static str,
    /// Initial attempts the load plans.
    pub attempts_configured: u64,
    /// Initial attempts made, shed ones included.
    pub attempts_actual: u64,
    /// Most initial attempts per second in any interval of the load.
    pub attempt_rate_peak_per_s: Option<f64>,
    pub load_s: Option<f64>,
    pub interval_s: f64,
    pub workers: u32,
    pub simulated: bool,
    /// Who agreed that these registrars are loaded, as the profile says.
    pub authorised_by: Option<String>,
    /// Nobody else registers on these trunks, as the profile says.
    pub exclusive: bool,
    /// RFC 7502 §6.1: what the test machine could send by itself, if that was measured before.
    pub baseline: Option<Baseline>,
    /// What a person did to the load while it ran; empty: the load was the profile's.
    pub interventions: Vec<InterventionView>,
}

/// One change of the load's speed.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct InterventionView {
    /// UTC, RFC 3339.
    pub at: String,
    /// Seconds after the start.
    pub after_s: f64,
    pub kind: InterventionKind,
    /// Of the planned arrival rate from then on; 0: nothing arrives.
    pub factor: f64,
}

impl Conditions {
    pub fn of(results: &Results) -> Conditions {
        let header = &results.header;
        let mut transport: Vec<_> =
            header.trunks.iter().filter_map(|trunk| trunk.transport).map(Transport::as_str).collect();
        transport.sort_unstable();
        transport.dedup();
        Conditions {
            transport,
            connection_strategy: connection_strategy(header),
            challenged: results
                .responses
                .iter()
                .any(|row| row.challenge && matches!(row.code, 401 | 407) && row.kind != Kind::Unregister),
            expires_s: header.trunks.iter().map(|trunk| trunk.expires_s).collect(),
            establishment_threshold_s: establishment_threshold_s(header),
            tls_cipher_suite: cipher_suites(results),
            ipsec_profile: "none",
            media_streams: "none",
            attempts_configured: header.arrivals_planned,
            attempts_actual: initial_attempts(results),
            attempt_rate_peak_per_s: peak_rate(results),
            load_s: load_ns(results).map(|ns| ns as f64 / 1e9),
            interval_s: header.interval_ns as f64 / 1e9,
            workers: header.workers,
            simulated: header.simulated,
            authorised_by: header.authorised_by.clone(),
            exclusive: header.exclusive,
            baseline: header.baseline.clone(),
            interventions: interventions(results),
        }
    }
}

/// What connections agreed on for TLS, the most frequent first.
fn cipher_suites(results: &Results) -> String {
    let mut secured: BTreeMap<&str, u64> = BTreeMap::new();
    for row in results.evidence.remarks.iter().filter(|row| row.why.is_none()) {
        *secured.entry(&row.text).or_default() += row.count;
    }
    let mut all: Vec<_> = secured.into_iter().collect();
    all.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let names: Vec<_> = all.into_iter().map(|(name, _)| name).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

/// How requests share sockets, which is the trunks' own choice.
fn connection_strategy(header: &Header) -> String {
    let mut kinds: Vec<Transport> = header.trunks.iter().map(carrier).collect();
    kinds.sort_unstable();
    kinds.dedup();
    let of = |kind: &Transport| {
        let trunks: Vec<_> = header.trunks.iter().filter(|trunk| carrier(trunk) == *kind).collect();
        strategy_over(*kind, &trunks)
    };
    kinds.iter().map(of).collect::<Vec<_>>().join("; ")
}

/// What carries a trunk's messages; what does not say is taken for what most are.
fn carrier(trunk: &TrunkHeader) -> Transport {
    trunk.transport.unwrap_or(Transport::Udp)
}

/// The same for the trunks of one transport.
fn strategy_over(transport: Transport, trunks: &[&TrunkHeader]) -> String {
    let own: Vec<_> = trunks.iter().filter(|trunk| trunk.sockets == SocketUse::PerAgent).collect();
    let what = if transport.is_stream() { format!("{transport} connection") } else { "UDP socket".to_owned() };
    let shared = if trunks.iter().any(|trunk| trunk.sources.len() > 1) {
        format!("one {what} per worker, trunk and source address")
    } else {
        format!("one {what} per worker and trunk")
    };
    match own.len() {
        0 => shared,
        all if all == trunks.len() => format!("one {what} per agent"),
        _ => {
            let ids: Vec<_> = own.iter().map(|trunk| trunk.id.as_str()).collect();
            format!("{shared}; on {} one per agent", ids.join(", "))
        }
    }
}

/// The longest of the trunks' Timers F, whole seconds.
fn establishment_threshold_s(header: &Header) -> u64 {
    let longest = header.trunks.iter().map(|trunk| trunk.timers.f_ns()).max();
    longest.unwrap_or(TimersHeader::default().f_ns()) / 1_000_000_000
}

fn interventions(results: &Results) -> Vec<InterventionView> {
    let view = |done: &Intervention| InterventionView {
        at: results.header.utc(done.at_ns),
        after_s: done.at_ns as f64 / 1e9,
        kind: done.kind,
        factor: done.speed.factor(),
    };
    results.interventions.iter().map(view).collect()
}

/// Over the whole run: the totals leave out the warm-up, what was configured does not.
fn initial_attempts(results: &Results) -> u64 {
    let warm = results.intervals.iter().filter(|interval| results.header.warms_up(interval.start_ns));
    let trunks = warm.flat_map(|interval| &interval.trunks);
    let initial = Kind::Initial.index();
    results.totals.sums.started[initial] + trunks.map(|trunk| trunk.started[initial]).sum::<u64>()
}

fn peak_rate(results: &Results) -> Option<f64> {
    let load = results.intervals.iter().filter(|interval| interval.stage == Stage::Load);
    let rates = load.filter(|interval| interval.end_ns > interval.start_ns).map(|interval| {
        let initial: u64 = interval.trunks.iter().map(|trunk| trunk.started[Kind::Initial.index()]).sum();
        initial as f64 * 1e9 / (interval.end_ns - interval.start_ns) as f64
    });
    rates.max_by(f64::total_cmp)
}

/// How long the load lasted; of a killed run, as far as it is known.
fn load_ns(results: &Results) -> Option<u64> {
    let last = results.intervals.iter().rev().find(|interval| interval.stage == Stage::Load);
    results.end.as_ref().map(|end| end.load_ended_ns).or(last.map(|interval| interval.end_ns))
}
