//! The timing wheel beside the control it must beat: a binary heap with lazy cancellation.
//!
//! `expire` drains a full set in due order, following `next_due` as a worker does; building it is
//! not timed.

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use regstorm::fleet::wheel::Wheel;
use regstorm::vocab::Time;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::hint::black_box;
use std::time::Duration;

const SIZES: [u32; 2] = [1_000, 100_000];
const START: Time = Time::from_secs(1);

/// Due times scattered over an hour, the same on every run.
fn due(index: u32, round: u32) -> Time {
    let scattered = u64::from(index.wrapping_add(round).wrapping_mul(2_654_435_761)) * 838_190;
    START + Duration::from_nanos(scattered % 3_600_000_000_000)
}

fn full_wheel(size: u32) -> Wheel {
    let mut wheel = Wheel::new(size as usize, START);
    (0..size).for_each(|index| wheel.schedule(index, due(index, 0)));
    wheel
}

fn full_heap(size: u32) -> BinaryHeap<Reverse<(Time, u32)>> {
    (0..size).map(|index| Reverse((due(index, 0), index))).collect()
}

fn insert(c: &mut Criterion) {
    let mut group = c.benchmark_group("insert");
    for size in SIZES {
        group.throughput(Throughput::Elements(size.into()));
        group.bench_function(BenchmarkId::new("wheel", size), |b| {
            b.iter_batched_ref(
                || Wheel::new(size as usize, START),
                |wheel| (0..size).for_each(|index| wheel.schedule(index, due(index, 0))),
                BatchSize::LargeInput,
            );
        });
        group.bench_function(BenchmarkId::new("heap-control", size), |b| {
            b.iter_batched_ref(
                || BinaryHeap::with_capacity(size as usize),
                |heap| (0..size).for_each(|index| heap.push(Reverse((due(index, 0), index)))),
                BatchSize::LargeInput,
            );
        });
    }
    group.finish();
}

/// Every timer is moved once: what each datagram does to its agent's timer.
fn replace(c: &mut Criterion) {
    let mut group = c.benchmark_group("cancel+insert");
    for size in SIZES {
        group.throughput(Throughput::Elements(size.into()));
        group.bench_function(BenchmarkId::new("wheel", size), |b| {
            let mut wheel = full_wheel(size);
            let mut round = 0;
            b.iter(|| {
                round += 1;
                for index in 0..size {
                    wheel.cancel(index);
                    wheel.schedule(index, due(index, round));
                }
            });
        });
        // Lazy cancellation: the old entry stays until it surfaces, so the heap is twice as large
        // at the end.
        group.bench_function(BenchmarkId::new("heap-control", size), |b| {
            b.iter_batched_ref(
                || full_heap(size),
                |heap| (0..size).for_each(|index| heap.push(Reverse((due(index, 1), index)))),
                BatchSize::LargeInput,
            );
        });
    }
    group.finish();
}

fn expire(c: &mut Criterion) {
    let mut group = c.benchmark_group("expire");
    for size in SIZES {
        group.throughput(Throughput::Elements(size.into()));
        group.bench_function(BenchmarkId::new("wheel", size), |b| {
            let mut expired = Vec::with_capacity(size as usize);
            b.iter_batched_ref(
                || full_wheel(size),
                |wheel| {
                    expired.clear();
                    while let Some(at) = wheel.next_due() {
                        while wheel.advance(at, 256, &mut expired) {}
                    }
                    black_box(expired.len())
                },
                BatchSize::LargeInput,
            );
        });
        group.bench_function(BenchmarkId::new("heap-control", size), |b| {
            let mut expired = Vec::with_capacity(size as usize);
            b.iter_batched_ref(
                || full_heap(size),
                |heap| {
                    expired.clear();
                    while let Some(Reverse((_, index))) = heap.pop() {
                        expired.push(index);
                    }
                    black_box(expired.len())
                },
                BatchSize::LargeInput,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, insert, replace, expire);
criterion_main!(benches);
