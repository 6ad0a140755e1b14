//! First contact with a registrar that is not on this machine: the plan before the act, a word from
//! whoever runs it, and one agent ahead of all others.
//!
//! On loopback nothing of this happens: nobody is harmed there.

use super::attended::attended;
use super::carriers::{carriers, showing};
use super::failure::Failure;
use super::output::say;
use super::prober::Prober;
use super::probing::register_as;
use super::route::ProbeRoute;
use super::targets::TrunkTargets;
use crate::agent::probe::ProbeRequest;
use crate::diagnose::readiness::{place, said};
use crate::net::clock::Clock;
use crate::plan::{AgentAccount, Plan};
use crate::profile::Profile;
use crate::report::explanation::{WIDTH, line_with_label};
use crate::vocab::Time;
use std::io::{self, BufRead, IsTerminal};
use std::net::SocketAddr;
use std::time::Duration;

/// How long the canary's request may stay unanswered: three transmissions.
const PATIENCE: Duration = Duration::from_millis(2_500);

/// The first account of each trunk, without what a `mix` makes an agent do wrong.
pub(super) fn accounts(profile: &Profile) -> Vec<Option<AgentAccount>> {
    profile.trunks.iter().map(|trunk| AgentAccount::of(trunk, 0)).collect()
}

/// The first address of each trunk beyond this machine, by trunk.
pub(super) fn distant(found: &[Option<TrunkTargets>]) -> Vec<Option<SocketAddr>> {
    let is_distant = |address: &SocketAddr| !address.ip().to_canonical().is_loopback();
    let of = |found: &TrunkTargets| found.places.iter().map(|place| place.address).find(is_distant);
    found.iter().map(|found| found.as_ref().and_then(of)).collect()
}

/// What is about to happen, and whether it may: on a terminal somebody says yes, elsewhere `--yes`
/// does.
///
/// # Errors
/// When nobody said yes; nothing was sent.
pub(super) fn consent(plan: &Plan, targets: &[Option<SocketAddr>], yes: bool, shown: bool) -> Result<(), Failure> {
    let asks = !yes && io::stdin().is_terminal() && io::stderr().is_terminal();
    if shown || asks {
        say("This goes to a registrar beyond this machine:");
        for (label, text) in plan.outlook(targets) {
            say(line_with_label(label, &text, WIDTH).trim_end());
        }
        let who = plan.contact.authorised_by.as_deref().unwrap_or("nobody is named ([safety] authorised_by)");
        say(line_with_label("agreed by", who, WIDTH).trim_end());
    }
    if yes {
        return Ok(());
    }
    if !asks {
        return Err(Failure::usage(
            "the registrar is beyond this machine, and nobody can be asked here: --yes says that its owner agreed; nothing \
             was sent",
        ));
    }
    say("Did its owner agree? Type yes to begin:");
    let mut line = String::new();
    let read = io::stdin().lock().read_line(&mut line);
    match read {
        Ok(_) if matches!(line.trim().to_lowercase().as_str(), "yes" | "y") => Ok(()),
        _ => Err(Failure::usage("nobody said yes; nothing was sent")),
    }
}

/// Registers one agent of each trunk beyond this machine and removes it again.
///
/// # Errors
/// When one is refused or not answered, wherever its trunk's name leads: the load would be as well.
pub(super) fn canaries(
    plan: &Plan,
    accounts: &[Option<AgentAccount>],
    found: &[Option<TrunkTargets>],
    clock: Clock,
) -> Result<(), Failure> {
    let prober = Prober::new(clock);
    let carriers = carriers(plan, None)?;
    let work = || {
        let targets = found.iter().zip(distant(found)).map(|(found, far)| found.as_ref().filter(|_| far.is_some()));
        let mut trunks = plan.trunks.iter().zip(accounts).zip(targets.zip(&carriers));
        trunks.try_for_each(|((trunk, account), (target, carrier))| {
            let (Some(account), Some(target)) = (account, target) else { return Ok(()) };
            let failed =
                |why: String| format!("trunk {}: the first agent, {}, did not register: {why}", trunk.id, account.user);
            let carrier =
                showing(carrier, trunk, account.certificate.as_ref()).map_err(|error| failed(error.to_string()))?;
            let mut route = ProbeRoute::new(carrier, trunk.source.first().copied(), target);
            let mut request = register_as(trunk, account, prober.call(), PATIENCE);
            let reached = route.exchange(&prober, &request, clock.now() + LONGEST).map_err(failed)?;
            let Some(reached) = reached else { return Err(failed("interrupted".to_owned())) };
            reached.lines().for_each(|line| say(&format!("trunk {}: the first agent: {line}", trunk.id)));
            let outcome = &reached.seen.outcome;
            if !outcome.is_granted() {
                let at = if route.leads_to_several() { format!(", at {}", reached.target) } else { String::new() };
                return Err(failed(format!("{}{}{at}", said(outcome), place(outcome))));
            }
            request = ProbeRequest { expires_s: 0, call: outcome.call, ..request };
            // Its lifetime ends what cannot be removed.
            drop(route.exchange(&prober, &request, Time::NEVER));
            Ok(())
        })
    };
    let (done, interrupted) = attended(&prober, work)?;
    done.map_err(|why| {
        Failure::could_not(format!(
            "{why}; the load was not begun.\nregstorm diagnose --live says why; [safety] canary = false begins without a \
             first agent"
        ))
    })?;
    match interrupted {
        Some(_) => Err(Failure::could_not("interrupted; the load was not begun")),
        None => Ok(()),
    }
}

/// The longest an exchange waits for its turn.
const LONGEST: Duration = Duration::from_secs(60);
