//! `diagnose --live PROFILE`: finds a failing agent and experiments on it until its refusal is
//! explained.

use super::bench::{Bench, RealLine};
use super::interrupt::Interrupt;
use crate::cli::DiagnoseArgs;
use crate::command::carriers::{carriers, showing};
use crate::command::failure::{Exit, Failure, span_of};
use crate::command::output::{print, say};
use crate::command::probing::source_of;
use crate::command::registrar::{address_of, embedded};
use crate::command::source::DiskSource;
use crate::command::targets::{TrunkTargets, resolve_all};
use crate::diagnose::experiment::{ExperimentConclusion, Investigation, NextMove, Trial, TrialOutcome};
use crate::engine::Carrier;
use crate::load::Pace;
use crate::net::clock::Clock;
use crate::plan::Plan;
use crate::profile::{self, ProfileError};
use crate::report::experiments::{self, Patient};
use crate::seed::Seed;
use crate::sip::Timers;
use crate::vocab::{AgentId, saturating_u32};
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

/// Attempts per second at most: these are experiments on one account, not a load.
const FASTEST: f64 = 20.0;
/// Agents tried in search of one that fails, at most.
const AGENTS_TRIED: usize = 20;

pub(super) fn execute(profile: &Path, args: &DiagnoseArgs) -> Result<Exit, Failure> {
    let pace = pace(args.rate)?;
    let patience = patience(&args.timeout)?;
    let profile = profile::load(&DiskSource, &profile.to_string_lossy(), &args.sets)?;
    let mut plan = Plan::new(&profile)?;
    require_agents(&plan)?;
    for warning in &plan.warnings {
        say(&format!("warning: {warning}"));
    }
    let clock = Clock::new();
    // Calls must be new to the registrar each time, whatever the profile's seed; the embedded
    // registrar must not.
    let embedded_seed = Seed(plan.seed.unwrap_or_else(crate::command::random));
    let agents = chosen(&plan, args.agent.as_deref())?;
    let server = embedded(&plan, embedded_seed, clock, clock.now())?;
    let embedded_at = address_of(&plan, server.as_ref());
    let found = resolve_all(&mut plan, embedded_at)?;
    let seed = Seed(crate::command::random_word());
    let carriers = carriers(&plan, server.as_ref())?;
    let ward = Ward {
        plan: &plan,
        targets: &found,
        carriers: &carriers,
        clock,
        patience,
        seed,
        interrupt: Interrupt::watch(clock)?,
    };
    let found = ward.visit(&agents, pace)?;
    drop(server);
    match found {
        Visit::Interrupted(signal) => Ok(Exit::Signal(signal)),
        Visit::Ended(found) => {
            found.print(args.json)?;
            Ok(match found.conclusion {
                ExperimentConclusion::Healthy { .. } | ExperimentConclusion::Explained(_) => Exit::Success,
                ExperimentConclusion::Open(_) => Exit::CausesOpen,
            })
        }
    }
}

/// How a visit ended.
enum Visit {
    Ended(Box<EndedVisit>),
    /// By this signal, between two attempts.
    Interrupted(i32),
}

/// What a visit found.
struct EndedVisit {
    case: Option<(Patient, Investigation)>,
    conclusion: ExperimentConclusion,
}

impl EndedVisit {
    fn print(&self, json: bool) -> Result<(), Failure> {
        let (patient, investigation) = self.case.as_ref().map(|(patient, seen)| (patient, seen)).unzip();
        match self.case.as_ref().filter(|_| !json) {
            _ if json => print(&experiments::render_json(patient, investigation, &self.conclusion)),
            Some((patient, investigation)) => print(&experiments::table(patient, investigation, &self.conclusion)),
            None => print(&format!("{}\n", self.conclusion)),
        }
    }
}

/// Everything the agents have in common.
struct Ward<'a> {
    plan: &'a Plan,
    targets: &'a [TrunkTargets],
    carriers: &'a [Carrier],
    clock: Clock,
    patience: Duration,
    seed: Seed,
    interrupt: Interrupt,
}

impl Ward<'_> {
    /// Goes from agent to agent, and stays with the first that is refused.
    fn visit(&self, agents: &[AgentId], mut pace: Pace) -> Result<Visit, Failure> {
        let mut call = 0;
        for &agent in agents {
            let trunk = self.plan.identities.get(agent).trunk.index();
            let places = self.targets[trunk].addresses();
            for (n, &target) in places.iter().enumerate() {
                let mut bench = self.bench(agent, target, pace, call)?;
                let first = bench.attempt(&Trial::Baseline)?;
                self.say(agent, &Trial::Baseline, &first);
                if let Some(signal) = self.interrupt.signal() {
                    return Ok(Visit::Interrupted(signal));
                }
                match places.get(n + 1) {
                    // As its attempt in a run would go on.
                    Some(next) if first.leads_on() => {
                        let user = self.plan.identities.get(agent).user;
                        say(&format!("{user}: {target}: {first}; {next} is tried next"));
                        (pace, call) = bench.into_pace();
                    }
                    _ if !first.is_granted() => return self.investigate(agent, &mut bench, first),
                    _ => {
                        (pace, call) = bench.into_pace();
                        break;
                    }
                }
            }
        }
        let conclusion = ExperimentConclusion::Healthy { agents: saturating_u32(agents.len()) };
        Ok(Visit::Ended(Box::new(EndedVisit { case: None, conclusion })))
    }

    fn bench(&self, agent: AgentId, target: SocketAddr, pace: Pace, call: u64) -> Result<Bench<'_, RealLine>, Failure> {
        let identity = self.plan.identities.get(agent);
        let trunk = &self.plan.trunks[identity.trunk.index()];
        let over = showing(&self.carriers[identity.trunk.index()], trunk, trunk.certificate(identity.number))?;
        let line = RealLine::open(over, source_of(self.plan, agent), target, self.clock).map_err(Failure::could_not)?;
        Ok(Bench::new(self.plan, agent, (line, target), pace, self.patience, (self.seed, call)))
    }

    fn investigate(
        &self,
        agent: AgentId,
        bench: &mut Bench<'_, RealLine>,
        first: TrialOutcome,
    ) -> Result<Visit, Failure> {
        let subject = bench.subject();
        let mut investigation = Investigation::new(&subject, first);
        let conclusion = loop {
            if let Some(signal) = self.interrupt.signal() {
                return Ok(Visit::Interrupted(signal));
            }
            match investigation.next() {
                NextMove::Conclude(conclusion) => break conclusion,
                NextMove::Try(trial) => {
                    let observation = bench.attempt(&trial)?;
                    self.say(agent, &trial, &observation);
                    investigation.record(observation);
                }
            }
        };
        if bench.left_behind() > 0 {
            say(&format!(
                "warning: {} bindings could not be removed; they end with their lifetime",
                bench.left_behind()
            ));
        }
        let identity = self.plan.identities.get(agent);
        let patient = Patient {
            user: subject.user,
            trunk: self.plan.trunks[identity.trunk.index()].id.clone(),
            domain: subject.domain,
            target: subject.target.to_string(),
            local: subject.local.to_string(),
        };
        Ok(Visit::Ended(Box::new(EndedVisit { case: Some((patient, investigation)), conclusion })))
    }

    /// One line per attempt as it ends, since the pace is slow.
    fn say(&self, agent: AgentId, trial: &Trial, observation: &TrialOutcome) {
        let user = self.plan.identities.get(agent).user;
        match trial {
            Trial::Baseline => say(&format!("{user}: unchanged: {observation}")),
            Trial::Changed(change) => say(&format!("{user}: {change}: {observation}")),
        }
    }
}

fn pace(rate: f64) -> Result<Pace, Failure> {
    if rate > FASTEST {
        return Err(Failure::usage(format!(
            "--rate {rate}: at most {FASTEST} attempts per second; these are experiments on one account, not a load"
        )));
    }
    // The slowest still ends within a day.
    if rate.is_nan() || rate < 0.001 {
        return Err(Failure::usage(format!("--rate {rate}: at least 0.001 attempts per second")));
    }
    Ok(Pace::new(rate))
}

fn patience(text: &str) -> Result<Duration, Failure> {
    let span = span_of("--timeout", text)?;
    if span.is_zero() || span > Timers::DEFAULT.f() {
        return Err(Failure::usage(format!("--timeout {text}: must be above 0s and at most 32s (Timer F)")));
    }
    Ok(span)
}

fn require_agents(plan: &Plan) -> Result<(), ProfileError> {
    if plan.identities.is_empty() {
        let remedy = "add a [[trunk]] with id, registrar, domain and agents".to_owned();
        return Err(ProfileError::whole(&plan.profile_path, "diagnose --live needs an agent", Some(remedy)));
    }
    Ok(())
}

/// The agents to try in order: the one asked for, or the first ones of the run.
fn chosen(plan: &Plan, user: Option<&str>) -> Result<Vec<AgentId>, Failure> {
    let all = (0..saturating_u32(plan.identities.len())).map(AgentId);
    let Some(user) = user else {
        // From the first to the last, evenly: what was never set up is often one stretch of the
        // list.
        let (last, tried) = (plan.identities.len() - 1, AGENTS_TRIED.min(plan.identities.len()));
        let place = |n: usize| AgentId(saturating_u32(n * last / (tried - 1).max(1)));
        return Ok((0..tried).map(place).collect());
    };
    let named: Vec<AgentId> = all.filter(|agent| plan.identities.get(*agent).user == user).collect();
    match named.as_slice() {
        [] => Err(Failure::usage(format!(
            "--agent {user}: there is no such user in {}; its first agent is {}",
            plan.profile_path,
            plan.identities.get(AgentId(0)).user
        ))),
        [first, ..] => Ok(vec![*first]),
    }
}
