//! `run.json`: the whole run as one document, schema `regstorm.run/1`.
//!
//! Keys are only ever added. Times of distributions are microseconds; an unknown value is `null`.

use super::canary::{self, CanaryView};
use super::checks::ChecksView;
use super::conditions::Conditions;
use super::connections::ConnectionsView;
use super::json;
use super::machines::{self, FleetView};
use super::resolved::{self, AddressView, AskedView, ResolutionView, RoutingView};
use super::truth::{self, TruthView};
use super::words;
use crate::diagnose::figures::{self, Distribution, TOTALS};
use crate::diagnose::{self, DryRun, Finding, GeneratorVerdict, Judgement, SourceResult, ThresholdOutcome, Verdict};
use crate::record::results::Host;
use crate::record::{Results, Totals, TrunkHeader};
use crate::vocab::{Phase, Transport};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use std::collections::BTreeMap;

/// Renders the document, ending in a newline.
pub fn render(results: &Results, judgement: &Judgement, findings: &[Finding]) -> Vec<u8> {
    json::pretty(&run(results, judgement, findings))
}

/// The document of a rehearsal, with its dry run.
pub fn render_rehearsal(results: &Results, judgement: &Judgement, findings: &[Finding], dry_run: &DryRun) -> Vec<u8> {
    json::pretty(&RunDocument { dry_run: Some(dry_run), ..run(results, judgement, findings) })
}

#[derive(Serialize)]
struct RunDocument<'a> {
    schema: &'static str,
    tool: MadeBy<'a>,
    name: &'a str,
    started: String,
    ended: Option<String>,
    duration_s: Option<f64>,
    verdict: Verdict,
    invalid_reasons: &'a [String],
    aborted: Option<AbortedView<'a>>,
    simulated: bool,
    seed: u64,
    host: &'a Host,
    profile: serde_json::Value,
    thresholds: &'a [ThresholdOutcome],
    arrivals_planned: u64,
    bindings_left: BindingsLeftView,
    totals: TotalsView<'a>,
    trunks: Vec<Trunk<'a>>,
    /// Of trunks with several local addresses, address by address.
    sources: Vec<SourceResult>,
    generator: Generator<'a>,
    /// Seconds after the start at which shares of the agents (per cent) had registered for the
    /// first time.
    signed_in_after_s: BTreeMap<u32, Option<f64>>,
    latency_us: Latency<'a>,
    schedule_lag_us: Lag,
    cpu: Cpu,
    conditions: Conditions,
    /// What names stood for, as asked; empty where trunks have addresses.
    resolution: Vec<ResolutionView<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    canary: Vec<CanaryView<'a>>,
    /// What servers said they hold, beside our own count; empty where nobody was asked.
    truth: Vec<TruthView<'a>>,
    /// The machines that shared the run.
    #[serde(skip_serializing_if = "Option::is_none")]
    fleet: Option<FleetView<'a>>,
    record: Record<'a>,
    findings: &'a [Finding],
    /// Only where a rehearsal prints its own document: no record holds it.
    #[serde(skip_serializing_if = "Option::is_none")]
    dry_run: Option<&'a DryRun>,
}

/// The condition of `abort_on` that stopped the run.
#[derive(Serialize)]
struct AbortedView<'a> {
    name: &'a str,
    expr: &'a str,
    /// In the unit of the metric, as for thresholds.
    value: f64,
    at: String,
}

/// What the run left at its registrars, or had there when it was killed.
#[derive(Serialize)]
struct BindingsLeftView {
    count: u64,
    /// When the last of them has lapsed.
    lapsed_by: Option<String>,
}

#[derive(Serialize)]
struct MadeBy<'a> {
    name: &'static str,
    version: &'a str,
}

#[derive(Serialize)]
struct Trunk<'a> {
    #[serde(flatten)]
    header: TrunkView<'a>,
    totals: Option<TotalsView<'a>>,
    latency_us: Option<Latency<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    connections: Option<ConnectionsView>,
    /// What became of attempts at each address of its name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    addresses: Vec<AddressView<'a>>,
    /// What answers said of the way requests take.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    routing: Vec<RoutingView<'a>>,
    /// Requests that came for agents, with what they answered.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    asked: Vec<AskedView<'a>>,
    /// Audits of bindings, and OPTIONS.
    #[serde(skip_serializing_if = "Option::is_none")]
    checks: Option<ChecksView>,
}

#[derive(Serialize)]
struct TrunkView<'a> {
    id: &'a str,
    registrar: &'a str,
    target: &'a str,
    transport: Option<Transport>,
    domain: &'a str,
    expires_s: u32,
}

#[derive(Serialize)]
struct Generator<'a> {
    verdict: GeneratorVerdict,
    reasons: &'a [String],
    arrivals: u64,
    arrivals_late: u64,
    arrivals_late_pct: Option<f64>,
    socket_drops: u64,
    send_errors: u64,
    /// Reads the kernel had no memory for, which were tried again.
    reads_refused: u64,
    loop_stalls: u64,
    stray_datagrams: u64,
    /// Requests of others (OPTIONS, NOTIFY) that were answered, and that came too fast for that.
    requests_answered: u64,
    requests_unanswered: u64,
    /// Answers stamped with a time before their request.
    stamps_refused: u64,
    longest_turn_ms: f64,
    suspended_s: f64,
    cpu_pct: Option<f64>,
    features: &'a [String],
}

#[derive(Serialize)]
struct Lag {
    p50: Option<u64>,
    p99: Option<u64>,
    max: Option<u64>,
}

#[derive(Serialize)]
struct Cpu {
    user_s: Option<f64>,
    system_s: Option<f64>,
    max_rss_bytes: Option<u64>,
}

#[derive(Serialize)]
struct Record<'a> {
    intervals: usize,
    /// Why reading stopped before the end of the file.
    torn: Option<&'a str>,
}

/// The names of [`TOTALS`] with their values.
struct TotalsView<'a>(&'a Totals);

impl Serialize for TotalsView<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(TOTALS.len()))?;
        for figure in &TOTALS {
            map.serialize_entry(figure.name, &(figure.of)(self.0))?;
        }
        map.end()
    }
}

/// Every phase with its distribution, also those without a value.
struct Latency<'a>(&'a Totals);

impl Serialize for Latency<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(Phase::COUNT))?;
        for phase in Phase::ALL {
            map.serialize_entry(phase.as_str(), &Distribution::of_phase(self.0, phase))?;
        }
        map.end()
    }
}

fn run<'a>(results: &'a Results, judgement: &'a Judgement, findings: &'a [Finding]) -> RunDocument<'a> {
    let header = &results.header;
    let ended = words::ended_ns(results);
    let lag = Distribution::of(Some(&results.lag_us));
    let left = figures::bindings_left(results);
    RunDocument {
        schema: "regstorm.run/1",
        tool: MadeBy { name: "regstorm", version: &header.tool_version },
        name: &header.name,
        started: header.utc(0),
        ended: ended.map(|ns| header.utc(ns)),
        duration_s: ended.map(|ns| ns as f64 / 1e9),
        verdict: judgement.verdict,
        invalid_reasons: &judgement.invalid_reasons,
        aborted: diagnose::aborted(results).map(|aborted| AbortedView {
            name: &aborted.name,
            expr: &aborted.expr,
            value: aborted.value,
            at: header.utc(aborted.at_ns),
        }),
        simulated: header.simulated,
        seed: header.seed,
        host: &header.host,
        // The record holds the profile as JSON text; should it be damaged, the rest of the run
        // still has its file.
        profile: serde_json::from_str(&header.profile_json).unwrap_or_default(),
        thresholds: &judgement.thresholds,
        arrivals_planned: header.arrivals_planned,
        bindings_left: BindingsLeftView { count: left.count, lapsed_by: left.lapsed_ns.map(|ns| header.utc(ns)) },
        totals: TotalsView(&results.totals),
        trunks: header.trunks.iter().enumerate().map(|(index, trunk)| trunk_view(results, index, trunk)).collect(),
        sources: diagnose::by_source(results),
        generator: generator(results, judgement),
        signed_in_after_s: figures::SIGN_IN_SHARES
            .into_iter()
            .map(|share| (share, figures::signed_in_after(results, share).map(|ns| ns as f64 / 1e9)))
            .collect(),
        latency_us: Latency(&results.totals),
        schedule_lag_us: Lag { p50: lag.p50, p99: lag.p99, max: lag.max },
        cpu: cpu(results),
        conditions: Conditions::of(results),
        resolution: resolved::resolutions(results),
        canary: canary::changes(results),
        truth: truth::views(results),
        fleet: machines::view(results),
        record: Record { intervals: results.intervals.len(), torn: results.torn.as_deref() },
        findings,
        dry_run: None,
    }
}

fn trunk_view<'a>(results: &'a Results, index: usize, trunk: &'a TrunkHeader) -> Trunk<'a> {
    let totals = results.trunk_totals.get(index);
    Trunk {
        header: TrunkView {
            id: &trunk.id,
            registrar: trunk.registrar.as_str(),
            target: &trunk.target,
            transport: trunk.transport,
            domain: &trunk.domain,
            expires_s: trunk.expires_s,
        },
        totals: totals.map(TotalsView),
        latency_us: totals.map(Latency),
        connections: totals.and_then(|totals| totals.sums.flows.as_deref()).map(ConnectionsView::of),
        addresses: resolved::addresses(results, index),
        routing: resolved::routing(results, index),
        asked: resolved::asked(results, index),
        checks: ChecksView::of(results, index),
    }
}

fn generator<'a>(results: &'a Results, judgement: &'a Judgement) -> Generator<'a> {
    let counts = &results.totals.generator;
    Generator {
        verdict: judgement.generator,
        reasons: &judgement.generator_reasons,
        arrivals: counts.arrivals,
        arrivals_late: counts.arrivals_late,
        arrivals_late_pct: figures::percent(counts.arrivals_late, counts.arrivals),
        socket_drops: counts.socket_drops,
        send_errors: counts.send_errors,
        reads_refused: counts.reads_refused,
        loop_stalls: counts.loop_stalls,
        stray_datagrams: counts.stray_datagrams,
        requests_answered: counts.asked_answered,
        requests_unanswered: counts.asked_refused,
        stamps_refused: counts.stamps_refused,
        longest_turn_ms: counts.longest_turn_ns as f64 / 1e6,
        suspended_s: counts.suspended_ns as f64 / 1e9,
        cpu_pct: sender_cpu_pct(results),
        features: &results.header.features,
    }
}

/// CPU time of the sender threads over wall time and threads; of a killed run, from its intervals.
pub(super) fn sender_cpu_pct(results: &Results) -> Option<f64> {
    if let Some(end) = &results.end {
        return Some(end.sender_cpu_pct);
    }
    let available = words::ended_ns(results)? as f64 * f64::from(results.header.workers);
    (available > 0.0).then(|| 100.0 * results.totals.generator.cpu_ns as f64 / available)
}

fn cpu(results: &Results) -> Cpu {
    let end = results.end.as_ref();
    Cpu {
        user_s: end.map(|end| end.user_s),
        system_s: end.map(|end| end.system_s),
        max_rss_bytes: end.map(|end| end.max_rss_bytes),
    }
}
