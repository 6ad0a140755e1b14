//! `regstorm sweep DIR`: removes the bindings that an earlier run left at its registrars, because
//! it was killed or its un-REGISTERs were not answered. `sweeping` does it.

use super::carriers::carriers;
use super::failure::{Exit, Failure};
use super::output::{check_holds_run, print, say};
use super::preflight::plan;
use super::report::results_of;
use super::sweeping::{SweepTarget, swept};
use super::targets::{TrunkTargets, look_up_all};
use crate::cli::SweepArgs;
use crate::diagnose::figures;
use crate::engine::Carrier;
use crate::net::clock::Clock;
use crate::plan::{Plan, RegistrarChoice, TrunkPlan};
use crate::record::Results;
use crate::report::sweep::{Sweep, render, render_json};
use crate::seed::Seed;
use crate::vocab::{AgentId, saturating_u32};

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
    let targets = targets(&mut plan)?;
    let (sweep, interrupted) = swept(&plan, &agents, &targets, Seed(results.header.seed), clock)?;
    print(&if args.json { render_json(&sweep) } else { render(&sweep) })?;
    Ok(match interrupted {
        Some(signal) => Exit::Signal(signal),
        None if sweep.is_clean() => Exit::Success,
        None => Exit::BindingsLeft,
    })
}

/// Whether the record knows of everything its agents have bound. Of a run that was killed the last
/// interval is missing, and of a sender thread that was lost its agents' last one.
pub(super) fn is_whole(results: &Results) -> bool {
    results.end.as_ref().is_some_and(|end| end.lost.is_none())
}

/// The agents that may have a binding: all that ever came, unless the run says that it left none.
/// Where the record is not whole, everybody may have come.
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
    let is_whole = is_whole(results);
    let is_clean = is_whole && figures::bindings_left(results).count == 0;
    if is_clean && !args.all {
        say("the run removed every binding it knew of; --all asks the registrar all the same");
        return Ok(Vec::new());
    }
    let came = results.agents.iter().enumerate().filter(|(_, agent)| agent.attempts > 0 || !is_whole);
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
