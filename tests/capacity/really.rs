//! The same through the program and real sockets: a small registrar of known service time on a
//! thread of its own, and Kamailio with one process that takes its time.
//!
//! What a busy machine makes of it is told apart: the registrar knows when it stood still itself,
//! and the program must say when it could not keep its schedule.

use super::near::Near;
use super::side::spec::{Node, Spec};
use super::support::clock;
use super::support::kamailio::{self, Config, Kamailio, Settings};
use super::support::program::{Regstorm, profile};
use serde_json::Value;
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::Ordering;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(500);
/// What `regstorm limits --only rate` says of this registrar.
fn search(address: SocketAddr, domain: &str, agents: u32) -> Value {
    let text = format!(
        "[run]\nname = \"test\"\nseed = 7\n[safety]\nmax_message_rate = 20000\n\n[[trunk]]\nid = \"lab\"\n\
         registrar = \"sip:{address}\"\ndomain = \"{domain}\"\n\
         agents = {{ count = {agents}, user = \"agent{{n:05}}\", password = \"secret\" }}\n"
    );
    let dir = tempfile::tempdir().expect("a directory under /tmp");
    let args = ["limits", profile(dir.path(), &text), "--out", "out", "--only", "rate", "--settle", "300ms"];
    Regstorm::run(dir.path(), &args, LIMIT).expect_code(0);
    let bytes = std::fs::read(dir.path().join("out/limits.json")).expect("written");
    serde_json::from_slice(&bytes).expect("JSON")
}

/// The program says itself that it was late or deaf, and then claims little.
fn says_it_was_late(rate: &Value) -> bool {
    let because = rate["confidence_because"].as_str().expect("a text");
    let says = because.contains("could not keep") || because.contains("dropped");
    let ended = rate["ended"].as_str().is_some_and(|ended| ended.contains("could not keep"));
    (says || ended) && rate["confidence"] == "low"
}

#[track_caller]
fn carries(capacity: f64, agents: u32) {
    let _turn = clock::alone();
    let service_ms = 500.0 / capacity;
    let nodes = vec![Node { service_ms, ..Node::default() }];
    let registrar = Near::start(Spec { latency_ms: 0.0, nodes, ..Spec::default() });
    let json = search(registrar.address, super::DOMAIN, agents);
    let rate = &json["rate"];
    assert!(rate["probes"].as_u64().expect("a number") <= 12, "{rate:#}");
    if says_it_was_late(rate) {
        return;
    }
    let limit = rate["limit_per_s"].as_f64().unwrap_or(f64::INFINITY);
    assert!(limit <= capacity * 1.05, "more than it can bear: {rate:#}");
    if registrar.stood_still.load(Ordering::Relaxed) == 0 {
        assert!(limit >= capacity * 0.95, "{rate:#}");
        assert_eq!(rate["kind"], "overload", "{rate:#}");
        assert_eq!(json["found"], serde_json::json!(["overload"]));
    }
}

#[test]
fn three_hundred_and_thirty_three_a_second() {
    carries(333.0, 1_500);
}

#[test]
fn two_thousand_a_second() {
    carries(2_000.0, 4_000);
}

/// Kamailio does half as many registrations as requests, and how many of those it does is measured
/// by a few lines that do nothing else. Those are measured before and after a search, not while it
/// goes on: where something else took the processors in between, another search is held against
/// what was measured beside it.
#[test]
fn kamailio_with_one_process_that_takes_its_time() {
    let _turn = clock::alone();
    let kamailio = Kamailio::start(Settings { config: Config::Slow, ..Settings::default() });
    let mut told = String::new();
    for _ in 0..3 {
        match searched_beside(&kamailio) {
            Ok(()) => return,
            Err(apart) => told.push_str(&apart),
        }
    }
    panic!("three searches, and each is off:\n{told}");
}

/// Whether a search finds what is measured before and after it; else what it found.
fn searched_beside(kamailio: &Kamailio) -> Result<(), String> {
    let before = requests_per_second(kamailio.address()) / 2.0;
    let json = search(kamailio.address(), kamailio::REALM, 1_200);
    let after = requests_per_second(kamailio.address()) / 2.0;
    let rate = &json["rate"];
    assert_eq!(kamailio.contacts(), 0);
    assert!(rate["probes"].as_u64().expect("a number") <= 12, "{rate:#}");
    let (least, most) = (before.min(after), before.max(after));
    // A machine on which one process is not always as fast as it was has no one truth.
    if says_it_was_late(rate) || most > least * 1.05 {
        return Ok(());
    }
    // What it moved by between two moments it may have moved by twice in all that lay between.
    let moved = 2.0 * (most - least);
    let limit = rate["limit_per_s"].as_f64().expect("met");
    assert_eq!(rate["kind"], "overload", "{rate:#}");
    let agrees = (0.95 * least - moved..=1.05 * most + moved).contains(&limit);
    if agrees { Ok(()) } else { Err(format!("{before} {after}: {rate:#}\n")) }
}

/// Answers to requests without credentials, with eight of them always on their way.
fn requests_per_second(to: SocketAddr) -> f64 {
    let socket = UdpSocket::bind(("127.0.0.1", 0)).expect("loopback");
    socket.set_read_timeout(Some(Duration::from_secs(1))).expect("above zero");
    let own = socket.local_addr().expect("bound").to_string();
    let send = |n: u32| {
        let request = kamailio::request("REGISTER", &format!("blunt{n}")).replace("@OWN@", &own);
        socket.send_to(request.as_bytes(), to).expect("loopback");
    };
    let (mut bytes, begin) = ([0; 4_096], clock::now());
    (0..8).for_each(send);
    let mut answered = 0;
    while begin.elapsed() < Duration::from_secs(2) {
        assert!(socket.recv(&mut bytes).is_ok(), "Kamailio answers");
        answered += 1;
        send(8 + answered);
    }
    f64::from(answered) / begin.elapsed().as_secs_f64()
}
