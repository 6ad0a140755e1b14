//! A run as read back from its record: the one input of diagnosis and reports.

use super::canary::CanaryNote;
use super::fleet::{FleetFacts, ShareHeader};
use super::resolution::Resolution;
use super::truth::{TruthHeader, TruthSample};
use crate::measure::{Evidence, GeneratorCounts, Imbalance, LoopRow, ResponseRow, TrunkInterval, evidence};
use crate::sip::Timers;
use crate::vocab::{
    Intervention, LoadStage, LoopKind, Phase, Platform, Process, RealmPolicy, RetryAfter, SocketUse, Stage, Status,
    Transport, WhenExhausted, nanos,
};
use hdrhistogram::Histogram;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

/// What is known before the first packet; the first frame of the record.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Header {
    pub tool_version: String,
    /// `run.name`.
    pub name: String,
    /// UTC of the run's start (time 0 of all `_ns` fields), nanoseconds since the Unix epoch.
    pub started_unix_ns: i64,
    pub seed: u64,
    pub interval_ns: u64,
    pub trunks: Vec<TrunkHeader>,
    /// Users by agent id (= arrival order).
    pub users: Vec<String>,
    /// Trunk index by agent id.
    pub agent_trunks: Vec<u16>,
    /// The resolved profile as JSON text, secrets as `***`: to be shown, and to be held against
    /// another run's key by key. What a judge must know stands beside it, typed.
    pub profile_json: String,
    /// Thresholds as written: (name, expression).
    pub thresholds: Vec<(String, String)>,
    /// Lines of `[compare]` as written, in their order; `None` where nobody could write any.
    #[serde(default)]
    pub compare: Option<Vec<(String, String)>>,
    /// The load that was planned; `None` of what was only observed.
    #[serde(default)]
    pub load: Option<LoadHeader>,
    /// How others were observed; `None`: our own agents made these results.
    #[serde(default)]
    pub observed: Option<Observed>,
    /// The source shows requests only: that it holds no answer does not mean that none came.
    #[serde(default)]
    pub answers_missing: bool,
    pub generator: GeneratorLimits,
    pub host: Host,
    /// What the sockets got: `recvmmsg`, `rx-timestamp`, `rcvbuf=8388608`, …
    pub features: Vec<String>,
    /// Arrivals the load plans, after the number of agents is taken into account.
    pub arrivals_planned: u64,
    pub workers: u32,
    pub simulated: bool,
    /// Sets this run's Call-IDs apart, see `agent::call_id`.
    #[serde(default)]
    pub run_tag: u64,
    /// Call-IDs by agent id where they were observed instead of made: of a capture. Empty for a
    /// run.
    #[serde(default)]
    pub call_ids: Vec<String>,
    /// Position of each agent's address among its trunk's `sources`; empty when no trunk has
    /// several.
    #[serde(default)]
    pub agent_sources: Vec<u8>,
    /// Retry habits of agents that differ from their trunk's (`[[trunk.mix]]`).
    #[serde(default)]
    pub own_retries: Vec<RetryHeader>,
    /// Which of them each agent has, counted from 1, by agent id; 0: its trunk's. Empty when no
    /// agent differs.
    #[serde(default)]
    pub agent_retries: Vec<u16>,
    /// `run.warmup`; 0 in a record from before there was one.
    #[serde(default)]
    pub warmup_ns: u64,
    /// The order in which agents arrive was drawn at random, not that of their lists.
    #[serde(default)]
    pub order_drawn: bool,
    /// The profile's file, where there was one: no record holds its secrets.
    #[serde(default)]
    pub profile_path: Option<String>,
    /// Nobody else registers on these trunks, as somebody stated (`[expect] exclusive`).
    #[serde(default)]
    pub exclusive: bool,
    /// Who agreed that these registrars are loaded (`[safety] authorised_by`).
    #[serde(default)]
    pub authorised_by: Option<String>,
    /// What this machine could send when that was last measured; `None` when it was not.
    #[serde(default)]
    pub baseline: Option<Baseline>,
    /// What trunks' names stood for before the load; of a trunk with an address nobody was asked.
    #[serde(default)]
    pub resolutions: Vec<Resolution>,
    /// Who was asked for the registrars' own counts.
    #[serde(default)]
    pub truths: Vec<TruthHeader>,
    /// Which part of a run this is a record of; `None`: of a whole one.
    #[serde(default)]
    pub share: Option<ShareHeader>,
}

/// What a machine can send by itself (RFC 7502 §6.1), measured against the embedded registrar on
/// the same machine.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Baseline {
    /// The version of regstorm that measured it.
    pub tool_version: String,
    /// UTC, RFC 3339.
    pub measured: String,
    pub host: String,
    pub kernel: String,
    pub cpus: u32,
    /// Sender threads.
    pub workers: u32,
    /// The highest rate at which the generator was `valid`, challenged registrations per second; 0:
    /// at none.
    pub valid_rate_per_s: u32,
    /// The lowest rate tried at which it was not; `None`: every rate tried was kept.
    pub first_invalid_rate_per_s: Option<u32>,
    pub steps: Vec<BaselineStep>,
}

/// One rate that was tried.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct BaselineStep {
    pub rate_per_s: u32,
    /// `valid`, `suspect` or `invalid`.
    pub generator: String,
    pub attempts: u64,
    pub registered: u64,
    /// 99th percentile of how late first REGISTERs left, microseconds.
    pub lag_p99_us: u64,
}

/// A time of the clock in UTC with so many digits behind the second: `2026-11-21T01:02:03.004Z`.
/// Years beyond 9999, which RFC 3339 cannot write, are an unknown time: nothing.
pub fn utc(unix_ns: i128, digits: usize) -> String {
    Timestamp::from_nanosecond(unix_ns).map(|time| format!("{time:.digits$}")).unwrap_or_default()
}

/// The day of a moment as people write it: `Monday 30 November 2026`. UTC.
pub fn day(unix_ns: i128) -> String {
    Timestamp::from_nanosecond(unix_ns).map(|time| time.strftime("%A %-d %B %Y").to_string()).unwrap_or_default()
}

/// The time of day of a moment, to the second: `07:30:19`. UTC.
pub fn time_of_day(unix_ns: i128) -> String {
    Timestamp::from_nanosecond(unix_ns).map(|time| time.strftime("%H:%M:%S").to_string()).unwrap_or_default()
}

impl Header {
    /// A moment of the run, `ns` after its start, by the clock of the test machine.
    pub fn unix_ns(&self, ns: u64) -> i128 {
        i128::from(self.started_unix_ns) + i128::from(ns)
    }

    /// A moment of the run, `ns` after its start, in UTC: `2026-11-21T01:02:03.004Z`.
    pub fn utc(&self, ns: u64) -> String {
        utc(i128::from(self.started_unix_ns) + i128::from(ns), 3)
    }

    /// The first whole second at or after that moment.
    pub fn utc_seconds(&self, ns: u64) -> String {
        utc(i128::from(self.started_unix_ns) + i128::from(ns) + 999_999_999, 0)
    }

    /// Whether an interval that began at `start_ns` belongs to the warm-up: it is in the time
    /// series and in no sum.
    pub fn warms_up(&self, start_ns: u64) -> bool {
        start_ns < self.warmup_ns
    }
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct TrunkHeader {
    pub id: String,
    pub registrar: RegistrarHeader,
    /// The product that answers, where the profile says it.
    #[serde(default)]
    pub platform: Option<Platform>,
    /// Resolved address, `127.0.0.1:5060`.
    pub target: String,
    /// `None`: a log does not say.
    pub transport: Option<Transport>,
    pub domain: String,
    pub agents: u32,
    pub expires_s: u32,
    /// The realm the profile expects.
    #[serde(default)]
    pub realm: Option<String>,
    /// Accepted algorithms, by name.
    #[serde(default)]
    pub algorithms: Vec<String>,
    /// Local addresses; empty: the kernel's choice.
    #[serde(default)]
    pub sources: Vec<String>,
    #[serde(default)]
    pub retry: RetryHeader,
    #[serde(default)]
    pub realm_policy: RealmPolicy,
    #[serde(default)]
    pub sockets: SocketUse,
    #[serde(default)]
    pub timers: TimersHeader,
}

/// What the timers of a trunk's transactions were set to (RFC 3261 §17.1.2.2), nanoseconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct TimersHeader {
    pub t1_ns: u64,
    pub t2_ns: u64,
}

impl Default for TimersHeader {
    /// Those of RFC 3261 Table 4, which are also assumed for phones that were only observed.
    fn default() -> Self {
        Timers::DEFAULT.into()
    }
}

impl From<Timers> for TimersHeader {
    fn from(Timers { t1, t2, .. }: Timers) -> Self {
        // A timer of 584 years is as good as one that never fires.
        let nanos = |span: Duration| u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
        TimersHeader { t1_ns: nanos(t1), t2_ns: nanos(t2) }
    }
}

impl TimersHeader {
    /// Timer F, 64·T1: a request without a final answer for this long has none.
    pub const fn f_ns(&self) -> u64 {
        self.t1_ns.saturating_mul(Timers::F_IN_T1 as u64)
    }

    /// Retransmissions of a request that is never answered: Timer E fires after T1 and each time
    /// twice as long up to T2, until Timer F.
    pub fn repeats(&self) -> u64 {
        let (mut at, mut wait, mut repeats) = (self.t1_ns, self.t1_ns, 0);
        while at > 0 && at < self.f_ns() {
            repeats += 1;
            wait = wait.saturating_mul(2).min(self.t2_ns).max(self.t1_ns);
            at = at.saturating_add(wait);
        }
        repeats
    }
}

/// Whom a trunk registers with, as its profile has it.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum RegistrarHeader {
    /// The registrar that is part of this program.
    #[default]
    Embedded,
    /// A SIP URI.
    At(String),
}

impl RegistrarHeader {
    pub fn as_str(&self) -> &str {
        match self {
            RegistrarHeader::Embedded => "embedded",
            RegistrarHeader::At(uri) => uri,
        }
    }
}

impl From<String> for RegistrarHeader {
    fn from(text: String) -> Self {
        if text == RegistrarHeader::Embedded.as_str() { RegistrarHeader::Embedded } else { RegistrarHeader::At(text) }
    }
}

impl From<RegistrarHeader> for String {
    fn from(registrar: RegistrarHeader) -> String {
        registrar.as_str().to_owned()
    }
}

/// `[[load]]` and `[arrivals]`.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct LoadHeader {
    pub stages: Vec<LoadStage>,
    pub process: Process,
    pub when_exhausted: WhenExhausted,
    pub max_in_flight: u32,
}

/// A source of results that is no run of ours.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Observed {
    /// Packets of others.
    Capture,
    /// A platform's log of SIP events.
    EventLog,
}

impl Observed {
    /// As it stands among the features.
    pub const fn as_str(self) -> &'static str {
        match self {
            Observed::Capture => "capture",
            Observed::EventLog => "event log",
        }
    }
}

/// How long the agents of a trunk wait before they try again, once their back-off has grown;
/// `None`: they do not.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RetryHeader {
    pub preset: String,
    /// Mean waits in seconds: after 403, after refusals and silence that pass by themselves, after
    /// other refusals.
    pub forbidden_s: Option<f64>,
    pub temporary_s: Option<f64>,
    pub refused_s: Option<f64>,
    /// Retries since the last 2xx; `None` is unlimited.
    pub max: Option<u32>,
    #[serde(default)]
    pub retry_after: RetryAfter,
}

/// `[generator]`: when our own schedule counts as broken. The numbers of the profile's section
/// alone, so that a record is judged alike whatever keys the section gains.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct GeneratorLimits {
    pub late_ns: u64,
    pub stall_ns: u64,
    /// Shares of late arrivals.
    pub suspect_late: f64,
    pub invalid_late: f64,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Host {
    pub name: String,
    pub os: String,
    pub kernel: String,
    pub cpus: u32,
    pub cpu_model: String,
    pub memory_bytes: u64,
}

/// The last frame of a run that ended by itself; a record without it belongs to a run that was
/// killed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct End {
    /// Nanoseconds since the run's start.
    pub ended_ns: u64,
    /// When the load ended and the drain began.
    pub load_ended_ns: u64,
    /// `Some(1)` SIGHUP, `Some(2)` SIGINT, `Some(15)` SIGTERM.
    pub interrupted_by: Option<i32>,
    #[serde(rename = "registered_at_load_end")]
    pub registered_after_drain: u64,
    pub user_s: f64,
    pub system_s: f64,
    pub max_rss_bytes: u64,
    /// Sender threads' CPU time over (wall time × threads), per cent.
    pub sender_cpu_pct: f64,
    /// The condition that ended the load before its time; `None` in a record from before there were
    /// any.
    #[serde(default)]
    pub aborted: Option<Aborted>,
    /// Why sender threads were lost, if any were.
    #[serde(default)]
    pub lost: Option<String>,
    /// Agents whose bindings the run left at the registrar.
    #[serde(default)]
    pub left_bound: u64,
}

/// A condition of `[safety] abort_on` that held.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Aborted {
    /// As written.
    pub name: String,
    /// As written.
    pub expr: String,
    /// In the metric's unit.
    pub value: f64,
    /// End of the interval after which it held, nanoseconds since the run's start.
    pub at_ns: u64,
}

/// A whole run.
#[derive(Clone, Debug)]
pub struct Results {
    pub header: Header,
    /// `None`: the run was killed, or is still going on.
    pub end: Option<End>,
    /// What a person at the live screen did to the load, in order.
    pub interventions: Vec<Intervention>,
    /// What names stood for: before the load, then each time they were looked up again.
    pub resolutions: Vec<Resolution>,
    /// What agents beside the load had to say, in order.
    pub canary_notes: Vec<CanaryNote>,
    /// What registrars said of themselves, in the order of the answers.
    pub truth: Vec<TruthSample>,
    /// Where the run's own books did not balance, once per trunk; empty in a sound run.
    pub imbalances: Vec<Imbalance>,
    /// The machines that shared the run; `None`: it had one.
    pub fleet: Option<FleetFacts>,
    pub intervals: Vec<IntervalResult>,
    /// Over the whole run but its warm-up, all trunks, then by trunk. Attempts open in the last
    /// block of a run without end count as abandoned, here as in the last interval.
    pub totals: Totals,
    pub trunk_totals: Vec<Totals>,
    /// By agent id; agents that never arrived have no attempts.
    pub agents: Vec<AgentResult>,
    pub loops: Vec<LoopResult>,
    /// Summed over the run, by trunk, kind, code, reason.
    pub responses: Vec<ResponseRow>,
    /// What the forensics look at: the whole run, the warm-up included, merged and sorted.
    pub evidence: Evidence,
    /// Schedule lag over the run, microseconds.
    pub lag_us: Histogram<u64>,
    /// Why the reader stopped before the end of the file, if it did (a torn last block).
    pub torn: Option<String>,
}

/// One interval, trunk by trunk. Histograms are kept as quantile rows and in serialised form: an
/// eight-hour run has thousands of intervals, and a decoded histogram takes 140 KB.
#[derive(Clone, Debug)]
pub struct IntervalResult {
    pub index: u32,
    pub start_ns: u64,
    pub end_ns: u64,
    pub stage: Stage,
    /// Without its histograms: they are in `latency`.
    pub trunks: Vec<TrunkInterval>,
    pub latency: Vec<LatencyRow>,
    /// How late first REGISTERs left; `None` when none did.
    pub lag: Option<LagRow>,
    pub generator: GeneratorCounts,
    /// Highest sampled number of registered agents, all trunks.
    pub registered_peak: u64,
}

/// The schedule lag of one interval, all trunks, microseconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LagRow {
    pub p50_us: u64,
    pub p99_us: u64,
    pub max_us: u64,
}

/// The distribution of one phase on one trunk in one interval, microseconds.
#[derive(Clone, Debug)]
pub struct LatencyRow {
    pub trunk: u16,
    pub phase: Phase,
    pub count: u64,
    pub min_us: u64,
    pub mean_us: f64,
    pub p50_us: u64,
    pub p90_us: u64,
    pub p95_us: u64,
    pub p99_us: u64,
    pub p999_us: u64,
    pub max_us: u64,
    /// HdrHistogram V2 serialisation (uncompressed).
    pub v2: Vec<u8>,
}

/// Sums over the run.
#[derive(Clone, Debug)]
pub struct Totals {
    /// Sum of `status`.
    pub attempts: u64,
    /// Counters over the run; its histograms are `None`, see `latency_us`. `open` is 0, `planned`
    /// is that of the load's end and `registered` that of the drain's, the agent-nanoseconds cover
    /// the load stage only.
    pub sums: TrunkInterval,
    /// Of the run; the generator is one for all trunks, so a trunk's totals show the same.
    pub generator: GeneratorCounts,
    pub agents: u64,
    /// Highest number sampled, ten times a second, or seen at the end of an interval. Samples are
    /// of all trunks together: a trunk among several shows the highest number at the end of an
    /// interval.
    pub agents_registered_peak: u64,
    /// When the drain ended: the load's last attempts end in it, and nothing lapses there.
    pub agents_registered_at_end: u64,
    /// Of those: over a connection that is still there.
    pub agents_reachable_at_end: u64,
    pub agents_looping: u64,
    /// By phase.
    pub latency_us: Vec<(Phase, Histogram<u64>)>,
}

/// One agent over the run.
#[derive(Clone, Debug, Default)]
pub struct AgentResult {
    pub status: Option<Status>,
    pub attempts: u32,
    pub registered: u32,
    pub last_code: u16,
    pub last_reason: String,
    pub loop_kind: Option<LoopKind>,
    pub first_registered_ns: Option<u64>,
    pub last_change_ns: u64,
    /// The classes its attempts ended in: [`crate::vocab::Class::bit`].
    pub met: u16,
    /// Where its latest attempt ended, of a trunk whose name leads to several addresses.
    pub address: Option<Arc<str>>,
    /// What became of its first requests: [`crate::vocab::RequestFate::bit`].
    pub first_requests: u16,
}

/// One loop over the run.
pub type LoopResult = LoopRow;

impl Results {
    /// The length of a tick of the pulse in [`Results::evidence`].
    pub fn evidence_tick_ns(&self) -> u64 {
        nanos(evidence::tick(Duration::from_nanos(self.header.interval_ns)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_without_an_answer_is_repeated_ten_times() {
        // After 0.5, 1.5, 3.5 and 7.5 s, then every 4 s up to 31.5 s.
        let timers = TimersHeader::default();
        assert_eq!((timers.f_ns(), timers.repeats()), (32_000_000_000, 10));
        assert_eq!(TimersHeader { t1_ns: 0, t2_ns: 0 }.repeats(), 0, "whatever a damaged header says");
    }
}
