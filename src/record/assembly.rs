//! Summing up a run, interval by interval, into [`Results`].
//!
//! Each interval's books are balanced before its numbers are used. Warm-up intervals appear in
//! the series but in no sum. An attempt counts where it ended, also one that began in the warm-up
//! and ended after it. Interval histograms stay serialised; only the run's sums, one per trunk and
//! phase, are kept decoded.

use super::canary::CanaryNote;
use super::error::ReadError;
use super::fleet::FleetFacts;
use super::resolution::Resolution;
use super::results::{AgentResult, End, Header, IntervalResult, LagRow, LatencyRow, LoopResult, Results, Totals};
use super::schema::{self, AgentFrame, IntervalFrame, LatencyFrame};
use super::truth::TruthSample;
use crate::measure::{Evidence, GeneratorCounts, Imbalance, PlaceRow, ResponseRow, TrunkInterval, latency, merge};
use crate::vocab::{Class, Intervention, Kind, Phase, Stage, Status};
use hdrhistogram::Histogram;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A run as far as it was read.
#[derive(Clone)]
pub(super) struct Assembly {
    header: Header,
    interventions: Vec<Intervention>,
    resolutions: Vec<Resolution>,
    canary_notes: Vec<CanaryNote>,
    truth: Vec<TruthSample>,
    imbalances: Vec<Imbalance>,
    fleet: Option<FleetFacts>,
    intervals: Vec<IntervalResult>,
    trunks: Vec<TrunkSum>,
    generator: GeneratorCounts,
    agents: Vec<AgentResult>,
    /// Agents that began to loop in the warm-up and have not been seen looping since.
    warm_loops: BTreeSet<u32>,
    /// Agents with an open attempt at the end of the last interval.
    open: Vec<bool>,
    /// By agent and number: the state written last counts.
    loops: BTreeMap<(u32, u16), LoopResult>,
    responses: Vec<ResponseRow>,
    evidence: Evidence,
    lag_us: Histogram<u64>,
}

/// One trunk over the run.
#[derive(Clone, Default)]
struct TrunkSum {
    /// Attempts begun and ended over the whole run, to balance the books.
    started: u64,
    ended: u64,
    /// Of those begun, less those ended, by [`Kind::index`].
    open: [u64; Kind::COUNT],
    /// Gauges and agent-times in here are sums over intervals and mean nothing until `finish`
    /// replaces them.
    counters: TrunkInterval,
    latency_us: [Option<Histogram<u64>>; Phase::COUNT],
    /// Of the last interval of the load.
    planned: u64,
    registered: u64,
    /// Over the intervals of the load.
    planned_agent_ns: u128,
    registered_agent_ns: u128,
    /// The same of those whose connection was gone.
    cut_off: u64,
    cut_off_agent_ns: u128,
    registered_peak: u64,
}

impl Assembly {
    /// Begins with the header; refuses one whose lists do not fit together.
    pub(super) fn new(header: Header) -> Result<Self, String> {
        let (users, trunks) = (header.users.len(), header.trunks.len());
        if header.agent_trunks.len() != users {
            return Err(format!("a header with {users} users but trunks for {}", header.agent_trunks.len()));
        }
        if let Some(trunk) = header.agent_trunks.iter().find(|&&trunk| usize::from(trunk) >= trunks) {
            return Err(format!("a header with an agent on trunk {trunk} of {trunks}"));
        }
        Ok(Assembly {
            interventions: Vec::new(),
            resolutions: header.resolutions.clone(),
            canary_notes: Vec::new(),
            truth: Vec::new(),
            imbalances: Vec::new(),
            fleet: None,
            intervals: Vec::new(),
            trunks: std::iter::repeat_with(TrunkSum::default).take(trunks).collect(),
            generator: GeneratorCounts::default(),
            agents: vec![AgentResult::default(); users],
            warm_loops: BTreeSet::new(),
            open: vec![false; users],
            loops: BTreeMap::new(),
            responses: Vec::new(),
            evidence: Evidence::default(),
            lag_us: latency::empty(latency::FINE_DIGITS),
            header,
        })
    }

    /// Whether an interval fits this run: its place in the series, and every index in it.
    pub(super) fn check(&self, frame: &IntervalFrame) -> Result<(), String> {
        let before = self.intervals.last().map(|last| (last.index, last.end_ns));
        check_interval(frame, (self.trunks.len(), self.agents.len()), before)
    }

    /// Adds what a person did to the load.
    pub(super) fn intervened(&mut self, intervention: Intervention) {
        self.interventions.push(intervention);
    }

    /// Adds what a name stood for when it was looked up again.
    pub(super) fn resolved(&mut self, resolution: Resolution) {
        self.resolutions.push(resolution);
    }

    /// Adds what a canary had to say; of a trunk that the header does not name nothing is known.
    pub(super) fn canary_said(&mut self, note: CanaryNote) {
        if usize::from(note.trunk) < self.trunks.len() {
            self.canary_notes.push(note);
        }
    }

    /// Adds what registrars said of themselves; of a server that the header does not name nothing
    /// is known.
    pub(super) fn told(&mut self, samples: Vec<TruthSample>) {
        let known = self.header.truths.len();
        self.truth.extend(samples.into_iter().filter(|sample| usize::from(sample.server) < known));
    }

    /// Adds what is said of the machines that shared the run.
    pub(super) fn shared(&mut self, fleet: FleetFacts) {
        self.fleet = Some(fleet);
    }

    /// Adds what the run saw of its own books; it goes on to see it at the end of each interval,
    /// and once is enough.
    pub(super) fn unbalanced(&mut self, imbalance: Imbalance) {
        if !self.imbalances.iter().any(|known| known.trunk == imbalance.trunk) {
            self.imbalances.push(imbalance);
        }
    }

    /// Adds an interval that was checked; `offset` is where its frame begins, for an error.
    pub(super) fn add(&mut self, mut frame: IntervalFrame, offset: u64) -> Result<(), ReadError> {
        let warm = self.header.warms_up(frame.start_ns);
        for (number, (sum, trunk)) in (0..).zip(self.trunks.iter_mut().zip(&frame.trunks)) {
            sum.add(trunk, frame.stage, warm);
            if !self.imbalances.iter().any(|known| known.trunk == number) {
                sum.balance(frame.index, number, trunk.open)?;
            }
        }
        if !warm {
            self.generator.add(&frame.generator);
        }
        self.add_agents(&frame.agents, &frame.reasons);
        self.move_agents(&mut frame.evidence.places);
        self.carry_loops(&frame.loops, warm);
        for row in frame.loops.drain(..) {
            self.loops.insert((row.agent, row.number), row);
        }
        merge::add_responses(&mut self.responses, &frame.responses);
        self.evidence.merge(&frame.evidence);
        let lag = self.add_lag(&frame, offset, warm)?;
        let latency = self.add_latency(&mut frame, offset, warm)?;
        let at_end = frame.trunks.iter().map(|trunk| trunk.registered).sum();
        let peak = frame.samples().map(|(_, agents)| u64::from(agents)).fold(at_end, u64::max);
        self.intervals.push(IntervalResult { latency, lag, ..frame.into_result(peak) });
        Ok(())
    }

    /// An agent that goes on looping after the warm-up loops in the run that is judged.
    fn carry_loops(&mut self, rows: &[LoopResult], warm: bool) {
        for row in rows {
            if warm {
                self.warm_loops.insert(row.agent);
            } else if self.warm_loops.remove(&row.agent) {
                self.trunks[usize::from(row.trunk)].counters.agents_began_looping += 1;
            }
        }
    }

    fn add_agents(&mut self, rows: &[AgentFrame], reasons: &[String]) {
        for row in rows {
            let agent = row.agent as usize;
            self.open[agent] = row.open;
            self.agents[agent] = AgentResult {
                status: row.status,
                attempts: row.attempts,
                registered: row.registered,
                last_code: row.last_code,
                last_reason: reasons[row.last_reason as usize].clone(),
                loop_kind: row.loop_kind,
                first_registered_ns: row.first_registered_ns,
                last_change_ns: row.last_change_ns,
                met: row.met & Class::BITS,
                first_requests: row.met & !Class::BITS,
                address: self.agents[agent].address.take(),
            };
        }
    }

    /// Whose latest attempt ended elsewhere than the one before; a later interval knows better.
    fn move_agents(&mut self, places: &mut [PlaceRow]) {
        for row in places {
            let address: Arc<str> = Arc::from(&*row.address);
            for agent in std::mem::take(&mut row.agents) {
                self.agents[agent as usize].address = Some(Arc::clone(&address));
            }
        }
    }

    fn add_lag(&mut self, frame: &IntervalFrame, offset: u64, warm: bool) -> Result<Option<LagRow>, ReadError> {
        if frame.lag.is_empty() {
            return Ok(None);
        }
        let broken = || no_histogram(frame.index, offset, "a schedule lag");
        let lag = schema::from_v2(&frame.lag).ok_or_else(broken)?;
        if !warm {
            self.lag_us.add(&lag).map_err(|_| broken())?;
        }
        let [p50_us, p99_us] = [0.5, 0.99].map(|quantile| lag.value_at_quantile(quantile));
        Ok((!lag.is_empty()).then(|| LagRow { p50_us, p99_us, max_us: lag.max() }))
    }

    fn add_latency(
        &mut self,
        frame: &mut IntervalFrame,
        offset: u64,
        warm: bool,
    ) -> Result<Vec<LatencyRow>, ReadError> {
        let index = frame.index;
        let mut rows = Vec::with_capacity(frame.latency.len());
        for LatencyFrame { trunk, phase, v2 } in frame.latency.drain(..) {
            let histogram = schema::from_v2(&v2).ok_or_else(|| no_histogram(index, offset, phase.as_str()))?;
            rows.push(latency_row(trunk, phase, &histogram, v2));
            if warm {
                continue;
            }
            let sum = &mut self.trunks[usize::from(trunk)];
            sum.counters.out_of_range += latency::add(&mut sum.latency_us[phase.index()], &Some(histogram));
        }
        Ok(rows)
    }

    /// The whole run. Attempts still open in the last interval become abandoned: nobody will tell
    /// their end.
    pub(super) fn finish(mut self, end: Option<End>, torn: Option<String>) -> Results {
        self.abandon_open();
        self.sum_up(end, torn)
    }

    /// Forgets the oldest intervals once they fill more than so many rows of trunks, and the
    /// distributions of all: what was summed up stays.
    pub(super) fn keep_recent(&mut self, rows: usize) {
        if self.intervals.len() * self.trunks.len() > rows {
            self.intervals.drain(..self.intervals.len() / 2);
        }
        if self.truth.len() > rows {
            self.truth.drain(..self.truth.len() / 2);
        }
        for row in self.intervals.last_mut().into_iter().flat_map(|interval| &mut interval.latency) {
            row.v2 = Vec::new();
        }
    }

    /// The run as it stands, with open attempts left open.
    pub(super) fn sum_up(mut self, end: Option<End>, torn: Option<String>) -> Results {
        self.evidence.settle();
        let judged = self.intervals.iter().filter(|interval| !self.header.warms_up(interval.start_ns));
        let peak = judged.map(|interval| interval.registered_peak).max().unwrap_or(0);
        let mut all = TrunkSum::default();
        for trunk in &self.trunks {
            all.absorb(trunk);
        }
        all.registered_peak = peak;
        if let [only] = self.trunks.as_mut_slice() {
            only.registered_peak = peak;
        }
        if !self.intervals.iter().any(|interval| interval.stage == Stage::Load) {
            all.registered = end.as_ref().map_or(0, |end| end.registered_after_drain);
        }
        let generator = self.generator;
        let agents = self.header.trunks.iter().map(|trunk| u64::from(trunk.agents));
        Results {
            totals: all.totals(generator, self.agents.len() as u64),
            trunk_totals: self
                .trunks
                .into_iter()
                .zip(agents)
                .map(|(sum, agents)| sum.totals(generator, agents))
                .collect(),
            header: self.header,
            end,
            interventions: self.interventions,
            resolutions: self.resolutions,
            canary_notes: self.canary_notes,
            truth: self.truth,
            imbalances: self.imbalances,
            fleet: self.fleet,
            intervals: self.intervals,
            agents: self.agents,
            loops: self.loops.into_values().collect(),
            responses: sorted(self.responses),
            evidence: self.evidence,
            lag_us: self.lag_us,
            torn,
        }
    }

    fn abandon_open(&mut self) {
        let Some(last) = self.intervals.last_mut() else { return };
        for (sum, trunk) in self.trunks.iter_mut().zip(&mut last.trunks) {
            let open = std::mem::take(&mut trunk.open);
            trunk.status[Status::Abandoned.index()] += open;
            sum.counters.status[Status::Abandoned.index()] += open;
            for kind in [Kind::Initial, Kind::Refresh, Kind::Retry].map(Kind::index) {
                trunk.ended[kind] += sum.open[kind];
                sum.counters.ended[kind] += std::mem::take(&mut sum.open[kind]);
            }
        }
        let ended_ns = last.end_ns;
        for (agent, _) in self.agents.iter_mut().zip(&self.open).filter(|(_, open)| **open) {
            agent.status = Some(Status::Abandoned);
            agent.last_change_ns = ended_ns;
        }
    }
}

/// Whether an interval fits a run with so many trunks and agents, behind one with this position and
/// end.
pub(super) fn check_interval(
    frame: &IntervalFrame,
    (trunks, agents): (usize, usize),
    before: Option<(u32, u64)>,
) -> Result<(), String> {
    let index = frame.index;
    if before.is_some_and(|(last, _)| last >= index) {
        return Err(format!("interval {index} comes again or too late"));
    }
    let begins = before.map_or(0, |(_, end_ns)| end_ns);
    if frame.end_ns < frame.start_ns || frame.start_ns < begins {
        return Err(format!("interval {index} ends before it begins, or begins before another has ended"));
    }
    if frame.trunks.len() != trunks {
        return Err(format!("interval {index} has {} trunks of {trunks}", frame.trunks.len()));
    }
    let trunk_fits = |trunk: u16| usize::from(trunk) < trunks;
    let agent_fits = |agent: u32, trunk: u16| (agent as usize) < agents && trunk_fits(trunk);
    let fits = frame.latency.iter().all(|row| trunk_fits(row.trunk))
        && frame.responses.iter().all(|row| trunk_fits(row.trunk))
        && frame.evidence.trunks().all(trunk_fits)
        && frame.evidence.agents().all(|agent| (agent as usize) < agents)
        && frame.loops.iter().all(|row| agent_fits(row.agent, row.trunk))
        && frame.agents.iter().all(|row| agent_fits(row.agent, row.trunk))
        && frame.agents.iter().all(|row| (row.last_reason as usize) < frame.reasons.len());
    if fits { Ok(()) } else { Err(format!("interval {index} names a trunk, agent or reason that does not exist")) }
}

impl TrunkSum {
    fn add(&mut self, trunk: &TrunkInterval, stage: Stage, warm: bool) {
        self.started = self.started.saturating_add(trunk.attempts_started());
        self.ended = self.ended.saturating_add(trunk.attempts_ended());
        for (open, (begun, ended)) in self.open.iter_mut().zip(trunk.started.iter().zip(&trunk.ended)) {
            *open = open.saturating_add(*begun).saturating_sub(*ended);
        }
        if stage == Stage::Load {
            self.planned = trunk.planned;
        }
        // The load's last attempts end in the drain, and nothing lapses there.
        if stage != Stage::Unregister {
            self.registered = trunk.registered;
            self.cut_off = trunk.cut_off;
        }
        if warm {
            return;
        }
        self.counters.add_counters(trunk);
        // What is open now, where everything else is a sum.
        if let (Some(sum), Some(part)) = (&mut self.counters.flows, &trunk.flows) {
            sum.open = part.open;
        }
        self.registered_peak = self.registered_peak.max(trunk.registered);
        if stage == Stage::Load {
            self.planned_agent_ns += trunk.planned_agent_ns;
            self.registered_agent_ns += trunk.registered_agent_ns;
            self.cut_off_agent_ns += trunk.cut_off_agent_ns;
        }
    }

    /// Whether all attempts started so far ended or are open.
    fn balance(&self, interval: u32, trunk: u16, open: u64) -> Result<(), ReadError> {
        let (started, finished) = (self.started, self.ended);
        if finished.checked_add(open) == Some(started) {
            return Ok(());
        }
        Err(ReadError::Imbalance(Imbalance { interval, trunk, started, finished, open, of_flows: false }))
    }

    fn absorb(&mut self, other: &TrunkSum) {
        self.counters.add_counters(&other.counters);
        for (mine, theirs) in self.latency_us.iter_mut().zip(&other.latency_us) {
            self.counters.out_of_range += latency::add(mine, theirs);
        }
        self.planned += other.planned;
        self.registered += other.registered;
        self.planned_agent_ns += other.planned_agent_ns;
        self.registered_agent_ns += other.registered_agent_ns;
        self.cut_off += other.cut_off;
        self.cut_off_agent_ns += other.cut_off_agent_ns;
    }

    fn totals(self, generator: GeneratorCounts, agents: u64) -> Totals {
        let sums = TrunkInterval {
            open: 0,
            planned: self.planned,
            registered: self.registered,
            planned_agent_ns: self.planned_agent_ns,
            registered_agent_ns: self.registered_agent_ns,
            cut_off: self.cut_off,
            cut_off_agent_ns: self.cut_off_agent_ns,
            ..self.counters
        };
        let latency_us = Phase::ALL.into_iter().zip(self.latency_us);
        Totals {
            attempts: sums.attempts_ended(),
            agents_looping: sums.agents_began_looping,
            agents_registered_peak: self.registered_peak,
            agents_registered_at_end: sums.registered,
            agents_reachable_at_end: sums.reachable(),
            latency_us: latency_us.filter_map(|(phase, histogram)| Some((phase, histogram?))).collect(),
            generator,
            agents,
            sums,
        }
    }
}

fn no_histogram(interval: u32, offset: u64, what: &str) -> ReadError {
    let what = format!("interval {interval} holds {what} that is no histogram of this version");
    ReadError::Malformed { offset, what }
}

fn latency_row(trunk: u16, phase: Phase, histogram: &Histogram<u64>, v2: Vec<u8>) -> LatencyRow {
    LatencyRow {
        trunk,
        phase,
        count: histogram.len(),
        min_us: histogram.min(),
        mean_us: histogram.mean(),
        p50_us: histogram.value_at_quantile(0.5),
        p90_us: histogram.value_at_quantile(0.9),
        p95_us: histogram.value_at_quantile(0.95),
        p99_us: histogram.value_at_quantile(0.99),
        p999_us: histogram.value_at_quantile(0.999),
        max_us: histogram.max(),
        v2,
    }
}

fn sorted(mut rows: Vec<ResponseRow>) -> Vec<ResponseRow> {
    rows.sort_by(|a, b| {
        let key = |row: &ResponseRow| (row.trunk, row.kind, !row.challenge, row.code);
        key(a).cmp(&key(b)).then_with(|| a.reason.cmp(&b.reason))
    });
    rows
}
