//! CPU per challenged registration: regstorm beside SIPp, in turn (A B A B …), each against a fresh
//! `regstorm registrar` on loopback, user and system time of the whole client process from start to
//! exit.
//!
//! ```text
//! cargo bench --bench vs_sipp                       five pairs, 15 000 registrations at 1 500/s each
//! cargo bench --bench vs_sipp -- 40000 6000 7       registrations, rate, pairs
//! cargo bench --bench vs_sipp -- filling 120000 20000 5
//!     each at a rate that fills one sender thread, regstorm's first, for three seconds
//! ```
//!
//! Needs `sipp` (Debian: sip-tester). With `--test`, as the gate runs it, one small pair.

#[path = "support/clients.rs"]
#[allow(dead_code, reason = "shared with benches that need all of it")]
mod clients;

use clients::{Load, Spread, with_registrar};

/// How long each client is kept busy when it is to fill its thread, seconds.
const FILLED_FOR: u32 = 3;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let numbers: Vec<u32> = arguments.iter().filter_map(|argument| argument.parse().ok()).collect();
    let number = |place: usize, default: u32| numbers.get(place).copied().unwrap_or(default);
    let (ours, theirs, pairs) = if arguments.iter().any(|argument| argument == "--test") {
        (Load::new(300, 300), Load::new(300, 300), 1)
    } else if arguments.iter().any(|argument| argument == "filling") {
        let filled = |rate: u32| Load::new(rate * FILLED_FOR, rate);
        (filled(number(0, 120_000)).one_thread(), filled(number(1, 20_000)), number(2, 5))
    } else {
        let load = Load::new(number(0, 15_000), number(1, 1_500));
        (load, load, number(2, 5))
    };
    compare(&ours, &theirs, pairs);
}

fn compare(ours: &Load, theirs: &Load, pairs: u32) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    println!("challenged registrations (MD5), CPU of the whole client process, microseconds each");
    println!("regstorm: {} at {}/s; SIPp: {} at {}/s", ours.count, ours.rate, theirs.count, theirs.rate);
    println!("{:>5} {:>10} {:>10} {:>8}", "pair", "regstorm", "SIPp", "ratio");
    let mut ratios = Vec::new();
    for pair in 1..=pairs {
        let a = with_registrar(1, |address| clients::regstorm(dir.path(), address, ours));
        let b = with_registrar(1, |address| clients::sipp(dir.path(), address, theirs));
        ratios.push(a / b);
        println!("{pair:>5} {a:>10.1} {b:>10.1} {:>8.3}", a / b);
    }
    println!("ratio regstorm/SIPp: {}", Spread::new(ratios));
}
