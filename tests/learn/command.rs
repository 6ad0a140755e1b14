//! `regstorm learn` as it is typed.

use super::files::Files;
use super::support::program::Regstorm;
use super::tape::capture;
use serde_json::Value;
use std::fs;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(60);

fn small() -> Vec<u8> {
    let text = "[run]\ninterval = \"10s\"\n[[trunk]]\nid = \"lab\"\nregistrar = \"embedded\"\ndomain = \"lab.test\"\n\
                expires = \"60s\"\nagents = { count = 20, user = \"a{n}\", password = \"x\" }\n[[load]]\nrate = 2\nfor = \"10s\"\n\
                [[load]]\nhold = \"170s\"\n";
    capture(Files::default().file("profile.toml", text).plan(&[]).unwrap_or_else(|error| panic!("{error}")), 1)
}

#[test]
fn what_is_written_is_checked_and_rehearsed_as_it_stands() {
    let dir = tempfile::tempdir().expect("a directory");
    fs::write(dir.path().join("monday.pcap"), small()).expect("writable");
    let finished = Regstorm::run(dir.path(), &["learn", "monday.pcap", "--out", "monday"], LIMIT);
    finished.expect_code(0);
    let said = finished.stdout();
    assert!(said.contains("lab_test: 20 phones, lifetime 60 s") && said.contains("messages where"), "{said}");
    assert!(said.trim_end().ends_with("next: regstorm simulate monday/profile.toml"), "{said}");
    for file in ["profile.toml", "agents.csv", "arrivals.csv", "messages.csv", "learn.html"] {
        assert!(dir.path().join("monday").join(file).exists(), "{file}");
    }
    let profile = fs::read_to_string(dir.path().join("monday/profile.toml")).expect("readable");
    assert!(
        profile.contains("\nregistrar = \"embedded\"") && profile.contains("password_env = \"SIP_PASSWORD\""),
        "{profile}"
    );
    assert!(profile.contains("\nallow_targets = [\"127.0.0.0/8\", \"::1/128\"]"), "{profile}");

    let checked = Regstorm::run(dir.path(), &["check", "monday/profile.toml"], LIMIT);
    checked.expect_code(0);
    assert!(checked.stdout().contains("SIP_PASSWORD is not set"), "{}", checked.stdout());
    let simulated = Regstorm::run(dir.path(), &["simulate", "monday/profile.toml", "--out", "out"], LIMIT);
    simulated.expect_code(0);
    assert!(simulated.stderr().contains("SIP_PASSWORD is not set"), "{}", simulated.stderr());
    Regstorm::run(dir.path(), &["run", "monday/profile.toml", "--out", "run"], LIMIT).expect_code(2);

    let again = Regstorm::run(dir.path(), &["learn", "monday.pcap", "--out", "monday"], LIMIT);
    again.expect_code(2);
    assert!(again.stderr().contains("is already there"), "{}", again.stderr());
}

#[test]
fn json_says_the_same_and_a_log_says_what_it_lacks() {
    let dir = tempfile::tempdir().expect("a directory");
    let rows = (0..40).map(|n| {
        let (user, minute, second) = (n % 4, n / 4, n % 4 * 7);
        format!(
            "{{\"method\":\"REGISTER\",\"sip_from\":\"<sip:u{user}@log.test>\",\"sip_to\":\"<sip:u{user}@log.test>\",\
             \"response_code\":200,\"reason_phrase\":\"OK\",\"timestamp\":\"2026-05-14T10:{minute:02}:{second:02}Z\"}}\n"
        )
    });
    fs::write(dir.path().join("log.jsonl"), rows.collect::<String>()).expect("writable");
    let finished = Regstorm::run(dir.path(), &["learn", "log.jsonl", "--out", "a", "--anonymise", "--json"], LIMIT);
    finished.expect_code(0);
    let document: Value = serde_json::from_slice(&finished.stdout).expect("JSON");
    assert_eq!((document["phones"].as_u64(), document["attempts"].as_u64()), (Some(4), Some(40)));
    assert_eq!(document["trunks"][0]["expires_s"].as_u64(), Some(67), "{document:#}");
    assert!(document["remarks"].to_string().contains("an event log shows no lifetimes"), "{document:#}");
    let all: String = ["profile.toml", "agents.csv", "arrivals.csv", "learn.html"]
        .map(|file| fs::read_to_string(dir.path().join("a").join(file)).expect("readable"))
        .concat();
    assert!(all.contains("user00004") && !all.contains("u3,") && !all.contains("u3@"), "{all}");
    Regstorm::run(dir.path(), &["check", "a/profile.toml"], LIMIT).expect_code(0);
}

#[test]
fn what_is_no_capture_is_refused() {
    let dir = tempfile::tempdir().expect("a directory");
    fs::write(dir.path().join("x.toml"), "[run]\n").expect("writable");
    Regstorm::run(dir.path(), &["learn", "none.pcap", "--out", "o"], LIMIT).expect_code(2);
    Regstorm::run(dir.path(), &["learn", "x.toml", "--out", "o"], LIMIT).expect_code(3);
    Regstorm::run(dir.path(), &["learn", "x.toml"], LIMIT).expect_code(2);
    assert!(!dir.path().join("o").exists());
}
