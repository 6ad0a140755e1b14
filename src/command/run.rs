//! `regstorm run`: from a profile to a directory of results.

use super::assemble::{AssembledRun, RunFrame, assemble};
use super::canary::{CANARY_MESSAGES, Canaries};
use super::carriers::carriers;
use super::failure::{Exit, Failure};
use super::output::{RunDirectory, say, unkept_record};
use super::registrar::{address_of, embedded};
use super::renew::renewing;
use super::report::{Derived, Shown, derive};
use super::run_watch::{FailureFile, RunWatch, Screen};
#[cfg(feature = "tui")]
use super::screen::{LiveScreen, Stagehand};
use super::share::{self, RunPart};
use super::stop::StopFlag;
use super::targets::{TrunkTargets, look_up_all, with_embedded};
use super::truths::{self, KnownServers, TruthWatch};
use super::{contact, keep, kept_baseline, metrics, sweeping};
use crate::agent::{Identity, RetryPolicy};
use crate::cli::{Live, RunArgs};
use crate::diagnose::findings::counted;
use crate::engine::{Carrier, Conduct, Ended, HungFor, Pacing, Server, Wish, WorkerPlan, conduct};
use crate::live::Bars;
#[cfg(feature = "tui")]
use crate::live::screen::Opening;
use crate::load::{LoadConfig, Schedule, Share, Stripe};
use crate::net::clock::Clock;
use crate::net::descriptors::{ephemeral_ports, raise_limit};
use crate::net::priority::prefer_promptness;
use crate::net::usage;
use crate::plan::{AgentAccount, Plan, RegistrarChoice, TrunkPlan};
use crate::profile::{self, Source};
use crate::record::results::{self, Aborted, End, Header, Host, LoadHeader, RetryHeader, TrunkHeader};
use crate::vocab::{AgentId, nanos, saturating_u16, saturating_u32};
use std::io::{IsTerminal, stderr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

/// Between reading the profile and the first arrival: time to open sockets, build the agents and
/// let every thread wait. The start is fixed first, because windows of faults and planned times
/// count from it.
pub(super) const HEAD_START: Duration = Duration::from_millis(250);
pub(super) const HEAD_START_PER_AGENT: Duration = Duration::from_micros(2);
const HEAD_START_PER_SOCKET: Duration = Duration::from_micros(150);

/// The slowest pace of un-REGISTERs.
pub(super) const MIN_UNREGISTER_RATE: f64 = 10.0;

pub(super) fn execute(args: &RunArgs) -> Result<Exit, Failure> {
    carry_out(args, RunPart::asked(args)?)
}

/// Carries out the part of a run that is this process's.
///
/// # Errors
/// As `regstorm run`: bad usage, or what keeps it from running.
pub(super) fn carry_out(args: &RunArgs, mut part: RunPart) -> Result<Exit, Failure> {
    check_screen(args.live)?;
    let clock = Clock::new();
    let (mut plan, accounts, canaries) = plan(args, part.source())?;
    let share = part.of(&mut plan)?;
    let found = look_up_all(&mut plan)?;
    let truths = approach(&mut plan, (accounts, &canaries), &found, args, clock)?;
    let port = metrics::bind(&args.metrics)?;
    let seed = part.seed(&plan);
    plan.draw(seed);
    part.check_sources(&plan, share)?;
    let schedule = Arc::new(Schedule::new(&plan.load, seed));
    let (start, started_unix_ns) = part.start(clock, head_start(&plan, share)?)?;
    // Before this thread asks for promptness: threads inherit it, and metrics do not need it.
    let facts = metrics::facts(&plan, seed, schedule.lasts(), started_unix_ns);
    let publication = port.map(|port| port.serve(facts)).transpose()?;
    // Before any other thread is started: they inherit it.
    let promptness = prefer_promptness();
    let server = embedded(&plan, seed, clock, start)?;
    let targets = with_embedded(found, address_of(&plan, server.as_ref()))?;
    let carriers = carriers(&plan, server.as_ref())?;
    let passed = plan.align.passed(plan.interval, started_unix_ns);
    let run = part.tag();
    let frame = RunFrame { seed, run, start, passed, share, schedule, capture_secrets: args.capture_secrets };
    let (name, stamp) = (part.name_of(&plan), super::stamp(clock.unix_ns()));
    let (directory, record) = RunDirectory::create(args.out.as_deref(), &name, &stamp)?;
    let assembled = assemble_in_time(&plan, (&targets, &carriers), &frame, clock);
    let AssembledRun { workers, mut features } = assembled.inspect_err(|_| directory.discard())?;
    features.extend(promptness);
    let failures = FailureFile::new(directory.path(), &plan, frame.start, started_unix_ns);
    let (wisher, wishes) = unbounded_channel();
    let facts = opening(&plan, &frame, &targets);
    let shown = ToShow { plan: &plan, frame: &frame, facts: &facts, directory: &directory, clock, wisher };
    let (screen, conditions) = (screen(args.live, shown), part.conditions(&plan, share));
    let mut watch = RunWatch::new(part.news(), record, failures, screen, conditions);
    let header = header(&plan, &targets, &frame, features, started_unix_ns);
    let header = Header { share: part.header(&plan, &frame, started_unix_ns), ..header };
    if let Err(error) = begin_record(&mut watch, part.profile_path(args), header, &truths) {
        return Err(directory.unwritable(&error));
    }
    usage::give_back_freed_memory();
    announce(&mut watch, &facts, publication.as_ref());
    if share.is_whole() {
        directory.link_latest();
    }
    watch.compares(TruthWatch::begin(&plan, truths, clock, start)?);
    let watchers = Canaries::begin(&plan, part.canaries(canaries, share), &targets, server.as_ref(), (clock, start))?;
    watchers.iter().for_each(|watchers| watch.hears(watchers.notes.clone()));
    let canaries = watchers.as_ref().map(|watchers| watchers.books.clone());
    let mut renewal = renewing(&plan, &targets, clock)?;
    renewal.iter().for_each(|renewal| watch.records(renewal.look_ups.clone()));
    let name_news = renewal.as_mut().and_then(|renewal| renewal.news.take());
    let questions = renewal.as_ref().map(|renewal| renewal.questions.clone());
    let planned = as_planned(&plan, &frame, workers, clock);
    let wishes = Some(part.wishes().unwrap_or(wishes));
    let run = Conduct { wishes, name_news, questions, canaries, glances: watch.needs_glances(), ..planned };
    let ended = conduct(run, &mut watch).map_err(Failure::could_not)?;
    // What is left to do may take a while, or be held up by a disk or a terminal.
    let _heard = StopFlag::listen(clock)?;
    watchers.into_iter().for_each(Canaries::end);
    let ended = without_lost(&plan, ended, (&targets, server.as_ref()), (&frame, clock), &watch);
    let kept = keep_end(&mut watch, &directory, ended, &frame);
    drop((watch, renewal, server));
    let left = left_behind(&plan, &kept.ended, clock);
    if part.is_one_of_several() {
        return share::conclude(&part, directory.path(), kept.unkept, left.as_deref(), kept.ended.interrupted_by);
    }
    tell_all(args, &plan, directory.path(), (kept, left), publication)
}

/// A sender thread that was lost took with it what its agents had bound: the registrars are asked
/// for that, and it is removed as they list it.
fn without_lost(
    plan: &Plan,
    ended: Ended,
    (targets, server): (&[TrunkTargets], Option<&Server>),
    (frame, clock): (&RunFrame, Clock),
    watch: &RunWatch<'_>,
) -> Ended {
    if ended.lost_workers.is_empty() || !plan.unregister || ended.hurried {
        return ended;
    }
    let stripes: Vec<Stripe> = frame.share.stripes().collect();
    let lost = |agent: &u32| ended.lost_workers.iter().any(|&worker| stripes[worker].local(*agent).is_some());
    let agents: Vec<AgentId> = (0..saturating_u32(plan.identities.len())).filter(lost).map(AgentId).collect();
    watch.say("a sender thread was lost: asking the registrars what its agents have bound");
    let swept = carriers(plan, server).and_then(|carriers| {
        let targets = targets.iter().cloned().zip(carriers).collect();
        sweeping::sweep_lost(plan, (&agents, ended.lost_bound), targets, frame.seed, clock)
    });
    match swept {
        Ok((removed, left)) => {
            watch.say(&format!("{} of its agents removed, {left} may be left", counted(removed, "binding")));
            Ended { left_bound: ended.left_bound - ended.lost_bound + left, ..ended }
        }
        Err(why) => {
            watch.say(&format!("warning: they could not be asked: {why}"));
            ended
        }
    }
}

/// How a run ended, and why that could not be kept.
struct KeptEnd {
    ended: Ended,
    unkept: Option<std::io::Error>,
}

/// Writes the end of the record.
fn keep_end(watch: &mut RunWatch<'_>, directory: &RunDirectory, ended: Ended, frame: &RunFrame) -> KeptEnd {
    // A condition that held when no load was left to end is for the thresholds to judge.
    let aborted = watch.aborted().filter(|_| ended.stopped).cloned();
    let last = end(&ended, frame, aborted);
    let Ended { keep_error, .. } = ended;
    let unkept = keep_error.or_else(|| watch.end(&last).err());
    directory.rescue(watch.record().get_ref().file());
    KeptEnd { ended: Ended { keep_error: None, ..ended }, unkept }
}

/// Reports what was recorded.
fn tell_all(
    args: &RunArgs,
    plan: &Plan,
    directory: &Path,
    (KeptEnd { ended, unkept }, left): (KeptEnd, Option<String>),
    publication: Option<metrics::Publication>,
) -> Result<Exit, Failure> {
    let interrupted_by = ended.interrupted_by;
    let derived = conclude(directory, unkept, left.as_deref(), Shown::of(args.shown))?;
    publication.iter().for_each(|publication| publication.metrics.end(derived.judgement.verdict.as_str()));
    derived.print(directory, Shown::of(args.shown))?;
    if let Some(keep) = args.keep {
        keep::prune(&plan.name, directory, keep);
    }
    metrics::linger(publication, interrupted_by, args.live)?;
    Ok(Exit::of_run(derived.judgement.verdict, interrupted_by))
}

/// What was recorded is reported, whatever happened to the run.
///
/// # Errors
/// When the record could not be written to its end, or nothing can be made of it.
pub(super) fn conclude(
    directory: &Path,
    unkept: Option<std::io::Error>,
    left: Option<&str>,
    shown: Shown,
) -> Result<Derived, Failure> {
    let derived = derive(directory);
    // The summary says it too, where it is printed.
    if shown != Shown::Summary || derived.is_err() || unkept.is_some() {
        left.into_iter().for_each(say);
    }
    let Some(error) = unkept else { return derived };
    Err(unkept_record(&error, derived.err().as_ref()))
}

/// What a run leaves at its registrars, and until when.
fn left_behind(plan: &Plan, ended: &Ended, clock: Clock) -> Option<String> {
    let longest = plan.trunks.iter().map(|trunk| trunk.policy.expires_s).max().unwrap_or(0);
    let until = i128::from(clock.unix_ns()) + i128::from(longest) * 1_000_000_000;
    (ended.left_bound > 0).then(|| {
        format!(
            "{} left at the registrar; they end by themselves by {}, unless it granted more than was asked for",
            counted(ended.left_bound, "binding"),
            results::utc(until, 0)
        )
    })
}

/// What a person is told of a disk or a terminal that takes nothing more.
pub(super) fn hung(how: HungFor) {
    match how {
        HungFor::Meanwhile(span) => say(&format!(
            "warning: the disk or the terminal has taken nothing for {} s; the run goes on, its results wait in memory",
            span.as_secs()
        )),
        HungFor::TooLong(span) => {
            say(&format!(
                "regstorm: everything has ended, but the disk or the terminal has taken nothing for {} s; what was not \
                 written is lost",
                span.as_secs()
            ));
            // Whoever is held by it cannot be ended in any other way.
            std::process::exit(3);
        }
    }
}

/// Says what is about to run, and publishes it where that is wanted.
fn announce(watch: &mut RunWatch<'_>, facts: &str, publication: Option<&metrics::Publication>) {
    if !watch.shows_trunks() {
        // The live screen has it at its head.
        watch.say(facts);
    }
    if let Some(publication) = publication {
        watch.publish(publication.metrics.clone(), &publication.place());
    }
}

/// A run that nobody looks into.
fn as_planned(plan: &Plan, frame: &RunFrame, workers: Vec<WorkerPlan>, clock: Clock) -> Conduct {
    Conduct {
        workers,
        clock,
        start: frame.start,
        load_lasts: frame.schedule.lasts(),
        timeline: frame.schedule.timeline(),
        wishes: None,
        name_news: None,
        questions: None,
        canaries: None,
        glances: false,
        pacing: if frame.share.is_whole() { Pacing::Idle } else { Pacing::Planned },
        drain: plan.drain,
        unregister_rate: plan.unregister.then(|| frame.schedule.peak().max(MIN_UNREGISTER_RATE)),
        agents: saturating_u32(plan.identities.len()),
        hung,
        patience: plan.trunks.iter().map(|trunk| trunk.policy.timers.f()).max().unwrap_or_default(),
    }
}

/// The live screen needs a terminal and to be built in; anything else takes what there is.
fn check_screen(live: Live) -> Result<(), Failure> {
    if live != Live::Tui {
        return Ok(());
    }
    if !cfg!(feature = "tui") {
        return Err(Failure::usage(
            "--live tui: this regstorm was built without its live screen (cargo feature \"tui\"); use --live auto",
        ));
    }
    if !stderr().is_terminal() {
        return Err(Failure::usage("--live tui: standard error is no terminal; use --live plain"));
    }
    Ok(())
}

/// What there is to show of a run before it begins, and where what is wished of it goes.
#[cfg_attr(not(feature = "tui"), expect(dead_code, reason = "only the live screen shows that much"))]
struct ToShow<'a> {
    plan: &'a Plan,
    frame: &'a RunFrame,
    facts: &'a str,
    directory: &'a RunDirectory,
    clock: Clock,
    wisher: UnboundedSender<Wish>,
}

/// Bars where standard error is a terminal and the mode leaves it open, plain lines elsewhere.
fn screen(live: Live, shown: ToShow<'_>) -> Screen {
    match live {
        Live::Off => Screen::Off,
        Live::Plain => Screen::Plain,
        Live::Auto if stderr().is_terminal() => {
            let agents = shown.frame.share.count(saturating_u32(shown.plan.identities.len()));
            Screen::Bars(Bars::new(shown.frame.schedule.lasts(), agents.into()))
        }
        Live::Auto => Screen::Plain,
        #[cfg(feature = "tui")]
        Live::Tui => Screen::Live(Box::new(live_screen(shown))),
        // Refused before.
        #[cfg(not(feature = "tui"))]
        Live::Tui => Screen::Plain,
    }
}

#[cfg(feature = "tui")]
fn live_screen(shown: ToShow<'_>) -> LiveScreen {
    let ToShow { plan, frame, facts, directory, clock, wisher } = shown;
    let opening = Opening {
        name: plan.name.clone(),
        facts: facts.strip_prefix(&format!("{}: ", plan.name)).unwrap_or(facts).to_owned(),
        trunks: plan.trunks.iter().map(|trunk| (trunk.id.clone(), trunk.agents.into())).collect(),
        arrivals: frame.schedule.arrivals().into(),
        workers: frame.share.own,
        interval: plan.interval,
    };
    let (stages, schedule) = (plan.load.stages.clone(), frame.schedule.clone());
    LiveScreen::new(directory.path(), Stagehand { opening, stages, schedule, wishes: wisher, clock })
}

/// Opens the sockets before the first arrival is due.
fn assemble_in_time(
    plan: &Plan,
    targets: (&[TrunkTargets], &[Carrier]),
    frame: &RunFrame,
    clock: Clock,
) -> Result<AssembledRun, Failure> {
    let assembly = assemble(plan, targets, frame)?;
    if frame.start > clock.now() {
        return Ok(assembly);
    }
    Err(Failure::could_not("the machine was too busy to open the sockets before the first arrival was due; try again"))
}

/// Makes first contact with registrars, and asks servers what they hold before the first phone.
fn approach(
    plan: &mut Plan,
    (accounts, canaries): (Accounts, &Accounts),
    found: &[Option<TrunkTargets>],
    args: &RunArgs,
    clock: Clock,
) -> Result<KnownServers, Failure> {
    let servers = truths::servers(plan)?;
    make_contact(plan, (&accounts, canaries), found, args, clock)?;
    let guarded = canaries.iter().map(Option::is_some).collect();
    Ok(truths::before(plan, servers, guarded, (clock, args.live != Live::Off)))
}

/// Makes first contact with registrars beyond this machine; those on it need none.
fn make_contact(
    plan: &mut Plan,
    (accounts, canaries): (&Accounts, &Accounts),
    found: &[Option<TrunkTargets>],
    args: &RunArgs,
    clock: Clock,
) -> Result<(), Failure> {
    let targets = contact::distant(found);
    if targets.iter().all(Option::is_none) {
        return Ok(());
    }
    plan.be_cautious(canaries.iter().any(Option::is_some));
    contact::consent(plan, &targets, args.yes, args.live != Live::Off)?;
    if plan.contact.canary {
        contact::canaries(plan, accounts, found, clock)?;
    }
    Ok(())
}

/// An account of each trunk that has one.
type Accounts = Vec<Option<AgentAccount>>;

/// The plan of a profile, the first account of each of its trunks, and those of canaries.
fn plan(args: &RunArgs, source: &dyn Source) -> Result<(Plan, Accounts, Accounts), Failure> {
    let profile = profile::load(source, &args.profile.to_string_lossy(), &args.sets)?;
    let mut plan = Plan::new(&profile)?;
    let accounts = contact::accounts(&profile);
    let canaries: Accounts = profile.trunks.iter().map(AgentAccount::of_canary).collect();
    drop(profile);
    usage::give_back_freed_memory();
    plan.require_load()?;
    if canaries.iter().any(Option::is_some) {
        // All together send no more than the ceiling says.
        let ceiling = &mut plan.load.max_message_rate;
        *ceiling = ceiling.saturating_sub(CANARY_MESSAGES).max(1);
    }
    if args.live != Live::Off {
        for warning in &plan.warnings {
            say(&format!("warning: {warning}"));
        }
    }
    Ok((plan, accounts, canaries))
}

/// Writes the header, which is gone then: it names every agent.
fn begin_record(
    watch: &mut RunWatch<'_>,
    profile_path: Option<String>,
    header: Header,
    truths: &KnownServers,
) -> std::io::Result<()> {
    watch.record().header(&Header {
        truths: truths.headers.clone(),
        baseline: kept_baseline::read(),
        profile_path,
        ..header
    })
}

/// Time to get ready in; says before anything is sent when there are not enough descriptors.
fn head_start(plan: &Plan, share: Share) -> Result<Duration, Failure> {
    let sockets = check_descriptors(plan, share)?;
    let agents = share.count(saturating_u32(plan.identities.len()));
    Ok(HEAD_START + HEAD_START_PER_AGENT * agents + HEAD_START_PER_SOCKET * u32::try_from(sockets).unwrap_or(u32::MAX))
}

/// Descriptors a run has open besides its agents' sockets.
pub(super) const OTHER_DESCRIPTORS: u64 = 64;

/// Raises the limit on descriptors as far as it goes, and says before anything is sent when that is
/// not enough. Returns the number of agents' sockets.
pub(super) fn check_descriptors(plan: &Plan, share: Share) -> Result<u64, Failure> {
    let by_address = plan.sockets(share);
    let ports = ephemeral_ports();
    if let Some((address, needed)) = by_address.iter().find(|(_, needed)| ports > 0 && **needed > ports) {
        let place = address.map_or_else(String::new, |address| format!(" on {address}"));
        return Err(Failure::could_not(format!(
            "this run needs {needed} local ports{place}, and the kernel gives out {ports}; nothing was sent.\n\
             Widen net.ipv4.ip_local_port_range, add addresses to source, use fewer agents, or sockets = \"shared\""
        )));
    }
    let sockets = by_address.values().sum::<u64>();
    // The embedded registrar has the other end of each connection.
    let embedded =
        |trunk: &&TrunkPlan| trunk.transport().is_stream() && matches!(trunk.registrar, RegistrarChoice::Embedded);
    let answered: u64 = plan.trunks.iter().filter(embedded).map(|trunk| u64::from(trunk.agents)).sum();
    let needed = sockets + answered.min(sockets) + OTHER_DESCRIPTORS;
    let limit = raise_limit().map_err(|error| Failure::could_not(format!("the limit on descriptors: {error}")))?;
    if needed <= limit {
        return Ok(sockets);
    }
    Err(Failure::could_not(format!(
        "this run needs {needed} descriptors, mostly one socket per agent, and may have {limit}; nothing was sent.\n\
         Raise the hard limit (ulimit -Hn {needed}, or LimitNOFILE in a service), use fewer agents, or sockets = \"shared\" (connections = \"shared\" over TCP)"
    )))
}

/// What is known of a run before its first packet.
pub(super) fn header(
    plan: &Plan,
    targets: &[TrunkTargets],
    frame: &RunFrame,
    features: Vec<String>,
    started_unix_ns: i64,
) -> Header {
    let usage::HostFacts { name, os, kernel, cpus, cpu_model, memory_bytes } = usage::host();
    Header {
        tool_version: env!("CARGO_PKG_VERSION").to_owned(),
        name: plan.name.clone(),
        started_unix_ns,
        seed: frame.seed.0,
        interval_ns: nanos(plan.interval),
        trunks: plan
            .trunks
            .iter()
            .zip(targets)
            .map(|(trunk, target)| TrunkHeader {
                id: trunk.id.clone(),
                registrar: trunk.registrar_text.clone().into(),
                platform: trunk.platform,
                target: target.preferred().to_string(),
                transport: Some(trunk.transport()),
                domain: trunk.policy.domain.clone(),
                agents: trunk.agents,
                expires_s: trunk.policy.expires_s,
                realm: trunk.policy.realm.clone(),
                algorithms: trunk.policy.algorithms.iter().map(|algorithm| algorithm.as_str().to_owned()).collect(),
                sources: trunk.source.iter().map(ToString::to_string).collect(),
                retry: retry_header(&trunk.policy.retry),
                realm_policy: trunk.policy.realm_policy,
                sockets: trunk.sharing(),
                timers: trunk.policy.timers.into(),
            })
            .collect(),
        users: plan.identities.iter().map(|identity| identity.user.to_owned()).collect(),
        agent_trunks: plan.identities.iter().map(|identity| identity.trunk.0).collect(),
        profile_json: plan.profile_json.clone(),
        thresholds: plan.thresholds.iter().map(|t| (t.name.clone(), t.expr.clone())).collect(),
        compare: Some(plan.compare.iter().map(|line| (line.name.clone(), line.expr.clone())).collect()),
        load: Some(load_header(&plan.load)),
        observed: None,
        answers_missing: false,
        generator: plan.generator,
        host: Host { name, os, kernel, cpus, cpu_model, memory_bytes },
        features,
        arrivals_planned: frame.schedule.arrivals_of(frame.share, saturating_u32(plan.identities.len())),
        workers: frame.share.own,
        simulated: false,
        run_tag: frame.run.0,
        call_ids: Vec::new(),
        agent_sources: agent_sources(plan),
        own_retries: plan.variants.iter().map(|policy| retry_header(&policy.retry)).collect(),
        agent_retries: agent_retries(plan),
        warmup_ns: nanos(plan.warmup),
        order_drawn: plan.trunks.iter().all(|trunk| trunk.drawn_order),
        exclusive: plan.expect.exclusive,
        authorised_by: plan.contact.authorised_by.clone(),
        profile_path: None,
        baseline: None,
        resolutions: targets.iter().filter_map(|found| found.resolution.clone()).collect(),
        truths: Vec::new(),
        share: None,
    }
}

/// Which of its trunk's addresses each agent has; empty when there is no choice.
fn agent_sources(plan: &Plan) -> Vec<u8> {
    if plan.trunks.iter().all(|trunk| trunk.source.len() < 2) {
        return Vec::new();
    }
    let source = |identity: Identity<'_>| {
        let sources = plan.trunks[identity.trunk.index()].source.len().max(1);
        u8::try_from(identity.number as usize % sources).unwrap_or(u8::MAX)
    };
    plan.identities.iter().map(source).collect()
}

/// Which agents retry in their own way, as the header counts them.
fn agent_retries(plan: &Plan) -> Vec<u16> {
    if plan.variants.is_empty() {
        return Vec::new();
    }
    let own = |agent: u32| (plan.identities.policy(AgentId(agent)) + 1).saturating_sub(plan.trunks.len());
    (0..saturating_u32(plan.identities.len())).map(|agent| saturating_u16(own(agent))).collect()
}

fn load_header(load: &LoadConfig) -> LoadHeader {
    LoadHeader {
        stages: load.stages.clone(),
        process: load.process,
        when_exhausted: load.when_exhausted,
        max_in_flight: load.max_in_flight,
    }
}

fn retry_header(retry: &RetryPolicy) -> RetryHeader {
    RetryHeader {
        preset: retry.preset.to_owned(),
        forbidden_s: retry.forbidden.steady_s(),
        temporary_s: retry.recoverable.steady_s(),
        refused_s: retry.refused.steady_s(),
        max: retry.max,
        retry_after: retry.retry_after,
    }
}

/// How a run ended.
pub(super) fn end(ended: &Ended, frame: &RunFrame, aborted: Option<Aborted>) -> End {
    let usage = usage::process();
    let wall = ended.ended.since(frame.start).as_secs_f64() * f64::from(frame.share.own);
    End {
        ended_ns: ended.ended.nanos_since(frame.start),
        load_ended_ns: ended.load_ended.nanos_since(frame.start),
        interrupted_by: ended.interrupted_by,
        lost: ended.lost.clone(),
        left_bound: ended.left_bound,
        registered_after_drain: ended.registered_after_drain,
        user_s: usage.user_s,
        system_s: usage.system_s,
        max_rss_bytes: usage.max_rss_bytes,
        sender_cpu_pct: if wall > 0.0 { ended.sender_cpu.as_secs_f64() / wall * 100.0 } else { 0.0 },
        aborted,
    }
}

/// The first line of a run: what goes where, how fast, for how long.
fn opening(plan: &Plan, frame: &RunFrame, targets: &[TrunkTargets]) -> String {
    let places = targets.iter().flat_map(|found| &found.places);
    let mut places: Vec<String> = places.map(|place| place.address.to_string()).collect();
    places.sort_unstable();
    places.dedup();
    let more = places.len().saturating_sub(3);
    places.truncate(3);
    let others = if more > 0 { format!(" and {more} more") } else { String::new() };
    let agents = saturating_u32(plan.identities.len());
    let own = if frame.share.is_whole() { String::new() } else { format!("{} of ", frame.share.count(agents)) };
    format!(
        "{}: {own}{} on {} to {}{others}, {} in {}, at most {}/s, {}, seed {}",
        plan.name,
        counted(agents.into(), "agent"),
        counted(plan.trunks.len() as u64, "trunk"),
        places.join(", "),
        counted(frame.schedule.arrivals().into(), "arrival"),
        crate::vocab::format_duration(frame.schedule.lasts()),
        frame.schedule.peak(),
        counted(frame.share.own.into(), "sender thread"),
        frame.seed.0,
    )
}
