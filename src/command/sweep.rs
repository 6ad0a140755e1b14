//! `regstorm sweep DIR`: removes the bindings that an earlier run left at its registrars, because
//! it was killed or its un-REGISTERs were not answered.
//!
//! A phone that is gone cannot be asked which port it had. So each agent un-REGISTERs a Contact
//! that nobody ever bound; the 200 lists what is bound (RFC 3261 §10.3 step 8), and of that goes
//! what bears the agent's user at an address this machine sends from. Bindings of the same users at
//! other addresses are other people's phones: they are counted and left alone.

use super::attended::attended;
use super::carriers::{carriers, showing};
use super::failure::{Exit, Failure};
use super::output::{check_holds_run, print, say};
use super::preflight::plan;
use super::prober::Prober;
use super::probing::{register_of, source_of};
use super::report::results_of;
use super::route::ProbeRoute;
use super::side::side_by_side;
use super::targets::{TrunkTargets, look_up_all};
use crate::agent::probe::{ProbeEnd, ProbeOutcome, ProbeRequest};
use crate::cli::SweepArgs;
use crate::diagnose::figures;
use crate::engine::Carrier;
use crate::load::Schedule;
use crate::net::clock::Clock;
use crate::plan::{Plan, RegistrarChoice, TrunkPlan};
use crate::record::Results;
use crate::report::sweep::{Sweep, SweptTrunk, render, render_json};
use crate::seed::Seed;
use crate::sip::contact::Contact;
use crate::sip::uri::host_address;
use crate::vocab::{AgentId, Time, saturating_u32};
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

pub(super) fn execute(args: &SweepArgs) -> Result<Exit, Failure> {
    check_holds_run(&args.dir)?;
    let results = results_of(&args.dir)?;
    let agents = candidates(&results, args)?;
    if agents.is_empty() {
        print(&render(&Sweep::default()))?;
        return Ok(Exit::Success);
    }
    let mut plan = plan_of(&results, args)?;
    let clock = Clock::new();
    let prober = Prober::paced(clock, messages_per_second(&plan, &results));
    let targets = targets(&mut plan)?;
    let lots = lots(&plan, &agents);
    let silences: Vec<AtomicU32> = plan.trunks.iter().map(|_| AtomicU32::new(0)).collect();
    let (swept, interrupted) = attended(&prober, || {
        side_by_side(&lots, |lot| sweep_lot(&prober, &plan, lot, targets[lot.trunk].as_ref(), &silences[lot.trunk]))
    })?;
    let sweep = together(&plan, &lots, swept, &targets);
    print(&if args.json { render_json(&sweep) } else { render(&sweep) })?;
    Ok(match interrupted {
        Some(signal) => Exit::Signal(signal),
        None if sweep.is_clean() => Exit::Success,
        None => Exit::BindingsLeft,
    })
}

/// The agents that may have a binding: all that ever came, unless the run says that it left none.
/// Of a run that was killed the last interval is not known, so everybody may have come.
///
/// # Errors
/// When the run was no run, so that there is nothing of it at any registrar.
fn candidates(results: &Results, args: &SweepArgs) -> Result<Vec<AgentId>, Failure> {
    let none = |why: &str| Err(Failure::usage(format!("{}: {why}; there is nothing to sweep", args.dir.display())));
    if results.header.simulated {
        return none("this was a rehearsal in virtual time, which registers nobody");
    }
    if results.header.observed.is_some() {
        return none("these registrations were other people's, and only observed");
    }
    let is_clean = results.end.is_some() && figures::bindings_left(results).count == 0;
    if is_clean && !args.all {
        say("the run removed every binding it knew of; --all asks the registrar all the same");
        return Ok(Vec::new());
    }
    let came = results.agents.iter().enumerate().filter(|(_, agent)| agent.attempts > 0 || results.end.is_none());
    // Of a part of a run only its own agents: those of others are still where they are.
    let own = |agent: &AgentId| results.header.share.as_ref().is_none_or(|share| share.owns(agent.0));
    Ok(came.map(|(n, _)| AgentId(saturating_u32(n))).filter(own).collect())
}

/// The plan of the run, of the profile it was made with: no record holds a secret.
///
/// # Errors
/// When there is no such profile, or it means other agents by now.
fn plan_of(results: &Results, args: &SweepArgs) -> Result<Plan, Failure> {
    let header = &results.header;
    let path = args.profile.as_ref().map(|path| path.to_string_lossy().into_owned());
    let Some(path) = path.or_else(|| header.profile_path.clone()) else {
        return Err(Failure::usage("the record does not say which profile it was made with: name it with --profile"));
    };
    let (_, mut plan) = plan(&path, &args.sets)?;
    plan.draw(Seed(header.seed));
    let same_trunks = plan.trunks.iter().map(|trunk| &trunk.id).eq(header.trunks.iter().map(|trunk| &trunk.id));
    let same_users = plan.identities.iter().map(|identity| identity.user).eq(header.users.iter().map(String::as_str));
    if same_trunks && same_users {
        return Ok(plan);
    }
    Err(Failure::usage(format!(
        "{path} no longer means the agents of this run; nothing was sent. Undo what was changed in it, repeat the \
         --set of the run, or name the profile of the run with --profile"
    )))
}

/// As many as the run's own un-REGISTERs: its highest planned rate, ten agents a second at least,
/// and never more than `[safety]` allows.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "held within 32 bits")]
fn messages_per_second(plan: &Plan, results: &Results) -> u32 {
    let peak = Schedule::new(&plan.load, Seed(results.header.seed)).peak();
    let wanted = peak.max(FEWEST_AGENTS_PER_SECOND) * MESSAGES_PER_AGENT;
    (wanted.min(f64::from(plan.load.max_message_rate)) as u32).max(1)
}

/// Where each trunk is; `None` of one whose registrar ended with its run.
///
/// # Errors
/// As [`look_up_all`].
fn targets(plan: &mut Plan) -> Result<Vec<Option<SweepTarget>>, Failure> {
    let found = look_up_all(plan)?;
    let carriers = carriers(plan, None)?;
    let of = |((trunk, found), carrier): ((&TrunkPlan, Option<TrunkTargets>), Carrier)| match trunk.registrar {
        RegistrarChoice::Embedded => None,
        RegistrarChoice::Target(_) => found.map(|places| SweepTarget { places, carrier }),
    };
    Ok(plan.trunks.iter().zip(found).zip(carriers).map(of).collect())
}

/// Where a trunk's registrar is, and what its messages go over.
struct SweepTarget {
    places: TrunkTargets,
    carrier: Carrier,
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
