//! From a plan and resolved addresses to workers with fleets and sockets.

use super::carriers::{AgentCertificates, unchecked};
use super::failure::Failure;
use super::targets::TrunkTargets;
use crate::engine::sockets::beside_options;
use crate::engine::{Carrier, WorkerPlan};
use crate::fleet::{Fleet, FleetConfig, Flow, Flows, Sharing, StreamRules};
use crate::load::{Schedule, Share, Stripe};
use crate::measure::{Tally, TallyConfig};
use crate::net::udp::{Udp, UdpOptions};
use crate::plan::{Plan, TrunkPlan};
use crate::seed::Seed;
use crate::sip::emit::{RegisterTemplate, TemplateParts};
use crate::vocab::{AcceptFrom, AgentId, ContactHost, FlowId, RunTag, SocketUse, Time, TrunkId, saturating_u32};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

/// What `User-Agent` says unless the profile's headers do.
pub(super) const USER_AGENT: &str = concat!("regstorm/", env!("CARGO_PKG_VERSION"));

/// Answers over connections are timed by the kernel, too: by the last segment they came in.
const STREAM_STAMPS: &str = "rx-timestamp=tcp";

/// What sets this run apart and holds it together.
#[derive(Clone)]
pub(super) struct RunFrame {
    pub seed: Seed,
    pub run: RunTag,
    pub start: Time,
    /// What this process has of the load: a stripe for each sender thread.
    pub share: Share,
    pub schedule: Arc<Schedule>,
    /// `--capture-secrets`.
    pub capture_secrets: bool,
    /// How much of the first interval had passed at the start.
    pub passed: Duration,
}

/// Workers ready to start, and what their sockets got from the kernel.
pub(super) struct AssembledRun {
    pub workers: Vec<WorkerPlan>,
    /// `recvmmsg`, `rx-timestamp`, `rcvbuf=…`, …, of the first socket; all ask for the same.
    pub features: Vec<String>,
}

/// Opens every socket and builds every fleet.
///
/// # Errors
/// When a socket cannot be had: the run could not take place.
pub(super) fn assemble(
    plan: &Plan,
    (targets, carriers): (&[TrunkTargets], &[Carrier]),
    frame: &RunFrame,
) -> Result<AssembledRun, Failure> {
    let policies: Arc<[_]> = plan.trunks.iter().map(|trunk| &trunk.policy).chain(&plan.variants).cloned().collect();
    let templates: Vec<_> = plan.trunks.iter().map(|trunk| template(plan, trunk)).collect();
    let (mut features, mut certificates) = (Vec::new(), AgentCertificates::default());
    let mut workers = Vec::with_capacity(frame.share.own as usize);
    for stripe in frame.share.stripes() {
        let Open { sockets, beside, flows } = open(plan, targets, &templates, (stripe, frame.seed))?;
        if let Some(udp) = sockets.first().filter(|_| features.is_empty()) {
            features = udp.features().names();
        }
        if flows.streams() > 0 && !features.iter().any(|feature| feature == STREAM_STAMPS) {
            features.push(STREAM_STAMPS.to_owned());
        }
        let tally = Tally::new(TallyConfig {
            trunks: plan.trunks.len(),
            agents: plan.identities.len(),
            worker: stripe.worker,
            workers: stripe.workers,
            interval: plan.interval,
            passed: frame.passed,
            warmup: plan.warmup,
            start: frame.start,
            late: Duration::from_nanos(plan.generator.late_ns),
            stall: Duration::from_nanos(plan.generator.stall_ns),
        });
        let config = FleetConfig {
            stripe,
            identities: plan.identities.clone(),
            policies: policies.clone(),
            flows: flows.allowing(plan.allow_targets.clone().into()),
            schedule: frame.schedule.clone(),
            start: frame.start,
            seed: frame.seed,
            run: frame.run,
            max_in_flight: plan.load.max_in_flight,
            max_message_rate: plan.load.max_message_rate,
            capture_secrets: frame.capture_secrets,
        };
        let layers = |(id, local): (TrunkId, Option<u32>)| {
            let trunk = &plan.trunks[id.index()];
            let number = local.map(|local| plan.identities.get(AgentId(stripe.global(local))).number);
            let certificate = number.and_then(|number| trunk.certificate(number));
            certificates.layers(&carriers[id.index()], trunk, certificate)
        };
        let layers = config.flows.stream_owners().map(layers).collect::<Result<_, Failure>>()?;
        workers.push(WorkerPlan { fleet: Fleet::new(config, tally), sockets, beside, layers });
    }
    features.extend(unchecked(plan).iter().map(|trunk| format!("tls-unchecked={trunk}")));
    Ok(AssembledRun { workers, features })
}

/// One worker's ways out.
struct Open {
    sockets: Vec<Udp>,
    /// See [`WorkerPlan::beside`].
    beside: Vec<(FlowId, Udp)>,
    flows: Flows,
}

/// Opens one worker's sockets; each flow is that of the socket with its number.
fn open(
    plan: &Plan,
    targets: &[TrunkTargets],
    templates: &[RegisterTemplate],
    (stripe, seed): (Stripe, Seed),
) -> Result<Open, Failure> {
    let (mut sockets, mut beside) = (Vec::new(), Vec::new());
    let sharing = |id: TrunkId| {
        let trunk = &plan.trunks[id.index()];
        Sharing { sources: trunk.source.len(), sockets: trunk.sharing() }
    };
    let places = (targets.iter().map(TrunkTargets::named).collect(), seed);
    let flows = Flows::of_named(stripe, &plan.identities, sharing, places, |id, source, to| {
        let trunk = &plan.trunks[id.index()];
        let local = trunk.source.get(source).copied();
        let to = to.unwrap_or_else(|| targets[id.index()].preferred());
        let (udp, flow) = open_flow(plan, id, local, to, (&templates[id.index()], trunk.sharing()))?;
        if let Some(udp) = udp {
            if trunk.accept_from == AcceptFrom::Anywhere && trunk.sharing() == SocketUse::Shared {
                let further = udp.beside(&beside_options());
                let further = further.map_err(|error| Failure::could_not(format!("trunk {}: {error}", trunk.id)))?;
                beside.push((FlowId(saturating_u32(sockets.len())), further));
            }
            sockets.push(udp);
        }
        // The profile lists at most 256 addresses; the rest of a longer list would share the last
        // number.
        Ok::<Flow, Failure>(Flow { source: u8::try_from(source).unwrap_or(u8::MAX), ..flow })
    })?;
    Ok(Open { sockets, beside, flows: flows.opened_at_most(plan.load.max_connect_rate) })
}

/// One way out of a trunk's agents: its socket, at a local address or where the kernel would route
/// from. A connection has none yet: it is opened when somebody wants to send.
///
/// # Errors
/// When the socket cannot be had.
pub(super) fn open_flow(
    plan: &Plan,
    id: TrunkId,
    local: Option<IpAddr>,
    remote: SocketAddr,
    (template, sockets): (&RegisterTemplate, SocketUse),
) -> Result<(Option<Udp>, Flow), Failure> {
    let trunk = &plan.trunks[id.index()];
    if trunk.transport().is_stream() {
        return Ok((None, stream_flow(trunk, id, local, remote, (template, sockets))));
    }
    let options = match sockets {
        // One answer at a time needs no megabytes.
        SocketUse::PerAgent => UdpOptions { recv_buffer: 64 << 10, send_buffer: 64 << 10, ..UdpOptions::default() },
        SocketUse::Shared => UdpOptions { segments: plan.segments, coalescing: true, ..UdpOptions::default() },
    };
    let udp = Udp::connected(local, remote, &options)
        .map_err(|error| Failure::could_not(format!("trunk {}: {error}", trunk.id)))?;
    let local = udp.local_addr();
    let template = template.at(&local.to_string());
    let template = match sockets {
        SocketUse::PerAgent => template.of_one_agent(),
        SocketUse::Shared => template,
    };
    let keepalive = trunk.keepalive;
    Ok((Some(udp), Flow { trunk: id, source: 0, local, remote, template, stream: None, keepalive }))
}

fn stream_flow(
    trunk: &TrunkPlan,
    id: TrunkId,
    local: Option<IpAddr>,
    remote: SocketAddr,
    (template, sharing): (&RegisterTemplate, SocketUse),
) -> Flow {
    let anywhere = if remote.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let local = SocketAddr::new(local.unwrap_or(anywhere), 0);
    let template = template.at(&local.to_string());
    let (template, backs_off) = match sharing {
        SocketUse::PerAgent => (template.of_one_agent(), false),
        SocketUse::Shared => (template, true),
    };
    let (connect_timeout, keepalive, names_host) = (trunk.connect_timeout, trunk.keepalive, trunk.names_hosts());
    let rules = StreamRules { connect_timeout, backs_off, keepalive, names_host };
    Flow { trunk: id, source: 0, local, remote, template, stream: Some(rules), keepalive }
}

/// What a trunk's requests are built from; the address they are sent from comes with the flow.
pub(super) fn template(plan: &Plan, trunk: &TrunkPlan) -> RegisterTemplate {
    let template = RegisterTemplate::new(&TemplateParts {
        domain: &trunk.policy.domain,
        transport: trunk.transport(),
        sent_by: "",
        route: trunk.outbound_proxy.as_ref().map(|proxy| proxy.route.as_str()),
        user_agent: trunk.user_agent.as_deref().unwrap_or(USER_AGENT),
        headers: &trunk.headers,
    });
    let template = if trunk.shares_users { template.of_shared_users() } else { template };
    let template = if trunk.outbound { template.naming_instances() } else { template };
    let template = if trunk.contacts > 1 { template.with_contacts(trunk.contacts) } else { template };
    let template = if trunk.contact == ContactHost::Learnt { template.learning() } else { template };
    if plan.pad { template.padded() } else { template }
}
