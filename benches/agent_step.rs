//! What one registration costs in user space, sockets apart: a fleet of one worker, answered by prepared replies. The
//! control case runs the same registration through the embedded registrar as well, and must be slower.

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use regstorm::agent::{Credential, IdentityBook, RealmPolicy, RetryPolicy, Timers, TrunkPolicy};
use regstorm::fleet::{Fleet, FleetConfig, Flow, Outbox};
use regstorm::load::{LoadConfig, Process, Schedule, Stage, Stripe, WhenExhausted};
use regstorm::measure::{Tally, TallyConfig};
use regstorm::registrar::{self, Registrar};
use regstorm::seed::Seed;
use regstorm::sip::emit::{RegisterTemplate, TemplateParts};
use regstorm::sip::{Algorithm, AlgorithmSet};
use regstorm::vocab::{FlowId, RunTag, Secret, Time, TrunkId};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

const AGENTS: u32 = 64;
const START: Time = Time::from_secs(1);

struct Kept(Vec<Vec<u8>>);

impl Outbox for Kept {
    fn put(&mut self, _flow: FlowId, _tag: u64, write: &mut dyn FnMut(&mut [u8]) -> usize) {
        let mut buffer = vec![0; 2048];
        let length = write(&mut buffer);
        buffer.truncate(length);
        self.0.push(buffer);
    }
}

fn fleet() -> Fleet {
    let mut identities = IdentityBook::default();
    let password = identities.credential(Credential::Password(Secret::new("secret")));
    for n in 0..AGENTS {
        let user = format!("agent{n:05}");
        identities.push(TrunkId(0), n, &user, &user, password);
    }
    let policy = TrunkPolicy {
        domain: "genesyscloud.test".into(),
        realm: None,
        realm_policy: RealmPolicy::Expect,
        algorithms: AlgorithmSet::EMPTY.with(Algorithm::Md5),
        expires_s: 3600,
        refresh_at: 0.9,
        reuse_nonce: true,
        retry: RetryPolicy::NONE,
        timers: Timers::default(),
    };
    // All at the first instant: a turn is then nothing but arrivals.
    let load = LoadConfig {
        stages: vec![Stage::Rate { per_second: 1e6, lasts: Duration::from_secs(1) }],
        agents: AGENTS,
        max_in_flight: 20_000,
        max_message_rate: 10_000_000,
        process: Process::Uniform,
        when_exhausted: WhenExhausted::Stop,
    };
    let local = SocketAddr::from(([127, 0, 0, 1], 40_000));
    let template = RegisterTemplate::new(&TemplateParts {
        domain: "genesyscloud.test",
        transport: "UDP",
        sent_by: "127.0.0.1:40000",
        route: None,
        user_agent: "regstorm",
        headers: &[],
    });
    let tally = Tally::new(TallyConfig {
        trunks: 1,
        agents: AGENTS as usize,
        worker: 0,
        workers: 1,
        interval: Duration::from_secs(60),
        start: START,
        late: Duration::from_millis(5),
        stall: Duration::from_millis(10),
        warmup: Duration::ZERO,
    });
    let config = FleetConfig {
        stripe: Stripe::WHOLE,
        identities: Arc::new(identities),
        policies: Arc::from([policy]),
        flows: vec![Flow { trunk: TrunkId(0), source: 0, local, remote: peer(), template }],
        agent_flows: vec![FlowId(0); AGENTS as usize],
        schedule: Arc::new(Schedule::new(&load, Seed(7))),
        start: START,
        seed: Seed(7),
        run: RunTag(7),
        max_in_flight: load.max_in_flight,
        max_message_rate: load.max_message_rate,
        capture_secrets: false,
    };
    Fleet::new(config, tally)
}

fn server() -> Registrar {
    let config = registrar::Config {
        realm: "genesyscloud.test".into(),
        algorithms: vec![Algorithm::Md5],
        password: Secret::new("secret"),
        min_expires_s: 5,
        max_expires_s: 3600,
        nonce_lifetime: Duration::from_secs(300),
        faults: Vec::new(),
        max_contacts: None,
        users: None,
    };
    Registrar::new(config, Seed(7), START)
}

fn peer() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 5060))
}

/// Answers every request of `sent`.
fn answers(registrar: &mut Registrar, sent: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let now = START + Duration::from_millis(1);
    let mut buffer = vec![0; 2048];
    let mut replies = Vec::new();
    for request in sent {
        registrar.receive(now, peer(), request);
        while let Some((length, _)) = registrar.poll_transmit(now, &mut buffer) {
            replies.push(buffer[..length].to_vec());
        }
    }
    replies
}

fn arrive(fleet: &mut Fleet) -> Vec<Vec<u8>> {
    let mut out = Kept(Vec::new());
    while fleet.turn(START + Duration::from_millis(1), &mut out) {}
    out.0
}

fn receive(fleet: &mut Fleet, replies: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let at = START + Duration::from_millis(2);
    let mut out = Kept(Vec::new());
    for reply in replies {
        fleet.receive(at, at, FlowId(0), peer(), reply, &mut out);
    }
    out.0
}

fn agent_step(c: &mut Criterion) {
    let mut group = c.benchmark_group("agent_step");
    group.throughput(criterion::Throughput::Elements(AGENTS.into()));
    group.bench_function("register_64_agents", |b| {
        b.iter_batched(
            || {
                // The run tag, the seed and so every byte are the same each time: replies made once fit every copy.
                let (mut model, mut registrar) = (fleet(), server());
                let challenges = answers(&mut registrar, &arrive(&mut model));
                let grants = answers(&mut registrar, &receive(&mut model, &challenges));
                (fleet(), challenges, grants)
            },
            |(mut fleet, challenges, grants)| {
                arrive(&mut fleet);
                receive(&mut fleet, &challenges);
                receive(&mut fleet, &grants);
                assert_eq!(fleet.tally().registered(), u64::from(AGENTS));
            },
            BatchSize::SmallInput,
        );
    });
    group.bench_function("control/with_the_registrar", |b| {
        b.iter_batched(
            || (fleet(), server()),
            |(mut fleet, mut registrar)| {
                let challenges = answers(&mut registrar, &arrive(&mut fleet));
                let grants = answers(&mut registrar, &receive(&mut fleet, &challenges));
                receive(&mut fleet, &grants);
                assert_eq!(fleet.tally().registered(), u64::from(AGENTS));
            },
            BatchSize::SmallInput,
        );
    });
    group.finish();
}

criterion_group!(benches, agent_step);
criterion_main!(benches);
