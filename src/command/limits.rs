//! `regstorm limits`: from a profile to the limits of its registrar.
//!
//! The search itself is in `load::search`; here are its sockets, its signals and its files. What it
//! found is put into the words of the record in `findings`.

mod as_record;
mod field;
mod others;

use super::carriers::{carriers, layers_of};
use super::contact;
use super::failure::{Exit, Failure, span_of};
use super::output::{LIMITS, RunDirectory, name_of, print, say, write_files};
use super::registrar::{address_of, embedded};
use super::source::DiskSource;
use super::targets::{TrunkTargets, look_up_all, with_embedded};
use crate::cli::{LimitsArgs, Live, MethodArg, Only};
use crate::engine::trial::SignalBox;
use crate::engine::{LiveField, Signals};
use crate::load::search::concurrent::FillRate;
use crate::load::search::{Orders, SearchMethod, Seating, Stop, Survey, rate, rfc7502, survey};
use crate::measure::PlaceRow;
use crate::net::clock::Clock;
use crate::net::priority::prefer_promptness;
use crate::plan::Plan;
use crate::profile;
use crate::report::limits as report;
use crate::seed::Seed;
use crate::vocab::{RunTag, TrunkId, saturating_u16};
use field::{OpenedField, ShownField};
use others::Others;
use std::time::Duration;

/// Where the fill begins, and its highest rate when the profile plans no load; per second.
const FILL_START: f64 = 20.0;
const FILL_MOST: f64 = 100.0;
/// The first rate probed, per second.
const PROBE_START: f64 = 10.0;
/// Slow enough for any registrar, per second.
const GENTLE: f64 = 4.0;
/// After a signal bindings are removed for so long: Timer F, and what a pace takes;
const REMOVING: Duration = Duration::from_secs(40);
/// after a second one the search has so long to end.
const AT_ONCE: Duration = Duration::from_secs(5);
/// Messages of a registration (two), with something left for repetitions.
const MESSAGES: f64 = 2.5;

pub(super) fn execute(args: &LimitsArgs) -> Result<Exit, Failure> {
    let profile = profile::load(&DiskSource, &args.profile.to_string_lossy(), &args.sets)?;
    let mut plan = Plan::new(&profile)?;
    if args.live == Live::Tui {
        return Err(Failure::usage("--live tui: only `run` has the live screen; use --live plain"));
    }
    let live = args.live != Live::Off;
    for warning in plan.warnings.iter().filter(|_| live) {
        say(&format!("warning: {warning}"));
    }
    let trunk = trunk(&plan, args.trunk.as_deref())?;
    let mut orders = orders(&plan, trunk, args)?;
    if live && !plan.trunks[trunk.index()].certificates.is_empty() {
        say(
            "warning: phones of a search share connections, which show tls.cert of their trunk and no tls_cert of an agent",
        );
    }
    let found = look_up_all(&mut plan)?;
    approach(&plan, &found, trunk, args)?;
    let clock = Clock::new();
    let seed = Seed(plan.seed.unwrap_or_else(super::random));
    plan.draw(seed);
    let (start, started_unix_ns) = (clock.now(), clock.unix_ns());
    prefer_promptness();
    let server = embedded(&plan, seed, clock, start)?;
    let found = with_embedded(found, address_of(&plan, server.as_ref()))?;
    let others = Others::ask(&plan, trunk, clock)?;
    orders.exclusive |= others.is_some();
    let OpenedField { crew, sockets, roster, setup } =
        field::open(&plan, &found, trunk, seed, RunTag(super::random_word()), start)?;
    let carriers = carriers(&plan, server.as_ref())?;
    let layers = |trunk: TrunkId| layers_of(&carriers[trunk.index()], &plan.trunks[trunk.index()]);
    let layers = crew.flows.stream_owners().map(|(trunk, _)| layers(trunk)).collect();
    let (name, stamp) = (name_of(&plan.name, "limits"), super::stamp(started_unix_ns));
    let (directory, _) = RunDirectory::create_with(LIMITS, args.out.as_deref(), &name, &stamp)?;
    let signals = SignalBox::default();
    let trial = LiveField::new(crew, (sockets, layers), clock, signals.clone()).map_err(Failure::could_not)?;
    let searched = super::runtime()?.block_on(search(trial, roster, orders, signals, live));
    let others = others.map(Others::again);
    drop(server);
    let (found, drops, places) = match searched {
        Ok(searched) => searched,
        Err(failure) => {
            directory.discard();
            return Err(failure);
        }
    };
    let objective = orders.probing.objective;
    let conditions = as_record::SearchConditions {
        name: plan.name.clone(),
        seed: seed.0,
        started_unix_ns,
        duration: clock.now().since(start),
        method: orders.method,
        timer_f: plan.trunks[trunk.index()].policy.timers.f(),
        socket_drops: drops,
        addresses: as_record::addresses(&places, trunk),
    };
    let mut limits = as_record::limits(&found, conditions, as_record::setup(setup, objective));
    if let Some(concurrent) = &mut limits.concurrent {
        others::weigh(concurrent, others, plan.expect.exclusive);
    }
    write_files(directory.path(), &report::render_all(&limits))?;
    if args.json {
        print(&String::from_utf8_lossy(&report::json(&limits)))?;
    } else {
        print(&report::summary(&limits, &directory.path().display().to_string()))?;
    }
    Ok(exit(&found))
}

/// A search that was stopped has results, but not an answer.
fn exit(found: &Survey) -> Exit {
    match &found.stopped {
        None => Exit::Success,
        Some(Stop::Interrupted(number)) => Exit::Signal(*number),
        Some(Stop::Banned(_) | Stop::NeverWorked(_) | Stop::Failed(_)) => Exit::CouldNotRun,
    }
}

/// Beyond this machine the profile has to say that the registrar may be driven past its limits.
fn approach(plan: &Plan, found: &[Option<TrunkTargets>], trunk: TrunkId, args: &LimitsArgs) -> Result<(), Failure> {
    let targets = contact::distant(found);
    let Some(address) = targets[trunk.index()] else { return Ok(()) };
    if !plan.contact.limits {
        return Err(Failure::usage(format!(
            "trunk {}: {address} is beyond this machine, and a search drives a registrar past its limits; nothing was sent.\n\
             When its owner agrees, write [safety] limits = true, or --set safety.limits=true",
            plan.trunks[trunk.index()].id
        )));
    }
    contact::consent(plan, &targets, args.yes, args.live != Live::Off)
}

fn trunk(plan: &Plan, wanted: Option<&str>) -> Result<TrunkId, Failure> {
    let ids: Vec<&str> = plan.trunks.iter().map(|trunk| trunk.id.as_str()).collect();
    let position = match wanted {
        Some(id) => ids.iter().position(|other| *other == id).ok_or_else(|| {
            Failure::usage(format!("--trunk {id}: there is no such trunk; the trunks are {}", ids.join(", ")))
        })?,
        None if ids.is_empty() => {
            return Err(Failure::usage(format!(
                "{}: limits needs at least one [[trunk]], with id, registrar, domain and agents",
                plan.profile_path
            )));
        }
        None => 0,
    };
    Ok(TrunkId(saturating_u16(position)))
}

fn orders(plan: &Plan, trunk: TrunkId, args: &LimitsArgs) -> Result<Orders, Failure> {
    let ceiling = f64::from(plan.load.max_message_rate) / MESSAGES;
    let planned = crate::load::Schedule::new(&plan.load, Seed(0)).peak();
    let fill = if planned > 0.0 { planned } else { FILL_MOST }.min(ceiling);
    let objective = args.objective.as_deref().map(|text| span_of("--objective", text)).transpose()?;
    let method = match args.method {
        MethodArg::Bisect => SearchMethod::Bisect,
        MethodArg::Rfc7502 => {
            let settings = strict(plan, trunk, args.only)?;
            SearchMethod::Rfc7502(rfc7502::Rfc7502Settings { r: args.start_rate.unwrap_or(settings.r), ..settings })
        }
    };
    let t1 = plan.trunks[trunk.index()].policy.timers.t1;
    let first = args.start_rate.map_or(PROBE_START, f64::from);
    Ok(Orders {
        concurrent: args.only != Some(Only::Rate),
        rate: args.only != Some(Only::Concurrent),
        exclusive: plan.expect.exclusive,
        method,
        fill: FillRate { start: FILL_START.min(fill), most: fill },
        probing: rate::ProbingSettings { start: first.min(ceiling), most: ceiling, objective, t1 },
        settle: span_of("--settle", &args.settle)?,
        gentle: GENTLE.min(ceiling),
    })
}

/// RFC 7502 §6.7 asks for distinct addresses of record and lifetimes of an hour or more; less would
/// not be its rate.
fn strict(plan: &Plan, trunk: TrunkId, only: Option<Only>) -> Result<rfc7502::Rfc7502Settings, Failure> {
    let settings = rfc7502::Rfc7502Settings::STRICT;
    let trunk = &plan.trunks[trunk.index()];
    if only != Some(Only::Concurrent) && trunk.agents < settings.n {
        return Err(Failure::usage(format!(
            "--method rfc7502 registers {} distinct agents in each iteration, and trunk {} has {}; raise agents.count, or \
             use --method bisect",
            settings.n, trunk.id, trunk.agents
        )));
    }
    if trunk.policy.expires_s < rfc7502::LEAST_EXPIRES_S {
        return Err(Failure::usage(format!(
            "--method rfc7502 needs lifetimes of at least an hour (RFC 7502 section 6.7), and trunk {} asks for {} s; set \
             trunk.{}.expires=1h, or use --method bisect",
            trunk.id, trunk.policy.expires_s, trunk.id
        )));
    }
    Ok(settings)
}

/// Searches on a thread of its own while this one listens to signals.
async fn search(
    trial: LiveField,
    roster: Seating,
    orders: Orders,
    signals: SignalBox,
    live: bool,
) -> Result<(Survey, u64, Vec<PlaceRow>), Failure> {
    let mut heard = Signals::listen(trial.clock())
        .map_err(|error| Failure::could_not(format!("signals cannot be received: {error}")))?;
    let waker = trial.waker();
    let (done, mut finished) = tokio::sync::oneshot::channel();
    let thread = std::thread::Builder::new().name("search".to_owned()).spawn(move || {
        let mut shown = ShownField { field: trial, live, asked_s: None };
        let found = survey(&mut shown, &roster, &orders);
        // Whoever waits for this is on the other side as long as the process lives.
        let _ = done.send((found, shown.field.drops(), shown.field.take_places()));
    });
    let thread = thread.map_err(|error| Failure::could_not(format!("no thread for the search: {error}")))?;
    let mut came = None;
    let mut patience = Duration::MAX;
    let result = loop {
        tokio::select! {
            biased;
            result = &mut finished => break result,
            // A registrar that answers no more must not keep anybody.
            () = tokio::time::sleep(patience) => match came {
                Some(number) if patience == REMOVING => {
                    signals.raise(number);
                    waker.wake();
                    patience = AT_ONCE;
                }
                _ => return Err(Failure::could_not("the search did not end; bindings may stay until their lifetime ends")),
            },
            number = heard.next() => {
                patience = if came.replace(number).is_none() { REMOVING } else { AT_ONCE };
                if live {
                    say("interrupted: removing the bindings; press Ctrl-C again to stop at once");
                }
                signals.raise(number);
                waker.wake();
            }
        }
    };
    let panicked = |_| Failure::could_not("the search failed: its thread panicked");
    let found = result.map_err(panicked)?;
    // It has sent its result, nothing is left to fail.
    let _ = thread.join();
    Ok(found)
}
