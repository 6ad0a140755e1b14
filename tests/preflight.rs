//! `regstorm preflight` from the outside: what it finds out with a handful of messages, and in
//! which words.

mod support;

use serde_json::Value;
use std::net::UdpSocket;
use std::path::Path;
use std::time::Duration;
use support::clock;
use support::program::{Finished, Regstorm, profile};
use support::results::ResultDir;

/// Long against every preflight here, short against a hang.
const LIMIT: Duration = Duration::from_secs(90);

fn temp() -> tempfile::TempDir {
    tempfile::tempdir().expect("a directory under /tmp")
}

fn preflight(dir: &Path, text: &str, more: &[&str]) -> Finished {
    Regstorm::run(dir, &[&["preflight", profile(dir, text)], more].concat(), LIMIT)
}

/// A trunk of five agents; `more` are further keys of it.
fn trunk(id: &str, registrar: &str, more: &str) -> String {
    format!(
        "[[trunk]]\nid = \"{id}\"\nregistrar = \"{registrar}\"\ndomain = \"genesyscloud.test\"\n{more}\n\
         agents = {{ count = 5, user = \"{id}{{n:03}}\", password = \"secret\" }}\n"
    )
}

fn expect_said(finished: &Finished, parts: &[&str]) {
    // A text may have been wrapped anywhere between words.
    let said = finished.stdout().split_whitespace().collect::<Vec<_>>().join(" ");
    for part in parts {
        assert!(said.contains(part), "{part:?} is missing in:\n{}", finished.stdout());
    }
    let wide = finished.stdout().lines().map(str::to_owned).find(|line| line.chars().count() > 100);
    assert_eq!(wide, None, "a line is wider than 100 columns");
}

#[test]
fn a_trunk_that_registers_is_ready_and_nothing_is_left_behind() {
    let dir = temp();
    let registrar = Regstorm::start(dir.path(), &["registrar", "--listen", "udp://127.0.0.1:0"]);
    let address = clock::until("the registrar to listen", LIMIT, || {
        registrar.stdout_so_far().lines().find_map(|line| line.strip_prefix("listening udp://").map(str::to_owned))
    });
    let more = "realm = \"genesyscloud.test\"\nexpires = \"2h\"";
    let finished = preflight(dir.path(), &trunk("lab", &format!("sip:{address}"), more), &[]);
    finished.expect_code(0);
    expect_said(
        &finished,
        &[
            "lab: ready",
            "OPTIONS ok 200 OK in",
            "\"genesyscloud.test\", as expected",
            "SHA-256 (qop auth), MD5 (qop auth); answered with SHA-256, qop auth",
            "lab000 from 127.0.0.1: 200 OK",
            "the binding was removed",
            "3600 s granted, 7200 s asked",
        ],
    );
    registrar.signal("INT");
    let ended = registrar.wait(LIMIT);
    ended.expect_code(0);
    assert!(ended.stderr().contains("bindings now 0, at most 1"), "{}", ended.stderr());
}

#[test]
fn what_tls_agreed_on_is_shown_and_why_it_did_not() {
    let dir = temp();
    let listen = "[registrar]\nlisten = [\"tls://127.0.0.1:0\"]\n";
    let finished = preflight(dir.path(), &(trunk("lab", "embedded", "") + listen), &[]);
    finished.expect_code(0);
    let certificate = "a certificate of regstorm, issued by regstorm, for 127.0.0.1";
    expect_said(&finished, &["lab: ready", "TLS ok TLSv1_3 TLS13_AES_256_GCM_SHA384;", certificate]);
    let elsewhere = trunk("lab", "embedded", "tls = { server_name = \"edge.example\" }") + listen;
    let finished = preflight(dir.path(), &elsewhere, &[]);
    finished.expect_code(1);
    let why = "the registrar cannot be reached: certificate for another name";
    expect_said(&finished, &["TLS FAIL a certificate of", "it is not for edge.example", why]);
}

#[test]
fn a_fine_ping_does_not_hide_refused_credentials() {
    let dir = temp();
    let text = trunk("lab", "embedded", "")
        + "[[registrar.fault]]\nkind = \"refuse\"\ncode = 403\nreason = \"Authentication Failed\"\n";
    let finished = preflight(dir.path(), &text, &[]);
    finished.expect_code(1);
    expect_said(
        &finished,
        &[
            "OPTIONS ok 200 OK",
            "lab: not ready: OPTIONS is fine and the credentials are refused (403 Authentication Failed)",
            "the ping proves the path, not the account",
        ],
    );
}

#[test]
fn a_realm_that_loses_its_suffix_is_seen() {
    let dir = temp();
    let text = trunk("lab", "embedded", "realm = \"genesyscloud.test;tenant=acme\"")
        + "[[registrar.fault]]\nkind = \"realm\"\nchallenge = \"genesyscloud.test\"\n\
           verify = \"genesyscloud.test;tenant=acme\"\n";
    let finished = preflight(dir.path(), &text, &[]);
    finished.expect_code(1);
    let offered = "the realm \"genesyscloud.test\" is not the expected \"genesyscloud.test;tenant=acme\"";
    expect_said(&finished, &["realm warn", offered]);
    // What the text advises, taken.
    preflight(dir.path(), &text, &["--set", "trunk.0.realm_policy=force"]).expect_code(0);
}

#[test]
fn every_source_address_is_tried_and_the_refused_one_named() {
    let dir = temp();
    let text = trunk("lab", "embedded", "source = [\"127.0.0.1\", \"127.0.0.3\"]")
        + "[[registrar.fault]]\nkind = \"deny\"\ncode = 403\nsources = [\"127.0.0.3\"]\n";
    let finished = preflight(dir.path(), &text, &[]);
    finished.expect_code(1);
    expect_said(
        &finished,
        &[
            "lab000 from 127.0.0.1: 200 OK",
            "lab001 from 127.0.0.3: 403 Forbidden",
            "lab: not ready: from 127.0.0.3: refused before any challenge",
        ],
    );
}

#[test]
fn ports_and_names_that_lead_nowhere_are_told_apart() {
    let dir = temp();
    // A port that was ours a moment ago, and one where somebody listens and never answers.
    let free = UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("loopback");
    let silent = UdpSocket::bind("127.0.0.1:0").expect("loopback");
    let address = silent.local_addr().expect("bound");
    let text = trunk("closed", &format!("sip:{free}"), "")
        + &trunk("silent", &format!("sip:{address}"), "")
        // RFC 2606 §2: `.invalid` never resolves.
        + &trunk("nameless", "sip:registrar.invalid", "")
        + &trunk("good", "embedded", "");
    let finished = preflight(dir.path(), &text, &["--json"]);
    finished.expect_code(1);
    let value: Value = serde_json::from_slice(&finished.stdout).expect("JSON on stdout");
    assert_eq!(value["ready"], false);
    let why: Vec<(&str, bool, &str)> = value["trunks"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|trunk| {
            let why = trunk["why"][0].as_str().unwrap_or_default();
            (trunk["trunk_id"].as_str().expect("an id"), trunk["ready"] == true, why)
        })
        .collect();
    assert_eq!(
        why.iter().map(|(id, ready, _)| (*id, *ready)).collect::<Vec<_>>(),
        [("closed", false), ("silent", false), ("nameless", false), ("good", true)]
    );
    assert!(why[0].2.contains("port unreachable"), "{why:?}");
    assert!(why[1].2.starts_with("no answer at all"), "{why:?}");
    assert!(why[2].2.contains("registrar.invalid does not resolve"), "{why:?}");
}

#[test]
fn a_forbidden_target_is_sent_nothing() {
    let dir = temp();
    let text = trunk("far", "sip:192.0.2.1", "") + &trunk("good", "embedded", "");
    let finished = preflight(dir.path(), &text, &[]);
    finished.expect_code(2);
    assert!(finished.stdout.is_empty() && finished.stderr().contains("allow_targets"), "{}", finished.stderr());
    preflight(dir.path(), "[run]\nname = \"empty\"\n", &[]).expect_code(2);
}

#[test]
fn an_interrupted_preflight_begins_nothing_new() {
    let dir = temp();
    let silent = UdpSocket::bind("127.0.0.1:0").expect("loopback");
    silent.set_read_timeout(Some(LIMIT)).expect("a socket option");
    let text = trunk("silent", &format!("sip:{}", silent.local_addr().expect("bound")), "");
    let preflight = Regstorm::start(dir.path(), &["preflight", profile(dir.path(), &text)]);
    let mut buffer = [0; 2048];
    let method = |buffer: &[u8]| String::from_utf8_lossy(buffer).split(' ').next().map(str::to_owned);
    let len = silent.recv(&mut buffer).expect("its first request");
    assert_eq!(method(&buffer[..len]).as_deref(), Some("OPTIONS"));
    preflight.signal("INT");
    let finished = preflight.wait(LIMIT);
    finished.expect_code(130);
    assert!(finished.stdout.is_empty(), "{}", finished.stdout());
    silent.set_nonblocking(true).expect("a socket option");
    while let Ok(len) = silent.recv(&mut buffer) {
        assert_eq!(method(&buffer[..len]).as_deref(), Some("OPTIONS"), "nothing but retransmissions follow");
    }
}

#[test]
fn credentials_are_doubted_without_being_shown() {
    let dir = temp();
    std::fs::write(dir.path().join("agents.csv"), "user,password\nann,gr;een\nbob,blue\nann,gr;een\n").expect("ours");
    let text = "[[trunk]]\nid = \"lab\"\nregistrar = \"embedded\"\ndomain = \"genesyscloud.test\"\n\
                agents = { csv = \"agents.csv\" }\n[registrar]\nusers = \"agents.csv\"\n";
    let finished = preflight(dir.path(), text, &[]);
    finished.expect_code(0);
    expect_said(
        &finished,
        &[
            "lab: ann (first of 2 agents): password has a semicolon inside",
            "lab: ann (first of 2 agents): user stands there more than once",
        ],
    );
    for said in [finished.stdout(), finished.stderr()] {
        assert!(!said.contains("gr;een"), "a password was shown:\n{said}");
    }
}

#[test]
fn the_baseline_is_kept_and_stated_by_later_runs() {
    let _alone = clock::alone();
    let dir = temp();
    let text = trunk("lab", "embedded", "")
        + "[[load]]\nrate = 20\nfor = \"200ms\"\n[run]\nname = \"small\"\n[generator]\nlate = \"90ms\"\n";
    let finished = preflight(dir.path(), &text, &["--baseline"]);
    finished.expect_code(0);
    expect_said(&finished, &["baseline: with", "challenged registrations per second"]);
    let kept = std::fs::read(dir.path().join("results/baseline.json")).expect("the file it names");
    let kept: Value = serde_json::from_slice(&kept).expect("JSON");
    let steps = kept["steps"].as_array().expect("the rates tried");
    assert!(!steps.is_empty());
    assert!(
        steps.iter().all(|step| step["attempts"] == step["rate_per_s"]),
        "a step is one second at its rate: {kept}"
    );
    assert!(kept["host"].is_string() && kept["kernel"].is_string() && kept["tool_version"].is_string(), "{kept}");
    let run = Regstorm::run(dir.path(), &["run", "profile.toml", "--out", "out"], LIMIT);
    assert!(run.stdout().contains("baseline"), "{}", run.stdout());
    let results = ResultDir::open(&dir.path().join("out"));
    assert_eq!(results.run["conditions"]["baseline"], kept);
}
