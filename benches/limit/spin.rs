//! What looking at the clock before a deadline would buy: how late a thread is that sleeps until
//! each of many evenly spaced times, as a sender does, and one that sleeps until shortly before and
//! then watches the clock.

use regstorm::net::{Clock, Poller, lower_timer_slack, priority, thread_cpu_ns};
use regstorm::vocab::Time;
use std::time::Duration;

/// How long before each time the thread begins to watch the clock, microseconds.
const WATCHED: [u64; 4] = [0, 50, 200, 400];

/// Prints how late each of them is at `rate` times a second, and what it costs.
pub fn run(rate: u32, seconds: u32) {
    priority::prefer_promptness();
    // Without it all four are late by the slack alike.
    lower_timer_slack();
    println!("\nspin: {rate} times a second for {seconds} s, lateness in microseconds; CPU in per cent of one core");
    println!("{:>10} {:>8} {:>8} {:>8} {:>8}", "watched/us", "p50", "p99", "max", "CPU %");
    for watched in WATCHED {
        let before = thread_cpu_ns();
        let late = lateness(rate, rate * seconds, Duration::from_micros(watched));
        let cpu = (thread_cpu_ns() - before) as f64 / 1e7 / f64::from(seconds);
        let at = |share: f64| late[((late.len() - 1) as f64 * share) as usize].as_nanos() as f64 / 1e3;
        println!("{watched:>10} {:>8.1} {:>8.1} {:>8.1} {cpu:>8.1}", at(0.5), at(0.99), at(1.0));
    }
}

/// By how much each of so many times was missed, in order.
fn lateness(rate: u32, times: u32, watched: Duration) -> Vec<Duration> {
    let (clock, mut ready) = (Clock::new(), Vec::new());
    let mut poller = Poller::new().expect("a poller");
    let start = clock.now() + Duration::from_millis(10);
    let mut wait_until = |at: Time| {
        while clock.now() + watched < at {
            poller.wait(Some(at.since(clock.now() + watched)), &mut ready).expect("a wait");
        }
        while clock.now() < at {
            std::hint::spin_loop();
        }
        clock.now().since(at)
    };
    let mut late: Vec<_> = (0..times).map(|n| wait_until(start + Duration::from_secs(n.into()) / rate)).collect();
    late.sort_unstable();
    late
}
