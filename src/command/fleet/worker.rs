//! `regstorm fleet worker`: waits for runs, and carries out its part of each.
//!
//! An offer is a stranger's word. What it may have this machine do is for the operator of this
//! machine to say: where it may send, for how many agents, how fast, and which files and variables
//! there are to be named.

use super::access::{measured_well, open};
use super::courier::{CourierPost, carry};
use super::offered::OfferedSource;
use crate::cli::{FleetWorkerArgs, Live, MetricsArgs, RunArgs, ShownArgs};
use crate::command::failure::{Exit, Failure, span_of};
use crate::command::output::say;
use crate::command::run::{carry_out, check_descriptors};
use crate::command::run_watch::RunNews;
use crate::command::share::{PartTies, RunPart, list_digest, profile_digest};
use crate::command::targets::look_up_all;
use crate::convoy::{
    Board, BoardError, BoardNote, ClockOffset, CoordinatorBeat, DutyAction, FleetAssignment, FleetOffer, NatsBoard,
    ReadyMark, WorkerDuty, key, read_note, valid_name, without_credentials, written_note,
};
use crate::diagnose::findings::counted;
use crate::net::clock::Clock;
use crate::net::usage;
use crate::plan::Plan;
use crate::profile;
use crate::vocab::{Time, printable};
use ipnet::IpNet;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::sync::mpsc::channel;
use std::time::Duration;
use tokio::sync::mpsc::unbounded_channel;

/// Time between two looks at the board.
const LOOK_EVERY: Duration = Duration::from_millis(200);

pub(super) fn execute(args: &FleetWorkerArgs) -> Result<Exit, Failure> {
    let limits = WorkerLimits::of(args)?;
    let clock = Clock::new();
    let mut board = open(&args.nats, &limits.name)?;
    say(&format!("worker {}: waiting for runs at {}", limits.name, without_credentials(&args.nats.nats)));
    let until = limits.wait.map(|wait| clock.now() + wait);
    let mut known = None;
    loop {
        let Some(offer) = next_offer(&mut board, &limits, &mut known, (clock, until)) else {
            let wait = limits.wait.unwrap_or_default();
            return Err(Failure::could_not(format!("no run came within {} s", wait.as_secs_f64())));
        };
        let (back, exit) = take_part(board, &limits, offer, clock);
        board = back;
        match exit {
            Some(exit @ Exit::Signal(_)) => return Ok(exit),
            Some(exit) if args.once => return Ok(exit),
            Some(_) => return Err(again()),
            None => {}
        }
    }
}

/// Begins anew as the program that was started: what a run leaves in a process, handlers of signals
/// for one, is no business of the next one. Returns only when that cannot be.
fn again() -> Failure {
    let program = std::env::current_exe();
    let begun = program.map(|program| std::process::Command::new(program).args(std::env::args_os().skip(1)).exec());
    Failure::could_not(format!("the next run cannot be waited for: {}", begun.unwrap_or_else(|error| error)))
}

/// What this machine's operator allows.
struct WorkerLimits {
    name: String,
    allow_targets: Vec<IpNet>,
    max_agents: u32,
    max_message_rate: u32,
    wait: Option<Duration>,
    patience: Duration,
    out: Option<PathBuf>,
}

impl WorkerLimits {
    fn of(args: &FleetWorkerArgs) -> Result<WorkerLimits, Failure> {
        let name = args.name.clone().unwrap_or_else(|| usage::host().name);
        if !valid_name(&name) {
            return Err(Failure::usage(format!(
                "--name {name}: write letters, digits, - and _, at most 64, and a letter or digit first"
            )));
        }
        let net = |text: &String| {
            let single = text.parse::<std::net::IpAddr>().map(IpNet::from);
            single.or_else(|_| text.parse()).map_err(|_| {
                Failure::usage(format!(
                    "--allow-targets {text}: write networks or addresses, like 10.1.0.0/16,192.0.2.7"
                ))
            })
        };
        Ok(WorkerLimits {
            name,
            allow_targets: args.allow_targets.iter().map(net).collect::<Result<_, _>>()?,
            max_agents: args.max_agents,
            max_message_rate: args.max_message_rate,
            wait: args.wait.as_deref().map(|text| span_of("--wait", text)).transpose()?,
            patience: span_of("--patience", &args.patience)?,
            out: args.out.clone(),
        })
    }
}

/// Waits for an offer whose coordinator is there; `None`: none came in time.
fn next_offer(
    board: &mut NatsBoard,
    limits: &WorkerLimits,
    known: &mut Option<String>,
    (clock, until): (Clock, Option<Time>),
) -> Option<FleetOffer> {
    // An offer that nobody took down may hang there for a day: its coordinator must be seen.
    let mut seen: Option<(String, u64)> = None;
    let mut refused = String::new();
    while until.is_none_or(|until| clock.now() < until) {
        // Out of reach for a while is no reason to end: it is looked for again.
        if let Ok(Some(note)) = board.read(key::OFFER) {
            match read_note::<FleetOffer>(&note.bytes) {
                Ok(offer) if known.as_ref() != Some(&offer.run) && well_formed(&offer) => {
                    let beat = board.read(&key::coordinator(&offer.run)).ok().flatten().map(|beat| beat.number);
                    let lives =
                        matches!((&seen, beat), (Some((run, last)), Some(now)) if *run == offer.run && *last != now);
                    if lives {
                        *known = Some(offer.run.clone());
                        // A worker that was started again has no second part in a run.
                        if board.read(&key::beat(&offer.run, &limits.name)).is_ok_and(|beat| beat.is_none()) {
                            return Some(offer);
                        }
                    }
                    seen = seen.filter(|(run, _)| *run == offer.run).or(beat.map(|beat| (offer.run.clone(), beat)));
                }
                Ok(_) => {}
                Err(why) => {
                    let why = format!("worker {}: an offer cannot be read: {why}", limits.name);
                    if why != refused {
                        say(&printable(&why));
                        refused = why;
                    }
                }
            }
        }
        std::thread::sleep(LOOK_EVERY);
    }
    None
}

/// Whether its run can be part of keys and of a folder's name.
fn well_formed(offer: &FleetOffer) -> bool {
    offer.run.len() == 16 && offer.run.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Takes part in a run, as far as this machine's operator and the coordinator let it; `None`: it
/// did not.
fn take_part(
    mut board: NatsBoard,
    limits: &WorkerLimits,
    offer: FleetOffer,
    clock: Clock,
) -> (NatsBoard, Option<Exit>) {
    let whose = format!("worker {}: offer {} ({})", limits.name, offer.run, printable(&offer.profile_name));
    let (mark, offset) = match mark_of(&mut board, limits, &offer, clock) {
        Ok(mark) => mark,
        Err(error) => {
            say(&format!("{whose}: {error}"));
            return (board, None);
        }
    };
    if let Some(why) = &mark.refusal {
        say(&format!("{whose}: refused: {}", printable(why)));
    }
    let refuses = mark.refusal.is_some();
    if let Err(error) = board.pin(&key::ready(&offer.run, &limits.name), written_note(&mark)) {
        say(&format!("{whose}: {error}"));
        return (board, None);
    }
    let Some(offset) = offset.filter(|_| !refuses) else { return (board, None) };
    say(&format!("{whose}: ready"));
    let Some(assignment) = assigned(&mut board, limits, &offer, clock) else {
        say(&format!("{whose}: it does not take place"));
        return (board, None);
    };
    let Some(part) = assignment.part(&limits.name, mark.instance) else {
        say(&format!("{whose}: others take part in it, and perhaps one of the same name"));
        return (board, None);
    };
    let (board, exit) = carry_out_part(board, limits, offer, (part, assignment.start_unix_ns, offset), clock);
    (board, Some(exit))
}

/// Looks into an offer: whether this machine could and may take part.
fn mark_of(
    board: &mut NatsBoard,
    limits: &WorkerLimits,
    offer: &FleetOffer,
    clock: Clock,
) -> Result<(ReadyMark, Option<ClockOffset>), BoardError> {
    let checked = checked(limits, offer);
    let offset = measured_well(board, clock, &limits.name)?;
    let (profile_digest, list_digest, refusal) = match checked {
        Ok((profile, list)) => (profile, list, None),
        Err(failure) => (String::new(), String::new(), Some(failure.to_string())),
    };
    let mark = ReadyMark {
        name: limits.name.clone(),
        instance: crate::command::random_word(),
        tool_version: env!("CARGO_PKG_VERSION").to_owned(),
        profile_digest,
        list_digest,
        clock: offset,
        refusal,
    };
    Ok((mark, offset))
}

/// The digests of profile and list, once the operator's limits allow the run.
fn checked(limits: &WorkerLimits, offer: &FleetOffer) -> Result<(String, String), Failure> {
    let source = OfferedSource::new(&offer.profile_name, offer.profile.clone());
    let profile = profile::load(&source, source.name(), &offer.sets)?;
    let mut plan = Plan::new(&profile)?;
    drop(profile);
    plan.require_load()?;
    let digests = (profile_digest(&plan), list_digest(&plan));
    let machines = offer.workers.max(1);
    let agents = u32::try_from(plan.identities.len()).unwrap_or(u32::MAX).div_ceil(machines);
    if agents > limits.max_agents {
        return Err(Failure::usage(format!(
            "its part would be {}, and this worker takes {} (--max-agents)",
            counted(agents.into(), "agent"),
            limits.max_agents
        )));
    }
    let messages = plan.load.max_message_rate.div_ceil(machines);
    if messages > limits.max_message_rate {
        return Err(Failure::usage(format!(
            "its part of [safety] max_message_rate would be {messages}/s, and this worker sends {}/s at most \
             (--max-message-rate)",
            limits.max_message_rate
        )));
    }
    // All parts are alike, so the first stands for the one that it will be.
    let ties = PartTies { allow_targets: limits.allow_targets.clone(), ..PartTies::default() };
    let share = RunPart::assigned(&limits.name, (0, machines), 0, ties).of(&mut plan)?;
    check_descriptors(&plan, share)?;
    let own: Vec<String> = limits.allow_targets.iter().map(ToString::to_string).collect();
    look_up_all(&mut plan).map_err(|failure| {
        Failure::usage(format!("{failure}\nThis worker allows [{}] (--allow-targets)", own.join(", ")))
    })?;
    Ok(digests)
}

/// Waits for the assignment of shares; `None`: nobody leads the run any more.
fn assigned(board: &mut NatsBoard, limits: &WorkerLimits, offer: &FleetOffer, clock: Clock) -> Option<FleetAssignment> {
    let mut duty = WorkerDuty::new(limits.patience, clock.now());
    loop {
        if let Ok(note) = board.read(&key::assignment(&offer.run)) {
            duty.reached(clock.now());
            if let Some(BoardNote { bytes, .. }) = note {
                return read_note(&bytes).ok();
            }
        }
        let beat = board.read(&key::coordinator(&offer.run)).ok().flatten();
        if let Some(beat) = beat.and_then(|note| read_note::<CoordinatorBeat>(&note.bytes).ok()) {
            duty.coordinator(beat, clock.now());
        }
        if let Some(DutyAction::GoAlone(_)) = duty.tick(clock.now()) {
            return None;
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

/// Carries out the part while the messenger has the board.
fn carry_out_part(
    board: NatsBoard,
    limits: &WorkerLimits,
    offer: FleetOffer,
    (part, start_unix_ns, offset): ((u32, u32), i64, ClockOffset),
    clock: Clock,
) -> (NatsBoard, Exit) {
    let source = OfferedSource::new(&offer.profile_name, offer.profile);
    let args = RunArgs {
        profile: source.name().into(),
        out: limits.out.as_ref().map(|out| out.join(format!("{}-{}", offer.run, limits.name))),
        sets: offer.sets,
        yes: true,
        share: None,
        start_at: None,
        live: Live::Off,
        metrics: MetricsArgs::default(),
        keep: None,
        shown: ShownArgs::default(),
        capture_secrets: false,
    };
    let (told, news) = channel();
    let (wishes, wished) = unbounded_channel();
    let ties = PartTies {
        source: Some(Box::new(source)),
        allow_targets: limits.allow_targets.clone(),
        clock_offset_ns: offset.offset_ns,
        news: Some(told.clone()),
        wishes: Some(wished),
    };
    let part = RunPart::assigned(&limits.name, part, start_unix_ns, ties);
    let (run, name, patience) = (offer.run, limits.name.clone(), limits.patience);
    let post = CourierPost { run, name, clock, offset, patience, wishes };
    std::thread::scope(|scope| {
        let courier = scope.spawn(move || {
            let mut board = board;
            let delivered = carry(&mut board, post, &news);
            (board, delivered)
        });
        let exit = carry_out(&args, part).unwrap_or_else(|failure| {
            let exit = failure.exit();
            say(&format!("worker {}: {failure}", limits.name));
            // The messenger may be gone only when it panicked, which is said below.
            let _ = told.send(RunNews::Failed(failure.to_string()));
            exit
        });
        drop(told);
        let (board, delivered) = courier.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        if !delivered {
            say(&format!("worker {}: the NATS server is not reached: the record is here only", limits.name));
        }
        (board, exit)
    })
}
