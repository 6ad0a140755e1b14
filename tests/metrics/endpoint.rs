//! The endpoint itself: its values against the run's files, its manners, and how long it stays.

use super::exposition::{Exposition, Sample};
use super::{LIMIT, http, said, start, two_trunks, wait_for_the_end};
use crate::support::clock;
use crate::support::program::{Regstorm, profile};
use crate::support::results::{ResultDir, STATUSES};
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};

fn temp() -> tempfile::TempDir {
    tempfile::tempdir().expect("a directory under /tmp")
}

/// A run of a second.
const SHORT: &str = "[run]\nname = \"short\"\ninterval = \"1s\"\n[[trunk]]\nid = \"lab\"\nregistrar = \"embedded\"\n\
    domain = \"genesyscloud.test\"\nagents = { count = 20, user = \"agent{n:05}\", password = \"secret\" }\n\
    [[load]]\nrate = 100\nfor = \"200ms\"\n[generator]\nlate = \"90ms\"\n";

#[test]
fn the_last_values_are_the_totals_of_the_run() {
    let _alone = clock::alone();
    let dir = temp();
    let (run, place) = start(dir.path(), &two_trunks("warmup = \"1s\""), "127.0.0.1:0", &[]);
    let first = Exposition::read(http::get(&place, "/metrics"));
    assert_eq!(first.sum("regstorm_attempts_total", &[]), 0.0, "every counter begins at zero");
    wait_for_the_end(&run);
    let last = Exposition::read(http::get(&place, "/metrics"));
    // Nobody else reads, so nothing is left to wait for.
    let finished = run.wait(LIMIT);
    assert!(matches!(finished.status.code(), Some(1 | 3)), "{finished:?}");
    let results = ResultDir::open(&dir.path().join("out"));
    expect_totals(&last, &results);
    expect_each_trunk(&last, &results);
    expect_latencies(&last, &results);
    expect_conventions(&last);
    for before in &first.samples {
        let rose = last
            .samples
            .iter()
            .any(|after| (&after.name, &after.labels) == (&before.name, &before.labels) && after.value >= before.value);
        let counts = ["_total", "_bucket", "_count", "_sum"].iter().any(|end| before.name.ends_with(end));
        assert!(!counts || rose, "{before:?} is gone or fell");
    }
}

fn expect_totals(last: &Exposition, results: &ResultDir) {
    for status in STATUSES {
        let count = last.sum("regstorm_attempts_total", &[("status", status)]);
        assert_eq!(count as u64, results.total(status), "{status}");
    }
    assert!(results.total("refreshes") > 0 && results.total("authentication_failed") > 0, "{:#}", results.run);
    for (kind, total) in [("initial", "initial"), ("refresh", "refreshes"), ("retry", "retries")] {
        let count = last.sum("regstorm_attempts_started_total", &[("kind", kind)]);
        assert_eq!(count as u64, results.total(total), "{kind}");
    }
    for (name, total) in [
        ("register_requests_total", "register_requests"),
        ("retransmissions_total", "retransmissions"),
        ("messages_sent_total", "messages_sent"),
        ("messages_received_total", "messages_received"),
        ("sent_bytes_total", "bytes_sent"),
        ("received_bytes_total", "bytes_received"),
        ("late_responses_total", "late_responses"),
        ("ceiling_refused_total", "ceiling_refused"),
        ("agents_looping_total", "agents_looping"),
        ("unregister_failed_total", "unregister_failed"),
        ("agents", "agents"),
    ] {
        assert_eq!(last.sum(&format!("regstorm_{name}"), &[]) as u64, results.total(total), "{name}");
    }
    for (name, total) in [("planned", "agent_minutes_planned"), ("registered", "agent_minutes_available")] {
        let minutes = last.sum(&format!("regstorm_agent_{name}_seconds_total"), &[]) / 60.0;
        let total = results.number(&format!("/totals/{total}"));
        assert!((minutes - total).abs() < 0.001, "{name}: {minutes} and {total}");
    }
    for (name, key) in [("arrivals", "arrivals"), ("arrivals_late", "arrivals_late"), ("loop_stalls", "loop_stalls")] {
        let count = last.sum(&format!("regstorm_generator_{name}_total"), &[]);
        assert_eq!(count, results.number(&format!("/generator/{key}")), "{name}");
    }
    assert_eq!(last.sum("regstorm_run_verdict", &[("verdict", results.text("/verdict"))]), 1.0);
    assert_eq!(last.sum("regstorm_run_verdict", &[]), 1.0);
    assert_eq!(last.sum("regstorm_run_stage", &[("stage", "ended")]), 1.0);
    assert_eq!(last.sum("regstorm_run_info", &[("run", "two trunks"), ("seed", "7")]), 1.0);
}

fn expect_each_trunk(last: &Exposition, results: &ResultDir) {
    let trunks = results.run["trunks"].as_array().expect("a list");
    assert_eq!(trunks.len(), 2);
    for trunk in trunks {
        let id = trunk["id"].as_str().expect("an id");
        for status in STATUSES {
            let count = last.sum("regstorm_attempts_total", &[("trunk", id), ("status", status)]);
            assert_eq!(Some(count as u64), trunk["totals"][status].as_u64(), "{id} {status}");
        }
    }
    for row in results.table("responses.csv").rows.iter().filter(|row| row["role"] == "final") {
        let labels = [("trunk", row["trunk_id"].as_str()), ("code", row["code"].as_str())];
        let count: f64 = row["count"].parse().expect("a number");
        assert!(last.sum("regstorm_responses_total", &labels) >= count, "{row:?}");
    }
}

fn expect_latencies(last: &Exposition, results: &ResultDir) {
    let phases = results.run["latency_us"].as_object().expect("by phase");
    assert!(phases.len() >= 6, "{phases:?}");
    for (phase, figures) in phases.iter().filter(|(_, figures)| figures["count"] != 0) {
        let figure = |key: &str| figures[key].as_f64().expect("a number");
        let label = [("phase", phase.as_str())];
        assert_eq!(last.sum("regstorm_latency_seconds_count", &label), figure("count"), "{phase}");
        let sum = figure("mean") * figure("count") / 1e6;
        let shown = last.sum("regstorm_latency_seconds_sum", &label);
        assert!((shown - sum).abs() <= 0.002 * sum, "{phase}: {shown} and {sum}");
        let below = |le: &str| last.sum("regstorm_latency_seconds_bucket", &[label[0], ("le", le)]);
        assert_eq!(below("+Inf"), figure("count"), "{phase}");
        if figure("p50") < 100_000.0 {
            assert!(below("0.1") >= figure("count") / 2.0, "{phase}");
        }
    }
}

/// Names and labels by the conventions, judged by promtool; no agent and no secret in any of them.
fn expect_conventions(last: &Exposition) {
    for Sample { name, labels, .. } in &last.samples {
        assert!(name.starts_with("regstorm_"), "{name}");
        let known = ["trunk", "status", "phase", "kind", "code", "stage", "verdict", "run", "version", "seed", "le"];
        assert!(labels.keys().all(|key| known.contains(&key.as_str())), "{name} {labels:?}");
        let family = name.strip_suffix("_total");
        assert_eq!(family.is_some(), family.is_some_and(|family| last.types[family] == "counter"), "{name}");
    }
    for private in ["phone-", "hunter2"] {
        assert!(!last.text.contains(private), "{private} is in:\n{}", last.text);
    }
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool is installed (Debian package prometheus)");
    promtool.stdin.take().expect("piped").write_all(last.classic().as_bytes()).expect("it reads");
    let said = promtool.wait_with_output().expect("our own child");
    let said = (said.status.success(), String::from_utf8_lossy(&said.stderr).into_owned());
    assert_eq!(said, (true, String::new()));
}

#[test]
fn it_speaks_http_and_nobody_can_hold_it_up() {
    let dir = temp();
    let (run, place) =
        start(dir.path(), &SHORT.replace("\"200ms\"", "\"3s\""), "127.0.0.1:0", &["--metrics-linger", "0s"]);
    // Somebody who connects and says nothing, and somebody who says nonsense.
    let mute = TcpStream::connect(&place).expect("it listens");
    let mut nonsense = TcpStream::connect(&place).expect("it listens");
    nonsense.write_all(b"\x16\x03\x01 hello\r\n\r\n").expect("it listens");
    let metrics = http::ask("GET", &place, "/metrics").expect("an answer");
    assert_eq!(metrics.header("content-type"), Some("application/openmetrics-text; version=1.0.0; charset=utf-8"));
    assert_eq!(metrics.status, 200);
    Exposition::read(metrics.body);
    let head = http::ask("HEAD", &place, "/metrics").expect("an answer");
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    assert!(http::get(&place, "/").contains("/metrics"));
    assert_eq!(http::ask("GET", &place, "/secrets").expect("an answer").status, 404);
    let post = http::ask("POST", &place, "/metrics").expect("an answer");
    assert_eq!((post.status, post.header("allow")), (405, Some("GET, HEAD")));
    let finished = run.wait(LIMIT);
    assert!(matches!(finished.status.code(), Some(0 | 3)), "{finished:?}");
    assert!(!finished.stderr().contains("keeps the last values"), "{}", finished.stderr());
    drop(mute);
}

#[test]
fn an_address_in_use_or_none_at_all_sends_nothing() {
    let dir = temp();
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let taken = (taken.local_addr().expect("bound").to_string(), taken);
    let name = profile(dir.path(), SHORT);
    for (address, code, remedy) in [
        (taken.0.as_str(), 3, "Choose another port"),
        ("192.0.2.1:0", 3, "this machine has no such address"),
        (":9464", 2, "write 127.0.0.1:9464"),
        ("localhost", 2, "write 127.0.0.1:9464"),
    ] {
        let refused = Regstorm::run(dir.path(), &["run", name, "--metrics", address], LIMIT);
        refused.expect_code(code);
        assert!(refused.stderr().contains(remedy), "{address}: {}", refused.stderr());
        assert!(!dir.path().join("results").exists(), "{address} left results behind");
    }
    for more in [&["--metrics", "0", "--metrics-linger", "soon"][..], &["--metrics-linger", "5s"]] {
        Regstorm::run(dir.path(), &[&["run", name], more].concat(), LIMIT).expect_code(2);
    }
}

#[test]
fn an_interrupted_run_and_an_impatient_user_do_not_wait() {
    let dir = temp();
    let (run, place) = start(dir.path(), &SHORT.replace("\"200ms\"", "\"60s\""), "127.0.0.1:0", &[]);
    http::get(&place, "/metrics");
    run.signal("INT");
    let finished = run.wait(LIMIT);
    finished.expect_code(130);
    assert!(!finished.stderr().contains("keeps the last values"), "{}", finished.stderr());

    let dir = temp();
    let (run, _) = start(dir.path(), SHORT, "127.0.0.1:0", &["--metrics-linger", "1h"]);
    wait_for_the_end(&run);
    run.signal("INT");
    let finished = run.wait(LIMIT);
    // The run was over, so its own status counts.
    assert!(matches!(finished.status.code(), Some(0 | 3)), "{finished:?}");
}

#[test]
fn a_run_waits_for_a_first_reader_and_json_stays_json() {
    let dir = temp();
    let (run, place) = start(dir.path(), SHORT, "127.0.0.1:0", &["--json"]);
    wait_for_the_end(&run);
    assert!(said(&run, "metrics at ").is_some());
    let last = Exposition::read(http::get(&place, "/metrics"));
    assert_eq!(last.sum("regstorm_attempts_total", &[("status", "registered")]), 20.0);
    let finished = run.wait(LIMIT);
    let json: serde_json::Value = serde_json::from_slice(&finished.stdout).expect("nothing but JSON on stdout");
    assert_eq!(json["totals"]["registered"], 20);
}
