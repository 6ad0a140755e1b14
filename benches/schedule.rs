//! What an arrival's planned time costs: in closed form, and, as control, by walking there from the
//! start.

use criterion::{Criterion, criterion_group, criterion_main};
use regstorm::load::{LoadConfig, LoadStage, Process, Schedule, WhenExhausted};
use regstorm::seed::Seed;
use std::hint::black_box;
use std::time::Duration;

fn schedule(c: &mut Criterion) {
    let stages = (0..20)
        .flat_map(|step| {
            let lasts = Duration::from_secs(30);
            [
                LoadStage::Ramp { to: f64::from(step) * 50.0, lasts },
                LoadStage::Rate { per_second: f64::from(step) * 50.0, lasts },
            ]
        })
        .collect();
    let config = LoadConfig {
        stages,
        agents: u32::MAX,
        replay: None,
        max_in_flight: 20_000,
        max_message_rate: 50_000,
        max_connect_rate: 50_000,
        process: Process::Uniform,
        when_exhausted: WhenExhausted::Stop,
    };
    let schedule = Schedule::new(&config, Seed(7));
    let last = schedule.arrivals() - 1;
    let mut group = c.benchmark_group("schedule");
    group.bench_function("planned", |b| b.iter(|| schedule.planned(black_box(last))));
    group.bench_function("control/thousand_arrivals", |b| {
        b.iter(|| (last - 999..=last).map(|n| schedule.planned(n)).fold(None, Option::max));
    });
    group.finish();
}

criterion_group!(benches, schedule);
criterion_main!(benches);
