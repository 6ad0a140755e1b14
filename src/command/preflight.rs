//! `regstorm preflight`: every trunk looked at with one agent each, before any load.

use super::attended::attended;
use super::baseline;
use super::carriers::{carriers, showing};
use super::failure::{Exit, Failure};
use super::output::{print, say, width};
use super::prober::Prober;
use super::probing::register_as;
use super::registrar::{address_of, embedded};
use super::side::side_by_side;
use super::source::DiskSource;
use super::targets::{TrunkTargets, resolve_trunk, without_trunk};
use crate::agent::probe::{ProbeMethod, ProbeRequest};
use crate::cli::PreflightArgs;
use crate::diagnose::readiness::{Reading, Way, judge};
use crate::engine::{Carrier, ClientLayers, ProbeSocket, Server};
use crate::net::clock::Clock;
use crate::plan::{AgentAccount, Plan, TrunkPlan};
use crate::profile::lint::{self, Lint};
use crate::profile::{self, Profile};
use crate::report::readiness::{self, Doubt};
use crate::seed::Seed;
use crate::vocab::{Time, saturating_u32};
use std::net::IpAddr;
use std::time::Duration;

/// How long a request may stay unanswered: three transmissions.
const PATIENCE: Duration = Duration::from_millis(2_500);
/// After this nothing new is begun, with a little more for each source address beyond the first
/// ones.
const WHOLE: Duration = Duration::from_secs(10);
const PER_WAY: Duration = Duration::from_millis(400);
/// The most source addresses of a trunk that are tried.
const MOST_SOURCES: usize = 16;
/// The most addresses of its registrar that are tried beside the first choice.
const MOST_OTHERS: usize = 15;

pub(super) fn execute(args: &PreflightArgs) -> Result<Exit, Failure> {
    let (profile, mut plan) = plan(&args.profile.to_string_lossy(), &args.sets)?;
    let clock = Clock::new();
    let prober = Prober::new(clock);
    let server = embedded(&plan, Seed(plan.seed.unwrap_or_else(super::random)), clock, clock.now())?;
    let subjects = subjects(&profile, &mut plan, server.as_ref())?;
    let places = |subject: &TrunkToProbe<'_>| subject.target.as_ref().map_or(0, |found| found.places.len());
    let ways: usize = subjects.iter().map(|subject| subject.ways.len() + places(subject)).sum();
    let until = clock.now() + WHOLE + PER_WAY * saturating_u32(ways);
    let (readings, interrupted) =
        attended(&prober, || side_by_side(&subjects, |subject| reading(&prober, subject, until)))?;
    drop(server);
    if let Some(signal) = interrupted {
        return Ok(Exit::Signal(signal));
    }
    let trunks: Vec<_> = readings.iter().map(judge).collect();
    let doubts: Vec<Doubt> = lint::lint(&profile).into_iter().map(doubt).collect();
    let baseline = if args.baseline { Some(baseline::measure_and_keep(clock)?) } else { None };
    if args.json {
        print(&readiness::render_json(&trunks, &doubts, baseline.as_ref()))?;
    } else {
        let mut text = readiness::render(&trunks, &doubts, width());
        if let Some(baseline) = &baseline {
            text.push('\n');
            text.push_str(&readiness::baseline(baseline, width()));
        }
        print(&text)?;
    }
    Ok(if trunks.iter().all(|trunk| trunk.ready) { Exit::Success } else { Exit::ThresholdFailed })
}

/// The profile and its plan; warnings go to standard error.
///
/// # Errors
/// When it cannot be used, or has no trunk.
pub(super) fn plan(path: &str, sets: &[String]) -> Result<(Profile, Plan), Failure> {
    let profile = profile::load(&DiskSource, path, sets)?;
    let plan = Plan::new(&profile)?;
    if plan.trunks.is_empty() {
        return Err(profile
            .whole_problem("has no trunk", "add a [[trunk]] with id, registrar, domain and agents")
            .into());
    }
    for warning in &plan.warnings {
        say(&format!("warning: {warning}"));
    }
    Ok((profile, plan))
}

/// A trunk, and who is to register on it from where.
pub(super) struct TrunkToProbe<'p> {
    pub trunk: &'p TrunkPlan,
    pub target: Result<TrunkTargets, String>,
    pub carrier: Carrier,
    pub ways: Vec<(Option<IpAddr>, AgentAccount)>,
}

/// Every trunk with its target and one agent for each source address.
///
/// # Errors
/// When a target is not allowed; then nothing is sent to any.
pub(super) fn subjects<'p>(
    profile: &Profile,
    plan: &'p mut Plan,
    server: Option<&Server>,
) -> Result<Vec<TrunkToProbe<'p>>, Failure> {
    let embedded = address_of(plan, server);
    // Each name may take the resolver's whole patience.
    let resolved = side_by_side(&plan.trunks, |trunk| resolve_trunk(plan, trunk, embedded));
    for (trunk, found) in plan.trunks.iter_mut().zip(&resolved) {
        found.iter().for_each(|found| found.settle(trunk));
    }
    let plan: &'p Plan = plan;
    let mut carriers = carriers(plan, server)?.into_iter();
    let subject = |(trunk, (written, resolved)): (&'p TrunkPlan, (&profile::TrunkProfile, _))| {
        let target = match resolved {
            Ok(target) => Ok(target),
            Err(Failure::CouldNotRun(why)) => Err(without_trunk(&trunk.id, &why)),
            Err(usage) => return Err(usage),
        };
        let carrier = carriers.next().unwrap_or(Carrier::Datagrams);
        Ok(TrunkToProbe { trunk, target, carrier, ways: ways(written, trunk) })
    };
    plan.trunks.iter().zip(profile.trunks.iter().zip(resolved)).map(subject).collect()
}

/// Agent n sends from source n; where there are more sources than agents, the first agent tries the
/// others.
fn ways(profile: &profile::TrunkProfile, trunk: &TrunkPlan) -> Vec<(Option<IpAddr>, AgentAccount)> {
    let sources: Vec<Option<IpAddr>> = match trunk.source.as_slice() {
        [] => vec![None],
        sources => sources.iter().copied().map(Some).collect(),
    };
    let account = |n: usize| AgentAccount::of(profile, saturating_u32(n)).or_else(|| AgentAccount::of(profile, 0));
    let sources = sources.into_iter().enumerate().take(MOST_SOURCES);
    sources.filter_map(|(n, source)| Some((source, account(n)?))).collect()
}

fn reading(prober: &Prober, subject: &TrunkToProbe<'_>, until: Time) -> Reading {
    let trunk = subject.trunk;
    let mut reading = Reading {
        trunk_id: trunk.id.clone(),
        registrar: trunk.registrar_text.clone(),
        target: subject.target.as_ref().map(TrunkTargets::preferred).map_err(String::clone),
        names: subject.target.as_ref().ok().and_then(|found| found.resolution.clone()),
        expected_realm: trunk.policy.realm.clone(),
        accepted: trunk.policy.algorithms,
        layers: None,
        options: None,
        ways: Vec::new(),
        untried: trunk.source.len().saturating_sub(MOST_SOURCES),
    };
    let Ok(found) = &subject.target else { return reading };
    let preferred = found.preferred();
    let others = found.places.iter().map(|place| place.address).filter(|address| *address != preferred);
    // Every source address speaks to the first choice, one of them to the others.
    let first = subject.ways.iter().map(|way| (preferred, way));
    let ways =
        first.chain(others.take(MOST_OTHERS).flat_map(|other| subject.ways.iter().take(1).map(move |w| (other, w))));
    for (target, (source, account)) in ways {
        let mut way =
            Way { user: account.user.clone(), target, local: Err(String::new()), register: None, removal: None };
        let carrier = showing(&subject.carrier, trunk, account.certificate.as_ref()).map_err(|error| error.to_string());
        let opened = carrier.and_then(|over| {
            ProbeSocket::open(&over, *source, target, prober.clock).map_err(|error| error.to_string())
        });
        match opened {
            Err(error) => way.local = Err(error),
            Ok(mut socket) => {
                way.local = Ok(socket.local_addr());
                if reading.options.is_none() {
                    let request = register_as(trunk, account, prober.call(), PATIENCE);
                    let request = ProbeRequest { method: ProbeMethod::Options, ..request };
                    reading.options = prober.exchange(&mut socket, &request, until);
                }
                register(prober, trunk, account, &mut socket, &mut way, until);
                let which = match &subject.carrier {
                    Carrier::Connection(ClientLayers { ws: Some(_), .. }) => Some("WebSocket"),
                    Carrier::Connection(ClientLayers { tls: Some(_), .. }) => Some("TLS"),
                    _ => None,
                };
                reading.layers = reading.layers.or_else(|| which.zip(socket.layers()));
            }
        }
        reading.ways.push(way);
    }
    reading
}

/// Registers and removes what was registered, also when time is up meanwhile.
fn register(
    prober: &Prober,
    trunk: &TrunkPlan,
    account: &AgentAccount,
    socket: &mut ProbeSocket,
    way: &mut Way,
    until: Time,
) {
    let mut request = register_as(trunk, account, prober.call(), PATIENCE);
    way.register = prober.exchange(socket, &request, until);
    if let Some(seen) = way.register.as_ref().filter(|seen| seen.outcome.is_granted()) {
        request.call = seen.outcome.call;
        request.expires_s = 0;
        way.removal = prober.exchange(socket, &request, Time::NEVER);
    }
}

pub(super) fn doubt(lint: Lint) -> Doubt {
    let Lint { trunk_id, user, agents, field, what, remedy } = lint;
    Doubt { trunk_id, user, agents, field: field.as_str(), what, remedy }
}
