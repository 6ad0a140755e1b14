//! One interval's worth of numbers: what a worker hands over, what is merged, recorded and shown.

use super::evidence::Evidence;
use super::responses::ResponseRow;
use crate::vocab::{FlowLoss, Kind, LoopKind, Phase, Place, Stage, Status};
use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

/// An interval of one worker, or of all after merging. Times are nanoseconds since the run's start.
#[derive(Clone, Debug)]
pub struct Interval {
    /// Position, from 0.
    pub index: u32,
    pub start_ns: u64,
    pub end_ns: u64,
    pub stage: Stage,
    /// By [`crate::vocab::TrunkId`].
    pub trunks: Vec<TrunkInterval>,
    /// Actual minus planned send time of every attempt's first REGISTER, microseconds; 0 when it
    /// left on time.
    pub lag_us: Option<Histogram<u32>>,
    pub generator: GeneratorCounts,
    /// Agents whose row changed in this interval, with their state at its end.
    pub agents: Vec<AgentRow>,
    /// Loops that began or grew in this interval, with their state at its end.
    pub loops: Vec<LoopRow>,
    /// Responses counted in this interval.
    pub responses: Vec<ResponseRow>,
    /// Registered agents sampled ten times a second: (nanoseconds since start, agents), ascending.
    pub registered_samples: Vec<(u64, u32)>,
    /// What the forensics need of this interval.
    pub evidence: Evidence,
    /// Trunks whose books did not balance at its end: none, unless this program has an error.
    pub imbalances: Vec<Imbalance>,
}

/// The books of a trunk do not balance: an attempt was started twice, or ended without having been
/// started; or a connection was.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Imbalance {
    /// The interval at whose end it was seen.
    pub interval: u32,
    pub trunk: u16,
    /// Attempts since the run's start, of the worker that saw it.
    pub started: u64,
    pub finished: u64,
    pub open: u64,
    /// They are connections, not attempts.
    #[serde(default)]
    pub of_flows: bool,
}

impl Imbalance {
    /// The sentence about it, with the trunk by the name that its reader knows.
    pub fn told(&self, trunk: &str) -> String {
        let Imbalance { interval, started, finished, open, .. } = self;
        let what = if self.of_flows { "connections opened" } else { "attempts started" };
        format!(
            "the books of trunk {trunk} do not balance up to interval {interval}: {started} {what}, \
             {finished} ended, {open} open"
        )
    }
}

impl fmt::Display for Imbalance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.told(&self.trunk.to_string()))
    }
}

/// One trunk's share of an interval.
///
/// A record holds the counters in this order: a new one goes to the end, and with it the record's
/// version rises.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct TrunkInterval {
    /// Attempts ended, by [`Status::index`].
    pub status: [u64; Status::COUNT],
    /// Attempts started (shed ones included), by [`Kind::index`]; `Unregister` counts un-REGISTERs.
    pub started: [u64; Kind::COUNT],
    /// Attempts open at the end of the interval.
    pub open: u64,
    /// REGISTER requests of attempts, without retransmissions and un-REGISTERs.
    pub register_requests: u64,
    pub retransmissions: u64,
    pub messages_sent: u64,
    pub messages_received: u64,
    pub bytes_sent: u64,
    pub bytes_received: u64,
    pub late_responses: u64,
    pub duplicate_responses: u64,
    pub ceiling_refused: u64,
    pub retry_after_ignored: u64,
    /// RFC 6076 §4.2 ineffective attempts.
    pub ineffective: u64,
    /// Attempts that belong to a loop (counted when known: the first three at the third).
    pub loop_attempts: u64,
    /// Agents that began to loop for the first time in the run.
    pub agents_began_looping: u64,
    pub unregistered: u64,
    pub unregister_failed: u64,
    /// Agents planned and registered at the end of the interval.
    pub planned: u64,
    pub registered: u64,
    /// Time-weighted sums over the interval: agents × nanoseconds. With 100 000 agents, 64 bits
    /// would overflow after little more than two days.
    pub planned_agent_ns: u128,
    pub registered_agent_ns: u128,
    /// Values above the histograms' range, not recorded in them.
    pub out_of_range: u64,
    /// Connections; none where messages are datagrams.
    pub flows: Option<Box<FlowCounts>>,
    /// Of the agents registered at the end of the interval, those whose connection is gone, and the
    /// same over time; none where messages are datagrams.
    pub cut_off: u64,
    pub cut_off_agent_ns: u128,
    /// Attempts ended, by [`Kind::index`]: what [`TrunkInterval::status`] counts, by what made the
    /// agent begin. Un-REGISTERs are no attempts.
    pub ended: [u64; Kind::COUNT],
    /// What an agent beside the load saw.
    pub canary: CanaryCounts,
    /// Microseconds, by [`Phase::index`]; created on the first value. The record keeps them apart.
    #[serde(skip)]
    pub latency_us: [Option<Histogram<u32>>; Phase::COUNT],
}

impl TrunkInterval {
    /// Agents registered at the end of the interval over a connection that is still there: those
    /// that a call reaches.
    pub fn reachable(&self) -> u64 {
        self.registered.saturating_sub(self.cut_off)
    }

    /// The same over time.
    pub fn reachable_agent_ns(&self) -> u128 {
        self.registered_agent_ns.saturating_sub(self.cut_off_agent_ns)
    }
}

/// Registrations of a trunk's canary: an agent of its own account, beside the load and in no other
/// count.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct CanaryCounts {
    pub checks: u64,
    /// Of these: refused, or not answered.
    pub failed: u64,
    /// How many failed one after another, up to the last check; of several the most.
    pub in_a_row: u64,
}

impl CanaryCounts {
    /// Adds another time's checks.
    pub fn add(&mut self, other: &CanaryCounts) {
        let CanaryCounts { checks, failed, in_a_row } = other;
        self.checks += checks;
        self.failed += failed;
        self.in_a_row = self.in_a_row.max(*in_a_row);
    }
}

/// What became of a trunk's connections.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct FlowCounts {
    pub opened: u64,
    /// Could not be opened, by [`FlowLoss::index`].
    pub failed: [u64; FlowLoss::COUNT],
    /// Were open and are not any more, by [`FlowLoss::index`].
    pub lost: [u64; FlowLoss::COUNT],
    /// Open at the end of the interval.
    pub open: u64,
    /// Of those opened: took up an earlier one's TLS session.
    pub resumed: u64,
    /// Keep-alives sent, answers to them, and those that had none in time.
    pub pings: u64,
    pub pongs: u64,
    pub pongs_missed: u64,
    /// How long nothing had come over those that the other end closed or reset, the least and the
    /// most, nanoseconds.
    pub quiet_ns: Option<(u64, u64)>,
    /// Not begun, because of `max_connect_rate`.
    pub not_begun: u64,
}

impl FlowCounts {
    /// Those that could not be opened.
    pub fn all_failed(&self) -> u64 {
        self.failed.iter().sum()
    }

    /// Those that were open and are not any more.
    pub fn all_lost(&self) -> u64 {
        self.lost.iter().sum()
    }

    /// Before the end of some, nothing had come for so long, nanoseconds.
    pub fn was_quiet(&mut self, least: u64, most: u64) {
        let (a, b) = self.quiet_ns.unwrap_or((u64::MAX, 0));
        self.quiet_ns = Some((a.min(least), b.max(most)));
    }

    /// Adds every count; of two intervals of the same time also what is open.
    pub fn add(&mut self, other: &FlowCounts) {
        let FlowCounts { opened, failed, lost, open, resumed, pings, pongs, pongs_missed, quiet_ns, not_begun } = other;
        self.opened += opened;
        self.open += open;
        self.resumed += resumed;
        self.pings += pings;
        self.pongs += pongs;
        self.pongs_missed += pongs_missed;
        self.not_begun += not_begun;
        if let Some((least, most)) = *quiet_ns {
            self.was_quiet(least, most);
        }
        for (mine, theirs) in self.failed.iter_mut().chain(&mut self.lost).zip(failed.iter().chain(lost)) {
            *mine += theirs;
        }
    }
}

/// What the generator observed of itself.
///
/// A record holds these fields in this order: a new one goes to the end, and with it the record's
/// version rises.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct GeneratorCounts {
    /// Attempts of any kind whose first REGISTER left later than `[generator] late` after its plan:
    /// a refresh or retry sent late misleads as much as an initial attempt.
    pub arrivals_late: u64,
    /// Attempts begun (all kinds, shed ones included): what `arrivals_late` is a share of.
    pub arrivals: u64,
    /// Datagrams the kernel dropped at our sockets (SO_RXQ_OVFL).
    pub socket_drops: u64,
    pub send_errors: u64,
    /// Reads the kernel had no memory for; what waited was received at a later one.
    pub reads_refused: u64,
    /// Turns longer than `[generator] stall`.
    pub loop_stalls: u64,
    /// Datagrams that belong to no agent or are no SIP message.
    pub stray_datagrams: u64,
    /// CPU time of the sender threads in this interval.
    pub cpu_ns: u64,
    /// Requests of others (OPTIONS, NOTIFY) that were answered, and that were not because they came
    /// faster than answers are given.
    pub asked_answered: u64,
    pub asked_refused: u64,
    /// Answers whose time of arrival was that of no clock of ours: before their request was sent.
    /// They count as arrived when they were read.
    pub stamps_refused: u64,
    /// The longest turn of a worker, nanoseconds; of several the longest of all.
    pub longest_turn_ns: u64,
    /// How long the machine was suspended in this interval.
    pub suspended_ns: u64,
    /// Memory the process held at the interval's end (resident set); of several the most.
    pub resident_bytes: u64,
}

/// One agent's cumulative state.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AgentRow {
    pub agent: u32,
    pub trunk: u16,
    /// Outcome of the last attempt that ended.
    pub status: Option<Status>,
    /// Attempts started so far, the open one included.
    pub attempts: u32,
    /// Attempts that ended `registered`.
    pub registered: u32,
    pub last_code: u16,
    /// Shared with every other row of that reason: a worker hands over its rows without allocating
    /// for each.
    pub last_reason: Arc<str>,
    /// The loop the agent is in or was last in.
    pub loop_kind: Option<LoopKind>,
    /// Nanoseconds since the run's start.
    pub first_registered_ns: Option<u64>,
    /// The last outcome, or the last change of the binding.
    pub last_change_ns: u64,
    /// An attempt is open.
    pub open: bool,
    /// The classes its attempts ended in so far: [`crate::vocab::Class::bit`]; and what became of
    /// its first requests: [`crate::vocab::RequestFate::bit`].
    pub met: u16,
}

/// One loop of one agent, cumulative.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct LoopRow {
    pub agent: u32,
    pub trunk: u16,
    /// Position among this agent's loops, from 0.
    pub number: u16,
    pub kind: LoopKind,
    pub place: Place,
    pub code: u16,
    pub reason: String,
    pub attempts: u32,
    pub first_seen_ns: u64,
    pub last_seen_ns: u64,
}
