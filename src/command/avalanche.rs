//! `regstorm simulate PROFILE --avalanche`: the same outage for each client, with and without
//! refresh jitter, in virtual time; a table, `avalanche.csv` and a page to compare them.

use super::failure::{Exit, Failure};
use super::output::{RunDirectory, name_of, print, write_files};
use super::simulate::{ONE_WAY, plan, wordings};
use super::stop::StopFlag;
use crate::agent::{Refresh, RetryPolicy, TrunkPolicy};
use crate::cli::SimulateArgs;
use crate::diagnose::avalanche::{Comeback, Failures, Occasion};
use crate::link::{Delay, LinkConfig};
use crate::load::{LoadConfig, Outage};
use crate::net::clock::Clock;
use crate::plan::Plan;
use crate::registrar::{Fault, FaultKind};
use crate::report::avalanche::{self, Setting};
use crate::seed::Seed;
use crate::sim::{World, WorldConfig};
use crate::vocab::{AgentId, LoadStage, RunTag, floor_u32, saturating_u32};
use std::ops::ControlFlow;
use std::time::Duration;

/// The clients compared, by the names of their presets.
const CLIENTS: [RetryPolicy; 4] = [RetryPolicy::RFC, RetryPolicy::PJSUA, RetryPolicy::ASTERISK, RetryPolicy::HAMMER];

/// The outage of a profile that has none.
const OUTAGE: (f64, Duration) = (1.0, Duration::from_secs(60));

/// Its own ceiling would spoil what is asked for: what the agents would send.
const NO_CEILING: u32 = 100_000_000;

/// It also marks the directory as taken.
const CSV: &str = "avalanche.csv";

/// No interval is kept; they only have to be short beside the lifetimes that matter.
const INTERVAL: Duration = Duration::from_secs(10);

pub(super) fn execute(args: &SimulateArgs) -> Result<Exit, Failure> {
    let plan = &plan(args)?;
    let seed = Seed(plan.seed.unwrap_or_else(super::random));
    let rehearsal = Rehearsal::of(plan);
    let stamp = super::stamp(Clock::new().unix_ns());
    let name = name_of(&plan.name, "avalanche");
    let (directory, _) = RunDirectory::create_with(CSV, args.out.as_deref(), &name, &stamp)?;
    let cases = CLIENTS.into_iter().flat_map(|client| [(client, true), (client, false)]);
    let stop = StopFlag::listen(Clock::new())?;
    let mut comebacks: Vec<Comeback> = Vec::new();
    for (client, jitter) in cases {
        comebacks.push(rehearsal.carry_out(plan, seed, &client, jitter));
        // Half a comparison is none.
        if let Some(signal) = stop.raised() {
            directory.discard();
            return Ok(Exit::Signal(signal));
        }
    }
    let setting = Setting {
        name: plan.name.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        agents: plan.identities.len() as u64,
        share: rehearsal.share,
        outage: rehearsal.lasts,
        lifetime: rehearsal.lifetime,
        seed: seed.0,
        registrar: rehearsal.faults.iter().map(|fault| in_words(&fault.kind)).collect(),
    };
    let files =
        [("avalanche.csv", avalanche::csv(&comebacks)), ("avalanche.html", avalanche::html(&setting, &comebacks))];
    write_files(directory.path(), &files)?;
    if args.shown.json {
        print(&String::from_utf8_lossy(&avalanche::json(&setting, &comebacks)))?;
    } else {
        let place = directory.path().display();
        print(&format!(
            "{}\nfiles  {place} (avalanche.csv, avalanche.html)\n",
            avalanche::table(&setting, &comebacks)
        ))?;
    }
    Ok(Exit::Success)
}

/// What is the same for each client.
struct Rehearsal {
    share: f64,
    lasts: Duration,
    /// The longest lifetime granted on any trunk.
    lifetime: Duration,
    faults: Vec<Fault>,
}

impl Rehearsal {
    fn of(plan: &Plan) -> Rehearsal {
        let outage = plan.load.stages.iter().find_map(|stage| match *stage {
            LoadStage::Outage { share, lasts } => Some((share, lasts)),
            _ => None,
        });
        let (share, lasts) = outage.unwrap_or(OUTAGE);
        let asked = plan.trunks.iter().map(|trunk| trunk.policy.expires_s).max().unwrap_or(0);
        let lifetime = asked.clamp(plan.registrar.min_expires_s.max(1), plan.registrar.max_expires_s.max(1));
        // Windows count from the start of another load than this one.
        let whole = |fault: &&Fault| fault.from.is_zero() && fault.until.is_none();
        let mut faults: Vec<Fault> = plan.registrar.faults.iter().filter(whole).cloned().collect();
        let limited = faults.iter().any(|fault| matches!(fault.kind, FaultKind::Rate { .. }));
        if let Some(per_second) = plan.expect.registrations_per_second.filter(|_| !limited) {
            faults.push(stated(per_second));
        }
        Rehearsal { share, lasts, lifetime: Duration::from_secs(lifetime.into()), faults }
    }

    /// Agents arrive evenly over a lifetime, so that their refreshes are spread when the power
    /// goes; then comes the outage, and the time in which what returned together falls due.
    fn stages(&self, agents: usize) -> Vec<LoadStage> {
        let rate = agents as f64 / self.lifetime.as_secs_f64();
        vec![
            LoadStage::Rate { per_second: rate, lasts: self.lifetime },
            LoadStage::Outage { share: self.share, lasts: self.lasts },
            LoadStage::Hold { lasts: self.lifetime.mul_f64(4.0 / 3.0) },
        ]
    }

    fn carry_out(&self, plan: &Plan, seed: Seed, client: &RetryPolicy, jitter: bool) -> Comeback {
        let agents = plan.identities.len();
        let outage = Outage { from: self.lifetime, until: self.lifetime + self.lasts, share: self.share };
        let hit = (0..saturating_u32(agents)).filter(|&agent| outage.hits(seed, 0, AgentId(agent))).count();
        let nanos = |span: Duration| u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
        let occasion = Occasion {
            off_ns: nanos(outage.from),
            back_ns: nanos(outage.until),
            lifetime_ns: nanos(self.lifetime),
            agents: hit as u64,
        };
        let world = World::new(WorldConfig {
            seed,
            identities: plan.identities.clone(),
            policies: plan
                .trunks
                .iter()
                .map(|trunk| &trunk.policy)
                .chain(&plan.variants)
                .map(|policy| TrunkPolicy {
                    retry: behaviour(client, jitter),
                    reuse_nonce: client.reuse_nonce,
                    ..policy.clone()
                })
                .collect(),
            load: LoadConfig {
                stages: self.stages(agents),
                max_in_flight: u32::MAX,
                max_message_rate: NO_CEILING,
                max_connect_rate: NO_CEILING,
                ..plan.load.clone()
            },
            workers: 1,
            sources: plan.trunks.iter().map(|trunk| trunk.source.clone()).collect(),
            // What comes back after an outage comes back to one machine.
            places: Vec::new(),
            wordings: wordings(plan),
            interval: INTERVAL,
            warmup: Duration::ZERO,
            run: RunTag(seed.0),
            drain: Duration::ZERO,
            unregister_rate: None,
            link: LinkConfig { delay: Some(Delay::Fixed(ONE_WAY)), drop: 0.0 },
            registrar: crate::registrar::Config { faults: self.faults.clone(), ..plan.registrar.clone() },
        });
        let mut failures = Failures::default();
        let outcome = world.run_into(&mut |interval| {
            failures.add(&occasion, &interval);
            ControlFlow::Continue(())
        });
        Comeback::of((client.preset, jitter), &occasion, &outcome.returns, failures, &outcome.traffic)
    }
}

/// A client's own refresh has no jitter; with it, all refresh at the trunk's `refresh_at`, spread.
fn behaviour(client: &RetryPolicy, jitter: bool) -> RetryPolicy {
    let refresh = match client.refresh {
        _ if jitter => Refresh::Share,
        Refresh::Share => Refresh::Exactly,
        own => own,
    };
    RetryPolicy { refresh, ..*client }
}

/// A registrar that keeps to the rate somebody stated.
fn stated(per_second: f64) -> Fault {
    Fault {
        kind: FaultKind::Rate {
            per_second,
            burst: floor_u32(per_second.ceil().clamp(1.0, f64::from(u32::MAX))),
            code: 503,
            reason: "Service Unavailable".into(),
            retry_after_s: None,
        },
        from: Duration::ZERO,
        until: None,
        share: 1.0,
        sources: Vec::new(),
        addresses: Vec::new(),
        domain: None,
    }
}

fn in_words(fault: &FaultKind) -> String {
    match fault {
        FaultKind::Rate { per_second, code, .. } => format!("more than {per_second} registrations/s get {code}"),
        FaultKind::Limit { concurrent, code, .. } => format!("more than {concurrent} agents at once get {code}"),
        FaultKind::Refuse { code, .. } | FaultKind::Deny { code, .. } => format!("some get {code}"),
        FaultKind::Drop { probability } => format!("{} % of the packets are lost", probability * 100.0),
        _ => "the profile's other faults".to_owned(),
    }
}
