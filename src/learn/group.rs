//! Phones of one trunk that are set up alike: the same lifetime asked for, the same product.

use super::retry::RetryHabit;
use super::waits::{HabitWaits, middle};
use crate::observe::Trace;
use crate::vocab::{Kind, floor_u32};
use std::collections::BTreeMap;

/// A group of phones: one trunk of the profile.
#[derive(Clone, Debug)]
pub struct ClientGroup {
    /// The trunk's id in the profile.
    pub id: String,
    /// Position among the trunks that were seen.
    pub trunk: usize,
    pub user_agent: Option<String>,
    /// `None`: the source does not show it.
    pub asked_s: Option<u32>,
    /// What was granted for it, the value in the middle.
    pub granted_s: Option<u32>,
    /// What the profile asks for.
    pub expires_s: u32,
    /// Why that is not what the phones asked for.
    pub expires_why: Option<String>,
    /// Positions of its phones.
    pub phones: Vec<usize>,
    pub retry: RetryHabit,
    /// Whether a refresh carries credentials at once; `None`: none was seen.
    pub reuse_nonce: Option<bool>,
}

/// The groups of all trunks, the largest of each first.
pub(super) fn groups(trace: &Trace) -> Vec<ClientGroup> {
    let mut groups = Vec::new();
    let mut ids: Vec<String> = Vec::new();
    for trunk in 0..trace.trunks.len() {
        let sets = sets(trace, trunk);
        let base = id_of(&trace.trunks[trunk].domain, &trace.trunks[trunk].registrar);
        let several = sets.len() > 1;
        for (n, (asked_s, user_agent, phones)) in sets.into_iter().enumerate() {
            let id = if several { format!("{base}_{}", n + 1) } else { base.clone() };
            let id = vacant(&ids, id);
            ids.push(id.clone());
            groups.push(group(trace, trunk, id, asked_s, user_agent, phones));
        }
    }
    groups
}

type Set = (Option<u32>, Option<String>, Vec<usize>);

fn sets(trace: &Trace, trunk: usize) -> Vec<Set> {
    let mut by_kind: BTreeMap<(Option<u32>, Option<&str>), Vec<usize>> = BTreeMap::new();
    for (n, phone) in trace.phones.iter().enumerate().filter(|(_, phone)| usize::from(phone.trunk) == trunk) {
        by_kind.entry((phone.asked_s, phone.user_agent.as_deref())).or_default().push(n);
    }
    let owned = |((asked_s, agent), phones): ((Option<u32>, Option<&str>), Vec<usize>)| {
        (asked_s, agent.map(str::to_owned), phones)
    };
    let mut sets: Vec<Set> = by_kind.into_iter().map(owned).collect();
    sets.sort_by_key(|(_, _, phones)| std::cmp::Reverse(phones.len()));
    let all: usize = sets.iter().map(|set| set.2.len()).sum();
    let worth = |n: usize, set: &Set| n < ALWAYS || (n < MOST_GROUPS && set.2.len() * 100 >= all);
    let kept = (0..sets.len()).take_while(|&n| worth(n, &sets[n])).count();
    // A handful of odd phones goes with those that ask for nearly the same.
    for (asked_s, _, phones) in sets.split_off(kept) {
        let far = |set: &Set| set.0.unwrap_or(0).abs_diff(asked_s.unwrap_or(0));
        if let Some(nearest) = sets.iter_mut().min_by_key(|set| far(set)) {
            nearest.2.extend(phones);
        }
    }
    sets
}

fn group(
    trace: &Trace,
    trunk: usize,
    id: String,
    asked_s: Option<u32>,
    user_agent: Option<String>,
    phones: Vec<usize>,
) -> ClientGroup {
    let waits = HabitWaits::of(trace, &phones);
    let acts = || phones.iter().flat_map(|&phone| &trace.phones[phone].acts);
    let granted = acts().filter_map(|act| act.granted).map(|(_, granted_s)| f64::from(granted_s));
    let granted_s = middle(granted.filter(|granted| *granted > 0.0).collect()).map(floor_u32);
    let refreshes = || acts().filter(|act| act.kind == Kind::Refresh);
    let proved = refreshes().filter(|act| act.proved_at_once).count();
    let reuse_nonce = refreshes().next().map(|_| 2 * proved > refreshes().count());
    let retry = RetryHabit::of(&waits);
    let (expires_s, expires_why) = match (asked_s.filter(|&asked| asked > 0), granted_s) {
        (Some(asked_s), _) => (asked_s, None),
        (None, Some(granted_s)) => (granted_s, Some("no REGISTER names a lifetime: what was granted".to_owned())),
        (None, None) => of_rhythm(&waits),
    };
    ClientGroup {
        id,
        trunk,
        user_agent,
        asked_s,
        granted_s,
        expires_s,
        expires_why,
        phones,
        retry,
        reuse_nonce: reuse_nonce.filter(|_| granted_s.is_some()),
    }
}

/// A lifetime that makes the agents refresh as often as the phones registered.
fn of_rhythm(waits: &HabitWaits) -> (u32, Option<String>) {
    match middle(waits.rhythm.clone()).filter(|wait| *wait >= 1.0) {
        Some(wait) => {
            let expires_s = floor_u32((wait / super::refresh::USUAL).round()).max(1);
            (expires_s, Some(format!("not shown; they registered every {wait:.0} s, which is 90 % of this")))
        }
        None => (3_600, Some("not shown, and nobody was seen to refresh: the usual hour".to_owned())),
    }
}

/// Attempts of all phones; an un-REGISTER is none.
pub(super) fn attempts(trace: &Trace) -> usize {
    let acts = trace.phones.iter().flat_map(|phone| &phone.acts);
    acts.filter(|act| act.kind != Kind::Unregister).count()
}

/// A domain as an id: letters, digits and underscores.
fn id_of(domain: &str, registrar: &str) -> String {
    let from = if domain.is_empty() { registrar } else { domain };
    let sound = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' };
    let id: String = from.chars().map(sound).take(MAX_ID).collect();
    if id.trim_matches('_').is_empty() { "trunk".to_owned() } else { id }
}

fn vacant(taken: &[String], id: String) -> String {
    let free = |id: &String| !taken.contains(id);
    let mut others = (2..).map(|n| format!("{id}_{n}"));
    if free(&id) { id } else { others.find(free).unwrap_or(id) }
}

/// The largest groups of a trunk stay by themselves; smaller ones from a hundredth of its phones
/// on.
const ALWAYS: usize = 3;
const MOST_GROUPS: usize = 12;
const MAX_ID: usize = 40;
