//! Doubts about a plan as a whole: arrivals that do not fit the agents, fences that the load would
//! meet, names that two trunks share. They refuse nothing.

use super::{EMBEDDED, account, user_of};
use crate::profile::{self, Profile, RetryPreset, Wrong};
use crate::vocab::{LoadStage, floor_u32};
use std::collections::{BTreeMap, HashMap};

pub(super) fn of_load(profile: &Profile, stages: &[LoadStage], arrivals: f64, agents: u32) -> Vec<String> {
    let mut doubts = Vec::new();
    // A replay's agents are counted one by one where its rows are read.
    let replays = stages.iter().any(|stage| matches!(stage, LoadStage::Replay { .. }));
    if !stages.is_empty() && !replays && arrivals < f64::from(agents) {
        let never = f64::from(agents) - arrivals;
        doubts.push(format!("the load plans {arrivals:.0} arrivals for {agents} agents: {never:.0} never arrive"));
    }
    let peak = stages.iter().map(|stage| stage.rates(0.0).1).fold(0.0, f64::max);
    let ceiling = profile.safety.max_message_rate;
    // A challenged handshake sends two requests.
    if peak * 2.0 > f64::from(ceiling) {
        doubts.push(format!(
            "safety.max_message_rate = {ceiling} is less than {peak} arrivals per second send (two REGISTERs each): \
             messages beyond it are refused and counted"
        ));
    }
    doubts.extend(stages.iter().find_map(|stage| match *stage {
        LoadStage::Avalanche { agents } => avalanche_doubt(profile, "an avalanche", agents),
        LoadStage::Outage { share, .. } => {
            // What a client's own pause spreads is no avalanche.
            let at_once = profile.trunks.iter().filter(|trunk| trunk.retry.preset != RetryPreset::Asterisk);
            let at_once: usize = at_once.map(|trunk| trunk.agents.count()).sum();
            avalanche_doubt(profile, "the return of an outage", floor_u32((share * at_once as f64).round()))
                .filter(|_| at_once > 0)
        }
        _ => None,
    }));
    doubts.extend(unknown_to_nobody(profile));
    doubts.extend(shared_names(profile));
    doubts
}

/// An avalanche meets the two fences at once, where a rate meets them only if it is too high.
fn avalanche_doubt(profile: &Profile, what: &str, agents: u32) -> Option<String> {
    let in_flight = profile.arrivals.max_in_flight;
    // What may go at once (see `load::admission`).
    let burst = profile.safety.max_message_rate / 10;
    if agents == 0 {
        Some(format!("{what} of less than half an agent is none"))
    } else if agents > in_flight {
        let shed = agents - in_flight;
        Some(format!("{what} of {agents} agents exceeds arrivals.max_in_flight = {in_flight}: {shed} are shed"))
    } else if agents > burst {
        Some(format!(
            "{what} of {agents} agents exceeds the {burst} messages that safety.max_message_rate lets pass at \
             once: the others are shed; raise it to {}",
            u64::from(agents) * 20
        ))
    } else {
        None
    }
}

/// A registrar that knows every user has no unknown ones.
fn unknown_to_nobody(profile: &Profile) -> Option<String> {
    let trunk = profile
        .trunks
        .iter()
        .find(|trunk| trunk.registrar == EMBEDDED && trunk.mix.iter().any(|mix| mix.wrong == Some(Wrong::User)))
        .filter(|trunk| account::known_users(profile).is_anybody(&trunk.domain))?;
    Some(format!(
        "trunk \"{}\": the embedded registrar takes any user with the right password, so wrong = \"user\" changes \
         nothing there",
        trunk.id
    ))
}

/// The same user in the same domain on two trunks is one address of record.
fn shared_names(profile: &Profile) -> Option<String> {
    let mut trunks_of = HashMap::<&str, u32>::new();
    for trunk in &profile.trunks {
        *trunks_of.entry(&trunk.domain).or_default() += 1;
    }
    let mut names = BTreeMap::new();
    let shared = |trunk: &profile::TrunkProfile| trunks_of[trunk.domain.as_str()] > 1;
    for (n, trunk) in profile.trunks.iter().enumerate().filter(|(_, trunk)| shared(trunk)) {
        for number in 0..trunk.agents.count() {
            let user = user_of(&trunk.agents, number).0;
            // Twice on one trunk is what the profile itself has warned of.
            if names.insert((trunk.domain.as_str(), user.clone()), n).is_some_and(|before| before != n) {
                return Some(format!(
                    "trunk \"{}\": {user}@{} is an agent of another trunk too",
                    trunk.id, trunk.domain
                ));
            }
        }
    }
    None
}
