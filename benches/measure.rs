//! What measuring costs a worker: one attempt's events, and closing an interval.
//!
//! `control/two_counters` is the least any counting takes and must be the fastest by far;
//! `control/locked` is the same attempt behind a lock, which sharing one tally between workers
//! would cost, and must be slower than `attempt`.

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use regstorm::measure::{AttemptEnd, Clues, Event, Subject, Tally, TallyConfig};
use regstorm::vocab::{AgentId, Kind, Place, Status, Time, TrunkId, Why};
use std::hint::black_box;
use std::sync::Mutex;
use std::time::Duration;

const AGENTS: u32 = 10_000;

fn tally() -> Tally {
    Tally::new(TallyConfig {
        trunks: 1,
        agents: AGENTS as usize,
        worker: 0,
        workers: 1,
        interval: Duration::from_secs(10),
        passed: Duration::ZERO,
        warmup: Duration::ZERO,
        start: Time::from_secs(1),
        late: Duration::from_millis(5),
        stall: Duration::from_millis(10),
    })
}

/// A challenged attempt that ends `registered`: ten calls, as a worker makes them.
fn attempt(tally: &mut Tally, n: u64) {
    let subject = Subject { agent: AgentId((n % u64::from(AGENTS)) as u32), trunk: TrunkId(0), source: 0 };
    let kind = Kind::Refresh;
    let at = |micros: u64| Time::from_nanos(1_000_000_000 + n * 1_000 + micros * 1_000);
    tally.event(subject, &Event::Began { kind, planned: at(0), at: at(20) });
    tally.event(subject, &Event::Started { at: at(20) });
    tally.event(subject, &Event::Request { kind });
    tally.sent(subject.trunk, 560);
    tally.received(subject.trunk, 480);
    let reason = b"Unauthorized";
    tally.event(subject, &Event::Challenged { kind, code: 401, reason, since: at(20), at: at(900 + n % 500) });
    tally.sent(subject.trunk, 800);
    tally.received(subject.trunk, 420);
    let end = at(2_000 + n % 700);
    tally.event(subject, &Event::Registered { at: end, until: end + Duration::from_secs(3_600) });
    tally.event(
        subject,
        &Event::Ended(AttemptEnd {
            kind,
            status: Status::Registered,
            code: 200,
            reason: Why::Said(b"OK"),
            place: Place::AfterCredentials,
            planned: at(0),
            sent: Some(at(20)),
            credentials_sent: Some(at(950 + n % 500)),
            at: end,
            ineffective: false,
            clues: Clues::default(),
        }),
    );
}

fn benches(criterion: &mut Criterion) {
    let mut books = tally();
    let mut n = 0;
    criterion.bench_function("attempt", |bencher| {
        bencher.iter(|| {
            n += 1;
            attempt(black_box(&mut books), n);
        });
    });
    let locked = Mutex::new(tally());
    criterion.bench_function("control/locked", |bencher| {
        bencher.iter(|| {
            n += 1;
            // One lock for each of the ten calls an attempt makes.
            for _ in 0..8 {
                drop(black_box(locked.lock()));
            }
            if let Ok(mut books) = locked.lock() {
                attempt(&mut books, n);
            }
        });
    });
    let mut counters = [0u64; 2];
    criterion.bench_function("control/two_counters", |bencher| {
        bencher.iter(|| {
            let [messages, bytes] = black_box(&mut counters);
            *messages += 1;
            *bytes += 560;
        });
    });
    // Every agent's row changed, as in a storm.
    criterion.bench_function("close/10000_agents", |bencher| {
        let full = || {
            let mut books = tally();
            (0..u64::from(AGENTS)).for_each(|n| attempt(&mut books, n));
            books
        };
        bencher.iter_batched_ref(full, |books| books.close(Time::from_secs(11)), BatchSize::LargeInput);
    });
}

criterion_group!(measure, benches);
criterion_main!(measure);
