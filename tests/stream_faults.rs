//! What the embedded registrar does wrong with connections on purpose, over real sockets and in
//! virtual time: the same profile, and the same finding that names it.

mod support;

use std::path::Path;
use std::time::Duration;
use support::program::{Regstorm, profile};
use support::results::ResultDir;

const LIMIT: Duration = Duration::from_secs(120);

/// 60 agents in 3 s over `transport`, which stay for `hold` seconds; `trunk` and `fault` are
/// further lines of their sections.
fn text(transport: &str, trunk: &str, hold: u32, fault: &str) -> String {
    format!(
        "[run]\nname = \"faults\"\nseed = 7\ninterval = \"1s\"\ndrain = \"2s\"\nunregister = false\n\n\
         [[trunk]]\nid = \"t\"\nregistrar = \"embedded\"\ndomain = \"example.test\"\n\
         agents = {{ count = 60, user = \"agent{{n:05}}\", password = \"secret\" }}\n{trunk}\n\n\
         [[load]]\nrate = 20\nfor = \"3s\"\n[[load]]\nhold = \"{hold}s\"\n\n\
         [registrar]\nlisten = [\"{transport}://127.0.0.1:0\"]\nthreads = 2\n\n\
         [[registrar.fault]]\n{fault}\n"
    )
}

/// What a run gives, and what its rehearsal does.
fn both(text: &str, check: impl Fn(&ResultDir, &str)) {
    for command in ["run", "simulate"] {
        let dir = tempfile::tempdir().expect("a directory");
        check(&of(dir.path(), command, text), command);
    }
}

fn of(dir: &Path, command: &str, text: &str) -> ResultDir {
    let mut args = vec![command, profile(dir, text), "--out", "out"];
    if command == "run" {
        args.extend(["--live", "off"]);
    }
    let finished = Regstorm::run(dir, &args, LIMIT);
    assert!(finished.status.code() != Some(2), "{command}: {}", finished.stderr());
    let results = ResultDir::open(&dir.join("out"));
    results.expect_balanced();
    results
}

/// A finding says this in its summary, and that in its evidence.
#[track_caller]
fn expect(results: &ResultDir, command: &str, id: &str, summary: &str, evidence: &str) {
    let all = results.run["findings"].as_array().expect("a list");
    let found = all.iter().find(|finding| finding["id"] == id).unwrap_or_else(|| panic!("{command}: {all:#?}"));
    for (key, part) in [("summary", summary), ("evidence", evidence)] {
        let whole = found[key].to_string();
        assert!(whole.contains(part), "{command}: {part}: {whole}");
    }
}

fn connections(results: &ResultDir, what: &str) -> f64 {
    results.number(&format!("/trunks/0/connections/{what}"))
}

#[test]
fn connections_that_are_reset_are_told_as_reset() {
    for transport in ["tcp", "tls", "ws"] {
        let text = text(transport, "retry = { preset = \"none\" }", 1, "kind = \"reset\"\nuntil = \"60s\"");
        both(&text, |results, command| {
            assert_eq!(results.total("transport_error"), 60, "{command} {transport}");
            assert_eq!(connections(results, "lost/connection reset"), 60.0, "{command} {transport}");
            expect(results, command, "flow.closed-by-server", "were reset from there", "60 x connection reset");
        });
    }
}

#[test]
fn a_reset_after_so_many_bytes_lets_what_came_before_through() {
    // The first REGISTER has less than 1000 bytes, the second brings it beyond.
    let fault = "kind = \"reset\"\nbytes = 1000";
    both(&text("tcp", "retry = { preset = \"none\" }", 1, fault), |results, command| {
        assert_eq!(results.total("transport_error"), 60, "{command}");
        assert_eq!(results.number("/latency_us/challenge/count"), 60.0, "{command}: every agent was challenged");
    });
}

#[test]
fn a_port_that_is_slow_to_accept_is_waited_for_or_given_up() {
    both(&text("tcp", "", 3, "kind = \"slow-accept\"\ndelay = \"1s\""), |results, command| {
        assert_eq!(results.total("registered"), 60, "{command}");
        assert!(results.number("/latency_us/register/min") >= 999_000.0, "{command}");
        assert!(results.number("/latency_us/connect/min") < 1_000_000.0, "{command}: the kernel answers at once");
    });
    let trunk = "connect_timeout = \"1s\"\nretry = { preset = \"none\" }";
    for (transport, says, reason) in [
        ("tls", "takes connections up and does not answer TLS", "TLS not answered within connect_timeout"),
        ("ws", "does not answer the upgrade to WebSocket", "WebSocket upgrade not answered within connect_timeout"),
    ] {
        both(&text(transport, trunk, 1, "kind = \"slow-accept\"\ndelay = \"9s\""), |results, command| {
            assert_eq!(connections(results, &format!("failed/{reason}")), 60.0, "{command} {transport}");
            expect(results, command, "connect.refused", says, reason);
        });
    }
}

/// Who comes while a shared connection is left alone hears why it was given up.
#[test]
fn agents_refused_during_a_back_off_say_what_the_connection_waited_for() {
    let trunk = "connections = \"shared\"\nconnect_timeout = \"400ms\"\nretry = { preset = \"none\" }";
    for (transport, reason) in [
        ("tls", "TLS not answered within connect_timeout"),
        ("ws", "WebSocket upgrade not answered within connect_timeout"),
    ] {
        both(&text(transport, trunk, 1, "kind = \"slow-accept\"\ndelay = \"9s\""), |results, command| {
            assert_eq!(results.total("transport_error"), 60, "{command}");
            let rows = results.table("agents.csv").rows;
            let others: Vec<_> = rows.iter().filter(|row| row["last_reason"] != reason).collect();
            assert!(rows.len() == 60 && others.is_empty(), "{command} {transport}: {others:?}");
        });
    }
}

/// So many handshakes a second are what a server's processor has time for.
#[test]
fn connections_beyond_the_rate_of_a_server_wait_for_their_turn() {
    let text = text("tls", "", 6, "kind = \"slow-accept\"\nper_second = 10.0")
        .replace("rate = 20\nfor = \"3s\"", "avalanche = 1.0");
    both(&text, |results, command| {
        assert_eq!(results.total("registered"), 60, "{command}");
        let last = results.number("/latency_us/connect/max");
        assert!(last >= 5_800_000.0, "{command}: the last of 60 after 5.9 s: {last}");
        assert!(results.number("/latency_us/connect/p50") >= 2_700_000.0, "{command}");
    });
}

#[test]
fn connections_that_were_forgotten_are_found_by_their_keep_alives() {
    let trunk = "keepalive = \"1s\"\nretry = { preset = \"none\" }";
    both(&text("tcp", trunk, 13, "kind = \"half-open\"\nafter = \"2s\""), |results, command| {
        assert_eq!(results.total("registered"), 60, "{command}");
        assert_eq!(connections(results, "lost/keep-alive not answered within 10 s"), 60.0, "{command}");
        expect(results, command, "keepalive.unanswered", "60 of", "answered");
    });
}

#[test]
fn a_wrong_certificate_is_told_by_what_is_wrong_with_it() {
    for (shows, reason) in [
        ("expired", "certificate expired or not valid yet"),
        ("wrong-name", "certificate for another name"),
        ("unknown-ca", "certificate of an unknown issuer"),
    ] {
        let fault = format!("kind = \"certificate\"\nshows = \"{shows}\"");
        both(&text("tls", "retry = { preset = \"none\" }", 1, &fault), |results, command| {
            assert_eq!(
                (results.total("transport_error"), results.total("messages_sent")),
                (60, 0),
                "{command} {shows}"
            );
            expect(results, command, "tls.certificate", &format!("{reason}: 60 of 60"), reason);
            // Names are looked at last: whoever made that certificate is trusted. Of the others
            // something in between may have shown one of its own; and a busy machine is sure of
            // nothing.
            if command == "simulate" {
                let found = results.run["findings"].as_array().expect("a list").iter();
                let confidence: Vec<_> =
                    found.filter(|it| it["id"] == "tls.certificate").map(|it| &it["confidence"]).collect();
                assert_eq!(confidence, [if shows == "wrong-name" { "high" } else { "open" }], "{shows}");
            }
        });
    }
    // Who checks nothing sees nothing wrong.
    let fault = "kind = \"certificate\"\nshows = \"expired\"";
    both(&text("tls", "tls = { verify = false }", 1, fault), |results, command| {
        assert_eq!(results.total("registered"), 60, "{command}");
    });
}

#[test]
fn a_registrar_that_restarts_gets_every_agent_back() {
    let trunk = "retry = { preset = \"hammer\" }";
    for (transport, forget, lost) in [("tcp", "false", 60.0), ("tls", "true", 60.0)] {
        let fault = format!("kind = \"restart\"\nfrom = \"4s\"\nuntil = \"6s\"\nforget = {forget}");
        both(&text(transport, trunk, 9, &fault), |results, command| {
            let what = format!("{command} {transport}");
            assert_eq!(connections(results, "lost/connection reset"), lost, "{what}");
            assert!(connections(results, "failed/connection refused") >= 60.0, "{what}");
            assert_eq!(results.total("agents_reachable_at_end"), 60, "{what}");
            assert_eq!((results.total("registered"), connections(results, "open")), (120, 60.0), "{what}");
            expect(results, command, "flow.closed-by-server", "were reset from there at about 4", "60 x");
            expect(results, command, "connect.refused", "refuses connections", "connection refused");
        });
    }
}

#[test]
fn an_idle_timeout_reads_as_its_period() {
    for transport in ["tcp", "wss"] {
        let text = text(transport, "retry = { preset = \"none\" }", 5, "kind = \"close-idle\"\nidle = \"3s\"");
        both(&text, |results, command| {
            assert_eq!(connections(results, "lost/connection closed by the server"), 60.0, "{command} {transport}");
            let id = "flow.closed-by-server";
            expect(results, command, id, "each after 3", "nothing had come over them for 3");
            assert_eq!(results.total("agents_reachable_at_end"), 0, "{command} {transport}");
            assert_eq!(results.total("agents_registered_at_end"), 60, "{command} {transport}");
            let page = String::from_utf8(results.bytes("report.html")).expect("text");
            for part in ["registered and connected", "60 of them without a connection", "were without a connection"] {
                assert!(page.contains(part), "{command} {transport}: {part}");
            }
        });
    }
}

#[test]
fn what_cannot_be_asked_of_connections_is_refused() {
    for (fault, says) in [
        ("kind = \"reset\"\ntrunk = \"t\"", "nobody knows whose a connection is when it comes"),
        ("kind = \"restart\"\nshare = 0.5", "a restart concerns everybody"),
        ("kind = \"certificate\"", "say what is wrong with it"),
        ("kind = \"certificate\"\nshows = \"expird\"", "did you mean \"expired\"?"),
        ("kind = \"slow-accept\"", "say how long a connection waits"),
        ("kind = \"close-idle\"\nidle = \"0s\"", "must be longer than 0s"),
    ] {
        let dir = tempfile::tempdir().expect("a directory");
        let finished = Regstorm::run(dir.path(), &["check", profile(dir.path(), &text("tcp", "", 1, fault))], LIMIT);
        assert_eq!(finished.status.code(), Some(2), "{fault}");
        assert!(finished.stderr().contains(says), "{fault}: {}", finished.stderr());
    }
}
