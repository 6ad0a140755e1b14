//! The outside of the program: exit status, what it says and where, what it refuses, what it never
//! shows.
//!
//! Needs `sipsak` (`tests/all` installs it). Every run is small; the figures themselves are judged
//! in `truth.rs`.

mod support;

use md5::{Digest, Md5};
use serde_json::Value;
use sha2::Sha256;
use std::io::ErrorKind;
use std::net::UdpSocket;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;
use support::clock;
use support::known::KnownRegistrar;
use support::program::{Finished, Regstorm, command, profile};
use support::results::{FILES, ResultDir};

/// Long against every run here, short against a hang.
const LIMIT: Duration = Duration::from_secs(60);

// ---- Rest ----

/// A sender with nothing to do sleeps. One that wakes up for something it then does not do is at
/// 100 %.
#[test]
fn waiting_costs_next_to_nothing() {
    let dir = temp();
    let text = small("").replace("for = \"200ms\"", "for = \"200ms\"\n\n[[load]]\nhold = \"3s\"");
    let text = text.replace("interval = \"1s\"", "interval = \"10s\"");
    regstorm(dir.path(), &["run", profile(dir.path(), &text), "--out", "out"]).expect_code(0);
    let cpu = ResultDir::open(&dir.path().join("out")).number("/generator/cpu_pct");
    assert!(cpu < 25.0, "the senders used {cpu} % of their time to wait");
}

// ---- Intervals ----

/// The first one is as long as it takes to the next whole second, and the sums are those of any
/// run.
#[test]
fn intervals_may_end_where_those_of_the_clock_do() {
    let dir = temp();
    let text = small("").replace("for = \"200ms\"", "for = \"200ms\"\n\n[[load]]\nhold = \"3s\"");
    let text = text.replace("interval = \"1s\"", "interval = \"1s\"\nalign = \"minute\"");
    regstorm(dir.path(), &["run", profile(dir.path(), &text), "--out", "out"]).expect_code(0);
    let results = ResultDir::open(&dir.path().join("out"));
    results.expect_balanced();
    let rows = results.table("generator.csv").rows;
    assert!(rows.len() >= 4, "{} intervals", rows.len());
    // Stages end when they are over; the load lasts for these.
    for row in &rows[1..4] {
        assert!(row["interval_start"].ends_with(".000Z"), "{}", row["interval_start"]);
    }
    let lengths: Vec<f64> = rows.iter().map(|row| row["interval_s"].parse().expect("a number")).collect();
    assert!(lengths[0] <= 1.0 && lengths[1..3].iter().all(|length| (length - 1.0).abs() < 1e-9), "{lengths:?}");
}

// ---- Usage ----

#[test]
fn bad_usage_exits_2_and_says_how_to_ask_for_help() {
    let dir = temp();
    for args in [&[][..], &["dance"], &["run"], &["run", "a.toml", "--faster"], &["report"]] {
        let finished = regstorm(dir.path(), args);
        finished.expect_code(2);
        assert!(finished.stdout.is_empty(), "{args:?} wrote to stdout: {}", finished.stdout());
        assert!(finished.stderr().contains("Usage"), "{args:?}: {}", finished.stderr());
    }
}

#[test]
fn help_and_version_are_no_errors() {
    let dir = temp();
    let help = regstorm(dir.path(), &["--help"]);
    help.expect_code(0);
    for word in ["run", "registrar", "report", "schema"] {
        assert!(help.stdout().contains(word), "{word} is not in the help: {}", help.stdout());
    }
    let version = regstorm(dir.path(), &["--version"]);
    version.expect_code(0);
    assert_eq!(version.stdout().trim_end(), format!("regstorm {}", env!("CARGO_PKG_VERSION")));
}

#[test]
fn a_missing_profile_exits_2_and_is_named() {
    let dir = temp();
    let finished = regstorm(dir.path(), &["run", "no-such.toml"]);
    finished.expect_code(2);
    assert!(finished.stderr().contains("no-such.toml"), "{}", finished.stderr());
}

#[test]
fn a_misspelt_key_is_shown_with_its_place_and_the_nearest_one() {
    let dir = temp();
    let text = small("").replace("domain =", "domian =");
    let finished = regstorm(dir.path(), &["run", profile(dir.path(), &text)]);
    finished.expect_code(2);
    let line = text.lines().position(|line| line.starts_with("domian")).expect("put in above") + 1;
    for part in [&format!("profile.toml:{line}:"), "domian", "\"domain\""] {
        assert!(finished.stderr().contains(part), "{part} is missing in: {}", finished.stderr());
    }
    assert!(!dir.path().join("results").exists(), "a refused profile leaves nothing behind");
}

#[test]
fn a_feature_of_a_later_version_is_refused_by_name() {
    let dir = temp();
    let text = small("").replace("rate = 100\nfor = \"200ms\"", "outage = \"10s\"");
    let finished = regstorm(dir.path(), &["run", profile(dir.path(), &text)]);
    finished.expect_code(2);
    assert!(finished.stderr().contains("outage"), "{}", finished.stderr());
}

#[test]
fn a_missing_secret_exits_2_and_names_the_variable() {
    let dir = temp();
    let text = small("").replace("password = \"secret\"", "password_env = \"REGSTORM_TEST_NO_SUCH\"");
    let finished = regstorm(dir.path(), &["run", profile(dir.path(), &text)]);
    finished.expect_code(2);
    assert!(finished.stderr().contains("REGSTORM_TEST_NO_SUCH"), "{}", finished.stderr());
}

#[test]
fn set_overrides_the_profile() {
    let dir = temp();
    let set = ["--set", "trunk.0.agents.count=7", "--set", "run.seed=9", "--set", "trunk.lab.expires=30s"];
    let args = [&["run", profile(dir.path(), &small("")), "--out", "out"][..], &set].concat();
    regstorm(dir.path(), &args).expect_code(0);
    let results = ResultDir::open(&dir.path().join("out"));
    assert_eq!(results.total("registered"), 7);
    assert_eq!(results.number("/seed"), 9.0);
    let wrong = regstorm(dir.path(), &["run", "profile.toml", "--set", "run.sed=9"]);
    wrong.expect_code(2);
    assert!(wrong.stderr().contains("run.sed"), "{}", wrong.stderr());
}

// ---- Targets ----

#[test]
fn a_target_outside_allow_targets_is_refused_before_any_packet() {
    let dir = temp();
    let listener = UdpSocket::bind(("127.0.0.1", 0)).expect("loopback");
    let address = listener.local_addr().expect("a bound socket");
    let text = small("[safety]\nallow_targets = [\"10.0.0.0/8\"]\n").replace("embedded", &format!("sip:{address}"));
    let finished = regstorm(dir.path(), &["run", profile(dir.path(), &text)]);
    finished.expect_code(2);
    assert!(finished.stderr().contains("allow_targets"), "{}", finished.stderr());
    assert!(finished.stderr().contains("127.0.0.1"), "{}", finished.stderr());
    // Loopback delivers at once: what was sent before the program ended would be here.
    listener.set_nonblocking(true).expect("a socket");
    let received = listener.recv_from(&mut [0; 2048]);
    assert_eq!(received.map_err(|e| e.kind()), Err(ErrorKind::WouldBlock), "a packet was sent");
}

#[test]
fn a_name_is_judged_by_the_address_it_resolves_to() {
    let dir = temp();
    let text = small("[safety]\nallow_targets = [\"10.0.0.0/8\"]\n").replace("embedded", "sip:localhost:5060");
    let finished = regstorm(dir.path(), &["run", profile(dir.path(), &text)]);
    finished.expect_code(2);
    assert!(finished.stderr().contains("allow_targets"), "{}", finished.stderr());
}

#[test]
fn a_name_that_does_not_resolve_exits_3() {
    let dir = temp();
    // RFC 2606 §2: `.invalid` never resolves.
    let text = small("").replace("embedded", "sip:registrar.invalid");
    let finished = regstorm(dir.path(), &["run", profile(dir.path(), &text)]);
    finished.expect_code(3);
    assert!(finished.stderr().contains("registrar.invalid"), "{}", finished.stderr());
}

// ---- Results ----

#[test]
fn run_prints_a_short_summary_and_progress_apart() {
    let dir = temp();
    let finished = regstorm(dir.path(), &["run", profile(dir.path(), &small("")), "--out", "out", "--live", "plain"]);
    finished.expect_code(0);
    let summary = finished.stdout();
    assert!((1..=25).contains(&summary.lines().count()), "{summary}");
    assert!(summary.to_lowercase().contains("pass"), "{summary}");
    assert!(!finished.stderr().is_empty(), "no progress");
    let off = regstorm(dir.path(), &["run", "profile.toml", "--out", "off", "--live", "off"]);
    off.expect_code(0);
    assert_eq!(off.stderr(), "", "a run without trouble and without progress has nothing to say");
}

#[test]
fn one_of_a_kind_is_called_so() {
    let dir = temp();
    let args = ["run", profile(dir.path(), &small("")), "--set", "trunk.0.agents.count=1", "--live", "plain"];
    let finished = regstorm(dir.path(), &[&args[..], &["--out", "out"]].concat());
    finished.expect_code(0);
    let opening = finished.stderr();
    let opening = opening.lines().next().expect("a first line");
    for part in [": 1 agent on 1 trunk to ", ", 1 arrival in ", ", 1 sender thread, "] {
        assert!(opening.contains(part), "{part:?} is not in: {opening}");
    }
}

#[test]
fn a_load_of_whole_intervals_leaves_no_empty_one() {
    let dir = temp();
    let text = small("").replace("rate = 100\nfor = \"200ms\"", "rate = 10\nfor = \"2s\"");
    regstorm(dir.path(), &["run", profile(dir.path(), &text), "--out", "out"]).expect_code(0);
    let rows = ResultDir::open(&dir.path().join("out")).table("availability.csv").rows;
    let lengths: Vec<&str> = rows.iter().map(|row| row["interval_s"].as_str()).collect();
    assert_eq!(lengths, ["1", "1"]);
    let planned: f64 = rows[0]["agents_planned"].parse().expect("a number");
    assert!(planned <= 10.0, "{planned} agents planned in a second of 10: arrivals of the next one are among them");
}

#[test]
fn a_limit_below_the_number_of_threads_is_shared_by_fewer() {
    let dir = temp();
    let set = ["--set", "run.workers=2", "--set", "arrivals.max_in_flight=1"];
    let args = [&["run", profile(dir.path(), &small("")), "--out", "out"][..], &set].concat();
    // How it is judged depends on how many of the arrivals found another one open.
    regstorm(dir.path(), &args);
    let results = ResultDir::open(&dir.path().join("out"));
    assert_eq!(results.number("/conditions/workers"), 1.0, "two would have a share of nothing");
    assert!(results.total("registered") > 0, "one may be open");
    assert_eq!(results.total("registered") + results.total("shed"), 20, "how many that lets through is the machine's");
}

#[test]
fn an_answered_423_is_among_the_responses() {
    let dir = temp();
    let text = small("").replace("\n[[load]]", "expires = \"2s\"\n\n[[load]]");
    regstorm(dir.path(), &["run", profile(dir.path(), &text), "--out", "out"]).expect_code(0);
    let results = ResultDir::open(&dir.path().join("out"));
    assert_eq!(results.total("registered"), 20);
    let responses = results.table("responses.csv");
    let brief: Vec<_> = responses.rows.iter().filter(|row| row["code"] == "423").collect();
    assert_eq!(brief.len(), 1, "{:?}", responses.rows);
    assert_eq!((brief[0]["kind"].as_str(), brief[0]["count"].as_str()), ("initial", "20"));
    assert_eq!(responses.sum("count") as u64, results.total("messages_received"), "every response is listed");
}

#[test]
fn json_on_stdout_is_run_json() {
    let dir = temp();
    let finished = regstorm(dir.path(), &["run", profile(dir.path(), &small("")), "--out", "out", "--json"]);
    finished.expect_code(0);
    let printed: Value = serde_json::from_slice(&finished.stdout).expect("JSON on stdout");
    assert_eq!(printed, ResultDir::open(&dir.path().join("out")).run);
    let report = regstorm(dir.path(), &["report", "out", "--json"]);
    report.expect_code(0);
    assert_eq!(serde_json::from_slice::<Value>(&report.stdout).expect("JSON on stdout"), printed);
}

#[test]
fn a_failed_threshold_exits_1_and_report_still_exits_0() {
    let dir = temp();
    let thresholds = "[thresholds]\nsuccess_ratio = \">= 0.999\"\nloops = \"== 0\"\nattempts = \"> 0\"\n\n";
    let text = small(thresholds) + REALM_FAULT;
    let text = text.replace("\n[[load]]", "retry = { preset = \"hammer\", interval = \"100ms\" }\n\n[[load]]");
    let text = text.replace("for = \"200ms\"\n", "for = \"200ms\"\n\n[[load]]\nhold = \"1s\"\n");
    let finished = regstorm(dir.path(), &["run", profile(dir.path(), &text), "--out", "out"]);
    finished.expect_code(1);
    let results = ResultDir::open(&dir.path().join("out"));
    results.expect_balanced();
    assert_eq!(results.text("/verdict"), "fail");
    assert_eq!(results.total("registered"), 0);
    assert_eq!(results.total("authentication_failed"), results.total("attempts") - results.total("abandoned"));

    // Every agent was refused after its credentials three times and more.
    assert_eq!(results.total("agents_looping"), 20);
    let loops = results.table("loops.csv");
    assert_eq!(loops.rows.len(), 20);
    assert!(
        loops.rows.iter().all(|row| row["loop_kind"] == "403-after-auth" && row["code"] == "403"),
        "{:?}",
        loops.rows
    );
    assert!(results.table("agents.csv").rows.iter().all(|row| row["loop_kind"] == "403-after-auth"));

    let thresholds = results.run["thresholds"].as_array().expect("a list");
    let outcome: Vec<_> = thresholds.iter().map(|t| (t["name"].as_str(), t["pass"].as_bool())).collect();
    assert_eq!(thresholds.len(), 3);
    for expected in [("success_ratio", false), ("loops", false), ("attempts", true)] {
        assert!(outcome.contains(&(Some(expected.0), Some(expected.1))), "{outcome:?}");
    }
    let junit = String::from_utf8(results.bytes("junit.xml")).expect("UTF-8");
    assert_eq!((junit.matches("<testcase").count(), junit.matches("<failure").count()), (3, 2), "{junit}");
    regstorm(dir.path(), &["report", "out"]).expect_code(0);
}

#[test]
fn report_rebuilds_every_derived_file_byte_for_byte() {
    let dir = temp();
    regstorm(dir.path(), &["run", profile(dir.path(), &small("")), "--out", "out"]).expect_code(0);
    let out = dir.path().join("out");
    let read = |name: &str| std::fs::read(out.join(name)).unwrap_or_else(|e| panic!("{name}: {e}"));
    let before: Vec<Vec<u8>> = FILES.iter().map(|name| read(name)).collect();
    for name in FILES.iter().filter(|name| **name != "record.bin") {
        std::fs::remove_file(out.join(name)).unwrap_or_else(|e| panic!("{name}: {e}"));
    }
    regstorm(dir.path(), &["report", "out"]).expect_code(0);
    for (name, before) in FILES.iter().zip(before) {
        assert!(read(name) == before, "{name} differs after `report`");
    }
}

#[test]
fn report_of_no_record_names_what_is_missing() {
    let dir = temp();
    let missing = regstorm(dir.path(), &["report", "nowhere"]);
    missing.expect_code(2);
    assert!(missing.stderr().contains("nowhere"), "{}", missing.stderr());
    std::fs::create_dir(dir.path().join("junk")).expect("our own directory");
    std::fs::write(dir.path().join("junk/record.bin"), b"this is no record").expect("our own directory");
    let junk = regstorm(dir.path(), &["report", "junk"]);
    junk.expect_code(3);
    assert!(junk.stderr().contains("record.bin"), "{}", junk.stderr());
}

// ---- Secrets ----

#[test]
fn no_password_ha1_or_digest_response_is_in_any_output() {
    const PASSWORD: &str = "Zk7-tulip-ferrule-91";
    let dir = temp();
    let registrar = KnownRegistrar::start(Duration::ZERO, Duration::ZERO);
    let text = small("").replace("embedded", &format!("sip:{}", registrar.address()));
    let text = text.replace("password = \"secret\"", "password_env = \"REGSTORM_TEST_PASSWORD\"");
    let args = ["run", profile(dir.path(), &text), "--out", "out", "--json"];
    let mut run = command(dir.path(), &args);
    run.env("REGSTORM_TEST_PASSWORD", PASSWORD);
    let finished = Regstorm::start_with(run).wait(LIMIT);
    finished.expect_code(0);

    let mut secrets: Vec<Vec<u8>> = vec![PASSWORD.into()];
    for n in 0..20 {
        let a1 = format!("agent{n:05}:genesyscloud.test:{PASSWORD}");
        for ha1 in [Md5::digest(&a1).to_vec(), Sha256::digest(&a1).to_vec()] {
            secrets.push(hex(&ha1).into());
            secrets.push(hex(&ha1).to_uppercase().into());
            secrets.push(ha1);
        }
    }
    let digests: Vec<String> = registrar.seen().digests.iter().cloned().collect();
    assert!(digests.len() >= 20, "{} digest responses were seen", digests.len());
    secrets.extend(digests.into_iter().map(String::into_bytes));

    let mut outputs = vec![("stdout".to_owned(), finished.stdout), ("stderr".to_owned(), finished.stderr)];
    for entry in std::fs::read_dir(dir.path().join("out")).expect("a result directory") {
        let path = entry.expect("readable").path();
        outputs.push((path.display().to_string(), std::fs::read(&path).expect("readable")));
    }
    assert!(outputs.len() >= FILES.len() + 2);
    for (name, bytes) in &outputs {
        for secret in &secrets {
            let found = bytes.windows(secret.len()).any(|window| window == secret.as_slice());
            assert!(!found, "{name} contains {}", String::from_utf8_lossy(secret));
        }
    }
    let results = ResultDir::open(&dir.path().join("out"));
    assert!(results.run["profile"].to_string().contains("***"), "the resolved profile shows where a secret was");
}

#[test]
fn a_broken_profile_does_not_show_its_password() {
    const PASSWORD: &str = "Zk7-tulip-ferrule-92";
    let dir = temp();
    // The error stands on the very line of the password.
    let text = small("").replace("password = \"secret\"", &format!("password = \"{PASSWORD}\", pasword = 1"));
    let finished = regstorm(dir.path(), &["run", profile(dir.path(), &text)]);
    finished.expect_code(2);
    assert!(!finished.stderr().contains(PASSWORD), "{}", finished.stderr());
}

// ---- Schema, registrar, pipes ----

#[test]
fn schema_is_a_json_schema_of_the_profile() {
    let dir = temp();
    let finished = regstorm(dir.path(), &["schema"]);
    finished.expect_code(0);
    let schema: Value = serde_json::from_slice(&finished.stdout).expect("JSON on stdout");
    assert!(schema["$schema"].as_str().is_some_and(|s| s.contains("json-schema.org")), "{schema}");
    assert_eq!(schema["type"], "object");
    let tables = schema["properties"].as_object().expect("properties");
    for table in ["run", "safety", "trunk", "load", "arrivals", "generator", "thresholds", "registrar"] {
        assert!(tables.contains_key(table), "{table} is not in the schema");
    }
    assert_eq!(schema["additionalProperties"], false, "unknown keys are refused");
}

#[test]
fn the_registrar_says_where_it_listens_and_serves_another_client() {
    let dir = temp();
    // sipsak knows MD5 only.
    let text = "[registrar]\nalgorithms = [\"MD5\"]\npassword = \"open sesame\"\n";
    let listen = ["--listen", "udp://127.0.0.1:0", "--listen", "udp://127.0.0.1:0"];
    let args = [&["registrar", profile(dir.path(), &small(text))][..], &listen].concat();
    let registrar = Regstorm::start(dir.path(), &args);
    let addresses = clock::until("two sockets to listen", LIMIT, || {
        let said = registrar.stdout_so_far();
        let lines = said.lines().filter_map(|line| line.strip_prefix("listening udp://"));
        let addresses: Vec<String> = lines.map(str::to_owned).collect();
        (addresses.len() == 2 && said.ends_with('\n')).then_some(addresses)
    });
    for address in &addresses {
        assert!(!sipsak(address, "wrong"), "a wrong password was accepted at {address}");
        assert!(sipsak(address, "open sesame"), "the right password was refused at {address}");
    }
    registrar.signal("INT");
    registrar.wait(LIMIT).expect_code(0);
}

#[test]
fn a_reader_that_goes_away_is_no_crash() {
    let dir = temp();
    for args in [&["schema"][..], &["--help"], &["run", profile(dir.path(), &small("")), "--out", "out", "--json"]] {
        let mut child = command(dir.path(), args);
        let mut child = child.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary starts");
        drop(child.stdout.take());
        let output = child.wait_with_output().expect("our own child");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!said.contains("panicked"), "{args:?}: {said}");
        assert_eq!(output.status.code(), Some(0), "{args:?}: {said}");
    }
    // The results matter more than the summary nobody read.
    ResultDir::open(&dir.path().join("out")).expect_balanced();
}

// ---- What the tests share ----

/// The registrar verifies against a realm it does not challenge with: every agent gets 403 after
/// its credentials.
const REALM_FAULT: &str = "[[registrar.fault]]\nkind = \"realm\"\nchallenge = \"genesyscloud.test\"\n\
                           verify = \"genesyscloud.test;tenant=acme\"\n";

fn temp() -> tempfile::TempDir {
    tempfile::tempdir().expect("a directory under /tmp")
}

fn regstorm(dir: &Path, args: &[&str]) -> Finished {
    Regstorm::run(dir, args, LIMIT)
}

/// Twenty agents at the embedded registrar within a fifth of a second, and further tables behind.
/// These runs share the machine with each other, so what counts as late is generous; how lateness
/// is judged is tested in `truth.rs`.
fn small(further: &str) -> String {
    format!(
        "[run]\nname = \"small\"\ninterval = \"1s\"\nseed = 7\n\n[[trunk]]\nid = \"lab\"\nregistrar = \"embedded\"\n\
         domain = \"genesyscloud.test\"\nagents = {{ count = 20, user = \"agent{{n:05}}\", password = \"secret\" }}\n\n\
         [[load]]\nrate = 100\nfor = \"200ms\"\n\n[generator]\nlate = \"90ms\"\n\n{further}"
    )
}

/// Whether a client that is not ours can register.
fn sipsak(address: &str, password: &str) -> bool {
    let output = Command::new("sipsak")
        .args(["-U", "-i", "-x", "60", "-a", password, "-s", &format!("sip:alice@{address}")])
        .output()
        .expect("sipsak is installed (tests/all does it)");
    output.status.success()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
