//! `regstorm simulate`: a run in virtual time, from profile to files, without a packet or a clock.

use super::assemble::USER_AGENT;
use super::failure::{Exit, Failure, span_of};
use super::output::{RunDirectory, name_of, print, say, write_files};
use super::report::{Derived, Shown, derive};
use super::run::header;
use super::run_watch::FailureFile;
use super::share::profile_digest;
use super::source::RehearsalSource;
use super::stop::StopFlag;
use super::targets::{TrunkTargets, by_profile};
use super::threads::sender_threads;
use super::{assemble::RunFrame, run};
use crate::cli::SimulateArgs;
use crate::diagnose::dry_run::{Machine, Rehearsed};
use crate::diagnose::{AbortWatch, DryRun};
use crate::link::{Delay, LinkConfig};
use crate::load::{Schedule, Share};
use crate::measure::Interval;
use crate::net::clock::Clock;
use crate::net::{descriptors, usage};
use crate::plan::{Plan, TrunkPlan};
use crate::profile;
use crate::record::{End, Header, Results, ShareHeader, Writer};
use crate::registrar::Registrar;
use crate::report::{self, run_json};
use crate::seed::{Purpose, Seed};
use crate::sim::{self, Opposite, SimOutcome, Wording, World, WorldConfig};
use crate::vocab::{ContactHost, LoadStage, RunTag, Stage, Time};
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

/// One way between agents and registrar in a rehearsal: a fast local network.
pub(super) const ONE_WAY: Duration = Duration::from_micros(100);

/// 2000-01-01T00:00:00Z: when every rehearsal begins, so that the same seed gives the same bytes.
const BEGINS_UNIX_NS: i64 = 946_684_800_000_000_000;

pub fn execute(args: &SimulateArgs) -> Result<Exit, Failure> {
    let mut plan = plan(args)?;
    if let Some(lasts) = &args.lasts {
        lengthen(&mut plan, lasts)?;
    }
    let seed = Seed(plan.seed.unwrap_or_else(super::random));
    let stamp = super::stamp(Clock::new().unix_ns());
    let (directory, file) = RunDirectory::create(args.out.as_deref(), &name_of(&plan.name, "rehearsal"), &stamp)?;
    let unwritable = |error: io::Error| Failure::could_not(format!("the record cannot be written: {error}"));
    let link = LinkConfig { delay: Some(Delay::Fixed(ONE_WAY)), drop: 0.0 };
    let stop = StopFlag::listen(Clock::new())?;
    let registrar = Box::new(Registrar::new(plan.registrar.clone(), seed, sim::START));
    let outcome = rehearse_until(&mut plan, seed, link, registrar, file, &|| stop.raised()).map_err(unwritable)?;
    let mut failures = FailureFile::new(directory.path(), &plan, sim::START, BEGINS_UNIX_NS);
    failures.append(&outcome.failures).map_err(unwritable)?;
    let derived = derive(directory.path())?;
    let dry_run = dry_run(&plan, &derived.results, &outcome);
    write_files(directory.path(), &[("dry-run.json", report::dry_run::render(&dry_run))])?;
    let shown = Shown::of(args.shown);
    if shown == Shown::Json {
        let Derived { results, judgement, findings, .. } = &derived;
        let document = run_json::render_rehearsal(results, judgement, findings, &dry_run);
        print(&String::from_utf8_lossy(&document))?;
    } else {
        derived.print(directory.path(), shown)?;
        if shown == Shown::Summary {
            print(&report::dry_run::lines(&dry_run))?;
        }
    }
    let interrupted_by = derived.results.end.as_ref().and_then(|end| end.interrupted_by);
    Ok(Exit::of_run(derived.judgement.verdict, interrupted_by))
}

/// The plan of the profile that is to be rehearsed.
pub(super) fn plan(args: &SimulateArgs) -> Result<Plan, Failure> {
    let source = RehearsalSource::default();
    let plan = Plan::new(&profile::load(&source, &args.profile.to_string_lossy(), &args.sets)?)?;
    for doubt in source.doubts() {
        say(&format!("warning: {doubt}"));
    }
    plan.require_load()?;
    Ok(plan)
}

/// What a run of the plan would ask for, on this machine.
fn dry_run(plan: &Plan, results: &Results, outcome: &SimOutcome) -> DryRun {
    let sockets = plan.sockets(Share::whole(sender_threads(plan))).into_iter();
    let name = |address: Option<IpAddr>| address.map_or_else(|| "*".to_owned(), |address| address.to_string());
    let machine = Machine {
        sockets: sockets.map(|(address, sockets)| (name(address), sockets)).collect(),
        ports: descriptors::ephemeral_ports(),
        other_descriptors: run::OTHER_DESCRIPTORS,
        // Unreadable is as good as none: the run itself would refuse to begin.
        descriptors: descriptors::raise_limit().unwrap_or(0),
        memory_bytes: usage::host().memory_bytes,
    };
    let named = plan.trunks.iter().flat_map(|trunk| &trunk.source).collect::<Vec<_>>();
    let sources: Vec<String> =
        outcome.sources.iter().map(|source| name(Some(*source).filter(|own| named.contains(&own)))).collect();
    let aors = |position: usize| {
        let (agent, contacts) = outcome.aors[position];
        let identity = plan.identities.get(agent);
        let trunk = &plan.trunks[identity.trunk.index()];
        (format!("{}@{}", identity.user, trunk.policy.domain), contacts * u32::from(trunk.contacts.max(1)))
    };
    DryRun::of(&Rehearsed {
        results,
        traffic: &outcome.traffic,
        sources: &sources,
        aors: &aors,
        expect: plan.expect,
        ceiling: plan.load.max_message_rate,
        connect_ceiling: plan.load.max_connect_rate,
        machine: &machine,
    })
}

/// Lets the load go on with a hold until it lasts this long.
fn lengthen(plan: &mut Plan, text: &str) -> Result<(), Failure> {
    let wanted = span_of("--for", text)?;
    let lasts = Schedule::new(&plan.load, Seed(0)).lasts();
    if wanted < lasts {
        let lasts = crate::vocab::format_duration(lasts);
        return Err(Failure::usage(format!("--for {text}: the profile's load lasts {lasts}; name a longer time")));
    }
    plan.load.stages.push(LoadStage::Hold { lasts: wanted - lasts });
    Ok(())
}

/// Carries a plan out in virtual time and writes its record. All trunks register with the embedded
/// registrar.
///
/// # Errors
/// When the record cannot be written; the rehearsal is carried through all the same.
pub fn rehearse<W: Write>(plan: &mut Plan, seed: Seed, link: LinkConfig, out: W) -> io::Result<SimOutcome> {
    let registrar = Registrar::new(plan.registrar.clone(), seed, sim::START);
    rehearse_facing(plan, seed, link, Box::new(registrar), out)
}

/// The same with `registrar` instead of the embedded one.
///
/// # Errors
/// As for [`rehearse`].
pub fn rehearse_facing<W: Write>(
    plan: &mut Plan,
    seed: Seed,
    link: LinkConfig,
    registrar: Box<dyn Opposite>,
    out: W,
) -> io::Result<SimOutcome> {
    rehearse_until(plan, seed, link, registrar, out, &|| None)
}

/// The same until a signal says that it is to end: asked at each interval for its number.
///
/// # Errors
/// As for [`rehearse`].
fn rehearse_until<W: Write>(
    plan: &mut Plan,
    seed: Seed,
    link: LinkConfig,
    registrar: Box<dyn Opposite>,
    out: W,
    stop: &dyn Fn() -> Option<i32>,
) -> io::Result<SimOutcome> {
    let (frame, targets) = prepare(plan, seed, Share::whole(1));
    let mut writer = Writer::new(out);
    writer.header(&rehearsal_header(plan, &frame, &targets))?;
    let world = World::facing(world_config(plan, &frame, &targets, link), registrar);
    let mut written = Ok(());
    let mut conditions = AbortWatch::new(plan.abort_on.clone(), plan.trunks.iter().map(|trunk| trunk.agents.into()));
    let (mut aborted, mut interrupted_by) = (None, None);
    let outcome = world.run_into(&mut |interval| {
        if written.is_ok() {
            written = writer.interval(&interval);
        }
        if aborted.is_none() {
            aborted = conditions.interval(&interval);
        }
        interrupted_by = interrupted_by.or_else(stop);
        let ends = aborted.is_some() || interrupted_by.is_some();
        if ends { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    written?;
    writer.end(&End {
        // What came when no load was left to end changed nothing.
        interrupted_by: interrupted_by.filter(|_| outcome.stopped),
        // A condition that held when no load was left to end is for the thresholds to judge.
        aborted: aborted.filter(|_| outcome.stopped),
        ..rehearsal_end(&outcome)
    })?;
    Ok(outcome)
}

/// Carries a plan out in virtual time as so many machines that share it would, and gives the record
/// of each. Nothing ends the load before its time.
///
/// # Errors
/// As for [`rehearse`].
pub fn rehearse_in_parts(plan: &mut Plan, seed: Seed, link: LinkConfig, machines: u32) -> io::Result<Vec<Vec<u8>>> {
    let (frame, targets) = prepare(plan, seed, Share::whole(machines));
    let outcome = World::new(world_config(plan, &frame, &targets, link)).in_parts().run();
    let part = |(first, intervals): (u32, &Vec<Interval>)| {
        let own = RunFrame { share: Share { first, own: 1, of: machines }, ..frame.clone() };
        let share = ShareHeader {
            run: format!("{:016x}", own.run.0),
            worker: format!("machine-{}", first + 1),
            first,
            own: 1,
            of: machines,
            start_unix_ns: BEGINS_UNIX_NS,
            profile_digest: profile_digest(plan),
            arrivals: own.schedule.arrivals().into(),
        };
        let mut writer = Writer::new(Vec::new());
        writer.header(&Header { share: Some(share), ..rehearsal_header(plan, &own, &targets) })?;
        intervals.iter().try_for_each(|interval| writer.interval(interval))?;
        let registered = |interval: &Interval| interval.trunks.iter().map(|trunk| trunk.registered).sum();
        let drained = intervals.iter().rev().find(|interval| interval.stage != Stage::Unregister);
        writer.end(&End {
            registered_after_drain: drained.map_or(0, registered),
            left_bound: intervals.last().map_or(0, registered),
            ..rehearsal_end(&outcome)
        })?;
        Ok(writer.into_inner())
    };
    (0..).zip(&outcome.parts).map(part).collect()
}

/// Draws what is left to chance, and finds out where trunks' names lead.
fn prepare(plan: &mut Plan, seed: Seed, share: Share) -> (RunFrame, Vec<TrunkTargets>) {
    plan.draw(seed);
    let alone = || TrunkTargets::at(SocketAddr::from((Ipv4Addr::LOCALHOST, 5060)));
    let target = |(number, trunk)| by_profile(number, trunk).unwrap_or_else(alone);
    let targets: Vec<_> = plan.trunks.iter().enumerate().map(target).collect();
    plan.trunks.iter_mut().zip(&targets).for_each(|(trunk, targets)| targets.settle(trunk));
    (rehearsal_frame(plan, seed, share), targets)
}

/// What sets a rehearsal apart and holds it together.
fn rehearsal_frame(plan: &Plan, seed: Seed, share: Share) -> RunFrame {
    RunFrame {
        seed,
        run: RunTag(seed.draw(Purpose::Identity, u64::MAX, 0)),
        start: Time::ORIGIN,
        passed: Duration::ZERO,
        share,
        schedule: Arc::new(Schedule::new(&plan.load, seed)),
        capture_secrets: false,
    }
}

fn world_config(plan: &Plan, frame: &RunFrame, targets: &[TrunkTargets], link: LinkConfig) -> WorldConfig {
    WorldConfig {
        seed: frame.seed,
        identities: plan.identities.clone(),
        policies: plan.trunks.iter().map(|trunk| &trunk.policy).chain(&plan.variants).cloned().collect(),
        load: plan.load.clone(),
        workers: frame.share.of,
        sources: plan.trunks.iter().map(|trunk| trunk.source.clone()).collect(),
        places: targets.iter().map(TrunkTargets::named).collect(),
        wordings: wordings(plan),
        interval: plan.interval,
        warmup: plan.warmup,
        run: frame.run,
        drain: plan.drain,
        unregister_rate: plan.unregister.then(|| frame.schedule.peak().max(run::MIN_UNREGISTER_RATE)),
        link,
        registrar: plan.registrar.clone(),
    }
}

/// How a rehearsal ended that nothing ended before its time.
fn rehearsal_end(outcome: &SimOutcome) -> End {
    End {
        ended_ns: outcome.ended_ns,
        load_ended_ns: outcome.load_ended_ns,
        interrupted_by: None,
        registered_after_drain: outcome.registered_after_drain,
        // What the rehearsal itself cost says nothing about a run.
        user_s: 0.0,
        system_s: 0.0,
        max_rss_bytes: 0,
        sender_cpu_pct: 0.0,
        aborted: None,
        lost: None,
        left_bound: outcome.left_bound,
    }
}

/// What the trunks' requests say, as in a run.
pub(super) fn wordings(plan: &Plan) -> Vec<Wording> {
    let of = |trunk: &TrunkPlan| Wording {
        route: trunk.outbound_proxy.as_ref().map(|proxy| proxy.route.clone()),
        user_agent: trunk.user_agent.as_deref().unwrap_or(USER_AGENT).to_owned(),
        headers: trunk.headers.clone(),
        padded: plan.pad,
        shares_users: trunk.shares_users,
        outbound: trunk.outbound,
        contacts: trunk.contacts,
        learns: trunk.contact == ContactHost::Learnt,
        transport: trunk.transport(),
        connections: trunk.connections,
        connect_timeout: trunk.connect_timeout,
        keepalive: trunk.keepalive,
        names_host: trunk.names_hosts(),
        checks_certificate: trunk.tls.as_ref().is_none_or(|tls| tls.verify),
    };
    plan.trunks.iter().map(of).collect()
}

fn rehearsal_header(plan: &Plan, frame: &RunFrame, targets: &[TrunkTargets]) -> Header {
    Header { simulated: true, ..header(plan, targets, frame, Vec::new(), BEGINS_UNIX_NS) }
}
