//! From a plan and resolved addresses to workers with fleets and sockets.

use super::failure::Failure;
use crate::engine::WorkerPlan;
use crate::fleet::{Fleet, FleetConfig, Flow};
use crate::load::{Schedule, Stripe};
use crate::measure::{Tally, TallyConfig};
use crate::net::udp::{Udp, UdpOptions};
use crate::plan::{Plan, TrunkPlan};
use crate::seed::Seed;
use crate::sip::emit::{RegisterTemplate, TemplateParts};
use crate::vocab::{RunTag, Time, TrunkId};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// What `User-Agent` says unless the profile's headers do.
const USER_AGENT: &str = concat!("regstorm/", env!("CARGO_PKG_VERSION"));

/// Sender threads of a run: as the profile says, else one per core, never more than agents.
pub fn workers(plan: &Plan) -> u32 {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let wanted = if plan.workers == 0 { cores } else { plan.workers };
    wanted.clamp(1, plan.identities.len().max(1)) as u32
}

/// What sets this run apart and holds it together.
pub struct Frame {
    pub seed: Seed,
    pub run: RunTag,
    pub start: Time,
    pub workers: u32,
    pub schedule: Arc<Schedule>,
}

/// Workers ready to start, and what their sockets got from the kernel.
pub struct Assembly {
    pub workers: Vec<WorkerPlan>,
    /// `recvmmsg`, `rx-timestamp`, `rcvbuf=…`, …; the least of all sockets.
    pub features: Vec<String>,
}

/// Opens every socket and builds every fleet.
///
/// # Errors
/// When a socket cannot be had: the run could not take place.
pub fn assemble(plan: &Plan, targets: &[SocketAddr], frame: &Frame) -> Result<Assembly, Failure> {
    let identities = Arc::new(plan.identities.clone());
    let policies: Arc<[_]> = plan.trunks.iter().map(|trunk| &trunk.policy).chain(&plan.variants).cloned().collect();
    let mut features = Vec::new();
    let mut workers = Vec::with_capacity(frame.workers as usize);
    for worker in 0..frame.workers {
        let (sockets, flows) = open(plan, targets, worker == 0, &mut features)?;
        let tally = Tally::new(TallyConfig {
            trunks: plan.trunks.len(),
            agents: plan.identities.len(),
            worker,
            workers: frame.workers,
            interval: plan.interval,
            warmup: plan.warmup,
            start: frame.start,
            late: Duration::from_nanos(plan.generator.late_ns),
            stall: Duration::from_nanos(plan.generator.stall_ns),
        });
        let config = FleetConfig {
            stripe: Stripe { worker, workers: frame.workers },
            identities: identities.clone(),
            policies: policies.clone(),
            flows,
            schedule: frame.schedule.clone(),
            start: frame.start,
            seed: frame.seed,
            run: frame.run,
            max_in_flight: plan.load.max_in_flight,
            max_message_rate: plan.load.max_message_rate,
        };
        workers.push(WorkerPlan { fleet: Fleet::new(config, tally), sockets });
    }
    Ok(Assembly { workers, features })
}

/// One worker's sockets, one per trunk and source address, with what is written to each.
fn open(
    plan: &Plan,
    targets: &[SocketAddr],
    first: bool,
    features: &mut Vec<String>,
) -> Result<(Vec<Udp>, Vec<Flow>), Failure> {
    let mut sockets = Vec::new();
    let mut flows = Vec::new();
    for (position, (trunk, &target)) in plan.trunks.iter().zip(targets).enumerate() {
        let sources =
            if trunk.source.is_empty() { vec![None] } else { trunk.source.iter().copied().map(Some).collect() };
        for source in sources {
            let udp = Udp::connected(source, target, &UdpOptions::default())
                .map_err(|error| Failure::could_not(format!("trunk {}: {error}", trunk.id)))?;
            if first && features.is_empty() {
                *features = udp.features().names();
            }
            flows.push(Flow { trunk: TrunkId(position as u16), template: template(trunk, udp.local_addr()) });
            sockets.push(udp);
        }
    }
    Ok((sockets, flows))
}

fn template(trunk: &TrunkPlan, local: SocketAddr) -> RegisterTemplate {
    RegisterTemplate::new(&TemplateParts {
        domain: &trunk.policy.domain,
        transport: "UDP",
        sent_by: &local.to_string(),
        route: trunk.outbound_proxy.as_ref().map(|proxy| proxy.route.as_str()),
        user_agent: trunk.user_agent.as_deref().unwrap_or(USER_AGENT),
        headers: &trunk.headers,
    })
}
