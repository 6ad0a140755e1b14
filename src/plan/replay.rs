//! A replay's rows as steps of the run's agents: who is meant, and what the copies of a row do.

use super::user_of;
use crate::agent::IdentityBook;
use crate::load::{Replay, ReplayStep};
use crate::profile::{Problem, Profile, ReplayProfile, StageProfile, TrunkAgents};
use crate::vocab::{ReplayAct, WhenExhausted, saturating_u32};
use std::collections::{HashMap, HashSet};
use std::time::Duration;

/// The replay of a profile, with everyone named found among the agents.
pub(super) struct Casting<'p> {
    stage: &'p ReplayProfile,
    rows: Vec<CastRow>,
    /// Rows name their users. Else each is the next agent.
    named: bool,
    goes_round: bool,
}

/// Who does what a row says.
#[derive(Clone, Copy)]
struct CastRow {
    at: Duration,
    act: ReplayAct,
    /// `None`: any.
    trunk: Option<usize>,
    /// The first of its agents by number in the trunk's list, and how many; of a row that names
    /// nobody it is the next one.
    number: u32,
    copies: u32,
}

impl<'p> Casting<'p> {
    /// `None` without a replay, or when somebody named is no agent.
    pub(super) fn of(profile: &'p Profile, problems: &mut Vec<Problem>) -> Option<Casting<'p>> {
        let find = |stage: &'p StageProfile| if let StageProfile::Replay(replay) = stage { Some(replay) } else { None };
        let (n, stage) = profile.load.iter().enumerate().find_map(|(n, stage)| Some((n, find(stage)?)))?;
        let named = stage.rows.iter().any(|row| row.user.is_some());
        let known = if named { everyone(profile) } else { HashMap::new() };
        let trunks: HashMap<&str, usize> =
            profile.trunks.iter().enumerate().map(|(n, trunk)| (&*trunk.id, n)).collect();
        let (mut rows, mut wrong) = (Vec::with_capacity(stage.rows.len()), 0);
        for row in &stage.rows {
            let trunk = match &row.trunk {
                None => Ok(None),
                Some(id) => {
                    trunks.get(&**id).map(|&n| Some(n)).ok_or_else(|| format!("\"{id}\" is no trunk of this profile"))
                }
            };
            let found = trunk.and_then(|trunk| match &row.user {
                None => Ok((trunk, 0, 1)),
                Some(user) => named_agent(profile, &known, trunk, user, row.phone),
            });
            match found {
                Ok((trunk, number, copies)) => {
                    rows.push(CastRow { at: stage.due(row), act: row.act, trunk, number, copies });
                }
                Err(message) => {
                    wrong += 1;
                    if wrong <= MOST_PROBLEMS {
                        let at = ["load", &n.to_string(), "replay"];
                        let message = format!("{} line {}: {message}", stage.replay, row.line);
                        problems.push(
                            profile.problem(&at, message).remedy("add it to the trunk's agents, or take the row out"),
                        );
                    }
                }
            }
        }
        rows.sort_by_key(|row| row.at);
        let goes_round = profile.arrivals.when_exhausted == WhenExhausted::Reregister;
        (wrong == 0).then_some(Casting { stage, rows, named, goes_round })
    }

    /// Whether the order in which agents stand must be that of the profile.
    pub(super) fn names_agents(&self) -> bool {
        self.named
    }

    /// How many arrivals its rows bring.
    pub(super) fn arrivals(&self) -> u32 {
        let arriving = self.rows.iter().filter(|row| row.act == ReplayAct::Arrive);
        arriving.fold(0, |sum, row| sum.saturating_add(row.copies))
    }

    /// The steps, and what is to be doubted about them. The book is in arrival order.
    pub(super) fn steps(&self, book: &IdentityBook, doubts: &mut Vec<String>) -> Replay {
        let mut by_number: HashMap<(usize, u32), u32> = HashMap::new();
        let mut by_trunk: HashMap<usize, Vec<u32>> = HashMap::new();
        for (place, agent) in book.iter().enumerate() {
            let place = saturating_u32(place);
            if self.named {
                by_number.insert((agent.trunk.index(), agent.number), place);
            } else {
                by_trunk.entry(agent.trunk.index()).or_default().push(place);
            }
        }
        let everyone: Vec<u32> = (0..saturating_u32(book.len())).collect();
        let mut next: HashMap<Option<usize>, usize> = HashMap::new();
        let (mut steps, mut beyond) = (Vec::with_capacity(self.rows.len()), 0u64);
        for (n, row) in self.rows.iter().enumerate() {
            if self.named {
                let gap = self.rows.get(n + 1).map_or(Duration::ZERO, |later| later.at - row.at).min(SPREAD);
                for copy in 0..row.copies {
                    let key = (row.trunk.unwrap_or_default(), row.number + copy);
                    let Some(&agent) = by_number.get(&key) else { continue };
                    steps.push(ReplayStep { at: row.at + gap * copy / row.copies, agent, act: row.act });
                }
                continue;
            }
            let list = row.trunk.map_or(&everyone, |trunk| by_trunk.get(&trunk).unwrap_or(&everyone));
            let turn = next.entry(row.trunk).or_default();
            let place = if self.goes_round { *turn % list.len().max(1) } else { *turn };
            *turn += 1;
            match list.get(place) {
                Some(&agent) => steps.push(ReplayStep { at: row.at, agent, act: row.act }),
                None => beyond += 1,
            }
        }
        let file = &self.stage.replay;
        if beyond > 0 {
            doubts.push(format!(
                "{file}: {beyond} rows are left out, for there are no more agents; add agents, or let them come again \
                 with arrivals.when_exhausted = \"reregister\""
            ));
        }
        let arriving = steps.iter().filter(|step| step.act == ReplayAct::Arrive).map(|step| step.agent);
        let arriving = arriving.collect::<HashSet<_>>().len();
        if arriving < book.len() {
            doubts.push(format!(
                "{file} has no arrival of {} of the {} agents: they never arrive",
                book.len() - arriving,
                book.len()
            ));
        }
        Replay::new(steps)
    }
}

/// By trunk and user: the numbers of their rows.
fn everyone(profile: &Profile) -> HashMap<(usize, String), Vec<u32>> {
    let mut known: HashMap<(usize, String), Vec<u32>> = HashMap::new();
    for (n, trunk) in profile.trunks.iter().enumerate() {
        for number in (0..trunk.agents.count()).step_by(copies_of(&trunk.agents) as usize) {
            known.entry((n, user_of(&trunk.agents, number).0)).or_default().push(saturating_u32(number));
        }
    }
    known
}

fn copies_of(agents: &TrunkAgents) -> u32 {
    match agents {
        TrunkAgents::Pattern { .. } => 1,
        TrunkAgents::Listed { list, .. } => list.copies().max(1),
    }
}

/// Trunk, number and copies of a user's n-th phone.
fn named_agent(
    profile: &Profile,
    known: &HashMap<(usize, String), Vec<u32>>,
    trunk: Option<usize>,
    user: &str,
    phone: u32,
) -> Result<(Option<usize>, u32, u32), String> {
    let trunks = trunk.map_or(0..profile.trunks.len(), |n| n..n + 1);
    let mut found = trunks.filter_map(|n| Some((n, known.get(&(n, user.to_owned()))?)));
    let Some((n, phones)) = found.next() else { return Err(format!("\"{user}\" is no agent")) };
    if found.next().is_some() {
        return Err(format!("\"{user}\" is an agent of several trunks, and the row names none in trunk_id"));
    }
    let number = phones
        .get(phone as usize - 1)
        .ok_or_else(|| format!("phone {phone} of \"{user}\", which has {} among the agents", phones.len()))?;
    Ok((Some(n), *number, copies_of(&profile.trunks[n].agents)))
}

/// The copies of a row follow it evenly up to the next row, within this: at one instant they would
/// be bursts that nobody recorded.
const SPREAD: Duration = Duration::from_secs(1);
const MOST_PROBLEMS: usize = 5;
