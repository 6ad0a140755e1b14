//! Can the figures be trusted? Each test knows the truth from somewhere else: a registrar with a
//! known delay and a clock of its own, a freeze of known length, a generator stopped or killed from
//! outside.
//!
//! The tests take turns (`clock::alone`): they measure time, and two at once would disturb each
//! other.

mod support;

use std::path::Path;
use std::time::Duration;
use support::clock::{self, alone};
use support::kamailio;
use support::known::{KnownRegistrar, median};
use support::program::{Finished, Regstorm, profile};
use support::results::{FILES, ResultDir, number};

/// Long against everything these runs do, short against a hang.
const LIMIT: Duration = Duration::from_secs(60);

// ---- The truth itself ----

#[test]
fn the_known_registrar_answers_when_it_says() {
    let _turn = alone();
    let registrar = KnownRegistrar::start(Duration::from_millis(20), Duration::from_millis(30));
    let first = kamailio::request("REGISTER", "alice");
    let second = first.replace("Expires:", "Authorization: Digest response=\"beef\"\r\nExpires:");
    let removal = second.replace("Expires: 60", "Expires: 0");
    for (request, delay, status, bound) in [(first, 20, "401", 0), (second, 30, "200", 1), (removal, 30, "200", 0)] {
        let asked = clock::now();
        let answer = kamailio::exchange(registrar.address(), &request).expect("an answer");
        assert!(asked.elapsed() >= Duration::from_millis(delay), "{status} after {:?}", asked.elapsed());
        assert!(answer.starts_with(&format!("SIP/2.0 {status}")), "{answer}");
        assert_eq!(registrar.seen().bound.len(), bound);
    }
    registrar.until("the books to be written", LIMIT, |seen| seen.register.len() == 1);
    let seen = registrar.seen();
    assert_eq!((seen.requests, seen.calls.len(), seen.accepted), (3, 1, 1));
    assert_eq!((seen.challenge.len(), seen.authenticated.len()), (1, 1), "an un-REGISTER is no attempt");
    assert!(seen.challenge[0] >= Duration::from_millis(20) && seen.register[0] >= Duration::from_millis(50));
    assert!(seen.digests.contains("beef"));
}

// ---- Latency ----

#[test]
fn latencies_are_within_half_a_millisecond_of_the_truth() {
    let _turn = alone();
    let registrar = KnownRegistrar::start(Duration::from_millis(20), Duration::from_millis(30));
    let dir = tempfile::tempdir().expect("a directory under /tmp");
    let run = Scenario { agents: 1_000, load: "rate = 200\nfor = \"5s\"" };
    run.start(&registrar, dir.path()).wait(LIMIT).expect_code(0);

    let results = ResultDir::open(&dir.path().join("out"));
    results.expect_balanced();
    assert_eq!(results.total("registered"), 1_000);
    let seen = registrar.seen();
    for (phase, truth) in
        [("challenge", &seen.challenge), ("authenticated", &seen.authenticated), ("register", &seen.register)]
    {
        let truth_us = median(truth).as_secs_f64() * 1e6;
        let measured_us = results.number(&format!("/latency_us/{phase}/p50"));
        let off = (measured_us - truth_us).abs();
        assert!(off <= 500.0, "{phase}: measured {measured_us} µs, in truth {truth_us:.0} µs");
    }
}

#[test]
fn a_frozen_registrar_shows_in_the_arrivals_it_hit() {
    let _turn = alone();
    let dir = tempfile::tempdir().expect("a directory under /tmp");
    let text = "[run]\nname = \"freeze\"\ninterval = \"1s\"\nseed = 7\n\n[[trunk]]\nid = \"lab\"\n\
                registrar = \"embedded\"\ndomain = \"genesyscloud.test\"\n\
                agents = { count = 3000, user = \"agent{n:05}\", password = \"secret\" }\n\n\
                [[load]]\nrate = 300\nfor = \"10s\"\n\n[[registrar.fault]]\nkind = \"freeze\"\nfrom = \"4s\"\nuntil = \"6s\"\n";
    Regstorm::run(dir.path(), &["run", profile(dir.path(), text), "--out", "out"], LIMIT).expect_code(0);

    let results = ResultDir::open(&dir.path().join("out"));
    results.expect_balanced();
    assert_eq!(results.total("registered"), 3_000);
    // A fifth of the arrivals waits between 2 s and nothing, evenly spread; the others wait next to
    // nothing.
    let register = |statistic: &str| results.number(&format!("/latency_us/register/{statistic}")) / 1e6;
    assert!(register("p50") < 0.05, "p50 {} s: most arrivals came outside the freeze", register("p50"));
    assert!(
        (0.8..1.2).contains(&register("p90")),
        "p90 {} s, half of the fifth waits longer than 1 s",
        register("p90")
    );
    assert!((1.3..1.7).contains(&register("p95")), "p95 {} s, a quarter of the fifth waits 1.5 s", register("p95"));
    assert!((1.8..2.3).contains(&register("max")), "max {} s", register("max"));
    let waited = register("mean") * register("count") * 1e6;
    assert!((480.0..720.0).contains(&waited), "600 arrivals waited {waited} s together, not about 600");
    // And it shows where it was: what ended while the registrar was frozen is next to nothing, what
    // ended after it slow.
    let rows = results.table("latency.csv").rows;
    let slow = rows.iter().filter(|row| row["phase"] == "register" && number(&row["max_us"]) > 1e6);
    assert!((1..=3).contains(&slow.count()), "the freeze ended in one second of the run");
}

#[test]
fn a_stopped_generator_accuses_itself_and_not_the_server() {
    let _turn = alone();
    let registrar = KnownRegistrar::start(Duration::ZERO, Duration::ZERO);
    let dir = tempfile::tempdir().expect("a directory under /tmp");
    let run = Scenario::default();
    let regstorm = run.start(&registrar, dir.path());
    registrar.until("the run to be in full swing", LIMIT, |seen| seen.accepted >= 900);
    regstorm.signal("STOP");
    clock::let_pass(Duration::from_millis(1_500));
    regstorm.signal("CONT");
    // 450 of 3 000 arrivals left late: the run says itself that its figures would mislead.
    regstorm.wait(LIMIT).expect_code(3);

    let results = ResultDir::open(&dir.path().join("out"));
    results.expect_balanced();
    assert_eq!((results.text("/generator/verdict"), results.text("/verdict")), ("invalid", "invalid"));
    assert!(results.number("/generator/arrivals_late") >= 400.0);
    assert!(results.number("/schedule_lag_us/max") >= 1.4e6, "schedule lag {}", results.number("/schedule_lag_us/max"));
    assert!(results.number("/latency_us/register/max") >= 1.4e6);
    assert!(results.number("/latency_us/register/p99") >= 1.0e6, "15 % of arrivals were late by up to 1.5 s");
    let service = results.number("/latency_us/register_service/p99");
    assert!(service < 100_000.0, "register_service p99 {service} µs blames the server for our own stop");
}

#[test]
fn a_generator_stopped_over_the_end_of_the_load_keeps_its_intervals_in_order() {
    let _turn = alone();
    let registrar = KnownRegistrar::start(Duration::ZERO, Duration::ZERO);
    let dir = tempfile::tempdir().expect("a directory under /tmp");
    let run = Scenario { agents: 900, load: "rate = 300\nfor = \"3s\"" };
    let regstorm = run.start(&registrar, dir.path());
    registrar.until("the last second of the load", LIMIT, |seen| seen.accepted >= 750);
    regstorm.signal("STOP");
    clock::let_pass(Duration::from_millis(3_200));
    regstorm.signal("CONT");
    regstorm.wait(LIMIT).expect_code(3);

    let results = ResultDir::open(&dir.path().join("out"));
    results.expect_balanced();
    assert_eq!(results.total("registered"), 900);
    let rows = results.table("availability.csv").rows;
    let starts: Vec<&str> = rows.iter().map(|row| row["interval_start"].as_str()).collect();
    assert!(starts.is_sorted_by(|a, b| a < b), "{starts:?}");
    assert!(rows.iter().all(|row| number(&row["interval_s"]) > 0.0), "{rows:?}");
    assert_eq!(rows.last().expect("rows")["agents_planned"], "900", "everyone arrived before the drain");
}

// ---- Ends ----

#[test]
fn a_killed_run_loses_at_most_its_last_interval() {
    let _turn = alone();
    let registrar = KnownRegistrar::start(Duration::ZERO, Duration::ZERO);
    let dir = tempfile::tempdir().expect("a directory under /tmp");
    let regstorm = Scenario::default().start(&registrar, dir.path());
    registrar.until("five and a half seconds of load", LIMIT, |seen| seen.accepted >= 1_650);
    let before = registrar.seen().accepted;
    regstorm.signal("KILL");
    assert_eq!(regstorm.wait(LIMIT).status.code(), None, "killed, not ended");

    Regstorm::run(dir.path(), &["report", "out"], LIMIT).expect_code(0);
    let results = ResultDir::open(&dir.path().join("out"));
    results.expect_balanced();
    expect_all_files(&dir.path().join("out"));
    assert_eq!(results.text("/verdict"), "interrupted");
    let registered = results.total("registered");
    // An interval is 300 arrivals; half of one more may have been on its way to the disk.
    assert!(registered + 450 >= before, "{registered} of {before} registrations are left");
    assert!(registered <= registrar.seen().accepted, "more registrations than the registrar granted");
}

#[test]
fn one_sigint_ends_the_run_in_good_order() {
    let _turn = alone();
    let (results, registrar, _) = interrupted("INT", 130);
    assert_eq!(registrar.seen().bound.len(), 0, "bindings left behind");
    // Whoever registered, in the drain too, was un-registered once.
    assert_eq!(results.number("/latency_us/unregister/count") as u64, results.total("registered"));
}

#[test]
fn sigterm_is_an_interruption_too() {
    let _turn = alone();
    let (_, registrar, _) = interrupted("TERM", 143);
    assert_eq!(registrar.seen().bound.len(), 0, "bindings left behind");
}

/// Interrupts a run in full swing once, by a signal, and checks what holds for either.
fn interrupted(signal: &str, code: i32) -> (ResultDir, KnownRegistrar, Finished) {
    let registrar = KnownRegistrar::start(Duration::ZERO, Duration::ZERO);
    let dir = tempfile::tempdir().expect("a directory under /tmp");
    let regstorm = Scenario::default().start(&registrar, dir.path());
    registrar.until("the run to be in full swing", LIMIT, |seen| seen.accepted >= 600);
    assert!(registrar.seen().bound.len() >= 600);
    regstorm.signal(signal);
    let finished = regstorm.wait(LIMIT);
    finished.expect_code(code);
    let results = ResultDir::open(&dir.path().join("out"));
    results.expect_balanced();
    expect_all_files(&dir.path().join("out"));
    assert_eq!(results.text("/verdict"), "interrupted");
    assert!(results.total("attempts") < 3_000, "arrivals went on after the signal");
    assert!(results.total("registered") >= 600);
    (results, registrar, finished)
}

#[test]
fn a_second_sigint_stops_at_once_and_still_writes() {
    let _turn = alone();
    let registrar = KnownRegistrar::start(Duration::ZERO, Duration::ZERO);
    let dir = tempfile::tempdir().expect("a directory under /tmp");
    let regstorm = Scenario::default().start(&registrar, dir.path());
    registrar.until("the run to be in full swing", LIMIT, |seen| seen.accepted >= 600);
    // Nothing is answered any more: attempts stay open, and the drain would last for half a minute.
    registrar.fall_silent(true);
    let calls = registrar.seen().calls.len();
    registrar.until("attempts that stay open", LIMIT, |seen| seen.calls.len() > calls + 30);
    regstorm.signal("INT");
    // Longer than two signals may lie apart and still be one wish.
    let no_more = Duration::from_millis(1_500);
    clock::settled("the arrivals to stop", no_more, LIMIT, || registrar.seen().calls.len());
    regstorm.signal("INT");
    regstorm.wait(Duration::from_secs(10)).expect_code(130);

    let results = ResultDir::open(&dir.path().join("out"));
    results.expect_balanced();
    expect_all_files(&dir.path().join("out"));
    assert_eq!(results.text("/verdict"), "interrupted");
    assert!(results.total("abandoned") >= 30, "{} attempts were open", results.total("abandoned"));
    assert!(!registrar.seen().bound.is_empty(), "a registrar that does not answer removes nothing");
}

#[track_caller]
fn expect_all_files(dir: &Path) {
    for file in FILES {
        let size = std::fs::metadata(dir.join(file)).unwrap_or_else(|e| panic!("{file}: {e}")).len();
        assert!(size > 0, "{file} is empty");
    }
}

/// A run against the known registrar: 300/s for 10 s in intervals of 1 s, unless said otherwise.
struct Scenario {
    agents: u32,
    load: &'static str,
}

impl Default for Scenario {
    fn default() -> Self {
        Scenario { agents: 3_000, load: "rate = 300\nfor = \"10s\"" }
    }
}

impl Scenario {
    fn start(&self, registrar: &KnownRegistrar, dir: &Path) -> Regstorm {
        let Scenario { agents, load } = self;
        let address = registrar.address();
        let text = format!(
            "[run]\nname = \"truth\"\ninterval = \"1s\"\nseed = 7\n\n[[trunk]]\nid = \"lab\"\n\
             registrar = \"sip:{address}\"\ndomain = \"genesyscloud.test\"\n\
             agents = {{ count = {agents}, user = \"agent{{n:05}}\", password = \"secret\" }}\n\n[[load]]\n{load}\n"
        );
        Regstorm::start(dir, &["run", profile(dir, &text), "--out", "out"])
    }
}
