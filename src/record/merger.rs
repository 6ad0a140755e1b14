//! The intervals of all machines of a run, merged as they come.
//!
//! All machines begin at one moment and end their intervals at the same ones, so as a rule a merged
//! interval holds one of each. It closes when every machine's is in, or that machine's record has
//! ended or is lost. One whose stages ended at other moments, because somebody interrupted it, is
//! merged by time: what it counted lands where most machines' intervals end.
//!
//! A machine that is gone goes on in the numbers: its agents are planned as those of the others are
//! and not available, attempts it had open are abandoned, and its bindings are held until they
//! lapse. Nothing of its load is given to others.

use super::fleet::{FleetWorker, ShareHeader, WorkerLoss};
use super::results::{End, Header};
use crate::measure::evidence::{Beat, PulseCell, tick};
use crate::measure::{AgentRow, GeneratorCounts, Interval, TrunkInterval};
use crate::vocab::{Kind, Stage, Status, nanos};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// Merges the intervals of a run's machines.
pub struct Merger {
    members: Vec<Member>,
    /// By trunk: how long a binding lasts that nobody renews.
    expires_ns: Vec<u64>,
    tick_ns: u64,
    next: u32,
    /// End of the interval merged last.
    end_ns: u64,
    stage: Stage,
    /// Bindings that nobody renews any more: whose trunk, until when, how many.
    ghosts: Vec<(u16, u64, u64)>,
}

/// One machine.
struct Member {
    /// Its agents by trunk.
    agents: Vec<u64>,
    waiting: VecDeque<Interval>,
    presence: Presence,
    /// By trunk: where it stands.
    standing: Vec<MemberStanding>,
    /// Agents with an open attempt.
    open: BTreeMap<u32, AgentRow>,
    /// End of its last interval that was merged.
    end_ns: u64,
    /// What it left open was counted.
    departed: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Presence {
    Here,
    /// Its record ended in good order.
    Ended,
    Lost,
}

/// What an interval says of its end, not of its course.
#[derive(Clone, Copy, Default, Debug)]
struct MemberStanding {
    open: [u64; Kind::COUNT],
    open_attempts: u64,
    planned: u64,
    registered: u64,
    cut_off: u64,
    open_flows: u64,
}

impl Merger {
    /// For the machines of a run, by their stripes.
    pub fn new(header: &Header, shares: &[ShareHeader]) -> Merger {
        let trunks = header.trunks.len();
        let member = |share: &ShareHeader| Member {
            agents: agents_by_trunk(header, share),
            waiting: VecDeque::new(),
            presence: Presence::Here,
            standing: vec![MemberStanding::default(); trunks],
            open: BTreeMap::new(),
            end_ns: 0,
            departed: false,
        };
        Merger {
            members: shares.iter().map(member).collect(),
            expires_ns: header.trunks.iter().map(|trunk| u64::from(trunk.expires_s) * 1_000_000_000).collect(),
            tick_ns: nanos(tick(Duration::from_nanos(header.interval_ns))).max(1),
            next: 0,
            end_ns: 0,
            stage: Stage::Load,
            ghosts: Vec::new(),
        }
    }

    /// The next interval of a machine, in its order.
    pub fn take(&mut self, member: usize, interval: Interval) {
        self.members[member].waiting.push_back(interval);
    }

    /// A machine has said that it is done.
    pub fn ended(&mut self, member: usize) {
        self.members[member].presence = Presence::Ended;
    }

    /// Nothing more comes from a machine, and it was not done.
    pub fn lose(&mut self, member: usize) {
        self.members[member].presence = Presence::Lost;
    }

    /// The next interval of all, once every machine's is in.
    pub fn merged(&mut self) -> Option<Interval> {
        let end_ns = self.next_end()?;
        let mut parts = Vec::with_capacity(self.members.len());
        // By member: whether its agents are under load at the interval's end. A machine that is
        // lost is missing from the interval behind its last.
        let mut present = vec![false; self.members.len()];
        let gone = |member: &Member| member.presence == Presence::Lost && member.waiting.is_empty();
        let gone: Vec<bool> = self.members.iter().map(gone).collect();
        for (member, present) in self.members.iter_mut().zip(&mut present) {
            let first = member.waiting.front().map(|first| first.end_ns);
            *present = first.is_some_and(|first| first > end_ns);
            // Up to the first that ends there: one of no length behind it is the next one's,
            // whether it is here already or not.
            let before = member.waiting.partition_point(|part| part.end_ns < end_ns);
            let ends_there = member.waiting.get(before).is_some_and(|part| part.end_ns == end_ns);
            let own: Vec<Interval> = member.waiting.drain(..before + usize::from(ends_there)).collect();
            *present |= own.last().is_some_and(|last| last.stage == Stage::Load);
            own.iter().for_each(|part| member.pass(part));
            parts.push((*present, own));
        }
        let parts = self.under_load(parts);
        let stage = parts.iter().map(|part| part.stage).min().unwrap_or(self.stage);
        self.stage = self.stage.max(stage);
        let mut all = self.sum(parts, end_ns);
        self.depart(&mut all, &gone);
        self.stand(&mut all, &present);
        (self.next, self.end_ns) = (self.next + 1, end_ns);
        Some(all)
    }

    /// Where others are under load and a machine is not any more, how long its agents were planned
    /// follows from the others (see [`Merger::stand`]), not from what it says.
    fn under_load(&self, parts: Vec<(bool, Vec<Interval>)>) -> Vec<Interval> {
        let load = parts.iter().any(|(_, own)| own.iter().any(|part| part.stage == Stage::Load));
        let each = |(present, mut own): (bool, Vec<Interval>)| {
            if load && !present {
                own.iter_mut().flat_map(|part| &mut part.trunks).for_each(|trunk| trunk.planned_agent_ns = 0);
            }
            own
        };
        parts.into_iter().flat_map(each).collect()
    }

    /// Where the next merged interval ends: where most machines' next ones do, of several such
    /// moments the latest.
    fn next_end(&self) -> Option<u64> {
        let here = |member: &&Member| member.presence == Presence::Here;
        if self.members.iter().filter(here).any(|member| member.waiting.is_empty()) {
            return None;
        }
        let mut ends: BTreeMap<u64, u32> = BTreeMap::new();
        for first in self.members.iter().filter_map(|member| member.waiting.front()) {
            *ends.entry(first.end_ns).or_default() += 1;
        }
        let (end_ns, _) = ends.into_iter().max_by_key(|&(end_ns, count)| (count, end_ns))?;
        // A machine may have several intervals before that moment.
        let told = |member: &Member| member.waiting.back().is_some_and(|last| last.end_ns >= end_ns);
        self.members.iter().filter(here).all(told).then_some(end_ns)
    }

    fn sum(&self, parts: Vec<Interval>, end_ns: u64) -> Interval {
        let mut all = Interval {
            index: self.next,
            start_ns: self.end_ns,
            end_ns,
            stage: self.stage,
            trunks: vec![TrunkInterval::default(); self.expires_ns.len()],
            lag_us: None,
            generator: GeneratorCounts::default(),
            agents: Vec::new(),
            loops: Vec::new(),
            responses: Vec::new(),
            registered_samples: Vec::new(),
            evidence: Default::default(),
            imbalances: Vec::new(),
        };
        for mut part in parts {
            part.index = self.next;
            (part.start_ns, part.end_ns) = (all.start_ns, all.end_ns);
            all.merge(part);
        }
        // In the order in which one process would tell of them; of an agent's rows the last counts.
        all.agents.reverse();
        all.agents.sort_by_key(|row| row.agent);
        all.agents.dedup_by_key(|row| row.agent);
        all.loops.reverse();
        all.loops.sort_by_key(|row| (row.agent, row.number));
        all.loops.dedup_by_key(|row| (row.agent, row.number));
        all
    }

    /// Counts what machines had open when they were lost, and the ends of bindings that nobody
    /// renews any more.
    fn depart(&mut self, all: &mut Interval, gone: &[bool]) {
        let lost = self.members.iter_mut().zip(gone).filter(|(member, gone)| **gone && !member.departed);
        for (member, _) in lost {
            member.departed = true;
            let at_ns = member.end_ns;
            for (number, (standing, trunk)) in (0..).zip(member.standing.iter().zip(&mut all.trunks)) {
                trunk.status[Status::Abandoned.index()] += standing.open_attempts;
                trunk.ended.iter_mut().zip(standing.open).for_each(|(ended, open)| *ended += open);
                all.evidence.pulse.extend(cell(number, at_ns / self.tick_ns, Beat::Abandoned, standing.open_attempts));
                self.ghosts.push((number, at_ns + self.expires_ns[usize::from(number)], standing.registered));
            }
            let abandoned = std::mem::take(&mut member.open).into_values();
            let given_up =
                |row| AgentRow { status: Some(Status::Abandoned), open: false, last_change_ns: at_ns, ..row };
            all.agents.extend(abandoned.map(given_up));
            member.standing.fill(MemberStanding::default());
        }
        let (lapsed, held): (Vec<_>, Vec<_>) = self.ghosts.iter().partition(|(_, until_ns, _)| *until_ns < all.end_ns);
        let tick_ns = self.tick_ns;
        let cells = lapsed
            .into_iter()
            .flat_map(|(trunk, until_ns, count)| cell(trunk, until_ns / tick_ns, Beat::Unbound, count));
        all.evidence.pulse.extend(cells);
        self.ghosts = held;
    }

    /// Where all machines together stand at the end of an interval. Agents of a machine that is
    /// gone are planned at the pace of those that are there.
    fn stand(&self, all: &mut Interval, present: &[bool]) {
        let load = all.stage == Stage::Load;
        for (number, trunk) in all.trunks.iter_mut().enumerate() {
            let mut sum = MemberStanding::default();
            let (mut there, mut missing) = (0, 0);
            for (member, present) in self.members.iter().zip(present) {
                let standing = &member.standing[number];
                sum.open_attempts += standing.open_attempts;
                sum.registered += standing.registered;
                sum.cut_off += standing.cut_off;
                sum.open_flows += standing.open_flows;
                if load && !*present {
                    missing += member.agents[number];
                } else {
                    there += member.agents[number];
                    sum.planned += standing.planned;
                }
            }
            let scaled = |value: u128| value * u128::from(missing) / u128::from(there.max(1));
            let planned = u64::try_from(scaled(sum.planned.into())).unwrap_or(u64::MAX);
            trunk.planned = sum.planned + planned.min(missing);
            trunk.planned_agent_ns += scaled(trunk.planned_agent_ns);
            (trunk.open, trunk.registered, trunk.cut_off) = (sum.open_attempts, sum.registered, sum.cut_off);
            if let Some(flows) = &mut trunk.flows {
                flows.open = sum.open_flows;
            }
        }
    }
}

impl Member {
    /// Goes on to the end of an interval of its own.
    fn pass(&mut self, part: &Interval) {
        for (standing, trunk) in self.standing.iter_mut().zip(&part.trunks) {
            for kind in [Kind::Initial, Kind::Refresh, Kind::Retry].map(Kind::index) {
                let open = standing.open[kind] + trunk.started[kind];
                standing.open[kind] = open.saturating_sub(trunk.ended[kind]);
            }
            standing.open_attempts = trunk.open;
            standing.planned = trunk.planned;
            standing.registered = trunk.registered;
            standing.cut_off = trunk.cut_off;
            standing.open_flows = trunk.flows.as_ref().map_or(standing.open_flows, |flows| flows.open);
        }
        for row in &part.agents {
            if row.open {
                self.open.insert(row.agent, row.clone());
            } else {
                self.open.remove(&row.agent);
            }
        }
        self.end_ns = part.end_ns;
    }
}

/// A count of the pulse, where there is something to count.
fn cell(trunk: u16, tick: u64, beat: Beat, count: u64) -> Option<PulseCell> {
    let narrow = |value: u64| u32::try_from(value).unwrap_or(u32::MAX);
    let cell = PulseCell { trunk, tick: narrow(tick), beat: beat.index(), group: 0, count: narrow(count) };
    (count > 0).then_some(cell)
}

/// How many agents of each trunk a machine has.
fn agents_by_trunk(header: &Header, share: &ShareHeader) -> Vec<u64> {
    let mut agents = vec![0; header.trunks.len()];
    for (agent, trunk) in (0..).zip(&header.agent_trunks) {
        if share.owns(agent)
            && let Some(count) = agents.get_mut(usize::from(*trunk))
        {
            *count += 1;
        }
    }
    agents
}

/// The end of a run of several machines: when the last was done, and what all left and cost.
/// `None`: none of them was.
pub fn merged_end(ends: &[(FleetWorker, Option<End>)]) -> Option<End> {
    let known: Vec<(&FleetWorker, &End)> =
        ends.iter().filter_map(|(worker, end)| Some((worker, end.as_ref()?))).collect();
    let (_, first) = *known.first()?;
    let all = |of: fn(&End) -> u64| known.iter().map(move |(_, end)| of(end));
    let sum = |of: fn(&End) -> f64| known.iter().map(|(_, end)| of(end)).sum::<f64>();
    let stripes: u32 = known.iter().map(|(worker, _)| worker.own).sum();
    let busy: f64 = known.iter().map(|(worker, end)| end.sender_cpu_pct * f64::from(worker.own)).sum();
    let lost: Vec<String> =
        known.iter().filter_map(|(worker, end)| Some(format!("{}: {}", worker.name, end.lost.as_ref()?))).collect();
    Some(End {
        ended_ns: all(|end| end.ended_ns).max().unwrap_or(0),
        load_ended_ns: all(|end| end.load_ended_ns).max().unwrap_or(0),
        // One machine that was interrupted is a part that is not whole; all of them are a run that
        // was.
        interrupted_by: first.interrupted_by.filter(|_| known.iter().all(|(_, end)| end.interrupted_by.is_some())),
        registered_after_drain: all(|end| end.registered_after_drain).sum(),
        user_s: sum(|end| end.user_s),
        system_s: sum(|end| end.system_s),
        max_rss_bytes: all(|end| end.max_rss_bytes).max().unwrap_or(0),
        sender_cpu_pct: busy / f64::from(stripes.max(1)),
        aborted: known.iter().find_map(|(_, end)| end.aborted.clone()),
        lost: (!lost.is_empty()).then(|| lost.join("; ")),
        left_bound: all(|end| end.left_bound).sum(),
    })
}

/// What is to be said of a machine whose record ended, or broke off.
pub fn loss_of(end: Option<&End>, torn: Option<&str>, known_until_ns: u64) -> Option<WorkerLoss> {
    let why = match (end, torn) {
        (Some(End { interrupted_by: Some(signal), .. }), _) => format!("interrupted by signal {signal}"),
        (Some(_), _) => return None,
        (None, Some(torn)) => format!("its record breaks off: {torn}"),
        (None, None) => "its record has no end: it was killed, or is still running".to_owned(),
    };
    let at_ns = end.map_or(known_until_ns, |end| end.load_ended_ns);
    Some(WorkerLoss { at_ns, why })
}
