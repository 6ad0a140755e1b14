//! What one registration costs in user space, sockets apart: a fleet of one worker, answered by
//! prepared replies. The control case runs the same registration through the embedded registrar as
//! well, and must be slower.

#[path = "support/kept.rs"]
mod kept;
#[path = "support/server.rs"]
mod server;
mod support;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use kept::Kept;
use regstorm::fleet::Fleet;
use regstorm::registrar::Registrar;
use regstorm::sip::Algorithm;
use regstorm::vocab::FlowId;
use server::registrar;
use std::time::Duration;
use support::{START, peer};

const AGENTS: u32 = 64;

fn fleet() -> Fleet {
    // All at the first instant: a turn is then nothing but arrivals.
    support::fleet(AGENTS, Algorithm::Md5, 1e6)
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
        fleet.driver().receive(at, at, FlowId(0), peer(), reply, &mut out);
    }
    out.0
}

fn agent_step(c: &mut Criterion) {
    let mut group = c.benchmark_group("agent_step");
    group.throughput(criterion::Throughput::Elements(AGENTS.into()));
    group.bench_function("register_64_agents", |b| {
        b.iter_batched(
            || {
                // The run tag, the seed and so every byte are the same each time: replies made once
                // fit every copy.
                let (mut model, mut registrar) = (fleet(), registrar(Algorithm::Md5));
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
            || (fleet(), registrar(Algorithm::Md5)),
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
