//! `regstorm diagnose` as it is typed: kinds of files, lines, exit statuses.

use super::packets::*;
use super::support::program::{Finished, Regstorm};
use serde_json::Value;
use std::path::Path;
use std::time::Duration;

fn diagnose(dir: &Path, args: &[&str]) -> Finished {
    Regstorm::run(dir, &[&["diagnose"], args].concat(), Duration::from_secs(60))
}

fn forbidden(register: &Register<'_>) -> Vec<u8> {
    register.answer(403, "Forbidden", "")
}

/// Writes a capture of `rounds` refusals for each of these users.
fn refused(dir: &Path, name: &str, users: &[&str], rounds: u32) {
    let round = |n: u32| {
        let user = move |(m, user): (usize, &&str)| {
            handshake(user, 1 + 2 * n, u64::from(n) * 60 * SECOND + m as u64 * SECOND, forbidden)
        };
        users.iter().enumerate().flat_map(user).collect::<Vec<_>>()
    };
    let messages: Vec<_> = (0..rounds).flat_map(round).collect();
    std::fs::write(dir.join(name), pcapng(1, &conversation(Link::Ethernet, &messages), Some(9)))
        .expect("our directory");
}

#[test]
fn a_capture_of_a_loop() {
    let dir = tempfile::tempdir().expect("a directory under /tmp");
    // The name says nothing of what is in a file.
    refused(dir.path(), "edge.bin", &["a1", "a2", "a3", "a4", "a5"], 6);
    let finished = diagnose(dir.path(), &["edge.bin"]);
    let said = finished.stdout();
    let lines: Vec<_> = said.lines().collect();
    assert!(lines[0].starts_with("loop.403.after-auth critical example.test a1,a2,a3,+2 "), "{said}");
    let looping = lines.iter().find(|line| line.starts_with("loop 403-after-auth "));
    let expected = "loop 403-after-auth example.test a1,a2,a3,+2 403 Forbidden, 30 attempts, about every 60 s; \
                    all four steps happened";
    assert_eq!(looping, Some(&expected), "{said}");
    let last = *lines.last().expect("lines");
    let status = if last.starts_with("explained: ") { 0 } else { 1 };
    assert!(status == 0 || last.starts_with("open: "), "{last}");
    finished.expect_code(status);

    let json = diagnose(dir.path(), &["edge.bin", "--json"]);
    json.expect_code(status);
    let told: Value = serde_json::from_slice(&json.stdout).expect("JSON");
    let source = &told["sources"][0];
    assert_eq!(
        (source["source"].as_str(), source["findings"][0]["id"].as_str()),
        (Some("edge.bin"), Some("loop.403.after-auth"))
    );
    assert_eq!(source["loops"].as_array().map(Vec::len), Some(5));
    assert_eq!(source["loops"][0]["missing_step"], Value::Null);
    assert_eq!(source["loops"][0]["call_id"], "a1");
}

#[test]
fn healthy_is_said() {
    let dir = tempfile::tempdir().expect("a directory under /tmp");
    let messages = ["a", "b"].iter().enumerate().flat_map(|(n, user)| handshake(user, 1, n as u64 * SECOND, accepted));
    let frames = conversation(Link::Cooked, &messages.collect::<Vec<_>>());
    std::fs::write(dir.path().join("ok.pcap"), pcap(113, &frames, false, false)).expect("our directory");
    let finished = diagnose(dir.path(), &["ok.pcap"]);
    finished.expect_code(0);
    assert_eq!(finished.stdout(), "healthy: 2 attempts of 2 agents, none failed\n");
}

#[test]
fn a_log_without_challenges_leaves_it_open_and_says_why() {
    let dir = tempfile::tempdir().expect("a directory under /tmp");
    let record = |n: u32| {
        format!(
            r#"{{"verb":"REGISTER","who":{{"uri":"agent_jdoe@x.test"}},"code":"403","at":{}}}"#,
            1_700_000_000 + 60 * n
        )
    };
    let text: Vec<_> = (0..4).map(record).collect();
    std::fs::write(dir.path().join("events"), text.join("\n")).expect("our directory");
    let fields = ["--field", "method=verb", "--field", "user=who.uri", "--field", "code=code", "--field", "time=at"];
    let finished = diagnose(dir.path(), &[&["events"], &fields[..]].concat());
    finished.expect_code(1);
    let said = finished.stdout();
    assert!(
        said.contains(
            "loop 403-unchallenged x.test agent_jdoe 403, 4 attempts, about every 60 s; missing: challenge back"
        ),
        "{said}"
    );
    assert!(said.lines().last().is_some_and(|line| line.starts_with("open: ")), "{said}");
    assert!(finished.stderr().contains("no challenge is in the log"), "{}", finished.stderr());

    let unnamed = diagnose(dir.path(), &["events"]);
    unnamed.expect_code(3);
    assert!(
        unnamed.stderr().contains("events: line 1, column 1 (record 1): the record has no \"method\""),
        "{}",
        unnamed.stderr()
    );
}

#[test]
fn several_sources_are_told_apart() {
    let dir = tempfile::tempdir().expect("a directory under /tmp");
    refused(dir.path(), "one", &["a"], 1);
    refused(dir.path(), "two", &["b"], 1);
    let finished = diagnose(dir.path(), &["one", "two"]);
    let said = finished.stdout();
    assert!(said.starts_with("one:\n") && said.contains("\n\ntwo:\n"), "{said}");
}

#[test]
fn usage_and_files_that_cannot_be_read() {
    let dir = tempfile::tempdir().expect("a directory under /tmp");
    refused(dir.path(), "one", &["a"], 1);
    for (name, bytes) in
        [("text", &b"hello, world"[..]), ("packed", &[0x1f, 0x8b, 8, 0]), ("short", &[0x0a, 0x0d, 0x0d, 0x0a])]
    {
        std::fs::write(dir.path().join(name), bytes).expect("our directory");
    }
    std::fs::create_dir(dir.path().join("empty")).expect("our directory");
    for (args, code, said) in [
        (&[][..], 2, "DIR|FILE"),
        (&["nowhere"], 2, "nowhere: there is no such file or directory"),
        (&["one", "--field", "users=x"], 2, "--field users=x: there is no field \"users\""),
        (
            &["text"],
            3,
            "text: this is no capture (pcap, pcapng), no event log (JSON), no trace in text (Asterisk's pjsip logger, sngrep, ngrep -W byline) and no record of a run",
        ),
        (&["packed"], 3, "packed: it is compressed"),
        (&["short"], 3, "short: the capture ends within its own header"),
        (&["empty"], 2, "empty: it is no result directory: there is no record.bin in it"),
    ] {
        let finished = diagnose(dir.path(), args);
        finished.expect_code(code);
        assert!(finished.stderr().contains(said), "{args:?}: {}", finished.stderr());
    }
}
