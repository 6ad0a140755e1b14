//! `regstorm simulate`: a run in virtual time, from profile to files, without a packet or a clock.

use super::failure::{Exit, Failure};
use super::observe::FailureFile;
use super::output::RunDirectory;
use super::report::derive;
use super::run::header;
use super::source::DiskSource;
use super::{assemble::Frame, run};
use crate::cli::SimulateArgs;
use crate::link::{Delay, LinkConfig};
use crate::load::{Schedule, Stage};
use crate::net::clock::Clock;
use crate::plan::Plan;
use crate::profile;
use crate::record::{End, Header, Writer};
use crate::seed::{Purpose, Seed};
use crate::sim::{self, Outcome, World, WorldConfig};
use crate::vocab::{RunTag, Time, parse_duration};
use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

/// One way between agents and registrar in a rehearsal: a fast local network.
const ONE_WAY: Duration = Duration::from_micros(100);

/// 2000-01-01T00:00:00Z: when every rehearsal begins, so that the same seed gives the same bytes.
const BEGINS_UNIX_NS: i64 = 946_684_800_000_000_000;

pub fn execute(args: &SimulateArgs) -> Result<Exit, Failure> {
    let profile = profile::load(&DiskSource, &args.profile.to_string_lossy(), &args.sets)?;
    let mut plan = Plan::new(&profile)?;
    plan.require_load()?;
    if let Some(lasts) = &args.lasts {
        lengthen(&mut plan, lasts)?;
    }
    let seed = Seed(plan.seed.unwrap_or_else(super::random));
    let stamp = super::stamp(Clock::new().unix_ns());
    let (directory, file) = RunDirectory::create(args.out.as_deref(), &plan.name, &stamp)?;
    let unwritable = |error: io::Error| Failure::could_not(format!("the record cannot be written: {error}"));
    let link = LinkConfig { delay: Some(Delay::Fixed(ONE_WAY)), drop: 0.0 };
    let outcome = rehearse(&mut plan, seed, link, file).map_err(unwritable)?;
    let mut failures = FailureFile::new(directory.path(), &plan, sim::START, BEGINS_UNIX_NS);
    failures.append(&outcome.failures).map_err(unwritable)?;
    let derived = derive(directory.path())?;
    derived.print(directory.path(), args.json)?;
    Ok(Exit::of_run(derived.judgement.verdict, None))
}

/// Lets the load go on with a hold until it lasts this long.
fn lengthen(plan: &mut Plan, text: &str) -> Result<(), Failure> {
    let wanted = parse_duration(text).map_err(|error| Failure::usage(format!("--for {text}: {error}")))?;
    let lasts = Schedule::new(&plan.load, Seed(0)).lasts();
    if wanted < lasts {
        let lasts = crate::vocab::format_duration(lasts);
        return Err(Failure::usage(format!("--for {text}: the profile's load lasts {lasts}; name a longer time")));
    }
    plan.load.stages.push(Stage::Hold { lasts: wanted - lasts });
    Ok(())
}

/// Carries a plan out in virtual time and writes its record. All trunks register with the embedded registrar.
///
/// # Errors
/// When the record cannot be written; the rehearsal is carried through all the same.
pub fn rehearse<W: Write>(plan: &mut Plan, seed: Seed, link: LinkConfig, out: W) -> io::Result<Outcome> {
    plan.draw(seed);
    let schedule = Arc::new(Schedule::new(&plan.load, seed));
    let unregister_rate = plan.unregister.then(|| schedule.peak().max(run::MIN_UNREGISTER_RATE));
    let tag = RunTag(seed.draw(Purpose::Identity, u64::MAX, 0));
    let frame = Frame { seed, run: tag, start: Time::ORIGIN, workers: 1, schedule, capture_secrets: false };
    let mut writer = Writer::new(out);
    writer.header(&rehearsal_header(plan, &frame))?;
    let world = World::new(WorldConfig {
        seed,
        identities: plan.identities.clone(),
        policies: plan.trunks.iter().map(|trunk| &trunk.policy).chain(&plan.variants).cloned().collect(),
        load: plan.load.clone(),
        workers: frame.workers,
        sources: plan.trunks.iter().map(|trunk| trunk.source.clone()).collect(),
        interval: plan.interval,
        warmup: plan.warmup,
        run: tag,
        drain: plan.drain,
        unregister_rate,
        link,
        registrar: plan.registrar.clone(),
    });
    let mut written = Ok(());
    let outcome = world.run_into(&mut |interval| {
        if written.is_ok() {
            written = writer.interval(&interval);
        }
    });
    written?;
    writer.end(&End {
        ended_ns: outcome.ended_ns,
        load_ended_ns: outcome.load_ended_ns,
        interrupted_by: None,
        registered_at_load_end: outcome.registered_at_load_end,
        // What the rehearsal itself cost says nothing about a run.
        user_s: 0.0,
        system_s: 0.0,
        max_rss_bytes: 0,
        sender_cpu_pct: 0.0,
        aborted: None,
    })?;
    Ok(outcome)
}

fn rehearsal_header(plan: &Plan, frame: &Frame) -> Header {
    let targets = vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 5060)); plan.trunks.len()];
    Header { simulated: true, ..header(plan, &targets, frame, Vec::new(), BEGINS_UNIX_NS) }
}
