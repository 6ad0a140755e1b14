//! From what is written to what is meant: every default filled in, every relation between keys
//! checked, all problems reported together.

mod agents;
mod check;
mod fault;
mod headers;
mod injection;
mod names;
mod platform;
mod replay;
mod rows;
mod tls;
mod trunk;
mod truth;
mod ws;

use super::Source;
use super::error::Problem;
use super::file::{
    ArrivalsFile, ExpectFile, GeneratorFile, ProfileFile, RegistrarFile, RunFile, SafetyFile, StageFile, defaults,
};
use super::listen::{ListenAddr, ListenError};
use super::meant::{
    Arrivals, FaultProfile, GeneratorProfile, Profile, RegistrarProfile, RunProfile, Safety, StageProfile,
};
use super::places::{Path, Places};
use crate::vocab::{Expectation, FaultKind, IntervalAlign, ShownCertificate, format_duration, parse_bandwidth};
use check::Checker;
use ipnet::IpNet;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

/// The most threads, and the most arrivals per second, that make sense on one machine.
const MAX_WORKERS: u32 = 1_024;
const MAX_RATE: f64 = 1_000_000.0;
/// The most contacts of one address of record: as many as a reply has room for, and more than any
/// phone has.
const MAX_CONTACTS: u32 = 1_000;
/// Shorter intervals would make more rows than measurements.
const MIN_INTERVAL: Duration = Duration::from_millis(100);

/// Checks a profile.
///
/// # Errors
/// Everything that is wrong with it.
pub(super) fn resolve(file: ProfileFile, places: Places, source: &dyn Source) -> Result<Profile, Vec<Problem>> {
    let mut check = Checker { places: &places, source, problems: Vec::new(), warnings: Vec::new() };
    let trunks = trunk::trunks(&mut check, file.trunk.unwrap_or_default());
    let ids: Vec<&str> = trunks.iter().map(|trunk| trunk.id.as_str()).collect();
    let registrar = registrar(&mut check, file.registrar.unwrap_or_default(), &ids);
    let truths = truth::truths(&mut check, file.truth.unwrap_or_default(), &ids);
    let run = run(&mut check, file.run.unwrap_or_default());
    let safety = safety(&mut check, file.safety.unwrap_or_default());
    let platforms = platform::platforms(&mut check, file.platform.unwrap_or_default(), &safety.allow_platforms, &ids);
    let load = stages(&mut check, file.load.unwrap_or_default());
    check_warmup(&mut check, run.warmup, &load);
    let arrivals = arrivals(&mut check, file.arrivals.unwrap_or_default());
    let generator = generator(&mut check, file.generator.unwrap_or_default());
    let expect = expect(&mut check, file.expect.unwrap_or_default());
    let thresholds = thresholds(in_order(&places, &Path::root("thresholds"), file.thresholds));
    let compare = compare(in_order(&places, &Path::root("compare"), file.compare));
    let Checker { problems, warnings, .. } = check;
    if !problems.is_empty() {
        return Err(problems);
    }
    Ok(Profile {
        places,
        run,
        safety,
        trunks,
        load,
        arrivals,
        generator,
        thresholds,
        compare,
        registrar,
        truths,
        platforms,
        expect,
        warnings,
    })
}

/// Whether intervals of such a length can end on each whole minute, or each end on one.
fn fits_minutes(interval: Duration) -> bool {
    let (minute, interval) = (Duration::from_secs(60).as_nanos(), interval.as_nanos().max(1));
    minute.is_multiple_of(interval) || interval.is_multiple_of(minute)
}

fn run(check: &mut Checker, file: RunFile) -> RunProfile {
    let at = Path::root("run");
    let name = match file.name {
        Some(name) => {
            run_name(check, &at.key("name"), &name);
            name
        }
        None => stem(&check.places.texts.name),
    };
    let interval = check.duration(&at.key("interval"), file.interval.as_ref(), defaults::RUN_INTERVAL);
    if interval < MIN_INTERVAL {
        check.bad(&at.key("interval"), "must be at least 100ms");
    }
    let align = check.word(&at.key("align"), file.align.as_ref(), defaults::ALIGN);
    if align == IntervalAlign::Minute && !fits_minutes(interval) {
        check.bad(
            &at.key("align"),
            "needs an interval that divides a minute, or whole minutes; 1s, 5s, 10s, 30s, 60s and 5m do",
        );
    }
    let workers = file.workers.unwrap_or(defaults::RUN_WORKERS);
    if workers > MAX_WORKERS {
        check.bad(&at.key("workers"), format!("must be at most {MAX_WORKERS}"));
    }
    let warmup = check.duration(&at.key("warmup"), file.warmup.as_ref(), defaults::RUN_WARMUP);
    let drain = check.duration(&at.key("drain"), file.drain.as_ref(), defaults::RUN_DRAIN);
    let unregister = file.unregister.unwrap_or(defaults::RUN_UNREGISTER);
    let resolver = names::resolver(check, &at.key("resolver"), file.resolver.as_deref());
    let hosts = names::hosts(check, &at.key("hosts"), file.hosts.unwrap_or_default());
    RunProfile { name, interval, align, seed: file.seed, workers, warmup, drain, unregister, resolver, hosts }
}

/// A warm-up that is the whole load would leave nothing to judge.
fn check_warmup(check: &mut Checker, warmup: Duration, load: &[StageProfile]) {
    let lasts = load.iter().fold(Duration::ZERO, |sum, stage| sum.saturating_add(stage.lasts()));
    // One that could not be read has a problem of its own already.
    if !load.is_empty() && warmup >= lasts && warmup != Duration::MAX && !warmup.is_zero() {
        let message = format!("must be shorter than the load, which lasts {}", format_duration(lasts));
        check.bad(&Path::root("run").key("warmup"), message);
    }
}

/// The name becomes part of a directory's name.
fn run_name(check: &mut Checker, path: &Path, name: &str) {
    if name.is_empty() || name.starts_with('.') || name.len() > 128 {
        check.bad(path, "must be 1 to 128 characters and not begin with a dot: it names a directory");
    } else if name.chars().any(|c| c == '/' || c == '\\' || c.is_control()) {
        check.bad(path, "must not contain slashes or control characters: it names a directory");
    }
}

/// The file's name without directories and extension.
fn stem(path: &str) -> String {
    let stem = std::path::Path::new(path).file_stem().map(|stem| stem.to_string_lossy().into_owned());
    // Standard input has no name, and a profile that is part of the program has a mark before it.
    let stem = stem.map(|stem| stem.trim_start_matches(['-', '@']).to_owned());
    stem.filter(|stem| !stem.is_empty() && !stem.starts_with('.')).unwrap_or_else(|| "run".to_owned())
}

fn safety(check: &mut Checker, file: SafetyFile) -> Safety {
    let at = Path::root("safety");
    let nets = file.allow_targets.unwrap_or_else(|| defaults::ALLOW_TARGETS.map(str::to_owned).to_vec());
    let mut allow_targets = Vec::new();
    for (n, text) in nets.iter().enumerate() {
        // A single address is a network of one.
        match text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from)) {
            Ok(net) => allow_targets.push(net),
            Err(_) => check.advise(
                &at.key("allow_targets").index(n),
                format!("\"{text}\" is not a network"),
                "write networks like \"10.1.0.0/16\", or single addresses; names are checked by what they resolve to",
            ),
        }
    }
    let max_message_rate =
        check.at_least_one(&at.key("max_message_rate"), file.max_message_rate, defaults::MAX_MESSAGE_RATE);
    let max_connect_rate =
        check.at_least_one(&at.key("max_connect_rate"), file.max_connect_rate, defaults::MAX_CONNECT_RATE);
    let abort_on_written = file.abort_on.is_some();
    let abort_on = in_order(check.places, &at.key("abort_on"), file.abort_on);
    let canary = file.canary.unwrap_or(defaults::CANARY);
    let limits = file.limits.unwrap_or(defaults::LIMITS_ALLOWED);
    let authorised_by = file.authorised_by.filter(|name| !name.trim().is_empty());
    let allow_platforms = file.allow_platforms.unwrap_or_default();
    for (n, host) in allow_platforms.iter().enumerate().filter(|(_, host)| host.contains('/')) {
        let message = format!("\"{host}\" is no host name");
        check.advise(&at.key("allow_platforms").index(n), message, "write names like \"api.example.com\"");
    }
    let allow_platforms = allow_platforms.iter().map(|host| host.to_ascii_lowercase()).collect();
    Safety {
        allow_targets,
        max_message_rate,
        max_connect_rate,
        abort_on,
        abort_on_written,
        canary,
        limits,
        authorised_by,
        allow_platforms,
    }
}

/// A limit of nothing is no limit anybody states.
fn expect(check: &mut Checker, file: ExpectFile) -> Expectation {
    let at = Path::root("expect");
    let mut count =
        |key: &str, written: Option<u32>| written.map(|number| check.at_least_one(&at.key(key), Some(number), number));
    let (registrations, contacts_per_aor) =
        (count("registrations", file.registrations), count("contacts_per_aor", file.contacts_per_aor));
    let messages_per_second = count("messages_per_second", file.messages_per_second);
    let messages_per_second_per_source = count("messages_per_second_per_source", file.messages_per_second_per_source);
    let messages_per_second_per_aor = count("messages_per_second_per_aor", file.messages_per_second_per_aor);
    if let Some(rate) = file.registrations_per_second.filter(|rate| !(rate.is_finite() && *rate > 0.0)) {
        check.bad(&at.key("registrations_per_second"), format!("must be a rate above 0, not {rate}"));
    }
    let bits_per_second = file.bandwidth.and_then(|text| match parse_bandwidth(&text.0) {
        Ok(bits) if bits > 0.0 => Some(bits),
        Ok(_) => {
            check.bad(&at.key("bandwidth"), "must be above 0");
            None
        }
        Err(error) => {
            check.bad(&at.key("bandwidth"), error.to_string());
            None
        }
    });
    Expectation {
        registrations,
        registrations_per_second: file.registrations_per_second,
        messages_per_second,
        messages_per_second_per_source,
        messages_per_second_per_aor,
        contacts_per_aor,
        bits_per_second,
        exclusive: file.exclusive.unwrap_or(false),
    }
}

/// Names and comparisons in the order in which they are written.
fn in_order(places: &Places, at: &Path, written: Option<BTreeMap<String, String>>) -> Vec<(String, String)> {
    let mut pairs: Vec<_> = written.unwrap_or_default().into_iter().collect();
    pairs.sort_by_key(|(name, _)| places.key(&at.key(name)).start);
    pairs
}

/// The lines of `[thresholds]`, or the defaults where there is none.
fn thresholds(written: Vec<(String, String)>) -> Vec<(String, String)> {
    let owned = |(name, expr): (&str, &str)| (name.to_owned(), expr.to_owned());
    if written.is_empty() { defaults::THRESHOLDS.map(owned).into() } else { written }
}

/// The lines of `[compare]`: the defaults with what is written in their place, then what else is
/// written.
fn compare(mut written: Vec<(String, String)>) -> Vec<(String, String)> {
    let mut lines = Vec::new();
    for (name, change) in defaults::COMPARE {
        let own = written.iter().position(|(own, _)| own == name).map(|at| written.remove(at));
        lines.push(own.unwrap_or_else(|| (name.to_owned(), change.to_owned())));
    }
    lines.append(&mut written);
    lines
}

fn stages(check: &mut Checker, files: Vec<StageFile>) -> Vec<StageProfile> {
    let mut stages = Vec::new();
    let mut rate = 0.0;
    let last = files.len().saturating_sub(1);
    for (n, file) in files.into_iter().enumerate() {
        let at = Path::root("load").index(n);
        if let Some(stage) = stage(check, &at, &file, rate) {
            rate = match stage {
                StageProfile::Ramp { ramp, .. } => ramp,
                StageProfile::Rate { rate, .. } => rate,
                StageProfile::Avalanche { .. } => rate,
                StageProfile::Hold { .. } | StageProfile::Outage { .. } | StageProfile::Replay(_) => 0.0,
            };
            stages.push(stage);
        }
    }
    if let Some(StageProfile::Outage { .. }) = stages.last() {
        let at = Path::root("load").index(last).key("outage");
        check.advise(&at, "is the end of the load, and nobody would return", "add a stage behind it: hold = \"5m\"");
    }
    check_replay(check, &stages);
    stages
}

/// A replay says itself who arrives when: beside it there can be no other arrivals.
fn check_replay(check: &mut Checker, stages: &[StageProfile]) {
    let Some(place) = stages.iter().position(|stage| matches!(stage, StageProfile::Replay(_))) else { return };
    let other = |(n, stage): &(usize, &StageProfile)| *n != place && !matches!(stage, StageProfile::Hold { .. });
    if let Some((n, _)) = stages.iter().enumerate().find(other) {
        let remedy = "leave the replay and its holds, and put the other stages into another profile";
        check.advise(&Path::root("load").index(n), "does not go with a replay, which brings all arrivals", remedy);
    }
}

/// One stage; `before` is the rate at which it begins.
fn stage(check: &mut Checker, at: &Path, file: &StageFile, before: f64) -> Option<StageProfile> {
    if file.speed.is_some() && file.replay.is_none() {
        check.bad_key(&at.key("speed"), "goes with replay only", "leave it out");
    }
    if let (Some(replay), None, None, None, None, None) =
        (&file.replay, file.ramp, file.rate, file.avalanche, &file.hold, file.outage)
    {
        return replay::replay(check, at, replay, file).map(StageProfile::Replay);
    }
    match (file.ramp, file.rate, file.avalanche, &file.hold, file.outage) {
        (Some(ramp), None, None, None, None) => {
            let lasts = stage_length(check, at, file)?;
            check_rate(check, &at.key("ramp"), ramp);
            if ramp == before {
                let remedy = if ramp == 0.0 { "write hold".to_owned() } else { format!("write rate = {ramp}") };
                check.advise(&at.key("ramp"), format!("the rate is {ramp} already, there is nothing to ramp"), remedy);
            }
            Some(StageProfile::Ramp { ramp, lasts })
        }
        (None, Some(rate), None, None, None) => {
            let lasts = stage_length(check, at, file)?;
            check_rate(check, &at.key("rate"), rate);
            if rate == 0.0 {
                check.advise(&at.key("rate"), "must be above 0", "a stage without arrivals is hold = \"…\"");
            }
            Some(StageProfile::Rate { rate, lasts })
        }
        (None, None, Some(avalanche), None, None) => {
            if file.lasts.is_some() {
                check.bad_key(&at.key("for"), "does not go with avalanche", "an avalanche takes no time: leave it out");
            }
            if !(avalanche > 0.0 && avalanche <= 1.0) {
                let message = format!("must be a share of all agents above 0 up to 1, not {avalanche}");
                check.bad(&at.key("avalanche"), message);
            }
            Some(StageProfile::Avalanche { avalanche })
        }
        (None, None, None, None, Some(outage)) => {
            let lasts = stage_length(check, at, file)?;
            if !(outage > 0.0 && outage <= 1.0) {
                check.bad(&at.key("outage"), format!("must be a share of all agents above 0 up to 1, not {outage}"));
            }
            Some(StageProfile::Outage { outage, lasts })
        }
        (None, None, None, Some(hold), None) => {
            if file.lasts.is_some() {
                check.bad_key(&at.key("for"), "does not go with hold", "write hold = \"8h\" alone");
            }
            Some(StageProfile::Hold { hold: check.positive(&at.key("hold"), Some(hold), "") })
        }
        (None, None, None, None, None) => {
            check.bad(at, "needs one of ramp, rate, avalanche, hold, outage or replay");
            None
        }
        _ => {
            check.bad(
                at,
                "ramp, rate, avalanche, hold, outage and replay are stages of their own: write one [[load]] for each",
            );
            None
        }
    }
}

fn stage_length(check: &mut Checker, at: &Path, file: &StageFile) -> Option<Duration> {
    if file.lasts.is_none() {
        check.missing(&at.key("for"), "say how long the stage lasts: for = \"30s\"");
        return None;
    }
    Some(check.positive(&at.key("for"), file.lasts.as_ref(), ""))
}

fn check_rate(check: &mut Checker, path: &Path, rate: f64) {
    if !(0.0..=MAX_RATE).contains(&rate) {
        check.bad(path, format!("must be a rate from 0 to {MAX_RATE} arrivals per second, not {rate}"));
    }
}

fn arrivals(check: &mut Checker, file: ArrivalsFile) -> Arrivals {
    let at = Path::root("arrivals");
    let process = check.word(&at.key("process"), file.process.as_ref(), defaults::PROCESS);
    let order = check.word(&at.key("order"), file.order.as_ref(), defaults::ORDER);
    let written = file.when_exhausted.as_ref();
    let when_exhausted = check.word(&at.key("when_exhausted"), written, defaults::WHEN_EXHAUSTED);
    let max_in_flight = check.at_least_one(&at.key("max_in_flight"), file.max_in_flight, defaults::MAX_IN_FLIGHT);
    Arrivals { process, order, when_exhausted, max_in_flight }
}

fn generator(check: &mut Checker, file: GeneratorFile) -> GeneratorProfile {
    let at = Path::root("generator");
    let late = check.positive(&at.key("late"), file.late.as_ref(), defaults::LATE);
    let stall = check.positive(&at.key("stall"), file.stall.as_ref(), defaults::STALL);
    let suspect_late = check.share(&at.key("suspect_late"), file.suspect_late, defaults::SUSPECT_LATE);
    let invalid_late = check.share(&at.key("invalid_late"), file.invalid_late, defaults::INVALID_LATE);
    if suspect_late > invalid_late {
        let key = if file.suspect_late.is_some() { "suspect_late" } else { "invalid_late" };
        check.bad(
            &at.key(key),
            format!("suspect_late ({suspect_late}) must not be above invalid_late ({invalid_late})"),
        );
    }
    let segments = check.at_least_one(&at.key("segments"), file.segments, defaults::SEGMENTS);
    if segments > defaults::SEGMENTS {
        check.bad(&at.key("segments"), format!("at most {} datagrams can leave as one", defaults::SEGMENTS));
    }
    GeneratorProfile { late, stall, suspect_late, invalid_late, segments, pad: file.pad.unwrap_or(defaults::PAD) }
}

fn registrar(check: &mut Checker, file: RegistrarFile, trunk_ids: &[&str]) -> RegistrarProfile {
    let at = Path::root("registrar");
    let listen = listen(check, &at.key("listen"), file.listen);
    let threads = file.threads.unwrap_or(defaults::REGISTRAR_THREADS);
    if threads > MAX_WORKERS {
        check.bad(&at.key("threads"), format!("must be at most {MAX_WORKERS}"));
    }
    let realm = file.realm.unwrap_or_else(|| defaults::REGISTRAR_REALM.to_owned());
    check.quotable(&at.key("realm"), &realm);
    let algorithms = check.algorithms(&at.key("algorithms"), file.algorithms.as_ref(), &defaults::REGISTRAR_ALGORITHMS);
    let password = file.password.map(|text| text.0);
    let min_expires = check.whole_seconds(&at.key("min_expires"), file.min_expires.as_ref(), defaults::MIN_EXPIRES);
    let max_expires = check.whole_seconds(&at.key("max_expires"), file.max_expires.as_ref(), defaults::MAX_EXPIRES);
    let users = file
        .users
        .as_deref()
        .and_then(|csv| agents::users(check, &at.key("users"), csv, password.as_ref(), &algorithms));
    // One that could not be read has a problem of its own already.
    if min_expires > max_expires && min_expires != Duration::MAX {
        let key = if file.min_expires.is_some() { "min_expires" } else { "max_expires" };
        check.bad(&at.key(key), "min_expires must not be above max_expires");
    }
    let nonce_lifetime =
        check.positive(&at.key("nonce_lifetime"), file.nonce_lifetime.as_ref(), defaults::NONCE_LIFETIME);
    if file.max_contacts.is_some_and(|contacts| !(1..=MAX_CONTACTS).contains(&contacts)) {
        check.bad(&at.key("max_contacts"), format!("must be from 1 to {MAX_CONTACTS}"));
    }
    let max_contacts_code = file.max_contacts_code.unwrap_or(defaults::MAX_CONTACTS_CODE);
    check.refusal_code(&at.key("max_contacts_code"), max_contacts_code);
    let faults = fault::faults(check, file.fault.unwrap_or_default(), trunk_ids);
    let shows_another = |fault: &FaultProfile| matches!(fault.kind, FaultKind::Certificate { shows } if shows != ShownCertificate::UnknownCa);
    if file.tls.is_some() && faults.iter().any(shows_another) {
        let remedy = "leave it out: the registrar then makes its own certificate, and others with that key";
        check.advise(&at.key("tls"), "nobody can sign another certificate in the name of this one", remedy);
    }
    RegistrarProfile {
        tls: file.tls.map(|file| tls::server(check, &at.key("tls"), file)),
        listen,
        threads,
        realm,
        algorithms,
        qop: check.word(&at.key("qop"), file.qop.as_ref(), defaults::QOP),
        userhash: file.userhash.unwrap_or(defaults::USERHASH),
        password,
        users,
        min_expires,
        max_expires,
        nonce_lifetime,
        max_contacts: file.max_contacts,
        max_contacts_code,
        faults,
    }
}

fn listen(check: &mut Checker, path: &Path, written: Option<Vec<String>>) -> Vec<ListenAddr> {
    let texts = written.unwrap_or_else(|| defaults::LISTEN.map(str::to_owned).to_vec());
    if texts.is_empty() {
        check.advise(path, "names no address", "write listen = [\"udp://127.0.0.1:0\"]");
    }
    let mut addresses = Vec::new();
    for (n, text) in texts.iter().enumerate() {
        match text.parse() {
            Ok(address) => addresses.push(address),
            Err(error) => check.bad(&path.index(n), ListenError::to_string(&error)),
        }
    }
    addresses
}
