//! A whole run over loopback sockets: two sender threads of the engine against the embedded
//! registrar, in one process. Two thousand agents arrive within 20 ms, faster than they can be
//! served, and register with a challenge each; timed is from the first arrival until the last of
//! them is registered. So the figure is what both ends together carry on this machine.
//!
//! With a socket for each agent, as real phones have, no two datagrams share a system call. In the
//! control case the registrar holds every answer back for 100 ms; two of them make up a
//! registration, so it must be slower.
//!
//! Requests wait in socket buffers meanwhile. Where these are small (`net.core.rmem_max`) some are
//! lost, and sent again when 500 ms have passed without an answer; the bench says so, because such
//! a figure is Timer E's.

use criterion::{Criterion, SamplingMode, Throughput, criterion_group, criterion_main};
use regstorm::engine::{Conduct, Decision, Listening, Observer, Pacing, RunPosition, Server, WorkerPlan, conduct};
use regstorm::fleet::{Fleet, FleetConfig, Flow, Flows};
use regstorm::load::{Schedule, Stripe};
use regstorm::measure::{Interval, Tally, TallyConfig};
use regstorm::net::clock::Clock;
use regstorm::net::descriptors::raise_limit;
use regstorm::net::{Udp, UdpOptions};
use regstorm::plan::Plan;
use regstorm::profile::{self, Source};
use regstorm::registrar::{Delay, Fault, FaultKind, Registrar};
use regstorm::seed::Seed;
use regstorm::sip::emit::{RegisterTemplate, TemplateParts};
use regstorm::vocab::{FailedAttempt, FlowId, Intervention, RunTag, Stage, Status, Time, Transport, TrunkId};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

const AGENTS: u32 = 2_000;
const WORKERS: u32 = 2;
const SEED: Seed = Seed(7);
/// From having all sockets to the first arrival: time to build the fleets and start the threads.
const HEAD_START: Duration = Duration::from_millis(100);

const PROFILE: &str = r#"
[run]
unregister = false
[safety]
max_message_rate = 1_000_000
[[trunk]]
id = "loopback"
registrar = "embedded"
domain = "genesyscloud.test"
retry = { preset = "none" }
agents = { count = 2_000, user = "agent{n:05}", password = "secret" }
[[load]]
rate = 100_000
for = "20ms"
[[load]]
hold = "100ms"
[registrar]
algorithms = ["MD5"]
"#;

/// The profile above, and nothing else.
struct Written;

impl Source for Written {
    fn read(&self, _path: &str) -> Result<Vec<u8>, String> {
        Ok(PROFILE.into())
    }

    fn env(&self, _name: &str) -> Option<String> {
        None
    }
}

/// What the bench wants to know of a run.
#[derive(Default)]
struct Outcome {
    registered: u64,
    /// Nanoseconds from the first arrival.
    last_registered_ns: u64,
    retransmissions: u64,
}

impl Observer for Outcome {
    fn interval(&mut self, interval: &Interval) -> io::Result<Decision> {
        for trunk in &interval.trunks {
            self.registered += trunk.status[Status::Registered.index()];
            self.retransmissions += trunk.retransmissions;
        }
        let first = interval.agents.iter().filter_map(|row| row.first_registered_ns);
        self.last_registered_ns = first.fold(self.last_registered_ns, u64::max);
        Ok(Decision::GoOn)
    }

    fn failures(&mut self, failures: &[FailedAttempt]) -> io::Result<()> {
        assert!(failures.is_empty(), "nobody is refused here");
        Ok(())
    }

    fn progress(&mut self, _position: RunPosition) {}

    fn intervened(&mut self, _intervention: &Intervention) -> io::Result<()> {
        Ok(())
    }

    fn stage(&mut self, _stage: Stage, _interrupted: Option<i32>) {}
}

/// What is compared.
#[derive(Clone, Copy)]
struct Case {
    name: &'static str,
    socket_per_agent: bool,
    /// How long the registrar holds each answer back.
    delay: Duration,
}

const CASES: [Case; 3] = [
    Case { name: "a socket per worker", socket_per_agent: false, delay: Duration::ZERO },
    Case { name: "a socket per agent", socket_per_agent: true, delay: Duration::ZERO },
    Case { name: "control/answers after 100 ms", socket_per_agent: false, delay: Duration::from_millis(100) },
];

/// One run; how long it took everybody to register.
fn run(plan: &Plan, case: Case) -> Duration {
    let clock = Clock::new();
    let local = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let listening = Udp::bound(local, &UdpOptions::default()).expect("a socket on loopback");
    let target = listening.local_addr();
    let stripes = (0..WORKERS).map(|worker| Stripe { worker, workers: WORKERS });
    let sockets: Vec<_> = stripes.map(|stripe| (stripe, sockets(target, stripe, case.socket_per_agent))).collect();
    let start = clock.now() + HEAD_START;
    let server = Server::start(
        registrar(plan, case.delay, start),
        Listening { udp: vec![listening], ..Listening::default() },
        1,
        clock,
    )
    .expect("a thread");
    let schedule = Arc::new(Schedule::new(&plan.load, SEED));
    let run = Conduct {
        workers: sockets
            .into_iter()
            .map(|(stripe, sockets)| worker(plan, &schedule, start, stripe, target, sockets))
            .collect(),
        clock,
        start,
        load_lasts: schedule.lasts(),
        timeline: schedule.timeline(),
        wishes: None,
        name_news: None,
        questions: None,
        canaries: None,
        glances: false,
        pacing: Pacing::Idle,
        drain: plan.drain,
        unregister_rate: None,
        agents: AGENTS,
        patience: Duration::ZERO,
        hung: |_| {},
    };
    let mut outcome = Outcome::default();
    conduct(run, &mut outcome).expect("loopback carries a run");
    server.stop().expect("the registrar served to the end");
    assert_eq!(outcome.registered, u64::from(AGENTS), "somebody is missing");
    if outcome.retransmissions > 0 {
        eprintln!("{} requests had no answer within 500 ms and were sent again", outcome.retransmissions);
    }
    Duration::from_nanos(outcome.last_registered_ns)
}

fn registrar(plan: &Plan, delay: Duration, start: Time) -> Registrar {
    let mut config = plan.registrar.clone();
    if !delay.is_zero() {
        let kind = FaultKind::Delay(Delay::Fixed(delay));
        let (from, until) = (Duration::ZERO, None);
        config.faults.push(Fault {
            kind,
            from,
            until,
            share: 1.0,
            sources: Vec::new(),
            addresses: Vec::new(),
            domain: None,
        });
    }
    Registrar::new(config, SEED, start)
}

/// A worker's sockets: one for all its agents, or one for each.
fn sockets(target: SocketAddr, stripe: Stripe, per_agent: bool) -> Vec<Udp> {
    let small = UdpOptions { recv_buffer: 64 << 10, send_buffer: 64 << 10, ..UdpOptions::default() };
    let (count, options) = if per_agent { (stripe.count(AGENTS), small) } else { (1, UdpOptions::default()) };
    (0..count).map(|_| Udp::connected(None, target, &options).expect("a socket on loopback")).collect()
}

fn worker(
    plan: &Plan,
    schedule: &Arc<Schedule>,
    start: Time,
    stripe: Stripe,
    target: SocketAddr,
    sockets: Vec<Udp>,
) -> WorkerPlan {
    let tally = Tally::new(TallyConfig {
        trunks: 1,
        agents: AGENTS as usize,
        worker: stripe.worker,
        workers: WORKERS,
        interval: plan.interval,
        passed: Duration::ZERO,
        warmup: plan.warmup,
        start,
        late: Duration::from_nanos(plan.generator.late_ns),
        stall: Duration::from_nanos(plan.generator.stall_ns),
    });
    let mut flows = Flows::default();
    for udp in &sockets {
        let local = udp.local_addr();
        flows.add(Flow {
            trunk: TrunkId(0),
            source: 0,
            local,
            remote: target,
            template: template(local),
            stream: None,
            keepalive: None,
        });
    }
    let of_agents = (0..stripe.count(AGENTS)).map(|local| FlowId(local % sockets.len() as u32));
    let config = FleetConfig {
        stripe,
        identities: plan.identities.clone(),
        policies: plan.trunks.iter().map(|trunk| trunk.policy.clone()).collect(),
        flows: flows.with_agents(of_agents.collect()),
        schedule: schedule.clone(),
        start,
        seed: SEED,
        run: RunTag(7),
        max_in_flight: plan.load.max_in_flight,
        max_message_rate: plan.load.max_message_rate,
        capture_secrets: false,
    };
    WorkerPlan { fleet: Fleet::new(config, tally), sockets, beside: Vec::new(), layers: Vec::new() }
}

fn template(local: SocketAddr) -> RegisterTemplate {
    RegisterTemplate::new(&TemplateParts {
        domain: "genesyscloud.test",
        transport: Transport::Udp,
        sent_by: &local.to_string(),
        route: None,
        user_agent: "regstorm",
        headers: &[],
    })
}

fn loopback(c: &mut Criterion) {
    let profile = profile::load(&Written, "loopback.toml", &[]).expect("a profile");
    let plan = Plan::new(&profile).expect("a plan");
    raise_limit().expect("a limit on descriptors");
    let mut group = c.benchmark_group("loopback");
    // A run takes a third of a second more than what is timed; ten runs of each case are enough.
    group.sampling_mode(SamplingMode::Flat).sample_size(10);
    group.warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2));
    group.throughput(Throughput::Elements(AGENTS.into()));
    for case in CASES {
        group.bench_function(case.name, |b| b.iter_custom(|runs| (0..runs).map(|_| run(&plan, case)).sum()));
    }
    group.finish();
}

criterion_group!(benches, loopback);
criterion_main!(benches);
