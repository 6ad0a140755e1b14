//! What an agent costs in memory, by part, counted at the allocator: a million of them must fit
//! beside everything else on a small machine. Fleets of two sizes are compared, so that what a
//! fleet costs whatever its size drops out.

use allocations::{held_by, most_during};
use kept::Kept;
use regstorm::agent::{Agent, Credential, IdentityBook};
use regstorm::fleet::Fleet;
use regstorm::fleet::wheel::Wheel;
use regstorm::observe::of_log;
use regstorm::record::eventlog::{Fields, read_from};
use regstorm::sip::Algorithm;
use regstorm::vocab::{FlowId, Secret, Time, TrunkId};
use server::registrar;
use std::time::Duration;
use support::{START, peer};

#[path = "support/allocations.rs"]
mod allocations;
#[path = "../benches/support/kept.rs"]
mod kept;
#[path = "../benches/support/server.rs"]
mod server;
#[path = "../benches/support/mod.rs"]
mod support;

/// Bytes of a fleet and of its agents' names, by when they are taken.
struct Cost {
    /// User names, numbers, trunks.
    identities: i64,
    /// Agents, timers and books before the first arrival.
    waiting: i64,
    /// What a registered agent holds more.
    registered: i64,
}

/// Registers every agent of a fleet, all of whom arrive within a second.
fn register(fleet: &mut Fleet) {
    let mut registrar = registrar(Algorithm::Sha256);
    let mut reply = vec![0; 2048];
    for ms in 0..1_100 {
        let now = START + Duration::from_millis(ms);
        let mut wire = Kept(Vec::new());
        while fleet.turn(now, &mut wire) {}
        while !wire.0.is_empty() {
            for request in std::mem::take(&mut wire.0) {
                registrar.receive(now, peer(), &request);
                while let Some((length, _)) = registrar.poll_transmit(now, &mut reply) {
                    fleet.driver().receive(now, now, FlowId(0), peer(), &reply[..length], &mut wire);
                }
            }
        }
    }
}

/// Agents by a pattern, who share a password.
fn by_pattern(agents: u32) -> IdentityBook {
    let mut book = IdentityBook::default();
    let password = book.credential(Credential::Password(Secret::new("secret")));
    for n in 0..agents {
        let user = format!("agent{n:05}");
        book.push(TrunkId(0), n, &user, &user, password);
    }
    book.settle();
    book
}

/// Agents of a list, each with an authentication name and a password of its own.
fn by_list(agents: u32) -> IdentityBook {
    let mut book = IdentityBook::default();
    for n in 0..agents {
        let password = book.credential(Credential::Password(Secret::new(format!("secret{n:05}"))));
        book.push(TrunkId(0), n, &format!("agent{n:05}"), &format!("account{n:05}"), password);
    }
    book.settle();
    book
}

fn cost(agents: u32) -> Cost {
    let (_, identities) = held_by(|| by_pattern(agents));
    let (mut fleet, all) = held_by(|| support::fleet(agents, Algorithm::Sha256, f64::from(agents)));
    let ((), registered) = held_by(|| {
        register(&mut fleet);
        drop(fleet.finish(START + Duration::from_secs(2)));
        assert_eq!(fleet.tally().registered(), u64::from(agents), "an agent is missing");
    });
    Cost { identities, waiting: all - identities, registered }
}

#[test]
fn an_idle_agent_takes_at_most_400_bytes() {
    let (small, large) = (cost(10_000), cost(20_000));
    let each = |of: fn(&Cost) -> i64| (of(&large) - of(&small)) as f64 / 10_000.0;
    let identities = each(|cost| cost.identities);
    let waiting = each(|cost| cost.waiting);
    let registered = each(|cost| cost.registered);
    let (_, timers) = held_by(|| Wheel::new(10_000, Time::ORIGIN));
    println!("identity                {identities:>7.1} bytes");
    println!("before it arrives       {waiting:>7.1} bytes: agent {}, timer {}", size_of::<Agent>(), timers / 10_000);
    println!("once registered, more   {registered:>7.1} bytes");
    let sum = identities + waiting + registered;
    println!("in all                  {sum:>7.1} bytes");
    assert!(sum <= 400.0, "{sum} bytes per idle agent");
}

#[test]
fn an_agent_of_a_list_takes_at_most_90_bytes_more() {
    let [small, large] =
        [10_000, 20_000].map(|agents| held_by(|| by_list(agents)).1 - held_by(|| by_pattern(agents)).1);
    let more = (large - small) as f64 / 10_000.0;
    println!("names and password of its own {more:>7.1} bytes more");
    assert!(more <= 90.0, "{more} bytes more for an agent of a list");
}

/// A log of half a minute's calls, each a challenge and its 200, as a platform writes it.
fn log(records: u64) -> String {
    let record = |n: u64| {
        let (user, second, code) = (n / 2 % 500, n * 30 / records, if n.is_multiple_of(2) { 401 } else { 200 });
        format!(
            "{{\"timestamp\":\"2026-11-30T10:00:{second:02}Z\",\"method\":\"REGISTER\",\"response_code\":{code},\
             \"sip_from\":\"<sip:agent{user:05}@log.test>\",\"call_id\":\"{n:08}@10.0.0.1\",\"note\":\"{:200}\"}}\n",
            ""
        )
    };
    (0..records).map(record).collect()
}

/// The text itself, four times as long, is never held.
#[test]
fn a_record_of_a_log_takes_at_most_750_bytes_while_it_is_read() {
    let [small, large] = [1 << 13, 1 << 14].map(|records| {
        let text = log(records);
        most_during(|| {
            let log = read_from(text.as_bytes(), &Fields::default()).expect("a log");
            let seen = of_log(log, "log").expect("registrations");
            assert_eq!(seen.results.totals.attempts, records / 2);
        })
    });
    let each = (large - small) as f64 / f64::from(1 << 13);
    println!("a record of a log       {each:>7.1} bytes at most");
    assert!(each <= 750.0, "{each} bytes for each record");
}
