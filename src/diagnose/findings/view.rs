//! One trunk's evidence, arranged for the detectors: its pulse in time, its refusals by kind, its
//! agents.

use crate::measure::{
    AnswererRow, Beat, Errand, GrantRow, Left, OfferRow, OutcomeRow, PlaceRow, RoutingRow, Sightings, UnaskedRow,
    evidence,
};
use crate::record::results::RetryHeader;
use crate::record::{AgentResult, Resolution, Results, TrunkHeader};
use crate::vocab::{Class, Kind, Place, Status, Trouble, saturating_u32};
use std::collections::BTreeMap;

/// One tick of a trunk's pulse in which something happened.
#[derive(Clone, Debug, Default)]
pub struct Tick {
    /// Nanoseconds since the run's start.
    pub start_ns: u64,
    /// Attempts begun.
    pub started: u64,
    /// Attempts that ended `registered` and gained a binding, those that renewed one, and those of
    /// the latter that were retries.
    pub registered: u64,
    pub refreshed: u64,
    pub renewed: u64,
    /// Attempts that were refused, by group.
    pub refused: BTreeMap<u16, Refused>,
    /// Attempts whose Timer F ran out.
    pub silent: u64,
    /// Attempts that came to nothing at once: undeliverable, or refused by this machine.
    pub undelivered: u64,
    /// Bindings gained and ended.
    pub bound: u64,
    pub unbound: u64,
    pub retransmitted: u64,
    /// Attempts answered within T1 of their first request.
    pub swift: u64,
    /// Requests sent in it that were not answered within T1.
    pub unanswered: u64,
    /// Bindings at the tick's beginning.
    pub level: u64,
}

/// Refusals of one group in one tick.
#[derive(Clone, Copy, Debug, Default)]
pub struct Refused {
    /// Of attempts to gain a binding.
    pub new: u64,
    /// Of agents that hold one: refreshes and retries, and the retries among them.
    pub held: u64,
    pub renewals: u64,
}

impl Refused {
    pub fn all(self) -> u64 {
        self.new + self.held
    }

    /// Of attempts that are challenged anew: a nonce is carried on after a 2xx only.
    pub fn challenged_anew(self) -> u64 {
        self.new + self.renewals
    }
}

impl Tick {
    /// Refusals of `group`.
    pub fn of(&self, group: u16) -> u64 {
        self.refused.get(&group).map_or(0, |refused| refused.all())
    }

    /// 2xx of attempts that were challenged anew.
    pub fn challenged_anew(&self) -> u64 {
        self.registered + self.renewed
    }

    /// 2xx of any kind.
    pub fn accepted(&self) -> u64 {
        self.registered + self.refreshed
    }

    /// Attempts that got a final answer: 2xx or a refusal of any kind.
    pub fn answered(&self) -> u64 {
        self.accepted() + self.refused.values().map(|refused| refused.all()).sum::<u64>()
    }

    /// Bindings at the tick's end.
    pub fn level_after(&self) -> u64 {
        (self.level + self.bound).saturating_sub(self.unbound)
    }
}

/// Refusals that were worded alike: same class, code, phrase and place.
#[derive(Clone, Debug)]
pub struct Group<'a> {
    pub class: Class,
    pub code: u16,
    pub reason: &'a str,
    /// `None`: the reason is the server's own phrase.
    pub trouble: Option<Trouble>,
    pub place: Place,
    /// The key of [`Tick::refused`].
    pub key: u16,
    pub seen: Sightings,
    /// Attempts by position of the source address.
    pub by_source: BTreeMap<u8, u64>,
    pub by_kind: BTreeMap<Kind, u64>,
    /// By the algorithm of the credentials, as a position in `sip::Algorithm::ALL`.
    pub by_algorithm: BTreeMap<Option<u8>, u64>,
    pub retry_after_s: Option<(u32, u32)>,
    /// What the server said beside its phrase: a few of the texts.
    pub words: Vec<&'a str>,
}

/// One trunk of a run.
pub struct View<'a> {
    pub results: &'a Results,
    pub trunk: u16,
    pub tick_ns: u64,
    /// In time order; ticks in which nothing happened are left out.
    pub ticks: Vec<Tick>,
    pub outcomes: Vec<&'a OutcomeRow>,
    pub offers: Vec<&'a OfferRow>,
    pub grants: Vec<&'a GrantRow>,
    pub answerers: Vec<&'a AnswererRow>,
    /// Refusals by what was said, most frequent first.
    pub groups: Vec<Group<'a>>,
    /// Agents of the trunk that made an attempt.
    pub agents: Vec<(u32, &'a AgentResult)>,
}

impl<'a> View<'a> {
    /// What came that nobody waited for where it came from.
    pub fn unasked(&self) -> impl Iterator<Item = &'a UnaskedRow> + use<'a> {
        let (results, trunk) = (self.results, self.trunk);
        results.evidence.unasked.iter().filter(move |row| row.trunk == trunk)
    }

    /// What the trunk's name stood for, each time it was looked up.
    pub fn resolutions(&self) -> impl Iterator<Item = &'a Resolution> + use<'a> {
        let (results, trunk) = (self.results, self.trunk);
        results.resolutions.iter().filter(move |found| found.trunk == trunk)
    }

    /// What became of attempts at each address of the trunk's name.
    pub fn places(&self) -> impl Iterator<Item = &'a PlaceRow> + use<'a> {
        let (results, trunk) = (self.results, self.trunk);
        results.evidence.places.iter().filter(move |row| row.trunk == trunk)
    }

    /// Requests that were given up at an address where nothing was delivered, or nobody answered,
    /// while their attempts went on to another.
    pub fn left_unanswered(&self) -> u64 {
        self.places().map(|row| row.left[Left::Unreachable as usize] + row.left[Left::Silent as usize]).sum()
    }

    /// What answers said of the way requests take.
    pub fn routing(&self) -> impl Iterator<Item = &'a RoutingRow> + use<'a> {
        let (results, trunk) = (self.results, self.trunk);
        results.evidence.routing.iter().filter(move |row| row.trunk == trunk)
    }

    pub fn new(results: &'a Results, trunk: u16) -> Self {
        let tick_ns = results.evidence_tick_ns();
        let evidence = &results.evidence;
        let outcomes: Vec<_> = evidence.outcomes.iter().filter(|row| row.trunk == trunk).collect();
        let of_trunk = |agent: &(usize, &AgentResult)| results.header.agent_trunks.get(agent.0) == Some(&trunk);
        let agents = results.agents.iter().enumerate().filter(of_trunk).filter(|(_, agent)| agent.attempts > 0);
        View {
            results,
            trunk,
            tick_ns,
            ticks: ticks(results, trunk, tick_ns),
            groups: groups(&outcomes),
            outcomes,
            offers: evidence.offers.iter().filter(|row| row.trunk == trunk).collect(),
            grants: evidence.grants.iter().filter(|row| row.trunk == trunk).collect(),
            answerers: evidence.answerers.iter().filter(|row| row.trunk == trunk).collect(),
            agents: agents.map(|(id, agent)| (saturating_u32(id), agent)).collect(),
        }
    }

    /// What the trunk was set up to be.
    pub fn header(&self) -> &'a TrunkHeader {
        &self.results.header.trunks[usize::from(self.trunk)]
    }

    pub fn id(&self) -> &'a str {
        &self.header().id
    }

    /// Other trunks at the same address whose agents get in.
    pub fn neighbours(&self) -> impl Iterator<Item = (usize, &'a TrunkHeader)> + '_ {
        let get_in = |trunk: usize| {
            let totals = self.results.trunk_totals.get(trunk);
            totals.is_some_and(|totals| totals.sums.status[Status::Registered.index()] > 0)
        };
        let others = self.results.header.trunks.iter().enumerate();
        let others = others.filter(|(n, other)| *n != usize::from(self.trunk) && other.target == self.header().target);
        others.filter(move |(n, _)| get_in(*n))
    }

    /// T1 of the trunk (RFC 3261 §17.1.1.1): a request is repeated for the first time after it.
    pub fn t1_ms(&self) -> f64 {
        self.header().timers.t1_ns as f64 / 1e6
    }

    /// How long a request may stay without its final answer.
    pub fn timer_f_ns(&self) -> u64 {
        self.header().timers.f_ns()
    }

    /// Attempts whose end says something: all but shed and abandoned ones.
    pub fn attempts(&self) -> u64 {
        self.outcomes.iter().map(|row| row.seen.count).sum()
    }

    /// Attempts that ended in `class`.
    pub fn count(&self, class: Class) -> u64 {
        self.outcomes.iter().filter(|row| row.class == class).map(|row| row.seen.count).sum()
    }

    /// Agents that met any of these classes.
    pub fn met(&self, classes: &[Class]) -> impl Iterator<Item = (u32, &'a AgentResult)> + '_ {
        let bits = classes.iter().fold(0, |bits, class| bits | class.bit());
        self.agents.iter().copied().filter(move |(_, agent)| agent.met & bits != 0)
    }

    /// The highest number of bindings at a tick's border.
    pub fn peak(&self) -> u64 {
        self.ticks.iter().map(|tick| tick.level_after().max(tick.level)).max().unwrap_or(0)
    }

    /// How an agent retries.
    pub fn retry(&self, agent: u32) -> &'a RetryHeader {
        let header = &self.results.header;
        let own = header.agent_retries.get(agent as usize).copied().unwrap_or(0);
        let own = usize::from(own).checked_sub(1).and_then(|place| header.own_retries.get(place));
        own.unwrap_or(&self.header().retry)
    }

    /// A source address by position, as text.
    pub fn source(&self, position: u8) -> String {
        let sources = &self.header().sources;
        sources.get(usize::from(position)).cloned().unwrap_or_else(|| "the only source address".to_owned())
    }
}

/// The pulse of a trunk as ticks, with the number of bindings carried along.
fn ticks(results: &Results, trunk: u16, tick_ns: u64) -> Vec<Tick> {
    let mut ticks: Vec<Tick> = Vec::new();
    // The pulse is sorted by trunk, see `Evidence::settle`.
    let pulse = &results.evidence.pulse;
    let of_trunk = pulse.partition_point(|cell| cell.trunk < trunk)..pulse.partition_point(|cell| cell.trunk <= trunk);
    for cell in &pulse[of_trunk] {
        let start_ns = u64::from(cell.tick) * tick_ns;
        if ticks.last().is_none_or(|last| last.start_ns != start_ns) {
            let level = ticks.last().map_or(0, Tick::level_after);
            ticks.push(Tick { start_ns, level, ..Tick::default() });
        }
        let Some(tick) = ticks.last_mut() else { continue };
        add(tick, Beat::from_index(cell.beat), cell.group, cell.count.into());
    }
    ticks
}

fn add(tick: &mut Tick, beat: Option<Beat>, group: u16, count: u64) {
    match beat {
        Some(Beat::Ended { class: Class::Registered, errand }) => match errand {
            Errand::New => tick.registered += count,
            Errand::Refresh => tick.refreshed += count,
            Errand::Renewal => (tick.refreshed, tick.renewed) = (tick.refreshed + count, tick.renewed + count),
        },
        Some(Beat::Ended { class: Class::Silence, .. }) => tick.silent += count,
        Some(Beat::Ended { class, errand }) if class.is_refusal() => {
            let refused = tick.refused.entry(group).or_default();
            match errand {
                Errand::New => refused.new += count,
                Errand::Refresh => refused.held += count,
                Errand::Renewal => (refused.held, refused.renewals) = (refused.held + count, refused.renewals + count),
            }
        }
        Some(Beat::Started) => tick.started += count,
        Some(Beat::Bound) => tick.bound += count,
        Some(Beat::Unbound) => tick.unbound += count,
        Some(Beat::Retransmitted) => tick.retransmitted += count,
        Some(Beat::Swift) => tick.swift += count,
        Some(Beat::Unanswered) => tick.unanswered += count,
        Some(Beat::Ended { class: Class::Transport, .. }) => tick.undelivered += count,
        Some(Beat::Ended { .. } | Beat::Abandoned) | None => {}
    }
}

fn groups<'a>(outcomes: &[&'a OutcomeRow]) -> Vec<Group<'a>> {
    let mut groups: Vec<Group<'a>> = Vec::new();
    for row in outcomes.iter().filter(|row| row.class.is_refusal()) {
        let like = |group: &&mut Group<'_>| {
            (group.class, group.code, group.place) == (row.class, row.code, row.place)
                && (group.trouble, group.reason) == (row.trouble, &row.reason)
        };
        let group = match groups.iter_mut().find(like) {
            Some(group) => group,
            None => {
                groups.push(Group {
                    class: row.class,
                    code: row.code,
                    reason: &row.reason,
                    trouble: row.trouble,
                    place: row.place,
                    key: row.group(),
                    seen: Sightings::default(),
                    by_source: BTreeMap::new(),
                    by_kind: BTreeMap::new(),
                    by_algorithm: BTreeMap::new(),
                    retry_after_s: None,
                    words: Vec::new(),
                });
                groups.last_mut().expect("just pushed")
            }
        };
        group.seen.merge(&row.seen);
        *group.by_source.entry(row.source).or_default() += row.seen.count;
        *group.by_kind.entry(row.kind).or_default() += row.seen.count;
        *group.by_algorithm.entry(row.algorithm).or_default() += row.seen.count;
        group.retry_after_s = evidence::wider(group.retry_after_s, row.retry_after_s);
        let new: Vec<&str> = row.words.iter().map(String::as_str).filter(|text| !group.words.contains(text)).collect();
        group.words.extend(new);
    }
    groups.sort_by(|a, b| b.seen.count.cmp(&a.seen.count).then(a.code.cmp(&b.code)));
    groups
}
