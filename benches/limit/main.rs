//! How far regstorm is from what the machine allows: beside a bare loop that only sends, receives
//! and answers (see `bare.rs`), in turn (A B A B …), user and system time of the whole client
//! process per challenged registration (MD5).
//!
//! ```text
//! cargo bench --bench limit                             paced 3000, filling and sockets, five rounds each
//! cargo bench --bench limit -- paced 3000 5             against Kamailio, both at this rate; SIPp as a third
//! cargo bench --bench limit -- filling 80000 5          against `regstorm registrar`: regstorm at this rate with one sender
//!                                                       thread, the bare loop as fast as answers come
//! cargo bench --bench limit -- sockets 3000 18000 5     one socket for all agents beside one for each
//! cargo bench --bench limit -- rings 18000 3000 5       a socket for each agent, used by epoll and by io_uring; at the rate 0
//!                                                       as fast as answers come, and more loops by name (see `rings.rs`)
//! cargo bench --bench limit -- spin 2000 10             rate, seconds: what watching the clock before each deadline would buy
//! cargo bench --bench limit -- sustained 120000 10 3    rate, seconds, rounds: what sender and registrar, a thread each, hold
//! ```
//!
//! Needs `kamailio` and `sipp` (Debian: kamailio, sip-tester). With `--test`, as the gate runs it,
//! a small round of each.

mod bare;
#[path = "../support/clients.rs"]
mod clients;
#[path = "../../tests/support/clock.rs"]
#[allow(dead_code, reason = "shared with the tests, which need all of it")]
mod clock;
#[path = "../../tests/support/kamailio.rs"]
#[allow(dead_code, reason = "shared with the tests, which need all of it")]
mod kamailio;
mod rings;
mod spin;
mod words;

use clients::{Load, Spread, cost_of, with_registrar};
use kamailio::{Kamailio, Settings};
use std::path::Path;
use std::process::Command;

/// The word by which this program starts itself as the bare loop.
const BARE: &str = "--bare";
/// How long a client is kept busy, seconds.
const LASTS: u32 = 5;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Some(place) = arguments.iter().position(|argument| argument == BARE) {
        let number = |n: usize| arguments[place + n].parse().expect("a number");
        return bare::run(arguments[place + 1].parse().expect("an address"), number(2), number(3));
    }
    if let Some(place) = arguments.iter().position(|argument| argument == rings::LOOP) {
        let number = |n: usize| arguments[place + n].parse().expect("a number");
        let task = rings::Task { sockets: number(3), count: number(4), rate: number(5) };
        return rings::run(&arguments[place + 1], arguments[place + 2].parse().expect("an address"), &task);
    }
    let dir = tempfile::tempdir().expect("a temporary directory");
    let has = |word: &str| arguments.iter().any(|argument| argument == word);
    let numbers: Vec<u32> = arguments.iter().filter_map(|argument| argument.parse().ok()).collect();
    let number = |place: usize, default: u32| numbers.get(place).copied().unwrap_or(default);
    if has("--test") {
        paced(dir.path(), 200, 1);
        filling(dir.path(), 400, 1);
        sockets(dir.path(), 200, 100, 1);
        rings::compare(&rings::PAIR, &rings::Task { sockets: 100, count: 200, rate: 400 }, 1);
        spin::run(200, 1);
        return sustained(dir.path(), 500, 1, 1);
    }
    let all = !["paced", "filling", "sockets", "sustained", "rings", "spin"].into_iter().any(has);
    if all || has("paced") {
        paced(dir.path(), number(0, 3_000), number(1, 5));
    }
    if all || has("filling") {
        filling(dir.path(), if all { 80_000 } else { number(0, 80_000) }, number(1, 5));
    }
    if all || has("sockets") {
        let [rate, agents] = if all { [3_000, 18_000] } else { [number(0, 3_000), number(1, 18_000)] };
        sockets(dir.path(), rate, agents, number(2, 5));
    }
    if has("rings") {
        let named: Vec<&str> = arguments.iter().map(String::as_str).filter(|word| rings::is_way(word)).collect();
        let ways = if named.is_empty() { &rings::PAIR } else { &named[..] };
        rings::compare(ways, &rings::Task::new(number(0, 18_000), number(1, 3_000)), number(2, 5));
    }
    if has("spin") {
        spin::run(number(0, 2_000), number(1, 10));
    }
    if has("sustained") {
        sustained(dir.path(), number(0, 120_000), number(1, 10), number(2, 3));
    }
}

/// The bare loop in a process of its own; 0 a second is as fast as answers come.
fn bare(address: &str, load: &Load, rate: u32) -> f64 {
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.args([BARE, address, &load.count.to_string(), &rate.to_string()]);
    cost_of(command, load.count)
}

fn paced(dir: &Path, rate: u32, rounds: u32) {
    let load = Load::new(rate * LASTS, rate);
    println!("\npaced: {} registrations at {rate}/s with Kamailio, microseconds of CPU each", load.count);
    println!("{:>5} {:>10} {:>10} {:>10} {:>8} {:>10}", "round", "regstorm", "bare loop", "SIPp", "ratio", "SIPp/bare");
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for round in 1..=rounds {
        // Bindings of the last client would be the next one's refreshes.
        let with_kamailio = |client: &dyn Fn(&str) -> f64| {
            let kamailio = Kamailio::start(Settings::default());
            client(&kamailio.address().to_string())
        };
        let a = with_kamailio(&|address| clients::regstorm(dir, address, &load.one_thread()));
        let b = with_kamailio(&|address| bare(address, &load, rate));
        let c = with_kamailio(&|address| clients::sipp(dir, address, &load));
        println!("{round:>5} {a:>10.1} {b:>10.1} {c:>10.1} {:>8.3} {:>10.3}", a / b, c / b);
        ours.push(a / b);
        theirs.push(c / b);
    }
    println!("ratio regstorm/bare: {}", Spread::new(ours));
    println!("ratio SIPp/bare: {}", Spread::new(theirs));
}

fn filling(dir: &Path, rate: u32, rounds: u32) {
    let load = Load::new(rate * LASTS, rate).one_thread();
    println!("\nfilling: {} registrations, regstorm at {rate}/s, microseconds of CPU each", load.count);
    println!("{:>5} {:>10} {:>10} {:>8}", "round", "regstorm", "bare loop", "ratio");
    let mut ratios = Vec::new();
    for round in 1..=rounds {
        let a = with_registrar(1, |address| clients::regstorm(dir, address, &load));
        let b = with_registrar(1, |address| bare(address, &load, 0));
        println!("{round:>5} {a:>10.1} {b:>10.1} {:>8.3}", a / b);
        ratios.push(a / b);
    }
    println!("ratio regstorm/bare: {}", Spread::new(ratios));
}

fn sockets(dir: &Path, rate: u32, agents: u32, rounds: u32) {
    let shared = Load::new(agents, rate);
    let own = Load { trunk: "sockets = \"per-agent\"\n", ..shared };
    println!("\nsockets: {agents} registrations at {rate}/s, microseconds of CPU each");
    println!("{:>5} {:>10} {:>10} {:>8}", "round", "per agent", "shared", "ratio");
    let mut ratios = Vec::new();
    for round in 1..=rounds {
        let a = with_registrar(1, |address| clients::regstorm(dir, address, &own));
        let b = with_registrar(1, |address| clients::regstorm(dir, address, &shared));
        println!("{round:>5} {a:>10.1} {b:>10.1} {:>8.3}", a / b);
        ratios.push(a / b);
    }
    println!("ratio per agent/shared: {}", Spread::new(ratios));
}

/// One sender thread and one registrar thread, in two processes, judged as any run is.
fn sustained(dir: &Path, rate: u32, seconds: u32, rounds: u32) {
    let load = Load::new(rate * seconds, rate).one_thread();
    println!("\nsustained: {} registrations at {rate}/s; CPU of each process, microseconds a registration", load.count);
    println!(
        "{:>5} {:>10} {:>9} {:>10} {:>8} {:>8} {:>8} {:>10} {:>10}",
        "round", "registered", "failures", "verdict", "late", "drops", "lag99/us", "sender", "registrar"
    );
    for round in 1..=rounds {
        let before = clients::spent();
        let (cost, run) = with_registrar(1, |address| clients::judged(dir, address, &load));
        let other = (clients::spent() - before) * 1e6 / f64::from(load.count) - cost;
        let (totals, generator) = (&run["totals"], &run["generator"]);
        let number = |value: &serde_json::Value| value.as_u64().unwrap_or(0);
        println!(
            "{round:>5} {:>10} {:>9} {:>10} {:>8} {:>8} {:>8} {cost:>10.1} {other:>10.1}",
            number(&totals["registered"]),
            number(&totals["attempts"]) - number(&totals["registered"]),
            generator["verdict"].as_str().unwrap_or("?"),
            number(&generator["arrivals_late"]),
            number(&generator["socket_drops"]),
            run["schedule_lag_us"]["p99"],
        );
    }
}
