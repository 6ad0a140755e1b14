//! One of several machines behind an address (`node.failing`): told by the marks that each leaves
//! on its answers, or, where they look alike, by the same agents being accepted and refused in
//! turn while neither time nor load, address or agent decides which.

use super::draft::{SOME, is_near};
use super::view::{Group, Tick, View};
use crate::agent::exchange::Failed;
use crate::measure::{AnswererRow, PlaceRow};
use crate::record::AgentResult;
use crate::vocab::{Class, Kind, Place, floor_u64};
use std::collections::{BTreeMap, BTreeSet};

/// Refusals that hit anybody at any time, a steady share of them.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct InTurn {
    /// Agents that were refused so and accepted as well, and all that were refused so.
    pub both: u64,
    pub hit: u64,
    /// Refusals of this kind among the answers of the seconds in which it came.
    pub share: f64,
    /// How the refusals scatter over those seconds: 1 is what chance makes of a steady share.
    pub scatter: f64,
    /// They came before a challenge and after credentials alike, so the share is one of requests,
    /// of which a registration takes two.
    pub of_requests: bool,
}

impl InTurn {
    /// How many machines there would be if exactly one failed; `None` if no small number fits.
    pub(super) fn one_of(self) -> Option<u64> {
        (2..=8).find(|n| {
            let due = 1.0 / *n as f64;
            (self.share - due).abs() < 0.12 * due
        })
    }
}

/// The same words at the other place: whoever refuses any request refuses first ones and those
/// with credentials.
pub(super) fn sibling<'v, 'a>(view: &'v View<'a>, group: &Group<'a>) -> Option<&'v Group<'a>> {
    view.groups
        .iter()
        .find(|other| (other.code, other.reason) == (group.code, group.reason) && other.place != group.place)
}

/// Whether a group of refusals is spread as chance, or taking turns, would spread it.
pub(super) fn in_turn(view: &View<'_>, group: &Group<'_>) -> Option<InTurn> {
    let sibling = sibling(view, group).filter(|other| other.seen.count.min(group.seen.count) >= SOME);
    let classes = [group.class, sibling.map_or(group.class, |other| other.class)];
    let accepted = Class::Registered.bit();
    let hit: Vec<&AgentResult> = view.met(&classes).map(|(_, agent)| agent).collect();
    let both = hit.iter().filter(|agent| agent.met & accepted != 0).count();
    // About as many of those hit were accepted too as chance would have it, and most agents were
    // hit: it is no matter of the agent.
    let refusals = group.seen.count + sibling.map_or(0, |other| other.seen.count);
    let due = accepted_too(&hit, refusals as f64 / view.attempts().max(1) as f64);
    if due < LEAST_AGENTS || (both as f64) < 0.8 * due || hit.len() * 2 < view.agents.len() {
        return None;
    }
    let (share, scatter) = spread(view, group)?;
    let turns = InTurn { both: both as u64, hit: hit.len() as u64, share, scatter, of_requests: sibling.is_some() };
    (scatter < MOST_SCATTER).then_some(turns)
}

/// Whether refusals follow the time or the load, rather than that a steady share is refused by
/// chance; `None` where they are too few to tell.
pub(super) fn follows_time_or_load(view: &View<'_>, group: &Group<'_>) -> Option<bool> {
    spread(view, group).map(|(_, scatter)| scatter >= MOST_SCATTER)
}

/// The share of refusals, of both places where the other has its part, and how they scatter over
/// the seconds: 1 is what chance makes of a steady share.
fn spread(view: &View<'_>, group: &Group<'_>) -> Option<(f64, f64)> {
    let sibling = sibling(view, group).filter(|other| other.seen.count.min(group.seen.count) >= SOME);
    let mut seconds: BTreeMap<u64, (u64, u64)> = BTreeMap::new();
    for tick in &view.ticks {
        let second = seconds.entry(tick.start_ns / SECOND_NS).or_default();
        // A key may stand for both places.
        let other = sibling.filter(|other| other.key != group.key);
        second.0 += tick.of(group.key) + other.map_or(0, |other| tick.of(other.key));
        second.1 += tick.answered() + if sibling.is_some() { challenges(view, tick) } else { 0 };
    }
    let busy: Vec<(f64, f64)> =
        seconds.values().filter(|(_, all)| *all >= 3).map(|(refused, all)| (*refused as f64, *all as f64)).collect();
    let (refused, all) = busy.iter().fold((0.0, 0.0), |sum, second| (sum.0 + second.0, sum.1 + second.1));
    if busy.len() < LEAST_SECONDS || refused < LEAST_REFUSALS {
        return None;
    }
    let share = refused / all;
    let chance = share * (1.0 - share);
    let scatter = busy.iter().map(|(refused, all)| (refused - share * all).powi(2) / (all * chance)).sum::<f64>()
        / (busy.len() - 1) as f64;
    Some((share, scatter))
}

/// How many of the agents that were refused at least once would have been accepted as well, were
/// each attempt refused by chance. Whoever gave up at the first refusal shows nothing.
fn accepted_too(hit: &[&AgentResult], refused: f64) -> f64 {
    let each = hit.iter().map(|agent| {
        let attempts = f64::from(agent.attempts);
        let (always, never) = (refused.powf(attempts), (1.0 - refused).powf(attempts));
        if never < 1.0 { (1.0 - always - never) / (1.0 - never) } else { 0.0 }
    });
    each.sum()
}

/// Challenges that the attempts which ended in a tick had met: one each, but for refreshes that
/// carry their nonce along, and for what was refused before it.
fn challenges(view: &View<'_>, tick: &Tick) -> u64 {
    let anew = |group: &Group<'_>| -> u64 {
        let kinds = group.by_kind.iter().filter(|(kind, _)| **kind != Kind::Refresh);
        kinds.map(|(_, count)| *count).sum()
    };
    let refused = tick.refused.iter().map(|(key, refused)| {
        // The pulse does not tell the places apart: their shares over the run do.
        let of_key = || view.groups.iter().filter(|group| group.key == *key);
        let after: u64 = of_key().filter(|group| group.place == Place::AfterCredentials).map(anew).sum();
        let all: u64 = of_key().map(anew).sum();
        refused.challenged_anew() as f64 * after as f64 / all.max(1) as f64
    });
    tick.challenged_anew() + floor_u64(refused.sum::<f64>().round())
}

/// A machine as its answers show it.
#[derive(Clone, Debug, Default)]
struct MachineSeen {
    name: String,
    refused: u64,
    /// Of a sample.
    accepted: u64,
    /// When its refusals, and its acceptances, came.
    refused_ns: Option<(u64, u64)>,
    accepted_ns: Option<(u64, u64)>,
    /// It also challenged what it refused, or took what it challenged: it is no mere gate.
    works: bool,
}

/// Refusals that all came from some of the machines, while others went on accepting.
#[derive(Clone, Debug)]
pub(super) struct MachinesApart {
    /// Those that refuse, and those that accept.
    pub refusing: Vec<String>,
    pub accepting: Vec<String>,
    pub refused: u64,
    /// Refusals by others; acceptances by these, and by others (of a sample).
    pub elsewhere: u64,
    pub accepted_too: u64,
    pub accepted: u64,
    /// They belong to one series of machines, or work like the others: no element in front.
    pub is_one_of_them: bool,
    /// The others accepted while these refused, and not only before or after.
    pub at_once: bool,
}

/// Whether the marks of the answers set the refusals of a group apart; `None` where all look alike.
pub(super) fn told_apart(view: &View<'_>, group: &Group<'_>) -> Option<MachinesApart> {
    let machines = machines(view, group);
    // Those that refuse more than they accept; acceptances are a sample.
    let (bad, good): (Vec<&MachineSeen>, Vec<&MachineSeen>) =
        machines.iter().partition(|machine| machine.refused > machine.accepted);
    if bad.is_empty() || good.is_empty() {
        return None;
    }
    let sum = |list: &[&MachineSeen], of: fn(&MachineSeen) -> u64| list.iter().map(|machine| of(machine)).sum::<u64>();
    let span = |list: &[&MachineSeen], of: fn(&MachineSeen) -> Option<(u64, u64)>| {
        list.iter().filter_map(|machine| of(machine)).reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))
    };
    let refused_ns = span(&bad, |machine| machine.refused_ns)?;
    let accepted_ns = span(&good, |machine| machine.accepted_ns)?;
    let middle = refused_ns.0.midpoint(refused_ns.1);
    let names = |list: &[&MachineSeen]| list.iter().map(|machine| machine.name.clone()).collect::<Vec<_>>();
    let like = |one: &MachineSeen| good.iter().any(|other| is_of_one_series(&one.name, &other.name));
    // A proxy that checks credentials, and refuses what is wrong, leaves it to the registrar behind
    // it to accept: those are no two of a kind. One that refuses what it challenged, and what
    // others challenged, is one of several.
    let mixed = |(elsewhere, home): (u64, u64)| elsewhere >= LEAST_CROSSED && home >= LEAST_AT_HOME;
    let alike = good.iter().any(|machine| machine.works) || met_elsewhere(view, group).is_some_and(mixed);
    Some(MachinesApart {
        refusing: names(&bad),
        accepting: names(&good),
        refused: sum(&bad, |machine| machine.refused),
        elsewhere: sum(&good, |machine| machine.refused),
        accepted_too: sum(&bad, |machine| machine.accepted),
        accepted: sum(&good, |machine| machine.accepted),
        is_one_of_them: bad.iter().all(|machine| machine.works && alike || machine.accepted > 0 || like(machine)),
        at_once: accepted_ns.0 <= middle && middle <= accepted_ns.1,
    })
}

/// Refusals that all came from some of the addresses a name leads to, while others accepted.
#[derive(Clone, Debug)]
pub(super) struct AddressesApart {
    /// Those that refuse, and those that accept.
    pub refusing: Vec<String>,
    pub accepting: Vec<String>,
    /// Attempts refused by the former, and by the latter.
    pub refused: u64,
    pub elsewhere: u64,
    /// Attempts accepted by the latter; the former accept nobody.
    pub accepted: u64,
}

/// Whether the address decides who is refused: each lets in nobody, or everybody.
pub(super) fn addresses_apart(view: &View<'_>, group: &Group<'_>) -> Option<AddressesApart> {
    let status = Failed::by(group.code, group.place).status;
    let refused = |row: &&PlaceRow| row.ended[status.index()];
    let asked = view.places().filter(|row| row.tried() - row.all_left() >= SOME);
    let (good, bad): (Vec<&PlaceRow>, Vec<&PlaceRow>) = asked.partition(|row| row.registered() > 0);
    if bad.is_empty() || good.is_empty() || bad.iter().any(|row| refused(row) < SOME) {
        return None;
    }
    let window = good.iter().filter_map(|row| row.registered_ns).reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))?;
    let middle = group.seen.first_ns.midpoint(group.seen.last_ns);
    let names = |rows: &[&PlaceRow]| rows.iter().map(|row| row.address.clone()).collect::<Vec<_>>();
    let found = AddressesApart {
        refusing: names(&bad),
        accepting: names(&good),
        refused: bad.iter().map(refused).sum(),
        elsewhere: good.iter().map(refused).sum(),
        accepted: good.iter().map(|row| row.registered()).sum(),
    };
    // One whose own accounts are at fault has its trouble at every address.
    let decides = found.elsewhere * 50 <= found.refused && found.accepted >= SOME;
    (decides && window.0 <= middle && middle <= window.1).then_some(found)
}

/// The machines that answered, as far as their marks tell them apart.
fn machines(view: &View<'_>, group: &Group<'_>) -> Vec<MachineSeen> {
    let ours =
        |row: &&&AnswererRow| row.class == Class::Registered || (row.class, row.group) == (group.class, group.key);
    let rows: Vec<&AnswererRow> = view.answerers.iter().copied().filter(|row| ours(&row)).collect();
    // Names tell more than tags. What a server says by itself and what it says for a transaction
    // may begin differently: a tag's stem tells machines apart only where it is that of challenges
    // too.
    let several = rows.iter().any(|row| row.software != rows[0].software);
    let homes: BTreeSet<u32> =
        rows.iter().filter(|row| row.as_challenged == Some(true)).map(|row| row.form.stem).collect();
    let mut machines: BTreeMap<(&str, u32), MachineSeen> = BTreeMap::new();
    for row in rows {
        let stem = if several || !homes.contains(&row.form.stem) { 0 } else { row.form.stem };
        let machine = machines.entry((row.software.as_str(), stem)).or_default();
        machine.name = match (row.software.as_str(), stem) {
            ("", 0) => "one without a name".to_owned(),
            (name, 0) => name.to_owned(),
            (_, stem) => format!("the one whose To tags have the stem {stem:08x}"),
        };
        let window = (row.seen.first_ns, row.seen.last_ns);
        let wider = |known: Option<(u64, u64)>| {
            Some(known.map_or(window, |(first, last)| (first.min(window.0), last.max(window.1))))
        };
        if row.class == Class::Registered {
            machine.accepted += row.seen.count;
            machine.accepted_ns = wider(machine.accepted_ns);
        } else {
            machine.refused += row.seen.count;
            machine.refused_ns = wider(machine.refused_ns);
        }
        machine.works |= row.as_challenged == Some(true);
    }
    machines.into_values().collect()
}

/// Whether two names are those of machines of one series, like `edge-1` and `edge-2`. Two versions
/// of one product are none: an element in front may be of the same make.
fn is_of_one_series(one: &str, other: &str) -> bool {
    let is_version = |name: &str| {
        let bytes = name.as_bytes();
        bytes.windows(3).any(|part| part[0].is_ascii_digit() && part[1] == b'.' && part[2].is_ascii_digit())
    };
    let letters = |name: &str| name.chars().filter(|c| !c.is_ascii_digit()).collect::<String>();
    one != other && !is_version(one) && !is_version(other) && letters(one) == letters(other)
}

/// How often the answer to credentials came from another machine than the challenge, and how often
/// not: of refusals of a group, and of acceptances.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Crossed {
    pub refused: u64,
    pub refused_at_home: u64,
    pub accepted: u64,
    pub accepted_at_home: u64,
}

/// Whether credentials are refused wherever they do not come back to the machine that challenged.
pub(super) fn crossed(view: &View<'_>, group: &Group<'_>) -> Option<Crossed> {
    let mut seen = Crossed::default();
    for row in &view.answerers {
        let Some(home) = row.as_challenged else { continue };
        let count = match (row.class == Class::Registered, home) {
            (true, true) => &mut seen.accepted_at_home,
            (true, false) => &mut seen.accepted,
            (false, true) if row.group == group.key => &mut seen.refused_at_home,
            (false, false) if row.group == group.key => &mut seen.refused,
            (false, _) => continue,
        };
        *count += row.seen.count;
    }
    let Crossed { refused, refused_at_home, accepted, accepted_at_home } = seen;
    let apart = refused_at_home * 20 <= refused && accepted * 20 <= accepted_at_home;
    (refused >= LEAST_CROSSED && accepted_at_home >= LEAST_CROSSED && apart).then_some(seen)
}

/// How many refusals of those that were looked at came from another machine than the challenge, and
/// how many from the same; `None` if none was looked at.
pub(super) fn met_elsewhere(view: &View<'_>, group: &Group<'_>) -> Option<(u64, u64)> {
    let rows = view.answerers.iter().filter(|row| row.group == group.key && row.as_challenged.is_some());
    let (mut elsewhere, mut home) = (0, 0);
    for row in rows {
        *if row.as_challenged == Some(false) { &mut elsewhere } else { &mut home } += row.seen.count;
    }
    (elsewhere + home > 0).then_some((elsewhere, home))
}

/// How many machines there may be if each agent always comes to the same one, and one of them
/// refuses all of its agents; `None` if nothing fits.
///
/// A machine takes a part of the agents like chance does: neither more nor fewer than its share,
/// and not those that stand next to each other in the list.
pub(super) fn one_of_by_agent(view: &View<'_>, group: &Group<'_>) -> Option<u64> {
    // In the order of their names: that of their arrival is drawn.
    let name = |agent: u32| view.results.header.users.get(agent as usize).map_or("", String::as_str);
    let mut hit: Vec<(&str, bool)> =
        view.agents.iter().map(|(id, agent)| (name(*id), agent.met & group.class.bit() != 0)).collect();
    hit.sort_unstable();
    let (all, refused) = (hit.len() as f64, hit.iter().filter(|(_, hit)| *hit).count() as f64);
    let changes = hit.windows(2).filter(|pair| pair[0].1 != pair[1].1).count() as f64;
    let share = refused / all.max(1.0);
    // Agents that chance picks change places with the others so often.
    let due = 2.0 * all * share * (1.0 - share);
    if changes < 0.5 * due || is_near(changes, 0.5 * due) {
        return None;
    }
    // In standard deviations.
    let off = |n: u64| {
        let part = 1.0 / n as f64;
        (share - part).abs() / (part * (1.0 - part) / all).sqrt()
    };
    (2..=MOST_MACHINES).filter(|n| off(*n) <= SURE).min_by(|a, b| off(*a).total_cmp(&off(*b)))
}

const SECOND_NS: u64 = 1_000_000_000;
const LEAST_AGENTS: f64 = 5.0;
const LEAST_SECONDS: usize = 5;
const LEAST_REFUSALS: f64 = 10.0;
/// Refusals that follow the time or the load scatter more.
const MOST_SCATTER: f64 = 2.5;
/// Answers of a sample that show where credentials went.
const LEAST_CROSSED: u64 = 5;
/// Of those that stayed with the machine that challenged: among several that share the load by
/// chance they are the fewer ones.
const LEAST_AT_HOME: u64 = 3;
/// A share that fits one of more machines fits nearly anything.
const MOST_MACHINES: u64 = 5;
/// Standard deviations that leave out one case in fifty.
const SURE: f64 = 2.33;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_series_differs_in_its_numbers_and_is_no_version() {
        for (one, other, series) in [
            ("edge-1", "edge-2", true),
            ("sbc01.fra", "sbc02.fra", true),
            ("edge-1", "edge-1", false),
            ("Kamailio (5.7.4)", "Kamailio (5.6.1)", false),
            ("Asterisk PBX", "kamailio", false),
        ] {
            assert_eq!(is_of_one_series(one, other), series, "{one} {other}");
        }
    }
}
