//! Removing what agents left bound, by asking their registrars.
//!
//! A phone that is gone cannot be asked which port it had. So each agent un-REGISTERs a Contact
//! that nobody ever bound; the 200 lists what is bound (RFC 3261 §10.3 step 8), and of that goes
//! what bears the agent's user at an address this machine sends from. Bindings of the same users at
//! other addresses are other people's phones: they are counted and left alone.

use super::attended::attended;
use super::carriers::showing;
use super::failure::Failure;
use super::output::say;
use super::prober::Prober;
use super::probing::{register_of, source_of};
use super::route::ProbeRoute;
use super::side::side_by_side;
use super::targets::TrunkTargets;
use crate::agent::probe::{ProbeEnd, ProbeOutcome, ProbeRequest};
use crate::engine::Carrier;
use crate::load::Schedule;
use crate::net::clock::Clock;
use crate::plan::Plan;
use crate::report::sweep::{Sweep, SweptTrunk};
use crate::seed::Seed;
use crate::sip::contact::Contact;
use crate::sip::uri::host_address;
use crate::vocab::{AgentId, Time};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// How long a request may stay unanswered: three transmissions.
const PATIENCE: Duration = Duration::from_millis(2_500);
/// So many requests in a row without an answer, and a trunk is asked nothing more: its registrar is
/// gone, or shuts us out.
const SILENCES: u32 = 4;
/// Agents that share a local port, one after another.
const SHARE: usize = 64;
/// What an agent's exchanges send: a request and its credentials, to ask and to remove.
const MESSAGES_PER_AGENT: f64 = 4.0;
const FEWEST_AGENTS_PER_SECOND: f64 = 10.0;

/// Asks for what these agents have bound, and removes it; the number of the signal that ended it.
pub(super) fn swept(
    plan: &Plan,
    agents: &[AgentId],
    targets: &[Option<SweepTarget>],
    seed: Seed,
    clock: Clock,
) -> Result<(Sweep, Option<i32>), Failure> {
    let prober = Prober::paced(clock, messages_per_second(plan, seed));
    let lots = lots(plan, agents);
    let silences: Vec<AtomicU32> = plan.trunks.iter().map(|_| AtomicU32::new(0)).collect();
    let (swept, interrupted) = attended(&prober, || {
        side_by_side(&lots, |lot| sweep_lot(&prober, plan, lot, targets[lot.trunk].as_ref(), &silences[lot.trunk]))
    })?;
    Ok((together(plan, &lots, swept, targets), interrupted))
}

/// Sweeps what agents of lost sender threads may have bound, while the run that lost them still
/// knows where its registrars are. How many were removed, and how many may be left: of
/// `known_bound`, as many as nobody could ask about.
///
/// # Errors
/// When what carries messages cannot be set up.
pub(super) fn sweep_lost(
    plan: &Plan,
    (agents, known_bound): (&[AgentId], u64),
    targets: Vec<(TrunkTargets, Carrier)>,
    seed: Seed,
    clock: Clock,
) -> Result<(u64, u64), Failure> {
    let targets: Vec<_> = targets.into_iter().map(|(places, carrier)| Some(SweepTarget { places, carrier })).collect();
    let (sweep, _) = swept(plan, agents, &targets, seed, clock)?;
    Ok((sweep.removed(), sweep.may_be_left(known_bound)))
}

/// As many as the run's own un-REGISTERs: its highest planned rate, ten agents a second at least,
/// and never more than `[safety]` allows.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "held within 32 bits")]
fn messages_per_second(plan: &Plan, seed: Seed) -> u32 {
    let peak = Schedule::new(&plan.load, seed).peak();
    let wanted = peak.max(FEWEST_AGENTS_PER_SECOND) * MESSAGES_PER_AGENT;
    (wanted.min(f64::from(plan.load.max_message_rate)) as u32).max(1)
}

/// Where a trunk's registrar is, and what its messages go over.
pub(super) struct SweepTarget {
    pub(super) places: TrunkTargets,
    pub(super) carrier: Carrier,
}

/// Agents of one trunk and one local address.
struct Lot {
    trunk: usize,
    source: Option<IpAddr>,
    agents: Vec<AgentId>,
}

fn lots(plan: &Plan, agents: &[AgentId]) -> Vec<Lot> {
    let mut by_way: BTreeMap<(usize, Option<IpAddr>), Vec<AgentId>> = BTreeMap::new();
    for &agent in agents {
        let trunk = plan.identities.get(agent).trunk.index();
        by_way.entry((trunk, source_of(plan, agent))).or_default().push(agent);
    }
    let lots = by_way.iter().flat_map(|(&(trunk, source), agents)| {
        // A connection shows one agent's certificate.
        let share = if plan.trunks[trunk].certificates.is_empty() { SHARE } else { 1 };
        agents.chunks(share).map(move |agents| Lot { trunk, source, agents: agents.to_vec() })
    });
    lots.collect()
}

/// Asks and removes, one agent after another over one local port.
fn sweep_lot(
    prober: &Prober,
    plan: &Plan,
    lot: &Lot,
    target: Option<&SweepTarget>,
    silences: &AtomicU32,
) -> SweptTrunk {
    let mut swept = SweptTrunk::default();
    let Some(SweepTarget { places, carrier }) = target else { return swept };
    let trunk = &plan.trunks[lot.trunk];
    let number = lot.agents.first().map(|agent| plan.identities.get(*agent).number);
    let certificate = number.and_then(|number| trunk.certificate(number));
    let carrier = match showing(carrier, trunk, certificate) {
        Ok(carrier) => carrier,
        Err(unusable) => {
            swept.unasked(lot.agents.len() as u64, unusable.to_string());
            return swept;
        }
    };
    let mut route = ProbeRoute::new(carrier, lot.source, places);
    for (n, &agent) in lot.agents.iter().enumerate() {
        let rest = (lot.agents.len() - n) as u64;
        if silences.load(Ordering::Relaxed) >= SILENCES {
            swept.unasked(rest, NOT_ANSWERED.to_owned());
            return swept;
        }
        // A prober that was stopped begins nothing more.
        let until = prober.clock.now() + LONGEST;
        let request = register_of(plan, agent, prober.call(), PATIENCE);
        let request = ProbeRequest { expires_s: 0, ..request };
        let outcome = match route.exchange(prober, &request, until) {
            Ok(Some(reached)) => {
                reached.lines().for_each(|line| say(&format!("trunk {}: {line}", trunk.id)));
                reached.seen.outcome
            }
            Ok(None) => {
                swept.unasked(rest, "interrupted".to_owned());
                return swept;
            }
            Err(why) => {
                swept.unasked(rest, why);
                return swept;
            }
        };
        match outcome.answer() {
            Some(_) => silences.store(0, Ordering::Relaxed),
            None => _ = silences.fetch_add(1, Ordering::Relaxed),
        }
        match (&outcome.end, outcome.answer()) {
            (&ProbeEnd::Answered, Some(answer)) if outcome.is_granted() => {
                swept.asked += 1;
                let local = route.local_ip();
                let (own, others) = listed(&answer.contacts, &request.user, local);
                swept.elsewhere += others;
                for contact in own {
                    swept.found += 1;
                    let removal = removal(&request, &outcome, contact, trunk.transport().uri_parameter());
                    let gone = route.exchange(prober, &removal, Time::NEVER).ok().flatten();
                    swept.removed += u64::from(gone.is_some_and(|gone| gone.seen.outcome.is_granted()));
                }
            }
            (&ProbeEnd::Answered, Some(answer)) => swept.unasked(1, format!("{} {}", answer.code, answer.reason)),
            _ => swept.unasked(1, NOT_ANSWERED.to_owned()),
        }
    }
    swept
}

const NOT_ANSWERED: &str = "not answered";

/// Longer than any sweep lasts.
const LONGEST: Duration = Duration::from_secs(86_400);

/// What stands behind the `@` of a Contact of this user at this address, and how many there are at
/// others.
fn listed<'c>(contacts: &'c [(String, Option<u32>)], user: &str, local: Option<IpAddr>) -> (Vec<&'c str>, u64) {
    let (mut own, mut others) = (Vec::new(), 0);
    for (uri, _) in contacts.iter().filter(|(_, expires)| *expires != Some(0)) {
        let address = Contact { uri: uri.as_bytes(), expires: None }.address();
        let at = address.and_then(|(found, host)| Some((std::str::from_utf8(found).ok()?, host_address(host)?)));
        match (at, uri.split_once('@')) {
            // What is written back into a request is one word.
            (Some((found, host)), Some((_, behind)))
                if found == user
                    && Some(host) == local
                    && behind.bytes().all(|b| b.is_ascii_graphic() && b != b'>') =>
            {
                own.push(behind);
            }
            _ => others += 1,
        }
    }
    (own, others)
}

/// The removal of a Contact, letter by letter as it is listed: a registrar may compare all of it.
fn removal(asked: &ProbeRequest, outcome: &ProbeOutcome, contact: &str, transport: Option<&str>) -> ProbeRequest {
    // What the request writes behind the address by itself.
    let suffix = transport.map(|transport| format!(";transport={transport}"));
    let host = suffix.and_then(|suffix| contact.strip_suffix(suffix.as_str())).unwrap_or(contact);
    ProbeRequest { contact_host: Some(host.to_owned()), call: outcome.call, ..asked.clone() }
}

fn together(plan: &Plan, lots: &[Lot], swept: Vec<SweptTrunk>, targets: &[Option<SweepTarget>]) -> Sweep {
    let mut sweep = Sweep::default();
    for (trunk, target) in plan.trunks.iter().zip(targets) {
        let registrar_ended = target.is_none();
        sweep.trunks.push(SweptTrunk { trunk_id: trunk.id.clone(), registrar_ended, ..SweptTrunk::default() });
    }
    for (lot, swept) in lots.iter().zip(swept) {
        sweep.trunks[lot.trunk].add(swept);
    }
    sweep
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machines_phones_of_this_user_are_taken() {
        let local: Option<IpAddr> = "127.0.0.1".parse().ok();
        let contact = |uri: &str| (uri.to_owned(), Some(60));
        let contacts = [
            contact("sip:u7@127.0.0.1:40001"),
            contact("sip:u7@127.0.0.1:40002;transport=tcp;ob"),
            contact("sip:u7@127.0.0.2:40001"),
            contact("sip:u70@127.0.0.1:40001"),
            contact("sip:u7@phone.test"),
            contact("sip:u7@127.0.0.1:40001;x=\r\n y"),
            ("sip:u7@127.0.0.1:40009".to_owned(), Some(0)),
        ];
        let (own, others) = listed(&contacts, "u7", local);
        assert_eq!(own, ["127.0.0.1:40001", "127.0.0.1:40002;transport=tcp;ob"]);
        assert_eq!(others, 4);
        let contacts = [contact("sip:u7@[::1]:5060")];
        let (own, others) = listed(&contacts, "u7", "::1".parse().ok());
        assert_eq!((own, others), (vec!["[::1]:5060"], 0));
    }
}
