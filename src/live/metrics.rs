//! What a run has counted so far, as OpenMetrics text.
//!
//! Fed with finished intervals, like everything in this room; what a scrape costs is paid by the
//! thread that asks. The counters are those of `run.json`: the warm-up is in none of them, and
//! after the run they stand at its totals. Labels are trunk, status, phase and their like, never an
//! agent: a run with a million agents has as many series as one with ten.

use crate::measure::{Buckets, FlowCounts, GeneratorCounts, Interval, TrunkInterval};
use crate::vocab::{FlowLoss, Kind, Phase, Stage, Status};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeCounterValue, EncodeGaugeValue, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Registry, Unit};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What is known of a run before it starts.
#[derive(Clone, Debug)]
pub struct RunFacts {
    /// `run.name`.
    pub name: String,
    pub version: &'static str,
    pub seed: u64,
    /// UTC of time 0, nanoseconds since the Unix epoch.
    pub started_unix_ns: i64,
    /// `run.interval`: how often the values change.
    pub interval: Duration,
    /// `run.warmup`.
    pub warmup: Duration,
    /// Of the load, as planned.
    pub load_lasts: Duration,
    /// Id and agents of each trunk.
    pub trunks: Vec<(String, u32)>,
}

/// The verdicts there are, in the words of `run.json`.
const VERDICTS: [&str; 4] = ["pass", "fail", "invalid", "interrupted"];

/// A run's metrics, shared between the run that counts and the scrapes that read.
#[derive(Clone, Debug)]
pub struct Metrics {
    sums: Arc<Mutex<MetricSums>>,
}

/// Sums over the run so far.
#[derive(Debug)]
struct MetricSums {
    facts: RunFacts,
    trunks: Vec<TrunkSums>,
    /// What servers say they hold, with the trunk; `None`: of all, and not known.
    truth: Vec<(Option<usize>, Option<u64>)>,
    lag: Buckets,
    generator: GeneratorCounts,
    stage: Stage,
    /// End of the last interval.
    elapsed: Duration,
    /// Agents that looped in the warm-up: they count when they go on after it.
    warm_loops: BTreeSet<u32>,
    ended: bool,
    verdict: Option<&'static str>,
}

#[derive(Clone, Default, Debug)]
struct TrunkSums {
    /// Counters of the run; gauges of the last interval. Without histograms.
    counts: TrunkInterval,
    latency: [Buckets; Phase::COUNT],
    /// Final responses by code. As in `responses.csv`, those of the warm-up are among them.
    responses: BTreeMap<u16, u64>,
}

impl Metrics {
    /// All zero: a counter that appears with its first value looks to Prometheus as if it had not
    /// grown.
    pub fn new(facts: RunFacts) -> Self {
        let sums = MetricSums {
            trunks: vec![TrunkSums::default(); facts.trunks.len()],
            facts,
            truth: Vec::new(),
            lag: Buckets::default(),
            generator: GeneratorCounts::default(),
            stage: Stage::Load,
            elapsed: Duration::ZERO,
            warm_loops: BTreeSet::new(),
            ended: false,
            verdict: None,
        };
        Metrics { sums: Arc::new(Mutex::new(sums)) }
    }

    /// Adds a finished interval.
    pub fn interval(&self, interval: &Interval) {
        self.sums().add(interval);
    }

    /// What servers say they hold: by server the trunk it counts (`None`: all of them) and its
    /// count, if that is known.
    pub fn truth(&self, latest: Vec<(Option<usize>, Option<u64>)>) {
        self.sums().truth = latest;
    }

    /// A stage was ordered.
    pub fn stage(&self, stage: Stage) {
        self.sums().stage = stage;
    }

    /// The run is over and judged (`run.json`'s word); what was still open has been abandoned.
    pub fn end(&self, verdict: &'static str) {
        let mut sums = self.sums();
        for TrunkSums { counts, .. } in &mut sums.trunks {
            counts.status[Status::Abandoned.index()] += std::mem::take(&mut counts.open);
        }
        sums.ended = true;
        sums.verdict = Some(verdict);
    }

    /// Whether the values will not change any more.
    pub fn has_ended(&self) -> bool {
        self.sums().ended
    }

    /// The OpenMetrics text of this moment, to its `# EOF`.
    pub fn render(&self) -> String {
        let mut registry = Registry::with_prefix("regstorm");
        registry.register_collector(Box::new(self.clone()));
        let mut text = String::new();
        encode(&mut text, &registry).expect("a string takes every byte");
        text
    }

    fn sums(&self) -> MutexGuard<'_, MetricSums> {
        // Whoever panicked while holding it left whole numbers behind.
        self.sums.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Collector for Metrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        self.sums().encode(&mut Exposition { encoder: &mut encoder })
    }
}

impl MetricSums {
    fn add(&mut self, interval: &Interval) {
        self.elapsed = Duration::from_nanos(interval.end_ns);
        let warm = self.warms_up(interval.start_ns);
        for (sums, trunk) in self.trunks.iter_mut().zip(&interval.trunks) {
            if !warm {
                sums.add(trunk, interval.stage);
            }
            sums.counts.open = trunk.open;
            sums.counts.planned = trunk.planned;
            sums.counts.registered = trunk.registered;
            sums.counts.cut_off = trunk.cut_off;
            if let (Some(sum), Some(part)) = (&mut sums.counts.flows, &trunk.flows) {
                sum.open = part.open;
            }
        }
        for row in interval.responses.iter().filter(|row| !row.challenge) {
            if let Some(trunk) = self.trunks.get_mut(usize::from(row.trunk)) {
                *trunk.responses.entry(row.code).or_default() += row.count;
            }
        }
        for row in &interval.loops {
            if warm {
                self.warm_loops.insert(row.agent);
            } else if self.warm_loops.remove(&row.agent)
                && let Some(trunk) = self.trunks.get_mut(usize::from(row.trunk))
            {
                trunk.counts.agents_began_looping += 1;
            }
        }
        if !warm {
            self.generator.add(&interval.generator);
            if let Some(lag) = &interval.lag_us {
                self.lag.add(lag);
            }
        }
    }

    fn warms_up(&self, ns: u64) -> bool {
        Duration::from_nanos(ns) < self.facts.warmup
    }

    fn stage_name(&self) -> &'static str {
        let warm = self.stage == Stage::Load && self.elapsed < self.facts.warmup;
        if self.ended {
            "ended"
        } else if warm {
            "warmup"
        } else {
            self.stage.as_str()
        }
    }

    fn encode(&self, page: &mut Exposition<'_, '_>) -> fmt::Result {
        self.encode_run(page)?;
        let agents = self.facts.trunks.iter().map(|(id, agents)| (vec![("trunk", id.as_str())], u64::from(*agents)));
        page.gauge("agents", "Agents of the profile.", None, agents)?;
        for (name, help, value) in AGENTS {
            let rows = self.by_trunk().map(|(id, trunk)| (vec![("trunk", id)], value(&trunk.counts)));
            page.gauge(name, help, None, rows)?;
        }
        self.encode_truth(page)?;
        for (name, unit, help, value) in COUNTERS {
            let rows = self.by_trunk().map(|(id, trunk)| (vec![("trunk", id)], value(&trunk.counts)));
            page.counter(name, help, unit.as_ref(), rows)?;
        }
        for (name, help, value) in AGENT_SECONDS {
            let seconds = |trunk: &TrunkSums| value(&trunk.counts) as f64 / 1e9;
            let rows = self.by_trunk().map(|(id, trunk)| (vec![("trunk", id)], seconds(trunk)));
            page.counter(name, help, Some(&Unit::Seconds), rows)?;
        }
        self.encode_attempts(page)?;
        self.encode_connections(page)?;
        self.encode_latency(page)?;
        self.encode_generator(page)
    }

    /// A count that is not known has no row: it is not 0.
    fn encode_truth(&self, page: &mut Exposition<'_, '_>) -> fmt::Result {
        let id = |trunk: Option<usize>| trunk.and_then(|n| self.facts.trunks.get(n)).map_or("", |(id, _)| id.as_str());
        let rows = self.truth.iter().filter_map(|(trunk, count)| Some((vec![("trunk", id(*trunk))], (*count)?)));
        page.gauge("server_registered", "Bindings the server says it holds, with those of others.", None, rows)?;
        let rows = self.truth.iter().map(|(trunk, count)| (vec![("trunk", id(*trunk))], u64::from(count.is_some())));
        page.gauge("server_registered_known", "1 while the server tells its count, 0 while it does not.", None, rows)
    }

    fn encode_run(&self, page: &mut Exposition<'_, '_>) -> fmt::Result {
        let facts = &self.facts;
        let seed = facts.seed.to_string();
        let labels = vec![("run", facts.name.as_str()), ("version", facts.version), ("seed", &seed)];
        // OpenMetrics has a type for this that the older text format's readers do not know.
        page.gauge("run_info", "The run whose metrics these are.", None, [(labels, 1u64)])?;
        let seconds = [
            ("run_start_timestamp", "Start of the run, Unix time.", facts.started_unix_ns as f64 / 1e9),
            ("run_elapsed", "Start of the run to the end of its last finished interval.", self.elapsed.as_secs_f64()),
            ("run_interval", "run.interval: these metrics change once in this time.", facts.interval.as_secs_f64()),
            ("run_load_planned", "How long the load is planned to last.", facts.load_lasts.as_secs_f64()),
        ];
        for (name, help, value) in seconds {
            page.gauge(name, help, Some(&Unit::Seconds), [(Vec::new(), value)])?;
        }
        let now = self.stage_name();
        let stages = ["warmup", Stage::Load.as_str(), Stage::Drain.as_str(), Stage::Unregister.as_str(), "ended"];
        let rows = stages.map(|stage| (vec![("stage", stage)], u64::from(stage == now)));
        page.gauge("run_stage", "1 for what the run is doing, 0 for the rest.", None, rows)?;
        let Some(verdict) = self.verdict else { return Ok(()) };
        let rows = VERDICTS.map(|word| (vec![("verdict", word)], u64::from(word == verdict)));
        page.gauge("run_verdict", "1 for the verdict, 0 for the rest; only after the run.", None, rows)
    }

    fn encode_attempts(&self, page: &mut Exposition<'_, '_>) -> fmt::Result {
        let ended = self.by_trunk().flat_map(|(id, trunk)| {
            Status::ALL
                .map(|status| (vec![("trunk", id), ("status", status.as_str())], trunk.counts.status[status.index()]))
        });
        page.counter("attempts", "Attempts ended, by outcome.", None, ended)?;
        let started = self.by_trunk().flat_map(|(id, trunk)| {
            let kinds = [Kind::Initial, Kind::Refresh, Kind::Retry];
            kinds.map(|kind| (vec![("trunk", id), ("kind", kind.as_str())], trunk.counts.started[kind.index()]))
        });
        page.counter("attempts_started", "Attempts begun, those not sent included.", None, started)?;
        let codes: Vec<(&str, String, u64)> = self
            .by_trunk()
            .flat_map(|(id, trunk)| trunk.responses.iter().map(move |(code, &count)| (id, code.to_string(), count)))
            .collect();
        let rows = codes.iter().map(|(id, code, count)| (vec![("trunk", *id), ("code", code.as_str())], *count));
        page.counter(
            "responses",
            "Final responses by code, those of the warm-up and to un-REGISTERs included.",
            None,
            rows,
        )
    }

    fn encode_connections(&self, page: &mut Exposition<'_, '_>) -> fmt::Result {
        let none = FlowCounts::default();
        let of = || self.by_trunk().map(|(id, trunk)| (id, trunk.counts.flows.as_deref().unwrap_or(&none)));
        let open = of().map(|(id, flows)| (vec![("trunk", id)], flows.open));
        page.gauge("connections_open", "Connections that are open.", None, open)?;
        for (name, help, value) in CONNECTIONS {
            page.counter(name, help, None, of().map(|(id, flows)| (vec![("trunk", id)], value(flows))))?;
        }
        let by_reason = |counts: fn(&FlowCounts) -> &[u64; FlowLoss::COUNT]| {
            of().flat_map(move |(id, flows)| {
                let occurred = FlowLoss::ALL.into_iter().filter(move |why| counts(flows)[why.index()] > 0);
                occurred.map(move |why| (vec![("trunk", id), ("reason", why.as_str())], counts(flows)[why.index()]))
            })
        };
        let failed = "Connections that could not be opened, by reason.";
        page.counter("connections_failed", failed, None, by_reason(|flows| &flows.failed))?;
        let lost = "Connections that were open and are not any more, by reason.";
        page.counter("connections_lost", lost, None, by_reason(|flows| &flows.lost))
    }

    fn encode_latency(&self, page: &mut Exposition<'_, '_>) -> fmt::Result {
        let rows = self.by_trunk().flat_map(|(id, trunk)| {
            let shown = Phase::ALL.into_iter().filter(|phase| {
                let reserved = matches!(phase, Phase::Options | Phase::Connect);
                !reserved || trunk.latency[phase.index()].count() > 0
            });
            shown.map(move |phase| (vec![("trunk", id), ("phase", phase.as_str())], &trunk.latency[phase.index()]))
        });
        page.histogram("latency", "How long the phases of registration took.", rows)
    }

    fn encode_generator(&self, page: &mut Exposition<'_, '_>) -> fmt::Result {
        let lag = "Planned to actual sending of each attempt's first REGISTER.";
        page.histogram("schedule_lag", lag, [(Vec::new(), &self.lag)])?;
        for (name, help, value) in GENERATOR {
            page.counter(name, help, None, [(Vec::new(), value(&self.generator))])?;
        }
        let cpu = self.generator.cpu_ns as f64 / 1e9;
        page.counter("generator_cpu", "CPU time of the sender threads.", Some(&Unit::Seconds), [(Vec::new(), cpu)])
    }

    /// Trunks with their ids.
    fn by_trunk(&self) -> impl Iterator<Item = (&str, &TrunkSums)> {
        self.facts.trunks.iter().map(|(id, _)| id.as_str()).zip(&self.trunks)
    }
}

impl TrunkSums {
    fn add(&mut self, trunk: &TrunkInterval, stage: Stage) {
        let before = (self.counts.planned_agent_ns, self.counts.registered_agent_ns);
        self.counts.add_counters(trunk);
        if stage != Stage::Load {
            // Availability is that of the load.
            (self.counts.planned_agent_ns, self.counts.registered_agent_ns) = before;
        }
        for (buckets, histogram) in self.latency.iter_mut().zip(&trunk.latency_us) {
            if let Some(histogram) = histogram {
                buckets.add(histogram);
            }
        }
    }
}

type OfTrunk = fn(&TrunkInterval) -> u64;

/// Gauges of a trunk: name, help, value.
const AGENTS: [(&str, &str, OfTrunk); 4] = [
    ("agents_planned", "Agents that have arrived and were not told to un-REGISTER.", |t| t.planned),
    ("agents_registered", "Agents whose registration has not run out.", |t| t.registered),
    ("agents_reachable", "Of those, agents whose connection is still there.", TrunkInterval::reachable),
    ("attempts_open", "Attempts under way.", |t| t.open),
];

/// Counters of a trunk: name, unit, help, value.
const COUNTERS: [(&str, Option<Unit>, &str, OfTrunk); 16] = [
    ("agents_looping", None, "Agents refused three times running in the same way.", |t| t.agents_began_looping),
    ("loop_attempts", None, "Attempts that belong to a loop.", |t| t.loop_attempts),
    ("register_requests", None, "REGISTER requests of attempts, without retransmissions.", |t| t.register_requests),
    ("retransmissions", None, "Requests sent again for want of an answer.", |t| t.retransmissions),
    ("messages_sent", None, "SIP messages sent.", |t| t.messages_sent),
    ("messages_received", None, "SIP messages received.", |t| t.messages_received),
    ("sent", Some(Unit::Bytes), "SIP sent, without headers of IP and UDP.", |t| t.bytes_sent),
    ("received", Some(Unit::Bytes), "SIP received, without headers of IP and UDP.", |t| t.bytes_received),
    ("late_responses", None, "Responses to transactions that were over.", |t| t.late_responses),
    ("duplicate_responses", None, "Responses that came twice.", |t| t.duplicate_responses),
    ("canary_checks", None, "Registrations of the agent beside the load.", |t| t.canary.checks),
    ("canary_failed", None, "Of these, refused or not answered.", |t| t.canary.failed),
    ("ceiling_refused", None, "Messages that max_message_rate refused.", |t| t.ceiling_refused),
    ("ineffective_attempts", None, "Ineffective registration attempts, RFC 6076 section 4.2.", |t| t.ineffective),
    ("unregistered", None, "Un-REGISTERs answered with 2xx.", |t| t.unregistered),
    ("unregister_failed", None, "Un-REGISTERs that failed.", |t| t.unregister_failed),
];

type OfConnections = fn(&FlowCounts) -> u64;

/// Counters of a trunk's connections: name, help, value.
const CONNECTIONS: [(&str, &str, OfConnections); 7] = [
    ("connections_opened", "Connections opened.", |flows| flows.opened),
    ("connections_closed_by_peer", "Of those lost: closed or reset from the other end.", |flows| {
        flows.lost[FlowLoss::Closed.index()] + flows.lost[FlowLoss::Reset.index()]
    }),
    ("connections_resumed", "Of those opened: took up an earlier TLS session.", |flows| flows.resumed),
    ("connections_not_begun", "Connections that max_connect_rate refused.", |flows| flows.not_begun),
    ("keepalives_sent", "Keep-alives sent on flows.", |flows| flows.pings),
    ("keepalives_answered", "Answers to keep-alives.", |flows| flows.pongs),
    ("keepalives_missed", "Keep-alives without an answer in time.", |flows| flows.pongs_missed),
];

type AgentTimeOfTrunk = fn(&TrunkInterval) -> u128;

/// Agents times time while the load lasts: name, help, value in nanoseconds.
const AGENT_SECONDS: [(&str, &str, AgentTimeOfTrunk); 2] = [
    ("agent_planned", "Time agents were meant to be registered, summed over agents.", |t| t.planned_agent_ns),
    ("agent_registered", "Time agents were registered, summed over agents.", |t| t.registered_agent_ns),
];

type OfGenerator = fn(&GeneratorCounts) -> u64;

/// Counters of the generator: name, help, value.
const GENERATOR: [(&str, &str, OfGenerator); 6] = [
    ("generator_arrivals", "Attempts that were due.", |g| g.arrivals),
    ("generator_arrivals_late", "Attempts sent later than [generator] late allows.", |g| g.arrivals_late),
    ("generator_socket_drops", "Datagrams the kernel dropped at our sockets.", |g| g.socket_drops),
    ("generator_send_errors", "Messages the kernel would not send.", |g| g.send_errors),
    ("generator_loop_stalls", "Turns of a sender longer than [generator] stall.", |g| g.loop_stalls),
    ("generator_stray_datagrams", "Datagrams that belong to no agent or are no SIP.", |g| g.stray_datagrams),
];

type Labels<'l> = Vec<(&'l str, &'l str)>;

/// The text under way, one metric family after another.
struct Exposition<'p, 'e> {
    encoder: &'p mut DescriptorEncoder<'e>,
}

impl Exposition<'_, '_> {
    fn counter<'l, V: EncodeCounterValue>(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<&Unit>,
        rows: impl IntoIterator<Item = (Labels<'l>, V)>,
    ) -> fmt::Result {
        let mut family = self.encoder.encode_descriptor(name, help, unit, MetricType::Counter)?;
        rows.into_iter().try_for_each(|(labels, value)| {
            labelled(&mut family, &labels, |metric| metric.encode_counter::<NoLabelSet, V, u64>(&value, None))
        })
    }

    fn gauge<'l, V: EncodeGaugeValue>(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<&Unit>,
        rows: impl IntoIterator<Item = (Labels<'l>, V)>,
    ) -> fmt::Result {
        let mut family = self.encoder.encode_descriptor(name, help, unit, MetricType::Gauge)?;
        rows.into_iter()
            .try_for_each(|(labels, value)| labelled(&mut family, &labels, |metric| metric.encode_gauge(&value)))
    }

    /// Of seconds.
    fn histogram<'l>(
        &mut self,
        name: &str,
        help: &str,
        rows: impl IntoIterator<Item = (Labels<'l>, &'l Buckets)>,
    ) -> fmt::Result {
        let mut family = self.encoder.encode_descriptor(name, help, Some(&Unit::Seconds), MetricType::Histogram)?;
        rows.into_iter().try_for_each(|(labels, buckets)| {
            let (sum, count) = (buckets.sum_s(), buckets.count());
            labelled(&mut family, &labels, |metric| {
                metric.encode_histogram::<NoLabelSet>(sum, count, &buckets.by_bound_s(), None)
            })
        })
    }
}

/// A row of a family; one without labels is written without braces.
fn labelled(
    family: &mut MetricEncoder<'_>,
    labels: &Labels<'_>,
    write: impl FnOnce(&mut MetricEncoder<'_>) -> fmt::Result,
) -> fmt::Result {
    if labels.is_empty() { write(family) } else { write(&mut family.encode_family(labels)?) }
}
