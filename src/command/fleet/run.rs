//! `regstorm fleet run`: one run of several workers, in one result directory.
//!
//! It sends no SIP. It offers the profile, waits until so many workers fit together, assigns parts
//! and a start, merges the intervals as they come and judges them once. Secrets it neither has nor
//! asks for.

use super::access::{measured_well, open, unix_ns};
use super::collect::WorkerRecords;
use super::lead::{Lead, Led};
use crate::cli::{FleetRunArgs, Live, OnLossArg};
use crate::command::contact;
use crate::command::failure::{Exit, Failure, span_of};
use crate::command::metrics;
use crate::command::output::{RunDirectory, say};
use crate::command::report::Shown;
use crate::command::run::conclude;
use crate::command::run_watch::{FailureFile, RunWatch, Screen};
use crate::command::share::{list_digest, profile_digest};
use crate::command::source::{DiskSource, RehearsalSource};
use crate::command::targets::look_up_all;
use crate::convoy::{AssignedWorker, FleetOffer, FleetRules, LONGEST_PROFILE, OnLoss};
use crate::diagnose::AbortWatch;
use crate::live::Bars;
use crate::load::Schedule;
use crate::net::clock::Clock;
use crate::plan::{Plan, RegistrarChoice};
use crate::profile::{self, Source, writes_secrets};
use crate::seed::Seed;
use crate::vocab::{printable, saturating_u32};
use std::io::{IsTerminal, stderr};
use std::time::Duration;

/// From the assignment to the start: for everybody to hear of it, open sockets and build agents.
const AHEAD: Duration = Duration::from_secs(3);
const AHEAD_PER_AGENT: Duration = Duration::from_micros(200);
/// What a first agent at a registrar beyond this machine may take besides.
const AHEAD_FAR: Duration = Duration::from_secs(12);
/// Clocks must be known to within this.
const CLOCK_NS: u64 = 10_000_000;
/// What the coordinator's own notes are kept apart by.
const COORDINATOR: &str = "coordinator";

pub(super) fn execute(args: &FleetRunArgs) -> Result<Exit, Failure> {
    if args.live == Live::Tui {
        return Err(Failure::usage("fleet run --live tui: the full screen is for one machine; use --live auto"));
    }
    let clock = Clock::new();
    let (patience, gather) = (span_of("--patience", &args.patience)?, span_of("--gather", &args.gather)?);
    let (offer, mut plan) = offer(args)?;
    let far = consent(&mut plan, args)?;
    let port = metrics::bind(&args.metrics)?;
    let mut board = open(&args.nats, COORDINATOR)?;
    let unreached = |error: &dyn std::fmt::Display| Failure::could_not(format!("{error}; nothing was sent"));
    let offset = measured_well(&mut board, clock, COORDINATOR).map_err(|error| unreached(&error))?;
    let offset = offset.ok_or_else(|| unreached(&"the clock was set while it was compared"))?;
    let on_loss = match args.on_loss {
        OnLossArg::Abort => OnLoss::Abort,
        OnLossArg::Continue => OnLoss::Continue,
    };
    let rules = FleetRules { offer, on_loss, gather, silence: patience, clock_ns: CLOCK_NS };
    let mut lead = Lead::begin(board, rules, (clock, offset), patience)?;
    if args.live != Live::Off {
        say(&format!("{}: waiting for {} workers, offer {}", plan.name, args.workers, lead.run()));
    }
    let workers = lead.gathered().inspect_err(|_| lead.leave())?;
    let ahead = AHEAD + AHEAD_PER_AGENT * saturating_u32(plan.identities.len()).div_ceil(args.workers) + far;
    let start_unix_ns = offset.board_unix_ns(unix_ns(clock)) + i64::try_from(ahead.as_nanos()).unwrap_or(i64::MAX);
    let directory = RunDirectory::create(args.out.as_deref(), &plan.name, &crate::command::stamp(clock.unix_ns()));
    let (directory, record) = directory.inspect_err(|_| lead.leave())?;
    let collected = WorkerRecords::new(lead.run(), &workers, directory.path())
        .map_err(|error| Failure::could_not(format!("{}: {error}", directory.path().display())))
        .inspect_err(|_| lead.leave())?;
    lead.assign(&workers, start_unix_ns).inspect_err(|_| lead.leave())?;
    announce(args, &plan, &workers);
    directory.link_latest();
    let start = super::access::time_of(clock, offset, start_unix_ns);
    let schedule = Schedule::new(&plan.load, Seed(plan.seed.unwrap_or_default()));
    let failures = FailureFile::new(directory.path(), &plan, start, start_unix_ns);
    let conditions = AbortWatch::new(plan.abort_on.clone(), plan.trunks.iter().map(|trunk| trunk.agents.into()));
    let mut watch = RunWatch::new(None, record, failures, screen(args.live, &plan, &schedule), conditions);
    let facts = metrics::facts(&plan, Seed(plan.seed.unwrap_or_default()), schedule.lasts(), start_unix_ns);
    let publication = port.map(|port| port.serve(facts)).transpose()?;
    if let Some(publication) = &publication {
        watch.publish(publication.metrics.clone(), &publication.place());
    }
    let led = lead.through(collected, &mut watch, start);
    lead.leave();
    drop(watch);
    let Led { interrupted_by, unkept } = led?;
    let shown = Shown::of(args.shown);
    let derived = conclude(directory.path(), unkept, None, shown)?;
    publication.iter().for_each(|publication| publication.metrics.end(derived.judgement.verdict.as_str()));
    derived.print(directory.path(), shown)?;
    metrics::linger(publication, interrupted_by, args.live)?;
    Ok(Exit::of_run(derived.judgement.verdict, interrupted_by))
}

/// The offer, and what its profile means here.
///
/// # Errors
/// When the profile cannot be used, or holds what must not lie on somebody's disk.
fn offer(args: &FleetRunArgs) -> Result<(FleetOffer, Plan), Failure> {
    let path = args.profile.to_string_lossy().into_owned();
    let bytes = DiskSource.read(&path).map_err(|why| Failure::usage(format!("{path}: cannot be read: {why}")))?;
    let text = String::from_utf8(bytes).map_err(|_| Failure::usage(format!("{path}: is not UTF-8 text")))?;
    if text.len() > LONGEST_PROFILE {
        return Err(Failure::usage(format!("{path}: {} bytes; {LONGEST_PROFILE} go to workers at most", text.len())));
    }
    if writes_secrets(&text) || args.sets.iter().any(|set| writes_secrets(set)) {
        return Err(Failure::usage(format!(
            "{path}: it holds a secret, and would lie on the disk of the NATS server; write password_env = \"NAME\" and set \
             that variable for every worker, or agents = {{ csv = \"agents.csv\" }} with the file beside every worker"
        )));
    }
    // Secrets are the workers': one that is missing here is none of this machine's business.
    let profile =
        profile::load(&GivenText { path: &path, text: &text, rest: RehearsalSource::default() }, &path, &args.sets)?;
    let mut plan = Plan::new(&profile)?;
    drop(profile);
    plan.require_load()?;
    let offer = FleetOffer {
        run: format!("{:016x}", crate::command::random_word()),
        tool_version: env!("CARGO_PKG_VERSION").to_owned(),
        profile_name: path,
        profile: text,
        sets: args.sets.clone(),
        workers: args.workers,
        profile_digest: profile_digest(&plan),
        list_digest: list_digest(&plan),
        agents: saturating_u32(plan.identities.len()),
    };
    if args.live != Live::Off {
        plan.warnings.iter().for_each(|warning| say(&format!("warning: {warning}")));
    }
    if plan.trunks.iter().any(|trunk| matches!(trunk.registrar, RegistrarChoice::Embedded)) {
        return Err(Failure::usage(
            "registrar = \"embedded\": every worker would have a registrar of its own; start one with regstorm registrar, \
             and name its address in the profile; nothing was sent",
        ));
    }
    if !plan.truths.is_empty() {
        plan.truths.clear();
        say("warning: [[truth]]: no server is asked for its own count in a run of several machines");
    }
    Ok((offer, plan))
}

/// A profile whose text is known already: standard input cannot be read twice.
struct GivenText<'a> {
    path: &'a str,
    text: &'a str,
    rest: RehearsalSource,
}

impl Source for GivenText<'_> {
    fn read(&self, path: &str) -> Result<Vec<u8>, String> {
        if path == self.path { Ok(self.text.as_bytes().to_vec()) } else { self.rest.read(path) }
    }

    fn env(&self, name: &str) -> Option<String> {
        self.rest.env(name)
    }
}

/// Asks whether a registrar beyond this machine may be loaded, and gives what its first contact
/// may take.
///
/// # Errors
/// When a name does not resolve, an address is not allowed, or nobody said yes.
fn consent(plan: &mut Plan, args: &FleetRunArgs) -> Result<Duration, Failure> {
    let found = look_up_all(plan)?;
    let targets = contact::distant(&found);
    if targets.iter().all(Option::is_none) {
        return Ok(Duration::ZERO);
    }
    plan.be_cautious(false);
    contact::consent(plan, &targets, args.yes, args.live != Live::Off)?;
    Ok(AHEAD_FAR)
}

fn announce(args: &FleetRunArgs, plan: &Plan, workers: &[AssignedWorker]) {
    if args.live == Live::Off {
        return;
    }
    let names: Vec<&str> = workers.iter().map(|worker| worker.name.as_str()).collect();
    say(&printable(&format!("{}: begins on {}", plan.name, names.join(", "))));
}

fn screen(live: Live, plan: &Plan, schedule: &Schedule) -> Screen {
    match live {
        Live::Off => Screen::Off,
        Live::Auto if stderr().is_terminal() => Screen::Bars(Bars::new(schedule.lasts(), plan.identities.len() as u64)),
        // The full screen was refused before.
        Live::Plain | Live::Auto | Live::Tui => Screen::Plain,
    }
}
